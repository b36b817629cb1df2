//! Statements.

use super::{Builder, Home};
use crate::hir::{ExprKind, Stmt, StmtKind};

impl Builder<'_> {
    pub(super) fn statements(&mut self, statements: &[Stmt]) {
        for statement in statements {
            self.with_span(statement.span, |b| b.statement(statement));
        }
    }

    fn freeing_scratch_of(&mut self, statements: &[Stmt]) {
        self.freeing_scratch(|b| b.statements(statements));
    }

    fn statement(&mut self, statement: &Stmt) {
        match &statement.kind {
            StmtKind::Expr(expr) => match &expr.kind {
                // Without a value, the sum can be exact.
                ExprKind::StepMap { map, key, by, .. } => {
                    let by = crate::hir::Expr::int(*by, crate::types::I64, expr.span);
                    let add = crate::hir::BinaryOp::Add;
                    self.update_map(*map, key.as_deref(), add, &by);
                }
                _ if expr.ty.is_scalar() || expr.ty.size() == 0 => {
                    self.value(expr);
                }
                _ => {
                    self.address(expr);
                }
            },
            StmtKind::SetVariable(id, value) => {
                if value.ty.is_scalar() {
                    let scalar = self.value(value);
                    self.set_variable_scalar(*id, scalar);
                } else if let Home::Memory(to) = self.home_or_new(*id) {
                    if crate::hir::any(
                        value,
                        &mut |e| matches!(&e.kind, ExprKind::Variable(v) if v == id),
                    ) {
                        // Its own old value goes into the new one.
                        let copy = self.temporary(value.ty.size(), "a value");
                        self.store(value, copy);
                        self.copy_bytes(to, copy, value.ty.size());
                    } else {
                        self.store(value, to);
                    }
                }
            }
            StmtKind::Clear(id) => match self.home_or_new(*id) {
                Home::Memory(to) => {
                    let size = self.variable_type(*id).size();
                    self.zero(to, size);
                }
                _ => self.set_variable_scalar(*id, crate::ir::Operand::Imm(0)),
            },
            StmtKind::SetMap { map, key, value } => self.set_map(*map, key.as_ref(), value),
            StmtKind::UpdateMap {
                map,
                key,
                op,
                value,
            } => self.update_map(*map, key.as_ref(), *op, value),
            StmtKind::Aggregate { map, key, call } => self.aggregate(*map, key.as_ref(), call),
            StmtKind::If {
                condition,
                then,
                otherwise,
            } => self.either(
                condition,
                |b| b.freeing_scratch_of(then),
                |b| b.freeing_scratch_of(otherwise),
            ),
            StmtKind::While { condition, body } => self.while_loop(condition, body),
            StmtKind::ForRange {
                variable,
                from,
                to,
                is_signed,
                body,
            } => self.range_loop(*variable, from, to, *is_signed, body),
            StmtKind::ForMap {
                variable,
                map,
                body,
            } => self.map_loop(*variable, *map, body),
            StmtKind::Break => self.jump_out(true),
            StmtKind::Continue => self.jump_out(false),
            StmtKind::Return(value) => {
                if let Some(value) = value {
                    let value = self.value(value);
                    self.set_result(value);
                }
                self.leave();
            }
            StmtKind::Block(statements) => self.freeing_scratch_of(statements),
        }
    }
}
