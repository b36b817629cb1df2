//! From allocated instructions to the machine's.
//!
//! Takes a legalised function, its registers and its frame; gives [`Code`]. Moves of a
//! register to itself, jumps to the next instruction and branches around a jump are left out
//! on the way.

use super::frame::Frame;
use super::moves;
use super::opcode as op;
use super::regalloc::Allocation;
use super::{BackendError, Code, Insn, Options, Relocation, RelocationTarget};
use crate::ir::{
    Address, AluOp, AtomicOp, Base, Comparison, End, Function, InstKind, Label, Operand, Reg, Size,
    Width,
};
use rbt_grammar::Span;

/// Encodes one function.
pub(super) fn encode(
    function: &Function,
    allocation: &Allocation,
    frame: &Frame,
    options: Options,
) -> Result<Code, BackendError> {
    let mut emitter = Emitter {
        allocation,
        frame,
        code: Code {
            name: function.name.clone(),
            frame: frame.size,
            ..Code::default()
        },
        jumps: Vec::new(),
        span: function.span,
    };
    emitter.entry(&function.params);
    let mut starts = Vec::with_capacity(function.blocks.len());
    // Where the last return of a constant is, and whether what was written last goes on.
    let mut last_return = None;
    let mut falls_through = true;
    for (label, block) in function.labels().zip(&function.blocks) {
        let returned = match &block.end {
            Some(End::Return(Operand::Imm(value))) => Some(*value),
            _ => None,
        };
        if let Some((value, at)) = last_return
            && block.insts.is_empty()
            && returned == Some(value)
            && !falls_through
        {
            starts.push(at);
            continue;
        }
        starts.push(emitter.code.insns.len());
        for inst in &block.insts {
            emitter.span = inst.span;
            emitter.inst(&inst.kind);
        }
        emitter.span = block.end_span;
        if let Some(value) = returned {
            last_return = Some((value, emitter.code.insns.len()));
        }
        let next = Label(label.0 + 1);
        falls_through = false;
        if let Some(end) = &block.end {
            emitter.end(end, next);
            falls_through = end.targets().any(|target| target == next);
        }
    }
    super::jumps::resolve(&mut emitter.code, emitter.jumps, starts, options)?;
    Ok(emitter.code)
}

struct Emitter<'a> {
    allocation: &'a Allocation,
    frame: &'a Frame,
    code: Code,
    /// Instructions that jump, and where to.
    jumps: Vec<(usize, Label)>,
    span: Span,
}

impl Emitter<'_> {
    fn push(&mut self, insn: Insn) {
        self.code.insns.push(insn);
        self.code.spans.push(self.span);
    }

    fn reg(&self, reg: Reg) -> u8 {
        self.allocation.of(reg)
    }

    /// Moves parameters from where they arrive to where they live.
    fn entry(&mut self, params: &[Reg]) {
        let moves: Vec<(u8, u8)> = (1u8..)
            .zip(params)
            .filter_map(|(from, reg)| Some((self.allocation.get(*reg)?, from)))
            .collect();
        // Five at most are destinations and five arrive, so one of ten is neither.
        let is_in_use = |r: u8| moves.iter().any(|(d, s)| *d == r || *s == r);
        let spare = (0..10).find(|r| !is_in_use(*r)).unwrap_or(0);
        for (to, from) in moves::sequence(&moves, spare) {
            self.move_reg(to, from);
        }
    }

    fn move_reg(&mut self, dst: u8, src: u8) {
        if dst != src {
            self.push(Insn {
                code: op::ALU64 | op::MOV | op::X,
                dst,
                src,
                ..Insn::default()
            });
        }
    }

    /// Puts any operand into a machine register.
    fn load(&mut self, dst: u8, operand: Operand) {
        match operand {
            Operand::Reg(src) => self.move_reg(dst, self.reg(src)),
            Operand::Imm(value) => self.constant(dst, value),
            Operand::Frame(slot, offset) => {
                self.move_reg(dst, op::FRAME);
                let imm = self.frame.offset(slot).saturating_add(offset);
                if imm != 0 {
                    self.push(Insn {
                        code: op::ALU64 | op::ADD,
                        dst,
                        imm,
                        ..Insn::default()
                    });
                }
            }
            Operand::Map(map) => self.relocated(dst, RelocationTarget::Map(map)),
            Operand::Global(offset) => self.relocated(dst, RelocationTarget::Global(offset)),
            Operand::Function(function) => {
                self.relocated(dst, RelocationTarget::FunctionAddress(function.0));
            }
            Operand::Site => {
                let at = self.here();
                self.code.site_patches.push(at);
                self.wide(dst, 0);
            }
            Operand::Variable(id) => {
                self.push(Insn {
                    code: op::LD_IMM64,
                    dst,
                    src: op::PSEUDO_BTF_ID,
                    imm: id.cast_signed(),
                    ..Insn::default()
                });
                self.push(Insn::default());
            }
        }
    }

    fn here(&self) -> u32 {
        u32::try_from(self.code.insns.len()).unwrap_or(u32::MAX)
    }

    fn relocated(&mut self, dst: u8, target: RelocationTarget) {
        let insn = self.here();
        self.code.relocations.push(Relocation { insn, target });
        self.wide(dst, 0);
    }

    fn constant(&mut self, dst: u8, value: i64) {
        let (code, imm) = if let Ok(imm) = i32::try_from(value) {
            (op::ALU64 | op::MOV, imm)
        } else if let Ok(imm) = u32::try_from(value) {
            // A 32-bit move clears the upper half.
            (op::ALU | op::MOV, imm.cast_signed())
        } else {
            return self.wide(dst, value);
        };
        self.push(Insn {
            code,
            dst,
            imm,
            ..Insn::default()
        });
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "the constant is cut in two halves"
    )]
    fn wide(&mut self, dst: u8, value: i64) {
        self.push(Insn {
            code: op::LD_IMM64,
            dst,
            imm: value as i32,
            ..Insn::default()
        });
        self.push(Insn {
            imm: (value >> 32) as i32,
            ..Insn::default()
        });
    }

    /// The register and the distance of an address.
    fn address(&self, address: Address) -> (u8, i16) {
        let (base, offset) = match address.base {
            Base::Reg(reg) => (self.reg(reg), address.offset),
            Base::Frame(slot) => {
                let slot = self.frame.offset(slot);
                (op::FRAME, slot.saturating_add(address.offset))
            }
        };
        // The legaliser saw to distances from registers, the limit of the frame to the rest.
        (base, i16::try_from(offset).unwrap_or(i16::MIN))
    }

    fn inst(&mut self, kind: &InstKind) {
        match kind {
            InstKind::Move { dst, src } => self.load(self.reg(*dst), *src),
            InstKind::Truncate32 { dst, src } => self.push(Insn {
                code: op::ALU | op::MOV | op::X,
                dst: self.reg(*dst),
                src: self.reg(*src),
                ..Insn::default()
            }),
            InstKind::Alu {
                op,
                width,
                dst,
                right,
                ..
            } => self.alu(*op, *width, *dst, *right),
            InstKind::Negate { dst, .. } => self.push(Insn {
                code: op::ALU64 | op::NEG,
                dst: self.reg(*dst),
                ..Insn::default()
            }),
            InstKind::SignExtend { dst, src, size } => self.push(Insn {
                code: op::ALU64 | op::MOV | op::X,
                dst: self.reg(*dst),
                src: self.reg(*src),
                off: i16::try_from(8 * size.bytes()).unwrap_or(0),
                ..Insn::default()
            }),
            InstKind::ByteSwap { dst, size, .. } => self.push(Insn {
                // "To big endian" swaps on little-endian machines and cuts to the size.
                code: op::ALU | op::END | op::X,
                dst: self.reg(*dst),
                imm: i32::try_from(8 * size.bytes()).unwrap_or(0),
                ..Insn::default()
            }),
            InstKind::Load { dst, address, size } => {
                let (src, off) = self.address(*address);
                self.push(Insn {
                    code: op::LDX | op::MEM | size_bits(*size),
                    dst: self.reg(*dst),
                    src,
                    off,
                    imm: 0,
                });
            }
            InstKind::Store { address, src, size } => self.store(*address, *src, *size),
            InstKind::Atomic {
                op,
                size,
                address,
                src,
                fetched,
            } => {
                let fetch = if fetched.is_some() { op::FETCH } else { 0 };
                let imm = match op {
                    AtomicOp::Add => i32::from(op::ADD) | fetch,
                    AtomicOp::And => i32::from(op::AND) | fetch,
                    AtomicOp::Or => i32::from(op::OR) | fetch,
                    AtomicOp::Xor => i32::from(op::XOR) | fetch,
                    AtomicOp::Exchange => op::XCHG,
                };
                self.atomic(*address, *src, *size, imm);
            }
            InstKind::CompareExchange {
                address,
                expected,
                src,
                fetched,
            } => {
                self.move_reg(0, self.reg(*expected));
                self.atomic(*address, *src, Size::B8, op::CMPXCHG);
                self.result(Some(*fetched));
            }
            InstKind::Call {
                helper,
                args,
                result,
            } => {
                self.arguments(args);
                self.push(Insn {
                    code: op::JMP | op::CALL,
                    imm: i32::try_from(helper.number).unwrap_or(0),
                    ..Insn::default()
                });
                self.result(*result);
            }
            InstKind::CallFunction {
                function,
                args,
                result,
            } => {
                self.arguments(args);
                let insn = self.here();
                self.code.relocations.push(Relocation {
                    insn,
                    target: RelocationTarget::Call(function.0),
                });
                self.push(Insn {
                    code: op::JMP | op::CALL,
                    src: op::PSEUDO_CALL,
                    imm: -1,
                    ..Insn::default()
                });
                self.result(*result);
            }
            InstKind::Comment(_) => {}
        }
    }

    fn alu(&mut self, alu: AluOp, width: Width, dst: Reg, right: Operand) {
        let (bits, off) = match alu {
            AluOp::Add => (op::ADD, 0),
            AluOp::Sub => (op::SUB, 0),
            AluOp::Mul => (op::MUL, 0),
            AluOp::Div => (op::DIV, 0),
            AluOp::Mod => (op::MOD, 0),
            AluOp::SignedDiv => (op::DIV, 1),
            AluOp::SignedMod => (op::MOD, 1),
            AluOp::And => (op::AND, 0),
            AluOp::Or => (op::OR, 0),
            AluOp::Xor => (op::XOR, 0),
            AluOp::ShiftLeft => (op::LSH, 0),
            AluOp::ShiftRight => (op::RSH, 0),
            AluOp::ArithmeticShiftRight => (op::ARSH, 0),
        };
        let class = match width {
            Width::W32 => op::ALU,
            Width::W64 => op::ALU64,
        };
        let (x, src, imm) = self.second(right);
        self.push(Insn {
            code: class | bits | x,
            dst: self.reg(dst),
            src,
            off,
            imm,
        });
    }

    /// The source bit, the register and the constant of a second operand.
    fn second(&self, operand: Operand) -> (u8, u8, i32) {
        match operand {
            Operand::Reg(reg) => (op::X, self.reg(reg), 0),
            // The legaliser left nothing but constants that fit.
            Operand::Imm(value) => (0, 0, i32::try_from(value).unwrap_or(0)),
            _ => (0, 0, 0),
        }
    }

    fn store(&mut self, address: Address, src: Operand, size: Size) {
        let (dst, off) = self.address(address);
        let (x, src, imm) = self.second(src);
        let class = if x == 0 { op::ST } else { op::STX };
        self.push(Insn {
            code: class | op::MEM | size_bits(size),
            dst,
            src,
            off,
            imm,
        });
    }

    fn atomic(&mut self, address: Address, src: Reg, size: Size, imm: i32) {
        let (dst, off) = self.address(address);
        self.push(Insn {
            code: op::STX | op::ATOMIC | size_bits(size),
            dst,
            src: self.reg(src),
            off,
            imm,
        });
    }

    /// Puts arguments where a call expects them.
    fn arguments(&mut self, args: &[Operand]) {
        let mut moves = Vec::new();
        for (to, arg) in (1u8..).zip(args) {
            if let Operand::Reg(reg) = arg {
                moves.push((to, self.reg(*reg)));
            }
        }
        // r0 is free: what lives there dies here, and has been read when a cycle is met.
        for (to, from) in moves::sequence(&moves, 0) {
            self.move_reg(to, from);
        }
        for (to, arg) in (1u8..).zip(args) {
            if !matches!(arg, Operand::Reg(_)) {
                self.load(to, *arg);
            }
        }
    }

    fn result(&mut self, result: Option<Reg>) {
        if let Some(reg) = result {
            self.move_reg(self.reg(reg), 0);
        }
    }

    fn jump(&mut self, code: u8, dst: u8, src: u8, imm: i32, to: Label) {
        self.jumps.push((self.code.insns.len(), to));
        self.push(Insn {
            code,
            dst,
            src,
            off: 0,
            imm,
        });
    }

    fn end(&mut self, end: &End, next: Label) {
        match end {
            End::Jump(label) => {
                if *label != next {
                    self.jump(op::JMP | op::JA, 0, 0, 0, *label);
                }
            }
            End::Return(operand) => {
                self.load(0, *operand);
                self.push(Insn {
                    code: op::JMP | op::EXIT,
                    ..Insn::default()
                });
            }
            End::Branch {
                comparison,
                width,
                left,
                right,
                then,
                otherwise,
            } => {
                let class = match width {
                    Width::W32 => op::JMP32,
                    Width::W64 => op::JMP,
                };
                let (x, src, imm) = self.second(*right);
                let (_, dst, _) = self.second(*left);
                // Fall through to what comes next where the comparison can be turned round.
                let (comparison, then, otherwise) = match comparison.negated() {
                    Some(negated) if *then == next => (negated, *otherwise, *then),
                    _ => (*comparison, *then, *otherwise),
                };
                if then != otherwise {
                    let code = class | comparison_bits(comparison) | x;
                    self.jump(code, dst, src, imm, then);
                }
                if otherwise != next {
                    self.jump(op::JMP | op::JA, 0, 0, 0, otherwise);
                }
            }
        }
    }
}

fn size_bits(size: Size) -> u8 {
    match size {
        Size::B1 => op::B,
        Size::B2 => op::H,
        Size::B4 => op::W,
        Size::B8 => op::DW,
    }
}

fn comparison_bits(comparison: Comparison) -> u8 {
    match comparison {
        Comparison::Equal => op::JEQ,
        Comparison::NotEqual => op::JNE,
        Comparison::Less => op::JLT,
        Comparison::LessEqual => op::JLE,
        Comparison::Greater => op::JGT,
        Comparison::GreaterEqual => op::JGE,
        Comparison::SignedLess => op::JSLT,
        Comparison::SignedLessEqual => op::JSLE,
        Comparison::SignedGreater => op::JSGT,
        Comparison::SignedGreaterEqual => op::JSGE,
        Comparison::Set => op::JSET,
    }
}
