//! The tree, as written: every node has a span, nothing is resolved.
//!
//! Takes nothing from the kernel and knows no name's meaning. The two spellings of an
//! action (`{ … }` and `< … >`) are one thing here. `Error` nodes stand where the text could
//! not be understood; a diagnostic has been given for each.

use crate::source::{Span, Spanned};

/// A name with its place.
pub type Name = Spanned<String>;

/// A whole script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Preprocessor lines and C definitions, in order.
    pub preamble: Vec<CItem>,
    /// `config = { … }` settings; several blocks have been reported and joined.
    pub config: Vec<Setting>,
    /// `import "path";` in order.
    pub imports: Vec<Import>,
    /// Clauses, macros, functions and map declarations, in order.
    pub items: Vec<Item>,
}

/// One `name = value` of the config block.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The variable, as written.
    pub name: Name,
    /// Its value.
    pub value: Spanned<SettingValue>,
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum SettingValue {
    /// A number.
    Int(u64),
    /// `true` or `false`.
    Bool(bool),
    /// A quoted string or a bare word.
    Text(String),
}

/// `import "path";`
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The text between the quotes.
    pub path: String,
    /// The whole statement.
    pub span: Span,
}

/// A piece of the C preamble.
#[derive(Clone, Debug, PartialEq)]
pub enum CItem {
    /// A preprocessor line, whole, without its newline; continuation lines are joined.
    Directive(Spanned<String>),
    /// `struct S { … };` or `union U { … };`
    Record(CRecord),
    /// `enum E { … };`
    Enum(CEnum),
    /// `typedef T name;`
    Typedef {
        /// The new name.
        name: Name,
        /// What it stands for; the declarator's own name is the new name.
        field: CField,
    },
    /// Text that is not a C definition.
    Error(Span),
}

/// Whether members follow each other or lie on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// Members follow each other.
    Struct,
    /// All members begin at zero.
    Union,
}

/// `__attribute__((…))`: those that change a layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `packed`: no gaps.
    pub is_packed: bool,
    /// `aligned(n)`: at least that many bytes; 0 where it is not said.
    pub align: u32,
}

impl Attributes {
    /// Both together.
    pub fn and(self, other: Attributes) -> Attributes {
        Attributes {
            is_packed: self.is_packed || other.is_packed,
            align: self.align.max(other.align),
        }
    }
}

/// A C struct or union definition.
#[derive(Clone, Debug, PartialEq)]
pub struct CRecord {
    /// Struct or union.
    pub kind: RecordKind,
    /// Its tag; anonymous members have none.
    pub name: Option<Name>,
    /// Members in order.
    pub fields: Vec<CField>,
    /// What stood before the tag or after the `}`.
    pub attributes: Attributes,
    /// From the keyword to the closing brace.
    pub span: Span,
}

/// One member of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct CField {
    /// Its name; `None` for an anonymous struct or union member.
    pub name: Option<Name>,
    /// Its type before pointers and dimensions.
    pub base: CBase,
    /// Number of `*`.
    pub pointers: u32,
    /// `[n]` dimensions, outermost first; a missing length is 0 (a flexible array).
    pub dimensions: Vec<Expr>,
    /// A pointer to a function: its parameters are not kept.
    pub is_function_pointer: bool,
    /// Width in bits of a bit-field.
    pub bits: Option<Expr>,
    /// What stood behind the declarator.
    pub attributes: Attributes,
    /// The whole declarator.
    pub span: Span,
}

/// What a C declaration begins with.
#[derive(Clone, Debug, PartialEq)]
pub enum CBase {
    /// `unsigned long`, `__u32`, `char`: the words joined by one space, qualifiers dropped.
    Named(Name),
    /// `struct S`, `union U`, `enum E`.
    Tagged(TagKind, Name),
    /// A definition in place.
    Record(Box<CRecord>),
    /// An enum definition in place.
    Enum(Box<CEnum>),
}

/// The keyword in front of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagKind {
    /// `struct`
    Struct,
    /// `union`
    Union,
    /// `enum`
    Enum,
}

/// A C enum definition.
#[derive(Clone, Debug, PartialEq)]
pub struct CEnum {
    /// Its tag.
    pub name: Option<Name>,
    /// Enumerators with their values where given.
    pub variants: Vec<(Name, Option<Expr>)>,
    /// From the keyword to the closing brace.
    pub span: Span,
}

/// Something that stands at top level after the preamble.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Probes and what to do when they fire.
    Clause(Clause),
    /// `macro name(…) { … }`
    Macro(Macro),
    /// `fn name(…) : type { … }`
    Function(Function),
    /// `let @m = hash(N);`
    MapDeclaration(MapDeclaration),
    /// Text that is none of these.
    Error(Span),
}

/// `attach, attach /predicate/ { action }`
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// Where it attaches; at least one, unless an error was reported.
    pub attach_points: Vec<AttachPoint>,
    /// The condition between slashes.
    pub predicate: Option<Expr>,
    /// What it does.
    pub action: Block,
    /// From the first attach point to the closing delimiter.
    pub span: Span,
}

/// One attach point, split at its colons.
#[derive(Clone, Debug, PartialEq)]
pub struct AttachPoint {
    /// The `name` of `name=provider:…`.
    pub label: Option<Name>,
    /// The parts between colons, quotes removed, positional parameters replaced; an `@` makes
    /// a part of its own. The first is the provider as written.
    pub parts: Vec<Spanned<AttachPart>>,
    /// The whole text.
    pub span: Span,
}

/// One part of an attach point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachPart {
    /// The text without quotes.
    pub text: String,
    /// A piece of it was quoted, so that wildcards in it stand for themselves.
    pub is_quoted: bool,
}

/// `macro name($x, @m, e) { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Macro {
    /// Its name.
    pub name: Name,
    /// Parameters in order.
    pub parameters: Vec<Spanned<MacroParameter>>,
    /// What a call becomes.
    pub body: Block,
    /// The whole definition.
    pub span: Span,
}

/// How a macro takes an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MacroParameter {
    /// `$x`: a scratch variable, by reference.
    Variable(String),
    /// `@m`: a map, by reference.
    Map(String),
    /// `x`: any expression or type, substituted at each use.
    Expression(String),
}

/// `fn name($a : T) : T { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: Name,
    /// Parameters with their types.
    pub parameters: Vec<(Name, TypeName)>,
    /// The type of its result.
    pub result: TypeName,
    /// What it does.
    pub body: Block,
    /// The whole definition.
    pub span: Span,
}

/// `let @m = kind(entries);`
#[derive(Clone, Debug, PartialEq)]
pub struct MapDeclaration {
    /// The map, without its `@`.
    pub map: Name,
    /// `hash`, `lruhash`, …
    pub kind: Name,
    /// The arguments between parentheses.
    pub arguments: Vec<Expr>,
    /// The whole declaration.
    pub span: Span,
}

/// Statements and, perhaps, the value of the last expression.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Statements in order.
    pub statements: Vec<Statement>,
    /// A last expression without `;`: the block's value. In a clause's action it is a
    /// statement like any other.
    pub value: Option<Box<Expr>>,
    /// From the opening to the closing delimiter.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// What it is.
    pub kind: StatementKind,
    /// Where it stands, without its `;`.
    pub span: Span,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    /// `e;`
    Expression(Expr),
    /// `_ = e;`
    Discard(Expr),
    /// `target = e;` or `target op= e;`
    Assign {
        /// A scratch variable, a map, a map element; anything else is reported later.
        target: Expr,
        /// The operator of a compound assignment.
        op: Option<BinaryOp>,
        /// The right side.
        value: Expr,
    },
    /// `let $v : type = e;`
    Let {
        /// The variable, without its `$`.
        name: Name,
        /// Its declared type.
        ty: Option<TypeName>,
        /// Its first value.
        value: Option<Expr>,
    },
    /// `if c { … } else { … }`; an `else if` is an `else` block with one `if` in it.
    If {
        /// The condition.
        condition: Expr,
        /// Taken when it holds.
        then: Block,
        /// Taken otherwise.
        otherwise: Option<Block>,
    },
    /// `while c { … }`
    While {
        /// The condition.
        condition: Expr,
        /// The body.
        body: Block,
    },
    /// `unroll (n) { … }`
    Unroll {
        /// How often.
        count: Expr,
        /// The body.
        body: Block,
    },
    /// `for $v : range { … }` or `for $v : @map { … }`
    For {
        /// The loop variable, without its `$`.
        variable: Name,
        /// What it goes over.
        over: ForOver,
        /// The body.
        body: Block,
    },
    /// `break;`
    Break,
    /// `continue;`
    Continue,
    /// `return;` or `return e;`
    Return(Option<Expr>),
    /// `{ … }`
    Block(Block),
    /// `import "path";` inside a block.
    Import(Import),
    /// Text that is no statement.
    Error,
}

/// What a `for` goes over.
#[derive(Clone, Debug, PartialEq)]
pub enum ForOver {
    /// `a..b`, without b.
    Range(Expr, Expr),
    /// The entries of a map.
    Map(Expr),
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands, with its parentheses.
    pub span: Span,
}

impl Expr {
    /// `kind` at `span`.
    pub fn new(kind: ExprKind, span: Span) -> Self {
        Expr { kind, span }
    }
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A non-negative integer literal; durations are in nanoseconds.
    Int(u64),
    /// `true`, `false`
    Bool(bool),
    /// A string literal, escapes resolved; any bytes.
    Str(Vec<u8>),
    /// A bare word: a builtin, an enumerator, a macro, a `#define`.
    Identifier(String),
    /// `$v`, without its `$`.
    Variable(String),
    /// `@m`, without its `@`; the nameless map is empty.
    Map(String),
    /// `$1`, …
    Positional(u32),
    /// `$#`
    PositionalCount,
    /// `base[i]`, `@m[a, b]`
    Index {
        /// What is indexed.
        base: Box<Expr>,
        /// One expression or, for maps, several.
        indices: Vec<Expr>,
    },
    /// `t.0`
    TupleElement {
        /// The tuple.
        base: Box<Expr>,
        /// Which element, from 0.
        index: Spanned<u32>,
    },
    /// `x.f`, `x->f`
    Field {
        /// A record or a pointer to one.
        base: Box<Expr>,
        /// The member.
        name: Name,
    },
    /// `f(a, b)`
    Call {
        /// The function, builtin or macro.
        name: Name,
        /// Its arguments.
        arguments: Vec<Argument>,
    },
    /// `-x`, `!x`, `~x`, `*x`, `&x`
    Unary {
        /// Which.
        op: UnaryOp,
        /// Of what.
        operand: Box<Expr>,
    },
    /// `x++`, `--x`, …
    Step {
        /// Up or down.
        step: Step,
        /// Whether the value is the new one (prefix) or the old one (postfix).
        fix: Fix,
        /// The variable or map element.
        target: Box<Expr>,
    },
    /// `a op b`
    Binary {
        /// Which.
        op: BinaryOp,
        /// Where the operator itself stands.
        op_span: Span,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// `c ? a : b`; `c ?: b` has no `then`.
    Ternary {
        /// The condition.
        condition: Box<Expr>,
        /// The value when it holds; `None` means the condition's own value.
        then: Option<Box<Expr>>,
        /// The value otherwise.
        otherwise: Box<Expr>,
    },
    /// `(T)x`
    Cast {
        /// The type.
        ty: TypeName,
        /// What is cast.
        operand: Box<Expr>,
    },
    /// `(a, b)`, `(a,)`, `()`
    Tuple(Vec<Expr>),
    /// `(x=1, y="s")`
    Record(Vec<(Name, Expr)>),
    /// `{ …; e }`
    Block(Box<Block>),
    /// `if c { a } else { b }` as a value.
    If {
        /// The condition.
        condition: Box<Expr>,
        /// Its value when it holds.
        then: Box<Block>,
        /// Its value otherwise.
        otherwise: Option<Box<Block>>,
    },
    /// `sizeof(…)`
    Sizeof(Box<TypeOrExpr>),
    /// `offsetof(…, a.b)`
    Offsetof {
        /// The record.
        of: Box<TypeOrExpr>,
        /// The path of members.
        path: Vec<Name>,
    },
    /// `typeinfo(…)`
    Typeinfo(Box<TypeOrExpr>),
    /// `comptime e`
    Comptime(Box<Expr>),
    /// Text that is no expression.
    Error,
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A value.
    Expr(Expr),
    /// `typeof(…)`, or a type written with `struct`, `union` or `enum`.
    Type(TypeName),
}

impl Argument {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Argument::Expr(expr) => expr.span,
            Argument::Type(ty) => ty.span,
        }
    }
}

/// A type or an expression whose type is meant.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeOrExpr {
    /// A type; a bare identifier is one too, and may turn out to be a value.
    Type(TypeName),
    /// An expression.
    Expr(Expr),
}

/// A type as written.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeName {
    /// What it begins with.
    pub base: TypeBase,
    /// `*` and `[n]`, left to right.
    pub suffixes: Vec<TypeSuffix>,
    /// Where it stands.
    pub span: Span,
}

/// What a type begins with.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeBase {
    /// `uint64`, `string`, `pid_t`, `unsigned long` (words joined by one space).
    Named(String),
    /// `struct S`, `union U`, `enum E`
    Tagged(TagKind, String),
    /// `typeof(…)`
    Typeof(Box<TypeOrExpr>),
}

/// What may follow a type's base.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeSuffix {
    /// `*`
    Pointer,
    /// `[n]`, `[]`
    Array(Option<Box<Expr>>),
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-`
    Negate,
    /// `!`
    Not,
    /// `~`
    Complement,
    /// `*`
    Dereference,
    /// `&`
    AddressOf,
}

/// Up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `++`
    Increment,
    /// `--`
    Decrement,
}

/// Before or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fix {
    /// `++x`
    Prefix,
    /// `x++`
    Postfix,
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `&`
    BitAnd,
    /// `^`
    BitXor,
    /// `|`
    BitOr,
    /// `&&`
    And,
    /// `||`
    Or,
}

impl BinaryOp {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Remainder => "%",
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::ShiftLeft => "<<",
            BinaryOp::ShiftRight => ">>",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::BitAnd => "&",
            BinaryOp::BitXor => "^",
            BinaryOp::BitOr => "|",
            BinaryOp::And => "&&",
            BinaryOp::Or => "||",
        }
    }

    /// Whether its value is a truth value.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            BinaryOp::Less
                | BinaryOp::LessEqual
                | BinaryOp::Greater
                | BinaryOp::GreaterEqual
                | BinaryOp::Equal
                | BinaryOp::NotEqual
        )
    }
}

impl UnaryOp {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Negate => "-",
            UnaryOp::Not => "!",
            UnaryOp::Complement => "~",
            UnaryOp::Dereference => "*",
            UnaryOp::AddressOf => "&",
        }
    }
}
