//! The IR's own rules.
//!
//! Takes a program; gives every place that breaks one of these:
//!
//! 1. There is a function, the entry; each function has a block; at most five parameters, all
//!    distinct.
//! 2. Every block is ended and goes to blocks of its function.
//! 3. Registers, slots and functions are below their number.
//! 4. An access to the frame lies in its slot and is aligned to its own size; an address in
//!    the frame lies in its slot or just behind it.
//! 5. A register is written on every path before it is read, as far as it can be reached.
//! 6. A call has the helper's or the function's number of arguments, at most five.
//! 7. No function calls itself, through whatever others; a callback counts as called by the
//!    function that takes its address.
//! 8. Sign extension is from 1, 2 or 4 bytes, byte swaps are of 2, 4 or 8, atomics of 4 or 8.
//!
//! A violation is a defect of the compiler, never a user's mistake. What the kernel's verifier
//! wants of addresses and bounds is not known here: the builder's types see to it.

use super::flow;
use super::inst::{
    Address, Base, Block, Function, InstKind, Label, Operand, Program, Reg, Size, SlotId,
};
use rbt_grammar::Span;
use std::fmt;

/// Most arguments of any call: `r1` to `r5`.
const MOST_ARGUMENTS: usize = 5;

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The function.
    pub function: String,
    /// The block, if it is about one.
    pub block: Option<Label>,
    /// The source of what is wrong.
    pub span: Span,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.function)?;
        if let Some(block) = self.block {
            write!(f, ", b{}", block.0)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Checks a program against the rules.
///
/// Errors: everything that breaks one; flow is only looked at where all else is in order, and
/// only by builds for development.
pub fn verify(program: &Program) -> Result<(), Vec<Violation>> {
    let mut violations = Vec::new();
    if program.functions.is_empty() {
        violations.push(Violation {
            function: String::from("program"),
            block: None,
            span: Span::default(),
            message: String::from("has no function"),
        });
    }
    for function in &program.functions {
        let mut check = Check {
            program,
            function,
            block: None,
            span: function.span,
            violations: Vec::new(),
        };
        check.function();
        // The back end looks at this once more, from what it finds out anyway.
        if cfg!(debug_assertions) && check.violations.is_empty() {
            check.definitions();
        }
        violations.append(&mut check.violations);
    }
    if violations.is_empty() {
        recursion(program, &mut violations);
    }
    if violations.is_empty() {
        Ok(())
    } else {
        Err(violations)
    }
}

struct Check<'a> {
    program: &'a Program,
    function: &'a Function,
    block: Option<Label>,
    span: Span,
    violations: Vec<Violation>,
}

impl Check<'_> {
    fn report(&mut self, message: impl Into<String>) {
        self.violations.push(Violation {
            function: self.function.name.clone(),
            block: self.block,
            span: self.span,
            message: message.into(),
        });
    }

    fn function(&mut self) {
        let function = self.function;
        if function.blocks.is_empty() {
            self.report("has no block");
        }
        if function.params.len() > MOST_ARGUMENTS {
            self.report(format!("has {} parameters", function.params.len()));
        }
        for (i, param) in function.params.iter().enumerate() {
            self.register(*param);
            if function.params.iter().take(i).any(|other| other == param) {
                self.report(format!("two parameters are v{}", param.0));
            }
        }
        for (label, block) in function.labels().zip(&function.blocks) {
            self.block = Some(label);
            for inst in &block.insts {
                self.span = inst.span;
                self.inst(&inst.kind);
            }
            self.span = block.end_span;
            self.end(block);
        }
        self.block = None;
        self.span = function.span;
    }

    fn register(&mut self, reg: Reg) {
        if reg.0 >= self.function.registers {
            self.report(format!("v{} is no register of it", reg.0));
        }
    }

    fn operand(&mut self, operand: &Operand) {
        match operand {
            Operand::Frame(slot, offset) => {
                if let Some(size) = self.slot(*slot)
                    && !(0..=i64::from(size)).contains(&i64::from(*offset))
                {
                    self.report(format!("address {offset} is outside s{}", slot.0));
                }
            }
            Operand::Function(function) => {
                if self.program.functions.len() <= function.0 as usize {
                    self.report(format!("there is no function f{}", function.0));
                }
            }
            // Registers are checked where all of an instruction's are.
            Operand::Reg(_)
            | Operand::Imm(_)
            | Operand::Map(_)
            | Operand::Global(_)
            | Operand::Site
            | Operand::Variable(_) => {}
        }
    }

    fn slot(&mut self, slot: SlotId) -> Option<u32> {
        let found = self.function.slots.get(slot.0 as usize);
        if found.is_none() {
            self.report(format!("s{} is no slot of it", slot.0));
        }
        found.map(|slot| slot.size)
    }

    fn access(&mut self, address: &Address, size: Size) {
        let Base::Frame(slot) = address.base else {
            return;
        };
        let Some(room) = self.slot(slot) else { return };
        let (start, bytes) = (i64::from(address.offset), i64::from(size.bytes()));
        if start < 0 || start + bytes > i64::from(room) {
            self.report(format!("{bytes} bytes at {start} are outside s{}", slot.0));
        }
        if start % bytes != 0 {
            self.report(format!(
                "{bytes} bytes at {start} of s{} are not aligned",
                slot.0
            ));
        }
    }

    fn inst(&mut self, kind: &InstKind) {
        kind.for_each_use(&mut |reg| self.register(reg));
        if let Some(reg) = kind.def() {
            self.register(reg);
        }
        kind.for_each_operand(&mut |operand| self.operand(operand));
        match kind {
            InstKind::Load { address, size, .. } | InstKind::Store { address, size, .. } => {
                self.access(address, *size);
            }
            InstKind::Atomic { address, size, .. } => {
                self.access(address, *size);
                if !matches!(size, Size::B4 | Size::B8) {
                    self.report(format!("an atomic of {} bytes", size.bytes()));
                }
            }
            InstKind::CompareExchange { address, .. } => self.access(address, Size::B8),
            InstKind::SignExtend { size: Size::B8, .. } => {
                self.report("a sign extension from 8 bytes");
            }
            InstKind::ByteSwap { size: Size::B1, .. } => self.report("a byte swap of 1 byte"),
            InstKind::Call { helper, args, .. } => {
                self.arity(helper.name, usize::from(helper.arity), args.len());
            }
            InstKind::CallFunction { function, args, .. } => {
                match self.program.functions.get(function.0 as usize) {
                    Some(callee) => self.arity(&callee.name, callee.params.len(), args.len()),
                    None => self.report(format!("there is no function f{}", function.0)),
                }
            }
            _ => {}
        }
    }

    fn arity(&mut self, name: &str, wanted: usize, given: usize) {
        if wanted != given || given > MOST_ARGUMENTS {
            self.report(format!("{name} takes {wanted} arguments, not {given}"));
        }
    }

    fn end(&mut self, block: &Block) {
        let Some(end) = &block.end else {
            self.report("is not ended");
            return;
        };
        end.for_each_use(&mut |reg| self.register(reg));
        end.for_each_operand(&mut |operand| self.operand(operand));
        for label in end.targets() {
            if label.0 as usize >= self.function.blocks.len() {
                self.report(format!("goes to b{}, which does not exist", label.0));
            }
        }
    }

    /// A register that is live where the function begins is read by some path that never
    /// wrote it. Blocks that nothing reaches have no path.
    fn definitions(&mut self) {
        let function = self.function;
        let reachable = flow::reverse_postorder(function);
        let mut is_reachable = vec![false; function.blocks.len()];
        for label in &reachable {
            is_reachable[label.0 as usize] = true;
        }
        let live = flow::live(function);
        let undefined: Vec<Reg> = live
            .at_start
            .get(0)
            .iter()
            .copied()
            .filter(|reg| !function.params.contains(reg))
            .collect();
        for reg in undefined {
            // Show one of the reads: the first whose block it reaches unwritten.
            for label in &reachable {
                if live.at_start.get(label.0 as usize).contains(&reg)
                    && let Some(span) = first_read(function.block(*label), reg)
                {
                    self.block = Some(*label);
                    self.span = span;
                    break;
                }
            }
            self.report(format!("v{} is read before it is written", reg.0));
        }
    }
}

/// The source of the first read of `reg` in a block, unless it is written before.
fn first_read(block: &Block, reg: Reg) -> Option<Span> {
    for inst in &block.insts {
        let mut is_read = false;
        inst.kind.for_each_use(&mut |used| is_read |= used == reg);
        if is_read {
            return Some(inst.span);
        }
        if inst.kind.def() == Some(reg) {
            return None;
        }
    }
    let mut is_read = false;
    if let Some(end) = &block.end {
        end.for_each_use(&mut |used| is_read |= used == reg);
    }
    is_read.then_some(block.end_span)
}

fn recursion(program: &Program, violations: &mut Vec<Violation>) {
    // Functions whose callees are all done, over and over: what remains is in a cycle or
    // calls one.
    let callees: Vec<Vec<usize>> = program.functions.iter().map(Function::callees).collect();
    let mut done = vec![false; callees.len()];
    loop {
        let next = (0..callees.len()).find(|f| !done[*f] && callees[*f].iter().all(|c| done[*c]));
        match next {
            Some(f) => done[f] = true,
            None => break,
        }
    }
    for (function, _) in program
        .functions
        .iter()
        .zip(&done)
        .filter(|(_, done)| !**done)
    {
        violations.push(Violation {
            function: function.name.clone(),
            block: None,
            span: function.span,
            message: String::from("calls itself, or a function that does"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{AluOp, End, FunctionId, Inst, Slot, Width, helpers};

    fn block(insts: Vec<InstKind>, end: Option<End>) -> Block {
        let span = Span::default();
        Block {
            insts: insts.into_iter().map(|kind| Inst { kind, span }).collect(),
            end,
            end_span: span,
        }
    }

    fn program(blocks: Vec<Block>) -> Program {
        let slot = Slot {
            size: 16,
            name: String::from("key"),
            span: Span::default(),
        };
        Program {
            functions: vec![Function {
                name: String::from("f"),
                params: vec![Reg(0)],
                blocks,
                registers: 4,
                slots: vec![slot],
                span: Span::default(),
            }],
        }
    }

    fn messages(blocks: Vec<Block>) -> Vec<String> {
        let found = verify(&program(blocks)).err().unwrap_or_default();
        found.into_iter().map(|v| v.message).collect()
    }

    fn one(kind: InstKind) -> Vec<String> {
        messages(vec![block(vec![kind], ret())])
    }

    fn ret() -> Option<End> {
        Some(End::Return(Operand::Imm(0)))
    }

    fn branch(then: u32, otherwise: u32) -> Option<End> {
        Some(End::Branch {
            comparison: crate::ir::Comparison::Equal,
            width: Width::W64,
            left: Operand::Reg(Reg(0)),
            right: Operand::Imm(0),
            then: Label(then),
            otherwise: Label(otherwise),
        })
    }

    fn set(reg: u32) -> InstKind {
        InstKind::Move {
            dst: Reg(reg),
            src: Operand::Imm(1),
        }
    }

    fn read(reg: u32) -> InstKind {
        InstKind::Store {
            address: Address::frame(SlotId(0)),
            src: Operand::Reg(Reg(reg)),
            size: Size::B8,
        }
    }

    #[test]
    fn a_correct_program_passes() {
        assert_eq!(
            messages(vec![block(vec![set(1), read(1), read(0)], ret())]),
            [""; 0]
        );
    }

    #[test]
    fn blocks_are_ended_and_go_somewhere() {
        assert_eq!(messages(vec![]), ["has no block"]);
        assert_eq!(messages(vec![block(vec![], None)]), ["is not ended"]);
        let nowhere = block(vec![], Some(End::Jump(Label(7))));
        assert_eq!(
            messages(vec![nowhere]),
            ["goes to b7, which does not exist"]
        );
        assert!(verify(&Program::default()).is_err());
    }

    #[test]
    fn what_is_read_was_written_on_every_path() {
        let diamond = |left: Vec<InstKind>, right: Vec<InstKind>| {
            messages(vec![
                block(vec![], branch(1, 2)),
                block(left, Some(End::Jump(Label(3)))),
                block(right, Some(End::Jump(Label(3)))),
                block(vec![read(2)], ret()),
            ])
        };
        assert_eq!(diamond(vec![set(2)], vec![set(2)]), [""; 0]);
        assert_eq!(
            diamond(vec![set(2)], vec![]),
            ["v2 is read before it is written"]
        );
        // A loop that writes after it reads.
        let looped = vec![
            block(vec![], Some(End::Jump(Label(1)))),
            block(vec![read(2), set(2)], branch(1, 2)),
            block(vec![], ret()),
        ];
        assert_eq!(messages(looped), ["v2 is read before it is written"]);
    }

    #[test]
    fn what_nothing_reaches_may_read_anything() {
        let blocks = vec![block(vec![], ret()), block(vec![read(3)], ret())];
        assert_eq!(messages(blocks), [""; 0]);
    }

    #[test]
    fn numbers_are_in_range() {
        assert_eq!(one(set(4)), ["v4 is no register of it"]);
        let slot = InstKind::Load {
            dst: Reg(1),
            address: Address::frame(SlotId(3)),
            size: Size::B8,
        };
        assert_eq!(one(slot), ["s3 is no slot of it"]);
        let call = InstKind::CallFunction {
            function: FunctionId(9),
            args: vec![],
            result: None,
        };
        assert_eq!(one(call), ["there is no function f9"]);
    }

    #[test]
    fn frame_accesses_are_inside_and_aligned() {
        let load = |offset, size| {
            one(InstKind::Load {
                dst: Reg(1),
                address: Address::frame(SlotId(0)).plus(offset),
                size,
            })
        };
        assert_eq!(load(8, Size::B8), [""; 0]);
        assert_eq!(load(16, Size::B1), ["1 bytes at 16 are outside s0"]);
        assert_eq!(load(-1, Size::B1), ["1 bytes at -1 are outside s0"]);
        assert_eq!(load(6, Size::B4), ["4 bytes at 6 of s0 are not aligned"]);
        let address = |offset| {
            one(InstKind::Move {
                dst: Reg(1),
                src: Operand::Frame(SlotId(0), offset),
            })
        };
        assert_eq!(address(16), [""; 0]);
        assert_eq!(address(17), ["address 17 is outside s0"]);
    }

    #[test]
    fn calls_have_the_right_number_of_arguments() {
        let call = |args: Vec<Operand>| {
            one(InstKind::Call {
                helper: helpers::GET_CURRENT_COMM,
                args,
                result: None,
            })
        };
        let address = Operand::Frame(SlotId(0), 0);
        assert_eq!(call(vec![address, Operand::Imm(16)]), [""; 0]);
        assert_eq!(
            call(vec![address]),
            ["get_current_comm takes 2 arguments, not 1"]
        );
    }

    #[test]
    fn functions_do_not_recurse() {
        let call = InstKind::CallFunction {
            function: FunctionId(0),
            args: vec![Operand::Imm(1)],
            result: None,
        };
        assert_eq!(one(call), ["calls itself, or a function that does"]);
        let callback = InstKind::Move {
            dst: Reg(1),
            src: Operand::Function(FunctionId(0)),
        };
        assert_eq!(one(callback), ["calls itself, or a function that does"]);
    }

    #[test]
    fn sizes_are_those_the_machine_has() {
        let atomic = InstKind::Atomic {
            op: crate::ir::AtomicOp::Add,
            size: Size::B2,
            address: Address::reg(Reg(0)),
            src: Reg(0),
            fetched: None,
        };
        assert_eq!(one(atomic), ["an atomic of 2 bytes"]);
        let swap = InstKind::ByteSwap {
            dst: Reg(1),
            src: Reg(0),
            size: Size::B1,
        };
        assert_eq!(one(swap), ["a byte swap of 1 byte"]);
        let extend = InstKind::SignExtend {
            dst: Reg(1),
            src: Reg(0),
            size: Size::B8,
        };
        assert_eq!(one(extend), ["a sign extension from 8 bytes"]);
        let fine = InstKind::Alu {
            op: AluOp::Add,
            width: Width::W64,
            dst: Reg(1),
            left: Operand::Reg(Reg(0)),
            right: Operand::Imm(1),
        };
        assert_eq!(one(fine), [""; 0]);
    }
}
