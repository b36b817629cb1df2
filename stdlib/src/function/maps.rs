//! What is done to maps: emptied and zeroed in userspace; keys deleted, found and counted in
//! the kernel.

use crate::word::word;
use rbt_compiler::artifact::{MapId, Param};
use rbt_compiler::hir::{self, Expr, ExprKind, MapIndex};
use rbt_compiler::ir::{AluOp, Operand};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::target::Feature;
use rbt_compiler::types::{I64, Type};
use rbt_compiler::vocabulary::{ArgumentKind, Function};
use rbt_compiler::word::Word;
use rbt_grammar::{Diagnostic, codes};
use rbt_runtime::Error;
use rbt_runtime::Record;
use rbt_runtime::vocabulary::{Action, Context, Flow};

word! {
    /// `clear`
    Clear = "clear" {
        usage: ["clear(@map)"],
        summary: "Removes all keys of a map.",
        details: "Done when the event is processed, after what was printed before it.",
        examples: ["interval:s:1 { @ = count(); print(@); clear(@); }"],
        kernel: "",
    }
}

word! {
    /// `zero`
    Zero = "zero" {
        usage: ["zero(@map)"],
        summary: "Sets all values of a map to zero; its keys stay.",
        details: "Done when the event is processed, after what was printed before it.",
        examples: ["interval:s:1 { @[cpu] = count(); print(@); zero(@); }"],
        kernel: "",
    }
}

/// The map that the first argument must be; it becomes a parameter.
fn take_map(word: &str, call: &mut hir::Call, cx: &mut Check<'_, '_>) {
    let Some(first) = call.arguments.pop() else {
        return;
    };
    match first.kind {
        ExprKind::Map(map) => call.params.push(Param::Map(MapId(map.0))),
        _ => wants_map(word, &first, cx),
    }
}

pub(super) fn wants_map(word: &str, argument: &Expr, cx: &mut Check<'_, '_>) {
    if argument.ty == Type::Error {
        return;
    }
    let help = format!("write it as `{word}(@m)`");
    let message = format!("{word}() expects a map argument");
    cx.complain_as(codes::NO_MAP, message, argument.span, "not a map", &help);
}

impl Function for Clear {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn argument(&self, _: usize) -> ArgumentKind {
        ArgumentKind::Map
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        take_map("clear", call, cx);
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        b.event(self.name(), &call.params, &[]);
        Operand::Imm(0)
    }
}

impl Action for Clear {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        cx.clear_map(record.map_param(0)?)?;
        Ok(Flow::Continue)
    }
}

impl Function for Zero {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn argument(&self, _: usize) -> ArgumentKind {
        ArgumentKind::Map
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        take_map("zero", call, cx);
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        b.event(self.name(), &call.params, &[]);
        Operand::Imm(0)
    }
}

impl Action for Zero {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        cx.zero_map(record.map_param(0)?)?;
        Ok(Flow::Continue)
    }
}

/// The map and, of an element, the key that an argument names.
fn place(argument: &Expr) -> Option<(MapIndex, Option<&Expr>)> {
    match &argument.kind {
        ExprKind::Map(map) => Some((*map, None)),
        ExprKind::MapValue { map, key } | ExprKind::ReadAggregate { map, key } => {
            Some((*map, key.as_deref()))
        }
        _ => None,
    }
}

/// The map and the key of a checked call: `f(@m, key)`, `f(@m[key])` or `f(@m)`.
fn target(call: &hir::Call) -> Option<(MapIndex, Option<&Expr>)> {
    let (map, key) = place(call.arguments.first()?)?;
    Some((map, call.arguments.get(1).or(key)))
}

word! {
    /// `delete`
    Delete = "delete" {
        usage: ["delete(@map, key) -> bool", "delete(@map) -> bool", "delete(@map[key], …) -> bool"],
        summary: "Removes a key of a map, or the value of a map without keys.",
        details: "Whether it was there. A key of several parts is written as a tuple: \
                  `delete(@m, (1, 2))`.",
        examples: ["BEGIN { @x[1] = 5; if (delete(@x, 1)) { print(\"was there\"); } }"],
        kernel: "",
    }
}

/// Most elements that one call deletes.
const MOST_DELETED: usize = 128;

impl Function for Delete {
    fn arity(&self) -> (usize, usize) {
        (1, MOST_DELETED)
    }

    fn may_be_ignored(&self) -> bool {
        true
    }

    fn removes_key(&self) -> bool {
        true
    }

    fn argument(&self, index: usize) -> ArgumentKind {
        if index == 0 {
            ArgumentKind::Place
        } else {
            ArgumentKind::Key
        }
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let Some(first) = call.arguments.first() else {
            return Type::Bool;
        };
        if !matches!(first.kind, ExprKind::Map(_)) && call.arguments.len() > 1 {
            // The old form deletes from several maps at once.
            for argument in call.arguments.iter().filter(|a| place(a).is_none()) {
                wants_map("delete", &argument.clone(), cx);
            }
            return Type::Bool;
        }
        if call.arguments.len() > 2 {
            let provided = call.arguments.len();
            let message = format!("delete() takes up to 2 arguments ({provided} provided)");
            cx.report(
                Diagnostic::error(codes::ARITY, message, call.span, "called here")
                    .help("a key of several parts is a tuple: `delete(@m, (1, 2))`"),
            );
            return Type::Bool;
        }
        let has_key = call.arguments.len() > 1;
        let facts = cx.map_facts(first);
        let is_keyed = facts.as_ref().is_some_and(|facts| facts.key.is_some());
        let is_scalar = facts.is_some_and(|facts| facts.is_scalar);
        let span = first.span;
        match &first.kind {
            ExprKind::Map(_) if has_key && is_scalar => {
                let message = "call to delete() with two arguments expects a map with explicit \
                               keys (non-scalar map)";
                let here = "this map has no keys";
                let message = message.to_owned();
                cx.complain_as(codes::MAP_FORM, message, span, here, "`delete(@m)`");
            }
            ExprKind::Map(_) if !has_key && is_keyed => {
                let message = "call to delete() with a single argument expects a map without \
                               explicit keys (scalar map)";
                let help = "name the key, `delete(@m, key)`, or remove all, `clear(@m)`";
                let message = message.to_owned();
                cx.complain_as(codes::MAP_FORM, message, span, "this map has keys", help);
            }
            ExprKind::Map(_) => {}
            _ if place(first).is_some() && !has_key => {}
            _ => wants_map("delete", &first.clone(), cx),
        }
        Type::Bool
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let is_one = matches!(
            call.arguments.first().map(|first| &first.kind),
            Some(ExprKind::Map(_))
        );
        if is_one {
            return match target(call) {
                Some((map, key)) => b.delete(map, key),
                None => Operand::Imm(0),
            };
        }
        let mut was_there = Operand::Imm(0);
        for (map, key) in call.arguments.iter().filter_map(place) {
            let was = b.delete(map, key);
            was_there = b.alu(AluOp::Or, was_there, was);
        }
        was_there
    }
}

word! {
    /// `has_key`
    HasKey = "has_key" {
        usage: ["has_key(@map, key) -> bool"],
        summary: "Whether a map has a key, whatever its value.",
        details: "A key of several parts is written as a tuple: `has_key(@m, (1, 2))`.",
        examples: ["BEGIN { @x[1] = 0; if (has_key(@x, 1)) { print(\"there\"); } }"],
        kernel: "",
    }
}

/// Complains if the first argument is no map with keys.
fn check_keyed(word: &str, call: &hir::Call, cx: &mut Check<'_, '_>) {
    let Some(first) = call.arguments.first() else {
        return;
    };
    if !matches!(first.kind, ExprKind::Map(_)) {
        return wants_map(word, first, cx);
    }
    if cx.map_facts(first).is_some_and(|facts| facts.is_scalar) {
        let message = format!("call to {word}() expects a map with explicit keys (non-scalar map)");
        let help = "whether it was written is no question of keys: test its value, `if (@m)`";
        let here = "this map has no keys";
        cx.complain_as(codes::MAP_FORM, message, first.span, here, help);
    }
}

impl Function for HasKey {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn argument(&self, index: usize) -> ArgumentKind {
        if index == 0 {
            ArgumentKind::Map
        } else {
            ArgumentKind::Key
        }
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check_keyed("has_key", call, cx);
        Type::Bool
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let Some((map, Some(key))) = target(call) else {
            return Operand::Imm(0);
        };
        let found = b.lookup(map, Some(key));
        let result = b.copy(0);
        b.if_some(found, |b, _| b.set(result, 1));
        Operand::Reg(result)
    }
}

word! {
    /// `len`
    Len = "len" {
        usage: ["len(@map) -> int64"],
        summary: "How many keys a map has.",
        details: "",
        examples: ["BEGIN { @x[1] = 5; @x[2] = 6; print(len(@x)); }"],
        kernel: "5.13 (bpf_for_each_map_elem)",
    }
}

/// The stack whose frames `len` counts, if its argument is one: a value, or a map without keys.
fn frames_of(call: &hir::Call, cx: &Check<'_, '_>) -> Option<Expr> {
    let argument = call.arguments.first()?;
    if !matches!(argument.ty, Type::Stack(_)) {
        return None;
    }
    let mut stack = argument.clone();
    if let ExprKind::Map(map) = argument.kind {
        if !cx.map_facts(argument)?.is_scalar {
            return None;
        }
        stack.kind = ExprKind::MapValue { map, key: None };
    }
    Some(stack)
}

impl Function for Len {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn argument(&self, _: usize) -> ArgumentKind {
        ArgumentKind::Map
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if let Some(stack) = frames_of(call, cx) {
            call.arguments = vec![stack];
            return I64;
        }
        check_keyed("len", call, cx);
        if !cx.target.has(Feature::ForEachMapElement) {
            let message = String::from("len() of a map needs Linux 5.13");
            cx.complain(message, call.span, "this kernel cannot", "");
        }
        if let Some(first) = call.arguments.first()
            && let Some(facts) = cx.map_facts(first)
            && facts.key.is_none()
            && !facts.is_scalar
        {
            let message = format!("Unknown map: @{}", facts.name);
            let help = format!(
                "store something in it first: `@{}[key] = value`",
                facts.name
            );
            cx.complain(message, first.span, "nothing is ever stored in it", &help);
        }
        I64
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        match call.arguments.first() {
            Some(Expr {
                kind: ExprKind::Map(map),
                ..
            }) => b.count_elements(*map),
            Some(stack) => b.count_frames(stack),
            None => Operand::Imm(0),
        }
    }
}
