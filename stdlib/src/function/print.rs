//! `print`: a value as it is now, or a map as it is when the event is processed.

use crate::word::word;
use rbt_compiler::artifact::{MapId, Param};
use rbt_compiler::hir::{self, ExprKind};
use rbt_compiler::ir::Operand;
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::{Origin, Type};
use rbt_compiler::vocabulary::{ArgumentKind, Function};
use rbt_compiler::word::Word;
use rbt_grammar::{Diagnostic, codes};
use rbt_runtime::Error;
use rbt_runtime::Record;
use rbt_runtime::vocabulary::{Action, Context, Flow};

word! {
    /// `print`
    Print = "print" {
        usage: ["print(value)", "print(@map [, top [, div]])"],
        summary: "Prints a value and a newline, or a map.",
        details: "A value is copied when the program runs. A map is read when the event is \
                  processed: `top` keeps the last lines of its order, `div` divides the integers \
                  that are shown.",
        examples: [
            "BEGIN { print((1, \"two\")); }",
            "BEGIN { @x[1] = 5; print(@x); print(@x, 3, 10); }",
        ],
        kernel: "",
    }
}

/// Whether a tuple has a part that is no value: `("a", ())`.
fn has_nothing(ty: &Type) -> bool {
    match ty {
        Type::Tuple(parts) => parts.is_empty() || parts.iter().any(has_nothing),
        _ => false,
    }
}

/// The parameter of an event that prints one element of the map before it.
const ELEMENT: &str = "element";

fn is_element(param: Option<&Param>) -> bool {
    matches!(param, Some(Param::Text(text)) if text == ELEMENT)
}

impl Function for Print {
    fn arity(&self) -> (usize, usize) {
        (1, 3)
    }

    fn argument(&self, index: usize) -> ArgumentKind {
        if index == 0 {
            ArgumentKind::Map
        } else {
            ArgumentKind::Value
        }
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let mut arguments = std::mem::take(&mut call.arguments).into_iter();
        let Some(first) = arguments.next() else {
            return Type::Void;
        };
        if let ExprKind::Map(map) = first.kind {
            let is_stats = |ty: &Type| matches!(ty, Type::Aggregate(a) if a.word == "stats");
            if arguments.len() > 0 && is_stats(&first.ty) {
                let message = "print()'s top and div arguments are ignored when used on stats() \
                               maps.";
                let here = "a map of stats()";
                let code = codes::UNNECESSARY;
                let warning = Diagnostic::warning(code, message, call.span, here);
                cx.report(warning.help("leave them out: `print(@m)`"));
            }
            call.params.push(Param::Map(MapId(map.0)));
            for limit in arguments {
                let value = cx.literal_int(&limit, "print");
                if value.is_some_and(|v| v < 0) {
                    let message = format!(
                        "print() expects a non-negative literal ({} provided)",
                        value.unwrap_or(0)
                    );
                    let help = "0 keeps all lines, or divides by nothing";
                    let here = "this is negative";
                    cx.complain_as(codes::OUT_OF_RANGE, message, limit.span, here, help);
                }
                call.params.push(Param::Int(value.unwrap_or(0)));
            }
            return Type::Void;
        }
        if let Some(limit) = arguments.next() {
            let provided = 2 + arguments.len();
            cx.complain(
                format!("Non-map print() only takes 1 argument, {provided} found"),
                limit.span,
                "this belongs to a map",
                "print the map: `print(@m, 5)`",
            );
        }
        let value = match &first.ty {
            ty if ty.size() == 0 && matches!(ty, Type::Void | Type::Tuple(_))
                || has_nothing(ty) =>
            {
                let message = String::from("none type passed to print() is not printable");
                cx.complain(message, first.span, "this has no value", "");
                first
            }
            // They lie in the kernel's record of the event, which is not laid out as a struct.
            Type::Struct(record)
                if matches!(record.origin, Origin::Probe(_))
                    && cx.probe.provider.name() == "tracepoint" =>
            {
                let message = format!(
                    "struct {}_args type passed to print() is not printable",
                    cx.probe.place.text
                );
                cx.complain(
                    message,
                    first.span,
                    "all arguments of a tracepoint",
                    "print them one by one: `print(args.FIELD)`",
                );
                first
            }
            Type::Aggregate(kind) if kind.word == "stats" => match first.kind {
                // All CPUs' parts are needed, which userspace puts together.
                ExprKind::MapValue {
                    map,
                    key: Some(key),
                } => {
                    call.params.push(Param::Map(MapId(map.0)));
                    call.params.push(Param::Text(String::from(ELEMENT)));
                    *key
                }
                _ => first,
            },
            Type::Aggregate(kind) if !kind.is_castable => {
                let message = format!(
                    "Map type {} cannot print the value of individual keys. You must print the \
                     whole map.",
                    first.ty
                );
                cx.complain(
                    message,
                    first.span,
                    "one key of a map",
                    "print the map: `print(@m)`",
                );
                first
            }
            Type::Aggregate(_) => cx.integer(first, "print"),
            _ => first,
        };
        call.arguments.push(value);
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        if let (true, Some(key)) = (is_element(call.params.get(1)), call.arguments.first()) {
            // Every byte of a key counts, those after a text's end too.
            let whole = b.temporary(key.ty.size(), "the key of what is printed");
            b.store(key, whole);
            let types = [key.ty.clone()];
            b.event_of(self.name(), &call.params, &types, |b, places| {
                if let [place] = places {
                    b.copy_bytes(*place, whole, key.ty.size());
                }
            });
            return Operand::Imm(0);
        }
        b.event(self.name(), &call.params, &call.arguments);
        Operand::Imm(0)
    }
}

impl Action for Print {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        if let (Some(Param::Map(map)), true) = (record.param(0), is_element(record.param(1))) {
            cx.print_element(*map, record.bytes(0)?)?;
        } else if let Some(Param::Map(map)) = record.param(0) {
            let limit = |index| match record.param(index) {
                Some(Param::Int(limit)) => u64::try_from(*limit).unwrap_or(0),
                _ => 0,
            };
            let top = usize::try_from(limit(1)).unwrap_or(usize::MAX);
            cx.print_map(*map, top, limit(2))?;
        } else {
            cx.printer.value(&record.value(0)?)?;
        }
        Ok(Flow::Continue)
    }
}
