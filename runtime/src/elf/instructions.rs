//! Where instructions of x86-64 begin.
//!
//! Takes code from a place where an instruction begins; tells whether another one begins some
//! bytes further. Only lengths are decoded: prefixes, opcode, addressing bytes, displacement,
//! immediate. Never says what an instruction does. What it does not know it does not guess.

/// Whether an instruction begins at `offset`; `None` if one before it is not known.
pub(super) fn begins_at(code: &[u8], offset: u64) -> Option<bool> {
    let mut at = 0;
    while at < offset {
        let rest = code.get(usize::try_from(at).ok()?..)?;
        at += u64::from(length(rest)?);
    }
    Some(at == offset)
}

/// What follows an opcode.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// Nothing.
    Nothing,
    /// Addressing bytes, and that many bytes of immediate.
    Operand(u8),
    /// That many bytes of immediate.
    Immediate(u8),
    /// An immediate of 4 bytes, or 2 if the operand is short.
    Sized,
    /// Addressing bytes and such an immediate.
    OperandSized,
    /// Addressing bytes; an immediate (of that many bytes, 4 meaning as above) only if the middle
    /// three bits of the first are 0 or 1: the two `test` forms of group 3.
    Group3(u8),
    /// An immediate as long as a register, or 4 or 2 bytes without a wide prefix.
    Wide,
    /// An absolute address.
    Address,
    /// No such instruction.
    Unknown,
}

/// Prefixes and what they said.
#[derive(Default)]
struct Prefixes {
    is_short: bool,
    is_wide: bool,
    has_short_address: bool,
}

/// Bytes of the instruction that `code` begins with.
fn length(code: &[u8]) -> Option<u8> {
    let mut at = 0_usize;
    let mut prefixes = Prefixes::default();
    loop {
        match *code.get(at)? {
            0x66 => prefixes.is_short = true,
            0x67 => prefixes.has_short_address = true,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0xf0 | 0xf2 | 0xf3 => {}
            _ => break,
        }
        at += 1;
    }
    if let rex @ 0x40..=0x4f = *code.get(at)? {
        prefixes.is_wide = rex & 8 != 0;
        at += 1;
    }
    let opcode = *code.get(at)?;
    at += 1;
    let after = match opcode {
        0x0f => {
            let second = *code.get(at)?;
            at += 1;
            match second {
                0x38 => {
                    at += 1;
                    After::Operand(0)
                }
                0x3a => {
                    at += 1;
                    After::Operand(1)
                }
                second => two_byte(second),
            }
        }
        // VEX: one or two bytes of payload, then the opcode of the map they name.
        0xc5 => {
            let opcode = *code.get(at + 1)?;
            at += 2;
            vex(1, opcode)
        }
        0xc4 => {
            let (map, opcode) = (*code.get(at)? & 0x1f, *code.get(at + 2)?);
            at += 3;
            vex(map, opcode)
        }
        // EVEX: three bytes of payload.
        0x62 => {
            let (map, opcode) = (*code.get(at)? & 7, *code.get(at + 3)?);
            at += 4;
            vex(map, opcode)
        }
        opcode => one_byte(opcode),
    };
    let sized = if prefixes.is_short && !prefixes.is_wide {
        2
    } else {
        4
    };
    let (has_operand, immediate) = match after {
        After::Nothing => (false, 0),
        After::Operand(bytes) => (true, bytes),
        After::Immediate(bytes) => (false, bytes),
        After::Sized => (false, sized),
        After::OperandSized => (true, sized),
        After::Group3(bytes) => {
            let is_test = code.get(at)? >> 3 & 7 < 2;
            let bytes = if bytes == 4 { sized } else { bytes };
            (true, if is_test { bytes } else { 0 })
        }
        After::Wide => (false, if prefixes.is_wide { 8 } else { sized }),
        After::Address => (false, if prefixes.has_short_address { 4 } else { 8 }),
        After::Unknown => return None,
    };
    if has_operand {
        at += addressing(code.get(at..)?)?;
    }
    at += usize::from(immediate);
    // The longest there are.
    (at <= 15).then_some(u8::try_from(at).ok()?)
}

/// Bytes of the addressing bytes and the displacement.
fn addressing(code: &[u8]) -> Option<usize> {
    let first = *code.first()?;
    let (mode, base) = (first >> 6, first & 7);
    if mode == 3 {
        return Some(1);
    }
    let mut bytes = 1;
    let mut is_absolute = mode == 0 && base == 5;
    if base == 4 {
        is_absolute = mode == 0 && code.get(1)? & 7 == 5;
        bytes += 1;
    }
    Some(match mode {
        1 => bytes + 1,
        2 => bytes + 4,
        _ if is_absolute => bytes + 4,
        _ => bytes,
    })
}

fn one_byte(opcode: u8) -> After {
    match opcode {
        // Eight groups of arithmetic, each of six forms.
        0x00..=0x3f => match opcode & 7 {
            0..=3 => After::Operand(0),
            4 => After::Immediate(1),
            5 => After::Sized,
            _ => After::Unknown,
        },
        0x50..=0x5f => After::Nothing,
        0x63 => After::Operand(0),
        0x68 => After::Sized,
        0x69 => After::OperandSized,
        0x6a => After::Immediate(1),
        0x6b => After::Operand(1),
        0x6c..=0x6f => After::Nothing,
        0x70..=0x7f => After::Immediate(1),
        0x80 | 0x83 => After::Operand(1),
        0x81 => After::OperandSized,
        0x84..=0x8f => After::Operand(0),
        0x90..=0x99 | 0x9b..=0x9f => After::Nothing,
        0xa0..=0xa3 => After::Address,
        0xa4..=0xa7 => After::Nothing,
        0xa8 => After::Immediate(1),
        0xa9 => After::Sized,
        0xaa..=0xaf => After::Nothing,
        0xb0..=0xb7 => After::Immediate(1),
        0xb8..=0xbf => After::Wide,
        0xc0 | 0xc1 => After::Operand(1),
        0xc2 => After::Immediate(2),
        0xc3 => After::Nothing,
        0xc6 => After::Operand(1),
        0xc7 => After::OperandSized,
        0xc8 => After::Immediate(3),
        0xc9 | 0xcb | 0xcc | 0xcf => After::Nothing,
        0xca => After::Immediate(2),
        0xcd => After::Immediate(1),
        0xd0..=0xd3 => After::Operand(0),
        0xd7 => After::Nothing,
        // The old floating point unit.
        0xd8..=0xdf => After::Operand(0),
        0xe0..=0xe7 => After::Immediate(1),
        // Calls and jumps are never short in 64-bit code.
        0xe8 | 0xe9 => After::Immediate(4),
        0xeb => After::Immediate(1),
        0xec..=0xef => After::Nothing,
        0xf1 | 0xf4 | 0xf5 => After::Nothing,
        0xf6 => After::Group3(1),
        0xf7 => After::Group3(4),
        0xf8..=0xfd => After::Nothing,
        0xfe | 0xff => After::Operand(0),
        _ => After::Unknown,
    }
}

fn two_byte(opcode: u8) -> After {
    match opcode {
        0x05..=0x09 | 0x0b | 0x0e => After::Nothing,
        0x0f => After::Operand(1),
        0x30..=0x37 => After::Nothing,
        0x70..=0x73 => After::Operand(1),
        0x77 => After::Nothing,
        0x80..=0x8f => After::Immediate(4),
        0xa0..=0xa2 | 0xa8..=0xaa => After::Nothing,
        0xa4 | 0xac => After::Operand(1),
        0xba => After::Operand(1),
        0xc2 | 0xc4 | 0xc5 | 0xc6 => After::Operand(1),
        0xc8..=0xcf => After::Nothing,
        0x04 | 0x0a | 0x0c | 0x24..=0x27 | 0x39 | 0x3b..=0x3f | 0x7a | 0x7b | 0xa6 | 0xa7 => {
            After::Unknown
        }
        _ => After::Operand(0),
    }
}

/// What follows an opcode of the map that a vector prefix names.
fn vex(map: u8, opcode: u8) -> After {
    match map {
        1 => match two_byte(opcode) {
            After::Immediate(_) | After::Unknown => After::Unknown,
            after => after,
        },
        2 | 5 | 6 => After::Operand(0),
        3 => After::Operand(1),
        _ => After::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let cases: &[(&[u8], u8)] = &[
            (&[0x55], 1),
            (&[0x48, 0x89, 0xe5], 3),
            (&[0x48, 0x83, 0xec, 0x10], 4),
            (&[0xf3, 0x0f, 0x1e, 0xfa], 4),
            (&[0x48, 0x8b, 0x05, 1, 2, 3, 4], 7),
            (&[0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8], 10),
            (&[0xb8, 1, 2, 3, 4], 5),
            (&[0x66, 0xb8, 1, 2], 4),
            (&[0xc7, 0x45, 0xfc, 0, 0, 0, 0], 7),
            (&[0xc7, 0x84, 0x24, 0, 1, 0, 0, 5, 0, 0, 0], 11),
            (&[0xf6, 0x47, 0x08, 0x01], 4),
            (&[0xf6, 0xd8], 2),
            (&[0xf7, 0xc7, 1, 0, 0, 0], 6),
            (&[0xe8, 0, 0, 0, 0], 5),
            (&[0x0f, 0x84, 0, 0, 0, 0], 6),
            (&[0x0f, 0xb6, 0x00], 3),
            (&[0x66, 0x0f, 0x70, 0xc0, 0x00], 5),
            (&[0x66, 0x0f, 0x3a, 0x0f, 0xc1, 0x08], 6),
            (&[0xc5, 0xf8, 0x77], 3),
            (&[0xc5, 0xfd, 0x6f, 0x07], 4),
            (&[0xc4, 0xe2, 0x7d, 0x58, 0xc0], 5),
            (&[0x62, 0xf1, 0xfe, 0x28, 0x6f, 0x07], 6),
            (&[0xeb, 0x01], 2),
            (&[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0], 10),
        ];
        for (code, expected) in cases {
            assert_eq!(length(code), Some(*expected), "{code:x?}");
        }
    }

    #[test]
    fn cut_code_is_unknown() {
        assert_eq!(length(&[]), None);
        assert_eq!(length(&[0x48]), None);
        assert_eq!(length(&[0x48, 0x8b]), None);
        assert_eq!(begins_at(&[0x55, 0xc3], 1), Some(true));
        assert_eq!(begins_at(&[0x48, 0x89, 0xe5], 1), Some(false));
        assert_eq!(begins_at(&[0x48, 0x89, 0xe5], 9), None);
    }
}
