//! Memory: temporaries, zeroing, copying, and reading what pointers point to.
//!
//! Whether a load is direct or goes through a helper follows from the pointer's space and is
//! decided here, once. Values larger than the on-stack limit live in scratch memory: one
//! element of a map for each nesting program on a CPU, claimed in the prologue.

use super::{Builder, SCRATCH_HEADER};
use crate::artifact::FaultKind;
use crate::ir::{Address, Base, Comparison, Operand, Reg, Size, helpers};
use crate::types::Space;

/// How much of a text's memory is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// All of it, zeros after the text: keys, variables, map values.
    Whole,
    /// Up to its NUL: records of events, which userspace reads no further.
    ToNul,
}

impl Builder<'_> {
    /// Memory of that many bytes, aligned to 8, unwritten, for the rest of the program.
    pub fn temporary(&mut self, size: u32, name: &str) -> Address {
        if size <= self.plan.frame_limit {
            return Address::frame(self.f.slot(size, name));
        }
        self.scratch_memory(size)
    }

    /// The same, but never in the frame: memory whose bytes may be reached at a computed
    /// distance.
    pub fn scratch_memory(&mut self, size: u32) -> Address {
        let at = SCRATCH_HEADER + self.scratch_used;
        self.scratch_used += size.next_multiple_of(8);
        self.scratch_most = self.scratch_most.max(self.scratch_used);
        Address {
            base: Base::Reg(self.scratch),
            offset: i32::try_from(at).unwrap_or(i32::MAX),
        }
    }

    /// Lowers something whose scratch memory is free again afterwards.
    pub(super) fn freeing_scratch<T>(&mut self, lower: impl FnOnce(&mut Self) -> T) -> T {
        let used = self.scratch_used;
        let value = lower(self);
        self.scratch_used = used;
        value
    }

    /// Writes zeros. Memory from [`Builder::temporary`], records and map values are aligned
    /// to 8 bytes; `to` may be anywhere in them.
    pub fn zero(&mut self, to: Address, bytes: u32) {
        for (at, size) in pieces(to.offset, bytes) {
            self.put(to.plus(at), 0, size);
        }
    }

    /// Copies between two pieces of rbt's own memory.
    pub fn copy_bytes(&mut self, to: Address, from: Address, bytes: u32) {
        if to == from {
            return;
        }
        if bytes > 512 && matches!(to.base, Base::Reg(_)) {
            // One call instead of hundreds of instructions.
            let (dst, src) = (self.pointer(to), self.pointer(from));
            let count = Operand::Imm(i64::from(bytes));
            self.call_void(helpers::PROBE_READ_KERNEL, &[dst, count, src]);
            return;
        }
        for (at, size) in common_pieces(to.offset, from.offset, bytes) {
            let value = self.load(from.plus(at), size);
            self.put(to.plus(at), value, size);
        }
    }

    /// Writes constant bytes, then zeros up to `bytes`.
    pub fn put_bytes(&mut self, to: Address, content: &[u8], bytes: u32) {
        for (at, size) in pieces(to.offset, bytes) {
            let start = usize::try_from(at).unwrap_or(usize::MAX);
            let mut word = [0; 8];
            let count = size.bytes() as usize;
            for (to, from) in word.iter_mut().take(count).zip(content.iter().skip(start)) {
                *to = *from;
            }
            self.put(to.plus(at), i64::from_le_bytes(word), size);
        }
    }

    /// Reads memory behind a pointer into `to`; zeros if it cannot be read.
    pub fn read_memory(&mut self, to: Address, bytes: u32, from: impl Into<Operand>, space: Space) {
        self.read_bytes(to, i64::from(bytes), from, space);
    }

    /// The same for a number of bytes that the program computes; the verifier must see that
    /// it is not negative and that `to` has room.
    pub fn read_bytes(
        &mut self,
        to: Address,
        bytes: impl Into<Operand>,
        from: impl Into<Operand>,
        space: Space,
    ) {
        let bytes = bytes.into();
        let (helper, name) = match space {
            Space::User => (helpers::PROBE_READ_USER, "probe_read_user"),
            Space::Kernel if self.reads_anywhere() => (helpers::PROBE_READ, "probe_read"),
            Space::Kernel | Space::Direct => (helpers::PROBE_READ_KERNEL, "probe_read_kernel"),
        };
        let from = from.into();
        let dst = self.pointer(to);
        let result = self.call(helper, &[dst, bytes, from]);
        self.report_read(result, name);
    }

    /// Reads a NUL-terminated text of at most `capacity` bytes, its NUL included, to `to`;
    /// empty if it cannot be read. Gives its length with the NUL, or a negative error.
    pub fn read_text(
        &mut self,
        to: Address,
        capacity: impl Into<Operand>,
        from: impl Into<Operand>,
        space: Space,
    ) -> Reg {
        let (helper, name) = match space {
            Space::User => (helpers::PROBE_READ_USER_STR, "probe_read_user_str"),
            Space::Kernel if self.reads_anywhere() => (helpers::PROBE_READ_STR, "probe_read_str"),
            Space::Kernel | Space::Direct => {
                (helpers::PROBE_READ_KERNEL_STR, "probe_read_kernel_str")
            }
        };
        let (capacity, from) = (capacity.into(), from.into());
        let dst = self.pointer(to);
        let result = self.call(helper, &[dst, capacity, from]);
        self.report_read(result, name);
        result
    }

    /// Whether an address that is of no known memory can be read wherever it lies: in probes
    /// that are of neither side, where no address is of both.
    fn reads_anywhere(&self) -> bool {
        !self.probe().provider.has_space() && self.target.arch().has_disjoint_spaces
    }

    /// Counts a failed read, where failed reads are to be reported.
    fn report_read(&mut self, result: Reg, helper: &str) {
        if self.plan.reports_reads {
            self.when(Comparison::SignedLess, result, 0, |b| {
                b.fault(FaultKind::ReadFailed, helper, result);
            });
        }
    }

    /// The scalar of that size behind a pointer, zero-extended; zero if it cannot be read.
    pub fn read_scalar(
        &mut self,
        address: impl Into<Operand>,
        offset: i64,
        size: Size,
        space: Space,
    ) -> Reg {
        let address = address.into();
        if space == Space::Direct
            && let Ok(offset) = i32::try_from(offset)
        {
            let base = self.in_reg(address);
            return self.load(Address::reg(base).plus(offset), size);
        }
        let from = match offset {
            0 => address,
            offset => self.alu(crate::ir::AluOp::Add, address, offset),
        };
        let to = self.temporary(8, "a value read from memory");
        self.read_memory(to, size.bytes(), from, space);
        self.load(to, size)
    }
}

/// Cuts `bytes` at `offset` into naturally aligned accesses: where each is and its size.
pub(super) fn pieces(offset: i32, bytes: u32) -> Vec<(i32, Size)> {
    common_pieces(offset, offset, bytes)
}

/// The same for two places at once: each access is aligned in both.
pub(super) fn common_pieces(first: i32, second: i32, bytes: u32) -> Vec<(i32, Size)> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < bytes {
        let is_aligned = |offset: i32, size| offset.unsigned_abs().wrapping_add(at) % size == 0;
        let mut size = 8;
        while size > 1
            && !(is_aligned(first, size) && is_aligned(second, size) && at + size <= bytes)
        {
            size /= 2;
        }
        let width = Size::from_bytes(size).unwrap_or(Size::B1);
        pieces.push((i32::try_from(at).unwrap_or(i32::MAX), width));
        at += size;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_aligned_and_cover_everything() {
        assert_eq!(
            pieces(0, 15),
            [(0, Size::B8), (8, Size::B4), (12, Size::B2), (14, Size::B1)]
        );
        assert_eq!(pieces(4, 12), [(0, Size::B4), (4, Size::B8)]);
        assert_eq!(pieces(3, 2), [(0, Size::B1), (1, Size::B1)]);
        assert_eq!(common_pieces(8, 4, 8), [(0, Size::B4), (4, Size::B4)]);
    }
}
