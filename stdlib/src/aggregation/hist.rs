//! `hist`: how many values fell between which powers of two.

use super::{take_value, total};
use crate::word::word;
use rbt_compiler::hir;
use rbt_compiler::ir::{Address, AluOp, Comparison, Operand, Reg};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::vocabulary::{AggregateCall, Aggregation};
use rbt_runtime::value::{Bucket, Histogram, Scale, Value};
use rbt_runtime::vocabulary::Fold;

word! {
    /// `hist`
    Hist = "hist" {
        usage: ["@map = hist(value)", "@map = hist(value, bits)"],
        summary: "Counts how many values fell in each power-of-two bucket.",
        details: "With `bits`, a literal from 0 to 5, each bucket is cut into `2^bits` parts. \
                  Negative values have a bucket of their own.",
        examples: [
            "tracepoint:syscalls:sys_exit_read { @bytes = hist(args.ret); }",
            "BEGIN { @ = hist(100, 2); }",
        ],
        kernel: "",
    }
}

/// Most bits a bucket is cut by.
const MOST_BITS: i64 = 5;

/// The parameter: bits, 0 to 5.
fn bits(params: &[i64]) -> u32 {
    let bits = params.first().copied().unwrap_or(0).clamp(0, MOST_BITS);
    u32::try_from(bits).unwrap_or(0)
}

/// How many buckets there are: negative values, then all that 63 bits reach.
fn buckets(bits: u32) -> u32 {
    ((64 - bits) << bits) + 1
}

/// The bucket that `value` falls into. The kernel computes the same.
#[cfg(test)]
fn bucket(value: i64, bits: u32) -> u32 {
    let Ok(value) = u64::try_from(value) else {
        return 0;
    };
    if value < 2 << bits {
        return u32::try_from(value).unwrap_or(0) + 1;
    }
    let power = value.ilog2() - bits;
    (power << bits) + u32::try_from(value >> power).unwrap_or(0) + 1
}

/// First value above bucket `index`.
fn edge(index: u32, bits: u32) -> i128 {
    if index <= 2 << bits {
        return i128::from(index);
    }
    let parts = 1u32 << bits;
    let power = (index >> bits) - 1;
    i128::from(parts + (index & (parts - 1))) << power
}

impl Aggregation for Hist {
    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Vec<i64> {
        let rest = take_value(call, cx);
        let Some(bits) = rest.first() else {
            return vec![0];
        };
        match cx.literal_int(bits, "hist") {
            Some(bits) if (0..=MOST_BITS).contains(&bits) => vec![bits],
            Some(wrong) => {
                let message = format!("hist: bits {wrong} must be 0..{MOST_BITS}");
                cx.complain(message, bits.span, "out of range", "");
                vec![0]
            }
            None => vec![0],
        }
    }

    fn slot_size(&self, params: &[i64], _: bool) -> u32 {
        buckets(bits(params)) * 8
    }

    fn update(
        &self,
        slot: Address,
        value: Option<Operand>,
        call: &AggregateCall<'_>,
        b: &mut Builder<'_>,
    ) {
        let bits = bits(call.params);
        let value = b.in_reg(value.unwrap_or(Operand::Imm(0)));
        let bucket = b.copy(0);
        b.when(Comparison::SignedGreaterEqual, value, 0, |b| {
            b.when_else(
                Comparison::Less,
                value,
                2i64 << bits,
                |b| {
                    let own = b.alu(AluOp::Add, value, 1);
                    b.set(bucket, own);
                },
                |b| {
                    let power = logarithm(b, value);
                    let power = b.alu(AluOp::Sub, power, i64::from(bits));
                    let power = b.in_reg(power);
                    let part = b.alu(AluOp::ShiftRight, value, power);
                    let first = b.alu(AluOp::ShiftLeft, power, i64::from(bits));
                    let found = b.alu(AluOp::Add, first, part);
                    let found = b.alu(AluOp::Add, found, 1);
                    b.set(bucket, found);
                },
            );
        });
        increment(b, slot, bucket, buckets(bits));
    }

    fn is_castable(&self) -> bool {
        false
    }
}

/// The position of the highest bit of a positive value, without branches: the verifier would
/// follow each of 64 ways through them.
fn logarithm(b: &mut Builder<'_>, value: Reg) -> Operand {
    let mut rest = Operand::Reg(value);
    let mut result = Operand::Imm(0);
    for shift in [32, 16, 8, 4, 2, 1] {
        // Whether a bit is set at `shift` or above, from the sign of a difference.
        let limit = b.copy((1i64 << shift) - 1);
        let difference = b.alu(AluOp::Sub, limit, rest);
        let is_above = b.alu(AluOp::ShiftRight, difference, 63);
        let step = b.alu(AluOp::Mul, is_above, shift);
        rest = b.alu(AluOp::ShiftRight, rest, step);
        result = match result {
            Operand::Imm(0) => step,
            result => b.alu(AluOp::Add, result, step),
        };
    }
    result
}

/// Adds one to a bucket, which the verifier must see is one of `count`.
pub(super) fn increment(b: &mut Builder<'_>, slot: Address, bucket: Reg, count: u32) {
    b.when(Comparison::Less, bucket, i64::from(count), |b| {
        let offset = b.alu(AluOp::ShiftLeft, bucket, 3);
        let base = b.pointer(slot);
        let place = b.alu(AluOp::Add, base, offset);
        let place = b.in_reg(place);
        b.atomic_add(Address::reg(place), 1);
    });
}

impl Fold for Hist {
    fn fold(&self, params: &[i64], _: bool, slots: &[&[u8]]) -> Value<'static> {
        let bits = bits(params);
        let buckets = (0..buckets(bits)).map(|index| Bucket {
            low: index.checked_sub(1).map(|below| edge(below, bits)),
            high: Some(edge(index, bits)),
            count: total(slots, index as usize),
        });
        Value::Histogram(Histogram::new(Scale::Powers { bits }, buckets))
    }

    fn kind(&self) -> &'static str {
        "hist"
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot;
    use super::*;

    #[test]
    fn every_value_lies_between_the_edges_of_its_bucket() {
        for bits in 0..=5 {
            let mut values: Vec<i64> = (-3..2000).collect();
            for power in 0..63 {
                let power = 1i64 << power;
                values.extend([power - 1, power, power + power / 3]);
            }
            values.extend([i64::MIN, i64::MAX]);
            for value in values {
                let bucket = bucket(value, bits);
                assert!(bucket < buckets(bits), "{value} {bits}");
                let high = edge(bucket, bits);
                assert!(i128::from(value) < high, "{value} {bits}");
                if let Some(below) = bucket.checked_sub(1) {
                    assert!(i128::from(value) >= edge(below, bits), "{value} {bits}");
                }
            }
        }
    }

    #[test]
    fn buckets_are_those_of_the_reference() {
        assert_eq!(bucket(-1, 0), 0);
        assert_eq!(bucket(0, 0), 1);
        assert_eq!(bucket(1, 0), 2);
        assert_eq!(bucket(2, 0), 3);
        assert_eq!(bucket(3, 0), 3);
        assert_eq!(bucket(4, 0), 4);
        assert_eq!(bucket(65536, 0), 18);
        assert_eq!(bucket(7, 2), 8);
        assert_eq!(bucket(8, 2), 9);
        assert_eq!(bucket(9, 2), 9);
        assert_eq!(bucket(10, 2), 10);
        assert_eq!(bucket(i64::MAX, 5), buckets(5) - 1);
        assert_eq!(edge(18, 0), 1 << 17);
        assert_eq!(edge(17, 0), 1 << 16);
    }

    #[test]
    fn cpus_are_added_up_and_empty_ends_are_cut() {
        let mut words = vec![0; 65];
        words[2] = 1;
        words[4] = 2;
        let one = slot(&words);
        let folded = Hist.fold(&[0], true, &[&one, &one]);
        let Value::Histogram(histogram) = folded else {
            unreachable!("a histogram");
        };
        let counts: Vec<u64> = histogram.buckets.iter().map(|b| b.count).collect();
        assert_eq!(counts, [2, 0, 4]);
        assert_eq!(histogram.buckets[0].low, Some(1));
        assert_eq!(histogram.buckets[2].low, Some(4));
        assert_eq!(histogram.buckets[2].high, Some(8));
    }
}
