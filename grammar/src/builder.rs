//! Makes the nodes the parser asks for, and keeps the tree from growing too high.
//!
//! Takes children and byte positions; gives nodes. A node that would make the tree higher
//! than [`MAX_HEIGHT`] is replaced by an `Error` node and reported once, so that whatever
//! walks the tree by recursion is safe. It never decides what text means.

use crate::ast::*;
use crate::codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{SourceId, Span, Spanned};

/// How many nodes may lie on a path from an item to a leaf.
///
/// A pass may use 40 KiB of stack for each of them (its frames for a block, a statement and
/// an expression, in a debug build) before 8 MiB are spent.
pub(crate) const MAX_HEIGHT: u16 = 200;

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

/// `struct` or `union` with the attributes behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordHead {
    start: usize,
    kind: RecordKind,
    is_packed: bool,
}

/// What one C declarator adds to the type in front of it.
#[derive(Clone, Debug)]
pub(crate) struct Declarator {
    name: Option<Name>,
    pointers: u32,
    dimensions: Vec<Expr>,
    is_function_pointer: bool,
    bits: Option<Expr>,
    span: Span,
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

    // Expressions.

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

    // C definitions.

    pub(crate) fn c_record(
        &mut self,
        head: RecordHead,
        name: Option<Name>,
        fields: Vec<CField>,
        is_packed: bool,
        r: usize,
    ) -> CRecord {
        CRecord {
            kind: head.kind,
            name,
            fields,
            is_packed: head.is_packed || is_packed,
            span: self.span(head.start, r),
        }
    }

    pub(crate) fn c_enum(
        &mut self,
        l: usize,
        name: Option<Name>,
        variants: Vec<(Name, Option<TallExpr>)>,
        r: usize,
    ) -> CEnum {
        let variants = variants.into_iter();
        CEnum {
            name,
            variants: variants.map(|(n, e)| (n, e.map(|e| e.node))).collect(),
            span: self.span(l, r),
        }
    }

    pub(crate) fn c_named(&mut self, l: usize, words: String, r: usize) -> Spanned<CBase> {
        let name = self.spanned(l, words, r);
        let span = name.span;
        Spanned::new(CBase::Named(name), span)
    }

    pub(crate) fn c_tagged(&mut self, head: RecordHead, name: Name) -> Spanned<CBase> {
        let span = self.span(head.start, name.span.end as usize);
        let kind = match head.kind {
            RecordKind::Struct => TagKind::Struct,
            RecordKind::Union => TagKind::Union,
        };
        Spanned::new(CBase::Tagged(kind, name), span)
    }

    pub(crate) fn c_enum_tagged(&mut self, l: usize, name: Name) -> Spanned<CBase> {
        let span = self.span(l, name.span.end as usize);
        Spanned::new(CBase::Tagged(TagKind::Enum, name), span)
    }

    pub(crate) fn c_fields(&mut self, base: Spanned<CBase>, all: Vec<Declarator>) -> Vec<CField> {
        let field = |d: Declarator| CField {
            name: d.name,
            base: base.node.clone(),
            pointers: d.pointers,
            dimensions: d.dimensions,
            is_function_pointer: d.is_function_pointer,
            bits: d.bits,
            span: base.span.to(d.span),
        };
        all.into_iter().map(field).collect()
    }

    /// A member without a declarator: an anonymous struct or union.
    pub(crate) fn c_anonymous(&mut self, base: Spanned<CBase>) -> Vec<CField> {
        let nothing = Declarator {
            name: None,
            pointers: 0,
            dimensions: Vec::new(),
            is_function_pointer: false,
            bits: None,
            span: base.span,
        };
        self.c_fields(base, vec![nothing])
    }

    pub(crate) fn typedefs(&mut self, base: Spanned<CBase>, all: Vec<Declarator>) -> Vec<CItem> {
        let fields = self.c_fields(base, all).into_iter();
        let typedef = |field: CField| {
            let name = field.name.clone()?;
            Some(CItem::Typedef { name, field })
        };
        fields.filter_map(typedef).collect()
    }

    pub(crate) fn declarator(
        &mut self,
        l: usize,
        pointers: u32,
        name: Name,
        dimensions: Vec<Expr>,
        bits: Option<TallExpr>,
        r: usize,
    ) -> Declarator {
        Declarator {
            name: Some(name),
            pointers,
            dimensions,
            is_function_pointer: false,
            bits: bits.map(|e| e.node),
            span: self.span(l, r),
        }
    }

    pub(crate) fn function_pointer(
        &mut self,
        l: usize,
        pointers: u32,
        name: Name,
        r: usize,
    ) -> Declarator {
        Declarator {
            name: Some(name),
            pointers,
            dimensions: Vec::new(),
            is_function_pointer: true,
            bits: None,
            span: self.span(l, r),
        }
    }

    /// `int : 3`: bits without a name.
    pub(crate) fn padding_bits(&mut self, l: usize, bits: TallExpr, r: usize) -> Declarator {
        Declarator {
            name: None,
            pointers: 0,
            dimensions: Vec::new(),
            is_function_pointer: false,
            bits: Some(bits.node),
            span: self.span(l, r),
        }
    }

    /// The length of `[]`.
    pub(crate) fn no_length(&mut self, l: usize, r: usize) -> Expr {
        Expr::new(ExprKind::Int(0), self.span(l, r))
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

pub(crate) fn record_head(start: usize, kind: RecordKind, is_packed: bool) -> RecordHead {
    RecordHead {
        start,
        kind,
        is_packed,
    }
}

pub(crate) fn c_record_base(record: CRecord) -> Spanned<CBase> {
    let span = record.span;
    Spanned::new(CBase::Record(Box::new(record)), span)
}

pub(crate) fn c_enum_base(definition: CEnum) -> Spanned<CBase> {
    let span = definition.span;
    Spanned::new(CBase::Enum(Box::new(definition)), span)
}

/// A block whose value is wanted: when its last statement is an `if` with an `else` or a block,
/// and that has a value, it is the block's value.
fn as_value(mut block: Block) -> Block {
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
