//! Makes every instruction one the machine has: two addresses, 32-bit constants, 16-bit
//! distances.
//!
//! Takes verified IR; gives IR with the same meaning in which
//! - arithmetic reads and writes the same register (`dst` is `left`), its other operand being
//!   a register or a constant that fits;
//! - `Negate`, `ByteSwap` and fetching atomics read and write the same register;
//! - stores and branches read registers and constants that fit, addresses have distances
//!   that fit;
//! - the entry block has no predecessor.
//!
//! Moves are made freely: the allocator gives both sides of a move the same register where
//! it can, and the move is gone. What becomes of calls is the encoder's business.

use super::{Options, liveness};
use crate::ir::{
    Address, AluOp, AtomicOp, Base, Block, Comparison, End, Function, Inst, InstKind, Label,
    Operand, Reg, Size, Width, flow,
};
use rbt_grammar::Span;
use std::collections::HashMap;

/// Rewrites `function` for the machine.
pub(super) fn legalise(function: &mut Function, options: Options) {
    separate_entry(function);
    let mut reads = vec![0u32; function.registers as usize];
    for block in &function.blocks {
        let mut count = |reg: Reg| reads[reg.0 as usize] = reads[reg.0 as usize].saturating_add(1);
        for inst in &block.insts {
            inst.kind.for_each_use(&mut count);
        }
        if let Some(end) = &block.end {
            end.for_each_use(&mut count);
        }
    }
    let dominators = flow::dominators(function);
    let mut cx = Legaliser {
        registers: function.registers,
        reads,
        options,
        held: liveness::single_constants(function),
        constants: vec![Constants::default(); function.blocks.len()],
        block: 0,
        dominators,
        out: Vec::new(),
        span: function.span,
    };
    for (b, block) in function.blocks.iter_mut().enumerate() {
        cx.block = b;
        for inst in std::mem::take(&mut block.insts) {
            cx.span = inst.span;
            cx.inst(inst.kind);
        }
        cx.span = block.end_span;
        if let Some(end) = &mut block.end {
            cx.end(end);
        }
        block.insts = std::mem::take(&mut cx.out);
    }
    function.registers = cx.registers;
}

/// Gives the function an entry block that nothing jumps to: what arrives in registers is
/// stored there once.
fn separate_entry(function: &mut Function) {
    let is_target = function
        .blocks
        .iter()
        .flat_map(|block| block.end.iter().flat_map(|end| end.targets()))
        .any(|label| label == Label(0));
    if !is_target {
        return;
    }
    let moved = Label(u32::try_from(function.blocks.len()).unwrap_or(u32::MAX));
    for block in &mut function.blocks {
        if let Some(end) = &mut block.end {
            end.for_each_target_mut(&mut |label| {
                if *label == Label(0) {
                    *label = moved;
                }
            });
        }
    }
    let entry = Block {
        insts: Vec::new(),
        end: Some(End::Jump(moved)),
        end_span: function.span,
    };
    if let Some(first) = function.blocks.first_mut() {
        let old = std::mem::replace(first, entry);
        function.blocks.push(old);
    }
}

/// Whether a 64-bit instruction can hold the constant: the machine extends its sign.
pub(super) fn fits_i32(value: i64) -> bool {
    i32::try_from(value).is_ok()
}

/// The low 32 bits, as an instruction holds them.
#[allow(
    clippy::cast_possible_truncation,
    reason = "cutting off the upper half is the purpose"
)]
pub(super) fn low_half(value: i64) -> i64 {
    i64::from(value as i32)
}

/// Whether `a op b` is `b op a`.
pub(super) fn is_commutative(op: AluOp) -> bool {
    matches!(
        op,
        AluOp::Add | AluOp::Mul | AluOp::And | AluOp::Or | AluOp::Xor
    )
}

/// The comparison that holds of `b, a` where this one holds of `a, b`.
pub(super) fn mirrored(comparison: Comparison) -> Comparison {
    use Comparison as C;
    match comparison {
        C::Equal | C::NotEqual | C::Set => comparison,
        C::Less => C::Greater,
        C::LessEqual => C::GreaterEqual,
        C::Greater => C::Less,
        C::GreaterEqual => C::LessEqual,
        C::SignedLess => C::SignedGreater,
        C::SignedLessEqual => C::SignedGreaterEqual,
        C::SignedGreater => C::SignedLess,
        C::SignedGreaterEqual => C::SignedLessEqual,
    }
}

/// How many dominating blocks are searched for a register that already holds a constant.
const SEARCH: usize = 4;

/// Registers that hold constants.
#[derive(Clone, Default)]
struct Constants {
    by_operand: HashMap<Operand, Reg>,
    /// Those that hold addresses in the data section.
    globals: Vec<(u32, Reg)>,
}

struct Legaliser {
    registers: u32,
    reads: Vec<u32>,
    options: Options,
    /// By register: the constant it holds, if it holds one all its life.
    held: Vec<Option<Operand>>,
    /// By block: registers that hold constants once it was run.
    constants: Vec<Constants>,
    /// The block in hand.
    block: usize,
    /// By block: the block that every path to it comes through last.
    dominators: Vec<Label>,
    out: Vec<Inst>,
    span: Span,
}

impl Legaliser {
    fn fresh(&mut self) -> Reg {
        let reg = Reg(self.registers);
        self.registers += 1;
        reg
    }

    fn push(&mut self, kind: InstKind) {
        self.out.push(Inst {
            kind,
            span: self.span,
        });
    }

    fn push_move(&mut self, dst: Reg, src: Operand) {
        if src != Operand::Reg(dst) {
            self.push(InstKind::Move { dst, src });
        }
    }

    /// A register that holds `operand` and is not to be written.
    fn reg(&mut self, operand: Operand) -> Reg {
        if let Operand::Reg(reg) = operand {
            return reg;
        }
        let found = self.find(|constants| constants.by_operand.get(&operand).copied());
        if let Some(reg) = found {
            return reg;
        }
        let dst = self.fresh();
        self.push(InstKind::Move { dst, src: operand });
        if let Some(constants) = self.constants.get_mut(self.block) {
            constants.by_operand.insert(operand, dst);
            if let Operand::Global(offset) = operand {
                constants.globals.push((offset, dst));
            }
        }
        dst
    }

    /// Looks in this block and those before it on every path.
    fn find<T>(&self, look: impl Fn(&Constants) -> Option<T>) -> Option<T> {
        let mut block = self.block;
        for _ in 0..SEARCH {
            if let Some(found) = self.constants.get(block).and_then(&look) {
                return Some(found);
            }
            match self.dominators.get(block) {
                Some(next) if next.0 as usize != block => block = next.0 as usize,
                _ => break,
            }
        }
        None
    }

    /// An address in the data section, from whatever register is near it already.
    fn global(&mut self, offset: i64) -> Option<Address> {
        let near = |start: u32, reg: Reg| {
            let distance = i16::try_from(offset - i64::from(start)).ok()?;
            Some(Address::reg(reg).plus(i32::from(distance)))
        };
        let found = self.find(|constants| {
            let mut globals = constants.globals.iter();
            globals.find_map(|(start, reg)| near(*start, *reg))
        });
        if found.is_some() {
            return found;
        }
        let start = u32::try_from(offset).ok()?;
        let reg = self.reg(Operand::Global(start));
        near(start, reg)
    }

    /// A register, or a constant that fits an instruction of that width.
    fn reg_or_imm(&mut self, operand: Operand, width: Width) -> Operand {
        match (operand, width) {
            (Operand::Imm(value), Width::W32) => Operand::Imm(low_half(value)),
            (Operand::Imm(value), Width::W64) if fits_i32(value) => operand,
            _ => Operand::Reg(self.reg(operand)),
        }
    }

    fn address(&mut self, address: Address) -> Address {
        if let Base::Reg(base) = address.base
            && let Some(Some(Operand::Global(start))) = self.held.get(base.0 as usize).copied()
            && let Some(near) = self.global(i64::from(start) + i64::from(address.offset))
        {
            return near;
        }
        match address.base {
            Base::Reg(base) if i16::try_from(address.offset).is_err() => {
                let dst = self.fresh();
                self.push(InstKind::Move {
                    dst,
                    src: Operand::Reg(base),
                });
                self.push(InstKind::Alu {
                    op: AluOp::Add,
                    width: Width::W64,
                    dst,
                    left: Operand::Reg(dst),
                    right: Operand::Imm(i64::from(address.offset)),
                });
                Address::reg(dst)
            }
            _ => address,
        }
    }

    fn inst(&mut self, kind: InstKind) {
        match kind {
            InstKind::Move { dst, src } => self.push_move(dst, src),
            InstKind::Alu {
                op,
                width,
                dst,
                left,
                right,
            } => self.alu(op, width, dst, left, right),
            InstKind::Negate { dst, src } => {
                self.push_move(dst, Operand::Reg(src));
                self.push(InstKind::Negate { dst, src: dst });
            }
            InstKind::ByteSwap { dst, src, size } => {
                self.push_move(dst, Operand::Reg(src));
                self.push(InstKind::ByteSwap {
                    dst,
                    src: dst,
                    size,
                });
            }
            InstKind::SignExtend { dst, src, size } => self.sign_extend(dst, src, size),
            InstKind::Load { dst, address, size } => {
                let address = self.address(address);
                self.push(InstKind::Load { dst, address, size });
            }
            InstKind::Store { address, src, size } => self.store(address, src, size),
            InstKind::Atomic {
                op,
                size,
                address,
                src,
                fetched,
            } => {
                let address = self.address(address);
                // The machine writes the old value over the new one's register; the result
                // may be the address's own register, so both get a register of their own.
                if fetched.is_none() && op != AtomicOp::Exchange {
                    self.push(InstKind::Atomic {
                        op,
                        size,
                        address,
                        src,
                        fetched,
                    });
                    return;
                }
                let both = self.fresh();
                self.push_move(both, Operand::Reg(src));
                self.push(InstKind::Atomic {
                    op,
                    size,
                    address,
                    src: both,
                    fetched: Some(both),
                });
                if let Some(dst) = fetched {
                    self.push_move(dst, Operand::Reg(both));
                }
            }
            InstKind::CompareExchange {
                address,
                expected,
                src,
                fetched,
            } => {
                let address = self.address(address);
                self.push(InstKind::CompareExchange {
                    address,
                    expected,
                    src,
                    fetched,
                });
            }
            InstKind::Truncate32 { .. } | InstKind::Call { .. } | InstKind::CallFunction { .. } => {
                self.push(kind);
            }
            InstKind::Comment(_) => {}
        }
    }

    fn alu(&mut self, op: AluOp, width: Width, dst: Reg, left: Operand, right: Operand) {
        if let Operand::Imm(value) = right {
            // The kernel refuses a constant zero divisor and a constant shift that is too far;
            // both have a meaning all the same.
            let bits = if width == Width::W32 { 32 } else { 64 };
            match op {
                AluOp::Div | AluOp::SignedDiv if is_zero(value, width) => {
                    return self.push_move(dst, Operand::Imm(0));
                }
                AluOp::Mod | AluOp::SignedMod if is_zero(value, width) => {
                    let src = self.reg(left);
                    return match width {
                        Width::W32 => self.push(InstKind::Truncate32 { dst, src }),
                        Width::W64 => self.push_move(dst, Operand::Reg(src)),
                    };
                }
                AluOp::ShiftLeft | AluOp::ShiftRight | AluOp::ArithmeticShiftRight => {
                    let right = Operand::Imm(value & (bits - 1));
                    return self.two_address(op, width, dst, left, right);
                }
                _ => {}
            }
        }
        let (mut left, mut right) = (left, right);
        if is_commutative(op) && self.prefers_right(dst, left, right) {
            std::mem::swap(&mut left, &mut right);
        }
        self.two_address(op, width, dst, left, right);
    }

    /// Whether the right operand is the better one to write over.
    fn prefers_right(&self, dst: Reg, left: Operand, right: Operand) -> bool {
        let Operand::Reg(r) = right else {
            return false;
        };
        let Operand::Reg(l) = left else {
            return true;
        };
        if l == dst || r == dst {
            return l != dst;
        }
        let reads = |reg: Reg| self.reads.get(reg.0 as usize).copied().unwrap_or(2);
        reads(l) > 1 && reads(r) == 1
    }

    fn two_address(&mut self, op: AluOp, width: Width, dst: Reg, left: Operand, right: Operand) {
        let right = self.reg_or_imm(right, width);
        let is_right_lost = right == Operand::Reg(dst) && left != Operand::Reg(dst);
        let both = if is_right_lost { self.fresh() } else { dst };
        self.push_move(both, left);
        self.push(InstKind::Alu {
            op,
            width,
            dst: both,
            left: Operand::Reg(both),
            right,
        });
        self.push_move(dst, Operand::Reg(both));
    }

    fn sign_extend(&mut self, dst: Reg, src: Reg, size: Size) {
        if self.options.has_signed_instructions {
            return self.push(InstKind::SignExtend { dst, src, size });
        }
        let shift = Operand::Imm(64 - 8 * i64::from(size.bytes()));
        self.push_move(dst, Operand::Reg(src));
        for op in [AluOp::ShiftLeft, AluOp::ArithmeticShiftRight] {
            self.push(InstKind::Alu {
                op,
                width: Width::W64,
                dst,
                left: Operand::Reg(dst),
                right: shift,
            });
        }
    }

    fn store(&mut self, address: Address, src: Operand, size: Size) {
        let address = self.address(address);
        let src = match (src, size) {
            (Operand::Imm(_), Size::B8) => self.reg_or_imm(src, Width::W64),
            (Operand::Imm(value), _) => Operand::Imm(low_half(value)),
            _ => Operand::Reg(self.reg(src)),
        };
        self.push(InstKind::Store { address, src, size });
    }

    fn end(&mut self, end: &mut End) {
        if let End::Branch {
            comparison,
            width,
            left,
            right,
            ..
        } = end
        {
            if !matches!(left, Operand::Reg(_)) && matches!(right, Operand::Reg(_)) {
                std::mem::swap(left, right);
                *comparison = mirrored(*comparison);
            }
            *left = Operand::Reg(self.reg(*left));
            *right = self.reg_or_imm(*right, *width);
        }
    }
}

fn is_zero(value: i64, width: Width) -> bool {
    match width {
        Width::W32 => low_half(value) == 0,
        Width::W64 => value == 0,
    }
}
