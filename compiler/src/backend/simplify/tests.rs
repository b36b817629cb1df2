//! One small function for each thing the clean-ups do.

use super::simplify;
use crate::ir::{
    Address, AluOp, Block, Comparison, End, Function, Inst, InstKind, Label, Operand, Program, Reg,
    Size, Slot, SlotId, Width, helpers, print,
};
use rbt_grammar::Span;

fn block(insts: Vec<InstKind>, end: End) -> Block {
    let span = Span::default();
    Block {
        insts: insts.into_iter().map(|kind| Inst { kind, span }).collect(),
        end: Some(end),
        end_span: span,
    }
}

/// The listing of a function of one parameter, after the clean-ups, without its head.
fn simplified(blocks: Vec<Block>) -> Vec<String> {
    let slot = Slot {
        size: 16,
        name: String::from("key"),
        span: Span::default(),
    };
    let mut function = Function {
        name: String::from("f"),
        params: vec![r(0)],
        blocks,
        registers: 10,
        slots: vec![slot],
        span: Span::default(),
    };
    simplify(&mut function);
    let program = Program {
        functions: vec![function],
    };
    crate::ir::verify(&program).expect("still correct");
    let text = print(&program, None);
    let lines = text.lines().skip(2);
    lines.map(|line| line.trim().to_owned()).collect()
}

fn r(number: u32) -> Reg {
    Reg(number)
}

fn v(number: u32) -> Operand {
    Operand::Reg(Reg(number))
}

fn imm(value: i64) -> Operand {
    Operand::Imm(value)
}

fn set(dst: u32, src: Operand) -> InstKind {
    InstKind::Move { dst: r(dst), src }
}

fn add(dst: u32, left: Operand, right: Operand) -> InstKind {
    InstKind::Alu {
        op: AluOp::Add,
        width: Width::W64,
        dst: r(dst),
        left,
        right,
    }
}

fn load(dst: u32, base: u32, offset: i32, size: Size) -> InstKind {
    InstKind::Load {
        dst: r(dst),
        address: Address::reg(r(base)).plus(offset),
        size,
    }
}

fn random(dst: u32) -> InstKind {
    InstKind::Call {
        helper: helpers::GET_PRANDOM_U32,
        args: vec![],
        result: Some(r(dst)),
    }
}

fn branch(left: Operand, right: Operand, then: u32, otherwise: u32) -> End {
    End::Branch {
        comparison: Comparison::NotEqual,
        width: Width::W64,
        left,
        right,
        then: Label(then),
        otherwise: Label(otherwise),
    }
}

fn jump(to: u32) -> End {
    End::Jump(Label(to))
}

#[test]
fn constants_and_copies_are_read_in_place() {
    let insts = vec![
        set(1, imm(2)),
        add(2, v(1), imm(3)),
        set(3, v(0)),
        add(4, v(3), v(2)),
    ];
    assert_eq!(
        simplified(vec![block(insts, End::Return(v(4)))]),
        ["b0:", "v4 = v0 + 5", "return v4"]
    );
}

#[test]
fn distances_go_into_addresses() {
    let insts = vec![
        add(1, v(0), imm(16)),
        add(2, v(1), imm(8)),
        load(3, 2, 4, Size::B4),
    ];
    assert_eq!(
        simplified(vec![block(insts, End::Return(v(3)))]),
        ["b0:", "v3 = u32[v0 + 28]", "return v3"]
    );
}

#[test]
fn addresses_in_the_frame_are_the_frame() {
    let insts = vec![
        add(1, Operand::Frame(SlotId(0), 0), imm(8)),
        InstKind::Store {
            address: Address::reg(r(1)),
            src: imm(1),
            size: Size::B8,
        },
        load(2, 1, 0, Size::B8),
    ];
    assert_eq!(
        simplified(vec![block(insts, End::Return(v(2)))]),
        ["b0:", "u64[&s0 + 8] = 1", "v2 = u64[&s0 + 8]", "return v2"]
    );
}

#[test]
fn masks_that_clear_nothing_go() {
    let mask = InstKind::Alu {
        op: AluOp::And,
        width: Width::W64,
        dst: r(2),
        left: v(1),
        right: imm(0xff),
    };
    let insts = vec![
        load(1, 0, 0, Size::B1),
        mask,
        InstKind::Truncate32 {
            dst: r(3),
            src: r(2),
        },
    ];
    assert_eq!(
        simplified(vec![block(insts, End::Return(v(3)))]),
        ["b0:", "v1 = u8[v0]", "return v1"]
    );
}

#[test]
fn what_nobody_reads_goes_but_calls_stay() {
    let insts = vec![
        random(1),
        load(2, 0, 0, Size::B8),
        add(3, v(2), v(1)),
        InstKind::Store {
            address: Address::frame(SlotId(0)),
            src: v(3),
            size: Size::B8,
        },
    ];
    assert_eq!(
        simplified(vec![block(insts, End::Return(imm(0)))]),
        ["b0:", "get_prandom_u32()", "return 0"]
    );
}

#[test]
fn a_truth_value_that_is_tested_becomes_the_branch() {
    // v1 = v0 != 7; if v1 { call }
    let blocks = vec![
        block(vec![], branch(v(0), imm(7), 1, 2)),
        block(vec![set(1, imm(1))], jump(3)),
        block(vec![set(1, imm(0))], jump(3)),
        block(vec![], branch(v(1), imm(0), 4, 5)),
        block(vec![random(2)], jump(5)),
        block(vec![], End::Return(imm(0))),
    ];
    assert_eq!(
        simplified(blocks),
        [
            "b0:",
            "if v0 != 7 goto b1 else b2",
            "b1:",
            "get_prandom_u32()",
            "return 0",
            "b2:",
            "return 0",
        ]
    );
}

#[test]
fn branches_on_constants_and_what_they_skip_go() {
    let blocks = vec![
        block(vec![set(1, imm(3))], branch(v(1), imm(3), 1, 2)),
        block(vec![random(2)], jump(2)),
        block(vec![], jump(3)),
        block(vec![], End::Return(v(0))),
    ];
    assert_eq!(simplified(blocks), ["b0:", "return v0"]);
}

#[test]
fn variables_are_followed_within_a_block_only() {
    // v1 is written twice; the loop must read it anew.
    let blocks = vec![
        block(vec![set(1, imm(0))], jump(1)),
        block(
            vec![set(2, v(1)), add(1, v(2), imm(1))],
            branch(v(1), imm(5), 1, 2),
        ),
        block(vec![], End::Return(v(1))),
    ];
    assert_eq!(
        simplified(blocks),
        [
            "b0:",
            "v1 = 0",
            "goto b1",
            "b1:",
            "v1 = v1 + 1",
            "if v1 != 5 goto b1 else b2",
            "b2:",
            "return v1",
        ]
    );
    // The copy is older than the variable's new value.
    let insts = vec![random(1), set(2, v(1)), random(1), add(3, v(2), v(1))];
    assert_eq!(
        simplified(vec![block(insts, End::Return(v(3)))]),
        [
            "b0:",
            "v1 = get_prandom_u32()",
            "v2 = v1",
            "v1 = get_prandom_u32()",
            "v3 = v2 + v1",
            "return v3",
        ]
    );
}

#[test]
fn a_loop_tests_at_its_end() {
    let blocks = vec![
        block(vec![set(1, imm(0)), random(1)], jump(1)),
        block(vec![], branch(v(1), imm(9), 2, 3)),
        block(vec![add(1, v(1), imm(1))], jump(1)),
        block(vec![], End::Return(v(1))),
    ];
    assert_eq!(
        simplified(blocks),
        [
            "b0:",
            "v1 = 0",
            "v1 = get_prandom_u32()",
            "goto b1",
            "b1:",
            "if v1 != 9 goto b2 else b3",
            "b2:",
            "v1 = v1 + 1",
            "if v1 != 9 goto b2 else b3",
            "b3:",
            "return v1",
        ]
    );
}
