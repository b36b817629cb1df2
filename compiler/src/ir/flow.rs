//! How control and values flow through a function: predecessors, order, and which registers
//! are live where blocks meet.
//!
//! Takes a function whose blocks are ended and whose labels are in range. Costs time in
//! proportion to the code and to the lengths of live ranges, so that a function with many
//! thousands of blocks stays cheap: there are deliberately no bit sets per block.

use super::inst::{Function, Label, Reg};

/// The blocks that control may come from, for each block.
pub fn predecessors(function: &Function) -> Vec<Vec<Label>> {
    let mut all = vec![Vec::new(); function.blocks.len()];
    for (label, block) in function.labels().zip(&function.blocks) {
        for target in block.end.iter().flat_map(|end| end.targets()) {
            let list: &mut Vec<Label> = &mut all[target.0 as usize];
            if list.last() != Some(&label) {
                list.push(label);
            }
        }
    }
    all
}

/// Reachable blocks such that, loops aside, each comes before those it leads to. Of a
/// branch's two, `then` comes first.
pub fn reverse_postorder(function: &Function) -> Vec<Label> {
    let mut seen = vec![false; function.blocks.len()];
    let mut order = Vec::new();
    if function.blocks.is_empty() {
        return order;
    }
    // The second element: how many targets, counted from the last, have been visited.
    let mut stack = vec![(Label(0), 0usize)];
    seen[0] = true;
    while let Some((label, visited)) = stack.pop() {
        let targets: Vec<Label> = function
            .block(label)
            .end
            .iter()
            .flat_map(|end| end.targets())
            .collect();
        match targets.iter().rev().nth(visited) {
            Some(target) => {
                stack.push((label, visited + 1));
                if !seen[target.0 as usize] {
                    seen[target.0 as usize] = true;
                    stack.push((*target, 0));
                }
            }
            None => order.push(label),
        }
    }
    order.reverse();
    order
}

/// The block that every path to a block comes through last; the entry's is itself. Takes a
/// function whose blocks stand in [`reverse_postorder`], all reachable.
///
/// Source: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm".
pub fn dominators(function: &Function) -> Vec<Label> {
    let preds = predecessors(function);
    let mut found: Vec<Option<u32>> = vec![None; function.blocks.len()];
    if let Some(entry) = found.first_mut() {
        *entry = Some(0);
    }
    loop {
        let mut has_changed = false;
        for (b, preds) in preds.iter().enumerate().skip(1) {
            let mut best: Option<u32> = None;
            for pred in preds {
                if found[pred.0 as usize].is_none() {
                    continue;
                }
                best = Some(best.map_or(pred.0, |other| meet(&found, pred.0, other)));
            }
            if best.is_some() && found[b] != best {
                found[b] = best;
                has_changed = true;
            }
        }
        if !has_changed {
            break;
        }
    }
    found.iter().map(|f| Label(f.unwrap_or(0))).collect()
}

/// The last block that both come through.
fn meet(dominators: &[Option<u32>], a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while a != b {
        if a > b {
            a = dominators[a as usize].unwrap_or(0);
        } else {
            b = dominators[b as usize].unwrap_or(0);
        }
    }
    a
}

/// Registers that are live where blocks begin and end.
#[derive(Debug, Default)]
pub struct Live {
    /// By block: registers whose value at its beginning is read later.
    pub at_start: Vec<Vec<Reg>>,
    /// By block: registers whose value at its end is read later.
    pub at_end: Vec<Vec<Reg>>,
}

/// Finds the live registers by walking from each use against the flow to its definitions.
pub fn live(function: &Function) -> Live {
    const NEVER: u32 = u32::MAX;
    let count = function.blocks.len();
    let registers = function.registers as usize;
    let preds = predecessors(function);
    // Blocks that write a register, and blocks that read it before writing it.
    let mut defs: Vec<Vec<u32>> = vec![Vec::new(); registers];
    let mut uses: Vec<Vec<u32>> = vec![Vec::new(); registers];
    for (b, block) in (0u32..).zip(&function.blocks) {
        let mut read = |reg: Reg, defs: &[Vec<u32>]| {
            let r = reg.0 as usize;
            if defs[r].last() != Some(&b) && uses[r].last() != Some(&b) {
                uses[r].push(b);
            }
        };
        for inst in &block.insts {
            inst.kind.for_each_use(&mut |reg| read(reg, &defs));
            if let Some(reg) = inst.kind.def() {
                let list = &mut defs[reg.0 as usize];
                if list.last() != Some(&b) {
                    list.push(b);
                }
            }
        }
        if let Some(end) = &block.end {
            end.for_each_use(&mut |reg| read(reg, &defs));
        }
    }
    let mut live = Live {
        at_start: vec![Vec::new(); count],
        at_end: vec![Vec::new(); count],
    };
    // Marks of the register in hand; the register's number is the mark.
    let mut start_mark = vec![NEVER; count];
    let mut end_mark = vec![NEVER; count];
    let mut def_mark = vec![NEVER; count];
    let mut work = Vec::new();
    for r in 0..function.registers {
        for b in &defs[r as usize] {
            def_mark[*b as usize] = r;
        }
        work.extend(uses[r as usize].iter().copied());
        while let Some(b) = work.pop() {
            if start_mark[b as usize] == r {
                continue;
            }
            start_mark[b as usize] = r;
            live.at_start[b as usize].push(Reg(r));
            for pred in &preds[b as usize] {
                let p = pred.0 as usize;
                if end_mark[p] != r {
                    end_mark[p] = r;
                    live.at_end[p].push(Reg(r));
                    if def_mark[p] != r {
                        work.push(pred.0);
                    }
                }
            }
        }
    }
    live
}
