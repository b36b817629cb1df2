//! Removes what nobody reads.
//!
//! An instruction goes if all it does is write a register that is not read: arithmetic,
//! moves, loads (a load that faults gives zero, so not loading is not noticed). A store goes
//! if it is into a slot that nothing reads and whose address nothing takes. Calls stay, but
//! lose a result nobody wants, as do atomic instructions.

use crate::ir::{AtomicOp, Base, Function, InstKind, Operand, Reg};

/// Removes dead code. Whether anything changed.
pub(in crate::backend) fn remove(function: &mut Function) -> bool {
    let mut reads = vec![0u32; function.registers as usize];
    for block in &function.blocks {
        let mut count = |reg: Reg| reads[reg.0 as usize] += 1;
        for inst in &block.insts {
            inst.kind.for_each_use(&mut count);
        }
        if let Some(end) = &block.end {
            end.for_each_use(&mut count);
        }
    }
    let is_read = slots_read(function);
    let mut has_changed = false;
    // By instruction of a block, from the last to the first.
    let mut dead: Vec<bool> = Vec::new();
    // Backwards, so that what only dead instructions read is seen to be dead as well.
    for block in function.blocks.iter_mut().rev() {
        dead.clear();
        let mut any = false;
        for inst in block.insts.iter_mut().rev() {
            let unread = inst.kind.def().filter(|reg| reads[reg.0 as usize] == 0);
            let is_dead = match &mut inst.kind {
                InstKind::Comment(text) => text.is_empty(),
                InstKind::Store { address, .. } => match address.base {
                    Base::Frame(slot) => !is_read[slot.0 as usize],
                    Base::Reg(_) => false,
                },
                kind if kind.is_pure() => unread.is_some(),
                InstKind::Call { result, .. } | InstKind::CallFunction { result, .. }
                    if unread.is_some() =>
                {
                    *result = None;
                    has_changed = true;
                    false
                }
                InstKind::Atomic { op, fetched, .. }
                    if unread.is_some() && *op != AtomicOp::Exchange =>
                {
                    *fetched = None;
                    has_changed = true;
                    false
                }
                _ => false,
            };
            if is_dead {
                inst.kind
                    .for_each_use(&mut |reg| reads[reg.0 as usize] -= 1);
            }
            any |= is_dead;
            dead.push(is_dead);
        }
        if any {
            has_changed = true;
            block.insts.retain(|_| !dead.pop().unwrap_or(false));
        }
    }
    has_changed
}

/// For each slot, whether anything but a store mentions it.
fn slots_read(function: &Function) -> Vec<bool> {
    let mut is_read = vec![false; function.slots.len()];
    let address = |operand: &Operand, is_read: &mut Vec<bool>| {
        if let Operand::Frame(slot, _) = operand {
            is_read[slot.0 as usize] = true;
        }
    };
    for block in &function.blocks {
        for inst in &block.insts {
            inst.kind
                .for_each_operand(&mut |operand| address(operand, &mut is_read));
            if !matches!(inst.kind, InstKind::Store { .. })
                && let Some(at) = inst.kind.address()
                && let Base::Frame(slot) = at.base
            {
                is_read[slot.0 as usize] = true;
            }
        }
        if let Some(end) = &block.end {
            end.for_each_operand(&mut |operand| address(operand, &mut is_read));
        }
    }
    is_read
}
