//! The typed program: names resolved, types assigned, conversions explicit, nothing implicit.
//!
//! There is no sugar, no unresolved name and no `Type::Unknown` in it; lowering never
//! reports a user's mistake, limits excepted.

use crate::artifact::Param;
use crate::config::Config;
use crate::types::{Encoding, Field, Space, Type};
use crate::vocabulary::{Aggregation, Builtin, Function, Needs, Place, ProbeContext, Provider};
use rbt_grammar::Span;
use std::fmt;

/// A typed script.
#[derive(Clone, Debug)]
pub struct Program {
    /// Clauses in order; one that had to be compiled differently for different places is
    /// several.
    pub clauses: Vec<Clause>,
    /// Maps by [`MapIndex`].
    pub maps: Vec<Map>,
    /// The settings that hold.
    pub config: Config,
}

/// Number of a map of the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapIndex(pub u32);

/// Number of a scratch variable of a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableId(pub u32);

/// A map of the script.
#[derive(Clone, Debug)]
pub struct Map {
    /// Its name without `@`.
    pub name: String,
    /// The type of its key; `None` for a scalar map.
    pub key: Option<Type>,
    /// What it holds.
    pub value: MapContent,
    /// `let @m = kind(entries)`.
    pub declared: Option<Declared>,
    /// Where it is first named.
    pub span: Span,
}

impl Map {
    /// Whether its types come from the script's own definitions.
    pub fn is_of_script(&self) -> bool {
        let value = match &self.value {
            MapContent::Plain(ty) => ty.is_of_script(),
            MapContent::Aggregate { .. } => false,
        };
        value || self.key.as_ref().is_some_and(Type::is_of_script)
    }
}

/// What a map holds.
#[derive(Clone)]
pub enum MapContent {
    /// Values.
    Plain(Type),
    /// Slots of an aggregation.
    Aggregate {
        /// The word.
        word: &'static dyn Aggregation,
        /// Its literal parameters.
        params: Vec<i64>,
        /// Whether its integers are signed.
        is_signed: bool,
    },
}

impl fmt::Debug for MapContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapContent::Plain(ty) => write!(f, "{ty}"),
            MapContent::Aggregate { word, params, .. } => {
                write!(f, "{}{params:?}", word.name())
            }
        }
    }
}

/// A map declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The kind.
    pub kind: DeclaredKind,
    /// Most entries.
    pub entries: u32,
}

/// Kinds a script can declare a map as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclaredKind {
    /// `hash`
    Hash,
    /// `lruhash`
    LruHash,
    /// `percpuhash`
    PerCpuHash,
    /// `percpulruhash`
    PerCpuLruHash,
}

impl DeclaredKind {
    /// The word that declares it.
    pub fn name(self) -> &'static str {
        match self {
            DeclaredKind::Hash => "hash",
            DeclaredKind::LruHash => "lruhash",
            DeclaredKind::PerCpuHash => "percpuhash",
            DeclaredKind::PerCpuLruHash => "percpulruhash",
        }
    }
}

/// A clause for some places.
#[derive(Clone)]
pub struct Clause {
    /// The provider of all its places.
    pub provider: &'static dyn Provider,
    /// Where it attaches.
    pub places: Vec<Place>,
    /// What holds at each of them.
    pub context: ProbeContext,
    /// What it needs of the probe.
    pub needs: Needs,
    /// Scratch variables by [`VariableId`].
    pub variables: Vec<Variable>,
    /// The predicate and the action; a predicate is an `if` that returns.
    pub body: Vec<Stmt>,
    /// The whole clause.
    pub span: Span,
}

impl fmt::Debug for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clause")
            .field("places", &self.places.len())
            .field("variables", &self.variables)
            .field("body", &self.body)
            .finish()
    }
}

/// A scratch variable.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Whether its address is taken, so that it lives in memory.
    pub is_addressed: bool,
    /// Its name without `$`.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Where it is first named.
    pub span: Span,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// Where it stands.
    pub span: Span,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// Evaluates and forgets.
    Expr(Expr),
    /// `$v = e`: the types are equal.
    SetVariable(VariableId, Expr),
    /// Zeroes a variable: a declaration without a value.
    Clear(VariableId),
    /// `@m = e`, `@m[k] = e`: the types are the map's.
    SetMap {
        /// Which map.
        map: MapIndex,
        /// Of the map's key type.
        key: Option<Expr>,
        /// Of the map's value type.
        value: Expr,
    },
    /// `@m op= e` with an arithmetic `op`, on integers of 8 bytes.
    UpdateMap {
        /// Which map.
        map: MapIndex,
        /// Of the map's key type.
        key: Option<Expr>,
        /// Which operator.
        op: BinaryOp,
        /// An integer of 8 bytes.
        value: Expr,
    },
    /// `@m = count()`
    Aggregate {
        /// Which map.
        map: MapIndex,
        /// Of the map's key type.
        key: Option<Expr>,
        /// The checked call.
        call: AggregateUse,
    },
    /// `if`
    If {
        /// A scalar.
        condition: Expr,
        /// When it is not zero.
        then: Vec<Stmt>,
        /// When it is.
        otherwise: Vec<Stmt>,
    },
    /// `while`
    While {
        /// A scalar.
        condition: Expr,
        /// The body.
        body: Vec<Stmt>,
    },
    /// `for $v : a..b`
    ForRange {
        /// The loop variable, an integer of 8 bytes or narrower.
        variable: VariableId,
        /// First value, 8 bytes.
        from: Expr,
        /// One past the last, 8 bytes.
        to: Expr,
        /// Whether the comparison is signed.
        is_signed: bool,
        /// The body.
        body: Vec<Stmt>,
    },
    /// `for $kv : @m`
    ForMap {
        /// The loop variable: a tuple of key and value.
        variable: VariableId,
        /// Which map.
        map: MapIndex,
        /// The body.
        body: Vec<Stmt>,
    },
    /// Leaves the loop.
    Break,
    /// Goes on with the next round.
    Continue,
    /// Leaves the program.
    Return(Option<Expr>),
    /// A scope.
    Block(Vec<Stmt>),
}

/// A checked use of an aggregation.
#[derive(Clone)]
pub struct AggregateUse {
    /// The word.
    pub word: &'static dyn Aggregation,
    /// The value, 8 bytes, if the word takes one.
    pub value: Option<Expr>,
    /// Where it stands.
    pub span: Span,
}

impl fmt::Debug for AggregateUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.word.name(), self.value)
    }
}

/// A typed expression.
#[derive(Clone)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// The type of its value.
    pub ty: Type,
    /// Where it stands.
    pub span: Span,
    /// Whether a cast gave it its type, so that a literal's sign no longer follows its
    /// neighbour.
    pub is_cast: bool,
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = f.debug_struct("Expr");
        parts.field("kind", &self.kind).field("ty", &self.ty);
        parts.field("span", &self.span);
        if self.is_cast {
            parts.field("is_cast", &true);
        }
        parts.finish()
    }
}

impl Expr {
    /// `kind` of `ty` at `span`.
    pub fn new(kind: ExprKind, ty: Type, span: Span) -> Self {
        Expr {
            kind,
            ty,
            span,
            is_cast: false,
        }
    }

    /// An integer constant.
    pub fn int(value: i64, ty: Type, span: Span) -> Self {
        Expr::new(ExprKind::Int(value), ty, span)
    }

    /// A string constant.
    pub fn text(text: &str, span: Span) -> Self {
        let bytes = text.as_bytes().to_vec();
        let size = u32::try_from(bytes.len() + 1).unwrap_or(u32::MAX);
        Expr::new(ExprKind::Str(bytes), Type::Str(size), span)
    }

    /// The integer, if it is a constant; the bits of an unsigned one.
    pub fn as_int(&self) -> Option<i64> {
        match self.kind {
            ExprKind::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The bytes, if it is a string constant.
    pub fn as_str(&self) -> Option<&[u8]> {
        match &self.kind {
            ExprKind::Str(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A constant scalar: integers, truth values, enumerators, constant pointers.
    Int(i64),
    /// A constant string.
    Str(Vec<u8>),
    /// Nothing: the value of a void expression, or a zero of any type.
    Zero,
    /// A scratch variable.
    Variable(VariableId),
    /// A map's value; zero if there is no such key.
    MapValue {
        /// Which map.
        map: MapIndex,
        /// Of the map's key type.
        key: Option<Box<Expr>>,
    },
    /// A map as such: an argument of the functions that take one.
    Map(MapIndex),
    /// An aggregation's slots combined over all CPUs to an integer of 8 bytes.
    ReadAggregate {
        /// Which map.
        map: MapIndex,
        /// Of the map's key type.
        key: Option<Box<Expr>>,
    },
    /// A builtin; `name` as written.
    Builtin {
        /// The word.
        word: BuiltinWord,
        /// One of the names it answers to.
        name: String,
    },
    /// A call.
    Call(Box<Call>),
    /// A piece of the probe's arguments.
    Argument(Field),
    /// A value in kernel or user memory, or in memory that can be loaded from directly.
    Memory {
        /// The address: a pointer or an integer.
        address: Box<Expr>,
        /// Bytes from there.
        offset: i64,
        /// Which memory.
        space: Space,
        /// For bit-fields.
        bits: Option<(u8, u8)>,
        /// For `__data_loc` and the like.
        encoding: Encoding,
    },
    /// A piece of a value that is in rbt's own memory.
    Part {
        /// The whole.
        of: Box<Expr>,
        /// Bytes from its start.
        offset: u32,
        /// For bit-fields.
        bits: Option<(u8, u8)>,
    },
    /// One element of an array or string in rbt's own memory, by a computed index; zero
    /// outside of it.
    Element {
        /// The array or string.
        of: Box<Expr>,
        /// The index.
        index: Box<Expr>,
        /// Bytes from one to the next.
        stride: u32,
        /// How many there are.
        count: u32,
    },
    /// The address of a value that is in memory of its own: `&$v`.
    AddressOf(Box<Expr>),
    /// `-x`, `~x`, `!x`
    Unary(UnaryOp, Box<Expr>),
    /// Arithmetic and comparison; both sides have one type (a shift's right side may differ).
    Binary {
        /// Which.
        op: BinaryOp,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// `&&`
    And(Box<Expr>, Box<Expr>),
    /// `||`
    Or(Box<Expr>, Box<Expr>),
    /// `c ? a : b`, an `if` with a value.
    Select {
        /// A scalar.
        condition: Box<Expr>,
        /// When it is not zero.
        then: Box<Expr>,
        /// When it is.
        otherwise: Box<Expr>,
    },
    /// Elements in order, each of the element's type.
    Tuple(Vec<Expr>),
    /// A conversion to the type of this node.
    Convert(Box<Expr>),
    /// `x++` and the like on a scratch variable of 8 bytes; a pointer steps by `by`.
    StepVariable {
        /// Which.
        variable: VariableId,
        /// What is added.
        by: i64,
        /// Whether the value is the new one.
        is_prefix: bool,
    },
    /// The same on a map's integer of 8 bytes; a missing key counts as zero.
    StepMap {
        /// Which map.
        map: MapIndex,
        /// Of the map's key type.
        key: Option<Box<Expr>>,
        /// What is added.
        by: i64,
        /// Whether the value is the new one.
        is_prefix: bool,
    },
    /// Statements, then a value.
    Block(Vec<Stmt>, Box<Expr>),
}

/// A builtin, by its word.
#[derive(Clone, Copy)]
pub struct BuiltinWord(pub &'static dyn Builtin);

impl fmt::Debug for BuiltinWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// A call of a function.
#[derive(Clone)]
pub struct Call {
    /// The word; `None` for an aggregation's call while it is checked.
    pub word: Option<&'static dyn Function>,
    /// The name as written.
    pub name: String,
    /// The arguments, typed; `check` may convert or drop some.
    pub arguments: Vec<Expr>,
    /// Literals that `check` found: formats, numbers, maps.
    pub params: Vec<Param>,
    /// The type of its value.
    pub ty: Type,
    /// Where it stands.
    pub span: Span,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(&self.name)
            .field("arguments", &self.arguments)
            .field("params", &self.params)
            .finish()
    }
}

/// Prefix operators that compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-`
    Negate,
    /// `~`
    Complement,
    /// `!`
    Not,
}

/// Binary operators on values; signedness is explicit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    SignedDivide,
    Remainder,
    SignedRemainder,
    ShiftLeft,
    ShiftRight,
    ArithmeticShiftRight,
    And,
    Or,
    Xor,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    SignedLess,
    SignedLessEqual,
    SignedGreater,
    SignedGreaterEqual,
}

impl BinaryOp {
    /// Whether its value is a truth value.
    pub fn is_comparison(self) -> bool {
        self as u8 >= BinaryOp::Equal as u8
    }
}

/// Whether anything in an expression, itself included, satisfies `test`. Statements of block
/// expressions are looked into.
pub fn any(expr: &Expr, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
    if test(expr) {
        return true;
    }
    match &expr.kind {
        ExprKind::Int(_)
        | ExprKind::Str(_)
        | ExprKind::Zero
        | ExprKind::Variable(_)
        | ExprKind::Map(_)
        | ExprKind::Builtin { .. }
        | ExprKind::Argument(_)
        | ExprKind::StepVariable { .. } => false,
        ExprKind::MapValue { key, .. }
        | ExprKind::ReadAggregate { key, .. }
        | ExprKind::StepMap { key, .. } => key.as_deref().is_some_and(|key| any(key, test)),
        ExprKind::Call(call) => call.arguments.iter().any(|a| any(a, test)),
        ExprKind::Memory { address: of, .. }
        | ExprKind::Part { of, .. }
        | ExprKind::AddressOf(of)
        | ExprKind::Unary(_, of)
        | ExprKind::Convert(of) => any(of, test),
        ExprKind::Element { of, index, .. } => any(of, test) || any(index, test),
        ExprKind::Binary { left, right, .. }
        | ExprKind::And(left, right)
        | ExprKind::Or(left, right) => any(left, test) || any(right, test),
        ExprKind::Select {
            condition,
            then,
            otherwise,
        } => any(condition, test) || any(then, test) || any(otherwise, test),
        ExprKind::Tuple(elements) => elements.iter().any(|e| any(e, test)),
        ExprKind::Block(statements, value) => any_in(statements, test) || any(value, test),
    }
}

/// Whether any expression of some statements satisfies `test`.
pub fn any_in(statements: &[Stmt], test: &mut dyn FnMut(&Expr) -> bool) -> bool {
    statements.iter().any(|statement| match &statement.kind {
        StmtKind::Expr(e) | StmtKind::SetVariable(_, e) => any(e, test),
        StmtKind::Clear(_) | StmtKind::Break | StmtKind::Continue => false,
        StmtKind::SetMap { key, value, .. } | StmtKind::UpdateMap { key, value, .. } => {
            key.as_ref().is_some_and(|key| any(key, test)) || any(value, test)
        }
        StmtKind::Aggregate { key, call, .. } => {
            key.as_ref().is_some_and(|key| any(key, test))
                || call.value.as_ref().is_some_and(|value| any(value, test))
        }
        StmtKind::If {
            condition,
            then,
            otherwise,
        } => any(condition, test) || any_in(then, test) || any_in(otherwise, test),
        StmtKind::While { condition, body } => any(condition, test) || any_in(body, test),
        StmtKind::ForRange { from, to, body, .. } => {
            any(from, test) || any(to, test) || any_in(body, test)
        }
        StmtKind::ForMap { body, .. } | StmtKind::Block(body) => any_in(body, test),
        StmtKind::Return(value) => value.as_ref().is_some_and(|value| any(value, test)),
    })
}

/// Calls `visit` with each statement, inner ones included, those of block expressions
/// excepted.
pub fn each_statement(statements: &[Stmt], visit: &mut dyn FnMut(&Stmt)) {
    for statement in statements {
        visit(statement);
        match &statement.kind {
            StmtKind::If {
                then, otherwise, ..
            } => {
                each_statement(then, visit);
                each_statement(otherwise, visit);
            }
            StmtKind::While { body, .. }
            | StmtKind::ForRange { body, .. }
            | StmtKind::ForMap { body, .. }
            | StmtKind::Block(body) => each_statement(body, visit),
            _ => {}
        }
    }
}
