//! Pointers whose type the kernel's verifier knows: arguments of traced functions, members of
//! an iterator's context, and what these point to.

use rbt_compiler::hir::{Expr, ExprKind};
use rbt_compiler::ir::{Address, AluOp, Comparison, Operand, Size};
use rbt_compiler::lower::Builder;
use rbt_compiler::types::Type;

/// Calls `then` with the pointer that an expression is, or the address of the struct that it
/// is, loaded so that its type is still known; not if it, or one on the way to it, is null.
pub(super) fn typed_pointer(
    expr: &Expr,
    b: &mut Builder<'_>,
    then: impl FnOnce(&mut Builder<'_>, Operand),
) {
    // From the outside in: what is loaded last comes first.
    let mut steps = Vec::new();
    let mut at = expr;
    let mut inside = 0;
    let root = loop {
        match &at.kind {
            ExprKind::Part { of, offset, .. } => {
                inside += i64::from(*offset);
                at = of;
            }
            ExprKind::Memory {
                address, offset, ..
            } => {
                if matches!(at.ty, Type::Struct(_)) {
                    inside += offset;
                } else {
                    steps.push((*offset, inside));
                    inside = 0;
                }
                at = address;
            }
            _ => break b.value(at),
        }
    };
    let first = inside;
    steps.reverse();
    follow(root, first, &steps, b, then);
}

/// `inside` is where, in what `pointer` points to, the next pointer lies or the struct that is
/// meant.
fn follow(
    pointer: Operand,
    inside: i64,
    steps: &[(i64, i64)],
    b: &mut Builder<'_>,
    then: impl FnOnce(&mut Builder<'_>, Operand),
) {
    let Some(((offset, next), rest)) = steps.split_first() else {
        let address = match inside {
            0 => pointer,
            inside => b.alu(AluOp::Add, pointer, inside),
        };
        then(b, address);
        return;
    };
    let base = b.in_reg(pointer);
    let at = i32::try_from(offset + inside).unwrap_or(i32::MAX);
    let loaded = b.load(Address::reg(base).plus(at), Size::B8);
    b.when(Comparison::NotEqual, loaded, 0, |b| {
        follow(Operand::Reg(loaded), *next, rest, b, then);
    });
}
