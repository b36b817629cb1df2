//! Positional parameters: what a word of the command line means in an expression.

use crate::pass::fold;
use crate::types::{I64, Type};

/// The integer a parameter spells, with its type: decimal, `0x`, octal, exponent, a C suffix,
/// a leading minus. `None`: it is a text.
pub fn integer(text: &str) -> Option<(i64, Type)> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let number = lower.trim_end_matches(['u', 'l']);
    let number: String = number.chars().filter(|c| *c != '_').collect();
    let value = if let Some(hex) = number.strip_prefix("0x") {
        u64::from_str_radix(hex, 16).ok()?
    } else if let Some((digit, exponent)) = number.split_once('e') {
        let digit: u64 = digit.parse().ok()?;
        let exponent: u32 = exponent.parse().ok()?;
        digit.checked_mul(10_u64.checked_pow(exponent)?)?
    } else if number.len() > 1 && number.starts_with('0') {
        u64::from_str_radix(&number, 8).ok()?
    } else {
        number.parse().ok()?
    };
    if is_negative {
        let value = i64::try_from(i128::from(value).checked_neg()?).ok()?;
        return Some((value, fold::signed_type(value).unwrap_or(I64)));
    }
    Some((value.cast_signed(), fold::literal_type(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbers_where_they_can_be() {
        let value = |text| integer(text).map(|(value, _)| value);
        assert_eq!(value("10"), Some(10));
        assert_eq!(value("-3"), Some(-3));
        assert_eq!(value("0x1f"), Some(31));
        assert_eq!(value("010"), Some(8));
        assert_eq!(value("1e6"), Some(1_000_000));
        assert_eq!(value("5UL"), Some(5));
        assert_eq!(value("5x"), None);
        assert_eq!(value("i:s:1"), None);
        assert_eq!(value(""), None);
    }
}
