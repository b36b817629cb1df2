//! `debugf`: a line in the kernel's own trace pipe, written by the kernel.

use super::format;
use crate::word::word;
use rbt_compiler::artifact::{Format, FormatPiece, Param, Verb, VerbKind};
use rbt_compiler::hir;
use rbt_compiler::ir::{Operand, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::Type;
use rbt_compiler::vocabulary::Function;
use rbt_grammar::{Diagnostic, codes};

/// Values that the kernel's helper takes.
const MOST: usize = 3;

word! {
    /// `debugf`
    Debugf = "debugf" {
        usage: ["debugf(format, values…)"],
        summary: "Writes a line to the kernel's trace pipe.",
        details: "To look for mistakes in a script: at most three values, shown by `%d`, `%u`, \
                  `%x`, `%p` and `%s`. The line appears in `trace_pipe` of the kernel's tracing \
                  directory, for everybody. Kernels before 5.13 drop lines whose format has a `%%` or a width.",
        examples: ["BEGIN { debugf(\"%s is %d\", comm, pid); }"],
        kernel: "",
    }
}

impl Function for Debugf {
    fn arity(&self) -> (usize, usize) {
        (1, 128)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let message = "The debugf() builtin is not recommended for production use. For more \
                       information see bpf_trace_printk in bpf-helpers(7).";
        cx.report(
            Diagnostic::warning(
                codes::UNSTABLE,
                message,
                call.span,
                "for looking for mistakes",
            )
            .help("printf() is exact, fast and the script's own"),
        );
        format::check(call, cx);
        let Some(Param::Format(format)) = call.params.first() else {
            return Type::Void;
        };
        let verbs: Vec<Verb> = verbs(format).copied().collect();
        if call.arguments.len() > MOST {
            let message = String::from("cannot use more than 3 conversion specifiers");
            let help = "use several calls, or printf()";
            let code = codes::BAD_FORMAT;
            cx.complain_as(
                code,
                message,
                call.span,
                "the kernel takes three values",
                help,
            );
            return Type::Void;
        }
        match translate(format) {
            Ok(text) => call.params = vec![Param::Text(text)],
            Err(letter) => {
                let message = format!("Invalid format specifier for `debugf`: {letter}");
                let help = "conversions are d u x p s";
                let code = codes::BAD_FORMAT;
                cx.complain_as(
                    code,
                    message,
                    call.span,
                    "the kernel does not know it",
                    help,
                );
                return Type::Void;
            }
        }
        for (verb, argument) in verbs.iter().zip(&call.arguments) {
            let is_text = matches!(argument.ty, Type::Str(_));
            if is_text != (verb.kind == VerbKind::Text) && !argument.ty.is_absorbing() {
                let letter = if is_text { "d" } else { "s" };
                let message = format!("Type does not match format specifier: {letter}");
                let here = format!("this is `{}`", argument.ty);
                let help = "`%s` shows texts, the other conversions numbers";
                cx.complain_as(codes::BAD_FORMAT, message, argument.span, &here, help);
            }
        }
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let Some(Param::Text(text)) = call.params.first() else {
            return Operand::Imm(0);
        };
        let mut bytes = text.clone().into_bytes();
        bytes.push(0);
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let place = b.temporary(size, "the format of debugf");
        let mut values = vec![Operand::Imm(0), Operand::Imm(i64::from(size))];
        for argument in &call.arguments {
            values.push(if argument.ty.is_scalar() {
                b.value(argument)
            } else {
                let at = b.address(argument);
                b.pointer(at)
            });
        }
        values.resize(2 + MOST, Operand::Imm(0));
        b.put_bytes(place, &bytes, size);
        if let Some(first) = values.first_mut() {
            *first = b.pointer(place);
        }
        b.call_void(helpers::TRACE_PRINTK, &values);
        Operand::Imm(0)
    }
}

fn verbs(format: &Format) -> impl Iterator<Item = &Verb> {
    format.pieces.iter().filter_map(|piece| match piece {
        FormatPiece::Verb(verb) => Some(verb),
        FormatPiece::Text(_) => None,
    })
}

/// A format as the kernel reads it; values have 64 bits.
///
/// Errors: the letter of a conversion that the kernel lacks.
fn translate(format: &Format) -> Result<String, &'static str> {
    let mut text = String::new();
    for piece in &format.pieces {
        let verb = match piece {
            FormatPiece::Text(bytes) => {
                text.push_str(&String::from_utf8_lossy(bytes).replace('%', "%%"));
                continue;
            }
            FormatPiece::Verb(verb) => verb,
        };
        let (letters, is_number) = match verb.kind {
            VerbKind::Signed => ("lld", true),
            VerbKind::Unsigned => ("llu", true),
            VerbKind::LowerHex => ("llx", true),
            VerbKind::Pointer => ("p", false),
            VerbKind::Text => ("s", false),
            VerbKind::UpperHex => return Err("X"),
            VerbKind::Octal => return Err("o"),
            VerbKind::Character => return Err("c"),
            VerbKind::Buffer => return Err("r"),
            VerbKind::BufferEscaped => return Err("rx"),
            VerbKind::BufferHex => return Err("rh"),
            VerbKind::AllocationFlags => return Err("gr"),
        };
        text.push('%');
        if is_number {
            for (is_set, flag) in [
                (verb.is_left, '-'),
                (verb.has_sign, '+'),
                (verb.is_alternate, '#'),
                (verb.is_zero_padded, '0'),
            ] {
                if is_set {
                    text.push(flag);
                }
            }
            if let Some(width) = verb.width {
                text.push_str(&width.to_string());
            }
        }
        text.push_str(letters);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_written_for_the_kernel() {
        let verb = |kind| {
            FormatPiece::Verb(Verb {
                kind,
                ..Verb::default()
            })
        };
        let format = Format {
            pieces: vec![
                FormatPiece::Text(b"100% ".to_vec()),
                verb(VerbKind::Signed),
                verb(VerbKind::Text),
            ],
        };
        assert_eq!(translate(&format).as_deref(), Ok("100%% %lld%s"));
        let octal = Format {
            pieces: vec![verb(VerbKind::Octal)],
        };
        assert_eq!(translate(&octal), Err("o"));
    }
}
