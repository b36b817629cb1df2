//! Values and maps as text.
//!
//! Byte for byte what the language reference's chapters on output and maps show. Appends to
//! a buffer; never writes anywhere.

use std::io::Write;

use rbt_compiler::artifact::StackMode;

use crate::value::{Bucket, Frame, Histogram, Scale, Stack, Value};

/// Columns of a histogram's bar.
const BAR: usize = 52;

/// Appends a value's own text, without a newline after it.
pub fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::None => out.extend_from_slice(b"null"),
        Value::Int(value) => {
            if *value < 0 {
                out.push(b'-');
            }
            write_digits(value.unsigned_abs(), out);
        }
        Value::Unsigned(value) => write_digits(*value, out),
        Value::Bool(value) => put(out, format_args!("{value}")),
        Value::Enum { value, name } => match name {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => put(out, format_args!("{value}")),
        },
        Value::Text(text) => out.extend_from_slice(text),
        Value::Buffer(bytes) => bytes.iter().for_each(|byte| write_byte(*byte, out)),
        Value::Pointer(address) => put(out, format_args!("{address:#x}")),
        Value::Array(elements) => list(b"[", elements, b",", b"]", out),
        Value::Tuple(elements) => list(b"(", elements, b", ", b")", out),
        Value::Struct(members) => {
            if members.is_empty() {
                return out.extend_from_slice(b"{}");
            }
            let mut before = "{ ";
            for (name, value) in members {
                put(out, format_args!("{before}.{name} = "));
                write_value(value, out);
                before = ", ";
            }
            out.extend_from_slice(b" }");
        }
        Value::Symbol { address, name } => match name {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None if *address == 0 => out.push(b'0'),
            None => put(out, format_args!("{address:#x}")),
        },
        Value::Inet(address) => put(out, format_args!("{address}")),
        Value::Mac(bytes) => {
            for (i, byte) in bytes.iter().enumerate() {
                let colon = if i == 0 { "" } else { ":" };
                put(out, format_args!("{colon}{byte:02X}"));
            }
        }
        Value::Time(text) => out.extend_from_slice(text.as_bytes()),
        Value::Username { name, .. } => {
            out.extend_from_slice(name.as_deref().unwrap_or_default().as_bytes());
        }
        Value::Stack(stack) => write_stack(stack, out),
        Value::Stats(s) => {
            let (count, average, total) = (s.count, s.average, s.total);
            put(
                out,
                format_args!("{{ .count = {count}, .average = {average}, .total = {total} }}"),
            );
        }
        Value::Histogram(histogram) => write_histogram(histogram, out),
        Value::Series(series) => super::chart::write(series, out),
    }
}

/// Appends a number: most of what is printed is numbers, and the standard library's formatting
/// takes several times as long.
pub(crate) fn write_digits(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut count = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        count += 1;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - count..).unwrap_or(&[]));
}

/// Appends a byte of a buffer: itself if printable, else `\xNN`.
pub(crate) fn write_byte(byte: u8, out: &mut Vec<u8>) {
    if (0x20..=0x7e).contains(&byte) {
        out.push(byte);
    } else {
        put(out, format_args!("\\x{byte:02x}"));
    }
}

/// Appends a key as it stands between brackets: without outermost parentheses. The rule is
/// textual: a string that looks like a tuple loses them too.
pub(crate) fn write_key(key: &Value<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    write_value(key, out);
    let is_wrapped = out.len() >= start + 2 && out.get(start) == Some(&b'(') && out.ends_with(b")");
    if is_wrapped {
        out.pop();
        out.remove(start);
    }
}

/// Appends one element of a map: a line, or a chart.
pub(crate) fn write_element(
    name: &str,
    key: Option<&Value<'_>>,
    value: &Value<'_>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(name.as_bytes());
    if let Some(key) = key {
        out.push(b'[');
        write_key(key, out);
        out.push(b']');
    }
    if let Value::Histogram(histogram) = value {
        out.extend_from_slice(b":\n");
        write_histogram(histogram, out);
    } else if let Value::Series(_) = value {
        out.extend_from_slice(b":\n");
        write_value(value, out);
    } else {
        out.extend_from_slice(b": ");
        write_value(value, out);
    }
    out.push(b'\n');
}

fn put(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(arguments);
}

fn list(open: &[u8], elements: &[Value<'_>], comma: &[u8], close: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(open);
    for (i, element) in elements.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(comma);
        }
        write_value(element, out);
    }
    out.extend_from_slice(close);
}

/// A newline, then one frame to a line.
fn write_stack(stack: &Stack, out: &mut Vec<u8>) {
    out.push(b'\n');
    for frame in &stack.frames {
        write_frame(stack, frame, out);
        out.push(b'\n');
    }
    if stack.is_cut {
        let indent: &[u8] = match stack.mode {
            StackMode::Bpftrace => b"        ",
            StackMode::Perf => b"\t",
            StackMode::Raw | StackMode::BuildId => b"",
        };
        out.extend_from_slice(indent);
        out.extend_from_slice(b"<unwind failure>\n");
    }
}

fn write_frame(stack: &Stack, frame: &Frame, out: &mut Vec<u8>) {
    let address = frame.address;
    let line = |line: &Option<String>, out: &mut Vec<u8>| {
        if let Some(line) = line {
            put(out, format_args!("@{line}"));
        }
    };
    if stack.mode == StackMode::Bpftrace {
        for (name, at) in &frame.inlined {
            put(out, format_args!("        [inlined] {name}"));
            line(at, out);
            out.push(b'\n');
        }
    }
    match (stack.mode, &frame.symbol) {
        (StackMode::Raw | StackMode::BuildId, _) => {
            if let Some(id) = frame.build_id {
                id.iter()
                    .for_each(|byte| put(out, format_args!("{byte:02x}")));
                return put(out, format_args!(" {address:#x}"));
            }
            put(out, format_args!("{address:x}"));
        }
        (StackMode::Bpftrace, _) if address == 0 => out.extend_from_slice(b"        0"),
        (StackMode::Bpftrace, Some((name, distance))) => {
            put(out, format_args!("        {name}+{distance}"));
            line(&frame.line, out);
        }
        (StackMode::Bpftrace, None) => put(out, format_args!("        {address:#x}")),
        (StackMode::Perf, symbol) => {
            put(out, format_args!("\t{address:x} "));
            match symbol {
                Some((name, distance)) => put(out, format_args!("{name}+{distance}")),
                None if address == 0 => out.push(b'0'),
                None => put(out, format_args!("{address:#x}")),
            }
            if stack.is_user {
                let module = frame.module.as_deref().unwrap_or("[unknown]");
                put(out, format_args!(" ({module})"));
            }
        }
    }
}

/// One line for each interval.
fn write_histogram(histogram: &Histogram, out: &mut Vec<u8>) {
    let most = histogram.buckets.iter().map(|b| b.count).max().unwrap_or(0);
    for bucket in &histogram.buckets {
        let label = interval(histogram.scale, bucket);
        // Single precision, as elsewhere: it decides the last column of some bars.
        let share = bucket.count as f32 / most.max(1) as f32;
        let filled = ((share * BAR as f32) as usize).min(BAR);
        let bar = "@".repeat(filled);
        put(
            out,
            format_args!("{label:<16}{:>8} |{bar:<BAR$}|\n", bucket.count),
        );
    }
}

/// The edges of an interval of a histogram: `[64, 128)`.
pub fn interval(scale: Scale, bucket: &Bucket) -> String {
    match (bucket.low, bucket.high) {
        (Some(low), Some(high)) if high - low == 1 => format!("[{}]", edge(scale, low)),
        (Some(low), Some(high)) => format!("[{}, {})", edge(scale, low), edge(scale, high)),
        (None, Some(high)) => format!("(..., {})", edge(scale, high)),
        (Some(low), None) => format!("[{}, ...)", edge(scale, low)),
        (None, None) => String::from("(..., ...)"),
    }
}

/// An edge as it is written: large powers of two with a letter for 2^10, 2^20 and so on.
fn edge(scale: Scale, edge: i128) -> String {
    match scale {
        Scale::Powers { bits } => {
            if edge <= 2 << bits {
                return edge.to_string();
            }
            let power = edge.ilog2().saturating_sub(bits);
            let mantissa = edge >> power;
            let letter = ["", "K", "M", "G", "T", "P", "E"].get(power as usize / 10);
            format!("{}{}", mantissa << (power % 10), letter.unwrap_or(&""))
        }
        Scale::Linear { step } if step > 0 && step % 1024 == 0 && edge != 0 => {
            if edge % (1 << 20) == 0 {
                format!("{}M", edge >> 20)
            } else if edge % (1 << 10) == 0 {
                format!("{}K", edge >> 10)
            } else {
                edge.to_string()
            }
        }
        Scale::Linear { .. } => edge.to_string(),
    }
}
