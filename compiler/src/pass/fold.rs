//! Constant arithmetic, as the machine does it: 64 bits that wrap.
//!
//! What a literal expression means is decided here, and the arithmetic test compares it with
//! what eBPF computes.

use crate::hir::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::types::{Int, Type};

/// `value` cut to the width of a scalar type and extended by its sign.
pub fn truncate(value: i64, ty: &Type) -> i64 {
    let bits = u32::from(u8::try_from(ty.size()).unwrap_or(8)) * 8;
    if bits == 0 || bits >= 64 {
        return value;
    }
    let shift = 64 - bits;
    if ty.is_signed() {
        (value << shift) >> shift
    } else {
        ((value.cast_unsigned() << shift) >> shift).cast_signed()
    }
}

/// The value of a unary operator on a constant.
pub fn unary(op: UnaryOp, value: i64) -> i64 {
    match op {
        UnaryOp::Negate => value.wrapping_neg(),
        UnaryOp::Complement => !value,
        UnaryOp::Not => i64::from(value == 0),
    }
}

/// The value of a binary operator on constants; `None` for a division by zero.
pub fn binary(op: BinaryOp, left: i64, right: i64) -> Option<i64> {
    let (a, b) = (left.cast_unsigned(), right.cast_unsigned());
    let count = u32::try_from(b & 63).unwrap_or(0);
    Some(match op {
        BinaryOp::Add => left.wrapping_add(right),
        BinaryOp::Subtract => left.wrapping_sub(right),
        BinaryOp::Multiply => left.wrapping_mul(right),
        BinaryOp::Divide => a.checked_div(b)?.cast_signed(),
        BinaryOp::Remainder => a.checked_rem(b)?.cast_signed(),
        BinaryOp::SignedDivide if right == 0 => return None,
        BinaryOp::SignedDivide => left.wrapping_div(right),
        BinaryOp::SignedRemainder if right == 0 => return None,
        BinaryOp::SignedRemainder => left.wrapping_rem(right),
        BinaryOp::ShiftLeft => (a << count).cast_signed(),
        BinaryOp::ShiftRight => (a >> count).cast_signed(),
        BinaryOp::ArithmeticShiftRight => left >> count,
        BinaryOp::And => left & right,
        BinaryOp::Or => left | right,
        BinaryOp::Xor => left ^ right,
        BinaryOp::Equal => i64::from(left == right),
        BinaryOp::NotEqual => i64::from(left != right),
        BinaryOp::Less => i64::from(a < b),
        BinaryOp::LessEqual => i64::from(a <= b),
        BinaryOp::Greater => i64::from(a > b),
        BinaryOp::GreaterEqual => i64::from(a >= b),
        BinaryOp::SignedLess => i64::from(left < right),
        BinaryOp::SignedLessEqual => i64::from(left <= right),
        BinaryOp::SignedGreater => i64::from(left > right),
        BinaryOp::SignedGreaterEqual => i64::from(left >= right),
    })
}

/// The smallest signed type that holds a non-negative literal; `uint64` if none does.
pub fn literal_type(value: u64) -> Type {
    let signed = |size| {
        Type::Int(Int {
            size,
            is_signed: true,
        })
    };
    match i64::try_from(value) {
        Err(_) => crate::types::U64,
        Ok(value) => signed_type(value).unwrap_or_else(|| signed(8)),
    }
}

/// The smallest signed type that holds `value`.
pub fn signed_type(value: i64) -> Option<Type> {
    [1_u8, 2, 4, 8]
        .into_iter()
        .map(|size| {
            Type::Int(Int {
                size,
                is_signed: true,
            })
        })
        .find(|ty| truncate(value, ty) == value)
}

/// Whether an expression is a literal whose sign follows its neighbour.
pub fn is_flexible(expr: &Expr) -> bool {
    match (&expr.kind, &expr.ty) {
        (ExprKind::Int(value), Type::Int(_)) => {
            !expr.is_cast
                && *value >= 0
                && u64::try_from(*value).is_ok_and(|v| literal_type(v) == expr.ty)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{I8, I32, U8, U64};

    #[test]
    fn constants_are_cut_and_extended() {
        assert_eq!(truncate(300, &U8), 44);
        assert_eq!(truncate(200, &I8), -56);
        assert_eq!(truncate(-1, &U64), -1);
        assert_eq!(literal_type(70000), I32);
        assert_eq!(literal_type(u64::MAX), U64);
    }

    #[test]
    fn division_rounds_toward_zero_and_knows_its_limits() {
        assert_eq!(binary(BinaryOp::SignedDivide, -7, 2), Some(-3));
        assert_eq!(binary(BinaryOp::SignedRemainder, -7, 2), Some(-1));
        assert_eq!(binary(BinaryOp::Divide, 7, 0), None);
        assert_eq!(binary(BinaryOp::SignedDivide, i64::MIN, -1), Some(i64::MIN));
        assert_eq!(binary(BinaryOp::ShiftRight, -1, 63), Some(1));
    }
}
