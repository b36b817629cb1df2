//! The IR: BPF's own instructions with virtual registers and basic blocks.
//!
//! It is not SSA: a temporary is defined once, but a scratch variable's register may be
//! written many times. Three addresses: the allocator makes two of them. Every instruction
//! carries the span of the source that caused it.

use super::helpers::Helper;
use crate::artifact::MapId;
use rbt_grammar::Span;

/// A BPF program: its entry, then the functions it calls or passes as callbacks.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The entry is the first.
    pub functions: Vec<Function>,
}

/// One function.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its symbol.
    pub name: String,
    /// Registers that hold the arguments at entry: `r1` onwards, at most five.
    pub params: Vec<Reg>,
    /// Blocks by [`Label`]; the first is where it begins.
    pub blocks: Vec<Block>,
    /// Number of virtual registers; every [`Reg`] is below it.
    pub registers: u32,
    /// Pieces of the frame by [`SlotId`].
    pub slots: Vec<Slot>,
    /// The clause or loop it comes from.
    pub span: Span,
}

/// A virtual register: 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(pub u32);

/// A block of a function, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(pub u32);

/// A piece of a function's frame, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// A function of the program, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u32);

/// A piece of the frame. Slots whose lifetimes do not overlap may share bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Bytes. Every slot is aligned to 8 bytes.
    pub size: u32,
    /// What it holds, for the diagnostic about a full frame.
    pub name: String,
    /// The expression it is for.
    pub span: Span,
}

/// Straight-line code and how it ends.
#[derive(Clone, Debug)]
pub struct Block {
    /// Instructions in order.
    pub insts: Vec<Inst>,
    /// Where control goes; a block under construction has none.
    pub end: Option<End>,
    /// The source of `end`.
    pub end_span: Span,
}

/// An instruction and its source.
#[derive(Clone, Debug)]
pub struct Inst {
    /// What it does.
    pub kind: InstKind,
    /// The source that caused it.
    pub span: Span,
}

/// Something an instruction reads. All but `Reg` are made anew wherever they are used, and
/// never kept in a register across a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// A constant, 64 bits.
    Imm(i64),
    /// The address of a byte of the frame.
    Frame(SlotId, i32),
    /// A map, as helpers take it.
    Map(MapId),
    /// The address of a byte of the data section (globals).
    Global(u32),
    /// The address of a function, as helpers with callbacks take it.
    Function(FunctionId),
    /// The number of the site: a constant that is patched in each copy of the program.
    Site,
    /// A per-CPU variable of the kernel, by its number in the kernel's BTF.
    Variable(u32),
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Self {
        Operand::Reg(reg)
    }
}

impl From<i64> for Operand {
    fn from(value: i64) -> Self {
        Operand::Imm(value)
    }
}

/// What a memory access starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// An address in a register.
    Reg(Reg),
    /// The frame.
    Frame(SlotId),
}

/// An address: base and distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// What it starts from.
    pub base: Base,
    /// Bytes from there.
    pub offset: i32,
}

impl Address {
    /// The address in `reg`.
    pub fn reg(reg: Reg) -> Self {
        Address {
            base: Base::Reg(reg),
            offset: 0,
        }
    }

    /// The start of a slot.
    pub fn frame(slot: SlotId) -> Self {
        Address {
            base: Base::Frame(slot),
            offset: 0,
        }
    }

    /// `bytes` further.
    pub fn plus(self, bytes: i32) -> Self {
        Address {
            base: self.base,
            offset: self.offset.saturating_add(bytes),
        }
    }
}

/// Width of an arithmetic instruction; 32-bit ones clear the upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// 32 bits
    W32,
    /// 64 bits
    W64,
}

/// Bytes of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Size {
    /// 1
    B1,
    /// 2
    B2,
    /// 4
    B4,
    /// 8
    B8,
}

impl Size {
    /// How many bytes.
    pub fn bytes(self) -> u32 {
        match self {
            Size::B1 => 1,
            Size::B2 => 2,
            Size::B4 => 4,
            Size::B8 => 8,
        }
    }

    /// The size of that many bytes.
    pub fn from_bytes(bytes: u32) -> Option<Size> {
        match bytes {
            1 => Some(Size::B1),
            2 => Some(Size::B2),
            4 => Some(Size::B4),
            8 => Some(Size::B8),
            _ => None,
        }
    }
}

/// Arithmetic. Division and remainder are the machine's: unsigned, by zero gives zero and
/// the dividend; the signed ones need [`crate::target::Feature::SignedInstructions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    SignedDiv,
    SignedMod,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    ArithmeticShiftRight,
}

/// Atomic operations on 4 or 8 bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum AtomicOp {
    Add,
    And,
    Or,
    Xor,
    Exchange,
}

/// Comparisons of a conditional jump. `Set` holds if `left & right` is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    SignedLess,
    SignedLessEqual,
    SignedGreater,
    SignedGreaterEqual,
    Set,
}

impl Comparison {
    /// What holds when this does not; `Set` has no such comparison.
    pub fn negated(self) -> Option<Comparison> {
        use Comparison as C;
        Some(match self {
            C::Equal => C::NotEqual,
            C::NotEqual => C::Equal,
            C::Less => C::GreaterEqual,
            C::LessEqual => C::Greater,
            C::Greater => C::LessEqual,
            C::GreaterEqual => C::Less,
            C::SignedLess => C::SignedGreaterEqual,
            C::SignedLessEqual => C::SignedGreater,
            C::SignedGreater => C::SignedLessEqual,
            C::SignedGreaterEqual => C::SignedLess,
            C::Set => return None,
        })
    }
}

/// What an instruction does.
#[derive(Clone, Debug, PartialEq)]
pub enum InstKind {
    /// `dst = src`
    Move {
        /// Written.
        dst: Reg,
        /// Read.
        src: Operand,
    },
    /// `dst = (u32)src`
    Truncate32 {
        /// Written.
        dst: Reg,
        /// Read.
        src: Reg,
    },
    /// `dst = left op right`
    Alu {
        /// Which.
        op: AluOp,
        /// How wide.
        width: Width,
        /// Written.
        dst: Reg,
        /// Read.
        left: Operand,
        /// Read.
        right: Operand,
    },
    /// `dst = -src`, 64 bits
    Negate {
        /// Written.
        dst: Reg,
        /// Read.
        src: Reg,
    },
    /// `dst` = the low bytes of `src`, sign-extended. Without
    /// [`crate::target::Feature::SignedInstructions`] the encoder uses two shifts.
    SignExtend {
        /// Written.
        dst: Reg,
        /// Read.
        src: Reg,
        /// How many bytes: 1, 2 or 4.
        size: Size,
    },
    /// `dst` = the low bytes of `src` in reverse order, zero-extended
    ByteSwap {
        /// Written.
        dst: Reg,
        /// Read.
        src: Reg,
        /// How many bytes: 2, 4 or 8.
        size: Size,
    },
    /// `dst = *(size *)address`, zero-extended
    Load {
        /// Written.
        dst: Reg,
        /// Read from there.
        address: Address,
        /// Bytes.
        size: Size,
    },
    /// `*(size *)address = src`
    Store {
        /// Written there.
        address: Address,
        /// Read.
        src: Operand,
        /// Bytes.
        size: Size,
    },
    /// `*(size *)address op= src` atomically; `fetched` gets the old value
    /// (needs [`crate::target::Feature::AtomicFetch`], as does `Exchange`).
    Atomic {
        /// Which.
        op: AtomicOp,
        /// 4 or 8 bytes.
        size: Size,
        /// Changed there.
        address: Address,
        /// Read.
        src: Reg,
        /// Written with what was there before.
        fetched: Option<Reg>,
    },
    /// `fetched = *(u64 *)address; if (fetched == expected) *(u64 *)address = src`, atomically
    CompareExchange {
        /// Changed there.
        address: Address,
        /// Read.
        expected: Reg,
        /// Read.
        src: Reg,
        /// Written with what was there before.
        fetched: Reg,
    },
    /// `result = helper(args…)`; `r0` to `r5` do not survive.
    Call {
        /// Which.
        helper: Helper,
        /// At most five.
        args: Vec<Operand>,
        /// Written with `r0`.
        result: Option<Reg>,
    },
    /// `result = function(args…)`: a function of this program.
    CallFunction {
        /// Which.
        function: FunctionId,
        /// At most five.
        args: Vec<Operand>,
        /// Written with `r0`.
        result: Option<Reg>,
    },
    /// A word for the reader of a listing.
    Comment(String),
}

/// How a block ends.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Always there.
    Jump(Label),
    /// There if the comparison holds, else to the other.
    Branch {
        /// Which.
        comparison: Comparison,
        /// How wide.
        width: Width,
        /// Read.
        left: Operand,
        /// Read.
        right: Operand,
        /// Taken when it holds.
        then: Label,
        /// Taken otherwise.
        otherwise: Label,
    },
    /// Ends the function with `r0` set.
    Return(Operand),
}
