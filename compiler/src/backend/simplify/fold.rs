//! Arithmetic on what is known: constants, neutral elements, powers of two.
//!
//! The machine's own arithmetic: wrapping, division by zero gives zero, remainder by zero
//! the dividend, shifts by their distance modulo the width.

use crate::backend::legalise::{fits_i32, low_half};
use crate::ir::{AluOp, Comparison, InstKind, Operand, Reg, Width};

/// The value of `a op b`.
pub(in crate::backend) fn evaluate(op: AluOp, width: Width, a: i64, b: i64) -> i64 {
    match width {
        Width::W64 => evaluate64(op, a, b),
        Width::W32 => {
            let is_signed = matches!(
                op,
                AluOp::SignedDiv | AluOp::SignedMod | AluOp::ArithmeticShiftRight
            );
            let b = match op {
                AluOp::ShiftLeft | AluOp::ShiftRight | AluOp::ArithmeticShiftRight => b & 31,
                _ if is_signed => low_half(b),
                _ => upper_clear(b),
            };
            let a = if is_signed {
                low_half(a)
            } else {
                upper_clear(a)
            };
            upper_clear(evaluate64(op, a, b))
        }
    }
}

/// The low 32 bits, zero-extended.
pub(super) fn upper_clear(value: i64) -> i64 {
    value & 0xffff_ffff
}

fn evaluate64(op: AluOp, a: i64, b: i64) -> i64 {
    let (ua, ub) = (a.cast_unsigned(), b.cast_unsigned());
    // At most 63.
    let distance = u32::try_from(b & 63).unwrap_or(0);
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => ua.checked_div(ub).unwrap_or(0).cast_signed(),
        AluOp::Mod => ua.checked_rem(ub).unwrap_or(ua).cast_signed(),
        AluOp::SignedDiv if b == 0 => 0,
        AluOp::SignedDiv => a.wrapping_div(b),
        AluOp::SignedMod if b == 0 => a,
        AluOp::SignedMod => a.wrapping_rem(b),
        AluOp::And => a & b,
        AluOp::Or => a | b,
        AluOp::Xor => a ^ b,
        AluOp::ShiftLeft => a.wrapping_shl(distance),
        AluOp::ShiftRight => ua.wrapping_shr(distance).cast_signed(),
        AluOp::ArithmeticShiftRight => a.wrapping_shr(distance),
    }
}

/// Whether the comparison holds.
pub(super) fn holds(comparison: Comparison, width: Width, a: i64, b: i64) -> bool {
    let (a, b) = match width {
        Width::W64 => (a, b),
        Width::W32 => (low_half(a), low_half(b)),
    };
    // Extending the sign keeps the order of unsigned numbers of 32 bits.
    let (ua, ub) = (a.cast_unsigned(), b.cast_unsigned());
    match comparison {
        Comparison::Equal => a == b,
        Comparison::NotEqual => a != b,
        Comparison::Less => ua < ub,
        Comparison::LessEqual => ua <= ub,
        Comparison::Greater => ua > ub,
        Comparison::GreaterEqual => ua >= ub,
        Comparison::SignedLess => a < b,
        Comparison::SignedLessEqual => a <= b,
        Comparison::SignedGreater => a > b,
        Comparison::SignedGreaterEqual => a >= b,
        Comparison::Set => a & b != 0,
    }
}

/// A cheaper instruction for `dst = left op right`, if there is one.
pub(super) fn simpler(
    op: AluOp,
    width: Width,
    dst: Reg,
    left: Operand,
    right: Operand,
) -> Option<InstKind> {
    let constant = |value| {
        Some(InstKind::Move {
            dst,
            src: Operand::Imm(value),
        })
    };
    match (left, right) {
        (Operand::Imm(a), Operand::Imm(b)) => constant(evaluate(op, width, a, b)),
        (Operand::Frame(slot, offset), Operand::Imm(by)) if width == Width::W64 => {
            let by = match op {
                AluOp::Add => by,
                AluOp::Sub => by.checked_neg()?,
                _ => return None,
            };
            let offset = i64::from(offset).checked_add(by)?;
            let offset = i32::try_from(offset).ok().filter(|offset| *offset >= 0)?;
            Some(InstKind::Move {
                dst,
                src: Operand::Frame(slot, offset),
            })
        }
        (Operand::Global(offset), Operand::Imm(by)) if width == Width::W64 => {
            let by = match op {
                AluOp::Add => by,
                AluOp::Sub => by.checked_neg()?,
                _ => return None,
            };
            let offset = u32::try_from(i64::from(offset).checked_add(by)?).ok()?;
            Some(InstKind::Move {
                dst,
                src: Operand::Global(offset),
            })
        }
        (Operand::Imm(_), _) if super::super::legalise::is_commutative(op) => {
            let swapped = InstKind::Alu {
                op,
                width,
                dst,
                left: right,
                right: left,
            };
            Some(simpler(op, width, dst, right, left).unwrap_or(swapped))
        }
        (Operand::Reg(src), Operand::Imm(value)) => by_constant(op, width, dst, src, value),
        (Operand::Reg(a), Operand::Reg(b)) if a == b => match op {
            AluOp::Sub | AluOp::Xor => constant(0),
            _ => None,
        },
        _ => None,
    }
}

fn by_constant(op: AluOp, width: Width, dst: Reg, src: Reg, value: i64) -> Option<InstKind> {
    let value = match width {
        Width::W32 => upper_clear(value),
        Width::W64 => value,
    };
    let all_ones = match width {
        Width::W32 => 0xffff_ffff,
        Width::W64 => -1,
    };
    let same = || match width {
        Width::W32 => InstKind::Truncate32 { dst, src },
        Width::W64 => InstKind::Move {
            dst,
            src: Operand::Reg(src),
        },
    };
    let alu = |op, width, right| InstKind::Alu {
        op,
        width,
        dst,
        left: Operand::Reg(src),
        right: Operand::Imm(right),
    };
    let zero = InstKind::Move {
        dst,
        src: Operand::Imm(0),
    };
    let power = value.cast_unsigned();
    let exponent = i64::from(power.trailing_zeros());
    Some(match (op, value) {
        (
            AluOp::Add
            | AluOp::Sub
            | AluOp::Or
            | AluOp::Xor
            | AluOp::ShiftLeft
            | AluOp::ShiftRight
            | AluOp::ArithmeticShiftRight,
            0,
        )
        | (AluOp::Mul | AluOp::Div, 1)
        | (AluOp::Mod, 0) => same(),
        (AluOp::Mul | AluOp::And | AluOp::Div, 0) | (AluOp::Mod, 1) => zero,
        (AluOp::And, _) if value == all_ones => same(),
        (AluOp::And, 0xffff_ffff) => InstKind::Truncate32 { dst, src },
        // A mask of the lower half that no 64-bit instruction can hold: a 32-bit one clears
        // the upper half as well.
        (AluOp::And, 0..=0xffff_ffff) if width == Width::W64 && !fits_i32(value) => {
            alu(op, Width::W32, value)
        }
        (AluOp::Mul, _) if power.is_power_of_two() => alu(AluOp::ShiftLeft, width, exponent),
        (AluOp::Div, _) if power.is_power_of_two() => alu(AluOp::ShiftRight, width, exponent),
        (AluOp::Mod, _) if power.is_power_of_two() => alu(AluOp::And, width, value.wrapping_sub(1)),
        // One form of adding a constant, so that chains of them meet.
        (AluOp::Sub, _) if width == Width::W64 && value != i64::MIN => {
            alu(AluOp::Add, width, -value)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(op: AluOp, width: Width, value: i64) -> Option<InstKind> {
        simpler(op, width, Reg(1), Operand::Reg(Reg(0)), Operand::Imm(value))
    }

    fn alu(op: AluOp, width: Width, value: i64) -> Option<InstKind> {
        Some(InstKind::Alu {
            op,
            width,
            dst: Reg(1),
            left: Operand::Reg(Reg(0)),
            right: Operand::Imm(value),
        })
    }

    fn copy(src: Operand) -> Option<InstKind> {
        Some(InstKind::Move { dst: Reg(1), src })
    }

    #[test]
    fn constants_follow_the_machine() {
        use AluOp as A;
        use Width::{W32, W64};
        assert_eq!(evaluate(A::Div, W64, -1, 2), i64::MAX);
        assert_eq!(evaluate(A::Div, W64, 7, 0), 0);
        assert_eq!(evaluate(A::Mod, W64, 7, 0), 7);
        assert_eq!(evaluate(A::SignedDiv, W64, i64::MIN, -1), i64::MIN);
        assert_eq!(evaluate(A::SignedMod, W64, i64::MIN, -1), 0);
        assert_eq!(evaluate(A::Add, W32, 0xffff_ffff, 1), 0);
        assert_eq!(evaluate(A::Sub, W32, 0, 1), 0xffff_ffff);
        assert_eq!(evaluate(A::SignedDiv, W32, -6, 3), 0xffff_fffe);
        assert_eq!(
            evaluate(A::ArithmeticShiftRight, W32, 0x8000_0000, 31),
            0xffff_ffff
        );
        assert_eq!(evaluate(A::ShiftLeft, W64, 1, 65), 2);
        assert!(holds(Comparison::Less, W32, 1 << 32, 1));
        assert!(holds(Comparison::Greater, W32, -1, 1));
        assert!(holds(Comparison::SignedLess, W32, 0xffff_ffff, 0));
    }

    #[test]
    fn powers_of_two_become_shifts_and_masks() {
        use Width::{W32, W64};
        assert_eq!(by(AluOp::Mul, W64, 8), alu(AluOp::ShiftLeft, W64, 3));
        assert_eq!(
            by(AluOp::Div, W64, 1 << 40),
            alu(AluOp::ShiftRight, W64, 40)
        );
        assert_eq!(by(AluOp::Mod, W32, 64), alu(AluOp::And, W32, 63));
        assert_eq!(by(AluOp::Mul, W64, 10), None);
        assert_eq!(by(AluOp::SignedDiv, W64, 8), None);
    }

    #[test]
    fn neutral_elements_vanish_and_masks_shrink() {
        use Width::{W32, W64};
        let src = Reg(0);
        let dst = Reg(1);
        assert_eq!(by(AluOp::Add, W64, 0), copy(Operand::Reg(src)));
        assert_eq!(by(AluOp::Mul, W64, 0), copy(Operand::Imm(0)));
        assert_eq!(
            by(AluOp::Or, W32, 0),
            Some(InstKind::Truncate32 { dst, src })
        );
        assert_eq!(
            by(AluOp::And, W64, 0xffff_ffff),
            Some(InstKind::Truncate32 { dst, src })
        );
        assert_eq!(
            by(AluOp::And, W64, 0xffff_0000),
            alu(AluOp::And, W32, 0xffff_0000)
        );
        assert_eq!(by(AluOp::And, W64, -4096), None);
        assert_eq!(by(AluOp::Sub, W64, 5), alu(AluOp::Add, W64, -5));
    }
}
