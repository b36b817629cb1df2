//! Fills in the distances of jumps.

use super::opcode as op;
use super::{BackendError, Code, Options};
use crate::ir::Label;

/// Sets the distance of each of `jumps` (instruction, block it goes to), given the first
/// instruction of each block.
///
/// Errors: a jump is longer than an instruction can say.
pub(super) fn resolve(
    code: &mut Code,
    jumps: Vec<(usize, Label)>,
    starts: &[usize],
    options: Options,
) -> Result<(), BackendError> {
    for (at, to) in jumps {
        let target = starts
            .get(to.0 as usize)
            .copied()
            .unwrap_or(code.insns.len());
        let distance =
            i64::try_from(target).unwrap_or(i64::MAX) - i64::try_from(at + 1).unwrap_or(0);
        let insn = &mut code.insns[at];
        match i16::try_from(distance) {
            Ok(off) => insn.off = off,
            Err(_) => {
                let is_plain = insn.code == op::JMP | op::JA;
                match i32::try_from(distance) {
                    // A jump whose distance is its constant came with the signed instructions.
                    Ok(imm) if is_plain && options.has_signed_instructions => {
                        insn.code = op::JMP32 | op::JA;
                        insn.imm = imm;
                    }
                    _ => {
                        return Err(BackendError::JumpTooFar {
                            function: code.name.clone(),
                            span: code.spans.get(at).copied().unwrap_or_default(),
                        });
                    }
                }
            }
        }
    }
    Ok(())
}
