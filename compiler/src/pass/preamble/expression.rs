//! The numbers that preprocessor expressions stand for.
//!
//! Takes a text in which macros have been replaced; gives a number, or nothing. Ends on any
//! input: the depth is limited.

use super::split_word;
use crate::structs::apply;
use rbt_grammar::ast::BinaryOp;

/// Expressions inside expressions.
const MOST_NESTED: u32 = 64;

/// The value of all of `text`; `None` if it is not a constant expression.
pub(super) fn evaluate(text: &str, unknown: Unknown) -> Option<i64> {
    let mut reader = Reader {
        rest: text,
        unknown,
    };
    let value = reader.binary(0, MOST_NESTED)?;
    reader.peek().is_none().then_some(value)
}

/// What a name that is no macro means in an expression.
#[derive(Clone, Copy)]
pub(super) enum Unknown {
    /// As in `#if`.
    IsZero,
    /// Then the text is not a number.
    Fails,
}

/// Reads a constant expression off a text.
struct Reader<'a> {
    rest: &'a str,
    unknown: Unknown,
}

/// Binary operators by how tightly they bind, longer spellings before their beginnings.
const OPERATORS: &[(&str, u8, BinaryOp)] = &[
    ("<<", 8, BinaryOp::ShiftLeft),
    (">>", 8, BinaryOp::ShiftRight),
    ("<=", 7, BinaryOp::LessEqual),
    (">=", 7, BinaryOp::GreaterEqual),
    ("==", 6, BinaryOp::Equal),
    ("!=", 6, BinaryOp::NotEqual),
    ("&&", 2, BinaryOp::And),
    ("||", 1, BinaryOp::Or),
    ("*", 10, BinaryOp::Multiply),
    ("/", 10, BinaryOp::Divide),
    ("%", 10, BinaryOp::Remainder),
    ("+", 9, BinaryOp::Add),
    ("-", 9, BinaryOp::Subtract),
    ("<", 7, BinaryOp::Less),
    (">", 7, BinaryOp::Greater),
    ("&", 5, BinaryOp::BitAnd),
    ("^", 4, BinaryOp::BitXor),
    ("|", 3, BinaryOp::BitOr),
];

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self, text: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// An expression whose operators bind at least as tightly as `level`; `?:` is level 0.
    fn binary(&mut self, level: u8, nested: u32) -> Option<i64> {
        let nested = nested.checked_sub(1)?;
        let mut value = self.operand(nested)?;
        loop {
            self.peek();
            let found = OPERATORS.iter().find(|(s, ..)| self.rest.starts_with(s));
            match found {
                Some((symbol, binds, op)) if *binds >= level.max(1) => {
                    self.take(symbol);
                    let right = self.binary(binds + 1, nested)?;
                    value = apply(*op, value, right)?;
                }
                None if level == 0 && self.take("?") => {
                    let then = self.binary(0, nested)?;
                    if !self.take(":") {
                        return None;
                    }
                    let otherwise = self.binary(0, nested)?;
                    value = if value != 0 { then } else { otherwise };
                }
                _ => return Some(value),
            }
        }
    }

    fn operand(&mut self, nested: u32) -> Option<i64> {
        let nested = nested.checked_sub(1)?;
        match self.peek()? {
            '(' => {
                self.take("(");
                let value = self.binary(0, nested)?;
                self.take(")").then_some(value)
            }
            '-' => {
                self.take("-");
                self.operand(nested).map(i64::wrapping_neg)
            }
            '+' => {
                self.take("+");
                self.operand(nested)
            }
            '~' => {
                self.take("~");
                self.operand(nested).map(|x| !x)
            }
            '!' => {
                self.take("!");
                self.operand(nested).map(|x| i64::from(x == 0))
            }
            c if c.is_ascii_alphanumeric() || c == '_' => {
                let (word, rest) = split_word(self.rest);
                self.rest = rest;
                if c.is_ascii_digit() {
                    return integer(word);
                }
                match self.unknown {
                    Unknown::IsZero => Some(0),
                    Unknown::Fails => None,
                }
            }
            _ => None,
        }
    }
}

/// A C integer with its suffix.
fn integer(word: &str) -> Option<i64> {
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
    let lower = digits.to_ascii_lowercase();
    let value = if let Some(hex) = lower.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        u64::from_str_radix(binary, 2)
    } else if lower.len() > 1 && lower.starts_with('0') {
        u64::from_str_radix(&lower, 8)
    } else {
        lower.parse()
    };
    value.ok().map(|value| value as i64)
}
