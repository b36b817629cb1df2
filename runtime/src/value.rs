//! What a script can show, independent of how it is shown.
//!
//! A [`Value`] has meaning and no format: decoding makes it, printers render it. It borrows
//! what it can from the record and the manifest, so that printing copies no text twice.

use std::borrow::Cow;
use std::net::IpAddr;

use rbt_compiler::artifact::StackMode;

/// A value of a script.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    #[default]
    None,
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A truth value.
    Bool(bool),
    /// An integer whose values have names.
    Enum {
        /// The number.
        value: i64,
        /// Its name, if it has one.
        name: Option<&'a str>,
    },
    /// Text, without its NUL; a cut one ends with the trailer already.
    Text(Cow<'a, [u8]>),
    /// Bytes.
    Buffer(Cow<'a, [u8]>),
    /// An address.
    Pointer(u64),
    /// Values of one type.
    Array(Vec<Value<'a>>),
    /// Values side by side.
    Tuple(Vec<Value<'a>>),
    /// Values with names; what anonymous members hold stands in their place.
    Struct(Vec<(Cow<'a, str>, Value<'a>)>),
    /// An address that has a name.
    Symbol {
        /// The address.
        address: u64,
        /// Its symbol; `None` if there is none.
        name: Option<Cow<'a, str>>,
    },
    /// An address of the internet.
    Inet(IpAddr),
    /// A hardware address.
    Mac([u8; 6]),
    /// A time as the script's format writes it.
    Time(String),
    /// A user's name; `None` if the id has none.
    Username {
        /// The id.
        id: u64,
        /// The name.
        name: Option<String>,
    },
    /// A stack trace.
    Stack(Stack),
    /// Count, average and total of some integers; boxed, as maps may hold a million values.
    Stats(Box<Stats>),
    /// How many values fell into which interval.
    Histogram(Histogram),
    /// What values were, by intervals of time.
    Series(Box<Series>),
}

/// What values were, by intervals of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// Nanoseconds of an interval.
    pub interval: u64,
    /// How many intervals are kept.
    pub capacity: u64,
    /// Numbers of the intervals that have a value, ascending, counted from the clock's zero.
    pub values: Vec<(u64, i128)>,
    /// What is shown: wall nanoseconds at which each interval begins, and its value if it has
    /// one; see [`Series::show`].
    pub shown: Vec<(u64, Option<i128>)>,
}

impl Series {
    /// Shows the intervals up to number `last`, from the first that has a value among as many
    /// as are kept. `zero` is the wall time of the clock's zero.
    pub fn show(&mut self, last: u64, zero: u64) {
        let oldest = (last + 1).saturating_sub(self.capacity);
        let mut values = self.values.iter().filter(|(n, _)| *n >= oldest).peekable();
        self.shown.clear();
        let Some((first, _)) = values.peek() else {
            return;
        };
        for number in *first..=last {
            let value = values
                .next_if(|(n, _)| *n == number)
                .map(|(_, value)| *value);
            let start = number.saturating_mul(self.interval);
            self.shown.push((zero.saturating_add(start), value));
        }
    }
}

/// A stack trace with the symbols of its frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// How its frames are written.
    pub mode: StackMode,
    /// There are more frames, which could not be found.
    pub is_cut: bool,
    /// User or kernel frames.
    pub is_user: bool,
    /// From the innermost outwards.
    pub frames: Vec<Frame>,
}

/// One frame of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The address; with a build id, the offset in that file.
    pub address: u64,
    /// The symbol that holds it and the distance from its start, if known.
    pub symbol: Option<(String, u64)>,
    /// The file that holds it, if known (user frames).
    pub module: Option<String>,
    /// `folder/file:line`, where lines are wanted and known (user frames).
    pub line: Option<String>,
    /// Functions that were inlined there, the innermost first, each with its line.
    pub inlined: Vec<(String, Option<String>)>,
    /// The build id of the file that holds it, where the kernel gave that instead.
    pub build_id: Option<[u8; 20]>,
}

/// Count, average and total of some integers. Wide enough for either signedness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many.
    pub count: u64,
    /// Their mean, rounded towards zero.
    pub average: i128,
    /// Their sum.
    pub total: i128,
}

/// How many values fell into which interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// How the intervals were made, which says how their edges are written.
    pub scale: Scale,
    /// From the first that holds something to the last, those between included; empty if none
    /// holds anything.
    pub buckets: Vec<Bucket>,
}

/// How a histogram's intervals were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Powers of two, each cut into `2^bits` parts.
    Powers {
        /// The script's second argument, 0 to 5.
        bits: u32,
    },
    /// Equal steps.
    Linear {
        /// Their width.
        step: i64,
    },
}

/// One interval of a histogram: `low <= value < high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// First value inside; `None` for the one without a lower end.
    pub low: Option<i128>,
    /// First value above; `None` for the one without an upper end.
    pub high: Option<i128>,
    /// How many values.
    pub count: u64,
}

impl Histogram {
    /// A histogram of consecutive intervals, cut to those from the first that holds something
    /// to the last.
    pub fn new(scale: Scale, buckets: impl IntoIterator<Item = Bucket>) -> Histogram {
        let mut kept: Vec<Bucket> = buckets.into_iter().skip_while(|b| b.count == 0).collect();
        while kept.last().is_some_and(|b| b.count == 0) {
            kept.pop();
        }
        Histogram {
            scale,
            buckets: kept,
        }
    }

    /// How many values fell anywhere.
    pub fn total(&self) -> u64 {
        self.buckets
            .iter()
            .fold(0, |total, bucket| total.wrapping_add(bucket.count))
    }
}

impl Value<'_> {
    /// Text that is its own.
    pub fn text(text: impl Into<String>) -> Value<'static> {
        Value::Text(Cow::Owned(text.into().into_bytes()))
    }

    /// The 64 bits of a number, sign-extended where it is signed; `None` for other values.
    pub fn bits(&self) -> Option<u64> {
        match self {
            Value::Int(value) | Value::Enum { value, .. } => Some(*value as u64),
            Value::Unsigned(value) | Value::Pointer(value) => Some(*value),
            Value::Bool(value) => Some(u64::from(*value)),
            Value::Symbol { address, .. } => Some(*address),
            Value::Username { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The value with each integer divided, as `print`'s third argument asks: plain integers
    /// and a power-of-two histogram's counts are, of statistics the average alone, and of a
    /// linear histogram nothing. Division by zero leaves the value as it is.
    pub fn divided(self, divisor: u64) -> Self {
        let signed = i64::try_from(divisor).unwrap_or(i64::MAX);
        if divisor <= 1 {
            return self;
        }
        match self {
            Value::Int(value) => Value::Int(value / signed),
            Value::Unsigned(value) => Value::Unsigned(value / divisor),
            Value::Stats(mut stats) => {
                stats.average /= i128::from(divisor);
                Value::Stats(stats)
            }
            Value::Histogram(mut histogram) => {
                if matches!(histogram.scale, Scale::Powers { .. }) {
                    for bucket in &mut histogram.buckets {
                        bucket.count /= divisor;
                    }
                }
                Value::Histogram(histogram)
            }
            other => other,
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Value::Unsigned(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_small() {
        // A map of a million elements has a million keys and values.
        assert!(size_of::<Value<'_>>() <= 40, "{}", size_of::<Value<'_>>());
    }

    #[test]
    fn histograms_keep_what_lies_between() {
        let bucket = |low: i128, count| Bucket {
            low: Some(low),
            high: Some(low + 1),
            count,
        };
        let buckets = [
            bucket(0, 0),
            bucket(1, 2),
            bucket(2, 0),
            bucket(3, 1),
            bucket(4, 0),
        ];
        let histogram = Histogram::new(Scale::Powers { bits: 0 }, buckets);
        assert_eq!(
            histogram.buckets,
            [bucket(1, 2), bucket(2, 0), bucket(3, 1)]
        );
        assert_eq!(histogram.total(), 3);
    }

    #[test]
    fn division_truncates_and_spares_linear_histograms() {
        assert_eq!(Value::Int(-35).divided(10), Value::Int(-3));
        let linear = Value::Histogram(Histogram::new(
            Scale::Linear { step: 1 },
            [Bucket {
                low: Some(0),
                high: Some(1),
                count: 10,
            }],
        ));
        assert_eq!(linear.clone().divided(5), linear);
    }
}
