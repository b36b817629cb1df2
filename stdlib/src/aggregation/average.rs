//! `avg` and `stats`: a total and a count.

use super::{take_value, total as total_of};
use crate::word::word;
use rbt_compiler::hir;
use rbt_compiler::ir::{Address, AluOp, Comparison, Operand, Size};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::vocabulary::{AggregateCall, Aggregation};
use rbt_runtime::Order;
use rbt_runtime::value::{self, Value};
use rbt_runtime::vocabulary::Fold;

word! {
    /// `avg`
    Avg = "avg" {
        usage: ["@map = avg(value)"],
        summary: "Keeps the mean of values.",
        details: "Rounded towards zero. As an integer it is the mean so far: `(int64)@map`.",
        examples: ["tracepoint:syscalls:sys_exit_read { @[comm] = avg(args.ret); }"],
        kernel: "",
    }
}

word! {
    /// `stats`
    Stats = "stats" {
        usage: ["@map = stats(value)"],
        summary: "Keeps count, mean and total of values.",
        details: "The mean is rounded towards zero.",
        examples: ["tracepoint:syscalls:sys_exit_read { @[comm] = stats(args.ret); }"],
        kernel: "",
    }
}

/// Shape of both: total, then count.
const SLOT: u32 = 16;
const COUNT: i32 = 8;

fn update(slot: Address, value: Option<Operand>, b: &mut Builder<'_>) {
    b.atomic_add(slot, value.unwrap_or(Operand::Imm(0)));
    b.atomic_add(slot.plus(COUNT), 1);
}

/// Count, mean and total over all CPUs.
fn gather(is_signed: bool, slots: &[&[u8]]) -> value::Stats {
    let total = total_of(slots, 0);
    let count = total_of(slots, 1);
    let total = if is_signed {
        i128::from(total.cast_signed())
    } else {
        i128::from(total)
    };
    value::Stats {
        count,
        average: total.checked_div(i128::from(count)).unwrap_or(0),
        total,
    }
}

impl Aggregation for Avg {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Vec<i64> {
        take_value(call, cx);
        Vec::new()
    }

    fn slot_size(&self, _: &[i64], _: bool) -> u32 {
        SLOT
    }

    fn update(
        &self,
        slot: Address,
        value: Option<Operand>,
        _: &AggregateCall<'_>,
        b: &mut Builder<'_>,
    ) {
        update(slot, value, b);
    }

    fn is_castable(&self) -> bool {
        true
    }

    fn combine(&self, slot: Address, total: Address, _: bool, b: &mut Builder<'_>) {
        for at in [0, COUNT] {
            let more = b.load(slot.plus(at), Size::B8);
            let so_far = b.load(total.plus(at), Size::B8);
            let all = b.alu(AluOp::Add, so_far, more);
            b.put(total.plus(at), all, Size::B8);
        }
    }

    fn finish(&self, total: Address, is_signed: bool, b: &mut Builder<'_>) -> Operand {
        let sum = b.load(total, Size::B8);
        // The machine's division by zero gives zero, which is the mean of nothing.
        let count = b.load(total.plus(COUNT), Size::B8);
        if !is_signed {
            return b.alu(AluOp::Div, sum, count);
        }
        let is_negative = b.select(Comparison::SignedLess, sum, 0, 1, 0);
        let negated = b.alu(AluOp::Sub, 0, sum);
        let size = b.select(Comparison::NotEqual, is_negative, 0, negated, sum);
        let mean = b.alu(AluOp::Div, size, count);
        let negated = b.alu(AluOp::Sub, 0, mean);
        b.select(Comparison::NotEqual, is_negative, 0, negated, mean)
    }
}

impl Fold for Avg {
    fn fold(&self, _: &[i64], is_signed: bool, slots: &[&[u8]]) -> Value<'static> {
        let average = gather(is_signed, slots).average;
        match (i64::try_from(average), u64::try_from(average)) {
            (_, Ok(average)) if !is_signed => Value::Unsigned(average),
            (Ok(average), _) => Value::Int(average),
            (Err(_), _) => Value::Int(0),
        }
    }

    fn order(&self) -> Order {
        Order::Signed
    }

    fn kind(&self) -> &'static str {
        "stats"
    }
}

impl Aggregation for Stats {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Vec<i64> {
        take_value(call, cx);
        Vec::new()
    }

    fn slot_size(&self, _: &[i64], _: bool) -> u32 {
        SLOT
    }

    fn update(
        &self,
        slot: Address,
        value: Option<Operand>,
        _: &AggregateCall<'_>,
        b: &mut Builder<'_>,
    ) {
        update(slot, value, b);
    }

    fn is_castable(&self) -> bool {
        false
    }
}

impl Fold for Stats {
    fn fold(&self, _: &[i64], is_signed: bool, slots: &[&[u8]]) -> Value<'static> {
        Value::Stats(Box::new(gather(is_signed, slots)))
    }

    fn order(&self) -> Order {
        Order::Signed
    }

    fn kind(&self) -> &'static str {
        "stats"
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot;
    use super::*;

    #[test]
    fn means_are_rounded_towards_zero() {
        let (a, b) = (slot(&[-2, 1]), slot(&[-1, 1]));
        assert_eq!(Avg.fold(&[], true, &[&a, &b]), Value::Int(-1));
        let none = slot(&[0, 0]);
        assert_eq!(Avg.fold(&[], true, &[&none]), Value::Int(0));
        let (a, b) = (slot(&[5, 1]), slot(&[10, 1]));
        let expected = value::Stats {
            count: 2,
            average: 7,
            total: 15,
        };
        assert_eq!(
            Stats.fold(&[], true, &[&a, &b]),
            Value::Stats(Box::new(expected))
        );
    }
}
