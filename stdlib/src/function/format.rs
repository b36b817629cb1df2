//! Formats: `printf`'s texts with conversions, parsed and checked when the script is compiled.
//!
//! `%[-][+][ ][#][0][width][.precision][length]letter`, the flags in this order. A `%` that
//! starts no conversion is text.

use rbt_compiler::artifact::{Format, FormatPiece, Param, Verb, VerbKind};
use rbt_compiler::hir::{Call, Expr};
use rbt_compiler::pass::check::{Check, kind_name};
use rbt_compiler::types::Type;
use rbt_grammar::{Diagnostic, Span, codes};

/// Lengths, longest first, and the bits an integer is cut to (0: none are).
const LENGTHS: &[(&str, u8)] = &[
    ("hh", 8),
    ("h", 16),
    ("ll", 0),
    ("l", 0),
    ("j", 0),
    ("z", 0),
    ("t", 0),
];

/// Letters, longest first, and what they mean.
const LETTERS: &[(&str, VerbKind)] = &[
    ("rx", VerbKind::BufferEscaped),
    ("rh", VerbKind::BufferHex),
    ("gr", VerbKind::AllocationFlags),
    ("d", VerbKind::Signed),
    ("i", VerbKind::Signed),
    ("u", VerbKind::Unsigned),
    ("x", VerbKind::LowerHex),
    ("X", VerbKind::UpperHex),
    ("o", VerbKind::Octal),
    ("c", VerbKind::Character),
    ("p", VerbKind::Pointer),
    ("s", VerbKind::Text),
    ("r", VerbKind::Buffer),
];

/// Letters of C that no value of the language can be shown by.
const REFUSED: &str = "fFeEgGaAn";

/// A conversion in a text: what it is, its letter as written, and whether it had a length.
#[derive(Clone, Debug, PartialEq)]
struct Conversion {
    verb: Verb,
    letter: &'static str,
    has_length: bool,
}

/// A piece of a format before its arguments are known.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(Vec<u8>),
    Conversion(Conversion),
}

/// Cuts a format into pieces.
///
/// Errors: the letter of C that is refused.
fn parse(format: &[u8]) -> Result<Vec<Piece>, char> {
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    let mut rest = format;
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            text.push(*first);
            rest = after;
        } else if let Some(after) = percent(after) {
            text.push(b'%');
            rest = after;
        } else if let Some((conversion, after)) = conversion(after)? {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Conversion(conversion));
            rest = after;
        } else {
            text.push(b'%');
            rest = after;
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// What comes after the second of two percent signs; a width between them means nothing.
fn percent(text: &[u8]) -> Option<&[u8]> {
    let end = text
        .iter()
        .position(|byte| !b"-+#.0123456789".contains(byte))?;
    text.get(end..)?.strip_prefix(b"%")
}

/// The conversion that `text`, what follows a `%`, starts with, and what comes after it.
fn conversion(text: &[u8]) -> Result<Option<(Conversion, &[u8])>, char> {
    let mut rest = text;
    let mut take = |byte: u8| match rest.split_first() {
        Some((first, after)) if *first == byte => {
            rest = after;
            true
        }
        _ => false,
    };
    let mut verb = Verb {
        is_left: take(b'-'),
        has_sign: take(b'+'),
        ..Verb::default()
    };
    take(b' ');
    verb.is_alternate = take(b'#');
    verb.is_zero_padded = take(b'0');
    // A width of `*` is accepted and means nothing.
    if !take(b'*') {
        verb.width = digits(&mut rest);
    }
    if let Some(after) = rest.strip_prefix(b".") {
        rest = after;
        verb.precision = Some(digits(&mut rest).unwrap_or(0));
    }
    let mut has_length = false;
    for (length, bits) in LENGTHS {
        if let Some(after) = rest.strip_prefix(length.as_bytes()) {
            verb.bits = *bits;
            has_length = true;
            rest = after;
            break;
        }
    }
    for (letter, kind) in LETTERS {
        if let Some(after) = rest.strip_prefix(letter.as_bytes()) {
            verb.kind = *kind;
            let conversion = Conversion {
                verb,
                letter,
                has_length,
            };
            return Ok(Some((conversion, after)));
        }
    }
    match rest.first().map(|byte| char::from(*byte)) {
        Some(letter) if REFUSED.contains(letter) => Err(letter),
        _ => Ok(None),
    }
}

/// The decimal number at the start of `text`, which is taken off it.
fn digits(text: &mut &[u8]) -> Option<u32> {
    let mut number = None;
    while let Some((digit, after)) = text.split_first()
        && digit.is_ascii_digit()
    {
        let so_far: u32 = number.unwrap_or(0);
        number = Some(
            so_far
                .saturating_mul(10)
                .saturating_add(u32::from(digit - b'0')),
        );
        *text = after;
    }
    number
}

/// Checks a call whose first argument is a format: the format goes to the call's parameters,
/// its arguments stay. Complains where they do not fit.
pub(super) fn check(call: &mut Call, cx: &mut Check<'_, '_>) {
    if call.arguments.is_empty() {
        return;
    }
    let literal = call.arguments.remove(0);
    let Some(text) = literal.as_str() else {
        if !literal.ty.is_absorbing() {
            let kind = kind_name(&literal.ty);
            let message = format!("{}() expects a string literal ({kind} provided)", call.name);
            let help = match kind.as_str() {
                "string" => "show the text by a format: `\"%s\\n\", text`",
                _ => "write the format itself, between quotes",
            };
            let here = "not a string literal";
            cx.complain_as(codes::NOT_A_LITERAL, message, literal.span, here, help);
        }
        return;
    };
    let pieces = match parse(text) {
        Ok(pieces) => pieces,
        Err(letter) => {
            let message = format!("unsupported format specifier: {letter}");
            cx.complain(message, literal.span, "in this format", LETTERS_HELP);
            return;
        }
    };
    let expected = pieces
        .iter()
        .filter(|piece| matches!(piece, Piece::Conversion(_)))
        .count();
    let supplied = call.arguments.len();
    if expected != supplied {
        wrong_count(cx, call.span, supplied, expected);
        return;
    }
    let mut arguments = std::mem::take(&mut call.arguments).into_iter();
    let mut format = Format::default();
    for piece in pieces {
        match piece {
            Piece::Text(text) => format.pieces.push(FormatPiece::Text(text)),
            Piece::Conversion(conversion) => {
                let Some(argument) = arguments.next() else {
                    return;
                };
                let (verb, argument) = fit(conversion, argument, cx);
                format.pieces.push(FormatPiece::Verb(verb));
                call.arguments.push(argument);
            }
        }
    }
    call.params.insert(0, Param::Format(format));
}

const LETTERS_HELP: &str = "conversions are d i u x X o c p s, and r rx rh for buffers";

fn wrong_count(cx: &mut Check<'_, '_>, span: Span, supplied: usize, expected: usize) {
    let (what, here) = if supplied < expected {
        ("not enough arguments", "more conversions than values")
    } else {
        ("too many arguments", "more values than conversions")
    };
    let message = format!("{what} for format string ({supplied} supplied, {expected} expected)");
    let mut diagnostic = Diagnostic::error(codes::BAD_FORMAT, message, span, here);
    if supplied > expected {
        diagnostic = diagnostic.help(LETTERS_HELP);
    }
    cx.report(diagnostic);
}

/// Whether a value can be shown by a number's letters.
fn is_number(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Int(_) | Type::Bool | Type::Enum(_) | Type::Pointer(..)
    )
}

/// Checks one conversion against its argument.
fn fit(conversion: Conversion, argument: Expr, cx: &mut Check<'_, '_>) -> (Verb, Expr) {
    let mut verb = conversion.verb;
    let ty = &argument.ty;
    if ty.is_absorbing() {
        return (verb, argument);
    }
    let letter = conversion.letter;
    if matches!(ty, Type::Void) {
        let message = format!("unable to print none type for specifier: {letter}");
        report(cx, message, argument.span, "this has no value");
        return (verb, argument);
    }
    match verb.kind {
        VerbKind::Text => {
            if matches!(ty, Type::Aggregate(_)) {
                return (verb, cx.integer(argument, "printf"));
            }
            return (verb, argument);
        }
        VerbKind::Buffer | VerbKind::BufferEscaped | VerbKind::BufferHex => {
            if matches!(ty, Type::Buffer(_)) {
                return (verb, argument);
            }
        }
        VerbKind::AllocationFlags => {
            if ty.is_integer() {
                return (verb, argument);
            }
        }
        _ => {
            if is_number(ty) {
                let is_unsigned = !matches!(verb.kind, VerbKind::Signed);
                // As in C, a narrow negative number has 32 bits, not 64.
                if is_unsigned && !conversion.has_length && ty.is_signed() && ty.size() <= 4 {
                    verb.bits = 32;
                }
                return (verb, argument);
            }
        }
    }
    let message = format!("unsupported format specifier for type '{ty}': {letter}");
    let help = match ty {
        Type::Aggregate(a) if a.is_castable => "cast it to an integer: `(int64)@m`",
        _ => "`%s` shows any value",
    };
    let here = format!("this is `{ty}`");
    let diagnostic = Diagnostic::error(codes::BAD_FORMAT, message, argument.span, here);
    cx.report(diagnostic.help(help));
    (verb, argument)
}

fn report(cx: &mut Check<'_, '_>, message: String, span: Span, here: &str) {
    cx.report(Diagnostic::error(codes::BAD_FORMAT, message, span, here));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verbs(format: &str) -> Vec<Verb> {
        let pieces = parse(format.as_bytes()).expect("supported");
        pieces
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Conversion(conversion) => Some(conversion.verb),
                Piece::Text(_) => None,
            })
            .collect()
    }

    #[test]
    fn flags_widths_and_lengths_are_read() {
        let expected = Verb {
            kind: VerbKind::LowerHex,
            is_left: true,
            has_sign: true,
            is_alternate: true,
            is_zero_padded: true,
            width: Some(12),
            precision: Some(3),
            bits: 16,
        };
        assert_eq!(verbs("%-+ #012.3hx"), [expected]);
        assert_eq!(verbs("%lld %hhu")[1].bits, 8);
        assert_eq!(verbs("%rh")[0].kind, VerbKind::BufferHex);
        assert_eq!(verbs("%r-")[0].kind, VerbKind::Buffer);
        assert_eq!(verbs("%*d")[0].width, None);
    }

    #[test]
    fn what_is_no_conversion_is_text() {
        let text = |t: &str| Piece::Text(t.as_bytes().to_vec());
        assert_eq!(parse(b"100%% %y %"), Ok(vec![text("100% %y %")]));
        assert_eq!(parse(b""), Ok(Vec::new()));
        assert_eq!(parse(b"%f"), Err('f'));
        assert_eq!(parse(b"%g"), Err('g'));
        assert_eq!(verbs("%gr")[0].kind, VerbKind::AllocationFlags);
    }
}
