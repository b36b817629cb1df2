//! `getopt`: the script's named parameters.

use crate::word::word;
use rbt_compiler::hir::{self, Expr, ExprKind};
use rbt_compiler::pass::check::Check;
use rbt_compiler::pass::fold;
use rbt_compiler::types::Type;
use rbt_compiler::vocabulary::Function;
use rbt_compiler::{Parameter, ParameterValue};

word! {
    /// `getopt`
    Getopt = "getopt" {
        usage: ["getopt(name [, default [, description]])"],
        summary: "The value of `--name` on the command line, behind a lone `--`.",
        details: "The default decides what it is: a number, a text or, like no default at all, a \
                  truth value. `--name` without a value is true.",
        examples: [
            "BEGIN { print(getopt(\"count\", 5, \"how often\")); }",
            "BEGIN { if (getopt(\"all\")) { print(\"everything\"); } }",
        ],
        kernel: "",
    }
}

impl Function for Getopt {
    fn arity(&self) -> (usize, usize) {
        (1, 3)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let name = call.arguments.first().cloned();
        let Some(name) = name.and_then(|name| cx.literal_text(&name, "getopt")) else {
            return Type::Error;
        };
        let default = match call.arguments.get(1) {
            None => ParameterValue::Bool(false),
            Some(Expr {
                kind: ExprKind::Int(n),
                ty: Type::Bool,
                ..
            }) => ParameterValue::Bool(*n != 0),
            Some(Expr {
                kind: ExprKind::Int(n),
                ty: Type::Int(_),
                ..
            }) => ParameterValue::Int(*n),
            Some(Expr {
                kind: ExprKind::Str(text),
                ..
            }) => ParameterValue::Text(text.clone()),
            Some(other) => {
                let message = String::from(
                    "getopt() expects an integer, string or boolean literal as its default",
                );
                cx.complain(message, other.span, "only known at run time", "");
                return Type::Error;
            }
        };
        let description = match call.arguments.get(2).cloned() {
            Some(text) => cx.literal_text(&text, "getopt").unwrap_or_default(),
            None => String::new(),
        };
        let wanted = Parameter {
            name,
            default,
            description,
        };
        let (kind, ty) = match cx.parameter(wanted, call.span) {
            ParameterValue::Bool(value) => (ExprKind::Int(i64::from(value)), Type::Bool),
            ParameterValue::Int(value) => {
                let ty = fold::signed_type(value).unwrap_or(rbt_compiler::types::I64);
                (ExprKind::Int(value), ty)
            }
            ParameterValue::Text(text) => {
                let size = u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
                (ExprKind::Str(text), Type::Str(size))
            }
        };
        call.arguments = vec![Expr::new(kind, ty.clone(), call.span)];
        ty
    }

    fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        call.arguments.first().map(|value| value.kind.clone())
    }
}
