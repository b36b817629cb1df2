//! Calls of functions, and builtins.

use super::Infer;
use crate::hir::{self, BuiltinWord, Expr, ExprKind};
use crate::types::Type;
use crate::vocabulary::{ArgumentKind, Builtin, Function};
use rbt_grammar::ast::{self, Argument};
use rbt_grammar::{Diagnostic, Span, codes};

impl Infer<'_, '_> {
    pub(super) fn builtin(&mut self, word: &'static dyn Builtin, name: &str, span: Span) -> Expr {
        self.needs = self.needs.and(word.needs_as(name));
        match word.ty(name, self.probe(), self.input.types) {
            Ok(ty) => {
                if let Some(literal) = self.checking(|cx| word.fold(span, cx)) {
                    return literal;
                }
                let kind = ExprKind::Builtin {
                    word: BuiltinWord(word),
                    name: name.to_owned(),
                };
                Expr::new(kind, ty, span)
            }
            Err(_) if self.is_guess => Expr::new(ExprKind::Zero, Type::Error, span),
            Err(not_here) => {
                let mut diagnostic = Diagnostic::error(
                    codes::NOT_OFFERED,
                    not_here.message,
                    span,
                    format!("not offered by `{}`", self.probe().place.text),
                );
                if !not_here.help.is_empty() {
                    diagnostic = diagnostic.help(not_here.help);
                }
                self.report(diagnostic);
                Expr::new(ExprKind::Zero, Type::Error, span)
            }
        }
    }

    pub(super) fn call(&mut self, name: &ast::Name, arguments: &[Argument], span: Span) -> Expr {
        let vocabulary = self.input.vocabulary;
        if let Some(word) = vocabulary.function(&name.node) {
            return self.function(word, arguments, span);
        }
        if let Some(word) = vocabulary.builtin(&name.node) {
            if self.arity(&name.node, 0, 0, arguments.len(), span) {
                return self.builtin(word, &name.node, span);
            }
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        for argument in arguments {
            if let Argument::Expr(argument) = argument {
                self.expr(argument);
            }
        }
        let diagnostic = if vocabulary.aggregation(&name.node).is_some() {
            Diagnostic::error(
                codes::AGGREGATE_PLACE,
                format!("{}() must be assigned directly to a map", name.node),
                span,
                "it has no value of its own",
            )
            .help(format!("use a map: `@x = {}(…);`", name.node))
        } else {
            let diagnostic = Diagnostic::error(
                codes::UNKNOWN_FUNCTION,
                format!("Unknown function: '{}'", name.node),
                name.span,
                "no function has this name",
            );
            match self.nearest_word(&name.node) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic,
            }
        };
        self.report(diagnostic);
        Expr::new(ExprKind::Zero, Type::Error, span)
    }

    pub(super) fn function(
        &mut self,
        word: &'static dyn Function,
        arguments: &[Argument],
        span: Span,
    ) -> Expr {
        let mut call = self.unchecked_call(word.name(), arguments, span, |i| word.argument(i));
        call.word = Some(word);
        self.needs = self.needs.and(word.needs());
        let (fewest, most) = word.arity();
        if !self.arity(word.name(), fewest, most, arguments.len(), span) {
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        if word.is_unsafe() && !self.input.options.allows_unsafe {
            self.report(
                Diagnostic::error(
                    codes::UNSAFE,
                    format!(
                        "{}() is an unsafe function being used in safe mode",
                        word.name()
                    ),
                    span,
                    "needs --unsafe",
                )
                .help("run rbt with --unsafe if the script may change the system"),
            );
        }
        let has_error = call.arguments.iter().any(|a| a.ty == Type::Error);
        let is_unknown = call.arguments.iter().any(|a| a.ty == Type::Unknown);
        let before = self.diagnostics.len();
        let ty = self.checking(|cx| word.check(&mut call, cx));
        self.refer_to_page(before, word.name());
        if has_error || is_unknown {
            // What is wrong with the argument was said already.
            self.diagnostics.truncate(before);
        }
        if has_error {
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        let folded = self.checking(|cx| word.fold(&call, cx));
        call.ty = ty.clone();
        let kind = folded.unwrap_or_else(|| ExprKind::Call(Box::new(call)));
        Expr::new(kind, ty, span)
    }

    /// A call with typed arguments that its word has not seen.
    pub(super) fn unchecked_call(
        &mut self,
        name: &str,
        arguments: &[Argument],
        span: Span,
        kind: impl Fn(usize) -> ArgumentKind,
    ) -> hir::Call {
        let mut typed: Vec<Expr> = Vec::with_capacity(arguments.len());
        for (number, argument) in arguments.iter().enumerate() {
            let map = typed.first().map(|first| &first.kind);
            let expr = match (argument, kind(number), map) {
                (Argument::Expr(key), ArgumentKind::Key, Some(ExprKind::Map(map))) => {
                    self.key_of(*map, key)
                }
                (argument, kind, _) => self.argument(argument, kind),
            };
            typed.push(expr);
        }
        hir::Call {
            word: None,
            name: name.to_owned(),
            arguments: typed,
            params: Vec::new(),
            ty: Type::Unknown,
            span,
        }
    }

    fn argument(&mut self, argument: &Argument, kind: ArgumentKind) -> Expr {
        let expr = match argument {
            Argument::Expr(expr) => expr,
            Argument::Type(ty) => {
                let span = ty.span;
                let ty = self.type_name(ty);
                return Expr::new(ExprKind::Zero, ty, span);
            }
        };
        match (&expr.kind, kind) {
            (ast::ExprKind::Map(name), ArgumentKind::Map | ArgumentKind::Place) => {
                let map = self.map_number(name, expr.span);
                let ty = self.map_value_type(map);
                Expr::new(ExprKind::Map(map), ty, expr.span)
            }
            (ast::ExprKind::Identifier(name), ArgumentKind::Name) => {
                let bytes = name.clone().into_bytes();
                let size = u32::try_from(bytes.len() + 1).unwrap_or(u32::MAX);
                Expr::new(ExprKind::Str(bytes), Type::Str(size), expr.span)
            }
            (ast::ExprKind::Str(bytes), ArgumentKind::Format) => self.text(bytes, expr.span),
            (ast::ExprKind::Positional(number), ArgumentKind::Text) => {
                let index = number.saturating_sub(1) as usize;
                let text = self.input.options.positional.get(index).cloned();
                let bytes = text.unwrap_or_default().into_bytes();
                let size = u32::try_from(bytes.len() + 1).unwrap_or(u32::MAX);
                Expr::new(ExprKind::Str(bytes), Type::Str(size), expr.span)
            }
            _ => self.expr(expr),
        }
    }

    /// Complaints about arguments since `before` that say nothing of what to write instead
    /// refer to the page of the word.
    pub(super) fn refer_to_page(&mut self, before: usize, name: &str) {
        for diagnostic in self.diagnostics.iter_mut().skip(before) {
            let is_bare = diagnostic.help.is_empty() && diagnostic.is_fatal();
            if is_bare && diagnostic.code == codes::BAD_ARGUMENT {
                diagnostic
                    .help
                    .push(format!("`rbt --doc {name}` shows what it takes"));
            }
        }
    }

    /// Complains about a wrong number of arguments.
    pub(super) fn arity(
        &mut self,
        name: &str,
        fewest: usize,
        most: usize,
        given: usize,
        span: Span,
    ) -> bool {
        if (fewest..=most).contains(&given) {
            return true;
        }
        let plural = |n: usize| match n {
            1 => String::from("one argument"),
            n => format!("{n} arguments"),
        };
        let message = if most == 0 {
            format!("{name}() requires no arguments ({given} provided)")
        } else if fewest == most {
            format!("{name}() requires {} ({given} provided)", plural(fewest))
        } else if given < fewest {
            format!(
                "{name}() requires at least {} ({given} provided)",
                plural(fewest)
            )
        } else {
            format!("{name}() takes up to {} ({given} provided)", plural(most))
        };
        self.report(
            Diagnostic::error(codes::ARITY, message, span, "called here")
                .help(format!("`rbt --doc {name}` shows how it is called")),
        );
        false
    }
}
