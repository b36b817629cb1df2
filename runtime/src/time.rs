//! Clocks and calendar text: boot-clock nanoseconds to local wall time.
//!
//! The distance between the two clocks is taken once, so that one moment always prints as
//! the same text. Knows `strftime(3)`'s conversions and three of the language's own.

use crate::sys::{self, ClockId};

/// Nanoseconds of CPU time that the calling thread has used: what others run does not count.
pub fn cpu_time() -> u64 {
    sys::now(ClockId::Thread)
}

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

    /// A moment of the boot clock in wall nanoseconds since 1970.
    pub fn wall(&self, boot_nanoseconds: u64) -> u64 {
        self.boot.saturating_add(boot_nanoseconds)
    }

    /// Wall nanoseconds since 1970 at boot-clock zero.
    pub(crate) fn zero(&self) -> u64 {
        self.boot
    }

    /// `format` for a moment of the boot clock, in local time.
    pub fn format(&self, format: &str, boot_nanoseconds: u64) -> String {
        format_wall(format, self.boot.saturating_add(boot_nanoseconds))
    }
}

/// `format` for this moment, in local time, with libc's conversions alone.
pub fn format_now(format: &str) -> String {
    sys::strftime(format, seconds(sys::now(ClockId::Real)))
}

fn seconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX)
}

/// `format` for wall nanoseconds since 1970: `%f`, `%l` and `%k` are micro-, milli- and
/// nanoseconds, all others libc's.
pub(crate) fn format_wall(format: &str, nanoseconds: u64) -> String {
    sys::strftime(
        &with_fractions(format, nanoseconds % 1_000_000_000),
        seconds(nanoseconds),
    )
}

/// Wall nanoseconds since 1970 as `2026-01-02 03:04:05.000000000` in universal time.
pub(crate) fn utc(nanoseconds: u64) -> String {
    let (seconds, fraction) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years are counted from March, so that the odd day is a year's last; eras have 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{day_of_month:02} {:02}:{:02}:{:02}.{fraction:09}",
        era * 400 + year + later,
        second / 3600,
        second / 60 % 60,
        second % 60
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
    fn universal_time() {
        assert_eq!(utc(0), "1970-01-01 00:00:00.000000000");
        assert_eq!(
            utc(951_827_696_000_000_007),
            "2000-02-29 12:34:56.000000007"
        );
        assert_eq!(
            utc(1_767_323_045_000_000_000),
            "2026-01-02 03:04:05.000000000"
        );
    }

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
