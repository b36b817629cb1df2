//! `lhist`: how many values fell in which interval of equal length.

use super::hist::increment;
use super::{take_value, total};
use crate::word::word;
use rbt_compiler::hir;
use rbt_compiler::ir::{Address, AluOp, Comparison, Operand};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::vocabulary::{AggregateCall, Aggregation};
use rbt_grammar::codes;
use rbt_runtime::value::{Bucket, Histogram, Scale, Value};
use rbt_runtime::vocabulary::Fold;

word! {
    /// `lhist`
    Lhist = "lhist" {
        usage: ["@map = lhist(value, min, max, step)"],
        summary: "Counts how many values fell in each interval of `step`, from `min` to `max`.",
        details: "The bounds are literals. What lies below `min` and what lies at `max` or above \
                  have buckets of their own.",
        examples: ["tracepoint:syscalls:sys_exit_read { @bytes = lhist(args.ret, 0, 4096, 256); }"],
        kernel: "",
    }
}

/// Most buckets between the bounds.
const MOST_BUCKETS: i64 = 1000;

/// Least value, first value above, length of an interval; what `check` accepted.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    min: i64,
    max: i64,
    step: i64,
}

impl Bounds {
    fn of(params: &[i64]) -> Bounds {
        let param = |index: usize| params.get(index).copied();
        Bounds {
            min: param(0).unwrap_or(0),
            max: param(1).unwrap_or(1),
            step: param(2).unwrap_or(1).max(1),
        }
    }

    /// The bucket of values at `max` and above; what is left of the last step falls there too.
    fn last(self) -> u32 {
        let full = self.max.saturating_sub(self.min) / self.step;
        u32::try_from(full).unwrap_or(0).saturating_add(1)
    }

    /// First value of bucket `index`, counted from the first between the bounds as 1.
    fn edge(self, index: u32) -> i128 {
        i128::from(self.min) + (i128::from(index) - 1) * i128::from(self.step)
    }
}

impl Aggregation for Lhist {
    fn arity(&self) -> (usize, usize) {
        (4, 4)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Vec<i64> {
        const FALLBACK: [i64; 3] = [0, 1, 1];
        let rest = take_value(call, cx);
        let mut bounds = Vec::new();
        for (bound, name) in rest.iter().zip(["min", "max", "step"]) {
            match cx.literal_int(bound, "lhist") {
                Some(value) if value >= 0 => bounds.push(value),
                Some(_) => {
                    let message =
                        format!("lhist: invalid {name} value (must be non-negative literal)");
                    let help =
                        "bounds are 0 or more; smaller values are counted in a bucket below them";
                    let here = "this is negative";
                    cx.complain_as(codes::OUT_OF_RANGE, message, bound.span, here, help);
                }
                None => {}
            }
        }
        let [min, max, step] = bounds.as_slice() else {
            return FALLBACK.to_vec();
        };
        let (min, max, step) = (*min, *max, *step);
        let problem = if step < 1 {
            Some(format!("lhist() step must be >= 1 ({step} provided)"))
        } else if min >= max {
            Some(format!(
                "lhist() min must be less than max (provided min {min} and max {max})"
            ))
        } else if (max - min) / step > MOST_BUCKETS {
            Some(format!(
                "lhist() too many buckets, must be <= {MOST_BUCKETS} (would need {})",
                (max - min) / step
            ))
        } else if step > max - min {
            Some(format!(
                "lhist() step is too large for the given range (provided step {step} for range {})",
                max - min
            ))
        } else {
            None
        };
        match problem {
            Some(message) => {
                cx.complain(message, call.span, "", "lhist(value, min, max, step)");
                FALLBACK.to_vec()
            }
            None => bounds,
        }
    }

    fn slot_size(&self, params: &[i64], _: bool) -> u32 {
        (Bounds::of(params).last() + 1) * 8
    }

    fn update(
        &self,
        slot: Address,
        value: Option<Operand>,
        call: &AggregateCall<'_>,
        b: &mut Builder<'_>,
    ) {
        let bounds = Bounds::of(call.params);
        let last = bounds.last();
        let value = b.in_reg(value.unwrap_or(Operand::Imm(0)));
        let bucket = b.copy(0);
        b.when(Comparison::SignedGreaterEqual, value, bounds.min, |b| {
            b.set(bucket, i64::from(last));
            b.when(Comparison::SignedLess, value, bounds.max, |b| {
                let distance = b.alu(AluOp::Sub, value, bounds.min);
                let steps = divide(b, distance, bounds.step);
                let found = b.alu(AluOp::Add, steps, 1);
                b.set(bucket, found);
            });
        });
        increment(b, slot, bucket, last + 1);
    }

    fn is_castable(&self) -> bool {
        false
    }
}

/// `value / step`; a shift where it can be.
fn divide(b: &mut Builder<'_>, value: Operand, step: i64) -> Operand {
    match step {
        1 => value,
        step if step.cast_unsigned().is_power_of_two() => {
            b.alu(AluOp::ShiftRight, value, i64::from(step.trailing_zeros()))
        }
        step => b.alu(AluOp::Div, value, step),
    }
}

impl Fold for Lhist {
    fn fold(&self, params: &[i64], _: bool, slots: &[&[u8]]) -> Value<'static> {
        let bounds = Bounds::of(params);
        let last = bounds.last();
        let buckets = (0..=last).map(|index| Bucket {
            low: (index > 0).then(|| bounds.edge(index)),
            high: (index < last).then(|| bounds.edge(index + 1)),
            count: total(slots, index as usize),
        });
        let scale = Scale::Linear { step: bounds.step };
        Value::Histogram(Histogram::new(scale, buckets))
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
    fn edges_begin_at_the_least_and_end_at_the_last_full_step() {
        let words = [1, 1, 1, 2];
        let one = slot(&words);
        let folded = Lhist.fold(&[0, 10, 4], true, &[&one]);
        let Value::Histogram(histogram) = folded else {
            unreachable!("a histogram");
        };
        let edges: Vec<_> = histogram.buckets.iter().map(|b| (b.low, b.high)).collect();
        let expected = [
            (None, Some(0)),
            (Some(0), Some(4)),
            (Some(4), Some(8)),
            (Some(8), None),
        ];
        assert_eq!(edges, expected);
        assert_eq!(Lhist.slot_size(&[0, 10, 4], true), 32);
        assert_eq!(Lhist.slot_size(&[0, 10, 2], true), 56);
    }
}
