//! Clocks and calendar text: boot-clock nanoseconds to local wall time.
//!
//! The distance between the two clocks is taken once, so that one moment always prints as
//! the same text. Knows `strftime(3)`'s conversions and three of the language's own.

use crate::sys::{self, ClockId};

/// The distance from the boot clock to the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Wall nanoseconds since 1970 at boot-clock zero.
    boot: u64,
}

impl Clock {
    /// The distance as it is now.
    pub fn now() -> Clock {
        let boot = sys::now(ClockId::Boot);
        Clock {
            boot: sys::now(ClockId::Real).saturating_sub(boot),
        }
    }

    /// `format` for a moment of the boot clock, in local time.
    pub fn format(&self, format: &str, boot_nanoseconds: u64) -> String {
        format_wall(format, self.boot.saturating_add(boot_nanoseconds))
    }
}

/// `format` for this moment, in local time.
pub fn format_now(format: &str) -> String {
    format_wall(format, sys::now(ClockId::Real))
}

/// `format` for wall nanoseconds since 1970: `%f`, `%l` and `%k` are micro-, milli- and
/// nanoseconds, all others libc's.
fn format_wall(format: &str, nanoseconds: u64) -> String {
    let seconds = i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX);
    sys::strftime(
        &with_fractions(format, nanoseconds % 1_000_000_000),
        seconds,
    )
}

fn with_fractions(format: &str, nanoseconds: u64) -> String {
    let mut text = String::with_capacity(format.len() + 8);
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('f') => text.push_str(&format!("{:06}", nanoseconds / 1_000)),
            Some('l') => text.push_str(&format!("{:03}", nanoseconds / 1_000_000)),
            Some('k') => text.push_str(&format!("{nanoseconds:09}")),
            Some(other) => text.extend(['%', other]),
            None => text.push('%'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_replace_libcs_conversions() {
        assert_eq!(
            with_fractions("%S.%f|%l|%k|%%f|%", 1_002_003),
            "%S.001002|001|001002003|%%f|%"
        );
    }

    #[test]
    fn moments_are_counted_from_boot() {
        let clock = Clock {
            boot: 1_000_000_000_000_000_000,
        };
        let year = clock.format("%Y %f", 123_456_789);
        assert_eq!(year, "2001 123456");
    }
}
