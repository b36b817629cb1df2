//! From the IR to instructions: what goes between the passes and the object.
//!
//! [`compile`] takes a verified program with virtual registers and gives the machine's
//! instructions. It reports only what a script can cause: too large a frame or too long a
//! program.

pub mod disasm;
mod encode;
mod frame;
mod jumps;
mod legalise;
mod liveness;
mod moves;
mod opcode;
mod order;
mod regalloc;
mod simplify;
mod spill;
#[cfg(test)]
mod tests;

use crate::artifact::MapId;
use crate::ir;
use crate::target::{Feature, Target};
use rbt_grammar::Span;
use std::fmt;

pub use frame::FRAME_LIMIT;

/// What the generated code may rely on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// [`Feature::SignedInstructions`]: sign-extending moves, and jumps of any distance.
    pub has_signed_instructions: bool,
}

impl Options {
    /// What the kernel in question has.
    pub fn of(target: &dyn Target) -> Self {
        Options {
            has_signed_instructions: target.has(Feature::SignedInstructions),
        }
    }
}

/// Encodes a program's functions, the entry first. Functions that turn out never to be called
/// are left out, and relocations count the others.
///
/// Errors: the frame is full; a jump is too far; the IR breaks its own rules.
pub fn compile(mut program: ir::Program, options: Options) -> Result<Vec<Code>, BackendError> {
    ir::verify(&program).map_err(BackendError::Broken)?;
    for function in &mut program.functions {
        simplify::simplify(function);
    }
    order::drop_uncalled(&mut program);
    let mut codes = Vec::with_capacity(program.functions.len());
    for function in &mut program.functions {
        legalise::legalise(function, options);
        simplify::remove_dead(function);
        order::order(function);
        let allocation = regalloc::allocate(function)?;
        let frame = frame::layout(function);
        if frame.size > FRAME_LIMIT {
            return Err(frame_full(&[function], frame.size));
        }
        codes.push(encode::encode(function, &allocation, &frame, options)?);
    }
    let frames: Vec<u32> = codes.iter().map(|code| code.frame).collect();
    frame::check_chains(&program, &frames).map_err(|deep| {
        let chain = deep
            .chain
            .iter()
            .filter_map(|id| program.functions.get(id.0 as usize));
        frame_full(&chain.collect::<Vec<_>>(), deep.bytes)
    })?;
    Ok(codes)
}

/// Why a program cannot be encoded.
#[derive(Clone, Debug, PartialEq)]
pub enum BackendError {
    /// The IR breaks its own rules: a defect of the lowering.
    Broken(Vec<ir::Violation>),
    /// The kernel gives a program and what it calls [`FRAME_LIMIT`] bytes.
    FrameFull {
        /// Functions whose frames exist at the same time, the entry first.
        functions: Vec<String>,
        /// Bytes needed in all.
        bytes: u32,
        /// The largest pieces, largest first.
        largest: Vec<ir::Slot>,
        /// The clause.
        span: Span,
    },
    /// A jump of more than 32,767 instructions, on a kernel without long jumps.
    JumpTooFar {
        /// The function that is too long.
        function: String,
        /// What jumps.
        span: Span,
    },
    /// An instruction that needs more registers than there are: a defect of the back end.
    Registers {
        /// Where.
        function: String,
        /// Where in the source.
        span: Span,
    },
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BackendError::Broken(violations) => {
                let texts: Vec<String> = violations.iter().map(ToString::to_string).collect();
                write!(f, "the IR is broken: {}", texts.join("; "))
            }
            BackendError::FrameFull {
                functions, bytes, ..
            } => write!(
                f,
                "{} needs {bytes} bytes of frame; the kernel gives {FRAME_LIMIT}",
                functions.join(" with ")
            ),
            BackendError::JumpTooFar { function, .. } => {
                write!(
                    f,
                    "{function} is too long: a jump exceeds 32767 instructions"
                )
            }
            BackendError::Registers { function, .. } => {
                write!(f, "{function} has an instruction with too many operands")
            }
        }
    }
}

impl std::error::Error for BackendError {}

fn frame_full(functions: &[&ir::Function], bytes: u32) -> BackendError {
    let slots = functions.iter().flat_map(|function| &function.slots);
    let mut largest: Vec<ir::Slot> = slots.cloned().collect();
    largest.sort_by_key(|slot| std::cmp::Reverse(slot.size));
    largest.truncate(5);
    BackendError::FrameFull {
        functions: functions.iter().map(|f| f.name.clone()).collect(),
        bytes,
        largest,
        span: functions.first().map(|f| f.span).unwrap_or_default(),
    }
}

/// One function of a program, encoded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Code {
    /// Its symbol.
    pub name: String,
    /// Instructions; `ld_imm64` takes two.
    pub insns: Vec<Insn>,
    /// Instructions whose constant the loader fills in, in order.
    pub relocations: Vec<Relocation>,
    /// The source of each instruction, one for each of `insns`.
    pub spans: Vec<Span>,
    /// Indexes of `ld_imm64` whose constant is the site's number.
    pub site_patches: Vec<u32>,
    /// Bytes of the frame it uses.
    pub frame: u32,
}

/// An instruction as the kernel has it (`struct bpf_insn`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insn {
    /// Operation.
    pub code: u8,
    /// Destination register.
    pub dst: u8,
    /// Source register.
    pub src: u8,
    /// Jump distance or memory offset.
    pub off: i16,
    /// Constant.
    pub imm: i32,
}

impl Insn {
    /// The instruction as the kernel reads it on a little-endian machine.
    pub fn to_bytes(self) -> [u8; 8] {
        let [off0, off1] = self.off.to_le_bytes();
        let [imm0, imm1, imm2, imm3] = self.imm.to_le_bytes();
        let registers = self.src << 4 | self.dst & 0xf;
        [self.code, registers, off0, off1, imm0, imm1, imm2, imm3]
    }

    /// The instruction of those bytes.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let [code, registers, off0, off1, imm0, imm1, imm2, imm3] = bytes;
        Insn {
            code,
            dst: registers & 0xf,
            src: registers >> 4,
            off: i16::from_le_bytes([off0, off1]),
            imm: i32::from_le_bytes([imm0, imm1, imm2, imm3]),
        }
    }

    /// How many slots of 8 bytes the instruction takes.
    pub fn slots(self) -> usize {
        if self.code == opcode::LD_IMM64 { 2 } else { 1 }
    }
}

/// What a loader puts into an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Index of the instruction.
    pub insn: u32,
    /// What goes there.
    pub target: RelocationTarget,
}

/// What an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationTarget {
    /// A map.
    Map(MapId),
    /// A byte of the data section.
    Global(u32),
    /// The address of a function of the same program, by its index in the program.
    FunctionAddress(u32),
    /// A call of a function of the same program, by its index in the program.
    Call(u32),
}
