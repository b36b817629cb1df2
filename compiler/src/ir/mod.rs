//! BPF with virtual registers: what lowering makes and the back end encodes.

mod access;
pub mod flow;
pub mod helpers;
pub mod inst;

pub use helpers::Helper;
pub use inst::{
    Address, AluOp, AtomicOp, Base, Block, Comparison, End, Function, FunctionId, Inst, InstKind,
    Label, Operand, Program, Reg, Size, Slot, SlotId, Width,
};
