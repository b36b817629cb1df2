//! Fewer blocks and fewer jumps.
//!
//! Jumps to jumps go where those go; a jump to a test whose outcome is known goes to the
//! outcome; a block with one way in joins the block before it. Whether a pointer is null is
//! asked once: a test on the way from another of the same register has its answer.

use super::fold;
use crate::ir::{Block, Comparison, End, Function, InstKind, Label, Operand, Reg, Width, flow};

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

/// How many tests on the way to one are looked at for its answer.
const FAR: usize = 32;

/// A block's test of a register that is written once, against zero.
#[derive(Clone, Copy)]
struct ZeroTest {
    reg: Reg,
    /// Where a zero leads to, and everything else.
    zero: Label,
    other: Label,
}

/// What is known on the ways to blocks.
struct Ways<'a> {
    function: &'a Function,
    tests: &'a [Option<ZeroTest>],
    predecessors: flow::Lists<Label>,
    dominators: Vec<Label>,
}

impl Ways<'_> {
    fn test(&self, label: Label) -> Option<ZeroTest> {
        self.tests.get(label.0 as usize).copied().flatten()
    }

    /// Whether the register is zero when control goes from one block to the next.
    fn on_the_way(&self, from: Label, to: Label, reg: Reg) -> Option<bool> {
        let test = self.test(from).filter(|test| test.reg == reg);
        test.map(|test| test.zero == to)
            .or_else(|| self.at_end(from, reg))
    }

    /// Whether the register is zero at the end of a block. Whatever comes by there has come
    /// from the block that the last test led to, and has not written the register since: that
    /// would have been before the test.
    fn at_end(&self, label: Label, reg: Reg) -> Option<bool> {
        let mut at = label;
        for _ in 0..FAR {
            let above = *self.dominators.get(at.0 as usize)?;
            if above == at {
                break;
            }
            let test = self.test(above).filter(|test| test.reg == reg);
            if let Some(test) = test
                && matches!(self.predecessors.get(at.0 as usize), [only] if *only == above)
            {
                return Some(test.zero == at);
            }
            at = above;
        }
        None
    }

    /// Where control ends up that goes from one block to the next.
    fn destination(&self, from: Label, to: Label) -> Label {
        let test = self.test(to).filter(|_| is_empty(self.function.block(to)));
        let answer = test.and_then(|test| Some((test, self.on_the_way(from, to, test.reg)?)));
        match answer {
            Some((test, true)) => test.zero,
            Some((test, false)) => test.other,
            None => to,
        }
    }
}

/// The tests at the ends of blocks, if any register is tested more than once.
fn repeated_tests(function: &Function) -> Option<Vec<Option<ZeroTest>>> {
    let registers = function.registers as usize;
    let mut tests: Vec<_> = function.blocks.iter().map(zero_test).collect();
    let mut often = vec![0u8; registers];
    for test in tests.iter().flatten() {
        let count = often.get_mut(test.reg.0 as usize)?;
        *count = count.saturating_add(1);
    }
    if often.iter().all(|count| *count < 2) {
        return None;
    }
    // Of those that are written once.
    let mut writes = vec![0u8; registers];
    let insts = function.blocks.iter().flat_map(|block| &block.insts);
    let defs = insts.filter_map(|inst| inst.kind.def());
    for reg in defs.chain(function.params.iter().copied()) {
        let count = writes.get_mut(reg.0 as usize)?;
        *count = count.saturating_add(1);
    }
    for test in &mut tests {
        *test = test.filter(|test| writes.get(test.reg.0 as usize) == Some(&1));
    }
    Some(tests)
}

fn zero_test(block: &Block) -> Option<ZeroTest> {
    let Some(End::Branch {
        comparison,
        width: Width::W64,
        left: Operand::Reg(reg),
        right: Operand::Imm(0),
        then,
        otherwise,
    }) = block.end
    else {
        return None;
    };
    let (zero, other) = match comparison {
        Comparison::Equal => (then, otherwise),
        Comparison::NotEqual => (otherwise, then),
        _ => return None,
    };
    (zero != other).then_some(ZeroTest { reg, zero, other })
}

/// Leaves out tests whose answer an earlier test of the same register gave. Takes blocks in
/// their order, all reachable. Whether anything changed.
pub(super) fn answer_tests(function: &mut Function) -> bool {
    let Some(tests) = repeated_tests(function) else {
        return false;
    };
    let ways = Ways {
        predecessors: flow::predecessors(function),
        dominators: flow::dominators(function),
        function,
        tests: &tests,
    };
    let mut ends = Vec::new();
    for (label, block) in function.labels().zip(&function.blocks) {
        let answer = ways
            .test(label)
            .and_then(|test| Some((test, ways.at_end(label, test.reg)?)));
        if let Some((test, is_zero)) = answer {
            let target = if is_zero { test.zero } else { test.other };
            ends.push((label, End::Jump(ways.destination(label, target))));
            continue;
        }
        let mut targets = block.end.iter().flat_map(|end| end.targets());
        if targets.any(|target| ways.destination(label, target) != target)
            && let Some(mut end) = block.end.clone()
        {
            end.for_each_target_mut(&mut |target| *target = ways.destination(label, *target));
            ends.push((label, end));
        }
    }
    let has_changed = !ends.is_empty();
    for (label, end) in ends {
        if let Some(block) = function.blocks.get_mut(label.0 as usize) {
            block.end = Some(end);
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
