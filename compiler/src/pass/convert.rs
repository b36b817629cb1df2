//! Explicit conversions: an expression of one type as another.

use crate::hir::{Expr, ExprKind};
use crate::pass::fold;
use crate::types::Type;

/// A text that travels as a number as the text itself; anything else stays what it is.
pub fn spelled_out(expr: Expr) -> Expr {
    match expr.ty.spelled_out() {
        Some(ty) => convert(expr, &ty),
        None => expr,
    }
}

/// `expr` as `ty`. The caller knows that the one can become the other.
pub fn convert(expr: Expr, ty: &Type) -> Expr {
    if expr.ty == *ty || ty.is_absorbing() || expr.ty.is_absorbing() {
        return expr;
    }
    let span = expr.span;
    match expr.kind {
        ExprKind::Int(value) if ty.is_scalar() => {
            let value = if *ty == Type::Bool {
                i64::from(value != 0)
            } else {
                fold::truncate(value, ty)
            };
            Expr::int(value, ty.clone(), span)
        }
        ExprKind::Str(bytes) if matches!(ty, Type::Str(_)) => {
            Expr::new(ExprKind::Str(bytes), ty.clone(), span)
        }
        ExprKind::Zero => Expr::new(ExprKind::Zero, ty.clone(), span),
        ExprKind::Tuple(elements) if ty.elements().is_some_and(|t| t.len() == elements.len()) => {
            if let (Type::Record(from), Type::Record(to)) = (&expr.ty, ty) {
                // Records match by name; the parts keep the order in which they were written,
                // and so what they do.
                let is_same_order = from.iter().zip(to.iter()).all(|((a, _), (b, _))| a == b);
                if !is_same_order {
                    let whole = Expr::new(ExprKind::Tuple(elements), expr.ty, span);
                    return Expr::new(ExprKind::Convert(Box::new(whole)), ty.clone(), span);
                }
            }
            let types = ty.elements().unwrap_or_default();
            let elements = elements
                .into_iter()
                .zip(types)
                .map(|(element, ty)| convert(element, ty))
                .collect();
            Expr::new(ExprKind::Tuple(elements), ty.clone(), span)
        }
        kind => {
            if let (Type::Aggregate(_), ExprKind::MapValue { map, key }) = (&expr.ty, &kind) {
                let is_signed = expr.ty.is_signed();
                let whole = if is_signed {
                    crate::types::I64
                } else {
                    crate::types::U64
                };
                let read = ExprKind::ReadAggregate {
                    map: *map,
                    key: key.clone(),
                };
                return convert(Expr::new(read, whole, span), ty);
            }
            let inner = Expr::new(kind, expr.ty, span);
            Expr::new(ExprKind::Convert(Box::new(inner)), ty.clone(), span)
        }
    }
}
