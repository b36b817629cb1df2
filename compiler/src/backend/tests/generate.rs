//! Random programs that are correct by construction: structured control flow, every register
//! defined before use, every loop bounded, no value that depends on an address.

use super::memory::GLOBALS;
use super::random::Random;
use crate::artifact::MapId;
use crate::ir::{
    Address, AluOp, AtomicOp, Block, Comparison, End, Function, FunctionId, Inst, InstKind, Label,
    Operand, Program, Reg, Size, Slot, SlotId, Width, helpers,
};
use rbt_grammar::Span;

const OPS: [AluOp; 11] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Mod,
    AluOp::And,
    AluOp::Or,
    AluOp::Xor,
    AluOp::ShiftLeft,
    AluOp::ShiftRight,
    AluOp::ArithmeticShiftRight,
];

const COMPARISONS: [Comparison; 11] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessEqual,
    Comparison::Greater,
    Comparison::GreaterEqual,
    Comparison::SignedLess,
    Comparison::SignedLessEqual,
    Comparison::SignedGreater,
    Comparison::SignedGreaterEqual,
    Comparison::Set,
];

const SIZES: [Size; 4] = [Size::B1, Size::B2, Size::B4, Size::B8];

/// The program of a seed: one to three functions.
pub(super) fn program(seed: u64) -> Program {
    let mut random = Random(seed);
    let count = 1 + random.below(3);
    let arities: Vec<usize> = (0..count)
        .map(|i| if i == 0 { 1 } else { random.below(6) })
        .collect();
    let functions = (0..count).map(|i| function(i, &arities, &mut random));
    Program {
        functions: functions.collect(),
    }
}

fn function(index: usize, arities: &[usize], random: &mut Random) -> Function {
    let mut g = Generator {
        function: Function {
            name: format!("f{index}"),
            params: Vec::new(),
            blocks: Vec::new(),
            registers: 0,
            slots: Vec::new(),
            span: Span::default(),
        },
        current: 0,
        values: Vec::new(),
        variables: Vec::new(),
        slots: Vec::new(),
        arities,
        index,
        budget: 10 + random.below(if index == 0 { 120 } else { 30 }),
        random,
        depth: 0,
        has_pressure: false,
    };
    g.has_pressure = g.random.chance(30);
    for _ in 0..arities[index] {
        let reg = g.function.fresh();
        g.function.params.push(reg);
        g.values.push(reg);
    }
    g.current = g.label();
    for _ in 0..g.random.below(if g.has_pressure { 14 } else { 4 }) {
        g.declare();
    }
    while g.budget > 0 && !g.is_ended() {
        g.statement();
    }
    let result = g.operand();
    // What is still alive at the end matters.
    if !g.is_ended() && g.has_pressure {
        for reg in g.values.clone() {
            let args = vec![Operand::Reg(reg); 5];
            g.call(helpers::TRACE_PRINTK, args);
        }
    }
    g.end(End::Return(result));
    g.function
}

struct Generator<'a> {
    function: Function,
    current: usize,
    /// Registers with a value here.
    values: Vec<Reg>,
    /// Those of them that may be written again.
    variables: Vec<Reg>,
    /// Slots with a value here, and how many words they have.
    slots: Vec<(SlotId, usize)>,
    arities: &'a [usize],
    index: usize,
    budget: usize,
    random: &'a mut Random,
    depth: usize,
    has_pressure: bool,
}

impl Generator<'_> {
    fn label(&mut self) -> usize {
        self.function.blocks.push(Block {
            insts: Vec::new(),
            end: None,
            end_span: Span::default(),
        });
        self.function.blocks.len() - 1
    }

    fn is_ended(&self) -> bool {
        self.function.blocks[self.current].end.is_some()
    }

    fn push(&mut self, kind: InstKind) {
        self.function.blocks[self.current].insts.push(Inst {
            kind,
            span: Span::default(),
        });
    }

    fn end(&mut self, end: End) {
        let block = &mut self.function.blocks[self.current];
        if block.end.is_none() {
            block.end = Some(end);
        }
    }

    fn constant(&mut self) -> i64 {
        match self.random.below(6) {
            0 => 0,
            1 => 1i64 << self.random.below(63),
            2 => self.random.next().cast_signed(),
            3 => self.random.next().cast_signed() >> 33,
            4 => -1,
            _ => i64::try_from(self.random.below(300)).expect("small") - 20,
        }
    }

    fn reg(&mut self) -> Reg {
        if self.values.is_empty() {
            self.declare();
        }
        // Old values as often as new ones: long intervals.
        self.values[self.random.below(self.values.len())]
    }

    fn operand(&mut self) -> Operand {
        match self.random.below(10) {
            0..3 => Operand::Imm(self.constant()),
            3 if self.random.chance(20) => Operand::Site,
            _ => Operand::Reg(self.reg()),
        }
    }

    /// A fresh register, or a variable.
    fn dst(&mut self) -> Reg {
        if !self.variables.is_empty() && self.random.chance(35) {
            return self.random.pick(&self.variables);
        }
        self.function.fresh()
    }

    fn define(&mut self, reg: Reg) {
        if !self.values.contains(&reg) {
            self.values.push(reg);
        }
    }

    fn declare(&mut self) {
        let reg = self.function.fresh();
        let src = Operand::Imm(self.constant());
        self.push(InstKind::Move { dst: reg, src });
        self.values.push(reg);
        self.variables.push(reg);
    }

    fn call(&mut self, helper: helpers::Helper, args: Vec<Operand>) {
        self.push(InstKind::Call {
            helper,
            args,
            result: None,
        });
    }

    fn width(&mut self) -> Width {
        self.random.pick(&[Width::W64, Width::W64, Width::W32])
    }

    fn statement(&mut self) {
        self.budget = self.budget.saturating_sub(1);
        match self.random.below(26) {
            0..5 => {
                let (left, right) = (self.operand(), self.operand());
                let (op, width, dst) = (self.random.pick(&OPS), self.width(), self.dst());
                self.push(InstKind::Alu {
                    op,
                    width,
                    dst,
                    left,
                    right,
                });
                self.define(dst);
            }
            5 => self.one_operand(),
            6 => {
                let (src, dst) = (self.operand(), self.dst());
                self.push(InstKind::Move { dst, src });
                self.define(dst);
            }
            7 => self.declare(),
            8..10 => self.branch(),
            10 => self.repeat(),
            11 => {
                let args = (0..5).map(|_| self.operand()).collect();
                self.call(helpers::TRACE_PRINTK, args);
            }
            12 | 13 => {
                let dst = self.dst();
                let helper = self
                    .random
                    .pick(&[helpers::KTIME_GET_NS, helpers::GET_PRANDOM_U32]);
                self.push(InstKind::Call {
                    helper,
                    args: Vec::new(),
                    result: Some(dst),
                });
                self.define(dst);
            }
            14 | 15 => self.global(),
            16 => self.atomic(),
            17 | 18 => self.slot(),
            19 => self.call_function(),
            20 => {
                // Its own address would be recursion.
                let after = u32::try_from(self.index + 1).expect("few");
                let function = match self.arities.get(self.index + 1) {
                    Some(_) => Operand::Function(FunctionId(after)),
                    None => Operand::Global(16),
                };
                let args = vec![
                    Operand::Map(MapId(7)),
                    function,
                    self.operand(),
                    Operand::Site,
                    self.operand(),
                ];
                self.call(helpers::TRACE_PRINTK, args);
            }
            21 if self.depth > 0 && self.random.chance(25) => {
                let result = self.operand();
                self.end(End::Return(result));
            }
            22 | 23 => self.use_slot(),
            _ => self.truth(),
        }
    }

    /// Reads or writes a slot that was written in an enclosing scope: in a loop, perhaps in
    /// an earlier round.
    fn use_slot(&mut self) {
        if self.slots.is_empty() {
            return;
        }
        let (slot, words) = self.random.pick(&self.slots);
        let word = i32::try_from(8 * self.random.below(words)).expect("small");
        let address = Address::frame(slot).plus(word);
        let size = Size::B8;
        if self.random.chance(70) {
            let dst = self.dst();
            self.push(InstKind::Load { dst, address, size });
            self.define(dst);
        } else {
            let src = self.operand();
            self.push(InstKind::Store { address, src, size });
        }
    }

    fn one_operand(&mut self) {
        let (src, dst) = (self.reg(), self.dst());
        let kind = match self.random.below(4) {
            0 => InstKind::Negate { dst, src },
            1 => InstKind::Truncate32 { dst, src },
            2 => InstKind::SignExtend {
                dst,
                src,
                size: self.random.pick(&SIZES[..3]),
            },
            _ => InstKind::ByteSwap {
                dst,
                src,
                size: self.random.pick(&SIZES[1..]),
            },
        };
        self.push(kind);
        self.define(dst);
    }

    /// Statements whose definitions do not outlive them.
    fn scope(&mut self, most: usize) {
        let values = self.values.len();
        let variables = self.variables.len();
        let slots = self.slots.len();
        self.depth += 1;
        for _ in 0..self.random.below(most) + 1 {
            if self.budget > 0 && !self.is_ended() {
                self.statement();
            }
        }
        self.depth -= 1;
        self.values.truncate(values);
        self.variables.truncate(variables);
        self.slots.truncate(slots);
    }

    fn target(label: usize) -> Label {
        Label(u32::try_from(label).expect("few blocks"))
    }

    fn condition(&mut self, then: usize, otherwise: usize) {
        let (left, right) = (self.operand(), self.operand());
        let (comparison, width) = (self.random.pick(&COMPARISONS), self.width());
        self.end(End::Branch {
            comparison,
            width,
            left,
            right,
            then: Self::target(then),
            otherwise: Self::target(otherwise),
        });
    }

    fn branch(&mut self) {
        if self.depth > 4 {
            return;
        }
        let (then, otherwise, join) = (self.label(), self.label(), self.label());
        self.condition(then, otherwise);
        for arm in [then, otherwise] {
            self.current = arm;
            if self.random.chance(80) {
                self.scope(6);
            }
            self.end(End::Jump(Self::target(join)));
        }
        self.current = join;
    }

    /// A comparison as a value, and a branch on it.
    fn truth(&mut self) {
        let result = self.function.fresh();
        let (yes, no, join) = (self.label(), self.label(), self.label());
        self.condition(yes, no);
        for (arm, value) in [(yes, 1), (no, 0)] {
            self.current = arm;
            self.push(InstKind::Move {
                dst: result,
                src: Operand::Imm(value),
            });
            self.end(End::Jump(Self::target(join)));
        }
        self.current = join;
        self.define(result);
        if self.random.chance(60) {
            let (then, after) = (self.label(), self.label());
            self.end(End::Branch {
                comparison: Comparison::NotEqual,
                width: Width::W64,
                left: Operand::Reg(result),
                right: Operand::Imm(0),
                then: Self::target(then),
                otherwise: Self::target(after),
            });
            self.current = then;
            self.scope(4);
            self.end(End::Jump(Self::target(after)));
            self.current = after;
        }
    }

    fn repeat(&mut self) {
        if self.depth > 2 {
            return;
        }
        let counter = self.function.fresh();
        self.push(InstKind::Move {
            dst: counter,
            src: Operand::Imm(0),
        });
        self.values.push(counter);
        let (head, body, after) = (self.label(), self.label(), self.label());
        self.end(End::Jump(Self::target(head)));
        self.current = head;
        let limit = i64::try_from(1 + self.random.below(5)).expect("small");
        self.end(End::Branch {
            comparison: Comparison::Less,
            width: Width::W64,
            left: Operand::Reg(counter),
            right: Operand::Imm(limit),
            then: Self::target(body),
            otherwise: Self::target(after),
        });
        self.current = body;
        self.scope(6);
        if !self.is_ended() {
            self.push(InstKind::Alu {
                op: AluOp::Add,
                width: Width::W64,
                dst: counter,
                left: Operand::Reg(counter),
                right: Operand::Imm(1),
            });
        }
        self.end(End::Jump(Self::target(head)));
        self.current = after;
    }

    /// An address in the data section, whole or as a base and a distance.
    fn global_address(&mut self, size: Size) -> Address {
        let bytes = size.bytes() as usize;
        let at = self.random.below(GLOBALS / bytes) * bytes;
        let far = if self.random.chance(15) { 100_000 } else { 0 };
        let base = i64::try_from(self.random.below(at + 1)).expect("small");
        let reg = self.function.fresh();
        let mut src = Operand::Global(u32::try_from(base).expect("small"));
        if self.random.chance(40) {
            // As lowering computes an address from an index.
            let start = self.function.fresh();
            self.push(InstKind::Move { dst: start, src });
            src = Operand::Reg(start);
        }
        self.push(InstKind::Alu {
            op: AluOp::Sub,
            width: Width::W64,
            dst: reg,
            left: src,
            right: Operand::Imm(far),
        });
        let distance = i64::try_from(at).expect("small") - base + far;
        Address::reg(reg).plus(i32::try_from(distance).expect("small"))
    }

    fn global(&mut self) {
        let size = self.random.pick(&SIZES);
        let address = self.global_address(size);
        if self.random.chance(50) {
            let dst = self.dst();
            self.push(InstKind::Load { dst, address, size });
            self.define(dst);
        } else {
            let src = self.operand();
            self.push(InstKind::Store { address, src, size });
        }
    }

    fn atomic(&mut self) {
        let size = self.random.pick(&SIZES[2..]);
        let address = self.global_address(size);
        let src = self.reg();
        if self.random.chance(30) {
            let address = self.global_address(Size::B8);
            let (expected, fetched) = (self.reg(), self.dst());
            self.push(InstKind::CompareExchange {
                address,
                expected,
                src,
                fetched,
            });
            self.define(fetched);
            return;
        }
        let op = self.random.pick(&[
            AtomicOp::Add,
            AtomicOp::And,
            AtomicOp::Or,
            AtomicOp::Xor,
            AtomicOp::Exchange,
        ]);
        let fetched = self.random.chance(60).then(|| self.dst());
        self.push(InstKind::Atomic {
            op,
            size,
            address,
            src,
            fetched,
        });
        if let Some(reg) = fetched {
            self.define(reg);
        }
    }

    /// A slot that is written whole, then used while other things happen.
    fn slot(&mut self) {
        let words = 1 + self.random.below(5);
        let slot = SlotId(u32::try_from(self.function.slots.len()).expect("few"));
        self.function.slots.push(Slot {
            size: u32::try_from(8 * words).expect("small"),
            name: String::from("slot"),
            span: Span::default(),
        });
        let last = i32::try_from(8 * (words - 1)).expect("small");
        if self.random.chance(40) {
            let args = vec![
                Operand::Frame(slot, 0),
                Operand::Imm(i64::try_from(8 * words).expect("small")),
                self.operand(),
            ];
            self.call(helpers::PROBE_READ_KERNEL, args);
        } else {
            for word in 0..words {
                let src = self.operand();
                let address = Address::frame(slot).plus(i32::try_from(8 * word).expect("small"));
                self.push(InstKind::Store {
                    address,
                    src,
                    size: Size::B8,
                });
            }
        }
        let pointer = self.random.chance(50).then(|| {
            let reg = self.function.fresh();
            let (left, right) = if self.random.chance(50) {
                (Operand::Frame(slot, 0), Operand::Imm(i64::from(last)))
            } else {
                // A distance that is not known before the program runs.
                let index = self.function.fresh();
                let src = self.operand();
                self.push(InstKind::Alu {
                    op: AluOp::Mod,
                    width: Width::W64,
                    dst: index,
                    left: src,
                    right: Operand::Imm(i64::try_from(words).expect("small")),
                });
                self.push(InstKind::Alu {
                    op: AluOp::ShiftLeft,
                    width: Width::W64,
                    dst: index,
                    left: Operand::Reg(index),
                    right: Operand::Imm(3),
                });
                (Operand::Reg(index), Operand::Frame(slot, 0))
            };
            self.push(InstKind::Alu {
                op: AluOp::Add,
                width: Width::W64,
                dst: reg,
                left,
                right,
            });
            reg
        });
        let is_lasting = self.random.chance(40);
        if is_lasting {
            self.slots.push((slot, words));
        }
        self.scope(5);
        if self.is_ended() {
            return;
        }
        if let Some(reg) = pointer {
            let src = self.operand();
            self.push(InstKind::Store {
                address: Address::reg(reg),
                src,
                size: Size::B4,
            });
            self.scope(6);
            if self.is_ended() {
                return;
            }
            // Often the register is the last to know of the slot.
            let is_last = self.random.chance(60);
            let value = match is_last {
                true => Operand::Reg(reg),
                false => Operand::Frame(slot, last),
            };
            let args = vec![
                Operand::Map(MapId(3)),
                Operand::Reg(reg),
                value,
                self.operand(),
            ];
            self.call(helpers::MAP_UPDATE_ELEM, args);
            if is_last {
                return;
            }
        }
        let dst = self.dst();
        let size = self.random.pick(&SIZES);
        self.push(InstKind::Load {
            dst,
            address: Address::frame(slot).plus(last),
            size,
        });
        self.define(dst);
    }

    fn call_function(&mut self) {
        let callee = self.index + 1 + self.random.below(2);
        let Some(arity) = self.arities.get(callee).copied() else {
            return;
        };
        if self.depth > 1 {
            return;
        }
        let args = (0..arity).map(|_| self.operand()).collect();
        let dst = self.dst();
        self.push(InstKind::CallFunction {
            function: FunctionId(u32::try_from(callee).expect("few")),
            args,
            result: Some(dst),
        });
        self.define(dst);
    }
}
