//! Aggregations: kinds of map that combine values in the kernel, each CPU by itself, and whose
//! pieces userspace puts together. One file for each family.
//!
//! Updates are exact even if another program on the same CPU comes between: they are single
//! atomic steps on a slot that starts as zeros.

mod average;
mod count;
mod extreme;
mod hist;
mod lhist;
mod tseries;

use rbt_compiler::hir::{self, Expr};
use rbt_compiler::pass::check::Check;
use rbt_compiler::vocabulary::Aggregation;
use rbt_runtime::vocabulary::Fold;

/// Every aggregation.
pub(crate) static ALL: &[&dyn Aggregation] = &[
    &count::Count,
    &count::Sum,
    &extreme::Min,
    &extreme::Max,
    &average::Avg,
    &average::Stats,
    &hist::Hist,
    &lhist::Lhist,
    &tseries::Tseries,
];

/// Their other halves.
pub(crate) static FOLDS: &[&dyn Fold] = &[
    &count::Count,
    &count::Sum,
    &extreme::Min,
    &extreme::Max,
    &average::Avg,
    &average::Stats,
    &hist::Hist,
    &lhist::Lhist,
    &tseries::Tseries,
];

/// Checks the value, the only argument that stays; gives the others.
fn take_value(call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Vec<Expr> {
    let mut arguments = std::mem::take(&mut call.arguments).into_iter();
    if let Some(value) = arguments.next() {
        let value = cx.integer(value, &call.name);
        call.arguments.push(value);
    }
    arguments.collect()
}

/// The 8 bytes of a slot at word `index`.
fn word(slot: &[u8], index: usize) -> u64 {
    let bytes = slot.get(index * 8..index * 8 + 8);
    let bytes = bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    bytes.map_or(0, u64::from_ne_bytes)
}

/// The sum over all CPUs of word `index`.
fn total(slots: &[&[u8]], index: usize) -> u64 {
    let words = slots.iter().map(|slot| word(slot, index));
    words.fold(0, u64::wrapping_add)
}

#[cfg(test)]
fn slot(words: &[i64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
