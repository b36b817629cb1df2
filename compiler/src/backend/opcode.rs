//! Numbers of the instruction set.
//!
//! Source: RFC 9669, and `include/uapi/linux/bpf.h`.

/// Classes: the low three bits of an operation.
pub(super) const LD: u8 = 0x00;
pub(super) const LDX: u8 = 0x01;
pub(super) const ST: u8 = 0x02;
pub(super) const STX: u8 = 0x03;
pub(super) const ALU: u8 = 0x04;
pub(super) const JMP: u8 = 0x05;
pub(super) const JMP32: u8 = 0x06;
pub(super) const ALU64: u8 = 0x07;
pub(super) const CLASS: u8 = 0x07;

/// The second operand is the register `src`, not the constant.
pub(super) const X: u8 = 0x08;

/// Modes of memory instructions.
pub(super) const IMM: u8 = 0x00;
pub(super) const MEM: u8 = 0x60;
pub(super) const MEMSX: u8 = 0x80;
pub(super) const ATOMIC: u8 = 0xc0;
pub(super) const MODE: u8 = 0xe0;

/// Sizes of memory instructions.
pub(super) const W: u8 = 0x00;
pub(super) const H: u8 = 0x08;
pub(super) const B: u8 = 0x10;
pub(super) const DW: u8 = 0x18;
pub(super) const SIZE: u8 = 0x18;

/// Operations of arithmetic and jumps: the high four bits.
pub(super) const OP: u8 = 0xf0;
pub(super) const ADD: u8 = 0x00;
pub(super) const SUB: u8 = 0x10;
pub(super) const MUL: u8 = 0x20;
pub(super) const DIV: u8 = 0x30;
pub(super) const OR: u8 = 0x40;
pub(super) const AND: u8 = 0x50;
pub(super) const LSH: u8 = 0x60;
pub(super) const RSH: u8 = 0x70;
pub(super) const NEG: u8 = 0x80;
pub(super) const MOD: u8 = 0x90;
pub(super) const XOR: u8 = 0xa0;
pub(super) const MOV: u8 = 0xb0;
pub(super) const ARSH: u8 = 0xc0;
pub(super) const END: u8 = 0xd0;

pub(super) const JA: u8 = 0x00;
pub(super) const JEQ: u8 = 0x10;
pub(super) const JGT: u8 = 0x20;
pub(super) const JGE: u8 = 0x30;
pub(super) const JSET: u8 = 0x40;
pub(super) const JNE: u8 = 0x50;
pub(super) const JSGT: u8 = 0x60;
pub(super) const JSGE: u8 = 0x70;
pub(super) const CALL: u8 = 0x80;
pub(super) const EXIT: u8 = 0x90;
pub(super) const JLT: u8 = 0xa0;
pub(super) const JLE: u8 = 0xb0;
pub(super) const JSLT: u8 = 0xc0;
pub(super) const JSLE: u8 = 0xd0;

/// `ld_imm64`, the only instruction of two slots.
pub(super) const LD_IMM64: u8 = LD | IMM | DW;
/// What `src` of a call says of a function of the same program.
pub(super) const PSEUDO_CALL: u8 = 1;

/// In the constant of an atomic instruction: the old value is wanted.
pub(super) const FETCH: i32 = 0x01;
/// Exchange.
pub(super) const XCHG: i32 = 0xe0 | FETCH;
/// Compare and exchange.
pub(super) const CMPXCHG: i32 = 0xf0 | FETCH;

/// The frame pointer.
pub(super) const FRAME: u8 = 10;

/// `src` of a wide load of a variable of the kernel, by its number in BTF
/// (`BPF_PSEUDO_BTF_ID`).
pub(super) const PSEUDO_BTF_ID: u8 = 3;
