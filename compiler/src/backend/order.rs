//! Puts blocks in the order they are laid out and drops those nothing reaches; drops
//! functions that nothing calls.

use crate::ir::{Function, FunctionId, InstKind, Label, Operand, Program, flow};

/// Reorders the blocks of `function`: loops aside, each comes before those it leads to.
pub(super) fn order(function: &mut Function) {
    let order = flow::reverse_postorder(function);
    let is_in_order = order.len() == function.blocks.len()
        && function
            .labels()
            .zip(&order)
            .all(|(now, then)| now == *then);
    if is_in_order {
        return;
    }
    let mut new = vec![Label(0); function.blocks.len()];
    for (i, label) in (0u32..).zip(&order) {
        new[label.0 as usize] = Label(i);
    }
    let mut old: Vec<_> = std::mem::take(&mut function.blocks)
        .into_iter()
        .map(Some)
        .collect();
    for label in order {
        let Some(mut block) = old[label.0 as usize].take() else {
            continue;
        };
        if let Some(end) = &mut block.end {
            end.for_each_target_mut(&mut |label| *label = new[label.0 as usize]);
        }
        function.blocks.push(block);
    }
}

/// Drops functions that the entry does not call, through whatever others: the kernel refuses
/// code that nothing reaches.
pub(super) fn drop_uncalled(program: &mut Program) {
    let mut is_called = vec![false; program.functions.len()];
    let mut work = vec![0];
    while let Some(function) = work.pop() {
        if let Some(seen) = is_called.get_mut(function)
            && !*seen
        {
            *seen = true;
            work.extend(program.functions[function].callees());
        }
    }
    let mut new = Vec::with_capacity(is_called.len());
    let mut count = 0;
    for called in &is_called {
        new.push(FunctionId(count));
        count += u32::from(*called);
    }
    let mut next = is_called.iter();
    program
        .functions
        .retain(|_| next.next().copied().unwrap_or(false));
    let rename = |id: &mut FunctionId| *id = new[id.0 as usize];
    let rename_operand = |operand: &mut Operand| {
        if let Operand::Function(id) = operand {
            rename(id);
        }
    };
    for block in program.functions.iter_mut().flat_map(|f| &mut f.blocks) {
        for inst in &mut block.insts {
            if let InstKind::CallFunction { function, .. } = &mut inst.kind {
                rename(function);
            }
            inst.kind.for_each_operand_mut(&mut |o| rename_operand(o));
        }
        if let Some(end) = &mut block.end {
            end.for_each_operand_mut(&mut |o| rename_operand(o));
        }
    }
}
