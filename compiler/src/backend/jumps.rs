//! Fills in the distances of jumps, and makes long ones of those that are too short.
//!
//! An instruction's distance has 16 bits. Beyond that there is `gotol`, which has 32 and came
//! to the kernel with the signed instructions; a branch that is too far away goes there by
//! way of one. Older kernels have no way to say it short of chains of jumps, and their
//! programs are refused instead: one so long is one clause with thousands of statements.

use super::opcode as op;
use super::{BackendError, Code, Insn, Options};
use crate::ir::Label;

/// Sets the distance of each of `jumps` (instruction, block it goes to), given the first
/// instruction of each block.
///
/// Errors: a jump is longer than an instruction can say.
pub(super) fn resolve(
    code: &mut Code,
    mut jumps: Vec<(usize, Label)>,
    mut starts: Vec<usize>,
    options: Options,
) -> Result<(), BackendError> {
    loop {
        let mut far = Vec::new();
        for (index, (at, to)) in jumps.iter().enumerate() {
            let distance = distance(*at, target(code, &starts, *to));
            let Some(insn) = code.insns.get_mut(*at) else {
                continue;
            };
            if let Ok(off) = i16::try_from(distance) {
                insn.off = off;
            } else if !options.has_signed_instructions {
                return Err(BackendError::JumpTooFar {
                    function: code.name.clone(),
                    span: code.spans.get(*at).copied().unwrap_or_default(),
                });
            } else if matches!(insn.code, PLAIN | LONG) {
                insn.code = LONG;
                insn.off = 0;
                insn.imm = i32::try_from(distance).unwrap_or(0);
            } else {
                far.push(index);
            }
        }
        if far.is_empty() {
            return Ok(());
        }
        lengthen(code, &mut jumps, &mut starts, &far);
    }
}

const PLAIN: u8 = op::JMP | op::JA;
const LONG: u8 = op::JMP32 | op::JA;

fn target(code: &Code, starts: &[usize], label: Label) -> usize {
    let start = starts.get(label.0 as usize).copied();
    start.unwrap_or(code.insns.len())
}

/// From the instruction after the one at `at` to `target`.
fn distance(at: usize, target: usize) -> i64 {
    let position = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
    position(target) - position(at) - 1
}

/// Turns branches into `if … goto +1; goto +1; gotol target`.
fn lengthen(
    code: &mut Code,
    jumps: &mut [(usize, Label)],
    starts: &mut [usize],
    branches: &[usize],
) {
    // Jumps stand in order, so these do.
    let at: Vec<usize> = branches.iter().map(|index| jumps[*index].0).collect();
    // What stands behind a branch moves by the two instructions put there.
    let moved = |index: usize| index + 2 * at.partition_point(|branch| *branch < index);
    let mut insns = Vec::with_capacity(code.insns.len() + 2 * at.len());
    let mut spans = Vec::with_capacity(insns.capacity());
    for (index, (insn, span)) in code.insns.iter().zip(&code.spans).enumerate() {
        insns.push(*insn);
        spans.push(*span);
        if at.binary_search(&index).is_ok() {
            if let Some(branch) = insns.last_mut() {
                branch.off = 1;
            }
            for (code, off) in [(PLAIN, 1), (LONG, 0)] {
                insns.push(Insn {
                    code,
                    off,
                    ..Insn::default()
                });
                spans.push(*span);
            }
        }
    }
    for (index, (jump, _)) in jumps.iter_mut().enumerate() {
        *jump = moved(*jump);
        if branches.binary_search(&index).is_ok() {
            *jump += 2;
        }
    }
    for start in starts {
        *start = moved(*start);
    }
    let narrow = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    for relocation in &mut code.relocations {
        relocation.insn = narrow(moved(relocation.insn as usize));
    }
    for patch in &mut code.site_patches {
        *patch = narrow(moved(*patch as usize));
    }
    code.insns = insns;
    code.spans = spans;
}
