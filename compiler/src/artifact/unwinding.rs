//! How the tables by which programs unwind stacks of processes lie in maps.
//!
//! Userspace writes them, programs read them; both go by what is said here and nothing else.
//! One map tells of each process where in its memory which piece of a table counts, the other
//! holds the pieces. Both are searched by halving without a branch, so they are full: what is
//! not used lies behind everything.
//!
//! A process is [`SEGMENTS`] segments of [`SEGMENT`] bytes, sorted by address, of which the
//! first is at 0: the `u64` address where it begins, and the `u32` number of the piece that
//! counts from there on. A piece is [`ROWS`] rows of [`ROW`] bytes, sorted: the `u32` distance
//! from the segment's start, and what [`Step::encode`] says.

/// Segments of a process: a power of two.
pub const SEGMENTS: u32 = 1 << 10;

/// Bytes of a segment.
pub const SEGMENT: u32 = 16;

/// Rows of a piece: a power of two.
pub const ROWS: u32 = 1 << 12;

/// Bytes of a row.
pub const ROW: u32 = 8;

/// Where segments begin that are not used: behind all code.
pub const UNUSED_SEGMENT: u64 = i64::MAX as u64;

/// The distance of rows that are not used.
pub const UNUSED_ROW: u32 = u32::MAX;

/// The piece of memory that holds no code.
pub const NO_CODE: u32 = 0;

/// The piece of code without tables: its callers are found by frame pointers.
pub const NO_TABLE: u32 = 1;

/// The first number of a piece that exists.
pub const FIRST_PIECE: u32 = 2;

/// Most processes that are known at once.
pub const PROCESSES: u32 = 1 << 10;

/// Most pieces.
pub const PIECES: u32 = 1 << 14;

/// In the number of a stack's frames: there are more, which could not be found.
pub const CUT: u32 = 1 << 31;

/// Kinds of steps, in the low three bits of an encoded one.
pub mod kind {
    /// There is no way on.
    pub const LOST: i64 = 0;
    /// The frame begins above the stack pointer.
    pub const STACK_POINTER: i64 = 1;
    /// The frame begins above the frame pointer.
    pub const FRAME_POINTER: i64 = 2;
    /// Nothing called this.
    pub const OUTERMOST: i64 = 3;
    /// An entry of the table of procedures: the distance grows within it.
    pub const LINKAGE: i64 = 4;
    /// The kernel put all registers on the stack.
    pub const SIGNAL: i64 = 5;
    /// Where the frame begins is stored at a distance from the frame pointer.
    pub const STORED: i64 = 6;
}

/// How the frame of a caller is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// One of [`kind`].
    pub kind: i64,
    /// Bytes from the register that counts to where the frame begins: a multiple of 8.
    pub distance: i32,
    /// How far below the frame's beginning the caller's frame pointer is stored; 0 if the
    /// register still holds it. A multiple of 8.
    pub saved: u32,
}

impl Step {
    /// There is no way on.
    pub const LOST: Step = Step {
        kind: kind::LOST,
        distance: 0,
        saved: 0,
    };

    /// What functions with frame pointers have in common.
    pub const BY_FRAME_POINTER: Step = Step {
        kind: kind::FRAME_POINTER,
        distance: 16,
        saved: 16,
    };

    /// As it stands in a row: the kind in three bits, then `saved` up to bit 16, and above
    /// that an eighth of the distance. What does not fit is lost.
    pub fn encode(self) -> u32 {
        let eighth = i16::try_from(self.distance / 8);
        let fits = self.distance % 8 == 0 && self.saved.is_multiple_of(8) && self.saved < 1 << 16;
        match (eighth, fits) {
            (Ok(eighth), true) => {
                let distance = u32::from(eighth.cast_unsigned()) << 16;
                distance | self.saved | (self.kind & 7) as u32
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_words() {
        assert_eq!(Step::LOST.encode(), 0);
        assert_eq!(Step::BY_FRAME_POINTER.encode(), 2 << 16 | 16 | 2);
        let below = Step {
            kind: kind::STORED,
            distance: -8,
            saved: 0,
        };
        assert_eq!(below.encode(), 0xffff_0006);
        let far = Step {
            distance: 1 << 20,
            ..Step::BY_FRAME_POINTER
        };
        assert_eq!(far.encode(), 0);
    }
}
