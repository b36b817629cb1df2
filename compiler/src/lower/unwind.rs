//! Stacks of processes by the tables of their programs.
//!
//! Where userspace has told of a process which table counts where ([`crate::artifact::unwinding`]), the
//! program itself goes from each frame to that of its caller, whether or not the process was
//! built with frame pointers. It says when there was no way on.

use super::Builder;
use crate::artifact::unwinding::{NO_CODE, NO_TABLE, ROW, ROWS, SEGMENT, SEGMENTS, Step, kind};
use crate::artifact::{MapId, ProgramKind};
use crate::ir::{Address, AluOp, Base, Comparison, End, Label, Operand, Reg, Size, helpers};
use crate::types::{Space, Stack};

/// The maps that unwinding goes by.
#[derive(Clone, Copy, Debug)]
pub struct Unwinding {
    /// Segments by process.
    pub processes: MapId,
    /// Pieces of tables by number.
    pub pieces: MapId,
}

/// Where a signal's frame has the registers that it interrupted: `struct rt_sigframe`, after
/// the return address.
const SIGNAL_FRAME_POINTER: i64 = 120;
const SIGNAL_STACK_POINTER: i64 = 160;
const SIGNAL_ADDRESS: i64 = 168;

/// What unwinding found.
pub(super) struct Unwound {
    /// Bytes of frames.
    pub bytes: Reg,
    /// 1 if there was no way on.
    pub is_cut: Reg,
}

/// Where the code of a thread stands.
struct Registers {
    address: Reg,
    stack: Reg,
    frame: Reg,
}

/// Where the state of unwinding lies in its memory: what the registers of the frame are, how far
/// behind the call its address is, how many frames there are, and whether there was no way on.
const ADDRESS: i32 = 0;
const TOP: i32 = 8;
const FRAME: i32 = 16;
const BACK: i32 = 24;
const COUNT: i32 = 32;
const IS_CUT: i32 = 40;
const STATE: u32 = 48;

impl Builder<'_> {
    /// Writes the frames of a process, whose segments are at `segments`, to `frames`, which is
    /// scratch memory, and a zero after them.
    pub(super) fn unwind(
        &mut self,
        maps: Unwinding,
        stack: Stack,
        segments: Address,
        frames: Address,
    ) -> Unwound {
        let segments = self.pointer(segments);
        // The verifier is to follow neither each number of frames nor each value.
        let state = self.scratch_memory(STATE);
        let registers = self.process_registers();
        self.put(state.plus(ADDRESS), registers.address, Size::B8);
        self.put(state.plus(TOP), registers.stack, Size::B8);
        self.put(state.plus(FRAME), registers.frame, Size::B8);
        for part in [BACK, COUNT, IS_CUT] {
            self.put(state.plus(part), 0, Size::B8);
        }
        let limit = i64::from(stack.limit);
        self.repeat_with(limit, segments, |b, segments| {
            let scratch = |address: Address| Address {
                base: Base::Reg(b.scratch),
                ..address
            };
            let (state, frames) = (scratch(state), scratch(frames));
            b.unwind_frame(maps, stack, segments, (state, frames));
        });
        let count = self.load(state.plus(COUNT), Size::B8);
        let bytes = self.alu(AluOp::ShiftLeft, count, 3);
        let bytes = self.copy(bytes);
        // What the verifier cannot know.
        self.when(Comparison::Greater, bytes, limit * 8, |b| {
            b.set(bytes, 0);
        });
        // Frames are hashed in pairs.
        let start = self.pointer(frames);
        let end = self.alu(AluOp::Add, start, bytes);
        let end = Address::reg(self.in_reg(end));
        self.put(end, 0, Size::B8);
        let is_cut = self.load(state.plus(IS_CUT), Size::B8);
        Unwound { bytes, is_cut }
    }

    /// Stores one frame and goes to its caller's, in a callback.
    fn unwind_frame(
        &mut self,
        maps: Unwinding,
        stack: Stack,
        segments: Operand,
        (state, frames): (Address, Address),
    ) {
        let key = self.temporary(8, "the number of a piece of a table");
        let value = self.temporary(8, "a word of a stack");
        let [address, top, frame] =
            [ADDRESS, TOP, FRAME].map(|part| self.load(state.plus(part), Size::B8));
        let [next, cut, done, again] = [(); 4].map(|()| self.f.label());
        let count = self.load(state.plus(COUNT), Size::B8);
        let limit = Operand::Imm(i64::from(stack.limit));
        self.f
            .branch(Comparison::Less, count.into(), limit, next, done);

        self.f.at(next);
        // What is looked up is the call, not what follows it.
        let back = self.load(state.plus(BACK), Size::B8);
        let call = self.alu(AluOp::Sub, address, back);
        let start = self.pointer(frames);
        let at = self.alu(AluOp::ShiftLeft, count, 3);
        let place = self.alu(AluOp::Add, start, at);
        let place = Address::reg(self.in_reg(place));
        let shown = match stack.is_unwound {
            true => call,
            false => Operand::Reg(address),
        };
        self.put(place, shown, Size::B8);
        let more = self.alu(AluOp::Add, count, 1);
        self.put(state.plus(COUNT), more, Size::B8);
        let segments = self.in_reg(segments);
        let segment = self.last_not_after(segments, call, (SEGMENTS, SEGMENT), Size::B8);
        let piece = self.load(segment.plus(8), Size::B4);
        self.go_if(Comparison::Equal, piece, i64::from(NO_CODE), cut);
        let word = self.copy(i64::from(Step::BY_FRAME_POINTER.encode()));
        let [search, found] = [(); 2].map(|()| self.f.label());
        let no_table = Operand::Imm(i64::from(NO_TABLE));
        self.f
            .branch(Comparison::Equal, piece.into(), no_table, found, search);
        self.f.at(search);
        self.put(key, piece, Size::B8);
        let key = self.pointer(key);
        let rows = self.call(helpers::MAP_LOOKUP_ELEM, &[Operand::Map(maps.pieces), key]);
        self.go_if(Comparison::Equal, rows, 0, cut);
        let from = self.load(segment, Size::B8);
        let distance = self.alu(AluOp::Sub, call, from);
        let row = self.last_not_after(rows, distance, (ROWS, ROW), Size::B4);
        let step = self.load(row.plus(4), Size::B4);
        self.set(word, step);
        self.f.jump(found);

        self.f.at(found);
        let which = self.alu(AluOp::And, word, 7);
        let which = self.in_reg(which);
        self.go_if(Comparison::Equal, which, kind::LOST, cut);
        self.go_if(Comparison::Equal, which, kind::OUTERMOST, done);
        let [signal, no_signal] = [(); 2].map(|()| self.f.label());
        let five = Operand::Imm(kind::SIGNAL);
        self.f
            .branch(Comparison::Equal, which.into(), five, signal, no_signal);

        self.f.at(signal);
        for (part, at) in [
            (FRAME, SIGNAL_FRAME_POINTER),
            (TOP, SIGNAL_STACK_POINTER),
            (ADDRESS, SIGNAL_ADDRESS),
        ] {
            let from = self.alu(AluOp::Add, top, at);
            let word = self.read_word(from, value, cut);
            self.put(state.plus(part), word, Size::B8);
        }
        self.put(state.plus(BACK), 0, Size::B8);
        self.f.jump(again);

        self.f.at(no_signal);
        let begins = self.frame_start(word, which, call, (top, frame), value, cut);
        // Callers' frames lie above.
        self.go_if(Comparison::LessEqual, begins, top, cut);
        self.put(state.plus(TOP), begins, Size::B8);
        let saved = self.alu(AluOp::And, word, 0xfff8);
        let saved = self.in_reg(saved);
        let [stored, kept] = [(); 2].map(|()| self.f.label());
        self.f
            .branch(Comparison::NotEqual, saved.into(), 0.into(), stored, kept);
        self.f.at(stored);
        let from = self.alu(AluOp::Sub, begins, saved);
        let word = self.read_word(from, value, cut);
        self.put(state.plus(FRAME), word, Size::B8);
        self.f.jump(kept);
        self.f.at(kept);
        let from = self.alu(AluOp::Sub, begins, 8);
        let caller = self.read_word(from, value, cut);
        self.put(state.plus(ADDRESS), caller, Size::B8);
        self.put(state.plus(BACK), 1, Size::B8);
        self.f
            .branch(Comparison::NotEqual, caller.into(), 0.into(), again, done);

        self.f.at(cut);
        self.put(state.plus(IS_CUT), 1, Size::B8);
        self.f.jump(done);
        self.f.at(done);
        self.f.end(End::Return(Operand::Imm(1)));
        self.f.at(again);
    }

    /// Where the current frame of a process begins: the address behind that of its return
    /// address.
    fn frame_start(
        &mut self,
        word: Reg,
        which: Reg,
        call: Operand,
        (top, frame): (Reg, Reg),
        value: Address,
        cut: Label,
    ) -> Reg {
        let signed = self.sign_extend(word, Size::B4);
        let eighth = self.alu(AluOp::ArithmeticShiftRight, signed, 16);
        let distance = self.alu(AluOp::ShiftLeft, eighth, 3);
        let begins = self.copy(frame);
        let [above, linkage, other, not_stored, stored, last] = [(); 6].map(|()| self.f.label());
        let one = Operand::Imm(kind::STACK_POINTER);
        self.f
            .branch(Comparison::Equal, which.into(), one, above, other);
        self.f.at(above);
        let start = self.alu(AluOp::Add, top, distance);
        self.set(begins, start);
        self.f.jump(last);
        self.f.at(other);
        let start = self.alu(AluOp::Add, begins, distance);
        self.set(begins, start);
        let six = Operand::Imm(kind::STORED);
        self.f
            .branch(Comparison::Equal, which.into(), six, stored, not_stored);
        self.f.at(stored);
        let word = self.read_word(Operand::Reg(begins), value, cut);
        self.set(begins, word);
        self.f.jump(last);
        self.f.at(not_stored);
        let four = Operand::Imm(kind::LINKAGE);
        self.f
            .branch(Comparison::Equal, which.into(), four, linkage, last);
        self.f.at(linkage);
        // From the instruction at `distance` on there is a word more on the stack.
        let start = self.alu(AluOp::Add, top, 8);
        self.set(begins, start);
        let within = self.alu(AluOp::And, call, 15);
        let within = self.alu(AluOp::ShiftLeft, within, 3);
        let within = self.in_reg(within);
        let after = self.f.label();
        self.f
            .branch(Comparison::Less, within.into(), distance, last, after);
        self.f.at(after);
        let start = self.alu(AluOp::Add, begins, 8);
        self.set(begins, start);
        self.f.jump(last);
        self.f.at(last);
        begins
    }

    /// The last of `count` elements at `elements` whose first bytes are not greater than
    /// `wanted`. They are sorted, the first is not asked, and no branch is taken.
    fn last_not_after(
        &mut self,
        elements: Reg,
        wanted: Operand,
        (count, stride): (u32, u32),
        size: Size,
    ) -> Address {
        let beyond = self.alu(AluOp::Add, wanted, 1);
        let mut at = Operand::Imm(0);
        let mut half = count / 2;
        while half > 0 {
            let bytes = half * stride;
            let base = self.alu(AluOp::Add, elements, at);
            let base = Address::reg(self.in_reg(base));
            let found = self.load(base.plus(bytes.cast_signed()), size);
            // Negative if it is not beyond. Newer verifiers look at both outcomes of a mask of
            // the sign, so it is shifted to its place.
            let less = self.alu(AluOp::Sub, found, beyond);
            let less = self.alu(AluOp::ShiftRight, less, 63);
            let step = self.alu(AluOp::ShiftLeft, less, i64::from(bytes.ilog2()));
            at = self.alu(AluOp::Add, step, at);
            half /= 2;
        }
        let place = self.alu(AluOp::Add, elements, at);
        Address::reg(self.in_reg(place))
    }

    /// A word of a stack, by way of `value`; goes to `failed` if it cannot be read.
    fn read_word(&mut self, from: Operand, value: Address, failed: Label) -> Reg {
        let buffer = self.pointer(value);
        let from = self.in_reg(from);
        let args = [buffer, Operand::Imm(8), Operand::Reg(from)];
        let code = self.call(helpers::PROBE_READ_USER, &args);
        self.go_if(Comparison::NotEqual, code, 0, failed);
        self.load(value, Size::B8)
    }

    fn go_if(
        &mut self,
        comparison: Comparison,
        left: impl Into<Operand>,
        right: impl Into<Operand>,
        to: Label,
    ) {
        let on = self.f.label();
        self.f.branch(comparison, left.into(), right.into(), to, on);
        self.f.at(on);
    }

    /// The registers of the current thread as the process left them, or has them.
    fn process_registers(&mut self) -> Registers {
        let arch = self.target.arch();
        let offset = |name| i64::from(arch.register(name).unwrap_or(0));
        let [ip, sp, bp] = ["ip", "sp", "bp"].map(offset);
        // A program for a place of a process gets its registers.
        let is_own =
            self.route.kind == ProgramKind::Kprobe && self.probe().provider.is_of_program();
        let base = match (is_own, self.current_task()) {
            (false, Some(task)) => Operand::Reg(self.call(helpers::TASK_PT_REGS, &[task])),
            _ => self.context(),
        };
        let [address, stack, frame] =
            [ip, sp, bp].map(|offset| self.read_scalar(base, offset, Size::B8, Space::Direct));
        Registers {
            address,
            stack,
            frame,
        }
    }
}
