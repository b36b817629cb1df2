//! `($a, @m[k]) = tuple`: each element goes to a target of its own.
//!
//! Takes the targets and the tuple, and gives plain assignments from a nameless variable that
//! holds the tuple meanwhile, so that `($a, $b) = ($b, $a)` exchanges the two. Never assigns a
//! part of the targets: a tuple of another length is refused.

use super::Infer;
use crate::hir::{Stmt, StmtKind};
use crate::types::Type;
use rbt_grammar::ast;
use rbt_grammar::{Diagnostic, Span, Spanned, codes};

impl Infer<'_, '_> {
    pub(super) fn unpack(
        &mut self,
        targets: &[ast::Expr],
        value: &ast::Expr,
        at: Span,
        span: Span,
    ) -> Option<Stmt> {
        // No script can spell it, and no other tuple is unpacked at this place.
        let name = format!("({:?}:{})", at.source, at.start);
        let whole = self.assign_named(&name, value.span, None, value, span)?;
        let ty = match self.find_variable(&name) {
            Some(id) => self.variable(id).ty.clone(),
            None => Type::Error,
        };
        let wrong = match &ty {
            Type::Tuple(parts) if parts.len() == targets.len() => None,
            Type::Tuple(parts) => Some(format!(
                "A tuple of {} elements cannot be unpacked into {} targets",
                parts.len(),
                targets.len()
            )),
            ty if ty.is_absorbing() || *ty == Type::Unknown => None,
            ty => Some(format!(
                "Only tuples can be unpacked, not a value of type '{ty}'"
            )),
        };
        if let Some(message) = wrong {
            self.report(
                Diagnostic::error(
                    codes::BAD_TARGET,
                    message,
                    value.span,
                    format!("`{ty}` here"),
                )
                .help("write a target for each element, `_` for those that are not wanted"),
            );
            return None;
        }
        let mut statements = vec![Stmt { kind: whole, span }];
        for (index, target) in (0..).zip(targets) {
            let is_unwanted =
                matches!(&target.kind, ast::ExprKind::Identifier(name) if name == "_");
            if is_unwanted {
                continue;
            }
            let base = Box::new(ast::Expr {
                kind: ast::ExprKind::Variable(name.clone()),
                span: value.span,
            });
            let index = Spanned::new(index, target.span);
            let element = ast::Expr {
                kind: ast::ExprKind::TupleElement { base, index },
                span: target.span,
            };
            statements.extend(self.assign(target, None, &element, span));
        }
        let kind = StmtKind::Block(statements);
        Some(Stmt { kind, span })
    }
}
