//! What the IR means, said as plainly as possible.

use super::memory::{self, World};
use crate::ir::{
    Address, AluOp, AtomicOp, Base, Comparison, End, InstKind, Operand, Program, Size, Width,
};

fn bytes(size: Size) -> usize {
    size.bytes() as usize
}

struct Frame<'a> {
    regs: Vec<u64>,
    slots: Vec<u64>,
    world: &'a mut World,
}

impl Frame<'_> {
    fn operand(&self, operand: Operand) -> u64 {
        match operand {
            Operand::Reg(reg) => self.regs[reg.0 as usize],
            Operand::Imm(value) => value.cast_unsigned(),
            Operand::Frame(slot, offset) => {
                self.slots[slot.0 as usize].wrapping_add_signed(i64::from(offset))
            }
            Operand::Map(map) => memory::MAP + u64::from(map.0),
            Operand::Global(offset) => (1 << 32) + u64::from(offset),
            Operand::Function(function) => memory::FUNCTION + u64::from(function.0),
            Operand::Site => memory::SITE,
            Operand::Variable(id) => u64::from(id),
        }
    }

    fn address(&self, address: Address) -> u64 {
        let base = match address.base {
            Base::Reg(reg) => self.regs[reg.0 as usize],
            Base::Frame(slot) => self.slots[slot.0 as usize],
        };
        base.wrapping_add_signed(i64::from(address.offset))
    }
}

/// Runs a function of a program.
pub(super) fn run(program: &Program, function: usize, args: &[u64], world: &mut World) -> u64 {
    let function = &program.functions[function];
    let slots = function.slots.iter();
    let slots = slots
        .map(|slot| world.memory.add(slot.size as usize))
        .collect();
    let mut frame = Frame {
        regs: vec![0xdead; function.registers as usize],
        slots,
        world,
    };
    for (param, arg) in function.params.iter().zip(args) {
        frame.regs[param.0 as usize] = *arg;
    }
    let mut at = 0;
    loop {
        let block = &function.blocks[at];
        for inst in &block.insts {
            frame.world.fuel = frame.world.fuel.checked_sub(1).expect("the program ends");
            step(program, &inst.kind, &mut frame);
        }
        match block.end.as_ref().expect("the block is ended") {
            End::Jump(label) => at = label.0 as usize,
            End::Return(operand) => return frame.operand(*operand),
            End::Branch {
                comparison,
                width,
                left,
                right,
                then,
                otherwise,
            } => {
                let holds = compare(
                    *comparison,
                    *width,
                    frame.operand(*left),
                    frame.operand(*right),
                );
                at = if holds { then.0 } else { otherwise.0 } as usize;
            }
        }
    }
}

fn step(program: &Program, kind: &InstKind, f: &mut Frame<'_>) {
    let result = match kind {
        InstKind::Move { src, .. } => f.operand(*src),
        InstKind::Truncate32 { src, .. } => f.regs[src.0 as usize] & 0xffff_ffff,
        InstKind::Alu {
            op,
            width,
            left,
            right,
            ..
        } => alu(*op, *width, f.operand(*left), f.operand(*right)),
        InstKind::Negate { src, .. } => f.regs[src.0 as usize].wrapping_neg(),
        InstKind::SignExtend { src, size, .. } => {
            let shift = 64 - 8 * size.bytes();
            ((f.regs[src.0 as usize] << shift).cast_signed() >> shift).cast_unsigned()
        }
        InstKind::ByteSwap { src, size, .. } => {
            f.regs[src.0 as usize].swap_bytes() >> (64 - 8 * size.bytes())
        }
        InstKind::Load { address, size, .. } => {
            let at = f.address(*address);
            f.world.memory.read(at, bytes(*size))
        }
        InstKind::Store { address, src, size } => {
            let (at, value) = (f.address(*address), f.operand(*src));
            return f.world.memory.write(at, bytes(*size), value);
        }
        InstKind::Atomic {
            op,
            size,
            address,
            src,
            ..
        } => {
            let (at, value) = (f.address(*address), f.regs[src.0 as usize]);
            let old = f.world.memory.read(at, bytes(*size));
            let new = match op {
                AtomicOp::Add => old.wrapping_add(value),
                AtomicOp::And => old & value,
                AtomicOp::Or => old | value,
                AtomicOp::Xor => old ^ value,
                AtomicOp::Exchange => value,
            };
            f.world.memory.write(at, bytes(*size), new);
            old
        }
        InstKind::CompareExchange {
            address,
            expected,
            src,
            ..
        } => {
            let at = f.address(*address);
            let old = f.world.memory.read(at, 8);
            if old == f.regs[expected.0 as usize] {
                f.world.memory.write(at, 8, f.regs[src.0 as usize]);
            }
            old
        }
        InstKind::Call { helper, args, .. } => {
            let mut values = [0; 5];
            for (value, arg) in values.iter_mut().zip(args) {
                *value = f.operand(*arg);
            }
            f.world.call(helper.number, values)
        }
        InstKind::CallFunction { function, args, .. } => {
            let args: Vec<u64> = args.iter().map(|arg| f.operand(*arg)).collect();
            run(program, function.0 as usize, &args, f.world)
        }
        InstKind::Comment(_) => return,
    };
    if let Some(dst) = kind.def() {
        f.regs[dst.0 as usize] = result;
    }
}

fn alu(op: AluOp, width: Width, a: u64, b: u64) -> u64 {
    let value = match width {
        Width::W64 => alu64(op, a, b),
        Width::W32 => {
            let signed = |v: u64| i64::from(v as u32 as i32).cast_unsigned();
            match op {
                AluOp::SignedDiv | AluOp::SignedMod => alu64(op, signed(a), signed(b)),
                AluOp::ArithmeticShiftRight => alu64(op, signed(a), b & 31),
                AluOp::ShiftLeft | AluOp::ShiftRight => alu64(op, a & 0xffff_ffff, b & 31),
                _ => alu64(op, a & 0xffff_ffff, b & 0xffff_ffff),
            }
        }
    };
    if width == Width::W32 {
        value & 0xffff_ffff
    } else {
        value
    }
}

fn alu64(op: AluOp, a: u64, b: u64) -> u64 {
    let shift = (b & 63) as u32;
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::SignedDiv if b == 0 => 0,
        AluOp::SignedMod if b == 0 => a,
        AluOp::SignedDiv => a
            .cast_signed()
            .wrapping_div(b.cast_signed())
            .cast_unsigned(),
        AluOp::SignedMod => a
            .cast_signed()
            .wrapping_rem(b.cast_signed())
            .cast_unsigned(),
        AluOp::And => a & b,
        AluOp::Or => a | b,
        AluOp::Xor => a ^ b,
        AluOp::ShiftLeft => a << shift,
        AluOp::ShiftRight => a >> shift,
        AluOp::ArithmeticShiftRight => (a.cast_signed() >> shift).cast_unsigned(),
    }
}

fn compare(comparison: Comparison, width: Width, a: u64, b: u64) -> bool {
    let (a, b, sa, sb) = match width {
        Width::W64 => (a, b, a.cast_signed(), b.cast_signed()),
        Width::W32 => (
            a & 0xffff_ffff,
            b & 0xffff_ffff,
            i64::from(a as u32 as i32),
            i64::from(b as u32 as i32),
        ),
    };
    match comparison {
        Comparison::Equal => a == b,
        Comparison::NotEqual => a != b,
        Comparison::Less => a < b,
        Comparison::LessEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterEqual => a >= b,
        Comparison::SignedLess => sa < sb,
        Comparison::SignedLessEqual => sa <= sb,
        Comparison::SignedGreater => sa > sb,
        Comparison::SignedGreaterEqual => sa >= sb,
        Comparison::Set => a & b != 0,
    }
}
