//! Gives every virtual register a machine register.
//!
//! Takes a legalised function; gives a register from `r0` to `r9` for each virtual one, and
//! rewrites the function where values had to go to the frame. Walks live intervals from the
//! first to the last. An interval is a list of segments, so values share a register across
//! the gaps of one another. Calls destroy `r0` to `r5`: intervals that cross one draw from
//! `r6` to `r9`, the others from all, the scratch registers first.
//!
//! Three things keep moves away: both sides of a move become one interval where their
//! segments allow it; arguments, results and parameters prefer the register in which they
//! are passed; and the rest avoids those.
//!
//! What finds no register pushes out whatever is cheapest to have in memory, weighed by use
//! and length. Constants are cheap: they are made again where they are needed.

use super::BackendError;
use super::liveness::{self, Liveness, Segment};
use super::spill::{self, Homes};
use crate::ir::{self, End, Function, InstKind, Operand, Reg};
use std::collections::BTreeMap;

/// Registers that survive no call.
const SCRATCH: u8 = 6;
/// All that can be given out; `r10` is the frame.
const COUNT: usize = 10;
/// No register: nothing ever reads or writes it.
const NONE: u8 = u8::MAX;

/// The outcome.
#[derive(Debug)]
pub(super) struct Allocation {
    registers: Vec<u8>,
}

impl Allocation {
    /// The machine register of a virtual one; `None` for what nothing reads or writes.
    pub(super) fn get(&self, reg: Reg) -> Option<u8> {
        let found = self.registers.get(reg.0 as usize).copied();
        found.filter(|reg| *reg != NONE)
    }

    /// The machine register of a virtual one that an instruction reads or writes.
    pub(super) fn of(&self, reg: Reg) -> u8 {
        self.get(reg).unwrap_or(0)
    }
}

/// Allocates, spilling until everything fits.
///
/// Errors: defects of what came before. A register is read that was not written; or an
/// instruction needs more registers than there are, which the legaliser rules out.
pub(super) fn allocate(function: &mut Function) -> Result<Allocation, BackendError> {
    let mut homes = Homes::new(function.registers);
    // Each round moves every value that found no place one step towards registers that live
    // for a single instruction, of which there are always enough.
    loop {
        let mut liveness = liveness::liveness(function);
        let segments = std::mem::take(&mut liveness.segments);
        if let Some(reg) = liveness.undefined {
            return Err(BackendError::Broken(vec![ir::Violation {
                function: function.name.clone(),
                block: None,
                span: function.span,
                message: format!("v{} is read before it is written", reg.0),
            }]));
        }
        let constants = liveness::single_constants(function);
        let mut round = Round::new(function, &liveness, segments, &constants, &homes);
        round.coalesce(function);
        round.hint(function);
        let spilled = round.assign().ok_or_else(|| BackendError::Registers {
            function: function.name.clone(),
            span: function.span,
        })?;
        if spilled.is_empty() {
            return Ok(round.result(function));
        }
        spill::rewrite(function, &mut homes, &spilled, &constants);
    }
}

/// Registers that are given one machine register together: the one that has the class's
/// number, and perhaps others.
struct Class {
    segments: Vec<Segment>,
    others: Vec<Reg>,
    cost: f32,
    /// How much each machine register is preferred.
    hints: Vec<(u8, f32)>,
}

struct Round<'a> {
    liveness: &'a Liveness,
    homes: &'a Homes,
    constants: &'a [Option<Operand>],
    /// By register: its class.
    class_of: Vec<u32>,
    classes: Vec<Class>,
    assigned: Vec<u8>,
}

impl<'a> Round<'a> {
    fn new(
        function: &Function,
        liveness: &'a Liveness,
        segments: Vec<Vec<Segment>>,
        constants: &'a [Option<Operand>],
        homes: &'a Homes,
    ) -> Self {
        let both = segments.into_iter().zip(&liveness.costs);
        let classes = both.map(|(segments, cost)| Class {
            segments,
            others: Vec::new(),
            cost: *cost,
            hints: Vec::new(),
        });
        Round {
            liveness,
            homes,
            constants,
            class_of: (0..function.registers).collect(),
            classes: classes.collect(),
            assigned: vec![NONE; function.registers as usize],
        }
    }

    fn members(&self, class: u32) -> impl Iterator<Item = Reg> {
        let others = self.classes[class as usize].others.iter().copied();
        std::iter::once(Reg(class)).chain(others)
    }

    /// Whether a register may share a class: constants are made again and pieces of spilled
    /// values have a place in memory, both of which a class would lose.
    fn may_join(&self, reg: Reg) -> bool {
        self.constants[reg.0 as usize].is_none() && !self.homes.is_piece(reg)
    }

    /// Makes one class of the two sides of each move where they are never live at once.
    fn coalesce(&mut self, function: &Function) {
        let mut moves = Vec::new();
        for (b, block) in function.blocks.iter().enumerate() {
            for inst in &block.insts {
                if let InstKind::Move {
                    dst,
                    src: Operand::Reg(src),
                } = inst.kind
                {
                    moves.push((self.liveness.depths[b], dst, src));
                }
            }
        }
        moves.sort_by_key(|(depth, ..)| std::cmp::Reverse(*depth));
        for (_, dst, src) in moves {
            if !self.may_join(dst) || !self.may_join(src) {
                continue;
            }
            let (a, b) = (self.class_of[dst.0 as usize], self.class_of[src.0 as usize]);
            if a != b && !intersect(&self.classes[a as usize], &self.classes[b as usize]) {
                self.join(a, b);
            }
        }
    }

    fn join(&mut self, a: u32, b: u32) {
        // The smaller goes into the larger.
        let size = |c: u32| self.classes[c as usize].others.len();
        let (into, from) = if size(a) < size(b) { (b, a) } else { (a, b) };
        let class = &mut self.classes[from as usize];
        let segments = std::mem::take(&mut class.segments);
        let others = std::mem::take(&mut class.others);
        let cost = std::mem::take(&mut class.cost);
        self.class_of[from as usize] = into;
        for member in &others {
            self.class_of[member.0 as usize] = into;
        }
        let class = &mut self.classes[into as usize];
        let old = std::mem::take(&mut class.segments);
        class.segments = merge(old, segments);
        class.others.push(Reg(from));
        class.others.extend(others);
        class.cost += cost;
    }

    fn add_hint(&mut self, reg: Reg, machine: u8, weight: f32) {
        let class = &mut self.classes[self.class_of[reg.0 as usize] as usize];
        match class.hints.iter_mut().find(|(r, _)| *r == machine) {
            Some((_, total)) => *total += weight,
            None => class.hints.push((machine, weight)),
        }
    }

    /// Notes where values are passed to calls and come from them.
    fn hint(&mut self, function: &Function) {
        for (i, param) in (1u8..).zip(&function.params) {
            self.add_hint(*param, i, 1.0);
        }
        for (b, block) in function.blocks.iter().enumerate() {
            let weight = liveness::weight(self.liveness.depths[b]);
            for inst in &block.insts {
                match &inst.kind {
                    InstKind::Call { args, result, .. }
                    | InstKind::CallFunction { args, result, .. } => {
                        for (i, arg) in (1u8..).zip(args) {
                            if let Operand::Reg(reg) = arg {
                                self.add_hint(*reg, i, weight);
                            }
                        }
                        if let Some(reg) = result {
                            self.add_hint(*reg, 0, weight);
                        }
                    }
                    InstKind::CompareExchange {
                        expected, fetched, ..
                    } => {
                        self.add_hint(*expected, 0, weight);
                        self.add_hint(*fetched, 0, weight);
                    }
                    _ => {}
                }
            }
            if let Some(End::Return(Operand::Reg(reg))) = block.end {
                self.add_hint(reg, 0, weight);
            }
        }
        for class in &mut self.classes {
            class.hints.sort_by(|a, b| b.1.total_cmp(&a.1));
        }
    }

    /// What it costs not to have a class in a register, per position it would hold one.
    fn weight(&self, class: u32) -> f32 {
        let members = self.members(class);
        let class = &self.classes[class as usize];
        let mut is_constant = false;
        for member in members {
            if self.homes.is_last(member) {
                return f32::INFINITY;
            }
            is_constant |= self.constants[member.0 as usize].is_some();
        }
        let factor = if is_constant { 0.4 } else { 1.0 };
        let length: f32 = class
            .segments
            .iter()
            .map(|s| (s.end - s.start) as f32)
            .sum();
        factor * class.cost / (length + 8.0)
    }

    /// Gives out registers. Returns the classes, as lists of members, that got none.
    fn assign(&mut self) -> Option<Vec<Vec<Reg>>> {
        let mut order: Vec<u32> = (0..).take(self.classes.len()).collect();
        order.retain(|c| !self.classes[*c as usize].segments.is_empty());
        order.sort_by_key(|c| (self.classes[*c as usize].segments[0].start, *c));
        let mut taken: [BTreeMap<u32, (u32, u32)>; COUNT] = Default::default();
        let mut spilled = Vec::new();
        for class in order {
            let machine = match self.free(class, &taken) {
                Some(machine) => machine,
                None => match self.cheapest(class, &taken) {
                    Some((machine, victims)) => {
                        for victim in victims {
                            for segment in &self.classes[victim as usize].segments {
                                taken[machine as usize].remove(&segment.start);
                            }
                            self.assigned[victim as usize] = NONE;
                            spilled.push(victim);
                        }
                        machine
                    }
                    None if self.weight(class).is_infinite() => return None,
                    None => {
                        spilled.push(class);
                        continue;
                    }
                },
            };
            for segment in &self.classes[class as usize].segments {
                taken[machine as usize].insert(segment.start, (segment.end, class));
            }
            self.assigned[class as usize] = machine;
        }
        let members = |c: u32| self.members(c).collect();
        Some(spilled.into_iter().map(members).collect())
    }

    /// Machine registers a class can be in at all, best first.
    fn candidates(&self, class: u32) -> impl Iterator<Item = u8> + use<> {
        let class = &self.classes[class as usize];
        let is_hit = |at: &[u32]| {
            class.segments.iter().any(|s| {
                let next = at.partition_point(|p| *p < s.start);
                at.get(next).is_some_and(|p| *p < s.end)
            })
        };
        let crosses_call = is_hit(&self.liveness.calls);
        let avoids_r0 = crosses_call || is_hit(&self.liveness.exchanges);
        let may_be = |machine: u8| match machine {
            0 => !avoids_r0,
            1..SCRATCH => !crosses_call,
            _ => true,
        };
        // Arguments are made up in r1 first, so what has no wish takes that last.
        const ORDER: [u8; COUNT] = [0, 5, 4, 3, 2, 1, 6, 7, 8, 9];
        let mut seen = [false; COUNT];
        let mut all = [NONE; COUNT];
        let mut count = 0;
        for machine in class.hints.iter().map(|(machine, _)| *machine).chain(ORDER) {
            let place = usize::from(machine);
            if !std::mem::replace(&mut seen[place], true) && may_be(machine) {
                all[count] = machine;
                count += 1;
            }
        }
        all.into_iter().take(count)
    }

    fn free(&self, class: u32, taken: &[BTreeMap<u32, (u32, u32)>; COUNT]) -> Option<u8> {
        let segments = &self.classes[class as usize].segments;
        self.candidates(class)
            .find(|machine| is_free(segments, &taken[*machine as usize]))
    }

    /// The register whose holders are worth the least, if that is less than the class.
    fn cheapest(
        &self,
        class: u32,
        taken: &[BTreeMap<u32, (u32, u32)>; COUNT],
    ) -> Option<(u8, Vec<u32>)> {
        let mut best = None;
        let mut least = self.weight(class);
        for machine in self.candidates(class) {
            let segments = &self.classes[class as usize].segments;
            let victims = in_the_way(segments, &taken[machine as usize]);
            let most = victims.iter().map(|v| self.weight(*v)).fold(0.0, f32::max);
            if most < least {
                least = most;
                best = Some((machine, victims));
            }
        }
        best
    }

    fn result(&self, function: &Function) -> Allocation {
        let of = |r: u32| self.assigned[self.class_of[r as usize] as usize];
        Allocation {
            registers: (0..function.registers).map(of).collect(),
        }
    }
}

/// Whether no class in `taken` is live at once with `segments`.
fn is_free(segments: &[Segment], taken: &BTreeMap<u32, (u32, u32)>) -> bool {
    segments.iter().all(|segment| {
        let before = taken.range(..segment.end).next_back();
        before.is_none_or(|(_, (end, _))| *end <= segment.start)
    })
}

/// Classes in `taken` whose segments meet `segments`.
fn in_the_way(segments: &[Segment], taken: &BTreeMap<u32, (u32, u32)>) -> Vec<u32> {
    let mut found = Vec::new();
    for segment in segments {
        for (_, (end, class)) in taken.range(..segment.end).rev() {
            if *end <= segment.start {
                break;
            }
            if !found.contains(class) {
                found.push(*class);
            }
        }
    }
    found
}

/// Whether two classes are live at once.
fn intersect(a: &Class, b: &Class) -> bool {
    // The one with fewer segments asks the other, which is sorted.
    let (few, many) = if a.segments.len() <= b.segments.len() {
        (&a.segments, &b.segments)
    } else {
        (&b.segments, &a.segments)
    };
    few.iter().any(|segment| {
        let next = many.partition_point(|other| other.end <= segment.start);
        many.get(next)
            .is_some_and(|other| other.start < segment.end)
    })
}

fn merge(a: Vec<Segment>, b: Vec<Segment>) -> Vec<Segment> {
    let mut all = a;
    all.extend(b);
    // Two sorted runs: the sort finds and merges them.
    all.sort_by_key(|segment| segment.start);
    let mut out: Vec<Segment> = Vec::with_capacity(all.len());
    for segment in all {
        match out.last_mut() {
            Some(last) if last.end == segment.start => last.end = segment.end,
            _ => out.push(segment),
        }
    }
    out
}
