//! Texts within texts, and texts after texts: the work of words that look into strings.
//!
//! Takes texts as expressions; gives an index, or the joined text. Both texts are copied to
//! scratch memory first, where every kernel lets a program load at a computed distance.

use super::{Builder, Fill};
use crate::hir::Expr;
use crate::ir::{Address, AluOp, Base, Comparison, Operand, Reg, Size};
use crate::types::Space;

/// Where a comparison starts in the searched text, how far it got, and the result.
const START: i32 = 0;
const MATCHED: i32 = 8;
const FOUND: i32 = 16;
const TEXTS: u32 = 24;

/// What a search gives that finds nothing: `-ENOENT`.
pub const NOT_FOUND: i64 = -2;

impl Builder<'_> {
    /// Where `needle` first stands in `text`, or [`NOT_FOUND`].
    pub fn find_text(&mut self, text: &Expr, needle: &Expr) -> Operand {
        let (size, needle_size) = (text.ty.size(), needle.ty.size());
        let room = size.next_multiple_of(8);
        let state = self.scratch_memory(TEXTS + room + needle_size.next_multiple_of(8));
        self.store(text, state.plus(offset(TEXTS)));
        self.store(needle, state.plus(offset(TEXTS + room)));
        self.put(state.plus(START), 0, Size::B8);
        self.put(state.plus(MATCHED), 0, Size::B8);
        self.put(state.plus(FOUND), NOT_FOUND, Size::B8);
        // A mismatch goes back to the byte after the start, so that each may be compared as
        // often as the needle is long.
        let rounds = i64::from(size).saturating_mul(i64::from(needle_size)) + 1;
        self.repeat(rounds, |b| {
            let state = Address {
                base: Base::Reg(b.scratch),
                offset: state.offset,
            };
            let start = b.load(state.plus(START), Size::B8);
            let matched = b.load(state.plus(MATCHED), Size::B8);
            let wanted = b.byte_of(state, TEXTS + room, matched, needle_size);
            b.when(Comparison::Equal, wanted, 0, |b| {
                b.put(state.plus(FOUND), start, Size::B8);
                b.stop();
            });
            let at = b.alu(AluOp::Add, start, matched);
            let at = b.in_reg(at);
            let byte = b.byte_of(state, TEXTS, at, size);
            b.when_else(
                Comparison::Equal,
                byte,
                wanted,
                |b| {
                    let next = b.alu(AluOp::Add, matched, 1);
                    b.put(state.plus(MATCHED), next, Size::B8);
                },
                |b| {
                    // Where the text ends, no later start leaves room for the needle.
                    b.when(Comparison::Equal, byte, 0, Self::stop);
                    let next = b.alu(AluOp::Add, start, 1);
                    b.put(state.plus(START), next, Size::B8);
                    b.put(state.plus(MATCHED), 0, Size::B8);
                },
            );
        });
        let state = Address {
            base: Base::Reg(self.scratch),
            offset: state.offset,
        };
        Operand::Reg(self.load(state.plus(FOUND), Size::B8))
    }

    /// Leaves [`Builder::repeat`].
    fn stop(&mut self) {
        self.jump_out(true);
        let after = self.f.label();
        self.f.at(after);
    }

    /// A byte of a text of `size` bytes that begins at `base` in the state; zero behind it.
    fn byte_of(&mut self, state: Address, base: u32, index: Reg, size: u32) -> Reg {
        let byte = self.copy(0);
        self.when(Comparison::Less, index, i64::from(size), |b| {
            let text = b.pointer(state.plus(offset(base)));
            let at = b.alu(AluOp::Add, text, index);
            let at = b.in_reg(at);
            let value = b.load(Address::reg(at), Size::B1);
            b.set(byte, value);
        });
        byte
    }

    /// Writes `first` and, right after its last character, `second` to `to`, which has
    /// `capacity` bytes; what does not fit is cut.
    pub fn join_texts(&mut self, to: Address, capacity: u32, first: &Expr, second: &Expr) {
        let (size, more) = (first.ty.size(), second.ty.size());
        let joined = self.scratch_memory(size + more);
        if self.fill() == Fill::Whole {
            self.zero(joined, size + more);
        }
        let after = self.address(second);
        let after = self.pointer(after);
        let length = self.measure_into(joined, first);
        let bounded = self.copy(length);
        self.when(Comparison::Greater, length, i64::from(size), |b| {
            b.set(bounded, i64::from(size));
        });
        let end = self.pointer(joined);
        let end = self.alu(AluOp::Add, end, bounded);
        let end = Address::reg(self.in_reg(end));
        self.read_memory(end, more, after, Space::Kernel);
        let kept = capacity.min(size + more);
        self.copy_bytes(to, joined, kept);
        if self.fill() == Fill::Whole {
            self.zero(to.plus(offset(kept)), capacity - kept);
        } else if kept < capacity {
            self.put(to.plus(offset(kept)), 0, Size::B1);
        }
    }

    /// Copies a text to `copy`, zeros after it, and gives how many characters it has.
    pub fn measure_into(&mut self, copy: Address, text: &Expr) -> Operand {
        let capacity = text.ty.size();
        let from = self.address(text);
        let pointer = self.pointer(from);
        // Copying a text is how the kernel measures one.
        let read = self.read_text(copy, i64::from(capacity), pointer, Space::Kernel);
        let length = self.copy(0);
        self.when(Comparison::SignedGreater, read, 0, |b| {
            let without_nul = b.alu(AluOp::Sub, read, 1);
            b.set(length, without_nul);
        });
        self.when(Comparison::Equal, read, i64::from(capacity), |b| {
            // The copy ends with a NUL of its own: the text may have one byte more.
            let last = offset(capacity.saturating_sub(1));
            let byte = b.load(from.plus(last), Size::B1);
            b.when(Comparison::NotEqual, byte, 0, |b| {
                b.put(copy.plus(last), byte, Size::B1);
                b.set(length, i64::from(capacity));
            });
        });
        Operand::Reg(length)
    }
}

fn offset(bytes: u32) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
