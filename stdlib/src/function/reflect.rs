//! Questions about types and constants, answered when the script is compiled, and the
//! complaints a script makes of its own.

use super::format;
use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir::{self, ExprKind};
use rbt_compiler::ir::{Comparison, Operand};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::Type;
use rbt_compiler::vocabulary::{ArgumentKind, Function};
use rbt_grammar::{Diagnostic, codes};
use rbt_runtime::format::format as render;
use rbt_runtime::value::Value;
use std::borrow::Cow;

macro_rules! questions {
    ($($(#[$doc:meta])* $type:ident = $name:literal, $usage:literal, $summary:literal, $example:literal, $answer:expr;)*) => {
        $(
            word! {
                $(#[$doc])*
                $type = $name {
                    usage: [$usage],
                    summary: $summary,
                    details: "Known when the script is compiled, so that what an `if` rules out \
                              is not even checked.",
                    examples: [$example],
                    kernel: "",
                }
            }

            impl Function for $type {
                fn arity(&self) -> (usize, usize) {
                    (1, 1)
                }

                fn check(&self, _: &mut hir::Call, _: &mut Check<'_, '_>) -> Type {
                    Type::Bool
                }

                fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
                    let answer: fn(&hir::Expr) -> bool = $answer;
                    let argument = call.arguments.first()?;
                    Some(ExprKind::Int(i64::from(answer(argument))))
                }
            }
        )*
    };
}

questions! {
    /// `is_str`
    IsStr = "is_str", "is_str(value) -> bool",
        "Whether a value is a string.",
        "BEGIN { print(is_str(comm)); }", |e| matches!(e.ty, Type::Str(_));
    /// `is_ptr`
    IsPtr = "is_ptr", "is_ptr(value) -> bool",
        "Whether a value is a pointer.",
        "BEGIN { print(is_ptr(curtask)); }", |e| matches!(e.ty, Type::Pointer(..));
    /// `is_array`
    IsArray = "is_array", "is_array(value) -> bool",
        "Whether a value is an array.",
        "BEGIN { print(is_array(pton(\"::1\"))); }", |e| matches!(e.ty, Type::Array(..));
    /// `is_integer`
    IsInteger = "is_integer", "is_integer(value) -> bool",
        "Whether a value is an integer.",
        "BEGIN { print(is_integer(pid)); }", |e| matches!(e.ty, Type::Int(_));
    /// `is_unsigned_integer`
    IsUnsignedInteger = "is_unsigned_integer", "is_unsigned_integer(value) -> bool",
        "Whether a value is an integer without a sign.",
        "BEGIN { print(is_unsigned_integer(pid)); }",
        |e| matches!(&e.ty, Type::Int(int) if !int.is_signed);
    /// `is_literal`
    IsLiteral = "is_literal", "is_literal(value) -> bool",
        "Whether a value is a literal.",
        "BEGIN { print(is_literal(5)); }", |e| e.as_int().is_some() || e.as_str().is_some();
}

word! {
    /// `is_scalar`
    IsScalar = "is_scalar" {
        usage: ["is_scalar(@map) -> bool"],
        summary: "Whether a map has no keys.",
        details: "Known when the script is compiled.",
        examples: ["BEGIN { @x = 1; print(is_scalar(@x)); }"],
        kernel: "",
    }
}

impl Function for IsScalar {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn argument(&self, _: usize) -> ArgumentKind {
        ArgumentKind::Map
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if let Some(first) = call.arguments.first()
            && !matches!(first.kind, ExprKind::Map(_))
        {
            super::maps::wants_map("is_scalar", &first.clone(), cx);
        }
        Type::Bool
    }

    fn fold(&self, call: &hir::Call, cx: &mut Check<'_, '_>) -> Option<ExprKind> {
        let facts = cx.map_facts(call.arguments.first()?)?;
        Some(ExprKind::Int(i64::from(facts.key.is_none())))
    }
}

word! {
    /// `is_err`
    IsErr = "is_err" {
        usage: ["is_err(pointer) -> bool"],
        summary: "Whether a pointer of the kernel is an error in disguise.",
        details: "The kernel returns errors where it returns pointers: the last 4095 addresses.",
        examples: ["BEGIN { print(is_err(curtask)); }"],
        kernel: "",
    }
}

/// `MAX_ERRNO` of the kernel's `linux/err.h`.
const MOST_ERROR: i64 = 4095;

impl Function for IsErr {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if let Some(pointer) = call.arguments.pop() {
            let (pointer, _) = cx.address(pointer, "is_err");
            call.arguments.push(pointer);
        }
        Type::Bool
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let Some(pointer) = call.arguments.first() else {
            return Operand::Imm(0);
        };
        let address = b.value(pointer);
        b.select(Comparison::GreaterEqual, address, -MOST_ERROR, 1, 0)
    }
}

word! {
    /// `assert_str`
    AssertStr = "assert_str" {
        usage: ["assert_str(value)"],
        summary: "Refuses the script if a value can not stand for a text.",
        details: "Texts, arrays and pointers can.",
        examples: ["BEGIN { assert_str(comm); }"],
        kernel: "",
    }
}

impl Function for AssertStr {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        super::text::all_as_texts(call, cx);
        Type::Void
    }

    fn fold(&self, _: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        Some(ExprKind::Zero)
    }
}

word! {
    /// `fail`
    Fail = "fail" {
        usage: ["fail(format, literals…)"],
        summary: "Refuses the script, with a message.",
        details: "Unless the statement stands in a branch that `if comptime` rules out. \
                  Conversions are those of printf.",
        examples: ["BEGIN { if comptime (!is_str(comm)) { fail(\"comm is no text\"); } }"],
        kernel: "",
    }
}

/// Refuses a call in the script's own words.
fn refuse(message: String, call: &hir::Call, cx: &mut Check<'_, '_>) {
    cx.report(
        Diagnostic::error(codes::REFUSED, message, call.span, "the script says so")
            .help("this is a condition of the script's own, not of the language"),
    );
}

impl Function for Fail {
    fn arity(&self) -> (usize, usize) {
        (1, 128)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        format::check(call, cx);
        let Some(Param::Format(format)) = call.params.first() else {
            return Type::Void;
        };
        let mut values = Vec::new();
        for argument in &call.arguments {
            values.push(match (argument.as_int(), argument.as_str()) {
                (_, Some(text)) => Ok(Value::Text(Cow::Owned(text.to_vec()))),
                (Some(value), _) if argument.ty == Type::Bool => Ok(Value::Bool(value != 0)),
                (Some(value), _) if argument.ty.is_signed() => Ok(Value::Int(value)),
                (Some(value), _) => Ok(Value::Unsigned(value.cast_unsigned())),
                (None, None) => {
                    let message = String::from("fail() only supports literal arguments");
                    let help = "print what is only known at run time with errorf()";
                    cx.complain(message, argument.span, "only known at run time", help);
                    return Type::Void;
                }
            });
        }
        let mut text = Vec::new();
        if render(format, values.into_iter(), &mut text).is_ok() {
            refuse(String::from_utf8_lossy(&text).into_owned(), call, cx);
        }
        Type::Void
    }
}

word! {
    /// `static_assert`
    StaticAssert = "static_assert" {
        usage: ["static_assert(condition, \"text\")"],
        summary: "Refuses the script, with a message, if a constant is false.",
        details: "The condition must be known when the script is compiled.",
        examples: ["BEGIN { static_assert(sizeof(uint64) == 8, \"no 64-bit integers\"); }"],
        kernel: "",
    }
}

impl Function for StaticAssert {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let text = call.arguments.pop();
        let Some(text) = text.and_then(|text| cx.literal_text(&text, "static_assert")) else {
            return Type::Void;
        };
        let Some(condition) = call.arguments.first().cloned() else {
            return Type::Void;
        };
        match condition.as_int() {
            Some(0) => refuse(text, call, cx),
            Some(_) => {}
            None if condition.ty.is_absorbing() => {}
            None => {
                let message = String::from("Unable to resolve comptime expression");
                let help = "a condition of the running script is checked by assert()";
                cx.complain(message, condition.span, "only known at run time", help);
            }
        }
        Type::Void
    }

    fn fold(&self, _: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        Some(ExprKind::Zero)
    }
}
