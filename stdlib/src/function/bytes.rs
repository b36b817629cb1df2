//! Bytes: a piece of memory as it is, and integers turned around.

use super::space;
use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir::{self, ExprKind};
use rbt_compiler::ir::{Address, Comparison, Operand, Size};
use rbt_compiler::lower::{Builder, Fill};
use rbt_compiler::pass::check::{Check, kind_name};
use rbt_compiler::types::{Int, Space, Type};
use rbt_compiler::vocabulary::Function;
use rbt_grammar::{Diagnostic, codes};

/// Bytes in front of a buffer's content: its length.
const HEADER: u32 = 4;

word! {
    /// `buf`
    Buf = "buf" {
        usage: ["buf(pointer, length) -> buffer", "buf(array [, length]) -> buffer"],
        summary: "A piece of memory as bytes.",
        details: "At most as many as `max_strlen` less four. Printed with `%r`, `%rx` or `%rh`.",
        examples: ["BEGIN { printf(\"%rh\\n\", buf(\"abc\", 3)); }"],
        kernel: "",
    }
}

impl Function for Buf {
    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let most = u32::try_from(cx.config.max_strlen).unwrap_or(u32::MAX);
        let most = most.saturating_sub(HEADER).max(1);
        let length = if call.arguments.len() > 1 {
            call.arguments.pop()
        } else {
            None
        };
        let Some(source) = call.arguments.pop() else {
            return Type::Error;
        };
        let own = match &source.ty {
            Type::Array(..) | Type::Str(_) => Some(source.ty.size()),
            _ => None,
        };
        let (source, memory) = match &source.ty {
            Type::Array(..) | Type::Str(_) => (source, Space::Kernel),
            Type::Int(_) | Type::Pointer(..) | Type::Error | Type::Unknown => {
                cx.address(source, "buf")
            }
            other => {
                let kind = kind_name(other);
                let message = format!(
                    "buf() expects an integer, pointer or array argument ({kind} provided)"
                );
                let here = format!("this is `{other}`");
                cx.complain(message, source.span, &here, "");
                return Type::Error;
            }
        };
        call.params.push(space::param(memory));
        let span = source.span;
        call.arguments.push(source);
        let Some(length) = length else {
            let Some(own) = own else {
                let message = "buf() expects a length argument for non-array type";
                cx.complain(
                    message.to_owned(),
                    span,
                    "how many bytes?",
                    "buf(pointer, length)",
                );
                return Type::Error;
            };
            let own = own.min(most);
            call.params.push(Param::Int(i64::from(own)));
            return Type::Buffer(own);
        };
        let capacity = own.map_or(most, |own| own.min(most));
        match length.as_int() {
            Some(literal) if literal < 0 && length.ty.is_signed() => {
                let message = format!("buf cannot use negative length ({literal})");
                let help = "a length is 0 or more";
                let here = "this is negative";
                cx.complain_as(codes::OUT_OF_RANGE, message, length.span, here, help);
                Type::Error
            }
            Some(literal) => {
                let literal = u32::try_from(literal).unwrap_or(u32::MAX);
                if literal > most {
                    let message = format!(
                        "buf() length is too long and will be shortened to {most} bytes (see \
                         max_strlen)"
                    );
                    let code = codes::BAD_ARGUMENT;
                    let warning = Diagnostic::warning(code, message, length.span, "too long");
                    cx.report(warning);
                }
                let kept = literal.min(capacity);
                call.params.push(Param::Int(i64::from(kept)));
                Type::Buffer(kept)
            }
            None => {
                let length = cx.integer(length, "buf");
                call.arguments.push(length);
                Type::Buffer(capacity)
            }
        }
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        let (Some(source), Type::Buffer(capacity)) = (call.arguments.first(), &call.ty) else {
            return;
        };
        let capacity = *capacity;
        let memory = space::from_param(call.params.first());
        let from = if source.ty.is_scalar() {
            b.value(source)
        } else {
            let at = b.address(source);
            b.pointer(at)
        };
        let content = to.plus(HEADER.cast_signed());
        match (call.params.get(1), call.arguments.get(1)) {
            (Some(Param::Int(length)), _) => {
                let bytes = u32::try_from(*length).unwrap_or(0).min(capacity);
                b.put(to, i64::from(bytes), Size::B4);
                if bytes > 0 {
                    b.read_memory(content, bytes, from, memory);
                }
            }
            (_, Some(length)) => {
                let length = b.value(length);
                if b.fill() == Fill::Whole {
                    b.zero(content, capacity);
                }
                // The verifier must see that it fits.
                let bounded = b.copy(length);
                let most = i64::from(capacity);
                b.when(Comparison::Greater, bounded, most, |b| b.set(bounded, most));
                b.put(to, bounded, Size::B4);
                b.read_bytes(content, bounded, from, memory);
            }
            _ => b.zero(to, capacity + HEADER),
        }
    }
}

word! {
    /// `bswap`
    Bswap = "bswap" {
        usage: ["bswap(integer) -> integer"],
        summary: "The bytes of an integer in reverse order.",
        details: "The width is that of the argument's type: cast a wider value first, \
                  `bswap((uint16)$port)`.",
        examples: ["BEGIN { print(bswap((uint16)0x1234)); }"],
        kernel: "",
    }
}

impl Function for Bswap {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let Some(argument) = call.arguments.first() else {
            return Type::Error;
        };
        match &argument.ty {
            Type::Int(int) => Type::Int(Int {
                size: int.size,
                is_signed: false,
            }),
            other => {
                if !other.is_absorbing() {
                    let kind = kind_name(other);
                    let message =
                        format!("bswap() only supports integer arguments ({kind} provided)");
                    let here = format!("this is `{other}`");
                    let span = argument.span;
                    cx.complain(message, span, &here, "");
                }
                Type::Error
            }
        }
    }

    fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        let argument = call.arguments.first()?;
        let value = argument.as_int()?.cast_unsigned();
        let bytes = argument.ty.size();
        let swapped = value.swap_bytes().checked_shr(64 - 8 * bytes).unwrap_or(0);
        Some(ExprKind::Int(swapped.cast_signed()))
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let Some(argument) = call.arguments.first() else {
            return Operand::Imm(0);
        };
        let size = Size::from_bytes(argument.ty.size()).unwrap_or(Size::B8);
        let value = b.value(argument);
        b.byte_swap(value, size)
    }
}
