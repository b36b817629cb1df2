//! The samples of the language reference's section on printf.

use super::*;
use std::borrow::Cow;

const SIGNED: Verb = Verb {
    kind: VerbKind::Signed,
    is_left: false,
    has_sign: false,
    is_alternate: false,
    is_zero_padded: false,
    width: None,
    precision: None,
    bits: 0,
};

fn shown(verb: Verb, value: Value<'_>) -> String {
    let mut out = Vec::new();
    let pieces = vec![FormatPiece::Verb(verb)];
    format(&Format { pieces }, std::iter::once(Ok(value)), &mut out).expect("a value");
    String::from_utf8(out).expect("text")
}

fn kind(kind: VerbKind) -> Verb {
    Verb { kind, ..SIGNED }
}

#[test]
fn integers_are_whole_unless_a_length_cuts_them() {
    assert_eq!(shown(SIGNED, Value::Int(4_294_967_301)), "4294967301");
    assert_eq!(shown(SIGNED, Value::Unsigned(u64::MAX - 99)), "-100");
    let hex = kind(VerbKind::LowerHex);
    assert_eq!(shown(hex, Value::Int(-1)), "ffffffffffffffff");
    assert_eq!(shown(Verb { bits: 8, ..SIGNED }, Value::Int(300)), "44");
    assert_eq!(
        shown(Verb { bits: 16, ..SIGNED }, Value::Int(70000)),
        "4464"
    );
    let unsigned = kind(VerbKind::Unsigned);
    assert_eq!(
        shown(
            Verb {
                bits: 8,
                ..unsigned
            },
            Value::Int(511)
        ),
        "255"
    );
    assert_eq!(shown(SIGNED, Value::Bool(true)), "1");
    assert_eq!(shown(SIGNED, Value::Pointer(16)), "16");
}

#[test]
fn zeros_go_after_the_sign() {
    let zeros = Verb {
        is_zero_padded: true,
        width: Some(5),
        ..SIGNED
    };
    assert_eq!(shown(zeros, Value::Int(42)), "00042");
    assert_eq!(shown(zeros, Value::Int(-42)), "-0042");
    let plus = Verb {
        has_sign: true,
        ..zeros
    };
    assert_eq!(shown(plus, Value::Int(42)), "+0042");
    let left = Verb {
        is_left: true,
        width: Some(10),
        ..zeros
    };
    assert_eq!(shown(left, Value::Int(5)), "5000000000");
}

#[test]
fn signs_are_for_signed_numbers() {
    let plus = |kind| Verb {
        kind,
        has_sign: true,
        ..SIGNED
    };
    assert_eq!(shown(plus(VerbKind::Signed), Value::Int(0)), "+0");
    assert_eq!(shown(plus(VerbKind::Unsigned), Value::Int(5)), "5");
}

#[test]
fn bases() {
    let alternate = |kind| Verb {
        kind,
        is_alternate: true,
        ..SIGNED
    };
    let hex = alternate(VerbKind::LowerHex);
    assert_eq!(shown(hex, Value::Int(255)), "0xff");
    assert_eq!(
        shown(alternate(VerbKind::UpperHex), Value::Int(48879)),
        "0XBEEF"
    );
    assert_eq!(shown(alternate(VerbKind::Octal), Value::Int(8)), "010");
    let padded = Verb {
        is_zero_padded: true,
        width: Some(6),
        ..hex
    };
    assert_eq!(shown(padded, Value::Int(255)), "000xff");
    assert_eq!(shown(kind(VerbKind::Pointer), Value::Int(0)), "0");
    assert_eq!(
        shown(kind(VerbKind::Pointer), Value::Unsigned(0xdead)),
        "0xdead"
    );
    assert_eq!(shown(kind(VerbKind::Character), Value::Int(82)), "R");
}

#[test]
fn text_has_width_and_precision() {
    let hello = || Value::Text(Cow::Borrowed(b"hello"));
    let verb = |width, precision, is_left| Verb {
        width,
        precision,
        is_left,
        ..kind(VerbKind::Text)
    };
    assert_eq!(shown(verb(None, Some(2), false), hello()), "he");
    assert_eq!(shown(verb(Some(5), Some(2), false), hello()), "   he");
    assert_eq!(shown(verb(Some(5), Some(1), true), hello()), "h    ");
    assert_eq!(shown(verb(Some(6), None, true), Value::Int(-42)), "-42   ");
    assert_eq!(
        shown(verb(Some(6), None, false), Value::Bool(true)),
        "  true"
    );
}

#[test]
fn buffers() {
    let bytes = || Value::Buffer(Cow::Borrowed(b"a\x01~\xff"));
    assert_eq!(shown(kind(VerbKind::Buffer), bytes()), "a\\x01~\\xff");
    let escaped = kind(VerbKind::BufferEscaped);
    assert_eq!(shown(escaped, bytes()), "\\x61\\x01\\x7e\\xff");
    assert_eq!(shown(kind(VerbKind::BufferHex), bytes()), "61 01 7e ff");
}

#[test]
fn allocation_flags_by_their_largest_names() {
    assert_eq!(allocation_flags(0), "0");
    assert_eq!(allocation_flags(0xcc0), "GFP_KERNEL");
    assert_eq!(allocation_flags(0xdc0), "GFP_KERNEL|__GFP_ZERO");
    assert_eq!(allocation_flags(0x0010_0cca), "GFP_HIGHUSER_MOVABLE");
    assert_eq!(allocation_flags(1 << 40 | 0xc40), "GFP_NOFS|0x10000000000");
}

#[test]
fn widths_have_an_end() {
    let wide = Verb {
        width: Some(u32::MAX),
        ..SIGNED
    };
    assert_eq!(shown(wide, Value::Int(1)).len(), MOST_PADDING);
}

#[test]
fn missing_values_are_errors() {
    let pieces = vec![FormatPiece::Verb(SIGNED)];
    let none = std::iter::empty();
    assert!(format(&Format { pieces }, none, &mut Vec::new()).is_err());
}
