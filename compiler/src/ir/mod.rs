//! BPF with virtual registers: what lowering makes and the back end encodes.

mod access;
pub mod builder;
pub mod flow;
pub mod helpers;
pub mod inst;
mod print;
mod verify;

pub use helpers::Helper;
pub use inst::{
    Address, AluOp, AtomicOp, Base, Block, Comparison, End, Function, FunctionId, Inst, InstKind,
    Label, Operand, Program, Reg, Size, Slot, SlotId, Width,
};
pub(crate) use print::Lines;
pub use print::print;
pub use verify::{Violation, verify};
