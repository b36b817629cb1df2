//! Values and maps as JSON, one object to a line.
//!
//! Separators are exactly those of the language reference: `": "` after keys, `", "` between
//! members, `","` between elements. Appends to a buffer; never writes anywhere.

use std::io::Write;

use super::text;
use crate::maps::MapReport;
use crate::value::{Histogram, Value};

/// Appends `{"type": KIND, "data": "TEXT"}` and a newline.
pub(crate) fn write_text(kind: &str, body: &[u8], out: &mut Vec<u8>) {
    put(out, format_args!("{{\"type\": \"{kind}\", \"data\": "));
    write_string(body, out);
    out.extend_from_slice(b"}\n");
}

/// Appends `{"type": "value", "data": VALUE}` and a newline.
pub(crate) fn write_value_record(value: &Value<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\": \"value\", \"data\": ");
    write_value(value, out);
    out.extend_from_slice(b"}\n");
}

/// Appends a map's line; nothing for a map without elements.
pub(crate) fn write_map(map: &MapReport<'_>, out: &mut Vec<u8>) {
    let Some((first, _)) = map.entries.first() else {
        return;
    };
    put(
        out,
        format_args!("{{\"type\": \"{}\", \"data\": {{", map.kind),
    );
    write_string(map.name.as_bytes(), out);
    out.extend_from_slice(b": ");
    let is_keyed = first.is_some();
    if is_keyed {
        out.push(b'{');
    }
    for (i, (key, value)) in map.entries.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        if let Some(key) = key {
            let mut name = Vec::new();
            text::write_key(key, &mut name);
            name.retain(|byte| *byte != b' ');
            write_string(&name, out);
            out.extend_from_slice(b": ");
        }
        write_value(value, out);
    }
    if is_keyed {
        out.push(b'}');
    }
    out.extend_from_slice(b"}}\n");
}

/// Appends a value.
pub(crate) fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::None => out.extend_from_slice(b"null"),
        Value::Int(value) | Value::Enum { value, .. } => write_number(i128::from(*value), out),
        Value::Unsigned(value) | Value::Pointer(value) => write_number(i128::from(*value), out),
        Value::Bool(value) => put(out, format_args!("{value}")),
        Value::Buffer(bytes) => {
            let signed = |byte: &u8| Value::Int(i64::from(*byte as i8));
            write_list(bytes.iter().map(signed), out);
        }
        Value::Array(elements) | Value::Tuple(elements) => {
            out.push(b'[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(element, out);
            }
            out.push(b']');
        }
        Value::Struct(members) => {
            out.push(b'{');
            for (i, (name, value)) in members.iter().enumerate() {
                if i > 0 {
                    out.extend_from_slice(b", ");
                }
                write_string(name.as_bytes(), out);
                out.extend_from_slice(b": ");
                write_value(value, out);
            }
            out.push(b'}');
        }
        Value::Stats(stats) => {
            put(
                out,
                format_args!("{{\"count\": {}, \"average\": ", stats.count),
            );
            write_number(stats.average, out);
            out.extend_from_slice(b", \"total\": ");
            write_number(stats.total, out);
            out.push(b'}');
        }
        Value::Histogram(histogram) => write_histogram(histogram, out),
        Value::Series(series) => super::chart::write_json(series, out),
        Value::Text(_)
        | Value::Symbol { .. }
        | Value::Inet(_)
        | Value::Mac(_)
        | Value::Time(_)
        | Value::Username { .. }
        | Value::Stack(_) => {
            let mut body = Vec::new();
            text::write_value(value, &mut body);
            write_string(&body, out);
        }
    }
}

/// Appends a quoted string. Bytes from 0x80 up are copied.
pub(crate) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => put(out, format_args!("\\u{byte:04x}")),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

fn put(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(arguments);
}

/// A number, or a string where a reader that keeps doubles would not get the number back.
fn write_number(value: i128, out: &mut Vec<u8>) {
    if value as f64 as i128 != value {
        put(out, format_args!("\"{value}\""));
    } else {
        put(out, format_args!("{value}"));
    }
}

fn write_list<'v>(values: impl Iterator<Item = Value<'v>>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, value) in values.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_value(&value, out);
    }
    out.push(b']');
}

/// Intervals are closed here: `max` is the last value inside.
fn write_histogram(histogram: &Histogram, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, bucket) in histogram.buckets.iter().enumerate() {
        out.extend_from_slice(if i > 0 { b",{" } else { b"{" });
        if let Some(low) = bucket.low {
            put(out, format_args!("\"min\": {low}, "));
        }
        if let Some(high) = bucket.high {
            put(out, format_args!("\"max\": {}, ", high - 1));
        }
        put(out, format_args!("\"count\": {}}}", bucket.count));
    }
    out.push(b']');
}
