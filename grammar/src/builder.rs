//! Makes the nodes the parser asks for, and keeps the tree from growing too high.
//!
//! Takes children and byte positions; gives nodes. A node that would make the tree higher
//! than [`MAX_HEIGHT`] is replaced by an `Error` node and reported once, so that whatever
//! walks the tree by recursion is safe. It never decides what text means.

mod c;
mod expression;

pub(crate) use c::{Declarator, RecordHead, c_enum_base, c_record_base, record_head};

use crate::ast::*;
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{SourceId, Span, Spanned};
use expression::as_value;

/// How many nodes may lie on a path from an item to a leaf.
///
/// A pass may use 40 KiB of stack for each of them (its frames for a block, a statement and
/// an expression, in a debug build) before 8 MiB are spent.
pub(crate) const MAX_HEIGHT: u16 = 400;

/// A node with the number of nodes on its longest path downwards.
#[derive(Clone, Debug)]
pub(crate) struct Tall<T> {
    /// The node.
    pub(crate) node: T,
    height: u16,
}

pub(crate) type TallExpr = Tall<Expr>;
pub(crate) type TallStatement = Tall<Statement>;
pub(crate) type TallBlock = Tall<Block>;
pub(crate) type TallType = Tall<TypeName>;
pub(crate) type TallTypeOrExpr = Tall<TypeOrExpr>;
pub(crate) type TallArgument = Tall<Argument>;
pub(crate) type TallOver = Tall<ForOver>;
/// What a type begins with.
pub(crate) type TypeHead = Tall<TypeBase>;
/// What follows a type's beginning.
pub(crate) type Suffixes = Tall<Vec<TypeSuffix>>;

/// The inside of a block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    statements: Vec<Statement>,
    value: Option<Box<Expr>>,
    height: u16,
}

/// What the parser makes of the tokens the lexer hands over at a time.
#[derive(Clone, Debug)]
pub(crate) enum Unit {
    Item(Item),
    Config(Vec<Setting>),
    Import(Import),
    C(Vec<CItem>),
    Expression(Expr),
}

/// The parser's actions report nothing through LALRPOP.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Never {}

/// Makes nodes of one source.
pub(crate) struct Builder<'d> {
    source: SourceId,
    diagnostics: &'d mut Diagnostics,
    is_height_reported: bool,
}

fn tall<T>(node: T, height: u16) -> Tall<T> {
    Tall { node, height }
}

fn highest(heights: impl IntoIterator<Item = u16>) -> u16 {
    heights.into_iter().max().unwrap_or(0)
}

impl<'d> Builder<'d> {
    pub(crate) fn new(source: SourceId, diagnostics: &'d mut Diagnostics) -> Self {
        Builder {
            source,
            diagnostics,
            is_height_reported: false,
        }
    }

    /// Where mistakes are reported.
    pub(crate) fn diagnostics(&mut self) -> &mut Diagnostics {
        self.diagnostics
    }

    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source, start, end.max(start))
    }

    pub(crate) fn spanned<T>(&self, l: usize, node: T, r: usize) -> Spanned<T> {
        Spanned::new(node, self.span(l, r))
    }

    pub(crate) fn name(&self, l: usize, name: &str, r: usize) -> Name {
        // The sigil of a variable or a map is not part of its name.
        let bare = name.strip_prefix(['$', '@']).unwrap_or(name);
        self.spanned(l, String::from(bare), r)
    }

    /// The height of a node above children of height `below`, unless that is too high.
    fn grow(&mut self, below: u16, span: Span) -> Option<u16> {
        if below < MAX_HEIGHT {
            return Some(below + 1);
        }
        if !self.is_height_reported {
            self.is_height_reported = true;
            let limit = format!("at most {MAX_HEIGHT} levels are allowed");
            // Only its end is shown: the whole would fill the screen.
            let end = Span {
                start: span.end.saturating_sub(1).max(span.start),
                ..span
            };
            self.diagnostics.push(
                Diagnostic::error(
                    codes::TOO_DEEP,
                    "this is nested too deeply",
                    end,
                    "one level too many ends here",
                )
                .note(limit)
                .help("store a part of it first: `$part = …;`"),
            );
        }
        None
    }

    fn expr(&mut self, l: usize, kind: ExprKind, below: u16, r: usize) -> TallExpr {
        let span = self.span(l, r);
        match self.grow(below, span) {
            Some(height) => tall(Expr::new(kind, span), height),
            None => tall(Expr::new(ExprKind::Error, span), 0),
        }
    }

    fn leaf(&self, l: usize, kind: ExprKind, r: usize) -> TallExpr {
        tall(Expr::new(kind, self.span(l, r)), 1)
    }

    fn statement(&mut self, l: usize, kind: StatementKind, below: u16, r: usize) -> TallStatement {
        let span = self.span(l, r);
        match self.grow(below, span) {
            Some(height) => tall(Statement { kind, span }, height),
            None => self.error_statement(l, r),
        }
    }

    // Items.

    pub(crate) fn clause(
        &mut self,
        l: usize,
        attach_points: Vec<AttachPoint>,
        predicate: Option<TallExpr>,
        action: TallBlock,
        r: usize,
    ) -> Unit {
        Unit::Item(Item::Clause(Clause {
            attach_points,
            predicate: predicate.map(|p| p.node),
            action: action.node,
            span: self.span(l, r),
        }))
    }

    pub(crate) fn macro_(
        &mut self,
        l: usize,
        name: Name,
        parameters: Vec<Spanned<MacroParameter>>,
        body: TallBlock,
        r: usize,
    ) -> Unit {
        Unit::Item(Item::Macro(Macro {
            name,
            parameters,
            body: as_value(body.node),
            span: self.span(l, r),
        }))
    }

    pub(crate) fn function(
        &mut self,
        l: usize,
        name: Name,
        parameters: Vec<(Name, TallType)>,
        result: TallType,
        body: TallBlock,
        r: usize,
    ) -> Unit {
        Unit::Item(Item::Function(Function {
            name,
            parameters: parameters.into_iter().map(|(n, t)| (n, t.node)).collect(),
            result: result.node,
            body: body.node,
            span: self.span(l, r),
        }))
    }

    pub(crate) fn map_declaration(
        &mut self,
        l: usize,
        map: Name,
        kind: Name,
        arguments: Vec<TallExpr>,
        r: usize,
    ) -> Unit {
        Unit::Item(Item::MapDeclaration(MapDeclaration {
            map,
            kind,
            arguments: nodes(arguments),
            span: self.span(l, r),
        }))
    }

    pub(crate) fn whole_expression(&mut self, expr: TallExpr) -> Unit {
        Unit::Expression(expr.node)
    }

    pub(crate) fn import(&mut self, l: usize, path: Vec<u8>, r: usize) -> Import {
        Import {
            path: text(path),
            span: self.span(l, r),
        }
    }

    // Blocks and statements.

    pub(crate) fn block(&mut self, l: usize, body: Body, r: usize) -> TallBlock {
        let span = self.span(l, r);
        match self.grow(body.height, span) {
            Some(height) => tall(
                Block {
                    statements: body.statements,
                    value: body.value,
                    span,
                },
                height,
            ),
            None => tall(
                Block {
                    span,
                    ..Block::default()
                },
                0,
            ),
        }
    }

    pub(crate) fn push(&mut self, mut body: Body, statement: TallStatement) -> Body {
        body.height = body.height.max(statement.height);
        body.statements.push(statement.node);
        body
    }

    /// A last statement without `;`: an expression is the block's value.
    pub(crate) fn last(&mut self, mut body: Body, statement: TallStatement) -> Body {
        let StatementKind::Expression(value) = statement.node.kind else {
            return self.push(body, statement);
        };
        body.height = body.height.max(statement.height);
        body.value = Some(Box::new(value));
        body
    }

    pub(crate) fn expression_statement(
        &mut self,
        l: usize,
        e: TallExpr,
        r: usize,
    ) -> TallStatement {
        self.statement(l, StatementKind::Expression(e.node), e.height, r)
    }

    pub(crate) fn assign(
        &mut self,
        l: usize,
        target: TallExpr,
        op: Option<BinaryOp>,
        value: TallExpr,
        r: usize,
    ) -> TallStatement {
        let below = target.height.max(value.height);
        let is_discard =
            op.is_none() && matches!(&target.node.kind, ExprKind::Identifier(name) if name == "_");
        let kind = if is_discard {
            StatementKind::Discard(value.node)
        } else {
            StatementKind::Assign {
                target: target.node,
                op,
                value: value.node,
            }
        };
        self.statement(l, kind, below, r)
    }

    pub(crate) fn let_(
        &mut self,
        l: usize,
        name: Name,
        ty: Option<TallType>,
        value: Option<TallExpr>,
        r: usize,
    ) -> TallStatement {
        let below = highest([
            ty.as_ref().map_or(0, |t| t.height),
            value.as_ref().map_or(0, |v| v.height),
        ]);
        let kind = StatementKind::Let {
            name,
            ty: ty.map(|t| t.node),
            value: value.map(|v| v.node),
        };
        self.statement(l, kind, below, r)
    }

    pub(crate) fn return_(&mut self, l: usize, value: Option<TallExpr>, r: usize) -> TallStatement {
        let below = value.as_ref().map_or(0, |v| v.height);
        self.statement(l, StatementKind::Return(value.map(|v| v.node)), below, r)
    }

    pub(crate) fn break_(&mut self, l: usize, r: usize) -> TallStatement {
        self.statement(l, StatementKind::Break, 0, r)
    }

    pub(crate) fn continue_(&mut self, l: usize, r: usize) -> TallStatement {
        self.statement(l, StatementKind::Continue, 0, r)
    }

    pub(crate) fn import_statement(&mut self, import: Import) -> TallStatement {
        let span = import.span;
        let kind = StatementKind::Import(import);
        tall(Statement { kind, span }, 1)
    }

    pub(crate) fn block_statement(
        &mut self,
        l: usize,
        block: TallBlock,
        r: usize,
    ) -> TallStatement {
        self.statement(l, StatementKind::Block(block.node), block.height, r)
    }

    pub(crate) fn error_statement(&mut self, l: usize, r: usize) -> TallStatement {
        let span = self.span(l, r);
        let kind = StatementKind::Error;
        tall(Statement { kind, span }, 0)
    }

    pub(crate) fn while_(
        &mut self,
        l: usize,
        condition: TallExpr,
        body: TallBlock,
        r: usize,
    ) -> TallStatement {
        let below = condition.height.max(body.height);
        let kind = StatementKind::While {
            condition: condition.node,
            body: body.node,
        };
        self.statement(l, kind, below, r)
    }

    pub(crate) fn unroll(
        &mut self,
        l: usize,
        count: TallExpr,
        body: TallBlock,
        r: usize,
    ) -> TallStatement {
        let below = count.height.max(body.height);
        let kind = StatementKind::Unroll {
            count: count.node,
            body: body.node,
        };
        self.statement(l, kind, below, r)
    }

    pub(crate) fn for_(
        &mut self,
        l: usize,
        variable: Name,
        over: TallOver,
        body: TallBlock,
        r: usize,
    ) -> TallStatement {
        let below = over.height.max(body.height);
        let kind = StatementKind::For {
            variable,
            over: over.node,
            body: body.node,
        };
        self.statement(l, kind, below, r)
    }

    pub(crate) fn if_(
        &mut self,
        l: usize,
        condition: TallExpr,
        then: TallBlock,
        otherwise: Option<TallBlock>,
        r: usize,
    ) -> TallStatement {
        let below = highest([
            condition.height,
            then.height,
            otherwise.as_ref().map_or(0, |b| b.height),
        ]);
        let kind = StatementKind::If {
            condition: condition.node,
            then: then.node,
            otherwise: otherwise.map(|b| b.node),
        };
        self.statement(l, kind, below, r)
    }

    /// The `else` block that an `else if` stands for.
    pub(crate) fn else_if(&mut self, statement: TallStatement) -> TallBlock {
        let span = statement.node.span;
        let body = self.push(Body::default(), statement);
        self.block(span.start as usize, body, span.end as usize)
    }

    // Types.

    pub(crate) fn type_(
        &mut self,
        l: usize,
        base: TypeHead,
        suffixes: Suffixes,
        r: usize,
    ) -> TallType {
        let height = base.height.max(suffixes.height);
        let span = self.span(l, r);
        tall(
            TypeName {
                base: base.node,
                suffixes: suffixes.node,
                span,
            },
            height,
        )
    }

    pub(crate) fn type_argument(
        &mut self,
        l: usize,
        base: TypeHead,
        suffixes: Suffixes,
        r: usize,
    ) -> TallArgument {
        let ty = self.type_(l, base, suffixes, r);
        tall(Argument::Type(ty.node), ty.height)
    }
}

fn nodes<T>(all: Vec<Tall<T>>) -> Vec<T> {
    all.into_iter().map(|t| t.node).collect()
}

/// The text of a string literal; bytes that are not UTF-8 are replaced.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

pub(crate) fn parameter(name: Name, kind: fn(String) -> MacroParameter) -> Spanned<MacroParameter> {
    Spanned::new(kind(name.node), name.span)
}

pub(crate) fn over_map(map: TallExpr) -> TallOver {
    tall(ForOver::Map(map.node), map.height)
}

pub(crate) fn over_range(from: TallExpr, to: TallExpr) -> TallOver {
    let height = from.height.max(to.height);
    tall(ForOver::Range(from.node, to.node), height)
}

pub(crate) fn expression_argument(e: TallExpr) -> TallArgument {
    tall(Argument::Expr(e.node), e.height)
}

pub(crate) fn named(name: &str) -> TypeHead {
    tall(TypeBase::Named(String::from(name)), 1)
}

pub(crate) fn tagged(kind: TagKind, name: &str) -> TypeHead {
    tall(TypeBase::Tagged(kind, String::from(name)), 1)
}

pub(crate) fn typeof_(of: TallTypeOrExpr) -> TypeHead {
    tall(TypeBase::Typeof(Box::new(of.node)), of.height)
}

pub(crate) fn no_suffixes() -> Suffixes {
    tall(Vec::new(), 0)
}

pub(crate) fn suffix(mut suffixes: Suffixes, suffix: TypeSuffix) -> Suffixes {
    suffixes.node.push(suffix);
    suffixes
}

pub(crate) fn array_suffix(mut suffixes: Suffixes, length: TallExpr) -> Suffixes {
    let length_node = Some(Box::new(length.node));
    suffixes.node.push(TypeSuffix::Array(length_node));
    suffixes.height = suffixes.height.max(length.height);
    suffixes
}

pub(crate) fn of_type(ty: TallType) -> TallTypeOrExpr {
    tall(TypeOrExpr::Type(ty.node), ty.height)
}

pub(crate) fn of_expression(e: TallExpr) -> TallTypeOrExpr {
    tall(TypeOrExpr::Expr(e.node), e.height)
}
