//! Bytes to values, one shape after the other, and bytes that are too few.

use super::*;
use crate::output::text::write_value;
use rbt_compiler::artifact::{EventField, Site};
use rbt_grammar::source::Span;

fn shown(shape: &Shape, bytes: &[u8]) -> String {
    let manifest = Manifest {
        texts: vec![String::from("text 0"), String::from("%Y")],
        sites: vec![Site {
            text: String::from("interval:s:1"),
            function: String::new(),
        }],
        ..Manifest::default()
    };
    let host = Host::default();
    let decoder = Decoder::new(&manifest, &host, Rc::new(KernelMaps::default()));
    let value = decoder.value(shape, bytes).expect("a value");
    let mut out = Vec::new();
    write_value(&value, &mut out);
    String::from_utf8(out).expect("text")
}

fn int(size: u8, is_signed: bool) -> Shape {
    Shape::Int { size, is_signed }
}

#[test]
fn integers_of_every_width() {
    let ones = [0xff; 8];
    for size in [1, 2, 4, 8] {
        assert_eq!(shown(&int(size, true), &ones), "-1");
    }
    assert_eq!(shown(&int(1, false), &ones), "255");
    assert_eq!(shown(&int(2, false), &ones), "65535");
    assert_eq!(shown(&int(4, false), &ones), "4294967295");
    assert_eq!(shown(&int(8, false), &ones), "18446744073709551615");
}

#[test]
fn texts_end_at_the_nul_or_were_cut() {
    let text = Shape::Text { capacity: 4 };
    assert_eq!(shown(&text, b"ab\0c"), "ab");
    assert_eq!(shown(&text, b"abcd"), "abcd..");
    assert_eq!(shown(&text, b"\0bcd"), "");
}

#[test]
fn buffers_have_a_length() {
    let buffer = Shape::Buffer { capacity: 4 };
    assert_eq!(shown(&buffer, b"\x02\0\0\0a\x01cd"), "a\\x01");
    assert_eq!(shown(&buffer, b"\xff\0\0\0abcd"), "abcd");
}

#[test]
fn composites() {
    let tuple = Shape::Tuple(vec![
        (0, int(8, true)),
        (8, Shape::Text { capacity: 2 }),
        (12, Shape::Tuple(vec![(0, int(4, false))])),
    ]);
    let mut bytes = 1_i64.to_le_bytes().to_vec();
    bytes.extend_from_slice(b"a\0\0\0\x03\0\0\0");
    assert_eq!(shown(&tuple, &bytes), "(1, a, (3))");
    let array = Shape::Array {
        element: Box::new(Shape::Array {
            element: Box::new(int(1, false)),
            stride: 1,
            count: 2,
        }),
        stride: 2,
        count: 2,
    };
    assert_eq!(shown(&array, &[1, 2, 3, 4]), "[[1,2],[3,4]]");
}

#[test]
fn structs_show_anonymous_members_and_bit_fields() {
    let field = |name: &str, offset, shape, bits| FieldShape {
        name: name.to_owned(),
        offset,
        shape,
        bits,
    };
    let inner = Shape::Struct(vec![field("x", 0, int(1, false), None)]);
    let whole = Shape::Struct(vec![
        field("", 0, inner, None),
        field("low", 1, int(1, false), Some((0, 3))),
        field("high", 1, int(1, true), Some((3, 5))),
        field("f", 2, Shape::None, None),
    ]);
    // 0b11111_010: the lower field 2, the upper all ones, which has no sign in the language
    let text = shown(&whole, &[7, 0b1111_1010, 0]);
    assert_eq!(text, "{ .x = 7, .low = 2, .high = 31, .f = null }");
    assert_eq!(shown(&Shape::Struct(Vec::new()), &[]), "{}");
}

#[test]
fn small_shapes() {
    assert_eq!(shown(&Shape::None, &[]), "null");
    assert_eq!(shown(&Shape::Bool, &[1]), "true");
    let names = vec![(0, String::from("NONE")), (-1, String::from("ALL"))];
    let named = Shape::Enum { size: 4, names };
    assert_eq!(shown(&named, &[0xff; 4]), "ALL");
    assert_eq!(shown(&named, &[5, 0, 0, 0]), "5");
    assert_eq!(shown(&Shape::Pointer, &[0x10, 0, 0, 0, 0, 0, 0, 0]), "0x10");
    assert_eq!(shown(&Shape::Pointer, &[0; 8]), "0x0");
    assert_eq!(
        shown(&Shape::Mac, &[0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f]),
        "0A:1B:2C:3D:4E:5F"
    );
    assert_eq!(shown(&Shape::Username, &[0; 8]), "root");
    assert_eq!(shown(&Shape::Site, &[0; 8]), "interval:s:1");
    assert_eq!(shown(&Shape::TextNumber, &[0; 8]), "text 0");
}

#[test]
fn addresses_of_both_families() {
    let mut bytes = vec![2, 0, 0, 0, 127, 0, 0, 1];
    bytes.resize(20, 0);
    assert_eq!(shown(&Shape::Inet, &bytes), "127.0.0.1");
    let mut bytes = vec![10, 0, 0, 0];
    bytes.resize(19, 0);
    bytes.push(1);
    assert_eq!(shown(&Shape::Inet, &bytes), "::1");
}

#[test]
fn times_are_formatted_by_number() {
    let mut bytes = 1_u64.to_le_bytes().to_vec();
    bytes.extend_from_slice(&0_u64.to_le_bytes());
    let year: i32 = shown(&Shape::Timestamp, &bytes).parse().expect("a year");
    assert!(year >= 2024, "{year}");
}

#[test]
fn bytes_that_do_not_fit_are_errors() {
    let manifest = Manifest {
        events: vec![EventSchema {
            word: String::from("w"),
            params: vec![Param::Int(3)],
            fields: vec![EventField {
                offset: 8,
                shape: int(8, false),
            }],
            size: 16,
            span: Span::default(),
        }],
        ..Manifest::default()
    };
    let host = Host::default();
    let decoder = Decoder::new(&manifest, &host, Rc::new(KernelMaps::default()));
    let bytes = [0; 16];
    let record = Record::new(&bytes, &decoder).expect("a record");
    assert_eq!(record.int(0), Ok(0));
    assert_eq!(record.int_param(0), Ok(3));
    assert!(record.int(1).is_err());
    assert!(record.text_param(0).is_err());
    let short = Record::new(&[0; 15], &decoder);
    assert!(short.is_err_and(|e| e.what.contains("15 bytes instead of 16")));
    assert!(Record::new(&[1, 0, 0, 0, 0, 0, 0, 0], &decoder).is_err());
    assert!(Record::new(&[], &decoder).is_err());
    for shape in [
        int(8, true),
        Shape::Text { capacity: 9 },
        Shape::Inet,
        Shape::Mac,
        Shape::Buffer { capacity: 4 },
        Shape::Array {
            element: Box::new(int(8, true)),
            stride: u32::MAX,
            count: 2,
        },
        Shape::Tuple(vec![(u32::MAX, int(1, true))]),
    ] {
        assert!(decoder.value(&shape, &[9; 3]).is_err(), "{shape:?}");
    }
    for shape in [Shape::Site, Shape::TextNumber, Shape::Timestamp] {
        assert!(decoder.value(&shape, &[9; 16]).is_err(), "{shape:?}");
    }
}
