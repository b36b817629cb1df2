//! The tree back to canonical text: braces everywhere, one statement a line, no parenthesis
//! that says nothing.
//!
//! Takes a tree; gives text that parses back to an equal tree, spans apart, if the tree came
//! from the parser and holds no `Error` nodes. Comments are not in the tree: [`program`] loses
//! them, [`script`] takes them from the source.

mod items;
mod layout;

use crate::ast::*;
use crate::source::{Source, Span};
use layout::Layout;
use std::fmt::Write;

/// The text of a whole script.
pub fn program(program: &Program) -> String {
    let mut printer = Printer::default();
    printer.program(program);
    printer.text
}

/// A script in its usual form, with its comments (at `comments`), its empty lines inside
/// blocks, and its literals and attach points as they were written.
pub fn script(program: &Program, source: &Source, comments: &[Span]) -> String {
    let mut printer = Printer {
        layout: Some(Layout::new(&source.text, comments)),
        ..Printer::default()
    };
    if let Some(first) = source.text.lines().next().filter(|l| l.starts_with("#!")) {
        printer.put(first);
        printer.put("\n");
    }
    printer.program(program);
    printer.text
}

/// The text of one expression.
pub fn expression(expr: &Expr) -> String {
    let mut printer = Printer::default();
    printer.expr(expr, Level::Lowest);
    printer.text
}

/// The text of a type.
pub fn type_name(ty: &TypeName) -> String {
    let mut printer = Printer::default();
    printer.type_name(ty);
    printer.text
}

/// Where a statement's first block begins, or else the statement ends: comments before that
/// stand before the statement.
fn first_block(statement: &Statement) -> u32 {
    match &statement.kind {
        StatementKind::If { then: block, .. }
        | StatementKind::While { body: block, .. }
        | StatementKind::Unroll { body: block, .. }
        | StatementKind::For { body: block, .. }
        | StatementKind::Block(block) => block.span.start,
        _ => statement.span.end,
    }
}

/// How tightly an expression holds together, loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// Blocks and `if`s as values: bare only where nothing else could be meant.
    Lowest,
    Ternary,
    Or,
    And,
    BitOr,
    BitXor,
    BitAnd,
    Equality,
    Relation,
    Shift,
    Sum,
    Product,
    Unary,
    Postfix,
}

impl Level {
    fn of_operator(op: BinaryOp) -> Level {
        use BinaryOp::*;
        match op {
            Or => Level::Or,
            And => Level::And,
            BitOr => Level::BitOr,
            BitXor => Level::BitXor,
            BitAnd => Level::BitAnd,
            Equal | NotEqual => Level::Equality,
            Less | LessEqual | Greater | GreaterEqual => Level::Relation,
            ShiftLeft | ShiftRight => Level::Shift,
            Add | Subtract => Level::Sum,
            Multiply | Divide | Remainder => Level::Product,
        }
    }

    /// The next tighter one: what the right side of a left-associative operator needs.
    fn tighter(self) -> Level {
        use Level::*;
        match self {
            Lowest => Ternary,
            Ternary => Or,
            Or => And,
            And => BitOr,
            BitOr => BitXor,
            BitXor => BitAnd,
            BitAnd => Equality,
            Equality => Relation,
            Relation => Shift,
            Shift => Sum,
            Sum => Product,
            Product => Unary,
            Unary | Postfix => Postfix,
        }
    }

    fn of(expr: &Expr) -> Level {
        match &expr.kind {
            ExprKind::Block(_) | ExprKind::If { .. } => Level::Lowest,
            ExprKind::Ternary { .. } => Level::Ternary,
            ExprKind::Binary { op, .. } => Level::of_operator(*op),
            ExprKind::Unary { .. } | ExprKind::Cast { .. } | ExprKind::Comptime(_) => Level::Unary,
            ExprKind::Step {
                fix: Fix::Prefix, ..
            } => Level::Unary,
            _ => Level::Postfix,
        }
    }
}

/// The text so far.
#[derive(Default)]
struct Printer<'s> {
    text: String,
    indent: usize,
    /// The text that is laid out anew; without one, the tree is all there is.
    layout: Option<Layout<'s>>,
}

impl Printer<'_> {
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn line(&mut self) {
        self.text.push('\n');
        for _ in 0..self.indent {
            self.text.push_str("    ");
        }
    }

    fn list<T>(&mut self, items: &[T], mut put: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.put(", ");
            }
            put(self, item);
        }
    }

    // Statements.

    fn block(&mut self, block: &Block) {
        let end = block.span.end;
        let is_empty = block.statements.is_empty() && block.value.is_none();
        if is_empty && !self.has_comments(end) {
            return self.put("{ }");
        }
        self.put("{");
        self.indent += 1;
        for (number, statement) in block.statements.iter().enumerate() {
            self.line_of(statement.span.start, number == 0);
            self.comments_before(first_block(statement));
            self.statement(statement);
            self.comments_behind(statement.span.end);
        }
        if let Some(value) = &block.value {
            self.line_of(value.span.start, block.statements.is_empty());
            self.comments_before(value.span.start);
            // A block or an `if` at the start of a statement would be one.
            self.expr(value, Level::Ternary);
            self.comments_behind(value.span.end);
        }
        self.comments_at_end(end);
        self.indent -= 1;
        self.line();
        self.put("}");
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.kind {
            StatementKind::Expression(expr) => self.expr(expr, Level::Ternary),
            StatementKind::Discard(expr) => {
                self.put("_ = ");
                self.expr(expr, Level::Lowest);
            }
            StatementKind::Assign { target, op, value } => {
                self.expr(target, Level::Postfix);
                let symbol = op.map_or("", BinaryOp::symbol);
                let _ = write!(self.text, " {symbol}= ");
                self.expr(value, Level::Lowest);
            }
            StatementKind::Let { name, ty, value } => {
                self.put("let $");
                self.put(&name.node);
                if let Some(ty) = ty {
                    self.put(" : ");
                    self.type_name(ty);
                }
                if let Some(value) = value {
                    self.put(" = ");
                    self.expr(value, Level::Lowest);
                }
            }
            StatementKind::If {
                condition,
                then,
                otherwise,
            } => return self.if_statement(condition, then, otherwise.as_ref()),
            StatementKind::While { condition, body } => {
                return self.loop_("while", condition, body);
            }
            StatementKind::Unroll { count, body } => return self.loop_("unroll", count, body),
            StatementKind::For {
                variable,
                over,
                body,
            } => {
                self.put("for $");
                self.put(&variable.node);
                self.put(" : ");
                match over {
                    ForOver::Range(from, to) => {
                        self.expr(from, Level::Postfix);
                        self.put("..");
                        self.expr(to, Level::Postfix);
                    }
                    ForOver::Map(map) => self.expr(map, Level::Postfix),
                }
                self.put(" ");
                return self.block(body);
            }
            StatementKind::Break => self.put("break"),
            StatementKind::Continue => self.put("continue"),
            StatementKind::Return(value) => {
                self.put("return");
                if let Some(value) = value {
                    self.put(" ");
                    self.expr(value, Level::Lowest);
                }
            }
            StatementKind::Block(block) => return self.block(block),
            StatementKind::Import(import) => self.import(import),
            StatementKind::Error => return self.put("/* not understood */"),
        }
        self.put(";");
    }

    fn loop_(&mut self, keyword: &str, head: &Expr, body: &Block) {
        self.put(keyword);
        self.put(" (");
        self.expr(head, Level::Lowest);
        self.put(") ");
        self.block(body);
    }

    fn if_statement(&mut self, condition: &Expr, then: &Block, otherwise: Option<&Block>) {
        self.loop_("if", condition, then);
        let Some(otherwise) = otherwise else {
            return;
        };
        self.put(" else ");
        // A block that holds nothing but an `if` is `else if`.
        match (otherwise.statements.as_slice(), &otherwise.value) {
            ([only], None) if matches!(only.kind, StatementKind::If { .. }) => {
                self.statement(only);
            }
            _ => self.block(otherwise),
        }
    }

    fn if_value(&mut self, condition: &Expr, then: &Block, otherwise: Option<&Block>) {
        self.loop_("if", condition, then);
        let Some(otherwise) = otherwise else {
            return;
        };
        self.put(" else ");
        match (otherwise.statements.as_slice(), otherwise.value.as_deref()) {
            ([], Some(value)) if matches!(value.kind, ExprKind::If { .. }) => self.bare(value),
            _ => self.block(otherwise),
        }
    }

    // Expressions.

    /// Prints `expr` where something at least as tight as `least` is needed.
    fn expr(&mut self, expr: &Expr, least: Level) {
        if Level::of(expr) < least {
            self.put("(");
            self.bare(expr);
            self.put(")");
        } else {
            self.bare(expr);
        }
    }

    fn bare(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Int(value) => {
                let written = self.written(expr.span);
                let is_literal = |text: &String| {
                    text.starts_with(|c: char| c.is_ascii_digit() || c == '\'')
                        && !text.contains(|c: char| c.is_whitespace() || "()+-*/".contains(c))
                };
                match written.filter(is_literal) {
                    Some(text) => self.put(&text),
                    None => self.put(&value.to_string()),
                }
            }
            ExprKind::Bool(value) => self.put(&value.to_string()),
            ExprKind::Str(bytes) => {
                let written = self.written(expr.span);
                let is_literal =
                    |text: &String| text.len() > 1 && text.starts_with('"') && text.ends_with('"');
                match written.filter(is_literal) {
                    Some(text) => self.put(&text),
                    None => self.string(bytes),
                }
            }
            ExprKind::Identifier(name) => self.put(name),
            ExprKind::Variable(name) => {
                self.put("$");
                self.put(name);
            }
            ExprKind::Map(name) => {
                self.put("@");
                self.put(name);
            }
            ExprKind::Positional(number) => {
                self.put("$");
                self.put(&number.to_string());
            }
            ExprKind::PositionalCount => self.put("$#"),
            ExprKind::Index { base, indices } => {
                self.expr(base, Level::Postfix);
                self.put("[");
                self.list(indices, |p, e| p.expr(e, Level::Lowest));
                self.put("]");
            }
            ExprKind::TupleElement { base, index } => {
                self.base(base);
                self.put(".");
                self.put(&index.node.to_string());
            }
            ExprKind::Field { base, name } => {
                self.base(base);
                self.put(".");
                self.put(&name.node);
            }
            ExprKind::Call { name, arguments } => {
                self.put(&name.node);
                self.put("(");
                self.list(arguments, |p, argument| match argument {
                    Argument::Expr(expr) => p.expr(expr, Level::Lowest),
                    Argument::Type(ty) => p.type_name(ty),
                });
                self.put(")");
            }
            ExprKind::Unary { op, operand } => self.unary(*op, operand),
            ExprKind::Step { step, fix, target } => {
                let symbol = match step {
                    Step::Increment => "++",
                    Step::Decrement => "--",
                };
                match fix {
                    Fix::Prefix => {
                        self.put(symbol);
                        // `++ -x` is two operators even without the space; `++ ++x` is not.
                        self.separate(target);
                        self.expr(target, Level::Unary);
                    }
                    Fix::Postfix => {
                        self.expr(target, Level::Postfix);
                        self.put(symbol);
                    }
                }
            }
            ExprKind::Binary {
                op, left, right, ..
            } => {
                let level = Level::of_operator(*op);
                self.expr(left, level);
                let _ = write!(self.text, " {} ", op.symbol());
                self.expr(right, level.tighter());
            }
            ExprKind::Ternary {
                condition,
                then,
                otherwise,
            } => {
                self.expr(condition, Level::Or);
                match then {
                    Some(then) => {
                        self.put(" ? ");
                        self.expr(then, Level::Ternary);
                        self.put(" : ");
                    }
                    None => self.put(" ?: "),
                }
                self.expr(otherwise, Level::Ternary);
            }
            ExprKind::Cast { ty, operand } => self.cast(ty, operand),
            ExprKind::Tuple(elements) => {
                self.put("(");
                self.list(elements, |p, e| p.expr(e, Level::Lowest));
                self.put(if elements.len() == 1 { ",)" } else { ")" });
            }
            ExprKind::Record(fields) => {
                self.put("(");
                self.list(fields, |p, (name, value)| {
                    p.put(&name.node);
                    p.put(" = ");
                    p.expr(value, Level::Lowest);
                });
                self.put(")");
            }
            ExprKind::Block(block) => self.block(block),
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => self.if_value(condition, then, otherwise.as_deref()),
            ExprKind::Sizeof(of) => self.of_type("sizeof", of, &[]),
            ExprKind::Typeinfo(of) => self.of_type("typeinfo", of, &[]),
            ExprKind::Offsetof { of, path } => self.of_type("offsetof", of, path),
            ExprKind::Comptime(operand) => {
                self.put("comptime ");
                self.expr(operand, Level::Unary);
            }
            ExprKind::Error => self.put("/* not understood */"),
        }
    }

    /// What a `.` follows: behind a number it would be read as a fraction.
    fn base(&mut self, base: &Expr) {
        if matches!(base.kind, ExprKind::Int(_)) {
            self.put("(");
            self.bare(base);
            self.put(")");
        } else {
            self.expr(base, Level::Postfix);
        }
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr) {
        self.put(op.symbol());
        if matches!(op, UnaryOp::Negate | UnaryOp::AddressOf) {
            self.separate(operand);
        }
        self.expr(operand, Level::Unary);
    }

    /// A space where two operators would run together.
    fn separate(&mut self, operand: &Expr) {
        let is_operator = matches!(
            operand.kind,
            ExprKind::Unary { .. }
                | ExprKind::Step {
                    fix: Fix::Prefix,
                    ..
                }
        );
        if is_operator {
            self.put(" ");
        }
    }

    fn cast(&mut self, ty: &TypeName, operand: &Expr) {
        self.put("(");
        self.type_name(ty);
        self.put(")");
        // `(name)-1` may be a subtraction, depending on what is known of the name.
        let is_sign = matches!(
            operand.kind,
            ExprKind::Unary { .. }
                | ExprKind::Step {
                    fix: Fix::Prefix,
                    ..
                }
        );
        if is_sign && matches!(ty.base, TypeBase::Named(_)) {
            self.put("(");
            self.bare(operand);
            self.put(")");
        } else {
            self.expr(operand, Level::Unary);
        }
    }

    fn of_type(&mut self, keyword: &str, of: &TypeOrExpr, path: &[Name]) {
        self.put(keyword);
        self.put("(");
        match of {
            TypeOrExpr::Type(ty) => self.type_name(ty),
            // What looks like a type is one, unless it is in parentheses.
            TypeOrExpr::Expr(expr) => match &expr.kind {
                ExprKind::Identifier(_) | ExprKind::Index { .. } => {
                    self.put("(");
                    self.bare(expr);
                    self.put(")");
                }
                _ => self.expr(expr, Level::Lowest),
            },
        }
        for (i, name) in path.iter().enumerate() {
            self.put(if i == 0 { ", " } else { "." });
            self.put(&name.node);
        }
        self.put(")");
    }

    fn type_name(&mut self, ty: &TypeName) {
        match &ty.base {
            TypeBase::Named(name) => self.put(name),
            TypeBase::Tagged(kind, name) => {
                self.put(tag(*kind));
                self.put(" ");
                self.put(name);
                if !ty.suffixes.is_empty() {
                    self.put(" ");
                }
            }
            TypeBase::Typeof(of) => self.of_type("typeof", of, &[]),
        }
        for suffix in &ty.suffixes {
            match suffix {
                TypeSuffix::Pointer => self.put("*"),
                TypeSuffix::Array(None) => self.put("[]"),
                TypeSuffix::Array(Some(length)) => {
                    self.put("[");
                    self.expr(length, Level::Lowest);
                    self.put("]");
                }
            }
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        self.put("\"");
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\n' => self.put("\\n"),
                    '\t' => self.put("\\t"),
                    '\r' => self.put("\\r"),
                    '"' => self.put("\\\""),
                    '\\' => self.put("\\\\"),
                    c if c.is_ascii_control() => {
                        let _ = write!(self.text, "\\x{:02x}", u32::from(c));
                    }
                    c => self.text.push(c),
                }
            }
            for byte in chunk.invalid() {
                let _ = write!(self.text, "\\x{byte:02x}");
            }
        }
        self.put("\"");
    }
}

fn tag(kind: TagKind) -> &'static str {
    match kind {
        TagKind::Struct => "struct",
        TagKind::Union => "union",
        TagKind::Enum => "enum",
    }
}
