//! `tseries`: what values were, by intervals of time.

use super::{take_value, word as word_at};
use crate::word::word;
use rbt_compiler::hir;
use rbt_compiler::ir::{Address, AluOp, Comparison, Operand, Reg, Size};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::vocabulary::{AggregateCall, Aggregation};
use rbt_runtime::Order;
use rbt_runtime::value::{Series, Value};
use rbt_runtime::vocabulary::Fold;
use std::collections::BTreeMap;

word! {
    /// `tseries`
    Tseries = "tseries" {
        usage: ["@map = tseries(value, interval, count)",
            "@map = tseries(value, interval, count, \"avg\" | \"min\" | \"max\" | \"sum\")"],
        summary: "Keeps values of the last `count` intervals of time, and shows them as a chart.",
        details: "An interval has its last value, or what the fourth argument says of all of \
                  them. It may still change: unstable_tseries=enable takes away the warning.",
        examples: [
            "config = { unstable_tseries = enable } \
             profile:hz:99 { @ = tseries(rand % 10, 100ms, 20, \"max\"); }",
        ],
        kernel: "",
    }
}

/// Shape of an interval: its number plus one (zero: it was never used), the value, and for a
/// mean how many there were, for extremes whether there is one, for the last value its time.
const ROW: u32 = 24;
const VALUE: i32 = 8;
const MORE: i32 = 16;

/// Fewer intervals than this.
const MOST_INTERVALS: i64 = 1_000_000;

/// What an interval keeps of its values; the number travels in the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Last,
    Mean,
    Least,
    Most,
    Sum,
}

const KEPT: [(&str, Kept); 4] = [
    ("avg", Kept::Mean),
    ("max", Kept::Most),
    ("min", Kept::Least),
    ("sum", Kept::Sum),
];

/// Length of an interval in nanoseconds, how many, what is kept.
fn facts(params: &[i64]) -> (i64, i64, Kept) {
    let param = |index: usize| params.get(index).copied().unwrap_or(1).max(1);
    let kept = match params.get(2) {
        Some(1) => Kept::Mean,
        Some(2) => Kept::Least,
        Some(3) => Kept::Most,
        Some(4) => Kept::Sum,
        _ => Kept::Last,
    };
    (param(0), param(1), kept)
}

impl Aggregation for Tseries {
    fn arity(&self) -> (usize, usize) {
        (3, 4)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Vec<i64> {
        cx.unstable("tseries", cx.config.unstable_tseries, call.span);
        let rest = take_value(call, cx);
        let mut params = Vec::new();
        for (argument, name) in rest.iter().zip(["interval_ns", "num_intervals"]) {
            let literal = argument.as_int().filter(|_| argument.ty.is_integer());
            let problem = match literal {
                Some(0) => format!("tseries() {name} must be >= 1 (0 provided)"),
                Some(n) if name == "num_intervals" && n >= MOST_INTERVALS => {
                    format!("tseries() {name} must be < {MOST_INTERVALS} ({n} provided)")
                }
                Some(n) if n > 0 => {
                    params.push(n);
                    continue;
                }
                _ if argument.ty.is_absorbing() => {
                    params.push(1);
                    continue;
                }
                _ => format!("tseries: invalid {name} value (must be non-negative literal)"),
            };
            let help = "tseries(value, interval, count): `tseries(@x, 100ms, 20)`";
            cx.complain(problem, argument.span, "", help);
            params.push(1);
        }
        let kept = match rest.get(2) {
            None => Kept::Last,
            Some(argument) => {
                let text = argument.as_str().map(String::from_utf8_lossy);
                let known = text.as_deref().and_then(|text| {
                    let found = KEPT.iter().find(|(name, _)| *name == text);
                    found.map(|(_, kept)| *kept)
                });
                known.unwrap_or_else(|| {
                    let given = match &text {
                        Some(text) => format!("\"{text}\""),
                        None => rbt_compiler::pass::check::kind_name(&argument.ty),
                    };
                    let message = format!(
                        "tseries() expects one of the following aggregation functions: avg, \
                         max, min, sum ({given} provided)"
                    );
                    cx.complain(
                        message,
                        argument.span,
                        "",
                        "leave it out to keep the last value",
                    );
                    Kept::Last
                })
            }
        };
        params.push(kept as i64);
        params
    }

    fn slot_size(&self, params: &[i64], _: bool) -> u32 {
        let (_, count, _) = facts(params);
        u32::try_from(count).unwrap_or(1).saturating_mul(ROW)
    }

    fn update(
        &self,
        slot: Address,
        value: Option<Operand>,
        call: &AggregateCall<'_>,
        b: &mut Builder<'_>,
    ) {
        let (interval, count, kept) = facts(call.params);
        let value = b.in_reg(value.unwrap_or(Operand::Imm(0)));
        let now = b.series_clock();
        let now = b.in_reg(now);
        let epoch = b.alu(AluOp::Div, now, interval);
        let epoch = b.in_reg(epoch);
        let place = b.alu(AluOp::Mod, epoch, count);
        let place = b.in_reg(place);
        b.when(Comparison::Less, place, count, |b| {
            let offset = b.alu(AluOp::Mul, place, i64::from(ROW));
            let base = b.pointer(slot);
            let row = b.alu(AluOp::Add, base, offset);
            let row = Address::reg(b.in_reg(row));
            let mark = b.alu(AluOp::Add, epoch, 1);
            let mark = b.in_reg(mark);
            let stored = b.load(row, Size::B8);
            b.when(Comparison::Less, stored, mark, |b| {
                b.put(row.plus(VALUE), 0, Size::B8);
                b.put(row.plus(MORE), 0, Size::B8);
                b.put(row, mark, Size::B8);
            });
            // A value of an interval that has been overwritten is too late.
            b.when(Comparison::LessEqual, stored, mark, |b| {
                keep(row, value, now, kept, call.is_signed, b);
            });
        });
    }

    fn is_castable(&self) -> bool {
        false
    }
}

fn keep(row: Address, value: Reg, now: Reg, kept: Kept, is_signed: bool, b: &mut Builder<'_>) {
    let (at, more) = (row.plus(VALUE), row.plus(MORE));
    let better = match (kept, is_signed) {
        (Kept::Last, _) => {
            b.put(at, value, Size::B8);
            return b.put(more, now, Size::B8);
        }
        (Kept::Sum, _) => {
            b.atomic_add(at, value);
            return b.atomic_add(more, 1);
        }
        (Kept::Mean, _) => {
            b.atomic_add(at, value);
            return b.atomic_add(more, 1);
        }
        (Kept::Least, true) => Comparison::SignedLess,
        (Kept::Least, false) => Comparison::Less,
        (Kept::Most, true) => Comparison::SignedGreater,
        (Kept::Most, false) => Comparison::Greater,
    };
    let has = b.load(more, Size::B8);
    b.when_else(
        Comparison::Equal,
        has,
        0,
        |b| b.put(at, value, Size::B8),
        |b| {
            let old = b.load(at, Size::B8);
            b.when(better, value, old, |b| b.put(at, value, Size::B8));
        },
    );
    b.put(more, 1, Size::B8);
}

impl Fold for Tseries {
    fn fold(&self, params: &[i64], is_signed: bool, slots: &[&[u8]]) -> Value<'static> {
        let (interval, count, kept) = facts(params);
        let number = |bits: u64| match is_signed {
            true => i128::from(bits.cast_signed()),
            false => i128::from(bits),
        };
        // By number of the interval: what is kept, and what else there is.
        let mut rows: BTreeMap<u64, (i128, u64)> = BTreeMap::new();
        for slot in slots {
            for index in 0..usize::try_from(count).unwrap_or(0) {
                let Some(epoch) = word_at(slot, index * 3).checked_sub(1) else {
                    continue;
                };
                let value = number(word_at(slot, index * 3 + 1));
                let more = word_at(slot, index * 3 + 2);
                let row = rows.entry(epoch);
                row.and_modify(|(known, known_more)| {
                    match kept {
                        Kept::Last if more > *known_more => *known = value,
                        Kept::Last => {}
                        Kept::Least => *known = value.min(*known),
                        Kept::Most => *known = value.max(*known),
                        Kept::Sum | Kept::Mean => *known += value,
                    }
                    *known_more = match kept {
                        Kept::Last => more.max(*known_more),
                        _ => known_more.saturating_add(more),
                    };
                })
                .or_insert((value, more));
            }
        }
        let points = rows.into_iter().map(|(epoch, (value, more))| {
            let value = match kept {
                Kept::Mean => value / i128::from(more.max(1)),
                _ => value,
            };
            (epoch, value)
        });
        Value::Series(Box::new(Series {
            interval: interval.unsigned_abs(),
            capacity: count.unsigned_abs(),
            values: points.collect(),
            shown: Vec::new(),
        }))
    }

    fn order(&self) -> Order {
        Order::Key
    }

    fn kind(&self) -> &'static str {
        "tseries"
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot;
    use super::*;

    fn values(params: &[i64], slots: &[&[u8]]) -> Vec<(u64, i128)> {
        match Tseries.fold(params, true, slots) {
            Value::Series(series) => series.values,
            _ => unreachable!("a series"),
        }
    }

    #[test]
    fn cpus_are_put_together() {
        let one = slot(&[5, 10, 2, 0, 0, 0, 7, -4, 1]);
        let other = slot(&[5, 3, 1, 6, 1, 1, 7, -9, 5]);
        let slots: [&[u8]; 2] = [&one, &other];
        assert_eq!(values(&[1, 3, 0], &slots), [(4, 10), (5, 1), (6, -9)]);
        assert_eq!(values(&[1, 3, 1], &slots), [(4, 4), (5, 1), (6, -2)]);
        assert_eq!(values(&[1, 3, 2], &slots), [(4, 3), (5, 1), (6, -9)]);
        assert_eq!(values(&[1, 3, 3], &slots), [(4, 10), (5, 1), (6, -4)]);
        assert_eq!(values(&[1, 3, 4], &slots), [(4, 13), (5, 1), (6, -13)]);
    }
}
