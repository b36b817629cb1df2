//! Replaces what is read by what it is known to be.
//!
//! A register with one definition holds the same value wherever it can be read, since the
//! definition comes first on every path. So a constant or another such register is read
//! instead of it anywhere, constant distances go into addresses, and masks that clear
//! nothing go. Registers that are written several times (scratch variables) are followed
//! within a block.

use super::fold;
use crate::ir::{Address, AluOp, Base, End, Function, InstKind, Operand, Reg, Size, Slot, Width};

/// Propagates and folds. Whether anything changed.
pub(super) fn propagate(function: &mut Function) -> bool {
    let mut known = Known::of(function);
    let mut has_changed = false;
    let slots = std::mem::take(&mut function.slots);
    let mut local = Local::of(function.registers);
    for block in &mut function.blocks {
        local.begin();
        for inst in &mut block.insts {
            inst.kind
                .for_each_operand_mut(&mut |operand| has_changed |= known.replace(operand, &local));
            inst.kind
                .for_each_use_mut(&mut |reg| has_changed |= known.replace_reg(reg, &local));
            if let Some(size) = access_size(&inst.kind)
                && let Some(address) = inst.kind.address_mut()
            {
                has_changed |= known.shorten(address, size, &slots);
            }
            if let Some(kind) = known.simpler(&inst.kind, &slots) {
                has_changed |= inst.kind != kind;
                inst.kind = kind;
            }
            known.update(&inst.kind);
            local.update(&inst.kind, &known);
        }
        if let Some(end) = &mut block.end {
            end.for_each_operand_mut(&mut |operand| has_changed |= known.replace(operand, &local));
            has_changed |= fold_end(end);
        }
    }
    function.slots = slots;
    has_changed
}

fn access_size(kind: &InstKind) -> Option<Size> {
    match kind {
        InstKind::Load { size, .. }
        | InstKind::Store { size, .. }
        | InstKind::Atomic { size, .. } => Some(*size),
        InstKind::CompareExchange { .. } => Some(Size::B8),
        _ => None,
    }
}

/// Whether it changed.
fn fold_end(end: &mut End) -> bool {
    if let End::Branch {
        comparison,
        width,
        left: Operand::Imm(a),
        right: Operand::Imm(b),
        then,
        otherwise,
    } = *end
    {
        let is_taken = fold::holds(comparison, width, a, b);
        *end = End::Jump(if is_taken { then } else { otherwise });
        return true;
    }
    false
}

/// What a register's only definition says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Definition {
    /// None was seen, or several are there.
    #[default]
    Unknown,
    /// One, of a kind that says nothing.
    Once,
    /// A copy of this.
    Copy(Operand),
    /// A distance from a register that has one definition itself.
    Sum(Reg, i64),
    /// At most these bits are set.
    Bits(u64),
}

struct Known {
    definitions: Vec<Definition>,
}

impl Known {
    fn of(function: &Function) -> Known {
        let registers = function.registers as usize;
        let mut counts = vec![0u8; registers];
        let insts = || function.blocks.iter().flat_map(|block| &block.insts);
        let defs = insts().filter_map(|inst| inst.kind.def());
        for reg in defs.chain(function.params.iter().copied()) {
            let count = &mut counts[reg.0 as usize];
            *count = count.saturating_add(1);
        }
        let mut known = Known {
            definitions: vec![Definition::Unknown; registers],
        };
        for (definition, count) in known.definitions.iter_mut().zip(&counts) {
            if *count == 1 {
                *definition = Definition::Once;
            }
        }
        for inst in insts() {
            known.update(&inst.kind);
        }
        known
    }

    fn get(&self, reg: Reg) -> Definition {
        self.definitions
            .get(reg.0 as usize)
            .copied()
            .unwrap_or_default()
    }

    fn is_single(&self, reg: Reg) -> bool {
        self.get(reg) != Definition::Unknown
    }

    /// Notes a definition, if it is the register's only one.
    fn update(&mut self, kind: &InstKind) {
        let Some(dst) = kind.def().filter(|dst| self.is_single(*dst)) else {
            return;
        };
        self.definitions[dst.0 as usize] = match *kind {
            InstKind::Move {
                src: Operand::Reg(src),
                ..
            } if !self.is_single(src) => Definition::Once,
            InstKind::Move { src, .. } => Definition::Copy(src),
            InstKind::Alu {
                op: AluOp::Add,
                width: Width::W64,
                left: Operand::Reg(left),
                right: Operand::Imm(by),
                ..
            } if self.is_single(left) => Definition::Sum(left, by),
            _ => bits(kind).map_or(Definition::Once, Definition::Bits),
        };
    }

    /// Whether there was something else to read.
    fn replace(&self, operand: &mut Operand, local: &Local) -> bool {
        let Operand::Reg(reg) = *operand else {
            return false;
        };
        let better = match self.get(reg) {
            Definition::Copy(src) => Some(src),
            _ => local.get(reg),
        };
        let better = better.filter(|better| better != operand);
        if let Some(better) = better {
            *operand = better;
        }
        better.is_some()
    }

    /// The same of what can only be a register.
    fn replace_reg(&self, reg: &mut Reg, local: &Local) -> bool {
        let better = match self.get(*reg) {
            Definition::Copy(Operand::Reg(src)) => Some(src),
            _ => match local.get(*reg) {
                Some(Operand::Reg(src)) => Some(src),
                _ => None,
            },
        };
        let better = better.filter(|better| better != reg);
        if let Some(better) = better {
            *reg = better;
        }
        better.is_some()
    }

    /// Puts a constant distance, or the frame, into an address. Whether it could.
    fn shorten(&self, address: &mut Address, size: Size, slots: &[Slot]) -> bool {
        let Base::Reg(reg) = address.base else {
            return false;
        };
        match self.get(reg) {
            Definition::Sum(base, by) => {
                let offset = i64::from(address.offset).saturating_add(by);
                if let Ok(offset) = i16::try_from(offset) {
                    *address = Address::reg(base).plus(i32::from(offset));
                    return true;
                }
            }
            Definition::Copy(Operand::Frame(slot, start)) => {
                let offset = start.saturating_add(address.offset);
                let bytes = i64::from(size.bytes());
                let room = slots
                    .get(slot.0 as usize)
                    .map_or(0, |slot| i64::from(slot.size));
                let at = i64::from(offset);
                if at >= 0 && at + bytes <= room && at % bytes == 0 {
                    *address = Address::frame(slot).plus(offset);
                    return true;
                }
            }
            _ => {}
        }
        false
    }

    fn simpler(&self, kind: &InstKind, slots: &[Slot]) -> Option<InstKind> {
        match *kind {
            InstKind::Alu {
                op,
                width,
                dst,
                left,
                right,
            } => {
                let simpler = fold::simpler(op, width, dst, left, right);
                if let Some(InstKind::Move {
                    src: Operand::Frame(slot, offset),
                    ..
                }) = simpler
                {
                    let size = slots.get(slot.0 as usize).map_or(0, |slot| slot.size);
                    return simpler.filter(|_| i64::from(offset) <= i64::from(size));
                }
                simpler.or_else(|| self.simpler_alu(op, width, dst, left, right))
            }
            InstKind::Truncate32 { dst, src } => self.simpler_mask(dst, src, 0xffff_ffff),
            InstKind::Move { dst, src } if src == Operand::Reg(dst) => {
                Some(InstKind::Comment(String::new()))
            }
            InstKind::Negate { dst, src } => match self.get(src) {
                Definition::Copy(Operand::Imm(value)) => Some(constant(dst, value.wrapping_neg())),
                _ => None,
            },
            InstKind::SignExtend { dst, src, size } => match self.get(src) {
                Definition::Copy(Operand::Imm(value)) => {
                    let distance = 64 - 8 * size.bytes();
                    Some(constant(
                        dst,
                        value.wrapping_shl(distance).wrapping_shr(distance),
                    ))
                }
                // The sign is known to be clear.
                Definition::Bits(bits) if bits >> (8 * size.bytes() - 1) == 0 => {
                    Some(InstKind::Move {
                        dst,
                        src: Operand::Reg(src),
                    })
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn simpler_alu(
        &self,
        op: AluOp,
        width: Width,
        dst: Reg,
        left: Operand,
        right: Operand,
    ) -> Option<InstKind> {
        let (Operand::Reg(src), Operand::Imm(value)) = (left, right) else {
            return None;
        };
        match (op, width, self.get(src)) {
            (AluOp::And, Width::W64, _) if value >= 0 => {
                self.simpler_mask(dst, src, value.cast_unsigned())
            }
            (AluOp::Add, Width::W64, Definition::Sum(base, by)) => {
                let sum = by.checked_add(value)?;
                Some(InstKind::Alu {
                    op,
                    width,
                    dst,
                    left: Operand::Reg(base),
                    right: Operand::Imm(sum),
                })
            }
            _ => None,
        }
    }

    /// `dst = src & mask`, simpler if no other bits can be set.
    fn simpler_mask(&self, dst: Reg, src: Reg, mask: u64) -> Option<InstKind> {
        match self.get(src) {
            Definition::Bits(bits) if bits & !mask == 0 => Some(InstKind::Move {
                dst,
                src: Operand::Reg(src),
            }),
            Definition::Copy(Operand::Imm(value)) => {
                Some(constant(dst, value & mask.cast_signed()))
            }
            _ => None,
        }
    }
}

fn constant(dst: Reg, value: i64) -> InstKind {
    InstKind::Move {
        dst,
        src: Operand::Imm(value),
    }
}

/// The bits that can be set in what an instruction gives, if that is less than all.
fn bits(kind: &InstKind) -> Option<u64> {
    let below = |bytes: u32| u64::MAX >> (64 - 8 * bytes);
    match kind {
        InstKind::Load { size, .. } | InstKind::ByteSwap { size, .. } if *size != Size::B8 => {
            Some(below(size.bytes()))
        }
        InstKind::Alu {
            op: AluOp::And,
            width,
            right: Operand::Imm(mask),
            ..
        } if *mask >= 0 => {
            let mask = mask.cast_unsigned();
            Some(if *width == Width::W32 {
                mask & below(4)
            } else {
                mask
            })
        }
        InstKind::Truncate32 { .. }
        | InstKind::Alu {
            width: Width::W32, ..
        } => Some(below(4)),
        InstKind::Alu {
            op: AluOp::ShiftRight,
            right: Operand::Imm(by),
            ..
        } => Some(u64::MAX.wrapping_shr(u32::try_from(*by & 63).unwrap_or(0))),
        _ => None,
    }
}

/// What is known within a block of registers that are written several times.
struct Local {
    /// Counts instructions over all blocks, so that nothing need be cleared between them.
    now: u32,
    /// When the block in hand began.
    begin: u32,
    /// By register: what it was made a copy of, and when.
    copies: Vec<(Operand, u32)>,
    /// By register: when it was last written.
    writes: Vec<u32>,
}

impl Local {
    fn of(registers: u32) -> Self {
        Local {
            now: 1,
            begin: 1,
            copies: vec![(Operand::Site, 0); registers as usize],
            writes: vec![0; registers as usize],
        }
    }

    /// Begins a block.
    fn begin(&mut self) {
        self.now += 1;
        self.begin = self.now;
    }

    fn get(&self, reg: Reg) -> Option<Operand> {
        let (operand, since) = *self.copies.get(reg.0 as usize)?;
        let is_current = since >= self.begin
            && match operand {
                // What it is a copy of must not have been written since.
                Operand::Reg(src) => self
                    .writes
                    .get(src.0 as usize)
                    .is_some_and(|at| *at <= since),
                _ => true,
            };
        is_current.then_some(operand)
    }

    fn update(&mut self, kind: &InstKind, known: &Known) {
        let Some(dst) = kind.def() else { return };
        self.now += 1;
        let (Some(write), Some(copy)) = (
            self.writes.get_mut(dst.0 as usize),
            self.copies.get_mut(dst.0 as usize),
        ) else {
            return;
        };
        *write = self.now;
        copy.1 = 0;
        let InstKind::Move { src, .. } = *kind else {
            return;
        };
        // Reading a temporary in place of a variable would keep both alive; the other way
        // round the temporary goes.
        let is_useful = match src {
            Operand::Reg(src) => known.is_single(dst) && !known.is_single(src),
            Operand::Imm(_) => !known.is_single(dst),
            _ => false,
        };
        if is_useful {
            *copy = (src, self.now);
        }
    }
}
