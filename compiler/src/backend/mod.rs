//! From the IR to instructions: what goes between the passes and the object.

use crate::artifact::MapId;
use rbt_grammar::Span;

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
