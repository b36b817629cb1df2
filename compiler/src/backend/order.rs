//! Puts blocks in the order they are laid out and drops those nothing reaches.

use crate::ir::{Function, Label, flow};

/// Reorders the blocks of `function`: loops aside, each comes before those it leads to.
pub(super) fn order(function: &mut Function) {
    let order = flow::reverse_postorder(function);
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
