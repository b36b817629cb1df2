//! Where each register is live: segments of positions in the order of the code.
//!
//! Takes a legalised function whose blocks stand in the order they will be laid out. The
//! instruction with number `i` (the end of a block counts as one, the entry as the first) has
//! three positions: at `4i` it reads, at `4i + 1` a call destroys registers, at `4i + 2` it
//! writes. A segment is half open.

use crate::ir::{Address, Base, Function, InstKind, Operand, Reg, flow};

/// A stretch of positions during which a register holds a value that will be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// First position.
    pub(super) start: u32,
    /// One past the last.
    pub(super) end: u32,
}

/// What the allocator needs to know about a function.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    /// By register: disjoint segments in ascending order.
    pub(super) segments: Vec<Vec<Segment>>,
    /// By register: how often it is read and written, loops counted several times.
    pub(super) costs: Vec<f32>,
    /// Positions at which `r0` to `r5` are destroyed.
    pub(super) calls: Vec<u32>,
    /// Positions at which `r0` alone is.
    pub(super) exchanges: Vec<u32>,
    /// By block: how many loops it is in, estimated from jumps backwards.
    pub(super) depths: Vec<u32>,
    /// By block: the position of its first instruction; one more for the end of the code.
    pub(super) starts: Vec<u32>,
    /// A register that some path reads before it is written: there is none in verified code.
    pub(super) undefined: Option<Reg>,
}

/// How much an access inside `depth` loops counts.
pub(super) fn weight(depth: u32) -> f32 {
    [1.0, 8.0, 64.0, 512.0]
        .get(depth as usize)
        .copied()
        .unwrap_or(4096.0)
}

/// Positions of each block's beginning and of the end of the code. Position 0 is the entry.
pub(super) fn block_starts(function: &Function) -> Vec<u32> {
    let mut at = 4u32;
    let mut starts = vec![at];
    for block in &function.blocks {
        at += 4 * (u32::try_from(block.insts.len()).unwrap_or(u32::MAX / 8) + 1);
        starts.push(at);
    }
    starts
}

/// The loops as the code is laid out: first and last block of each.
pub(super) fn loops(function: &Function) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (b, block) in function.blocks.iter().enumerate() {
        for target in block.end.iter().flat_map(|end| end.targets()) {
            if target.0 as usize <= b {
                all.push((target.0 as usize, b));
            }
        }
    }
    all
}

/// Finds the segments of all registers.
pub(super) fn liveness(function: &Function) -> Liveness {
    const CLOSED: u32 = u32::MAX;
    let registers = function.registers as usize;
    let starts = block_starts(function);
    let depths = depths(function);
    let live = flow::live(function);
    let mut at_entry = live.at_start.get(0).iter();
    let mut out = Liveness {
        segments: vec![Vec::new(); registers],
        costs: vec![0.0; registers],
        undefined: at_entry.find(|reg| !function.params.contains(reg)).copied(),
        ..Liveness::default()
    };
    // Where the segment in hand of each register ends: we walk backwards.
    let mut open = vec![CLOSED; registers];
    for (b, block) in function.blocks.iter().enumerate().rev() {
        let (start, end) = (starts[b], starts[b + 1]);
        let factor = weight(depths[b]);
        for reg in live.at_end.get(b) {
            open[reg.0 as usize] = end;
        }
        let mut at = end - 4;
        let read = |reg: Reg, until: u32, open: &mut Vec<u32>, costs: &mut Vec<f32>| {
            let r = reg.0 as usize;
            costs[r] += factor;
            if open[r] == CLOSED || open[r] < until {
                open[r] = until;
            }
        };
        if let Some(last) = &block.end {
            last.for_each_use(&mut |reg| read(reg, at + 1, &mut open, &mut out.costs));
        }
        for inst in block.insts.iter().rev() {
            at -= 4;
            if let Some(reg) = inst.kind.def() {
                let r = reg.0 as usize;
                out.costs[r] += factor;
                let until = if open[r] == CLOSED { at + 3 } else { open[r] };
                push(&mut out.segments[r], at + 2, until);
                open[r] = CLOSED;
            }
            inst.kind
                .for_each_use(&mut |reg| read(reg, at + 1, &mut open, &mut out.costs));
            if inst.kind.is_call() {
                out.calls.push(at + 1);
            }
            if let InstKind::CompareExchange { address, src, .. } = &inst.kind {
                // r0 is loaded with what is expected while these are still needed.
                out.exchanges.push(at + 1);
                read(*src, at + 2, &mut open, &mut out.costs);
                if let Address {
                    base: Base::Reg(base),
                    ..
                } = address
                {
                    read(*base, at + 2, &mut open, &mut out.costs);
                }
            }
        }
        for reg in live.at_start.get(b) {
            let r = reg.0 as usize;
            if open[r] != CLOSED {
                push(&mut out.segments[r], start, open[r]);
                open[r] = CLOSED;
            }
        }
        // A register that is read before it is written, in a block where it is not live at
        // the start, does not exist in verified code.
    }
    for param in &function.params {
        let r = param.0 as usize;
        out.costs[r] += 1.0;
        // The entry writes it at position 2; it is live from there if anything reads it.
        push(&mut out.segments[r], 2, 4);
    }
    for segments in &mut out.segments {
        segments.reverse();
    }
    out.calls.reverse();
    out.exchanges.reverse();
    out.depths = depths;
    out.starts = starts;
    out
}

/// Adds a segment that lies before all others, or joins it to the first.
fn push(segments: &mut Vec<Segment>, start: u32, end: u32) {
    match segments.last_mut() {
        Some(last) if last.start <= end => last.start = start,
        _ => segments.push(Segment { start, end }),
    }
}

fn depths(function: &Function) -> Vec<u32> {
    let mut change = vec![0i64; function.blocks.len() + 1];
    let mut loops = loops(function);
    // One loop with several ways back is one loop.
    loops.sort_unstable_by_key(|(first, last)| (*first, std::cmp::Reverse(*last)));
    loops.dedup_by_key(|(first, _)| *first);
    for (first, last) in loops {
        change[first] += 1;
        change[last + 1] -= 1;
    }
    let mut depth = 0;
    let all = change.iter().map(|change| {
        depth += change;
        u32::try_from(depth).unwrap_or(0)
    });
    all.take(function.blocks.len()).collect()
}

/// The constant a register holds, if its only definition is a move of one.
pub(super) fn single_constants(function: &Function) -> Vec<Option<Operand>> {
    let mut found: Vec<Option<Operand>> = vec![None; function.registers as usize];
    let mut is_defined = vec![false; function.registers as usize];
    for param in &function.params {
        is_defined[param.0 as usize] = true;
    }
    let insts = function.blocks.iter().flat_map(|block| &block.insts);
    for kind in insts.map(|inst| &inst.kind) {
        let Some(dst) = kind.def() else { continue };
        let d = dst.0 as usize;
        found[d] = match kind {
            InstKind::Move { src, .. } if !is_defined[d] && !matches!(src, Operand::Reg(_)) => {
                Some(*src)
            }
            _ => None,
        };
        is_defined[d] = true;
    }
    found
}
