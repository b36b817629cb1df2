//! A generic walk over the tree, for passes that rewrite a few kinds of nodes and ignore the
//! rest. Children first: what a closure puts in the place of a node is not walked again.

use rbt_grammar::ast::{
    Argument, Block, Expr, ExprKind, ForOver, Statement, StatementKind, TypeBase, TypeName,
    TypeOrExpr, TypeSuffix,
};

/// What is done with the nodes of a walk.
pub trait Rewrite {
    /// An expression whose parts were walked.
    fn expr(&mut self, expr: &mut Expr);
    /// A statement whose parts were walked.
    fn statement(&mut self, statement: &mut Statement) {
        let _ = statement;
    }
    /// A type whose parts were walked.
    fn type_name(&mut self, ty: &mut TypeName) {
        let _ = ty;
    }
}

/// Walks a block.
pub fn block(block: &mut Block, rewrite: &mut dyn Rewrite) {
    for statement in &mut block.statements {
        self::statement(statement, rewrite);
    }
    if let Some(value) = &mut block.value {
        expr(value, rewrite);
    }
}

fn statement(statement: &mut Statement, rewrite: &mut dyn Rewrite) {
    match &mut statement.kind {
        StatementKind::Expression(value) | StatementKind::Discard(value) => expr(value, rewrite),
        StatementKind::Assign { target, value, .. } => {
            expr(target, rewrite);
            expr(value, rewrite);
        }
        StatementKind::Let { ty, value, .. } => {
            if let Some(ty) = ty {
                type_name(ty, rewrite);
            }
            if let Some(value) = value {
                expr(value, rewrite);
            }
        }
        StatementKind::If {
            condition,
            then,
            otherwise,
        } => {
            expr(condition, rewrite);
            block(then, rewrite);
            if let Some(otherwise) = otherwise {
                block(otherwise, rewrite);
            }
        }
        StatementKind::While { condition, body } => {
            expr(condition, rewrite);
            block(body, rewrite);
        }
        StatementKind::Unroll { count, body } => {
            expr(count, rewrite);
            block(body, rewrite);
        }
        StatementKind::For { over, body, .. } => {
            match over {
                ForOver::Range(from, to) => {
                    expr(from, rewrite);
                    expr(to, rewrite);
                }
                ForOver::Map(map) => expr(map, rewrite),
            }
            block(body, rewrite);
        }
        StatementKind::Return(Some(value)) => expr(value, rewrite),
        StatementKind::Block(inner) => block(inner, rewrite),
        StatementKind::Return(None)
        | StatementKind::Break
        | StatementKind::Continue
        | StatementKind::Import(_)
        | StatementKind::Error => {}
    }
    rewrite.statement(statement);
}

/// Walks an expression.
pub fn expr(expr: &mut Expr, rewrite: &mut dyn Rewrite) {
    match &mut expr.kind {
        ExprKind::Index { base, indices } => {
            self::expr(base, rewrite);
            for index in indices {
                self::expr(index, rewrite);
            }
        }
        ExprKind::TupleElement { base, .. } | ExprKind::Field { base, .. } => {
            self::expr(base, rewrite);
        }
        ExprKind::Call { arguments, .. } => {
            for argument in arguments {
                match argument {
                    Argument::Expr(argument) => self::expr(argument, rewrite),
                    Argument::Type(ty) => type_name(ty, rewrite),
                }
            }
        }
        ExprKind::Unary { operand, .. } | ExprKind::Comptime(operand) => {
            self::expr(operand, rewrite);
        }
        ExprKind::Cast { ty, operand } => {
            type_name(ty, rewrite);
            self::expr(operand, rewrite);
        }
        ExprKind::Step { target, .. } => self::expr(target, rewrite),
        ExprKind::Binary { left, right, .. } => {
            self::expr(left, rewrite);
            self::expr(right, rewrite);
        }
        ExprKind::Ternary {
            condition,
            then,
            otherwise,
        } => {
            self::expr(condition, rewrite);
            if let Some(then) = then {
                self::expr(then, rewrite);
            }
            self::expr(otherwise, rewrite);
        }
        ExprKind::Tuple(elements) => {
            for element in elements {
                self::expr(element, rewrite);
            }
        }
        ExprKind::Record(fields) => {
            for (_, value) in fields {
                self::expr(value, rewrite);
            }
        }
        ExprKind::Block(inner) => block(inner, rewrite),
        ExprKind::If {
            condition,
            then,
            otherwise,
        } => {
            self::expr(condition, rewrite);
            block(then, rewrite);
            if let Some(otherwise) = otherwise {
                block(otherwise, rewrite);
            }
        }
        ExprKind::Sizeof(of) | ExprKind::Typeinfo(of) | ExprKind::Offsetof { of, .. } => {
            type_or_expr(of, rewrite);
        }
        ExprKind::Int(_)
        | ExprKind::Bool(_)
        | ExprKind::Str(_)
        | ExprKind::Identifier(_)
        | ExprKind::Variable(_)
        | ExprKind::Map(_)
        | ExprKind::Positional(_)
        | ExprKind::PositionalCount
        | ExprKind::Error => {}
    }
    rewrite.expr(expr);
}

fn type_or_expr(of: &mut TypeOrExpr, rewrite: &mut dyn Rewrite) {
    match of {
        TypeOrExpr::Type(ty) => type_name(ty, rewrite),
        TypeOrExpr::Expr(inner) => expr(inner, rewrite),
    }
}

fn type_name(ty: &mut TypeName, rewrite: &mut dyn Rewrite) {
    if let TypeBase::Typeof(of) = &mut ty.base {
        type_or_expr(of, rewrite);
    }
    for suffix in &mut ty.suffixes {
        if let TypeSuffix::Array(Some(length)) = suffix {
            expr(length, rewrite);
        }
    }
    rewrite.type_name(ty);
}
