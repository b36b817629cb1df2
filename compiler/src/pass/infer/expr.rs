//! Expressions.

use super::promote::promote;
use super::{Infer, MOST_DEFINES};
use crate::hir::{Expr, ExprKind};
use crate::pass::convert::convert;
use crate::pass::fold;
use crate::types::{Encoding, I64, Int, Space, Type, U64, layout};
use rbt_grammar::ast::{self, ExprKind as A, Fix, Step};
use rbt_grammar::{Diagnostic, SourceMap, Span, codes};
use std::rc::Rc;

impl Infer<'_, '_> {
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Expr {
        let typed = self.typed(expr);
        self.tell(expr.span, &typed.ty);
        typed
    }

    /// Answers who asks for the type at a place.
    pub(super) fn tell(&self, span: Span, ty: &Type) {
        if let Some(question) = &self.input.options.question {
            question.hear(span, ty, self.input.types);
        }
    }

    fn typed(&mut self, expr: &ast::Expr) -> Expr {
        let span = expr.span;
        match &expr.kind {
            A::Int(value) => Expr::int(value.cast_signed(), fold::literal_type(*value), span),
            A::Bool(value) => Expr::int(i64::from(*value), Type::Bool, span),
            A::Str(bytes) => {
                self.limit_text(bytes, span);
                self.text(bytes, span)
            }
            A::Identifier(name) => self.identifier(name, span),
            A::Variable(name) => self.variable_expr(name, span),
            A::Map(name) => self.map_read(name, &[], span),
            A::Positional(number) => self.positional(*number, span),
            A::PositionalCount => {
                let count = self.input.options.positional.len() as u64;
                Expr::int(count.cast_signed(), fold::literal_type(count), span)
            }
            A::Index { base, indices } => match &base.kind {
                A::Map(name) => self.map_read(name, indices, span),
                _ => self.index(base, indices, span),
            },
            A::TupleElement { base, index } => {
                let base = self.expr(base);
                self.element_of_tuple(base, index.node, span)
            }
            A::Field { base, name } => self.field(base, name, span),
            A::Call { name, arguments } => self.call(name, arguments, span),
            A::Unary { op, operand } => self.unary(*op, operand, span),
            A::Step { step, fix, target } => self.step(*step, *fix, target, span),
            A::Binary {
                op, left, right, ..
            } => {
                let left = self.expr(left);
                let right = self.expr(right);
                match op {
                    ast::BinaryOp::And => self.logical(true, left, right, span),
                    ast::BinaryOp::Or => self.logical(false, left, right, span),
                    op => self.binary(*op, left, right, span),
                }
            }
            A::Ternary {
                condition,
                then,
                otherwise,
            } => self.ternary(condition, then.as_deref(), otherwise, span),
            A::Cast { ty, operand } => self.cast(ty, operand, span),
            A::Tuple(elements) => {
                let elements: Vec<Expr> = elements.iter().map(|e| self.element(e)).collect();
                tuple(elements, span)
            }
            A::Record(fields) => {
                let typed: Vec<Expr> = fields.iter().map(|(_, e)| self.element(e)).collect();
                let types = fields
                    .iter()
                    .zip(&typed)
                    .map(|((name, _), e)| (Rc::from(name.node.as_str()), e.ty.clone()))
                    .collect::<Vec<(Rc<str>, Type)>>();
                let ty = Type::Record(Rc::from(types));
                Expr::new(ExprKind::Tuple(typed), ty, span)
            }
            A::Block(block) => self.block_value(block, span),
            A::If {
                condition,
                then,
                otherwise,
            } => {
                let condition = self.condition(condition);
                let then = self.block_value(then, span);
                let otherwise = match otherwise {
                    Some(block) => self.block_value(block, span),
                    None => Expr::new(ExprKind::Zero, Type::Void, span),
                };
                self.select(condition, then, otherwise, span)
            }
            A::Sizeof(of) => {
                let size = match self.type_of(of) {
                    Type::Aggregate(_) => 8,
                    // It travels as a number; as a text it has this capacity.
                    Type::TextNumber => 64,
                    ty => ty.size(),
                };
                Expr::int(i64::from(size), fold::literal_type(u64::from(size)), span)
            }
            A::Offsetof { of, path } => self.offset_of(of, path, span),
            A::Typeinfo(of) => self.type_info(of, span),
            A::Comptime(inner) => {
                let value = self.expr(inner);
                let is_constant = value.as_int().is_some() || value.as_str().is_some();
                if !is_constant && !value.ty.is_absorbing() {
                    self.report(Diagnostic::error(
                        codes::BAD_ARGUMENT,
                        "a comptime expression must be known before the script runs",
                        value.span,
                        "only known at run time",
                    ));
                }
                value
            }
            A::Error => Expr::new(ExprKind::Zero, Type::Error, span),
        }
    }

    /// Complains about a literal that is longer than any value may be.
    fn limit_text(&mut self, bytes: &[u8], span: Span) {
        let limit = self.input.config.max_strlen;
        if (bytes.len() as u64) < limit {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        self.report(
            Diagnostic::error(
                codes::TOO_LARGE,
                format!("String is too long (over {limit} bytes): {text}"),
                span,
                format!("{} bytes and a NUL", bytes.len()),
            )
            .help(format!("config = {{ max_strlen = {} }}", bytes.len() + 1)),
        );
    }

    pub(super) fn text(&mut self, bytes: &[u8], span: Span) -> Expr {
        let size = u32::try_from(bytes.len().saturating_add(1)).unwrap_or(u32::MAX);
        Expr::new(ExprKind::Str(bytes.to_vec()), Type::Str(size), span)
    }

    /// An element of a tuple: anything that can be copied.
    fn element(&mut self, element: &ast::Expr) -> Expr {
        let value = self.expr(element);
        match &value.ty {
            Type::Aggregate(a) if a.is_castable => self.as_integer_if_aggregate(value),
            Type::Aggregate(a) => {
                self.report(Diagnostic::error(
                    codes::AGGREGATE_PLACE,
                    format!("Map type {}_t cannot exist inside a tuple.", a.word),
                    value.span,
                    "it has no single value",
                ));
                Expr {
                    ty: Type::Error,
                    ..value
                }
            }
            Type::Void => {
                self.report(Diagnostic::error(
                    codes::TYPE_MISMATCH,
                    "an element of a tuple must have a value",
                    value.span,
                    "this has no value",
                ));
                Expr {
                    ty: Type::Error,
                    ..value
                }
            }
            _ => value,
        }
    }

    fn identifier(&mut self, name: &str, span: Span) -> Expr {
        let found = self.input.macros.get(name).filter(|m| !m.has_parameters);
        // What a script defines wins over the language's words; what a header defines does not.
        if found.is_some_and(|found| !found.is_of_header) {
            return self.define(name, span);
        }
        if name == "args" {
            return self.arguments(span);
        }
        if let Some(word) = self.input.vocabulary.builtin(name) {
            return self.builtin(word, name, span);
        }
        if found.is_some() {
            return self.define(name, span);
        }
        if let Some(word) = self.input.vocabulary.function(name)
            && word.is_value()
        {
            return self.function(word, &[], span);
        }
        if let Some((ty, value)) = self.input.types.enumerator(name) {
            return Expr::int(value, ty, span);
        }
        let mut diagnostic = Diagnostic::error(
            codes::UNKNOWN_NAME,
            format!("Unknown identifier: '{name}'"),
            span,
            "no builtin, enumerator or #define has this name",
        );
        let vocabulary = self.input.vocabulary;
        if vocabulary.function(name).is_some() || vocabulary.aggregation(name).is_some() {
            diagnostic = diagnostic.help(format!("it is a function: call it, `{name}(…)`"));
        } else if let Some(near) = self.nearest_word(name) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if self.find_variable(name).is_some() {
            diagnostic = diagnostic.help(format!("did you mean the variable `${name}`?"));
        }
        self.report(diagnostic);
        Expr::new(ExprKind::Zero, Type::Error, span)
    }

    /// What a `#define`d name stands for, at the place of its use.
    fn define(&mut self, name: &str, span: Span) -> Expr {
        let text = self.input.macros.expanded(name).unwrap_or_default();
        if text.trim() == name {
            // It names itself, as headers do beside their enumerators.
            if let Some((ty, value)) = self.input.types.enumerator(name) {
                return Expr::int(value, ty, span);
            }
        }
        let text = text.as_str();
        let mut sources = SourceMap::new();
        let id = sources.add(name, text);
        let parsed = sources.get(id).and_then(|source| {
            rbt_grammar::parse_expression(source, &rbt_grammar::ParseOptions::default()).ok()
        });
        let Some(mut parsed) = parsed.filter(|_| self.defines < MOST_DEFINES) else {
            self.report(
                Diagnostic::error(
                    codes::UNKNOWN_NAME,
                    format!("`#define {name}` is not an expression"),
                    span,
                    format!("stands for `{text}`"),
                )
                .help("only names that stand for one expression can be used"),
            );
            return Expr::new(ExprKind::Zero, Type::Error, span);
        };
        crate::pass::respan::expr(&mut parsed, span);
        self.defines += 1;
        let value = self.expr(&parsed);
        self.defines -= 1;
        value
    }

    pub(super) fn variable_expr(&mut self, name: &str, span: Span) -> Expr {
        let Some(id) = self.find_variable(name) else {
            if self.input.has_holes {
                return Expr::new(ExprKind::Zero, Type::Error, span);
            }
            if self.gone.contains(name)
                && !self.declared.contains(name)
                && let Some(outliving) = self.outliving.get_mut(self.clause)
            {
                if !outliving.iter().any(|(known, _)| known == name) {
                    outliving.push((name.to_owned(), span));
                }
                return Expr::new(ExprKind::Zero, Type::Unknown, span);
            }
            let mut diagnostic = Diagnostic::error(
                codes::UNDEFINED_VARIABLE,
                format!("Undefined or undeclared variable: ${name}"),
                span,
                "not assigned in this block or around it",
            );
            let names: Vec<&str> = self
                .scopes
                .iter()
                .flat_map(|s| s.keys().map(String::as_str))
                .collect();
            if self.gone.contains(name) {
                diagnostic = diagnostic.help(format!(
                    "its block has ended: declare it in front of the block, `let ${name};`"
                ));
            } else if let Some(near) = crate::nearest::nearest(name, names) {
                diagnostic = diagnostic.help(format!("did you mean `${near}`?"));
            } else {
                diagnostic = diagnostic.help(format!("assign it first: `${name} = …;`"));
            }
            self.report(diagnostic);
            return Expr::new(ExprKind::Zero, Type::Error, span);
        };
        let variable = self.variable(id);
        if variable.is_arguments {
            return self.arguments(span);
        }
        let ty = variable.ty.clone();
        if variable.is_bare && !variable.is_assigned {
            // Once is enough for a variable.
            variable.is_bare = false;
            self.report(Diagnostic::warning(
                codes::NEVER_ASSIGNED,
                format!("Variable used before it was assigned: ${name}"),
                span,
                "it is zero or empty here",
            ));
        }
        Expr::new(ExprKind::Variable(id), ty, span)
    }

    fn positional(&mut self, number: u32, span: Span) -> Expr {
        let index = number.saturating_sub(1) as usize;
        let text = self.input.options.positional.get(index).cloned();
        match text.filter(|text| !text.is_empty()) {
            None => {
                self.report(
                    Diagnostic::warning(
                        codes::BAD_ARGUMENT,
                        format!("Positional parameter ${number} is empty or not provided."),
                        span,
                        "0 is used",
                    )
                    .help("give it after the script on the command line"),
                );
                Expr::int(0, fold::literal_type(0), span)
            }
            Some(text) => match crate::pass::parameter::integer(&text) {
                Some((value, ty)) => Expr::int(value, ty, span),
                None => self.text(text.as_bytes(), span),
            },
        }
    }

    fn step(&mut self, step: Step, fix: Fix, target: &ast::Expr, span: Span) -> Expr {
        let sign = match step {
            Step::Increment => 1,
            Step::Decrement => -1,
        };
        let is_prefix = fix == Fix::Prefix;
        match &target.kind {
            A::Variable(name) => {
                let old = self.variable_expr(name, target.span);
                let ExprKind::Variable(id) = old.kind else {
                    return old;
                };
                let (ty, by) = match self.stepped(&old.ty, step, span) {
                    Some(ty) => ty,
                    None => return Expr::new(ExprKind::Zero, Type::Error, span),
                };
                let variable = self.variable(id);
                if !variable.is_fixed
                    && let Some((joined, _)) = promote((&variable.ty, false), (&ty, false))
                {
                    let is_new = variable.ty != joined || variable.is_flexible;
                    variable.ty = joined;
                    variable.is_flexible = false;
                    self.changed |= is_new;
                }
                let ty = self.variable(id).ty.clone();
                let kind = ExprKind::StepVariable {
                    variable: id,
                    by: sign * by,
                    is_prefix,
                };
                Expr::new(kind, ty, span)
            }
            A::Map(_) | A::Index { .. } => {
                let (name, indices): (&str, &[ast::Expr]) = match &target.kind {
                    A::Map(name) => (name, &[]),
                    A::Index { base, indices } => match &base.kind {
                        A::Map(name) => (name, indices),
                        _ => return self.bad_step(target.span),
                    },
                    _ => return self.bad_step(target.span),
                };
                let map = self.map_number(name, target.span);
                let key = self.map_key(map, indices, target.span);
                let old = match self.map_value_type(map) {
                    Type::Unknown => I64,
                    ty => ty,
                };
                let Some((ty, by)) = self.stepped(&old, step, span) else {
                    return Expr::new(ExprKind::Zero, Type::Error, span);
                };
                let Some(ty) = self.join_value(map, &ty, false, span) else {
                    return Expr::new(ExprKind::Zero, Type::Error, span);
                };
                let kind = ExprKind::StepMap {
                    map,
                    key: key.map(Box::new),
                    by: sign * by,
                    is_prefix,
                };
                Expr::new(kind, ty, span)
            }
            _ => self.bad_step(target.span),
        }
    }

    fn bad_step(&mut self, span: Span) -> Expr {
        self.report(Diagnostic::error(
            codes::BAD_TARGET,
            "syntax: increment/decrement requires a variable or map",
            span,
            "not assignable",
        ));
        Expr::new(ExprKind::Zero, Type::Error, span)
    }

    /// The type a stepped integer or pointer has, and how much one step is.
    fn stepped(&mut self, ty: &Type, step: Step, span: Span) -> Option<(Type, i64)> {
        match ty {
            Type::Int(int) => {
                let is_signed = int.is_signed || step == Step::Decrement;
                Some((if is_signed { I64 } else { U64 }, 1))
            }
            Type::Pointer(to, _) => Some((ty.clone(), i64::from(to.size().max(1)))),
            Type::Unknown => Some((Type::Unknown, 1)),
            Type::Error => None,
            other => {
                let symbol = match step {
                    Step::Increment => "++",
                    Step::Decrement => "--",
                };
                self.report(Diagnostic::error(
                    codes::BAD_OPERAND,
                    format!(
                        "The {symbol} operator can not be used on expressions of type '{other}'"
                    ),
                    span,
                    format!("`{other}` here"),
                ));
                None
            }
        }
    }

    fn ternary(
        &mut self,
        condition: &ast::Expr,
        then: Option<&ast::Expr>,
        otherwise: &ast::Expr,
        span: Span,
    ) -> Expr {
        let condition = self.condition(condition);
        let then = match then {
            Some(then) => self.expr(then),
            None => condition.clone(),
        };
        let otherwise = self.expr(otherwise);
        self.select(condition, then, otherwise, span)
    }

    fn select(&mut self, condition: Expr, then: Expr, otherwise: Expr, span: Span) -> Expr {
        let then = self.as_integer_if_aggregate(then);
        let otherwise = self.as_integer_if_aggregate(otherwise);
        let then = numbered_like(then, &otherwise.ty);
        let otherwise = numbered_like(otherwise, &then.ty);
        let ty = if then.ty == Type::Void && otherwise.ty == Type::Void {
            Type::Void
        } else {
            let flexible = |e: &Expr| fold::is_flexible(e);
            let joined = promote(
                (&then.ty, flexible(&then)),
                (&otherwise.ty, flexible(&otherwise)),
            );
            match joined {
                Some((ty, _)) if ty != Type::Void => ty,
                _ => {
                    self.report(
                        Diagnostic::error(
                            codes::TYPE_MISMATCH,
                            format!(
                                "Branches must return the same type or compatible types: have \
                                 '{}' and '{}'",
                                then.ty, otherwise.ty
                            ),
                            span,
                            "the branches differ",
                        )
                        .label(then.span, format!("`{}`", then.ty))
                        .label(otherwise.span, format!("`{}`", otherwise.ty)),
                    );
                    return Expr::new(ExprKind::Zero, Type::Error, span);
                }
            }
        };
        if condition.ty == Type::Error {
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        let then = convert(then, &ty);
        let otherwise = convert(otherwise, &ty);
        match condition.as_int() {
            Some(0) => otherwise,
            Some(_) => then,
            None => Expr::new(
                ExprKind::Select {
                    condition: Box::new(condition),
                    then: Box::new(then),
                    otherwise: Box::new(otherwise),
                },
                ty,
                span,
            ),
        }
    }

    fn block_value(&mut self, block: &ast::Block, span: Span) -> Expr {
        self.in_scope(|infer| {
            let statements = infer.statements(&block.statements);
            let value = match &block.value {
                Some(value) => infer.expr(value),
                None => Expr::new(ExprKind::Zero, Type::Void, span),
            };
            if statements.is_empty() {
                return value;
            }
            let ty = value.ty.clone();
            Expr::new(ExprKind::Block(statements, Box::new(value)), ty, span)
        })
    }

    fn cast(&mut self, ty: &ast::TypeName, operand: &ast::Expr, span: Span) -> Expr {
        let to = self.type_name(ty);
        let value = self.expr(operand);
        if to.is_absorbing() || value.ty.is_absorbing() {
            return Expr::new(ExprKind::Zero, to, span);
        }
        let is_aggregate = matches!(value.ty, Type::Aggregate(_));
        let value = self.as_integer_if_aggregate(value);
        let from = value.ty.clone();
        let is_number = |ty: &Type| {
            matches!(
                ty,
                Type::Int(_)
                    | Type::Bool
                    | Type::Enum(_)
                    | Type::Pointer(..)
                    | Type::KernelSymbol
                    | Type::Username
            )
        };
        let to = match to {
            Type::Array(element, 0) => {
                let each = element.size().max(1);
                let count = from.size() / each;
                Type::Array(element, count)
            }
            // An address stays one of the memory it is known to be of; what the verifier follows
            // by type it follows no further under another.
            Type::Pointer(pointee, space) => match &from {
                Type::Pointer(before, Space::Direct) if *before != pointee => {
                    Type::Pointer(pointee, Space::Kernel)
                }
                Type::Pointer(_, known) => Type::Pointer(pointee, *known),
                _ => Type::Pointer(pointee, space),
            },
            to => to,
        };
        let fits = match (&from, &to) {
            (a, b) if is_number(a) && is_number(b) => true,
            (Type::UserSymbol, Type::Int(_)) => false,
            (Type::Int(_) | Type::Bool, Type::Array(element, _)) => {
                is_number(element) && (from.size() == to.size() || to.size() <= 8)
            }
            (Type::Array(element, _), Type::Int(_)) => {
                is_number(element) && from.size() == to.size()
            }
            (Type::Str(a), Type::Array(element, n)) => element.size() == 1 && a == n,
            (Type::Str(a), Type::Str(b)) => a <= b,
            (a, b) => a == b,
        };
        if !fits {
            let message = match &from {
                Type::Struct(_) => format!("Cannot cast from C type \"{from}\""),
                _ => format!("Cannot cast from \"{from}\" to \"{to}\""),
            };
            self.report(Diagnostic::error(
                codes::BAD_CAST,
                message,
                span,
                format!("`{from}` cannot become `{to}`"),
            ));
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        let mut value = value;
        // A narrow negative integer becomes an address without its sign, as in C's unsigned.
        if let (Type::Pointer(..), Type::Int(int)) = (&to, &from)
            && int.is_signed
            && int.size < 8
        {
            let unsigned = Type::Int(Int {
                size: int.size,
                is_signed: false,
            });
            value = convert(value, &unsigned);
        }
        if let (Type::Enum(of), Some(number)) = (&to, value.as_int())
            && from.is_integer()
            && !of.variants.iter().any(|(variant, _)| *variant == number)
        {
            self.report(
                Diagnostic::error(
                    codes::BAD_CAST,
                    format!(
                        "Enum: {} doesn't contain a variant value of {number}",
                        of.name
                    ),
                    span,
                    "no enumerator has this value",
                )
                .help("cast a variable, or leave the value an integer"),
            );
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        // What stands at the place of a macro's call was not written there.
        if ty.span != span && !is_aggregate {
            self.warn_unnecessary(&from, &to, &value, span);
        }
        let mut value = convert(value, &to);
        value.span = span;
        value.is_cast = true;
        value
    }

    /// Warns of a cast to the type that the expression has already.
    fn warn_unnecessary(&mut self, from: &Type, to: &Type, value: &Expr, span: Span) {
        // Code that was not written there: the body of a macro serves several types.
        let is_same = from == to && !matches!(from, Type::Array(..) | Type::Str(_));
        if is_same && !value.is_cast && !self.is_expanded(span) {
            self.report(
                Diagnostic::warning(
                    codes::UNNECESSARY,
                    format!("Unnecessary cast: expression is already of type {to}"),
                    span,
                    "changes nothing",
                )
                .help("leave the cast out"),
            );
        }
    }

    fn offset_of(&mut self, of: &ast::TypeOrExpr, path: &[ast::Name], span: Span) -> Expr {
        let mut ty = self.type_of(of);
        if let Type::Pointer(to, _) = &ty {
            ty = (**to).clone();
        }
        let mut offset = 0_u32;
        for name in path {
            let Type::Struct(record) = &ty else {
                if !ty.is_absorbing() {
                    self.report(Diagnostic::error(
                        codes::UNKNOWN_FIELD,
                        format!("'{ty}' is not a C type."),
                        span,
                        "a struct or union is expected",
                    ));
                }
                return Expr::new(ExprKind::Zero, Type::Error, span);
            };
            let record = record.clone();
            match self
                .input
                .types
                .find_field(&record, &name.node, Space::Kernel)
            {
                Some(field) => {
                    offset = offset.saturating_add(field.offset);
                    ty = field.ty;
                }
                None => {
                    self.unknown_field(&record, &name.node, name.span);
                    return Expr::new(ExprKind::Zero, Type::Error, span);
                }
            }
        }
        Expr::int(
            i64::from(offset),
            fold::literal_type(u64::from(offset)),
            span,
        )
    }

    pub(super) fn element_of_tuple(&mut self, base: Expr, index: u32, span: Span) -> Expr {
        let Some(elements) = base.ty.elements() else {
            if !base.ty.is_absorbing() {
                self.report(Diagnostic::error(
                    codes::BAD_OPERAND,
                    format!(
                        "Can not access index '{index}' on expression of type '{}'",
                        base.ty
                    ),
                    span,
                    "not a tuple",
                ));
            }
            let ty = if base.ty == Type::Unknown {
                Type::Unknown
            } else {
                Type::Error
            };
            return Expr::new(ExprKind::Zero, ty, span);
        };
        let count = elements.len();
        let Some(ty) = elements.get(index as usize).map(|ty| (*ty).clone()) else {
            self.report(Diagnostic::error(
                codes::BAD_OPERAND,
                format!("Invalid tuple index: {index}. Found {count} elements in tuple."),
                span,
                format!("the last element is number {}", count.saturating_sub(1)),
            ));
            return Expr::new(ExprKind::Zero, Type::Error, span);
        };
        if let ExprKind::Tuple(parts) = &base.kind
            && let Some(part) = parts.get(index as usize)
            && (part.as_int().is_some() || part.as_str().is_some())
        {
            return part.clone();
        }
        let offset = layout(base.ty.elements().unwrap_or_default().into_iter())
            .offsets
            .get(index as usize)
            .copied()
            .unwrap_or(0);
        part(base, offset, None, ty, span)
    }
}

/// A literal text beside one that travels as a number becomes such a one.
fn numbered_like(expr: Expr, other: &Type) -> Expr {
    match (&expr.kind, other) {
        (ExprKind::Str(_), Type::TextNumber) => Expr {
            ty: Type::TextNumber,
            ..expr
        },
        _ => expr,
    }
}

/// A tuple of typed elements.
pub(super) fn tuple(elements: Vec<Expr>, span: Span) -> Expr {
    let types: Vec<Type> = elements.iter().map(|e| e.ty.clone()).collect();
    let ty = if types.contains(&Type::Error) {
        Type::Error
    } else {
        Type::Tuple(Rc::from(types))
    };
    Expr::new(ExprKind::Tuple(elements), ty, span)
}

/// A piece of a value: of memory, of the probe's arguments, or of rbt's own memory.
pub(super) fn part(base: Expr, offset: u32, bits: Option<(u8, u8)>, ty: Type, span: Span) -> Expr {
    let kind = match base.kind {
        ExprKind::Memory {
            address,
            offset: start,
            space,
            bits: None,
            encoding: Encoding::Plain,
        } => ExprKind::Memory {
            address,
            offset: start.saturating_add(i64::from(offset)),
            space,
            bits,
            encoding: Encoding::Plain,
        },
        ExprKind::Argument(mut field) => {
            field.offset = field.offset.saturating_add(offset);
            field.ty = ty.clone();
            field.bits = bits;
            ExprKind::Argument(field)
        }
        kind => ExprKind::Part {
            of: Box::new(Expr::new(kind, base.ty, base.span)),
            offset,
            bits,
        },
    };
    Expr::new(kind, ty, span)
}
