//! Branches: conditions, and pointers that may be null.

use super::Builder;
use crate::ir::{Address, Comparison, Operand, Reg, Size};

/// What a lookup gives: an address that must be tested before it is used. It offers no load.
///
/// The second part is what is added to the address once it was tested: the verifier allows
/// no arithmetic before.
#[derive(Clone, Copy, Debug)]
pub struct MaybeNull(pub(super) Reg, pub(super) i32);

impl MaybeNull {
    /// What a helper returned, which is an address or null.
    pub fn new(pointer: Reg) -> Self {
        MaybeNull(pointer, 0)
    }
}

impl Builder<'_> {
    /// Runs `then` if the comparison holds.
    pub fn when(
        &mut self,
        comparison: Comparison,
        left: impl Into<Operand>,
        right: impl Into<Operand>,
        then: impl FnOnce(&mut Self),
    ) {
        self.when_else(comparison, left, right, then, |_| ());
    }

    /// Runs `then` if the comparison holds, `otherwise` if not.
    pub fn when_else(
        &mut self,
        comparison: Comparison,
        left: impl Into<Operand>,
        right: impl Into<Operand>,
        then: impl FnOnce(&mut Self),
        otherwise: impl FnOnce(&mut Self),
    ) {
        let yes = self.f.label();
        let no = self.f.label();
        let done = self.f.label();
        self.f
            .branch(comparison, left.into(), right.into(), yes, no);
        self.f.at(yes);
        self.in_scope(then);
        self.f.jump(done);
        self.f.at(no);
        self.in_scope(otherwise);
        self.f.jump(done);
        self.f.at(done);
    }

    /// One of two values.
    pub fn select(
        &mut self,
        comparison: Comparison,
        left: impl Into<Operand>,
        right: impl Into<Operand>,
        then: impl Into<Operand>,
        otherwise: impl Into<Operand>,
    ) -> Operand {
        let result = self.f.reg();
        let (then, otherwise) = (then.into(), otherwise.into());
        self.f.set(result, then);
        self.when(
            comparison.negated().unwrap_or(comparison),
            left,
            right,
            |b| {
                b.f.set(result, otherwise);
            },
        );
        Operand::Reg(result)
    }

    /// Runs `then` with the address if it is not null.
    pub fn if_some(&mut self, pointer: MaybeNull, then: impl FnOnce(&mut Self, Address)) {
        self.if_some_else(pointer, then, |_| ());
    }

    /// Runs `then` with the address if it is not null, `otherwise` if it is.
    pub fn if_some_else(
        &mut self,
        pointer: MaybeNull,
        then: impl FnOnce(&mut Self, Address),
        otherwise: impl FnOnce(&mut Self),
    ) {
        self.when_else(
            Comparison::NotEqual,
            pointer.0,
            0,
            |b| then(b, Address::reg(pointer.0).plus(pointer.1)),
            otherwise,
        );
    }

    /// Leaves the program if a pointer is null.
    pub fn or_leave(&mut self, pointer: MaybeNull) -> Address {
        let yes = self.f.label();
        let no = self.f.label();
        let (left, right) = (Operand::Reg(pointer.0), Operand::Imm(0));
        self.f.branch(Comparison::NotEqual, left, right, yes, no);
        self.f.at(no);
        self.leave();
        self.f.at(yes);
        Address::reg(pointer.0).plus(pointer.1)
    }

    /// The scalar at the address, or zero if it is null.
    pub fn load_or_zero(&mut self, pointer: MaybeNull, offset: i32, size: Size) -> Reg {
        let result = self.copy(0);
        self.if_some(pointer, |b, address| {
            let value = b.load(address.plus(offset), size);
            b.set(result, value);
        });
        result
    }
}
