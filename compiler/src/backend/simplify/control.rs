//! Fewer blocks and fewer jumps.
//!
//! Jumps to jumps go where those go; a jump to a test whose outcome is known goes to the
//! outcome; a block with one way in joins the block before it.

use super::fold;
use crate::ir::{Block, End, Function, InstKind, Label, Operand, flow};

/// Simplifies the flow of control. Whether anything changed.
pub(super) fn simplify(function: &mut Function) -> bool {
    let threaded = thread(function);
    let merged = merge(function);
    threaded || merged
}

fn is_empty(block: &Block) -> bool {
    let mut kinds = block.insts.iter().map(|inst| &inst.kind);
    kinds.all(|kind| matches!(kind, InstKind::Comment(_)))
}

/// Where control ends up that goes to `label`, having come from a block in which `values`
/// are known.
fn destination(function: &Function, label: Label, from: &Block) -> Label {
    let mut at = label;
    // Empty loops have no end; nobody writes long chains.
    for _ in 0..16 {
        let block = function.block(at);
        if !is_empty(block) {
            break;
        }
        at = match &block.end {
            Some(End::Jump(next)) => *next,
            Some(End::Branch {
                comparison,
                width,
                left,
                right,
                then,
                otherwise,
            }) => {
                let (Some(a), Some(b)) = (value(from, *left), value(from, *right)) else {
                    break;
                };
                if fold::holds(*comparison, *width, a, b) {
                    *then
                } else {
                    *otherwise
                }
            }
            _ => break,
        };
    }
    at
}

/// The constant an operand has at the end of a block.
fn value(block: &Block, operand: Operand) -> Option<i64> {
    let reg = match operand {
        Operand::Imm(value) => return Some(value),
        Operand::Reg(reg) => reg,
        _ => return None,
    };
    // Only a look at the last few: what sets a truth value stands right there.
    let last = block.insts.iter().rev().take(8);
    let writer = last
        .map(|inst| &inst.kind)
        .find(|kind| kind.def() == Some(reg));
    match writer {
        Some(InstKind::Move {
            src: Operand::Imm(value),
            ..
        }) => Some(*value),
        _ => None,
    }
}

fn thread(function: &mut Function) -> bool {
    let mut has_changed = false;
    for b in 0..function.blocks.len() {
        let block = &function.blocks[b];
        let mut end = block.end.clone();
        if let Some(end) = &mut end {
            end.for_each_target_mut(&mut |label| *label = destination(function, *label, block));
            // A jump to a return is that return; two instructions at most.
            if let End::Jump(label) = end {
                let target = function.block(*label);
                if is_empty(target)
                    && let Some(End::Return(value)) = &target.end
                {
                    *end = End::Return(*value);
                }
            }
            if let End::Branch {
                then, otherwise, ..
            } = end
                && then == otherwise
            {
                *end = End::Jump(*then);
            }
        }
        if end != block.end {
            has_changed = true;
            if let Some(block) = function.blocks.get_mut(b) {
                block.end = end;
            }
        }
    }
    has_changed
}

fn merge(function: &mut Function) -> bool {
    let mut has_changed = false;
    // What nothing reaches is no way in.
    let order = flow::reverse_postorder(function);
    let mut ways_in = vec![0u32; function.blocks.len()];
    for label in &order {
        let end = function.block(*label).end.iter();
        for target in end.flat_map(|end| end.targets()) {
            ways_in[target.0 as usize] += 1;
        }
    }
    let mut is_merged = vec![false; function.blocks.len()];
    for label in order {
        if is_merged[label.0 as usize] {
            continue;
        }
        while let Some(End::Jump(next)) = function.block(label).end {
            if next == label || next == Label(0) || ways_in[next.0 as usize] != 1 {
                break;
            }
            is_merged[next.0 as usize] = true;
            has_changed = true;
            let joined = &mut function.blocks[next.0 as usize];
            let insts = std::mem::take(&mut joined.insts);
            let (end, end_span) = (joined.end.clone(), joined.end_span);
            // Keep it ended: it can no longer be reached.
            joined.end = Some(End::Return(Operand::Imm(0)));
            let block = &mut function.blocks[label.0 as usize];
            block.insts.extend(insts);
            block.end = end;
            block.end_span = end_span;
        }
    }
    has_changed
}

/// Puts the test of a loop at its end as well: a jump back to a block that only tests becomes
/// that test, which saves a jump each time round.
pub(super) fn rotate_loops(function: &mut Function) {
    for (label, b) in function.labels().zip(0..function.blocks.len()) {
        let Some(End::Jump(head)) = function.blocks[b].end else {
            continue;
        };
        let target = function.block(head);
        if head > label || !is_empty(target) {
            continue;
        }
        if let Some(test @ End::Branch { .. }) = target.end.clone() {
            let span = target.end_span;
            let block = &mut function.blocks[b];
            block.end = Some(test);
            block.end_span = span;
        }
    }
}
