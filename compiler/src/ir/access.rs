//! What an instruction reads, writes and mentions.
//!
//! The one place that lists the operands of every instruction; whoever walks the IR asks
//! here, so a new instruction is taught to all passes at once.

use super::inst::{Address, Base, Block, End, Function, InstKind, Label, Operand, Reg, SlotId};

#[inline]
fn address(address: &Address, f: &mut impl FnMut(Reg)) {
    if let Base::Reg(reg) = address.base {
        f(reg);
    }
}

#[inline]
fn operand(operand: &Operand, f: &mut impl FnMut(Reg)) {
    if let Operand::Reg(reg) = operand {
        f(*reg);
    }
}

fn address_mut(address: &mut Address, f: &mut dyn FnMut(&mut Reg)) {
    if let Base::Reg(reg) = &mut address.base {
        f(reg);
    }
}

fn operand_mut(operand: &mut Operand, f: &mut dyn FnMut(&mut Reg)) {
    if let Operand::Reg(reg) = operand {
        f(reg);
    }
}

impl InstKind {
    /// The register it writes.
    #[inline]
    pub fn def(&self) -> Option<Reg> {
        match self {
            InstKind::Move { dst, .. }
            | InstKind::Truncate32 { dst, .. }
            | InstKind::Alu { dst, .. }
            | InstKind::Negate { dst, .. }
            | InstKind::SignExtend { dst, .. }
            | InstKind::ByteSwap { dst, .. }
            | InstKind::Load { dst, .. } => Some(*dst),
            InstKind::CompareExchange { fetched, .. } => Some(*fetched),
            InstKind::Atomic { fetched, .. } => *fetched,
            InstKind::Call { result, .. } | InstKind::CallFunction { result, .. } => *result,
            InstKind::Store { .. } | InstKind::Comment(_) => None,
        }
    }

    /// The register it writes, to be changed.
    pub fn def_mut(&mut self) -> Option<&mut Reg> {
        match self {
            InstKind::Move { dst, .. }
            | InstKind::Truncate32 { dst, .. }
            | InstKind::Alu { dst, .. }
            | InstKind::Negate { dst, .. }
            | InstKind::SignExtend { dst, .. }
            | InstKind::ByteSwap { dst, .. }
            | InstKind::Load { dst, .. } => Some(dst),
            InstKind::CompareExchange { fetched, .. } => Some(fetched),
            InstKind::Atomic { fetched, .. } => fetched.as_mut(),
            InstKind::Call { result, .. } | InstKind::CallFunction { result, .. } => {
                result.as_mut()
            }
            InstKind::Store { .. } | InstKind::Comment(_) => None,
        }
    }

    /// Each register it reads, as often as it reads it.
    #[inline]
    pub fn for_each_use(&self, f: &mut impl FnMut(Reg)) {
        match self {
            InstKind::Move { src, .. } => operand(src, f),
            InstKind::Truncate32 { src, .. }
            | InstKind::Negate { src, .. }
            | InstKind::SignExtend { src, .. }
            | InstKind::ByteSwap { src, .. } => f(*src),
            InstKind::Alu { left, right, .. } => {
                operand(left, f);
                operand(right, f);
            }
            InstKind::Load { address: at, .. } => address(at, f),
            InstKind::Store {
                address: at, src, ..
            } => {
                address(at, f);
                operand(src, f);
            }
            InstKind::Atomic {
                address: at, src, ..
            } => {
                address(at, f);
                f(*src);
            }
            InstKind::CompareExchange {
                address: at,
                expected,
                src,
                ..
            } => {
                address(at, f);
                f(*expected);
                f(*src);
            }
            InstKind::Call { args, .. } | InstKind::CallFunction { args, .. } => {
                args.iter().for_each(|arg| operand(arg, f));
            }
            InstKind::Comment(_) => {}
        }
    }

    /// Each register it reads, to be changed.
    pub fn for_each_use_mut(&mut self, f: &mut dyn FnMut(&mut Reg)) {
        match self {
            InstKind::Move { src, .. } => operand_mut(src, f),
            InstKind::Truncate32 { src, .. }
            | InstKind::Negate { src, .. }
            | InstKind::SignExtend { src, .. }
            | InstKind::ByteSwap { src, .. } => f(src),
            InstKind::Alu { left, right, .. } => {
                operand_mut(left, f);
                operand_mut(right, f);
            }
            InstKind::Load { address: at, .. } => address_mut(at, f),
            InstKind::Store {
                address: at, src, ..
            } => {
                address_mut(at, f);
                operand_mut(src, f);
            }
            InstKind::Atomic {
                address: at, src, ..
            } => {
                address_mut(at, f);
                f(src);
            }
            InstKind::CompareExchange {
                address: at,
                expected,
                src,
                ..
            } => {
                address_mut(at, f);
                f(expected);
                f(src);
            }
            InstKind::Call { args, .. } | InstKind::CallFunction { args, .. } => {
                args.iter_mut().for_each(|arg| operand_mut(arg, f));
            }
            InstKind::Comment(_) => {}
        }
    }

    /// Each of its operands that may be anything an [`Operand`] can be.
    #[inline]
    pub fn for_each_operand(&self, f: &mut impl FnMut(&Operand)) {
        match self {
            InstKind::Move { src, .. } | InstKind::Store { src, .. } => f(src),
            InstKind::Alu { left, right, .. } => {
                f(left);
                f(right);
            }
            InstKind::Call { args, .. } | InstKind::CallFunction { args, .. } => {
                args.iter().for_each(f);
            }
            _ => {}
        }
    }

    /// The same, to be changed.
    pub fn for_each_operand_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        match self {
            InstKind::Move { src, .. } | InstKind::Store { src, .. } => f(src),
            InstKind::Alu { left, right, .. } => {
                f(left);
                f(right);
            }
            InstKind::Call { args, .. } | InstKind::CallFunction { args, .. } => {
                args.iter_mut().for_each(f);
            }
            _ => {}
        }
    }

    /// The memory it reads or writes by itself.
    #[inline]
    pub fn address(&self) -> Option<&Address> {
        match self {
            InstKind::Load { address, .. }
            | InstKind::Store { address, .. }
            | InstKind::Atomic { address, .. }
            | InstKind::CompareExchange { address, .. } => Some(address),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn address_mut(&mut self) -> Option<&mut Address> {
        match self {
            InstKind::Load { address, .. }
            | InstKind::Store { address, .. }
            | InstKind::Atomic { address, .. }
            | InstKind::CompareExchange { address, .. } => Some(address),
            _ => None,
        }
    }

    /// Each slot it mentions, by access or by address.
    pub fn for_each_slot(&self, f: &mut impl FnMut(SlotId)) {
        if let Some(Address {
            base: Base::Frame(slot),
            ..
        }) = self.address()
        {
            f(*slot);
        }
        self.for_each_operand(&mut |operand| {
            if let Operand::Frame(slot, _) = operand {
                f(*slot);
            }
        });
    }

    /// Whether it is a call: `r0` to `r5` do not survive it.
    pub fn is_call(&self) -> bool {
        matches!(self, InstKind::Call { .. } | InstKind::CallFunction { .. })
    }

    /// Whether leaving it out changes nothing when its result is not read.
    pub fn is_pure(&self) -> bool {
        matches!(
            self,
            InstKind::Move { .. }
                | InstKind::Truncate32 { .. }
                | InstKind::Alu { .. }
                | InstKind::Negate { .. }
                | InstKind::SignExtend { .. }
                | InstKind::ByteSwap { .. }
                | InstKind::Load { .. }
        )
    }
}

impl End {
    /// Where control may go.
    pub fn targets(&self) -> impl Iterator<Item = Label> {
        let (first, second) = match self {
            End::Jump(label) => (Some(*label), None),
            End::Branch {
                then, otherwise, ..
            } => (Some(*then), Some(*otherwise)),
            End::Return(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// Each target, to be changed.
    pub fn for_each_target_mut(&mut self, f: &mut dyn FnMut(&mut Label)) {
        match self {
            End::Jump(label) => f(label),
            End::Branch {
                then, otherwise, ..
            } => {
                f(then);
                f(otherwise);
            }
            End::Return(_) => {}
        }
    }

    /// Each operand it reads.
    #[inline]
    pub fn for_each_operand(&self, f: &mut impl FnMut(&Operand)) {
        match self {
            End::Jump(_) => {}
            End::Branch { left, right, .. } => {
                f(left);
                f(right);
            }
            End::Return(operand) => f(operand),
        }
    }

    /// Each operand it reads, to be changed.
    pub fn for_each_operand_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        match self {
            End::Jump(_) => {}
            End::Branch { left, right, .. } => {
                f(left);
                f(right);
            }
            End::Return(operand) => f(operand),
        }
    }

    /// Each register it reads.
    #[inline]
    pub fn for_each_use(&self, f: &mut impl FnMut(Reg)) {
        self.for_each_operand(&mut |o| operand(o, f));
    }

    /// Each register it reads, to be changed.
    pub fn for_each_use_mut(&mut self, f: &mut dyn FnMut(&mut Reg)) {
        self.for_each_operand_mut(&mut |o| operand_mut(o, f));
    }
}

impl Function {
    /// A register that nothing uses yet.
    pub fn fresh(&mut self) -> Reg {
        let reg = Reg(self.registers);
        self.registers += 1;
        reg
    }

    /// The block of a label of a verified function.
    pub fn block(&self, label: Label) -> &Block {
        &self.blocks[label.0 as usize]
    }

    /// Functions that it calls, or passes to a helper that calls them: indexes, sorted.
    pub fn callees(&self) -> Vec<usize> {
        let mut all = Vec::new();
        let mut address = |operand: &Operand| {
            if let Operand::Function(function) = operand {
                all.push(function.0 as usize);
            }
        };
        for block in &self.blocks {
            for inst in &block.insts {
                inst.kind.for_each_operand(&mut address);
            }
            if let Some(end) = &block.end {
                end.for_each_operand(&mut address);
            }
        }
        let insts = self.blocks.iter().flat_map(|block| &block.insts);
        all.extend(insts.filter_map(|inst| match &inst.kind {
            InstKind::CallFunction { function, .. } => Some(function.0 as usize),
            _ => None,
        }));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Labels of all blocks, in order.
    pub fn labels(&self) -> impl Iterator<Item = Label> + use<> {
        (0..u32::try_from(self.blocks.len()).unwrap_or(u32::MAX)).map(Label)
    }
}
