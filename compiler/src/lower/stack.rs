//! Stacks: a hash of the frames as the value, the frames themselves once in a map.
//!
//! The kernel copies the frames to a temporary; a program hashes them and stores them where
//! they are not known yet. So a key is 16 bytes however deep the stack is, and equal stacks
//! are equal values. The hash has 64 bits and every step of it can be undone, so stacks that
//! differ in one frame never share one; others do by a chance of one in 2^64. The kernel's own
//! map of stacks has no such promise: it drops a stack whose bucket another one holds.

use super::{Builder, Known, MaybeNull};
use crate::artifact::unwinding::CUT;
use crate::artifact::{FaultKind, StackMode};
use crate::hir::Expr;
use crate::ir::{Address, AluOp, Base, Comparison, Operand, Reg, Size, helpers};
use crate::types::{Stack, Type};
use crate::vocabulary::SiteSource;

/// `BPF_F_USER_STACK`, `BPF_F_USER_BUILD_ID`, `BPF_NOEXIST` of `linux/bpf.h`.
const USER_STACK: i64 = 1 << 8;
const USER_BUILD_ID: i64 = 1 << 11;
const NO_EXIST: i64 = 1;

/// Frames that are skipped, in the flags' low byte: the program and what calls it.
const STAND_IN_FRAMES: i64 = 2;

/// `EEXIST` of `errno.h`.
const EXISTS: i64 = 17;

/// Bytes of a stack's value, and where its parts are: see `Shape::Stack`.
const VALUE: u32 = 16;
const PROCESS: i32 = 8;
const FRAMES: i32 = 12;

/// Parts of a process's memory that are told apart when it is first heard of: 16 MiB each, so
/// that a library which is loaded later is heard of too.
const PART_BITS: i64 = 24;

/// Odd, with bits everywhere: the fraction of the golden ratio.
const FACTOR: i64 = 0x9e37_79b9_7f4a_7c15_u64.cast_signed();
/// Another one, for the frames at odd places.
const OTHER_FACTOR: i64 = 0xc2b2_ae3d_27d4_eb4f_u64.cast_signed();

impl Builder<'_> {
    /// Writes the stack of that kind to `to`. It is the same all through a run of a program.
    ///
    /// `word` hears of every new stack of a process that is to be shown by names, while the
    /// process still lives.
    pub fn stack(&mut self, word: &str, kind: Stack, to: Address) {
        let key = format!("stack {kind:?}");
        if let Some(Known::Memory(from)) = self.find_known(&key) {
            return self.copy_bytes(to, from, VALUE);
        }
        self.take_stack(word, kind, to);
        // A frame slot keeps its bytes as long as anything reads them.
        if matches!(to.base, Base::Frame(_)) {
            self.remember(&key, Known::Memory(to));
        }
    }

    /// How many frames a stack has.
    pub fn count_frames(&mut self, stack: &Expr) -> Operand {
        let at = self.address(stack);
        let frames = self.load(at.plus(FRAMES), Size::B4);
        match self.plan.unwinding {
            Some(_) => self.alu(AluOp::And, frames, i64::from(!CUT)),
            None => Operand::Reg(frames),
        }
    }

    fn take_stack(&mut self, word: &str, kind: Stack, to: Address) {
        self.zero(to, VALUE);
        if kind.limit == 0 {
            return;
        }
        self.freeing_scratch(|b| {
            let size = kind.stored_size();
            // Frames are hashed in pairs of words.
            let whole = size.next_multiple_of(16);
            let unwinds = b.plan.unwinding.is_some() && kind.is_user;
            let frames = match unwinds {
                // Frames come one by one.
                true => b.scratch_memory(whole + 8),
                false => b.temporary(whole, "the frames of a stack"),
            };
            if matches!(frames.base, Base::Frame(_)) {
                // Raw tracepoints of older kernels want to see it written before.
                b.zero(frames, whole);
            } else {
                b.zero(frames.plus(i32::try_from(size).unwrap_or(0)), whole - size);
            }
            let mut flags = 0;
            if kind.is_user {
                flags |= USER_STACK;
            } else if matches!(b.route.site, SiteSource::Table { .. }) {
                // One program stands for many probes: its own frame and the one that runs it
                // are none of theirs.
                flags |= STAND_IN_FRAMES;
            }
            if kind.mode == StackMode::BuildId {
                flags |= USER_BUILD_ID;
            }
            let start = b.pointer(frames);
            let start = b.in_reg(start);
            let context = b.context();
            let bytes = Operand::Imm(i64::from(size));
            let args = [context, Operand::Reg(start), bytes, Operand::Imm(flags)];
            let (got, is_cut) = match b.plan.unwinding {
                Some(maps) if kind.is_user && kind.mode != StackMode::BuildId => {
                    b.unwind_or_follow(maps, kind, frames, &args)
                }
                _ => (b.call(helpers::GET_STACK, &args), None),
            };
            b.when(Comparison::SignedGreater, got, 0, |b| {
                b.keep_stack(word, kind, start, (got, is_cut), to);
            });
        });
    }

    /// The frames of a process by its tables, if userspace has told of them, else by frame
    /// pointers, with those arguments of the kernel's helper.
    fn unwind_or_follow(
        &mut self,
        maps: super::Unwinding,
        kind: Stack,
        frames: Address,
        args: &[Operand],
    ) -> (Reg, Option<Reg>) {
        let ids = self.process_and_thread();
        let process = self.alu(AluOp::ShiftRight, ids, 32);
        let key = self.temporary(8, "the id of a process");
        self.put(key, process, Size::B8);
        let key = self.pointer(key);
        let known = self.call(
            helpers::MAP_LOOKUP_ELEM,
            &[Operand::Map(maps.processes), key],
        );
        let got = self.reg();
        let is_cut = self.reg();
        self.if_some_else(
            MaybeNull::new(known),
            |b, segments| {
                let unwound = b.unwind(maps, kind, segments, frames);
                b.set(got, unwound.bytes);
                b.set(is_cut, unwound.is_cut);
            },
            |b| {
                let bytes = b.call(helpers::GET_STACK, args);
                b.set(got, bytes);
                // Whoever asks for unwinding is told that this was none.
                b.set(is_cut, i64::from(kind.is_unwound));
            },
        );
        (got, Some(is_cut))
    }

    /// Writes an address of the current process and which process that is to `to`. The first
    /// time that something of that part of its memory is seen, `word` hears of it.
    pub fn user_symbol(&mut self, word: &str, address: Operand, to: Address) {
        self.put(to, address, Size::B8);
        let ids = self.process_and_thread();
        // The process in the lower half, zeros in the upper.
        let process = self.alu(AluOp::ShiftRight, ids, 32);
        self.put(to.plus(PROCESS), process, Size::B8);
        let key = self.temporary(VALUE, "the key of a part of a process");
        let part = self.alu(AluOp::ShiftRight, address, PART_BITS);
        self.put(key, part, Size::B8);
        self.put(key.plus(PROCESS), process, Size::B8);
        let map = Operand::Map(self.plan.seen_parts);
        let key = self.pointer(key);
        let known = self.call(helpers::MAP_LOOKUP_ELEM, &[map, key]);
        self.if_some_else(
            MaybeNull::new(known),
            |_, _| (),
            |b| {
                // Once it is full every address is heard of.
                let any = Operand::Imm(0);
                b.call_void(helpers::MAP_UPDATE_ELEM, &[map, key, key, any]);
                b.send(word, &[], &[Type::UserSymbol], true, |b, places| {
                    if let [place] = places {
                        b.put(*place, address, Size::B8);
                        b.put(place.plus(PROCESS), process, Size::B8);
                    }
                });
            },
        );
    }

    /// Hashes the `got` bytes of frames at `start`, which are followed by zeros, stores them
    /// if they are new, and writes the stack's value to `to`, which holds zeros.
    fn keep_stack(
        &mut self,
        word: &str,
        kind: Stack,
        start: Reg,
        (got, is_cut): (Reg, Option<Reg>),
        to: Address,
    ) {
        let hash = self.hash_words(start, got);
        let shift = i64::from(kind.mode.frame_size().ilog2());
        let mut count = self.alu(AluOp::ShiftRight, got, shift);
        if let Some(is_cut) = is_cut {
            let flag = self.alu(AluOp::ShiftLeft, is_cut, i64::from(CUT.ilog2()));
            count = self.alu(AluOp::Or, count, flag);
        }
        let key = self.temporary(VALUE, "the key of a stack's frames");
        let process = match kind.is_user {
            true => {
                let ids = self.process_and_thread();
                self.alu(AluOp::ShiftRight, ids, 32)
            }
            false => Operand::Imm(0),
        };
        for at in [key, to] {
            self.put(at, hash, Size::B8);
            self.put(at.plus(PROCESS), process, Size::B4);
            self.put(at.plus(FRAMES), count, Size::B4);
        }
        let map = Operand::Map(self.plan.stack_map(&kind));
        let key = self.pointer(key);
        let known = self.call(helpers::MAP_LOOKUP_ELEM, &[map, key]);
        self.if_some_else(
            MaybeNull::new(known),
            |_, _| (),
            |b| {
                let args = [map, key, Operand::Reg(start), Operand::Imm(NO_EXIST)];
                let code = b.call(helpers::MAP_UPDATE_ELEM, &args);
                b.when_else(
                    Comparison::NotEqual,
                    code,
                    0,
                    |b| {
                        // Another program may have come first. Kernels before 6.4 give an `int`.
                        let code = b.sign_extend(code, Size::B4);
                        b.when(Comparison::NotEqual, code, -EXISTS, |b| {
                            b.fault(FaultKind::StackLost, "map_update_elem", code);
                        });
                    },
                    |b| {
                        let is_heard = kind.mode.has_names() || b.plan.unwinding.is_some();
                        if !kind.is_user || !is_heard {
                            return;
                        }
                        b.send(word, &[], &[Type::Stack(kind)], true, |b, places| {
                            if let [place] = places {
                                b.put(*place, hash, Size::B8);
                                b.put(place.plus(PROCESS), process, Size::B4);
                                b.put(place.plus(FRAMES), count, Size::B4);
                            }
                        });
                    },
                );
            },
        );
    }

    /// A hash of the `got` bytes at `start`, two words at a time, in two lanes that the
    /// processor can work on at once.
    fn hash_words(&mut self, start: Reg, got: Reg) -> Operand {
        let even = self.copy(0);
        let odd = self.copy(0);
        let at = self.copy(0);
        let go = self.f.label();
        let next = self.f.label();
        let done = self.f.label();
        self.f.jump(go);
        self.f.at(go);
        // In this order: older verifiers see the end only if what they know stands on the right.
        let (left, right) = (Operand::Reg(got), Operand::Reg(at));
        self.f.branch(Comparison::Greater, left, right, next, done);
        self.f.at(next);
        let place = self.alu(AluOp::Add, start, at);
        let place = Address::reg(self.in_reg(place));
        for (lane, offset, factor) in [(even, 0, FACTOR), (odd, 8, OTHER_FACTOR)] {
            let word = self.load(place.plus(offset), Size::B8);
            let mixed = self.alu(AluOp::Xor, lane, word);
            let mixed = self.alu(AluOp::Mul, mixed, factor);
            let high = self.alu(AluOp::ShiftRight, mixed, 32);
            let mixed = self.alu(AluOp::Xor, mixed, high);
            self.f.set(lane, mixed);
        }
        let after = self.alu(AluOp::Add, at, 16);
        self.f.set(at, after);
        self.f.jump(go);
        self.f.at(done);
        let odd = self.alu(AluOp::Mul, odd, FACTOR);
        self.alu(AluOp::Xor, even, odd)
    }
}
