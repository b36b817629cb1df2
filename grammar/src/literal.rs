//! What literals are worth: numbers of every form, and strings with their escapes.
//!
//! Takes the characters of one literal; gives its value, or what is wrong with it and where.
//! It never looks at what stands around the literal.

use crate::codes::{self, Code};
use std::ops::Range;

/// What is wrong with a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiteralError {
    /// A row of [`codes`].
    pub code: Code,
    /// One sentence without a full stop.
    pub message: String,
    /// A few words for the place.
    pub here: String,
    /// The place, in bytes from the start of the literal.
    pub range: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

impl LiteralError {
    fn number(message: String, range: Range<usize>, help: &str) -> Self {
        LiteralError {
            code: codes::BAD_NUMBER,
            message,
            here: String::from("cannot be read"),
            range,
            help: Some(String::from(help)),
        }
    }
}

/// Nanoseconds of each duration suffix.
const DURATIONS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// The value of an unsigned integer literal: decimal, `0x`, `0b`, octal, `1e9`, with `_`
/// between digits, a C suffix or a duration suffix.
///
/// Units:  nanoseconds for a literal with a duration suffix.
/// Errors: [`codes::BAD_NUMBER`], [`codes::INTEGER_OVERFLOW`].
pub fn parse_integer(text: &str) -> Result<u64, LiteralError> {
    let lower = text.to_ascii_lowercase();
    let (radix, start) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, 2),
        [b'0', b'b', ..] => (2, 2),
        [b'0', b'0'..=b'9' | b'_', ..] => (8, 1),
        _ => (10, 0),
    };
    let is_digit = |c: char| c == '_' || c.is_digit(radix.max(10));
    let rest = text.get(start..).unwrap_or("");
    let length = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
    let end = start + length;
    let digits = rest.get(..length).unwrap_or("");
    let suffix = text.get(end..).unwrap_or("");

    if digits.is_empty() {
        let help = if radix == 16 {
            "write `0x1f`"
        } else {
            "write `0b101`"
        };
        let message = format!("`{text}` has no digits");
        return Err(LiteralError::number(message, 0..text.len(), help));
    }
    if let Some(at) = digits.find(|c: char| c != '_' && !c.is_digit(radix)) {
        let at = start + at;
        let (kind, help) = match radix {
            8 => ("octal", "leave out the leading `0` for a decimal number"),
            _ => ("binary", "only `0` and `1` follow `0b`"),
        };
        let digit = text.get(at..at + 1).unwrap_or("");
        let message = format!("`{digit}` is not a digit of the {kind} number `{text}`");
        return Err(LiteralError::number(message, at..at + 1, help));
    }
    if digits.ends_with('_') {
        let message = format!("`{text}` has a `_` that no digit follows");
        let help = "`_` may stand between digits only";
        return Err(LiteralError::number(message, end - 1..end, help));
    }
    if radix == 10 && matches!(suffix.as_bytes(), [b'e' | b'E', b'0'..=b'9', ..]) {
        return exponent(text, digits, end);
    }
    let value = number(digits, radix).ok_or_else(|| overflow(text, u64::MAX))?;
    scaled(text, value, suffix, radix, end)
}

/// The value of a positional parameter that is an integer, with a `-` in front of it or none.
pub fn parse_parameter(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let value = parse_integer(digits).ok()?;
    Some(sign * i128::from(value))
}

/// The digits' value; `None` when it exceeds 64 bits.
fn number(digits: &str, radix: u32) -> Option<u64> {
    let mut digits = digits.chars().filter_map(|c| c.to_digit(radix));
    digits.try_fold(0u64, |value, digit| {
        value.checked_mul(radix.into())?.checked_add(digit.into())
    })
}

/// `value` with what its suffix asks for.
fn scaled(
    text: &str,
    value: u64,
    suffix: &str,
    radix: u32,
    at: usize,
) -> Result<u64, LiteralError> {
    if suffix.is_empty() {
        return Ok(value);
    }
    if let Some((_, unit)) = DURATIONS.iter().find(|(name, _)| *name == suffix)
        && radix == 10
    {
        return value
            .checked_mul(*unit)
            .ok_or_else(|| overflow(text, u64::MAX));
    }
    let limit = match suffix.to_ascii_lowercase().as_str() {
        "u" => u64::from(u32::MAX),
        "l" | "ll" => i64::MAX.unsigned_abs(),
        "ul" | "lu" | "ull" | "llu" => u64::MAX,
        _ => {
            let message = format!("invalid integer suffix '{suffix}'");
            let help = "the suffixes are `u l ul ll ull` and the durations `ns us ms s m h d`";
            return Err(LiteralError::number(message, at..text.len(), help));
        }
    };
    if value > limit {
        return Err(overflow(text, limit));
    }
    Ok(value)
}

/// `DeN`: one digit, then a power of ten.
fn exponent(text: &str, digits: &str, at: usize) -> Result<u64, LiteralError> {
    let power = text.get(at + 1..).unwrap_or("");
    if let Some(bad) = power.find(|c: char| !c.is_ascii_digit()) {
        let suffix = power.get(bad..).unwrap_or("");
        let message = format!("invalid integer suffix '{suffix}'");
        let range = at + 1 + bad..text.len();
        let help = "a number with an exponent takes no suffix";
        return Err(LiteralError::number(message, range, help));
    }
    if digits.len() != 1 || digits == "0" {
        let message =
            format!("the exponent form takes one digit 1-9 before the `e`, not `{digits}`");
        let help = "write the number out, with `_` between groups of digits: `1_200`";
        return Err(LiteralError::number(message, 0..at, help));
    }
    if power.starts_with('0') {
        let message = String::from("the exponent must begin with a digit 1-9");
        let help = "write `1e9` for 1000000000";
        return Err(LiteralError::number(message, at + 1..text.len(), help));
    }
    let value = power.parse::<u32>().ok().and_then(|power| {
        let digit = number(digits, 10)?;
        digit.checked_mul(10u64.checked_pow(power)?)
    });
    value.ok_or_else(|| overflow(text, u64::MAX))
}

fn overflow(text: &str, limit: u64) -> LiteralError {
    LiteralError {
        code: codes::INTEGER_OVERFLOW,
        message: format!("overflow error, maximum value is {limit}: {text}"),
        here: String::from("too large"),
        range: 0..text.len(),
        help: None,
    }
}

/// A string literal as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StringLiteral {
    /// Escapes resolved.
    pub(crate) bytes: Vec<u8>,
    /// How many bytes of the text it covers, with its quotes.
    pub(crate) length: usize,
    /// What is wrong with it.
    pub(crate) errors: Vec<LiteralError>,
}

/// Reads the string literal that begins with the quote at the start of `text`.
///
/// One without a closing quote ends with its line, before whatever looks like the end of the
/// statement: in `printf("hi);` the quote was forgotten, not the parenthesis.
pub(crate) fn read_string(text: &str) -> StringLiteral {
    let mut literal = StringLiteral {
        bytes: Vec::new(),
        length: text.len(),
        errors: Vec::new(),
    };
    let mut at = 1;
    loop {
        let rest = text.get(at..).unwrap_or("");
        let Some(c) = rest.chars().next() else {
            return unterminated(text, text.len(), literal);
        };
        match c {
            '"' => {
                literal.length = at + 1;
                return literal;
            }
            '\n' => return unterminated(text, at, literal),
            '\\' if !rest.starts_with("\\\n") && !rest.starts_with("\\\r\n") => {
                at += escape(rest, at, &mut literal)
            }
            _ => {
                let end = at + c.len_utf8();
                let bytes = text.as_bytes().get(at..end).unwrap_or(&[]);
                literal.bytes.extend_from_slice(bytes);
                at = end;
            }
        }
    }
}

/// Ends a literal whose line ends at `line_end`.
fn unterminated(text: &str, line_end: usize, mut literal: StringLiteral) -> StringLiteral {
    let line = text.get(..line_end).unwrap_or(text);
    let tail = |c: char| matches!(c, ')' | ']' | ';' | '}' | '>' | ' ' | '\t' | '\r');
    let kept = line.trim_end_matches(tail);
    // A brace that closes an action on the same line belongs to the action as well.
    literal.length = kept.len().max(1);
    let removed = line.len() - literal.length;
    let bytes = literal.bytes.len().saturating_sub(removed);
    literal.bytes.truncate(bytes);
    // Escapes behind the new end are not part of the literal any more.
    literal.errors.retain(|e| e.range.end <= literal.length);
    literal.errors.push(LiteralError {
        code: codes::UNTERMINATED_STRING,
        message: String::from("unterminated string"),
        here: String::from("this quote is never closed"),
        range: 0..1,
        help: Some(String::from(
            "close it with `\"` on the same line; `\\n` stands for a new line",
        )),
    });
    literal
}

/// Reads the escape at the start of `rest`; gives its length.
fn escape(rest: &str, at: usize, literal: &mut StringLiteral) -> usize {
    let digits = |from: usize, most: usize, radix: u32| -> (usize, u32) {
        let tail = rest.get(from..).unwrap_or("");
        let all = tail.chars().take(most).map_while(|c| c.to_digit(radix));
        all.fold((from, 0), |(end, value), digit| {
            (end + 1, value * radix + digit)
        })
    };
    let simple = |byte: u8| (2, Some(byte));
    let (length, byte) = match rest.chars().nth(1) {
        Some('n') => simple(b'\n'),
        Some('t') => simple(b'\t'),
        Some('r') => simple(b'\r'),
        Some('"') => simple(b'"'),
        Some('\\') => simple(b'\\'),
        Some('0'..='7') => {
            let (end, value) = digits(1, 3, 8);
            (end, u8::try_from(value).ok())
        }
        Some('x') => {
            let (end, value) = digits(2, 2, 16);
            (end, u8::try_from(value).ok().filter(|_| end > 2))
        }
        Some(c) => (1 + c.len_utf8(), None),
        None => (1, None),
    };
    if let Some(byte) = byte {
        literal.bytes.push(byte);
        return length;
    }
    let written = rest.get(..length).unwrap_or(rest);
    let (message, here) = match written.as_bytes().get(1) {
        Some(b'0'..=b'7') => {
            let message = format!("octal escape sequence `{written}` is larger than `\\377`");
            (message, "too large for a byte")
        }
        Some(b'x') => {
            let message = String::from("`\\x` needs one or two hexadecimal digits");
            (message, "no hexadecimal digit follows")
        }
        _ => {
            let character = written.get(1..).unwrap_or("");
            let message = format!("invalid escape character '\\{character}'");
            (message, "this escape is not known")
        }
    };
    literal.errors.push(LiteralError {
        code: codes::BAD_ESCAPE,
        message,
        here: String::from(here),
        range: at..at + length,
        help: Some(String::from(
            "the escapes are `\\n \\t \\r \\\" \\\\`, octal `\\033` and hexadecimal `\\x1b`; \
             a backslash itself is `\\\\`",
        )),
    });
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_form() {
        let good = [
            ("0", 0),
            ("123", 123),
            ("1_000_000", 1_000_000),
            ("0x1F", 0x1f),
            ("0Xdead_beef", 0xdead_beef),
            ("0x1fUL", 0x1f),
            ("017", 15),
            ("0b101", 5),
            ("1e9", 1_000_000_000),
            ("3E2", 300),
            ("5u", 5),
            ("5UL", 5),
            ("5ull", 5),
            ("4294967295u", 4_294_967_295),
            ("10ns", 10),
            ("2m", 120_000_000_000),
            ("1d", 86_400_000_000_000),
            ("0s", 0),
            ("18446744073709551615", u64::MAX),
            ("0xffffffffffffffff", u64::MAX),
        ];
        for (text, value) in good {
            assert_eq!(parse_integer(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn integers_that_are_refused() {
        let bad = [
            (
                "08",
                codes::BAD_NUMBER,
                "`8` is not a digit of the octal number `08`",
            ),
            (
                "1_",
                codes::BAD_NUMBER,
                "`1_` has a `_` that no digit follows",
            ),
            ("0x", codes::BAD_NUMBER, "`0x` has no digits"),
            (
                "0b2",
                codes::BAD_NUMBER,
                "`2` is not a digit of the binary number `0b2`",
            ),
            ("12xyz", codes::BAD_NUMBER, "invalid integer suffix 'xyz'"),
            ("0x5g", codes::BAD_NUMBER, "invalid integer suffix 'g'"),
            (
                "1e0",
                codes::BAD_NUMBER,
                "the exponent must begin with a digit 1-9",
            ),
            ("1e9s", codes::BAD_NUMBER, "invalid integer suffix 's'"),
            (
                "12e2",
                codes::BAD_NUMBER,
                "the exponent form takes one digit 1-9 before the `e`, not `12`",
            ),
            (
                "18446744073709551616",
                codes::INTEGER_OVERFLOW,
                "overflow error, maximum value is 18446744073709551615: 18446744073709551616",
            ),
            (
                "4294967296u",
                codes::INTEGER_OVERFLOW,
                "overflow error, maximum value is 4294967295: 4294967296u",
            ),
            (
                "2e19",
                codes::INTEGER_OVERFLOW,
                "overflow error, maximum value is 18446744073709551615: 2e19",
            ),
            (
                "1000000d",
                codes::INTEGER_OVERFLOW,
                "overflow error, maximum value is 18446744073709551615: 1000000d",
            ),
        ];
        for (text, code, message) in bad {
            let error = parse_integer(text).expect_err(text);
            assert_eq!(
                (error.code, error.message.as_str()),
                (code, message),
                "{text}"
            );
        }
    }

    #[test]
    fn strings_resolve_their_escapes() {
        let literal = read_string(r#""a\n\t\r\"\\\101\x41\x4z" tail"#);
        assert_eq!(literal.bytes, b"a\n\t\r\"\\AA\x04z");
        assert_eq!(literal.length, 25);
        assert!(literal.errors.is_empty());
    }

    #[test]
    fn bad_escapes_are_named() {
        let literal = read_string(r#""\q\400\x""#);
        let messages: Vec<_> = literal.errors.iter().map(|e| e.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "invalid escape character '\\q'",
                "octal escape sequence `\\400` is larger than `\\377`",
                "`\\x` needs one or two hexadecimal digits",
            ]
        );
    }

    #[test]
    fn a_forgotten_quote_leaves_the_end_of_the_statement() {
        let literal = read_string("\"hi);\nnext");
        assert_eq!(literal.bytes, b"hi");
        assert_eq!(literal.length, 3);
        let codes: Vec<_> = literal.errors.iter().map(|e| e.code).collect();
        assert_eq!(codes, [codes::UNTERMINATED_STRING]);
    }
}
