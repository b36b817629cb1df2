//! Nodes of expressions, and blocks that are values.

use super::{Body, Builder, TallArgument, TallBlock, TallExpr, TallType, TallTypeOrExpr};
use super::{highest, nodes};
use crate::ast::*;

impl Builder<'_> {
    pub(crate) fn ternary(
        &mut self,
        l: usize,
        condition: TallExpr,
        then: Option<TallExpr>,
        otherwise: TallExpr,
        r: usize,
    ) -> TallExpr {
        let below = highest([
            condition.height,
            then.as_ref().map_or(0, |t| t.height),
            otherwise.height,
        ]);
        let kind = ExprKind::Ternary {
            condition: Box::new(condition.node),
            then: then.map(|t| Box::new(t.node)),
            otherwise: Box::new(otherwise.node),
        };
        self.expr(l, kind, below, r)
    }

    pub(crate) fn binary(
        &mut self,
        l: usize,
        left: TallExpr,
        (start, op, end): (usize, BinaryOp, usize),
        right: TallExpr,
        r: usize,
    ) -> TallExpr {
        let below = left.height.max(right.height);
        let kind = ExprKind::Binary {
            op,
            op_span: self.span(start, end),
            left: Box::new(left.node),
            right: Box::new(right.node),
        };
        self.expr(l, kind, below, r)
    }

    pub(crate) fn unary(&mut self, l: usize, op: UnaryOp, e: TallExpr, r: usize) -> TallExpr {
        let kind = ExprKind::Unary {
            op,
            operand: Box::new(e.node),
        };
        self.expr(l, kind, e.height, r)
    }

    pub(crate) fn step(
        &mut self,
        l: usize,
        step: Step,
        fix: Fix,
        e: TallExpr,
        r: usize,
    ) -> TallExpr {
        let kind = ExprKind::Step {
            step,
            fix,
            target: Box::new(e.node),
        };
        self.expr(l, kind, e.height, r)
    }

    pub(crate) fn cast(&mut self, l: usize, ty: TallType, e: TallExpr, r: usize) -> TallExpr {
        let kind = ExprKind::Cast {
            ty: ty.node,
            operand: Box::new(e.node),
        };
        self.expr(l, kind, ty.height.max(e.height), r)
    }

    pub(crate) fn comptime(&mut self, l: usize, e: TallExpr, r: usize) -> TallExpr {
        self.expr(l, ExprKind::Comptime(Box::new(e.node)), e.height, r)
    }

    pub(crate) fn field(&mut self, l: usize, e: TallExpr, name: Name, r: usize) -> TallExpr {
        let kind = ExprKind::Field {
            base: Box::new(e.node),
            name,
        };
        self.expr(l, kind, e.height, r)
    }

    pub(crate) fn element(
        &mut self,
        l: usize,
        e: TallExpr,
        index_start: usize,
        index: u32,
        r: usize,
    ) -> TallExpr {
        let kind = ExprKind::TupleElement {
            base: Box::new(e.node),
            index: self.spanned(index_start, index, r),
        };
        self.expr(l, kind, e.height, r)
    }

    pub(crate) fn index(
        &mut self,
        l: usize,
        e: TallExpr,
        indices: Vec<TallExpr>,
        r: usize,
    ) -> TallExpr {
        let below = e.height.max(highest(indices.iter().map(|i| i.height)));
        let kind = ExprKind::Index {
            base: Box::new(e.node),
            indices: nodes(indices),
        };
        self.expr(l, kind, below, r)
    }

    pub(crate) fn int(&mut self, l: usize, value: u64, r: usize) -> TallExpr {
        self.leaf(l, ExprKind::Int(value), r)
    }

    pub(crate) fn bool(&mut self, l: usize, value: bool, r: usize) -> TallExpr {
        self.leaf(l, ExprKind::Bool(value), r)
    }

    pub(crate) fn string(&mut self, l: usize, value: Vec<u8>, r: usize) -> TallExpr {
        self.leaf(l, ExprKind::Str(value), r)
    }

    pub(crate) fn identifier(&mut self, l: usize, name: &str, r: usize) -> TallExpr {
        self.leaf(l, ExprKind::Identifier(String::from(name)), r)
    }

    pub(crate) fn variable(&mut self, l: usize, name: &str, r: usize) -> TallExpr {
        let name = self.name(l, name, r).node;
        self.leaf(l, ExprKind::Variable(name), r)
    }

    pub(crate) fn map(&mut self, l: usize, name: &str, r: usize) -> TallExpr {
        let name = self.name(l, name, r).node;
        self.leaf(l, ExprKind::Map(name), r)
    }

    pub(crate) fn positional(&mut self, l: usize, number: u32, r: usize) -> TallExpr {
        self.leaf(l, ExprKind::Positional(number), r)
    }

    pub(crate) fn positional_count(&mut self, l: usize, r: usize) -> TallExpr {
        self.leaf(l, ExprKind::PositionalCount, r)
    }

    pub(crate) fn call(
        &mut self,
        l: usize,
        name: Name,
        arguments: Vec<TallArgument>,
        r: usize,
    ) -> TallExpr {
        let below = highest(arguments.iter().map(|a| a.height));
        let arguments = nodes(arguments);
        self.expr(l, ExprKind::Call { name, arguments }, below, r)
    }

    /// Parentheses make no node; the span takes them in.
    pub(crate) fn parenthesised(&mut self, l: usize, mut e: TallExpr, r: usize) -> TallExpr {
        e.node.span = self.span(l, r);
        e
    }

    pub(crate) fn tuple(&mut self, l: usize, elements: Vec<TallExpr>, r: usize) -> TallExpr {
        let below = highest(elements.iter().map(|e| e.height));
        self.expr(l, ExprKind::Tuple(nodes(elements)), below, r)
    }

    pub(crate) fn tuple_after(
        &mut self,
        l: usize,
        first: TallExpr,
        mut rest: Vec<TallExpr>,
        r: usize,
    ) -> TallExpr {
        rest.insert(0, first);
        self.tuple(l, rest, r)
    }

    pub(crate) fn record(&mut self, l: usize, fields: Vec<(Name, TallExpr)>, r: usize) -> TallExpr {
        let below = highest(fields.iter().map(|(_, e)| e.height));
        let fields = fields.into_iter().map(|(n, e)| (n, e.node)).collect();
        self.expr(l, ExprKind::Record(fields), below, r)
    }

    pub(crate) fn sizeof(&mut self, l: usize, of: TallTypeOrExpr, r: usize) -> TallExpr {
        self.expr(l, ExprKind::Sizeof(Box::new(of.node)), of.height, r)
    }

    pub(crate) fn typeinfo(&mut self, l: usize, of: TallTypeOrExpr, r: usize) -> TallExpr {
        self.expr(l, ExprKind::Typeinfo(Box::new(of.node)), of.height, r)
    }

    pub(crate) fn offsetof(
        &mut self,
        l: usize,
        (of, path): (TallTypeOrExpr, Vec<Name>),
        r: usize,
    ) -> TallExpr {
        let below = of.height;
        let of = Box::new(of.node);
        self.expr(l, ExprKind::Offsetof { of, path }, below, r)
    }

    pub(crate) fn block_value(&mut self, l: usize, block: TallBlock, r: usize) -> TallExpr {
        let kind = ExprKind::Block(Box::new(as_value(block.node)));
        self.expr(l, kind, block.height, r)
    }

    pub(crate) fn if_value(
        &mut self,
        l: usize,
        condition: TallExpr,
        then: TallBlock,
        otherwise: Option<TallBlock>,
        r: usize,
    ) -> TallExpr {
        let below = highest([
            condition.height,
            then.height,
            otherwise.as_ref().map_or(0, |b| b.height),
        ]);
        let kind = ExprKind::If {
            condition: Box::new(condition.node),
            then: Box::new(as_value(then.node)),
            otherwise: otherwise.map(|b| Box::new(as_value(b.node))),
        };
        self.expr(l, kind, below, r)
    }

    /// The `else` block that an `else if` stands for, as a value.
    pub(crate) fn else_if_value(&mut self, value: TallExpr) -> TallBlock {
        let span = value.node.span;
        let body = Body {
            statements: Vec::new(),
            height: value.height,
            value: Some(Box::new(value.node)),
        };
        self.block(span.start as usize, body, span.end as usize)
    }

    pub(crate) fn error_expression(&mut self, l: usize, r: usize) -> TallExpr {
        self.leaf(l, ExprKind::Error, r)
    }
}

/// A block whose value is wanted: when its last statement is an `if` with an `else` or a block,
/// and that has a value, it is the block's value.
pub(super) fn as_value(mut block: Block) -> Block {
    if block.value.is_some() {
        return block;
    }
    let Some(last) = block.statements.pop() else {
        return block;
    };
    match statement_value(last) {
        Ok(value) => block.value = Some(Box::new(value)),
        Err(last) => block.statements.push(*last),
    }
    block
}

/// The statement as an expression, or the statement itself when it has no value.
fn statement_value(statement: Statement) -> Result<Expr, Box<Statement>> {
    let span = statement.span;
    match statement.kind {
        StatementKind::Block(inner) => {
            let inner = as_value(inner);
            if inner.value.is_some() {
                Ok(Expr::new(ExprKind::Block(Box::new(inner)), span))
            } else {
                let kind = StatementKind::Block(inner);
                Err(Box::new(Statement { kind, span }))
            }
        }
        StatementKind::If {
            condition,
            then,
            otherwise: Some(otherwise),
        } => {
            let then = as_value(then);
            if then.value.is_none() {
                let otherwise = Some(otherwise);
                let kind = StatementKind::If {
                    condition,
                    then,
                    otherwise,
                };
                return Err(Box::new(Statement { kind, span }));
            }
            let kind = ExprKind::If {
                condition: Box::new(condition),
                then: Box::new(then),
                otherwise: Some(Box::new(as_value(otherwise))),
            };
            Ok(Expr::new(kind, span))
        }
        kind => Err(Box::new(Statement { kind, span })),
    }
}
