//! printf conversions over values.
//!
//! Takes a format that was parsed and checked at compile time and the values of a record;
//! appends bytes. Where the language reference lists a peculiarity to be fixed, this does
//! what C does: integers are printed whole, precision cuts text, zeros go after the sign.

use std::io::Write;

use rbt_compiler::artifact::{Format, FormatPiece, Verb, VerbKind};

use crate::error::Malformed;
use crate::output::text;
use crate::value::Value;

/// Appends `format` with `values` in place of its conversions.
///
/// Errors: a value is malformed or missing.
pub fn format<'v>(
    format: &Format,
    mut values: impl Iterator<Item = Result<Value<'v>, Malformed>>,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    for piece in &format.pieces {
        match piece {
            FormatPiece::Text(bytes) => out.extend_from_slice(bytes),
            FormatPiece::Verb(verb) => {
                let value = values
                    .next()
                    .ok_or_else(|| Malformed::new("a conversion has no value"))??;
                convert(verb, &value, out);
            }
        }
    }
    Ok(())
}

/// Appends one conversion. What is written stays where it is: padding is moved in front of it,
/// so that no event allocates.
fn convert(verb: &Verb, value: &Value<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    let mut digits = start;
    match verb.kind {
        VerbKind::Text => {
            text::write_value(value, out);
            cut(start, out, verb);
        }
        VerbKind::Buffer | VerbKind::BufferEscaped | VerbKind::BufferHex => {
            buffer(verb.kind, value, out);
            cut(start, out, verb);
        }
        _ => match value.bits() {
            Some(bits) => digits = number(verb, bits, out),
            // The compiler refuses this; a text is still better than nothing.
            None => text::write_value(value, out),
        },
    }
    pad(verb, start, digits, out);
}

/// Keeps as many bytes as the precision says.
fn cut(start: usize, out: &mut Vec<u8>, verb: &Verb) {
    if let Some(precision) = verb.precision {
        out.truncate(start.saturating_add(precision as usize));
    }
}

/// Appends a number and gives where it begins behind its sign.
fn number(verb: &Verb, bits: u64, out: &mut Vec<u8>) -> usize {
    let spare = match verb.bits {
        0 => 0,
        bits => 64 - u32::from(bits.min(64)),
    };
    let signed = ((bits << spare) as i64) >> spare;
    let unsigned = (bits << spare) >> spare;
    if verb.kind == VerbKind::Signed {
        match (signed < 0, verb.has_sign) {
            (true, _) => out.push(b'-'),
            (false, true) => out.push(b'+'),
            (false, false) => {}
        }
    }
    let start = out.len();
    if verb.is_alternate && unsigned != 0 {
        out.extend_from_slice(match verb.kind {
            VerbKind::LowerHex => b"0x",
            VerbKind::UpperHex => b"0X",
            VerbKind::Octal => b"0",
            _ => b"",
        });
    }
    let digits = out.len();
    // Writing to a vector cannot fail.
    let _ = match verb.kind {
        VerbKind::Signed => write!(out, "{}", signed.unsigned_abs()),
        VerbKind::LowerHex => write!(out, "{unsigned:x}"),
        VerbKind::UpperHex => write!(out, "{unsigned:X}"),
        VerbKind::Octal => write!(out, "{unsigned:o}"),
        VerbKind::Pointer if bits == 0 => write!(out, "0"),
        VerbKind::Pointer => write!(out, "0x{bits:x}"),
        VerbKind::AllocationFlags => write!(out, "{}", allocation_flags(bits)),
        VerbKind::Character => {
            out.push(bits as u8);
            return start;
        }
        _ => write!(out, "{unsigned}"),
    };
    let least = verb.precision.map_or(0, |p| p as usize);
    let missing = least.saturating_sub(out.len() - digits).min(MOST_PADDING);
    insert(digits, missing, b'0', out);
    start
}

/// Puts `count` times `fill` at `at`, before what stands there.
fn insert(at: usize, count: usize, fill: u8, out: &mut Vec<u8>) {
    out.resize(out.len() + count, fill);
    if let Some(moved) = out.get_mut(at..) {
        moved.rotate_right(count);
    }
}

/// A format may ask for any width; nobody wants a line of more than this.
const MOST_PADDING: usize = 1 << 16;

/// Fills what was written from `start` on to the width. Zeros stand behind a sign, before
/// `digits`.
fn pad(verb: &Verb, start: usize, digits: usize, out: &mut Vec<u8>) {
    let width = (verb.width.unwrap_or(0) as usize).min(MOST_PADDING);
    let missing = width.saturating_sub(out.len() - start);
    let fill = if verb.is_zero_padded { b'0' } else { b' ' };
    if verb.is_left {
        out.resize(out.len() + missing, fill);
    } else if missing > 0 {
        let at = if verb.is_zero_padded { digits } else { start };
        insert(at, missing, fill, out);
    }
}

fn buffer(kind: VerbKind, value: &Value<'_>, out: &mut Vec<u8>) {
    let (Value::Buffer(bytes) | Value::Text(bytes)) = value else {
        return text::write_value(value, out);
    };
    for (i, byte) in bytes.iter().enumerate() {
        // Writing to a vector cannot fail.
        let _ = match kind {
            VerbKind::BufferHex if i == 0 => write!(out, "{byte:02x}"),
            VerbKind::BufferHex => write!(out, " {byte:02x}"),
            VerbKind::BufferEscaped => write!(out, "\\x{byte:02x}"),
            _ => {
                text::write_byte(*byte, out);
                Ok(())
            }
        };
    }
}

/// Kernel allocation flags by name: the largest combinations first, what is left in hex.
fn allocation_flags(bits: u64) -> String {
    if bits == 0 {
        return String::from("0");
    }
    let mut left = bits;
    let mut names: Vec<String> = Vec::new();
    for (name, mask) in ALLOCATION_FLAGS {
        if left & mask == *mask {
            names.push((*name).to_owned());
            left &= !mask;
        }
    }
    if left != 0 {
        names.push(format!("0x{left:x}"));
    }
    names.join("|")
}

// Bits as in include/linux/gfp_types.h since 6.10 (an enum there, so the numbers follow from
// the order; the debug options of lockdep and KASAN come last and are left in hex).
const DMA: u64 = 1 << 0;
const HIGHMEM: u64 = 1 << 1;
const DMA32: u64 = 1 << 2;
const MOVABLE: u64 = 1 << 3;
const HIGH: u64 = 1 << 5;
const IO: u64 = 1 << 6;
const FS: u64 = 1 << 7;
const ZERO: u64 = 1 << 8;
const DIRECT_RECLAIM: u64 = 1 << 10;
const KSWAPD_RECLAIM: u64 = 1 << 11;
const WRITE: u64 = 1 << 12;
const NOWARN: u64 = 1 << 13;
const RETRY_MAYFAIL: u64 = 1 << 14;
const NOFAIL: u64 = 1 << 15;
const NORETRY: u64 = 1 << 16;
const MEMALLOC: u64 = 1 << 17;
const COMP: u64 = 1 << 18;
const NOMEMALLOC: u64 = 1 << 19;
const HARDWALL: u64 = 1 << 20;
const THISNODE: u64 = 1 << 21;
const ACCOUNT: u64 = 1 << 22;
const ZEROTAGS: u64 = 1 << 23;

const RECLAIM: u64 = DIRECT_RECLAIM | KSWAPD_RECLAIM;
const KERNEL: u64 = RECLAIM | IO | FS;
const USER: u64 = KERNEL | HARDWALL;
const HIGHUSER: u64 = USER | HIGHMEM;
const HIGHUSER_MOVABLE: u64 = HIGHUSER | MOVABLE;
const TRANSHUGE_LIGHT: u64 = (HIGHUSER_MOVABLE | COMP | NOMEMALLOC | NOWARN) & !RECLAIM;

const ALLOCATION_FLAGS: &[(&str, u64)] = &[
    ("GFP_TRANSHUGE", TRANSHUGE_LIGHT | DIRECT_RECLAIM),
    ("GFP_TRANSHUGE_LIGHT", TRANSHUGE_LIGHT),
    ("GFP_HIGHUSER_MOVABLE", HIGHUSER_MOVABLE),
    ("GFP_HIGHUSER", HIGHUSER),
    ("GFP_USER", USER),
    ("GFP_KERNEL_ACCOUNT", KERNEL | ACCOUNT),
    ("GFP_KERNEL", KERNEL),
    ("GFP_NOFS", RECLAIM | IO),
    ("GFP_ATOMIC", HIGH | KSWAPD_RECLAIM),
    ("GFP_NOIO", RECLAIM),
    ("GFP_NOWAIT", KSWAPD_RECLAIM),
    ("GFP_DMA", DMA),
    ("__GFP_HIGHMEM", HIGHMEM),
    ("GFP_DMA32", DMA32),
    ("__GFP_HIGH", HIGH),
    ("__GFP_IO", IO),
    ("__GFP_FS", FS),
    ("__GFP_ZERO", ZERO),
    ("__GFP_DIRECT_RECLAIM", DIRECT_RECLAIM),
    ("__GFP_KSWAPD_RECLAIM", KSWAPD_RECLAIM),
    ("__GFP_WRITE", WRITE),
    ("__GFP_NOWARN", NOWARN),
    ("__GFP_RETRY_MAYFAIL", RETRY_MAYFAIL),
    ("__GFP_NOFAIL", NOFAIL),
    ("__GFP_NORETRY", NORETRY),
    ("__GFP_MEMALLOC", MEMALLOC),
    ("__GFP_COMP", COMP),
    ("__GFP_NOMEMALLOC", NOMEMALLOC),
    ("__GFP_HARDWALL", HARDWALL),
    ("__GFP_THISNODE", THISNODE),
    ("__GFP_ACCOUNT", ACCOUNT),
    ("__GFP_ZEROTAGS", ZEROTAGS),
];

#[cfg(test)]
mod tests;
