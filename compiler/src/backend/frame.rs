//! Lays out the frame: which bytes each slot has, and how many there are.
//!
//! Takes a function whose registers are allocated. Slots that are not live at once share
//! bytes. When a slot is live is known exactly if it is only ever read and written whole;
//! otherwise it counts as live from its first mention to its last, for as long as a register
//! may hold an address in it, and throughout every loop that these touch. A slot whose
//! address goes to memory is live always.

use super::liveness::{self, Segment};
use crate::ir::{
    Address, Base, End, Function, FunctionId, InstKind, Operand, Program, Reg, Slot, SlotId,
};
use std::collections::BTreeMap;

/// Bytes that a program and everything it calls may use (`MAX_BPF_STACK`).
pub const FRAME_LIMIT: u32 = 512;

/// The kernel counts the frames of a chain of calls in steps of so many bytes.
const CHAIN_STEP: u32 = 32;

/// Where slots lie.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// By slot: its first byte's distance from `r10`; negative.
    offsets: Vec<i32>,
    /// Bytes in all.
    pub(super) size: u32,
}

impl Frame {
    /// Distance of a slot's first byte from the frame pointer.
    pub(super) fn offset(&self, slot: SlotId) -> i32 {
        self.offsets.get(slot.0 as usize).copied().unwrap_or(0)
    }
}

/// Lays out the slots of `function`.
pub(super) fn layout(function: &Function) -> Frame {
    let ranges = live_ranges(function);
    let mut order: Vec<usize> = (0..function.slots.len()).collect();
    order.retain(|s| !ranges[*s].is_empty());
    order.sort_by_key(|s| (std::cmp::Reverse(words(&function.slots[*s])), *s));
    let mut frame = Frame {
        offsets: vec![0; function.slots.len()],
        size: 0,
    };
    // By word, counted from the frame pointer down: when it is taken.
    let mut taken: Vec<BTreeMap<u32, u32>> = Vec::new();
    for s in order {
        let count = words(&function.slots[s]);
        let mut first = 0;
        // Try the lowest place; after a word that is taken, the next try starts behind it.
        let mut at = 0;
        while at < first + count {
            if taken.get(at).is_some_and(|word| overlaps(word, &ranges[s])) {
                first = at + 1;
            }
            at += 1;
        }
        if taken.len() < first + count {
            taken.resize(first + count, BTreeMap::new());
        }
        for word in taken.iter_mut().skip(first).take(count) {
            word.extend(ranges[s].iter().map(|range| (range.start, range.end)));
        }
        let bytes = u32::try_from(8 * (first + count)).unwrap_or(u32::MAX);
        frame.offsets[s] = i32::try_from(bytes).map_or(i32::MIN, |bytes| -bytes);
        frame.size = frame.size.max(bytes);
    }
    frame
}

fn words(slot: &Slot) -> usize {
    slot.size.div_ceil(8) as usize
}

fn overlaps(taken: &BTreeMap<u32, u32>, ranges: &[Segment]) -> bool {
    ranges.iter().any(|range| {
        let before = taken.range(..range.end).next_back();
        before.is_some_and(|(_, end)| *end > range.start)
    })
}

/// When each slot is live: disjoint segments in order.
fn live_ranges(function: &Function) -> Vec<Vec<Segment>> {
    let slots = function.slots.len();
    let whole = whole_slots(function);
    let starts = liveness::block_starts(function);
    let end = starts.last().copied().unwrap_or(0);
    let mut ranges = exact(function, &whole, &starts);
    let holders = holders(function, &whole);

    // First and last position of each of the others.
    let mut bounds: Vec<Option<Segment>> = vec![None; slots];
    let mut widen = |slot: SlotId, start: u32, end: u32| {
        let bound = bounds[slot.0 as usize].get_or_insert(Segment { start, end });
        bound.start = bound.start.min(start);
        bound.end = bound.end.max(end);
    };
    for (b, block) in function.blocks.iter().enumerate() {
        let mut at = starts[b];
        for inst in &block.insts {
            inst.kind.for_each_slot(&mut |slot| widen(slot, at, at + 4));
            at += 4;
        }
        if let Some(last) = &block.end {
            last.for_each_operand(&mut |operand| {
                if let Operand::Frame(slot, _) = operand {
                    widen(*slot, at, at + 4);
                }
            });
        }
    }
    if holders.any {
        let registers = liveness::liveness(function).segments;
        for (reg, held) in holders.registers.iter().enumerate() {
            for (slot, segment) in held
                .iter()
                .flat_map(|s| registers[reg].iter().map(move |g| (s, g)))
            {
                widen(*slot, segment.start, segment.end);
            }
        }
        for (home, held) in holders.slots.iter().enumerate() {
            for (slot, segment) in held
                .iter()
                .flat_map(|s| ranges[home].iter().map(move |g| (s, g)))
            {
                widen(*slot, segment.start, segment.end);
            }
        }
    }
    for slot in &holders.escaped {
        widen(*slot, 0, end);
    }

    let loops = loops(function, &starts);
    for (s, bound) in bounds.into_iter().enumerate() {
        if whole[s] {
            continue;
        }
        ranges[s] = bound
            .map(|bound| through_loops(bound, &loops))
            .into_iter()
            .collect();
    }
    ranges
}

/// Loops as disjoint stretches: those that touch or nest are one.
fn loops(function: &Function, starts: &[u32]) -> Vec<Segment> {
    let mut all: Vec<Segment> = liveness::loops(function)
        .into_iter()
        .map(|(first, last)| Segment {
            start: starts[first],
            end: starts[last + 1],
        })
        .collect();
    all.sort_by_key(|l| l.start);
    let mut merged: Vec<Segment> = Vec::new();
    for next in all {
        match merged.last_mut() {
            Some(last) if next.start < last.end => last.end = last.end.max(next.end),
            _ => merged.push(next),
        }
    }
    merged
}

fn through_loops(range: Segment, loops: &[Segment]) -> Segment {
    let mut out = range;
    let first = loops.partition_point(|l| l.end <= range.start);
    for l in loops.iter().skip(first) {
        if l.start >= out.end {
            break;
        }
        out.start = out.start.min(l.start);
        out.end = out.end.max(l.end);
    }
    out
}

/// For each slot, whether nothing but whole loads and stores mention it.
fn whole_slots(function: &Function) -> Vec<bool> {
    let mut whole = vec![true; function.slots.len()];
    for block in &function.blocks {
        for inst in &block.insts {
            inst.kind.for_each_operand(&mut |operand| {
                if let Operand::Frame(slot, _) = operand {
                    whole[slot.0 as usize] = false;
                }
            });
            let Some(Address {
                base: Base::Frame(slot),
                offset,
            }) = inst.kind.address()
            else {
                continue;
            };
            let is_whole = match inst.kind {
                InstKind::Load { size, .. } | InstKind::Store { size, .. } => {
                    *offset == 0 && size.bytes() == function.slots[slot.0 as usize].size
                }
                _ => false,
            };
            whole[slot.0 as usize] &= is_whole;
        }
        if let Some(end) = &block.end {
            end.for_each_operand(&mut |operand| {
                if let Operand::Frame(slot, _) = operand {
                    whole[slot.0 as usize] = false;
                }
            });
        }
    }
    whole
}

/// Segments of the slots that are only read and written whole.
fn exact(function: &Function, whole: &[bool], starts: &[u32]) -> Vec<Vec<Segment>> {
    // Such a slot behaves as a register does: the same walk finds where it is live.
    let mut shadow = Function {
        name: String::new(),
        params: Vec::new(),
        blocks: Vec::with_capacity(function.blocks.len()),
        registers: u32::try_from(function.slots.len()).unwrap_or(u32::MAX),
        slots: Vec::new(),
        span: function.span,
    };
    for block in &function.blocks {
        let insts = block.insts.iter().map(|inst| {
            let kind = match inst.kind.address() {
                Some(Address {
                    base: Base::Frame(slot),
                    ..
                }) if whole[slot.0 as usize] => {
                    let reg = Reg(slot.0);
                    match inst.kind {
                        InstKind::Store { .. } => InstKind::Move {
                            dst: reg,
                            src: Operand::Imm(0),
                        },
                        _ => InstKind::Store {
                            address: Address::reg(reg),
                            src: Operand::Imm(0),
                            size: crate::ir::Size::B8,
                        },
                    }
                }
                _ => InstKind::Comment(String::new()),
            };
            crate::ir::Inst {
                kind,
                span: inst.span,
            }
        });
        let end = match &block.end {
            Some(End::Return(_)) | None => Some(End::Return(Operand::Imm(0))),
            Some(End::Jump(label)) => Some(End::Jump(*label)),
            Some(End::Branch {
                comparison,
                width,
                then,
                otherwise,
                ..
            }) => Some(End::Branch {
                comparison: *comparison,
                width: *width,
                left: Operand::Imm(0),
                right: Operand::Imm(0),
                then: *then,
                otherwise: *otherwise,
            }),
        };
        shadow.blocks.push(crate::ir::Block {
            insts: insts.collect(),
            end,
            end_span: block.end_span,
        });
    }
    debug_assert_eq!(liveness::block_starts(&shadow), starts);
    liveness::liveness(&shadow).segments
}

/// Who may hold the address of a slot.
struct Holders {
    /// By register.
    registers: Vec<Vec<SlotId>>,
    /// By whole slot: registers are spilled there.
    slots: Vec<Vec<SlotId>>,
    /// Slots whose address went to memory that is not followed.
    escaped: Vec<SlotId>,
    /// Whether there are any holders.
    any: bool,
}

/// A register or a whole slot, as a number.
fn holders(function: &Function, whole: &[bool]) -> Holders {
    let registers = function.registers as usize;
    let total = registers + function.slots.len();
    let mut flows: Vec<Vec<usize>> = vec![Vec::new(); total];
    let mut held: Vec<Vec<SlotId>> = vec![Vec::new(); total];
    let mut leaks = vec![false; total];
    let mut escaped = Vec::new();
    let mut work = Vec::new();
    let hold = |node: usize,
                slot: SlotId,
                held: &mut Vec<Vec<SlotId>>,
                work: &mut Vec<(usize, SlotId)>| {
        if !held[node].contains(&slot) {
            held[node].push(slot);
            work.push((node, slot));
        }
    };
    let whole_base = |address: &Address| match address.base {
        Base::Frame(slot) if whole[slot.0 as usize] => Some(registers + slot.0 as usize),
        _ => None,
    };
    for kind in function
        .blocks
        .iter()
        .flat_map(|b| &b.insts)
        .map(|i| &i.kind)
    {
        match kind {
            InstKind::Store { address, src, .. } => match (whole_base(address), src) {
                (Some(home), Operand::Reg(reg)) => flows[reg.0 as usize].push(home),
                (Some(home), Operand::Frame(slot, _)) => hold(home, *slot, &mut held, &mut work),
                (None, Operand::Reg(reg)) => leaks[reg.0 as usize] = true,
                (None, Operand::Frame(slot, _)) => escaped.push(*slot),
                _ => {}
            },
            InstKind::Load { dst, address, .. } => {
                if let Some(home) = whole_base(address) {
                    flows[home].push(dst.0 as usize);
                }
            }
            InstKind::Atomic { src, .. } => leaks[src.0 as usize] = true,
            InstKind::CompareExchange { src, expected, .. } => {
                leaks[src.0 as usize] = true;
                leaks[expected.0 as usize] = true;
            }
            // What a call is given it may only use while it runs, and it returns no address
            // of the frame.
            InstKind::Call { .. } | InstKind::CallFunction { .. } => {}
            _ => {
                if let Some(dst) = kind.def() {
                    kind.for_each_use(&mut |reg| flows[reg.0 as usize].push(dst.0 as usize));
                    kind.for_each_operand(&mut |operand| {
                        if let Operand::Frame(slot, _) = operand {
                            hold(dst.0 as usize, *slot, &mut held, &mut work);
                        }
                    });
                }
            }
        }
    }
    let any = !work.is_empty();
    while let Some((node, slot)) = work.pop() {
        if leaks[node] {
            escaped.push(slot);
        }
        for next in flows[node].clone() {
            hold(next, slot, &mut held, &mut work);
        }
    }
    let slots = held.split_off(registers);
    Holders {
        registers: held,
        slots,
        escaped,
        any,
    }
}

/// A chain of calls that needs more frame than there is: functions in order of calling.
#[derive(Debug)]
pub(super) struct TooDeep {
    /// From the entry on.
    pub(super) chain: Vec<FunctionId>,
    /// Bytes it needs.
    pub(super) bytes: u32,
}

/// Checks every chain of calls from the entry; callbacks count as called.
///
/// Errors: the chain that needs most, if it needs more than [`FRAME_LIMIT`].
pub(super) fn check_chains(program: &Program, sizes: &[u32]) -> Result<(), TooDeep> {
    let calls: Vec<Vec<usize>> = program.functions.iter().map(Function::callees).collect();
    let mut deepest: Vec<Option<(u32, Option<usize>)>> = vec![None; sizes.len()];
    // Verified programs do not recurse, so this ends; callees are finished first.
    let mut stack: Vec<usize> = (0..sizes.len().min(1)).collect();
    while let Some(f) = stack.last().copied() {
        if let Some(next) = calls[f].iter().find(|c| deepest[**c].is_none()) {
            stack.push(*next);
            continue;
        }
        stack.pop();
        let below = calls[f]
            .iter()
            .filter_map(|c| deepest[*c].map(|(bytes, _)| (bytes, *c)))
            .max();
        let own = sizes[f].max(1).next_multiple_of(CHAIN_STEP);
        deepest[f] = Some(match below {
            Some((bytes, callee)) => (own + bytes, Some(callee)),
            None => (own, None),
        });
    }
    let Some(Some((bytes, _))) = deepest.first() else {
        return Ok(());
    };
    if *bytes <= FRAME_LIMIT {
        return Ok(());
    }
    let mut chain = Vec::new();
    let mut at = Some(0);
    while let Some(f) = at {
        chain.push(FunctionId(u32::try_from(f).unwrap_or(u32::MAX)));
        at = deepest[f].and_then(|(_, next)| next);
    }
    Err(TooDeep {
        chain,
        bytes: *bytes,
    })
}
