//! How control and values flow through a function: predecessors, order, and which registers
//! are live where blocks meet.
//!
//! Takes a function whose blocks are ended and whose labels are in range. Costs time in
//! proportion to the code and to the lengths of live ranges, so that a function with many
//! thousands of blocks stays cheap: there are deliberately no bit sets per block.

use super::inst::{End, Function, Label, Reg};

/// For each of some things a list, all lists behind one another in one piece of memory.
#[derive(Debug)]
pub struct Lists<T> {
    /// Where each list begins, and where the last one ends.
    starts: Vec<u32>,
    all: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Lists {
            starts: Vec::new(),
            all: Vec::new(),
        }
    }
}

impl<T: Copy> Lists<T> {
    /// The lists of `count` things, from what belongs to which; `none` is any value. Each list
    /// keeps the order of the pairs.
    fn of(count: usize, pairs: &[(u32, T)], none: T) -> Self {
        let mut starts = vec![0u32; count + 1];
        for (whose, _) in pairs {
            starts[*whose as usize] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        // Each begins at its end now, and moves to its beginning as it is filled from behind.
        let mut all = vec![none; pairs.len()];
        for (whose, what) in pairs.iter().rev() {
            let start = &mut starts[*whose as usize];
            *start -= 1;
            all[*start as usize] = *what;
        }
        Lists { starts, all }
    }

    /// The list of one thing; empty if there is no such thing.
    pub fn get(&self, which: usize) -> &[T] {
        let bounds = self.starts.get(which).zip(self.starts.get(which + 1));
        bounds
            .and_then(|(start, end)| self.all.get(*start as usize..*end as usize))
            .unwrap_or_default()
    }
}

/// The blocks that control may come from, for each block.
pub fn predecessors(function: &Function) -> Lists<Label> {
    let mut pairs = Vec::with_capacity(function.blocks.len() * 2);
    for (label, block) in function.labels().zip(&function.blocks) {
        let mut before = None;
        for target in block.end.iter().flat_map(|end| end.targets()) {
            if before != Some(target) {
                pairs.push((target.0, label));
            }
            before = Some(target);
        }
    }
    Lists::of(function.blocks.len(), &pairs, Label(0))
}

/// Reachable blocks such that, loops aside, each comes before those it leads to. Of a
/// branch's two, `then` comes first, unless it only returns, or only the other can be fallen
/// through to: nothing jumps where bits are not set.
pub fn reverse_postorder(function: &Function) -> Vec<Label> {
    let mut seen = vec![false; function.blocks.len()];
    let mut order = Vec::new();
    if function.blocks.is_empty() {
        return order;
    }
    // The second element: how many targets, counted from the last, have been visited.
    let mut stack = vec![(Label(0), 0u8)];
    seen[0] = true;
    while let Some((label, visited)) = stack.pop() {
        let (first, second) = match &function.block(label).end {
            Some(End::Jump(next)) => (Some(*next), None),
            Some(End::Branch {
                comparison,
                then,
                otherwise,
                ..
            }) if comparison.negated().is_none() || only_returns(function, *then) => {
                (Some(*then), Some(*otherwise))
            }
            Some(End::Branch {
                then, otherwise, ..
            }) => (Some(*otherwise), Some(*then)),
            Some(End::Return(_)) | None => (None, None),
        };
        let target = match visited {
            0 => first,
            1 => second,
            _ => None,
        };
        match target {
            Some(target) => {
                stack.push((label, visited + 1));
                if !seen[target.0 as usize] {
                    seen[target.0 as usize] = true;
                    stack.push((target, 0));
                }
            }
            None => order.push(label),
        }
    }
    order.reverse();
    order
}

fn only_returns(function: &Function, label: Label) -> bool {
    let block = function.block(label);
    block.insts.is_empty() && matches!(block.end, Some(End::Return(_)))
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
        for b in 1..found.len() {
            let mut best: Option<u32> = None;
            for pred in preds.get(b) {
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
    pub at_start: Lists<Reg>,
    /// By block: registers whose value at its end is read later.
    pub at_end: Lists<Reg>,
}

/// Lists of blocks, one for each register, growing in turn.
struct Chains {
    /// By register: its last block in `links`, or [`NONE`].
    last: Vec<u32>,
    /// A block, and where the one before it is.
    links: Vec<(u32, u32)>,
}

const NONE: u32 = u32::MAX;

impl Chains {
    fn new(registers: usize) -> Self {
        Chains {
            last: vec![NONE; registers],
            links: Vec::with_capacity(registers),
        }
    }

    /// The block that was put in last.
    fn last(&self, reg: Reg) -> Option<u32> {
        let at = self.last[reg.0 as usize];
        self.links.get(at as usize).map(|(block, _)| *block)
    }

    fn push(&mut self, reg: Reg, block: u32) {
        let at = u32::try_from(self.links.len()).unwrap_or(NONE);
        let before = std::mem::replace(&mut self.last[reg.0 as usize], at);
        self.links.push((block, before));
    }

    /// A register's blocks, the last first.
    fn of(&self, reg: u32) -> impl Iterator<Item = u32> {
        let mut at = self.last[reg as usize];
        std::iter::from_fn(move || {
            let (block, before) = *self.links.get(at as usize)?;
            at = before;
            Some(block)
        })
    }
}

/// Finds the live registers by walking from each use against the flow to its definitions.
pub fn live(function: &Function) -> Live {
    const NEVER: u32 = u32::MAX;
    let count = function.blocks.len();
    let registers = function.registers as usize;
    let preds = predecessors(function);
    // Blocks that write a register, and blocks that read it before writing it.
    let mut defs = Chains::new(registers);
    let mut uses = Chains::new(registers);
    for (b, block) in (0u32..).zip(&function.blocks) {
        let mut read = |reg: Reg, defs: &Chains| {
            if defs.last(reg) != Some(b) && uses.last(reg) != Some(b) {
                uses.push(reg, b);
            }
        };
        for inst in &block.insts {
            inst.kind.for_each_use(&mut |reg| read(reg, &defs));
            if let Some(reg) = inst.kind.def()
                && defs.last(reg) != Some(b)
            {
                defs.push(reg, b);
            }
        }
        if let Some(end) = &block.end {
            end.for_each_use(&mut |reg| read(reg, &defs));
        }
    }
    let mut at_start = Vec::new();
    let mut at_end = Vec::new();
    // Marks of the register in hand; the register's number is the mark.
    let mut start_mark = vec![NEVER; count];
    let mut end_mark = vec![NEVER; count];
    let mut def_mark = vec![NEVER; count];
    let mut work = Vec::new();
    for r in 0..function.registers {
        work.extend(uses.of(r));
        if work.is_empty() {
            continue;
        }
        for b in defs.of(r) {
            def_mark[b as usize] = r;
        }
        while let Some(b) = work.pop() {
            if start_mark[b as usize] == r {
                continue;
            }
            start_mark[b as usize] = r;
            at_start.push((b, Reg(r)));
            for pred in preds.get(b as usize) {
                let p = pred.0 as usize;
                if end_mark[p] != r {
                    end_mark[p] = r;
                    at_end.push((pred.0, Reg(r)));
                    if def_mark[p] != r {
                        work.push(pred.0);
                    }
                }
            }
        }
    }
    Live {
        at_start: Lists::of(count, &at_start, Reg(0)),
        at_end: Lists::of(count, &at_end, Reg(0)),
    }
}
