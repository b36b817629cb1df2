//! The order of a map's elements, found on their bytes.
//!
//! Takes the elements of a large map and gives the numbers of its elements in the order they
//! are shown, without making a value of any key: each key becomes bytes that compare like the
//! key, so that sorting a million elements allocates three blocks. Keys of shapes that bytes
//! do not order get no answer here; values decide there.

use rbt_compiler::artifact::Shape;

use super::{Elements, Order};
use crate::value::Value;

/// Words of a key that a row holds: those of a few numbers, so that sorting looks nowhere else.
const WORDS: usize = 3;

/// What one element is sorted by: value first, then the part of the key in which keys differ.
struct Row {
    rank: u64,
    prefix: [u64; WORDS],
    index: u32,
}

/// The numbers of the elements in order; `None` if keys of that shape are not ordered by bytes.
/// `ranks` has for each element what [`rank`] makes of its value.
pub(super) fn sort(elements: &Elements, key: &Shape, ranks: &[u64]) -> Option<Vec<u32>> {
    let width = width(key)?;
    let mut keys = Vec::with_capacity(width.checked_mul(elements.count)?);
    for index in 0..elements.count {
        encode(key, elements.key(index), &mut keys)?;
    }
    let of = |index: u32| -> &[u8] {
        let start = (index as usize).saturating_mul(width);
        keys.get(start..start.saturating_add(width)).unwrap_or(&[])
    };
    let count = u32::try_from(elements.count).ok()?;
    let common = (1..count).fold(width, |common, index| {
        let pairs = of(0).iter().zip(of(index)).take(common);
        pairs.take_while(|(a, b)| a == b).count()
    });
    let prefix = |index: u32| {
        let rest = of(index).get(common..).unwrap_or(&[]);
        let mut words = [0; WORDS];
        for (word, from) in words.iter_mut().zip(rest.chunks(8)) {
            let mut bytes = [0; 8];
            for (to, from) in bytes.iter_mut().zip(from) {
                *to = *from;
            }
            *word = u64::from_be_bytes(bytes);
        }
        words
    };
    let mut rows: Vec<Row> = (0..count)
        .zip(ranks)
        .map(|(index, rank)| Row {
            rank: *rank,
            prefix: prefix(index),
            index,
        })
        .collect();
    rows.sort_unstable_by(|a, b| {
        (a.rank, a.prefix)
            .cmp(&(b.rank, b.prefix))
            .then_with(|| of(a.index).cmp(of(b.index)))
    });
    Some(rows.iter().map(|row| row.index).collect())
}

/// A number that grows with what a value is ordered by; the same for values without an order.
/// The values of one map are all signed or all unsigned.
pub(super) fn rank(order: Order, value: &Value<'_>, is_signed: bool) -> u64 {
    const SIGN: u64 = 1 << 63;
    match (order, value) {
        (Order::Key, _) => 0,
        (Order::Unsigned, value) => value.bits().unwrap_or(0),
        (Order::Signed, value) => value.bits().map_or(0, |bits| bits ^ SIGN),
        (Order::Natural, Value::Int(value) | Value::Enum { value, .. }) => {
            value.cast_unsigned() ^ SIGN
        }
        (Order::Natural, Value::Unsigned(value)) => *value,
        (Order::Natural, Value::Stats(stats)) if is_signed => {
            i64::try_from(stats.average).map_or(u64::MAX, |average| average.cast_unsigned() ^ SIGN)
        }
        (Order::Natural, Value::Stats(stats)) => u64::try_from(stats.average).unwrap_or(u64::MAX),
        (Order::Natural, Value::Histogram(histogram)) => histogram.total(),
        (Order::Natural, _) => 0,
    }
}

/// Bytes of an encoded key.
fn width(shape: &Shape) -> Option<usize> {
    match shape {
        Shape::Int { size, .. } => Some(usize::from(*size)),
        Shape::Bool => Some(1),
        Shape::Pointer => Some(8),
        Shape::Text { capacity } => Some(*capacity as usize),
        Shape::Tuple(parts) => parts.iter().map(|(_, shape)| width(shape)).sum(),
        _ => None,
    }
}

/// Appends bytes that compare like the key in `bytes`.
fn encode(shape: &Shape, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match shape {
        Shape::Int { size, is_signed } => {
            let size = usize::from(*size);
            let start = out.len();
            out.extend(bytes.get(..size)?.iter().rev());
            // Long integers are ordered as signed ones, whatever they are.
            if (*is_signed || size == 8)
                && let Some(first) = out.get_mut(start)
            {
                *first ^= 0x80;
            }
        }
        Shape::Bool => out.push(u8::from(*bytes.first()? != 0)),
        Shape::Pointer => out.extend(bytes.get(..8)?.iter().rev()),
        Shape::Text { capacity } => {
            let text = bytes.get(..*capacity as usize)?;
            let end = text.iter().position(|byte| *byte == 0);
            out.extend_from_slice(text.get(..end.unwrap_or(text.len()))?);
            out.resize(out.len() + text.len() - end.unwrap_or(text.len()), 0);
        }
        Shape::Tuple(parts) => {
            for (offset, shape) in parts {
                encode(shape, bytes.get(*offset as usize..)?, out)?;
            }
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(shape: &Shape, keys: &[u8], key_size: usize, ranks: &[u64]) -> Vec<u32> {
        let elements = Elements {
            keys: keys.to_vec(),
            key_size,
            count: ranks.len(),
            ..Elements::default()
        };
        sort(&elements, shape, ranks).expect("a shape that bytes order")
    }

    #[test]
    fn signed_keys_come_by_value_and_ranks_before_them() {
        let int = Shape::Int {
            size: 4,
            is_signed: true,
        };
        let keys: Vec<u8> = [3_i32, -2, 256, -300]
            .iter()
            .flat_map(|k| k.to_le_bytes())
            .collect();
        assert_eq!(sorted(&int, &keys, 4, &[0; 4]), [3, 1, 0, 2]);
        assert_eq!(sorted(&int, &keys, 4, &[9, 0, 0, 9]), [1, 2, 3, 0]);
    }

    #[test]
    fn texts_end_at_their_nul_and_parts_come_one_after_the_other() {
        let text = Shape::Text { capacity: 12 };
        let shape = Shape::Tuple(vec![(0, Shape::Bool), (1, text)]);
        let mut keys = Vec::new();
        for (flag, name) in [(1, "ab"), (0, "abc"), (0, "ab\0zz"), (0, "a long name!")] {
            let mut bytes = [0; 13];
            bytes[0] = flag;
            bytes[1..=name.len()].copy_from_slice(name.as_bytes());
            keys.extend_from_slice(&bytes);
        }
        assert_eq!(sorted(&shape, &keys, 13, &[0; 4]), [3, 2, 1, 0]);
    }

    #[test]
    fn shapes_with_names_are_left_to_values() {
        let elements = Elements::default();
        assert_eq!(sort(&elements, &Shape::KernelSymbol, &[]), None);
    }
}
