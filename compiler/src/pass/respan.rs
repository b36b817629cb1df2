//! Moves what was written elsewhere to the place where it is used, so that complaints show the
//! use: an expression of a `#define`, the body of a macro of the library.

use super::walk::{self, Rewrite};
use rbt_grammar::Span;
use rbt_grammar::ast::{Block, Expr, ExprKind, Statement, StatementKind, TypeName};

/// Gives an expression and all its parts one span.
pub fn expr(expr: &mut Expr, span: Span) {
    walk::expr(expr, &mut Place(span));
}

/// Gives a block and all its parts one span.
pub fn block(block: &mut Block, span: Span) {
    walk::block(block, &mut Place(span));
    block.span = span;
}

struct Place(Span);

impl Rewrite for Place {
    fn expr(&mut self, expr: &mut Expr) {
        let span = self.0;
        expr.span = span;
        match &mut expr.kind {
            ExprKind::Field { name, .. } | ExprKind::Call { name, .. } => name.span = span,
            ExprKind::TupleElement { index, .. } => index.span = span,
            ExprKind::Binary { op_span, .. } => *op_span = span,
            ExprKind::Record(fields) => fields.iter_mut().for_each(|(name, _)| name.span = span),
            ExprKind::Offsetof { path, .. } => path.iter_mut().for_each(|name| name.span = span),
            ExprKind::Block(inner) => inner.span = span,
            ExprKind::If {
                then, otherwise, ..
            } => {
                then.span = span;
                otherwise.iter_mut().for_each(|block| block.span = span);
            }
            _ => {}
        }
    }

    fn statement(&mut self, statement: &mut Statement) {
        let span = self.0;
        statement.span = span;
        match &mut statement.kind {
            StatementKind::Let { name, .. } => name.span = span,
            StatementKind::If {
                then, otherwise, ..
            } => {
                then.span = span;
                otherwise.iter_mut().for_each(|block| block.span = span);
            }
            StatementKind::For { variable, body, .. } => {
                variable.span = span;
                body.span = span;
            }
            StatementKind::While { body, .. }
            | StatementKind::Unroll { body, .. }
            | StatementKind::Block(body) => body.span = span,
            _ => {}
        }
    }

    fn type_name(&mut self, ty: &mut TypeName) {
        ty.span = self.0;
    }
}
