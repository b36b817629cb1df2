//! The instructions that particular pieces of IR become.

use super::{ALL, execute, interpret};
use crate::artifact::MapId;
use crate::backend::{BackendError, Options, compile, disasm};
use crate::ir::{
    Address, AluOp, AtomicOp, Block, Comparison, End, Function, FunctionId, Inst, InstKind, Label,
    Operand, Program, Reg, Size, Slot, SlotId, Width, helpers,
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

fn function(name: &str, params: u32, blocks: Vec<Block>, slots: &[u32]) -> Function {
    let slot = |size: &u32| Slot {
        size: *size,
        name: format!("{size} bytes"),
        span: Span::default(),
    };
    Function {
        name: String::from(name),
        params: (0..params).map(Reg).collect(),
        blocks,
        registers: 40,
        slots: slots.iter().map(slot).collect(),
        span: Span::default(),
    }
}

fn program(blocks: Vec<Block>) -> Program {
    Program {
        functions: vec![function("f", 1, blocks, &[8, 16])],
    }
}

fn v(number: u32) -> Operand {
    Operand::Reg(Reg(number))
}

fn set(dst: u32, src: Operand) -> InstKind {
    InstKind::Move { dst: Reg(dst), src }
}

fn alu(op: AluOp, width: Width, dst: u32, left: Operand, right: Operand) -> InstKind {
    InstKind::Alu {
        op,
        width,
        dst: Reg(dst),
        left,
        right,
    }
}

fn load(dst: u32, base: u32, offset: i32) -> InstKind {
    InstKind::Load {
        dst: Reg(dst),
        address: Address::reg(Reg(base)).plus(offset),
        size: Size::B8,
    }
}

fn call(helper: helpers::Helper, args: Vec<Operand>, result: Option<u32>) -> InstKind {
    InstKind::Call {
        helper,
        args,
        result: result.map(Reg),
    }
}

/// The listing of straight-line code that returns `result`, the context being `v0`.
fn listed(insts: Vec<InstKind>, result: Operand, options: Options) -> Vec<String> {
    let program = program(vec![block(insts, End::Return(result))]);
    let codes = compile(program.clone(), options).expect("it fits");
    lines(&disasm::listing(&codes[..1], &|_| None, None))
}

fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().skip(1);
    let text = |line: &str| line.split_once(": ").map(|(_, text)| text.to_owned());
    lines.filter_map(text).collect()
}

#[test]
fn instructions_have_their_bytes() {
    let insts = vec![
        load(1, 0, 8),
        InstKind::ByteSwap {
            dst: Reg(2),
            src: Reg(1),
            size: Size::B2,
        },
        InstKind::Store {
            address: Address::frame(SlotId(1)).plus(4),
            src: Operand::Imm(-1),
            size: Size::B4,
        },
        call(
            helpers::MAP_LOOKUP_ELEM,
            vec![Operand::Map(MapId(3)), Operand::Frame(SlotId(1), 0)],
            None,
        ),
    ];
    let program = program(vec![block(insts, End::Return(Operand::Imm(1 << 31)))]);
    let codes = compile(program.clone(), ALL[0]).expect("it fits");
    let bytes: Vec<[u8; 8]> = codes[0].insns.iter().map(|insn| insn.to_bytes()).collect();
    assert_eq!(
        bytes,
        [
            [0x62, 0x0a, 0xf4, 0xff, 0xff, 0xff, 0xff, 0xff], // *(u32 *)(r10 - 12) = -1
            [0x18, 0x01, 0, 0, 0, 0, 0, 0],                   // r1 = map ll
            [0; 8],
            [0xbf, 0xa2, 0, 0, 0, 0, 0, 0],             // r2 = r10
            [0x07, 0x02, 0, 0, 0xf0, 0xff, 0xff, 0xff], // r2 += -16
            [0x85, 0, 0, 0, 1, 0, 0, 0],                // call 1
            [0xb4, 0, 0, 0, 0, 0, 0, 0x80],             // w0 = 0x80000000
            [0x95, 0, 0, 0, 0, 0, 0, 0],                // exit
        ]
    );
    assert_eq!(codes[0].relocations.len(), 1);
    assert_eq!(codes[0].frame, 16);
}

#[test]
fn calls_need_no_moves_where_values_can_be_made_in_place() {
    let insts = vec![
        load(2, 0, 16),
        load(1, 0, 8),
        alu(AluOp::Add, Width::W64, 3, v(2), Operand::Imm(1)),
        call(helpers::STRNCMP, vec![v(1), Operand::Imm(4), v(3)], Some(4)),
        alu(AluOp::Mul, Width::W64, 5, v(4), Operand::Imm(10)),
    ];
    assert_eq!(
        listed(insts, v(5), ALL[0]),
        [
            "r3 = *(u64 *)(r1 + 16)",
            "r1 = *(u64 *)(r1 + 8)",
            "r3 += 1",
            "r2 = 4",
            "call bpf_strncmp#182",
            "r0 *= 10",
            "exit",
        ]
    );
}

#[test]
fn the_context_moves_only_if_it_outlives_a_call() {
    let call = call(helpers::KTIME_GET_NS, vec![], Some(1));
    assert_eq!(
        listed(vec![call.clone()], v(1), ALL[0]),
        ["call bpf_ktime_get_ns#5", "exit"]
    );
    assert_eq!(
        listed(vec![call, load(2, 0, 8)], v(2), ALL[0]),
        [
            "r6 = r1",
            "call bpf_ktime_get_ns#5",
            "r0 = *(u64 *)(r6 + 8)",
            "exit"
        ]
    );
}

#[test]
fn signs_are_extended_by_what_there_is() {
    let extend = InstKind::SignExtend {
        dst: Reg(2),
        src: Reg(1),
        size: Size::B2,
    };
    let insts = vec![load(1, 0, 0), extend];
    assert_eq!(
        listed(insts.clone(), v(2), ALL[0])[1..3],
        ["r0 <<= 48", "r0 s>>= 48"]
    );
    assert_eq!(listed(insts, v(2), ALL[1])[1], "r0 = (s16)r0");
}

#[test]
fn globals_near_each_other_share_an_address() {
    let store = |reg: u32, offset: i32| InstKind::Store {
        address: Address::reg(Reg(reg)).plus(offset),
        src: Operand::Imm(1),
        size: Size::B8,
    };
    let insts = vec![
        set(1, Operand::Global(16)),
        store(1, 0),
        set(2, Operand::Global(64)),
        store(2, 8),
    ];
    assert_eq!(
        listed(insts, Operand::Imm(0), ALL[0]),
        [
            "r0 = global[16] ll",
            "*(u64 *)(r0 + 0) = 1",
            "*(u64 *)(r0 + 56) = 1",
            "r0 = 0",
            "exit"
        ]
    );
}

#[test]
fn constants_that_do_not_fit_are_loaded() {
    let insts = vec![
        load(1, 0, 0),
        alu(AluOp::And, Width::W64, 2, v(1), Operand::Imm(1 << 40)),
        InstKind::Store {
            address: Address::reg(Reg(0)).plus(40_000),
            src: v(2),
            size: Size::B8,
        },
    ];
    let text = listed(insts, Operand::Imm(0), ALL[0]).join("; ");
    assert!(text.contains("= 0x10000000000 ll"), "{text}");
    assert!(text.contains("+= 40000"), "{text}");
}

#[test]
fn atomics_use_the_registers_the_machine_wants() {
    let exchange = InstKind::CompareExchange {
        address: Address::reg(Reg(1)),
        expected: Reg(2),
        src: Reg(3),
        fetched: Reg(4),
    };
    let insts = vec![
        load(1, 0, 0),
        load(2, 0, 8),
        load(3, 0, 16),
        exchange,
        InstKind::Atomic {
            op: AtomicOp::Add,
            size: Size::B8,
            address: Address::reg(Reg(1)),
            src: Reg(3),
            fetched: None,
        },
    ];
    let text = listed(insts, v(4), ALL[0]);
    let moves = text.iter().filter(|line| line.contains("= r"));
    assert_eq!(text.len(), 6, "{text:?}");
    assert_eq!(
        moves.filter(|line| !line.contains("lock")).count(),
        0,
        "{text:?}"
    );
    assert!(text[3].starts_with("r0 = cmpxchg("), "{text:?}");
    assert!(text[4].starts_with("lock *(u64 *)"), "{text:?}");
}

#[test]
fn functions_nobody_calls_any_more_are_left_out() {
    let returns = |value| vec![block(vec![], End::Return(Operand::Imm(value)))];
    let call_second = InstKind::CallFunction {
        function: FunctionId(2),
        args: vec![],
        result: Some(Reg(1)),
    };
    let program = Program {
        functions: vec![
            function(
                "entry",
                1,
                vec![block(vec![call_second], End::Return(v(1)))],
                &[],
            ),
            function("unused", 0, returns(1), &[]),
            function("used", 0, returns(2), &[]),
        ],
    };
    let codes = compile(program.clone(), ALL[0]).expect("it fits");
    let names: Vec<&str> = codes.iter().map(|code| code.name.as_str()).collect();
    assert_eq!(names, ["entry", "used"]);
    assert_eq!(execute(&codes), interpret(&program));
}

#[test]
fn slots_that_are_not_live_at_once_share_bytes() {
    let fill = |slot| {
        call(
            helpers::PROBE_READ_KERNEL,
            vec![Operand::Frame(SlotId(slot), 0), Operand::Imm(300), v(0)],
            None,
        )
    };
    let read = |slot, dst| InstKind::Load {
        dst: Reg(dst),
        address: Address::frame(SlotId(slot)),
        size: Size::B8,
    };
    let build = |insts| Program {
        functions: vec![function(
            "f",
            1,
            vec![block(insts, End::Return(v(1)))],
            &[304, 304],
        )],
    };
    let apart = build(vec![fill(0), read(0, 1), fill(1), read(1, 1)]);
    assert_eq!(
        compile(apart.clone(), ALL[0]).expect("it fits")[0].frame,
        304
    );
    let together = build(vec![fill(0), fill(1), read(0, 1), read(1, 2)]);
    // The second load is dead, the second slot is not: it is written by a call.
    let Err(BackendError::FrameFull { bytes, largest, .. }) = compile(together.clone(), ALL[0])
    else {
        panic!("608 bytes fitted");
    };
    assert_eq!((bytes, largest.len()), (608, 2));
}

#[test]
fn frames_of_a_chain_of_calls_add_up() {
    let fill = |then: Option<u32>| {
        let mut insts = vec![call(
            helpers::PROBE_READ_KERNEL,
            vec![
                Operand::Frame(SlotId(0), 0),
                Operand::Imm(8),
                Operand::Imm(0),
            ],
            None,
        )];
        insts.extend(then.map(|function| InstKind::CallFunction {
            function: FunctionId(function),
            args: vec![],
            result: None,
        }));
        vec![block(insts, End::Return(Operand::Imm(0)))]
    };
    let build = |size| Program {
        functions: vec![
            function("entry", 1, fill(Some(1)), &[256]),
            function("inner", 0, fill(None), &[size]),
        ],
    };
    assert!(compile(build(256), ALL[0]).is_ok());
    let error = compile(build(264), ALL[0]).expect_err("256 and 264 are too many");
    assert_eq!(
        error.to_string(),
        "entry with inner needs 544 bytes of frame; the kernel gives 512"
    );
}

/// A branch to either of `count` stores that cannot be left out.
fn long_branch(count: usize) -> Program {
    let store = |i: usize| InstKind::Store {
        address: Address::reg(Reg(2)).plus(i32::try_from(8 * (i % 16)).expect("small")),
        src: v(1),
        size: Size::B8,
    };
    program(vec![
        block(
            vec![
                call(helpers::GET_PRANDOM_U32, vec![], Some(1)),
                set(2, Operand::Global(0)),
            ],
            End::Branch {
                comparison: Comparison::Set,
                width: Width::W64,
                left: v(1),
                right: Operand::Imm(0x1000_0000),
                then: Label(1),
                otherwise: Label(2),
            },
        ),
        block((0..count).map(store).collect(), End::Return(v(1))),
        block(
            (0..count).map(store).collect(),
            End::Return(Operand::Imm(7)),
        ),
    ])
}

#[test]
fn far_branches_go_by_a_long_jump_or_are_refused() {
    assert!(compile(long_branch(32_000), ALL[0]).is_ok());
    let far = long_branch(40_000);
    assert!(matches!(
        compile(far.clone(), ALL[0]),
        Err(BackendError::JumpTooFar { .. })
    ));
    let codes = compile(far.clone(), ALL[1]).expect("there are long jumps");
    assert!(codes[0].insns.iter().any(|insn| insn.code == 0x06));
    assert_eq!(execute(&codes), interpret(&far));
}

/// Time grows with the script, not with its square.
#[test]
fn ten_thousand_clauses_are_no_trouble() {
    let clauses = 10_000u32;
    let mut blocks = Vec::new();
    for i in 0..clauses {
        let then = Label(2 * i + 1);
        let next = Label(2 * i + 2);
        blocks.push(block(
            vec![load(1, 0, 8)],
            End::Branch {
                comparison: Comparison::Equal,
                width: Width::W64,
                left: v(1),
                right: Operand::Imm(i64::from(i)),
                then,
                otherwise: next,
            },
        ));
        let count = vec![
            set(2, Operand::Global(8 * (i % 32))),
            load(3, 2, 0),
            alu(AluOp::Add, Width::W64, 4, v(3), Operand::Imm(1)),
            InstKind::Store {
                address: Address::reg(Reg(2)),
                src: v(4),
                size: Size::B8,
            },
            call(helpers::KTIME_GET_NS, vec![], None),
        ];
        blocks.push(block(count, End::Jump(next)));
    }
    blocks.push(block(vec![], End::Return(Operand::Imm(0))));
    let start = std::time::Instant::now();
    let codes = compile(program(blocks), ALL[1]).expect("it fits");
    let elapsed = start.elapsed();
    assert!(codes[0].insns.len() > 50_000);
    // Unoptimised and beside other tests; it takes a tenth of this.
    assert!(elapsed.as_secs() < 10, "{elapsed:?}");
}

#[test]
fn a_slot_read_in_a_loop_is_kept_through_all_of_it() {
    let fill = |slot, size| {
        call(
            helpers::PROBE_READ_KERNEL,
            vec![Operand::Frame(SlotId(slot), 0), Operand::Imm(size), v(0)],
            None,
        )
    };
    let report = |slot| {
        let address = Operand::Frame(SlotId(slot), 0);
        let args = vec![Operand::Map(MapId(0)), address, address, Operand::Imm(0)];
        call(helpers::MAP_UPDATE_ELEM, args, None)
    };
    // The second slot is only used after the last mention of the first, but before the
    // first is read in the next round.
    let program = program(vec![
        block(
            vec![fill(0, 8), set(1, Operand::Imm(0))],
            End::Jump(Label(1)),
        ),
        block(
            vec![
                report(0),
                fill(1, 16),
                report(1),
                alu(AluOp::Add, Width::W64, 1, v(1), Operand::Imm(1)),
            ],
            End::Branch {
                comparison: Comparison::Less,
                width: Width::W64,
                left: v(1),
                right: Operand::Imm(3),
                then: Label(1),
                otherwise: Label(2),
            },
        ),
        block(vec![], End::Return(v(1))),
    ]);
    let codes = compile(program.clone(), ALL[0]).expect("it fits");
    assert_eq!(codes[0].frame, 24);
    assert_eq!(execute(&codes), interpret(&program));
}

#[test]
fn a_slot_whose_address_is_in_memory_is_kept_to_the_end() {
    let fill = |slot, size| {
        call(
            helpers::PROBE_READ_KERNEL,
            vec![Operand::Frame(SlotId(slot), 0), Operand::Imm(size), v(0)],
            None,
        )
    };
    // What a callback captures: an object that holds addresses.
    let inner = vec![block(vec![load(1, 0, 8), load(2, 1, 0)], End::Return(v(2)))];
    let capture = InstKind::Store {
        address: Address::frame(SlotId(1)).plus(8),
        src: Operand::Frame(SlotId(0), 0),
        size: Size::B8,
    };
    let outer = vec![block(
        vec![
            fill(0, 8),
            capture,
            fill(2, 24),
            InstKind::CallFunction {
                function: FunctionId(1),
                args: vec![Operand::Frame(SlotId(1), 0)],
                result: Some(Reg(1)),
            },
        ],
        End::Return(v(1)),
    )];
    let program = Program {
        functions: vec![
            function("outer", 1, outer, &[8, 16, 24]),
            function("inner", 1, inner, &[]),
        ],
    };
    let codes = compile(program.clone(), ALL[0]).expect("it fits");
    assert_eq!(codes[0].frame, 48);
    assert_eq!(execute(&codes), interpret(&program));
}

/// A lookup whose result is tested three times, with something to do in between.
#[test]
fn what_was_asked_is_not_asked_again() {
    let lookup = |slot| {
        call(
            helpers::MAP_LOOKUP_ELEM,
            vec![Operand::Map(MapId(0)), Operand::Frame(SlotId(slot), 0)],
            Some(1),
        )
    };
    let test = |then, otherwise| End::Branch {
        comparison: Comparison::NotEqual,
        width: Width::W64,
        left: v(1),
        right: Operand::Imm(0),
        then: Label(then),
        otherwise: Label(otherwise),
    };
    let program = Program {
        functions: vec![function(
            "entry",
            1,
            vec![
                block(vec![set(2, Operand::Imm(5)), lookup(0)], test(1, 5)),
                block(vec![call(helpers::KTIME_GET_NS, vec![], None)], test(2, 5)),
                block(vec![set(2, Operand::Imm(6))], End::Jump(Label(3))),
                block(vec![], test(4, 5)),
                block(vec![load(3, 1, 0)], End::Return(v(3))),
                block(vec![], End::Return(v(2))),
            ],
            &[8],
        )],
    };
    let codes = compile(program, ALL[0]).expect("it fits");
    let branches = codes[0]
        .insns
        .iter()
        .filter(|insn| insn.code == 0x15 || insn.code == 0x55);
    assert_eq!(branches.count(), 1, "{codes:?}");
}

/// Several ways to one constant end at the same instructions.
#[test]
fn returns_of_a_constant_are_written_once_if_nothing_falls_into_them() {
    let test = |value: i64, then, otherwise| End::Branch {
        comparison: Comparison::Equal,
        width: Width::W64,
        left: v(1),
        right: Operand::Imm(value),
        then: Label(then),
        otherwise: Label(otherwise),
    };
    let stop = || End::Return(Operand::Imm(0));
    let noop = || call(helpers::KTIME_GET_NS, vec![], None);
    let blocks = vec![
        block(
            vec![call(helpers::GET_PRANDOM_U32, vec![], Some(1))],
            test(1, 1, 4),
        ),
        block(vec![noop()], test(2, 2, 3)),
        block(vec![noop(), noop()], stop()),
        block(vec![], stop()),
        block(vec![], stop()),
    ];
    let program = program(blocks);
    let codes = compile(program.clone(), ALL[0]).expect("it fits");
    let exits = codes[0]
        .insns
        .iter()
        .filter(|insn| insn.code == 0x95)
        .count();
    assert_eq!(exits, 1, "{codes:?}");
    assert_eq!(execute(&codes), interpret(&program));
}
