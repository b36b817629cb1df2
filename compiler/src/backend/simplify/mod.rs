//! Cheap clean-ups of the IR before registers are given out.
//!
//! Takes verified IR; gives verified IR that does the same with fewer instructions. There is
//! deliberately no general optimiser: each step here is linear in the code, needs no more
//! than one look at the function, and removes something that lowering leaves behind because
//! leaving it makes lowering simple.

mod control;
mod dead;
mod fold;
mod values;

use crate::ir::Function;

pub(super) use dead::remove as remove_dead;

/// A step can make work for the ones before it, but chains of that are short.
const MOST_ROUNDS: usize = 4;

/// Cleans up one function.
pub(super) fn simplify(function: &mut Function) {
    super::order::order(function);
    for round in 0..MOST_ROUNDS {
        let mut has_changed = values::propagate(function);
        has_changed |= control::simplify(function);
        super::order::order(function);
        // Later rounds find no others.
        if round == 0 && control::answer_tests(function) {
            has_changed = true;
            super::order::order(function);
        }
        has_changed |= dead::remove(function);
        if !has_changed {
            break;
        }
    }
    control::rotate_loops(function);
}

#[cfg(test)]
mod tests;
