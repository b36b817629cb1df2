//! Functions of the script, made macros.
//!
//! Takes the tree; gives it with a macro for each `fn name($a : T) : T { … }`. A call then
//! becomes a block: its parameters are variables of their declared types, its value is what
//! `return` gives. So a function may change its parameters, reaches the script's maps, and
//! costs what its body costs. `return` is possible at the end of the body and of branches.

use rbt_grammar::ast::{
    Block, Expr, ExprKind, Function, Item, Macro, MacroParameter, Program, Statement,
    StatementKind, TypeBase, TypeName,
};
use rbt_grammar::{Diagnostic, Diagnostics, Span, Spanned, codes};
use std::collections::HashSet;

/// What is put behind the names of parameters where the arguments stand: no script can write it.
const ARGUMENT: &str = "#argument";

/// Statements that may be copied into both branches of an `if` that returns in one of them.
const MOST_COPIED: usize = 4096;

/// Replaces the functions of a script by macros; gives their names too.
pub fn run(program: &mut Program) -> (HashSet<String>, Diagnostics) {
    let mut names = HashSet::new();
    let mut diagnostics = Vec::new();
    for item in &mut program.items {
        if let Item::Function(function) = item {
            let mut body = Body {
                result: &function.result,
                copied: 0,
                diagnostics: &mut diagnostics,
            };
            let block = body.function(function);
            names.insert(function.name.node.clone());
            *item = Item::Macro(Macro {
                name: function.name.clone(),
                parameters: function
                    .parameters
                    .iter()
                    .map(|(name, _)| {
                        let inner = format!("{}{ARGUMENT}", name.node);
                        Spanned::new(MacroParameter::Expression(inner), name.span)
                    })
                    .collect(),
                body: block,
                span: function.span,
            });
        }
    }
    (names, diagnostics)
}

struct Body<'a> {
    result: &'a TypeName,
    copied: usize,
    diagnostics: &'a mut Diagnostics,
}

impl Body<'_> {
    fn function(&mut self, function: &Function) -> Block {
        let mut statements: Vec<Statement> = function
            .parameters
            .iter()
            .map(|(name, ty)| Statement {
                kind: StatementKind::Let {
                    name: name.clone(),
                    ty: Some(ty.clone()),
                    value: Some(Expr::new(
                        ExprKind::Identifier(format!("{}{ARGUMENT}", name.node)),
                        name.span,
                    )),
                },
                span: name.span,
            })
            .collect();
        let inner = self.block(&function.body.statements, function.body.value.as_deref());
        let value = inner.value.is_some().then(|| {
            let span = function.body.span;
            Box::new(Expr::new(ExprKind::Block(Box::new(inner.clone())), span))
        });
        if value.is_none() {
            if !self.is_void() {
                self.diagnostics.push(
                    Diagnostic::error(
                        codes::FUNCTION,
                        format!(
                            "Not all code paths of {}() return a value",
                            function.name.node
                        ),
                        function.name.span,
                        "a value of its declared type is expected",
                    )
                    .help("end the body with `return …;`, or declare the function `: void`"),
                );
            }
            statements.extend(inner.statements);
        }
        Block {
            statements,
            value,
            span: function.body.span,
        }
    }

    fn is_void(&self) -> bool {
        matches!(&self.result.base, TypeBase::Named(name) if name == "void")
    }

    /// Statements up to a `return`, whose value becomes the block's.
    fn block(&mut self, statements: &[Statement], last: Option<&Expr>) -> Block {
        let mut out = Block::default();
        for (number, statement) in statements.iter().enumerate() {
            match &statement.kind {
                StatementKind::Return(value) => {
                    out.value = value.as_ref().map(|value| Box::new(self.cast(value)));
                    return out;
                }
                StatementKind::If {
                    condition,
                    then,
                    otherwise,
                } if returns(then) || otherwise.as_ref().is_some_and(returns) => {
                    let rest = statements.get(number + 1..).unwrap_or_default();
                    self.copied += rest.len();
                    if self.copied > MOST_COPIED {
                        self.refuse(statement.span, "too many branches return");
                        return out;
                    }
                    let branch = |body: &mut Self, own: &[Statement]| {
                        let all: Vec<Statement> = own.iter().chain(rest).cloned().collect();
                        body.block(&all, last)
                    };
                    let then = branch(self, &then.statements);
                    let own = otherwise.as_ref().map_or(&[][..], |o| &o.statements);
                    let otherwise = branch(self, own);
                    let kind = ExprKind::If {
                        condition: Box::new(condition.clone()),
                        then: Box::new(then),
                        otherwise: Some(Box::new(otherwise)),
                    };
                    out.value = Some(Box::new(Expr::new(kind, statement.span)));
                    return out;
                }
                StatementKind::While { body, .. }
                | StatementKind::Unroll { body, .. }
                | StatementKind::For { body, .. }
                | StatementKind::Block(body)
                    if returns(body) =>
                {
                    self.refuse(statement.span, "`return` stands in this loop or block");
                }
                _ => out.statements.push(statement.clone()),
            }
        }
        // A last expression without `;` is a statement of a function, as in a clause.
        if let Some(last) = last {
            out.statements.push(Statement {
                kind: StatementKind::Expression(last.clone()),
                span: last.span,
            });
        }
        out
    }

    fn refuse(&mut self, span: Span, here: &str) {
        self.diagnostics.push(
            Diagnostic::error(
                codes::FUNCTION,
                "a function returns at the end of its body or of a branch",
                span,
                here,
            )
            .help("keep the result in a variable, leave the loop by `break`, and return behind it"),
        );
    }

    /// The value as the declared type, where a cast can make it that.
    fn cast(&self, value: &Expr) -> Expr {
        let is_text = matches!(&self.result.base, TypeBase::Named(name) if name == "string");
        if is_text || self.is_void() {
            return value.clone();
        }
        let kind = ExprKind::Cast {
            ty: TypeName {
                span: value.span,
                ..self.result.clone()
            },
            operand: Box::new(value.clone()),
        };
        Expr::new(kind, value.span)
    }
}

/// Whether something in a block returns.
fn returns(block: &Block) -> bool {
    block
        .statements
        .iter()
        .any(|statement| match &statement.kind {
            StatementKind::Return(_) => true,
            StatementKind::If {
                then, otherwise, ..
            } => returns(then) || otherwise.as_ref().is_some_and(returns),
            StatementKind::While { body, .. }
            | StatementKind::Unroll { body, .. }
            | StatementKind::For { body, .. }
            | StatementKind::Block(body) => returns(body),
            _ => false,
        })
}
