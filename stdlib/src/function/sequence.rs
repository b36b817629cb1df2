//! `printf` in an iterator that is left behind: the kernel writes the text for whoever reads
//! the iterator's file, as no tracer is there to do it.

use rbt_compiler::artifact::{FormatPiece, Param, Verb, VerbKind};
use rbt_compiler::hir::{self, Expr};
use rbt_compiler::ir::{Operand, Size, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::Type;

/// Most values (`MAX_BPRINTF_VARARGS`).
const MOST: usize = 12;

/// Complains about what the kernel cannot write, where a clause is left behind.
pub(super) fn check(call: &hir::Call, cx: &mut Check<'_, '_>) {
    let is_left = cx.probe.provider.name() == "iter"
        && cx
            .probe
            .place
            .parts
            .get(1)
            .is_some_and(|pin| !pin.is_empty());
    if !is_left {
        return;
    }
    let help = "numbers and texts, twelve at most, are what the kernel prints by itself";
    if call.arguments.len() > MOST {
        let message = String::from("printf() of a pinned iterator takes 12 values at most");
        cx.complain(message, call.span, "too many values", help);
    }
    let odd = call.arguments.iter().find(|argument| {
        let ty = &argument.ty;
        !is_number(ty) && !matches!(ty, Type::Str(_)) && !ty.is_absorbing()
    });
    if let Some(odd) = odd {
        let message = format!("printf() of a pinned iterator cannot show `{}`", odd.ty);
        cx.complain(message, odd.span, "this value", help);
    }
}

fn is_number(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Int(_) | Type::Bool | Type::Enum(_) | Type::Pointer(..)
    )
}

/// Writes the text of a call.
pub(super) fn lower(call: &hir::Call, b: &mut Builder<'_>) {
    let Some(Param::Format(format)) = call.params.first() else {
        return;
    };
    let mut text = Vec::new();
    let mut arguments = call.arguments.iter();
    for piece in &format.pieces {
        match piece {
            FormatPiece::Text(bytes) => {
                for byte in bytes {
                    text.push(*byte);
                    if *byte == b'%' {
                        text.push(b'%');
                    }
                }
            }
            FormatPiece::Verb(verb) => {
                if let Some(argument) = arguments.next() {
                    text.extend(conversion(verb, argument).bytes());
                }
            }
        }
    }
    text.push(0);
    let values: Vec<Operand> = call.arguments.iter().map(|a| value(a, b)).collect();
    let size = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let format = b.temporary(size, "a format");
    b.put_bytes(format, &text, size);
    let count = u32::try_from(values.len()).unwrap_or(0);
    let array = b.temporary(count.max(1) * 8, "the values of a format");
    for (at, value) in (0..).step_by(8).zip(values) {
        b.put(array.plus(at), value, Size::B8);
    }
    let sequence = b.sequence();
    let (format, array) = (b.pointer(format), b.pointer(array));
    let array = if count == 0 { Operand::Imm(0) } else { array };
    let args = [
        sequence,
        format,
        Operand::Imm(i64::from(size)),
        array,
        Operand::Imm(i64::from(count) * 8),
    ];
    b.call_void(helpers::SEQ_PRINTF, &args);
}

fn value(argument: &Expr, b: &mut Builder<'_>) -> Operand {
    if argument.ty.is_scalar() {
        return b.value(argument);
    }
    let at = b.address(argument);
    b.pointer(at)
}

/// A conversion as the kernel writes it.
fn conversion(verb: &Verb, argument: &Expr) -> String {
    let mut text = String::from("%");
    if verb.is_left {
        text.push('-');
    }
    if verb.has_sign {
        text.push('+');
    }
    if verb.is_zero_padded {
        text.push('0');
    }
    if let Some(width) = verb.width {
        text.push_str(&width.to_string());
    }
    let letters = match verb.kind {
        _ if !argument.ty.is_scalar() => "s",
        VerbKind::Character => "c",
        VerbKind::LowerHex | VerbKind::Octal => "llx",
        VerbKind::UpperHex => "llX",
        VerbKind::Unsigned => "llu",
        VerbKind::Pointer => return String::from("0x%llx"),
        _ if matches!(argument.ty, Type::Pointer(..)) => return String::from("0x%llx"),
        VerbKind::Signed => "lld",
        _ if argument.ty.is_signed() => "lld",
        _ => "llu",
    };
    text.push_str(letters);
    text
}
