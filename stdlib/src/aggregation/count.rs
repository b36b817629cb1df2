//! `count` and `sum`: one word, added to.

use super::{take_value, total};
use crate::word::word;
use rbt_compiler::hir;
use rbt_compiler::ir::{Address, Operand, Size};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::vocabulary::{AggregateCall, Aggregation};
use rbt_runtime::value::Value;
use rbt_runtime::vocabulary::Fold;

word! {
    /// `count`
    Count = "count" {
        usage: ["@map = count()"],
        summary: "Counts how often it runs.",
        details: "Exact, on any number of CPUs. As an integer it is the number so far: \
                  `(int64)@map`.",
        examples: [
            "BEGIN { @ = count(); }",
            "tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }",
        ],
        kernel: "",
    }
}

word! {
    /// `sum`
    Sum = "sum" {
        usage: ["@map = sum(value)"],
        summary: "Adds values up.",
        details: "Exact, on any number of CPUs. As an integer it is the sum so far: \
                  `(int64)@map`.",
        examples: ["tracepoint:syscalls:sys_exit_read { @bytes[comm] = sum(args.ret); }"],
        kernel: "",
    }
}

/// Shape of both: one 64-bit total.
const SLOT: u32 = 8;

fn combine(slot: Address, total: Address, b: &mut Builder<'_>) {
    let more = b.load(slot, Size::B8);
    let so_far = b.load(total, Size::B8);
    let all = b.alu(rbt_compiler::ir::AluOp::Add, so_far, more);
    b.put(total, all, Size::B8);
}

impl Aggregation for Count {
    fn arity(&self) -> (usize, usize) {
        (0, 0)
    }

    fn check(&self, _: &mut hir::Call, _: &mut Check<'_, '_>) -> Vec<i64> {
        Vec::new()
    }

    fn slot_size(&self, _: &[i64], _: bool) -> u32 {
        SLOT
    }

    fn update(
        &self,
        slot: Address,
        _: Option<Operand>,
        _: &AggregateCall<'_>,
        b: &mut Builder<'_>,
    ) {
        b.atomic_add(slot, 1);
    }

    fn is_castable(&self) -> bool {
        true
    }

    fn combine(&self, slot: Address, total: Address, _: bool, b: &mut Builder<'_>) {
        combine(slot, total, b);
    }

    fn finish(&self, total: Address, _: bool, b: &mut Builder<'_>) -> Operand {
        Operand::Reg(b.load(total, Size::B8))
    }
}

impl Fold for Count {
    fn fold(&self, _: &[i64], _: bool, slots: &[&[u8]]) -> Value<'static> {
        Value::Unsigned(total(slots, 0))
    }
}

impl Aggregation for Sum {
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
        b.atomic_add(slot, value.unwrap_or(Operand::Imm(0)));
    }

    fn is_castable(&self) -> bool {
        true
    }

    fn combine(&self, slot: Address, total: Address, _: bool, b: &mut Builder<'_>) {
        combine(slot, total, b);
    }

    fn finish(&self, total: Address, _: bool, b: &mut Builder<'_>) -> Operand {
        Operand::Reg(b.load(total, Size::B8))
    }
}

impl Fold for Sum {
    fn fold(&self, _: &[i64], is_signed: bool, slots: &[&[u8]]) -> Value<'static> {
        let sum = total(slots, 0);
        if is_signed {
            Value::Int(sum.cast_signed())
        } else {
            Value::Unsigned(sum)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot;
    use super::*;

    #[test]
    fn cpus_are_added_up() {
        let (a, b) = (slot(&[3]), slot(&[-5]));
        let slots: [&[u8]; 2] = [&a, &b];
        assert_eq!(Sum.fold(&[], true, &slots), Value::Int(-2));
        assert_eq!(Sum.fold(&[], false, &slots), Value::Unsigned(u64::MAX - 1));
        let (a, b) = (slot(&[3]), slot(&[5]));
        assert_eq!(Count.fold(&[], false, &[&a, &b]), Value::Unsigned(8));
    }
}
