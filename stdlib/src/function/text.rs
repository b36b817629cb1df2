//! Texts: read from memory, measured, compared.

use super::space;
use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir::{self, ExprKind};
use rbt_compiler::ir::{Address, AluOp, Comparison, Operand, Reg, Size};
use rbt_compiler::lower::{Builder, Fill};
use rbt_compiler::pass::check::{Check, kind_name};
use rbt_compiler::pass::convert::spelled_out;
use rbt_compiler::types::{I64, Space, Type, U64};
use rbt_compiler::vocabulary::{ArgumentKind, Function};
use rbt_grammar::{Diagnostic, codes};

word! {
    /// `str`
    Str = "str" {
        usage: ["str(pointer) -> string", "str(pointer, length) -> string"],
        summary: "The text that a pointer points to, up to its NUL.",
        details: "At most as many bytes as the configuration variable `max_strlen` says (1024), \
                  or `length` with the NUL. Whether the kernel's memory or the process's is \
                  read follows from the pointer; `kptr` and `uptr` say it where rbt cannot \
                  know. What cannot be read is empty.",
        examples: [
            "tracepoint:syscalls:sys_enter_openat { print(str(args.filename)); }",
            "tracepoint:syscalls:sys_enter_openat { print(str(args.filename, 64)); }",
        ],
        kernel: "",
    }
}

/// How much a call of `str` reads, as its second parameter.
const WHOLE: i64 = 0;
const LITERAL: i64 = 1;
const COMPUTED: i64 = 2;

impl Function for Str {
    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn argument(&self, index: usize) -> ArgumentKind {
        match index {
            0 => ArgumentKind::Text,
            _ => ArgumentKind::Value,
        }
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let most = u32::try_from(cx.config.max_strlen)
            .unwrap_or(u32::MAX)
            .max(1);
        let length = if call.arguments.len() > 1 {
            call.arguments.pop()
        } else {
            None
        };
        let Some(source) = call.arguments.pop() else {
            return Type::Str(most);
        };
        let limit = length.as_ref().and_then(hir::Expr::as_int);
        if let Some(limit) = limit
            && limit < 0
            && length.as_ref().is_some_and(|l| l.ty.is_signed())
        {
            let span = length.as_ref().map_or(call.span, |l| l.span);
            let message = format!("str cannot use negative length ({limit})");
            let help = "a length is 0 or more";
            let here = "this is negative";
            cx.complain_as(codes::OUT_OF_RANGE, message, span, here, help);
            return Type::Str(most);
        }
        let limit = limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
        if let Some(literal) = literal(&source, limit) {
            let capacity = u32::try_from(literal.len() + 1).unwrap_or(u32::MAX);
            call.arguments.push(hir::Expr {
                kind: ExprKind::Str(literal),
                ..source
            });
            return Type::Str(capacity);
        }
        let (source, memory) = match &source.ty {
            Type::Str(capacity) if length.is_none() => {
                let ty = Type::Str(*capacity);
                call.arguments.push(source);
                return ty;
            }
            // A text that is here already is read from its own memory.
            Type::Str(_) => (source, Space::Kernel),
            Type::Int(_) | Type::Pointer(..) | Type::Error | Type::Unknown => {
                cx.address(source, "str")
            }
            Type::Array(element, _) if element.size() == 1 => (source, Space::Kernel),
            other => {
                let kind = kind_name(other);
                let message = format!(
                    "str() expects a string, integer or a pointer type as first argument ({kind} \
                     provided)"
                );
                let here = format!("this is `{other}`");
                cx.complain(message, source.span, &here, "");
                return Type::Str(most);
            }
        };
        call.params.push(space::param(memory));
        call.arguments.push(source);
        match (limit, length) {
            (Some(limit), Some(length)) if limit > most => {
                let message = format!(
                    "length param ({limit}) is too long and will be shortened to {most} bytes (see \
                     BPFTRACE_MAX_STRLEN)"
                );
                let code = codes::BAD_ARGUMENT;
                let warning = Diagnostic::warning(code, message, length.span, "too long");
                let help = format!("raise the limit: `config = {{ max_strlen = {limit} }}`");
                cx.report(warning.help(help));
                call.params.push(Param::Int(WHOLE));
                Type::Str(most)
            }
            (Some(limit), _) => {
                call.params.push(Param::Int(LITERAL));
                call.params.push(Param::Int(i64::from(limit)));
                Type::Str(limit + 1)
            }
            (None, Some(length)) => {
                call.params.push(Param::Int(COMPUTED));
                let length = cx.integer(length, "str");
                call.arguments.push(length);
                Type::Str(most)
            }
            (None, None) => {
                call.params.push(Param::Int(WHOLE));
                Type::Str(most)
            }
        }
    }

    fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        let source = call.arguments.first()?;
        // Without parameters it is the argument itself.
        let is_itself = call.params.is_empty() && matches!(source.ty, Type::Str(_) | Type::Int(_));
        is_itself.then(|| source.kind.clone())
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        let (Some(source), capacity) = (call.arguments.first(), call.ty.size()) else {
            return;
        };
        let memory = space::from_param(call.params.first());
        let from = if source.ty.is_scalar() {
            b.value(source)
        } else {
            let at = b.address(source);
            b.pointer(at)
        };
        let length = call.arguments.get(1).map(|length| b.value(length));
        if b.fill() == Fill::Whole {
            b.zero(to, capacity);
        }
        match (call.params.get(1), call.params.get(2), length) {
            (Some(Param::Int(LITERAL)), Some(Param::Int(0)), _) => b.put(to, 0, Size::B1),
            (Some(Param::Int(LITERAL)), Some(Param::Int(limit)), _) => {
                b.read_text(to, *limit, from, memory);
            }
            (Some(Param::Int(COMPUTED)), _, Some(length)) => {
                // The verifier must see that it fits.
                let bounded = b.copy(length);
                let most = i64::from(capacity);
                b.when(Comparison::Greater, bounded, most, |b| b.set(bounded, most));
                b.put(to, 0, Size::B1);
                b.read_text(to, bounded, from, memory);
            }
            _ => read_whole(b, to, capacity, from, memory),
        }
    }
}

/// The literal that a call stands for: a text, or a number's text; cut to `limit` characters.
fn literal(source: &hir::Expr, limit: Option<u32>) -> Option<Vec<u8>> {
    let mut text = match (source.as_str(), source.as_int()) {
        (Some(text), _) => text.to_vec(),
        (None, Some(number)) if matches!(source.ty, Type::Int(_)) => {
            if source.ty.is_signed() {
                number.to_string().into_bytes()
            } else {
                number.cast_unsigned().to_string().into_bytes()
            }
        }
        _ => return None,
    };
    if let Some(limit) = limit {
        text.truncate(limit as usize);
    }
    Some(text)
}

/// Reads as much as fits. A text that goes on fills the memory without a NUL, which shows
/// that it was cut; one that just fits keeps its NUL.
fn read_whole(b: &mut Builder<'_>, to: Address, capacity: u32, from: Operand, space: Space) {
    let read = b.read_text(to, i64::from(capacity), from, space);
    b.when(Comparison::Equal, read, i64::from(capacity), |b| {
        let last = i64::from(capacity) - 1;
        let from = b.alu(AluOp::Add, from, last);
        let to = to.plus(i32::try_from(last).unwrap_or(i32::MAX));
        b.read_memory(to, 1, from, space);
    });
}

word! {
    /// `strlen`
    Strlen = "strlen" {
        usage: ["strlen(string) -> uint64"],
        summary: "How many characters a text has.",
        details: "Bytes up to its NUL, or to its capacity.",
        examples: ["BEGIN { print(strlen(comm)); }"],
        kernel: "",
    }
}

/// Complains about an argument that is no text.
fn check_text(word: &str, argument: &hir::Expr, cx: &mut Check<'_, '_>) {
    if !matches!(argument.ty, Type::Str(_)) && !argument.ty.is_absorbing() {
        let kind = kind_name(&argument.ty);
        let message = format!("{word}() only supports string arguments ({kind} provided)");
        let here = format!("this is `{}`", argument.ty);
        cx.complain(
            message,
            argument.span,
            &here,
            "read a text with `str(pointer)`",
        );
    }
}

/// Turns what stands for a text into one: arrays of bytes as they are, pointers by what
/// they point to. Anything else is a complaint.
pub(super) fn as_text(argument: hir::Expr, cx: &mut Check<'_, '_>) -> hir::Expr {
    let argument = spelled_out(argument);
    match &argument.ty {
        Type::Str(_) => argument,
        ty if ty.is_absorbing() => argument,
        Type::Array(element, count) if element.size() == 1 => hir::Expr {
            ty: Type::Str(*count),
            ..argument
        },
        Type::Pointer(..) => {
            let span = argument.span;
            let mut call = hir::Call {
                word: Some(&Str),
                name: String::from("str"),
                arguments: vec![argument],
                params: Vec::new(),
                ty: Type::Unknown,
                span,
            };
            call.ty = Str.check(&mut call, cx);
            let ty = call.ty.clone();
            hir::Expr::new(ExprKind::Call(Box::new(call)), ty, span)
        }
        other => {
            let message = "string-like values must be either strings, arrays or pointers";
            let here = format!("this is `{other}`");
            let help = "a number's text is `str(5)`, that of an address `str((int8 *)address)`";
            cx.complain(message.to_owned(), argument.span, &here, help);
            hir::Expr {
                ty: Type::Error,
                ..argument
            }
        }
    }
}

/// The same for all arguments of a call.
pub(super) fn all_as_texts(call: &mut hir::Call, cx: &mut Check<'_, '_>) {
    let arguments = std::mem::take(&mut call.arguments);
    call.arguments = arguments.into_iter().map(|a| as_text(a, cx)).collect();
}

impl Function for Strlen {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        all_as_texts(call, cx);
        U64
    }

    fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        let text = call.arguments.first()?.as_str()?;
        let length = text.iter().take_while(|b| **b != 0).count();
        Some(ExprKind::Int(i64::try_from(length).ok()?))
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let Some(text) = call.arguments.first() else {
            return Operand::Imm(0);
        };
        let copy = b.temporary(text.ty.size().max(8), "a text that is measured");
        b.measure_into(copy, text)
    }
}

word! {
    /// `strcap`
    Strcap = "strcap" {
        usage: ["strcap(string) -> int64"],
        summary: "How many bytes a text may have.",
        details: "Known when the script is compiled.",
        examples: ["BEGIN { print(strcap(comm)); }"],
        kernel: "",
    }
}

impl Function for Strcap {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        all_as_texts(call, cx);
        I64
    }

    fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        Some(ExprKind::Int(i64::from(call.arguments.first()?.ty.size())))
    }
}

word! {
    /// `strncmp`
    Strncmp = "strncmp" {
        usage: ["strncmp(a, b, length) -> uint64"],
        summary: "0 if two texts begin alike: their first `length` characters; else 1.",
        details: "Texts that both end earlier are alike if they are equal. The length is a \
                  literal.",
        examples: ["BEGIN { if (strncmp(comm, \"rb\", 2) == 0) { print(\"yes\"); } }"],
        kernel: "",
    }
}

impl Function for Strncmp {
    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let Some(length) = call.arguments.pop() else {
            return U64;
        };
        for text in call.arguments.clone() {
            check_text("strncmp", &text, cx);
        }
        match cx.literal_int(&length, "strncmp") {
            Some(length) if length >= 0 => call.params.push(Param::Int(length)),
            Some(_) => cx.complain_as(
                codes::OUT_OF_RANGE,
                String::from("Builtin strncmp requires a non-negative literal"),
                length.span,
                "this is negative",
                "a count is 0 or more",
            ),
            None => {}
        }
        U64
    }

    fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        let [left, right] = call.arguments.as_slice() else {
            return None;
        };
        let Some(Param::Int(length)) = call.params.first() else {
            return None;
        };
        let head = |text: &[u8]| -> Vec<u8> {
            let length = usize::try_from(*length).unwrap_or(usize::MAX);
            text.iter()
                .copied()
                .take_while(|b| *b != 0)
                .take(length)
                .collect()
        };
        let differ = head(left.as_str()?) != head(right.as_str()?);
        Some(ExprKind::Int(i64::from(differ)))
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let [left, right] = call.arguments.as_slice() else {
            return Operand::Imm(0);
        };
        let length = match call.params.first() {
            Some(Param::Int(length)) => u32::try_from(*length).unwrap_or(u32::MAX),
            _ => 0,
        };
        let first = b.address(left);
        let second = b.address(right);
        let (short, long) = (
            left.ty.size().min(right.ty.size()),
            left.ty.size().max(right.ty.size()),
        );
        let longer = if left.ty.size() > right.ty.size() {
            first
        } else {
            second
        };
        let differ = b.copy(0);
        // Zeros follow a text in memory, so equal bytes are equal texts.
        let common = length.min(short);
        let mut at = 0;
        while at < common {
            let aligned = first.offset | second.offset | i32::try_from(at).unwrap_or(i32::MAX);
            let size = [Size::B8, Size::B4, Size::B2, Size::B1]
                .into_iter()
                .find(|size| {
                    let bytes = size.bytes();
                    aligned.unsigned_abs().is_multiple_of(bytes) && at + bytes <= common
                })
                .unwrap_or(Size::B1);
            let offset = i32::try_from(at).unwrap_or(i32::MAX);
            let left = b.load(first.plus(offset), size);
            let right = b.load(second.plus(offset), size);
            let bits = b.alu(AluOp::Xor, left, right);
            gather(b, differ, bits);
            at += size.bytes();
        }
        if length > short && long > short {
            // The shorter one may be full; then the longer one must end here.
            let next = longer.plus(i32::try_from(short).unwrap_or(i32::MAX));
            let next = b.load(next, Size::B1);
            gather(b, differ, Operand::Reg(next));
        }
        b.select(Comparison::NotEqual, differ, 0, 1, 0)
    }
}

/// Adds bits that differ.
fn gather(b: &mut Builder<'_>, differ: Reg, bits: Operand) {
    let all = b.alu(AluOp::Or, differ, bits);
    b.set(differ, all);
}
