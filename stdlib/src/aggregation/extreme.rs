//! `min` and `max`: the least and the greatest value.
//!
//! A slot holds a rank, a number that is 0 for the value least like the one sought and grows
//! towards it, so that a slot of zeros gives way to any value and the update is one
//! compare-and-exchange. A second word says whether there was any value; it is only ever set.

use super::{take_value, word as word_of};
use crate::word::word;
use rbt_compiler::hir;
use rbt_compiler::ir::{Address, AluOp, Comparison, Operand, Size};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::vocabulary::{AggregateCall, Aggregation};
use rbt_runtime::Order;
use rbt_runtime::value::Value;
use rbt_runtime::vocabulary::Fold;

word! {
    /// `min`
    Min = "min" {
        usage: ["@map = min(value)"],
        summary: "Keeps the least value.",
        details: "As an integer it is the least so far: `(int64)@map`; 0 if there was none.",
        examples: ["tracepoint:syscalls:sys_exit_read { @[comm] = min(args.ret); }"],
        kernel: "",
    }
}

word! {
    /// `max`
    Max = "max" {
        usage: ["@map = max(value)"],
        summary: "Keeps the greatest value.",
        details: "As an integer it is the greatest so far: `(int64)@map`; 0 if there was none.",
        examples: ["tracepoint:syscalls:sys_exit_read { @[comm] = max(args.ret); }"],
        kernel: "",
    }
}

/// Shape of both: the rank, then 1 if there was a value.
const SLOT: u32 = 16;
const IS_SET: i32 = 8;

/// What turns a value into its rank, and back: the same bits are flipped both ways. The sign
/// bit, so that signed values rank as unsigned ones; all bits, so that the least ranks highest.
const fn flipped_bits(is_max: bool, is_signed: bool) -> u64 {
    let sign = if is_signed { 1 << 63 } else { 0 };
    if is_max { sign } else { !sign }
}

fn update(
    is_max: bool,
    slot: Address,
    value: Option<Operand>,
    call: &AggregateCall<'_>,
    b: &mut Builder<'_>,
) {
    let value = value.unwrap_or(Operand::Imm(0));
    let rank = flip(is_max, call.is_signed, value, b);
    let rank = b.in_reg(rank);
    b.put(slot.plus(IS_SET), 1, Size::B8);
    b.atomic_max(slot, Operand::Reg(rank));
}

fn flip(is_max: bool, is_signed: bool, value: Operand, b: &mut Builder<'_>) -> Operand {
    match flipped_bits(is_max, is_signed).cast_signed() {
        0 => value,
        bits => {
            let bits = b.in_reg(bits);
            b.alu(AluOp::Xor, value, bits)
        }
    }
}

fn combine(slot: Address, total: Address, b: &mut Builder<'_>) {
    let rank = b.load(slot, Size::B8);
    let best = b.load(total, Size::B8);
    b.when(Comparison::Less, best, rank, |b| {
        b.put(total, rank, Size::B8)
    });
    let is_set = b.load(slot.plus(IS_SET), Size::B8);
    b.when(Comparison::NotEqual, is_set, 0, |b| {
        b.put(total.plus(IS_SET), 1, Size::B8);
    });
}

fn finish(is_max: bool, is_signed: bool, total: Address, b: &mut Builder<'_>) -> Operand {
    let rank = b.load(total, Size::B8);
    let value = flip(is_max, is_signed, Operand::Reg(rank), b);
    let is_set = b.load(total.plus(IS_SET), Size::B8);
    b.select(Comparison::NotEqual, is_set, 0, value, 0)
}

fn fold(is_max: bool, is_signed: bool, slots: &[&[u8]]) -> Value<'static> {
    let set = slots.iter().filter(|slot| word_of(slot, 1) != 0);
    let best = set.map(|slot| word_of(slot, 0)).max();
    let value = best.map_or(0, |rank| rank ^ flipped_bits(is_max, is_signed));
    if is_signed {
        Value::Int(value.cast_signed())
    } else {
        Value::Unsigned(value)
    }
}

impl Aggregation for Min {
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
        call: &AggregateCall<'_>,
        b: &mut Builder<'_>,
    ) {
        update(false, slot, value, call, b);
    }

    fn is_castable(&self) -> bool {
        true
    }

    fn combine(&self, slot: Address, total: Address, _: bool, b: &mut Builder<'_>) {
        combine(slot, total, b);
    }

    fn finish(&self, total: Address, is_signed: bool, b: &mut Builder<'_>) -> Operand {
        finish(false, is_signed, total, b)
    }
}

impl Fold for Min {
    fn fold(&self, _: &[i64], is_signed: bool, slots: &[&[u8]]) -> Value<'static> {
        fold(false, is_signed, slots)
    }

    fn order(&self) -> Order {
        Order::Unsigned
    }
}

impl Aggregation for Max {
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
        call: &AggregateCall<'_>,
        b: &mut Builder<'_>,
    ) {
        update(true, slot, value, call, b);
    }

    fn is_castable(&self) -> bool {
        true
    }

    fn combine(&self, slot: Address, total: Address, _: bool, b: &mut Builder<'_>) {
        combine(slot, total, b);
    }

    fn finish(&self, total: Address, is_signed: bool, b: &mut Builder<'_>) -> Operand {
        finish(true, is_signed, total, b)
    }
}

impl Fold for Max {
    fn fold(&self, _: &[i64], is_signed: bool, slots: &[&[u8]]) -> Value<'static> {
        fold(true, is_signed, slots)
    }

    fn order(&self) -> Order {
        Order::Unsigned
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot;
    use super::*;

    #[test]
    fn ranks_grow_towards_what_is_sought() {
        for (is_max, is_signed, values) in [
            (true, true, [i64::MIN, -1, 0, 1, i64::MAX]),
            (false, true, [i64::MAX, 1, 0, -1, i64::MIN]),
            (true, false, [0, 1, i64::MAX, i64::MIN, -1]),
            (false, false, [-1, i64::MIN, i64::MAX, 1, 0]),
        ] {
            let ranks = values.map(|v| v.cast_unsigned() ^ flipped_bits(is_max, is_signed));
            assert!(ranks.is_sorted(), "{is_max} {is_signed}");
            assert_eq!(ranks[0], 0);
        }
    }

    #[test]
    fn cpus_without_a_value_do_not_count() {
        let of = |value: i64| slot(&[value ^ flipped_bits(false, true).cast_signed(), 1]);
        let (a, b, none) = (of(7), of(-3), slot(&[0, 0]));
        assert_eq!(Min.fold(&[], true, &[&a, &b, &none]), Value::Int(-3));
        assert_eq!(Min.fold(&[], true, &[&none, &a]), Value::Int(7));
        assert_eq!(Min.fold(&[], true, &[&none]), Value::Int(0));
    }
}
