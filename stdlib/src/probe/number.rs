//! Numbers in attach points: decimal, hexadecimal, and durations.

/// A whole number as scripts write it: `99`, `0x10`, `1_000`, `1e6`.
pub(super) fn number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(&digits.replace('_', ""), 16).ok();
    }
    let is_plain = |t: &str| t.starts_with(|c: char| c.is_ascii_digit()) && !t.ends_with('_');
    if let Some((digits, exponent)) = text.split_once(['e', 'E']) {
        if !is_plain(digits) || !is_plain(exponent) {
            return None;
        }
        let power = 10u64.checked_pow(exponent.parse().ok()?)?;
        return digits.parse::<u64>().ok()?.checked_mul(power);
    }
    if !is_plain(text) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// A duration in nanoseconds: a number with a unit, or of nanoseconds without.
pub(super) fn duration(text: &str) -> Option<u64> {
    const UNITS: &[(&str, u64)] = &[
        ("ns", 1),
        ("us", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];
    if let Some(plain) = number(text) {
        return Some(plain);
    }
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (digits, unit) = text.split_at_checked(at)?;
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number(digits)?.checked_mul(*scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations() {
        assert_eq!(number("99"), Some(99));
        assert_eq!(number("0x10"), Some(16));
        assert_eq!(number("1_000"), Some(1000));
        assert_eq!(number("1e6"), Some(1_000_000));
        assert_eq!(number("-5"), None);
        assert_eq!(number("+5"), None);
        assert_eq!(number(""), None);
        assert_eq!(number("99999999999999999999"), None);
        assert_eq!(duration("10ms"), Some(10_000_000));
        assert_eq!(duration("2m"), Some(120_000_000_000));
        assert_eq!(duration("500"), Some(500));
        assert_eq!(duration("5lightyears"), None);
    }
}
