//! Moves an expression that was written elsewhere to the place where it is used, so that
//! complaints show the use.

use rbt_grammar::Span;
use rbt_grammar::ast::{Argument, Expr, ExprKind};

/// Gives an expression and all its parts one span. Blocks keep theirs: a `#define` holds
/// none.
pub fn expr(expr: &mut Expr, span: Span) {
    expr.span = span;
    let each = |e: &mut Box<Expr>| self::expr(e, span);
    match &mut expr.kind {
        ExprKind::Unary { operand, .. }
        | ExprKind::Cast { operand, .. }
        | ExprKind::Comptime(operand) => each(operand),
        ExprKind::Step { target, .. } => each(target),
        ExprKind::Field { base, name } => {
            each(base);
            name.span = span;
        }
        ExprKind::TupleElement { base, index } => {
            each(base);
            index.span = span;
        }
        ExprKind::Binary {
            left,
            right,
            op_span,
            ..
        } => {
            *op_span = span;
            each(left);
            each(right);
        }
        ExprKind::Ternary {
            condition,
            then,
            otherwise,
        } => {
            each(condition);
            if let Some(then) = then {
                each(then);
            }
            each(otherwise);
        }
        ExprKind::Index { base, indices } => {
            each(base);
            for index in indices {
                self::expr(index, span);
            }
        }
        ExprKind::Call { name, arguments } => {
            name.span = span;
            for argument in arguments {
                match argument {
                    Argument::Expr(argument) => self::expr(argument, span),
                    Argument::Type(ty) => ty.span = span,
                }
            }
        }
        ExprKind::Tuple(elements) => {
            for element in elements {
                self::expr(element, span);
            }
        }
        ExprKind::Record(fields) => {
            for (name, value) in fields {
                name.span = span;
                self::expr(value, span);
            }
        }
        ExprKind::Int(_)
        | ExprKind::Bool(_)
        | ExprKind::Str(_)
        | ExprKind::Identifier(_)
        | ExprKind::Variable(_)
        | ExprKind::Map(_)
        | ExprKind::Positional(_)
        | ExprKind::PositionalCount
        | ExprKind::Block(_)
        | ExprKind::If { .. }
        | ExprKind::Sizeof(_)
        | ExprKind::Offsetof { .. }
        | ExprKind::Typeinfo(_)
        | ExprKind::Error => {}
    }
}
