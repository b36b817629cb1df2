//! Maps: keys, lookups, updates.
//!
//! An existing value is never replaced through `update_elem` if it fits in a register: one
//! lookup and a store in place. A keyless map is a variable of the data section, or one row
//! for each CPU, and starts with a flag that says whether it was written.

use super::program::MapPlan;
use super::{Builder, Fill, MaybeNull};
use crate::artifact::{FaultKind, Storage};
use crate::hir::{BinaryOp, Expr, MapIndex};
use crate::ir::{Address, AluOp, Comparison, Operand, Reg, Size, helpers};
use crate::types::Type;

/// `BPF_ANY`, `BPF_NOEXIST` of `linux/bpf.h`.
const ANY: i64 = 0;
const NO_EXIST: i64 = 1;

/// Bytes in front of a keyless map's value: whether it was written.
pub(super) const PRESENCE: i32 = 8;

impl Builder<'_> {
    pub(super) fn map_plan(&self, map: MapIndex) -> Option<&MapPlan> {
        self.plan.maps.get(map.0 as usize)
    }

    /// The key in memory of its own, as helpers take it.
    pub(super) fn key(&mut self, key: &Expr) -> Operand {
        let to = self.temporary(key.ty.size(), "a map key");
        self.store(key, to);
        self.pointer(to)
    }

    /// The address of a map: of its value, if it is a variable, else of the kernel's object.
    pub(super) fn map_address(&mut self, map: MapIndex) -> Operand {
        let global = self.map_plan(map).and_then(|plan| match plan.storage {
            Storage::Global { .. } => Some(plan.global),
            Storage::Map { .. } => None,
        });
        match global {
            Some(global) => {
                let base = self.in_reg(Operand::Global(global));
                self.alu(AluOp::Add, base, i64::from(PRESENCE))
            }
            None => Operand::Reg(self.in_reg(self.map(map))),
        }
    }

    /// The value of a map at a key (or of a keyless map), or this CPU's slot, if it is there.
    pub fn lookup(&mut self, map: MapIndex, key: Option<&Expr>) -> MaybeNull {
        if let Some(MapPlan {
            storage: Storage::Global { .. },
            global,
            ..
        }) = self.map_plan(map)
        {
            let base = Operand::Global(*global);
            return MaybeNull(self.in_reg(base), PRESENCE);
        }
        let map_operand = self.map(map);
        let Some(key) = key else {
            let zero = self.temporary(8, "the key of a map without keys");
            self.put(zero, 0, Size::B8);
            let zero = self.pointer(zero);
            let found = self.call(helpers::MAP_LOOKUP_ELEM, &[map_operand, zero]);
            return MaybeNull(found, PRESENCE);
        };
        if self.is_kept(map) {
            return self.kept_element(map, key);
        }
        let key = self.key(key);
        self.lookup_at(map_operand, key)
    }

    fn lookup_at(&mut self, map: Operand, key: Operand) -> MaybeNull {
        MaybeNull::new(self.call(helpers::MAP_LOOKUP_ELEM, &[map, key]))
    }

    /// The value at a key, made from zeros if it is not there yet. Null only if the map is
    /// full, which is counted.
    pub(super) fn lookup_or_insert(&mut self, map: MapIndex, key: Option<&Expr>) -> MaybeNull {
        let Some(key) = key else {
            return self.lookup(map, None);
        };
        let key = self.key(key);
        let map = self.map(map);
        // One lookup, twice at most: whether this program then makes the element or another one
        // just did, it is there the second time.
        let result = self.reg();
        let made = self.copy(0);
        let [again, absent, make, full, done] = [(); 5].map(|()| self.f.label());
        self.f.jump(again);
        self.f.at(again);
        let found = self.lookup_at(map, key);
        self.set(result, found.0);
        let (found, zero) = (Operand::Reg(found.0), Operand::Imm(0));
        self.f
            .branch(Comparison::NotEqual, found, zero, done, absent);
        self.f.at(absent);
        self.f
            .branch(Comparison::Greater, made.into(), zero, full, make);
        self.f.at(make);
        let zeros = Operand::Global(self.plan.zero);
        let args = [map, key, zeros, Operand::Imm(NO_EXIST)];
        let code = self.call(helpers::MAP_UPDATE_ELEM, &args);
        // Never zero, which lets the verifier see that there is no third time.
        let shifted = self.alu(AluOp::ShiftLeft, code, 1);
        let odd = self.alu(AluOp::Or, shifted, 1);
        self.set(made, odd);
        self.f.jump(again);
        self.f.at(full);
        let code = self.alu(AluOp::ArithmeticShiftRight, made, 1);
        self.fault(FaultKind::MapFull, "map_update_elem", code);
        self.f.jump(done);
        self.f.at(done);
        MaybeNull::new(result)
    }

    pub(super) fn map_scalar(&mut self, map: MapIndex, key: Option<&Expr>, ty: &Type) -> Operand {
        let size = Size::from_bytes(ty.size()).unwrap_or(Size::B8);
        let found = self.lookup(map, key);
        let value = if key.is_none() && self.is_global(map) {
            self.load(Address::reg(found.0).plus(found.1), size)
        } else {
            let result = self.copy(0);
            let reports = self.plan.reports_reads;
            self.if_some_else(
                found,
                |b, address| {
                    let value = b.load(address, size);
                    b.f.set(result, value.into());
                },
                |b| {
                    if reports {
                        b.fault(FaultKind::NoElement, "map_lookup_elem", 0);
                    }
                },
            );
            result
        };
        if ty.is_signed() {
            self.sign_extend(value, size)
        } else {
            Operand::Reg(value)
        }
    }

    pub(super) fn map_memory(
        &mut self,
        map: MapIndex,
        key: Option<&Expr>,
        ty: &Type,
        to: Address,
        fill: Fill,
    ) {
        let found = self.lookup(map, key);
        if key.is_none() && self.is_global(map) {
            self.copy_value(to, Address::reg(found.0).plus(found.1), ty, fill);
            return;
        }
        self.if_some_else(
            found,
            |b, from| b.copy_value(to, from, ty, fill),
            |b| b.zero(to, ty.size()),
        );
    }

    pub(super) fn is_global(&self, map: MapIndex) -> bool {
        let plan = self.map_plan(map);
        plan.is_some_and(|plan| matches!(plan.storage, Storage::Global { .. }))
    }

    /// `@m = value`, `@m[key] = value`.
    pub(super) fn set_map(&mut self, map: MapIndex, key: Option<&Expr>, value: &Expr) {
        let ty = &value.ty;
        let Some(key) = key else {
            return self.set_keyless(map, value);
        };
        if self.is_kept(map) {
            return self.set_kept(map, key, value);
        }
        if ty.is_scalar() {
            let scalar = self.value(value);
            let key = self.key(key);
            let map = self.map(map);
            let found = self.lookup_at(map, key);
            self.if_some_else(
                found,
                |b, at| b.put_scalar(at, scalar, ty),
                |b| {
                    let new = b.temporary(8, "a new map value");
                    b.put_scalar(new, scalar, ty);
                    b.insert(map, key, new);
                },
            );
            return;
        }
        // Wider values are replaced as a whole, so that no reader sees half of one.
        let from = self.address(value);
        let key = self.key(key);
        let map = self.map(map);
        self.insert(map, key, from);
    }

    pub(super) fn insert(&mut self, map: Operand, key: Operand, value: Address) {
        let value = self.pointer(value);
        let any = Operand::Imm(ANY);
        let code = self.call(helpers::MAP_UPDATE_ELEM, &[map, key, value, any]);
        self.when(Comparison::NotEqual, code, 0, |b| {
            b.fault(FaultKind::MapFull, "map_update_elem", code);
        });
    }

    fn set_keyless(&mut self, map: MapIndex, value: &Expr) {
        if value.ty.is_scalar() {
            let scalar = self.value(value);
            let found = self.lookup(map, None);
            self.at_keyless(map, found, |b, at| {
                b.put_scalar(at, scalar, &value.ty);
                b.put(at.plus(-PRESENCE), 1, Size::B8);
            });
            return;
        }
        let from = self.address(value);
        let found = self.lookup(map, None);
        self.at_keyless(map, found, |b, at| {
            b.copy_bytes(at, from, value.ty.size());
            b.put(at.plus(-PRESENCE), 1, Size::B8);
        });
    }

    /// Runs `then` at a keyless map's value: always there in the data section.
    pub(super) fn at_keyless(
        &mut self,
        map: MapIndex,
        found: MaybeNull,
        then: impl FnOnce(&mut Self, Address),
    ) {
        if self.is_global(map) {
            then(self, Address::reg(found.0).plus(found.1));
        } else {
            self.if_some(found, then);
        }
    }

    /// `@m op= value` on 8-byte integers; sums are exact whatever else runs.
    pub(super) fn update_map(
        &mut self,
        map: MapIndex,
        key: Option<&Expr>,
        op: BinaryOp,
        value: &Expr,
    ) {
        let operand = self.value(value);
        let found = self.lookup_or_insert(map, key);
        let is_keyless = key.is_none();
        let change = |b: &mut Self, at: Address| {
            match op {
                BinaryOp::Add => b.atomic_add(at, operand),
                BinaryOp::Subtract => {
                    let negated = b.alu(AluOp::Sub, 0, operand);
                    b.atomic_add(at, negated);
                }
                _ => {
                    let old = b.load(at, Size::B8);
                    let new = b.arithmetic(op, old.into(), operand);
                    b.put(at, new, Size::B8);
                }
            }
            if is_keyless {
                b.put(at.plus(-PRESENCE), 1, Size::B8);
            }
        };
        if is_keyless {
            self.at_keyless(map, found, change);
        } else {
            self.if_some(found, change);
        }
    }

    /// `@m++` and the like, with a value.
    pub(super) fn step_map(
        &mut self,
        map: MapIndex,
        key: Option<&Expr>,
        by: i64,
        is_prefix: bool,
    ) -> Operand {
        let result: Reg = self.copy(0);
        let found = self.lookup_or_insert(map, key);
        let is_keyless = key.is_none();
        let change = |b: &mut Self, at: Address| {
            let old = b.load(at, Size::B8);
            let new = b.alu(AluOp::Add, old, by);
            b.put(at, new, Size::B8);
            if is_keyless {
                b.put(at.plus(-PRESENCE), 1, Size::B8);
            }
            b.f.set(result, if is_prefix { new } else { old.into() });
        };
        if is_keyless {
            self.at_keyless(map, found, change);
        } else {
            self.if_some(found, change);
        }
        Operand::Reg(result)
    }

    /// Deletes a key, or empties a keyless map; gives 1 if it was there.
    pub fn delete(&mut self, map: MapIndex, key: Option<&Expr>) -> Operand {
        let Some(key) = key else {
            let result = self.copy(0);
            let found = self.lookup(map, None);
            let size = self.map_plan(map).map_or(0, |plan| plan.value_size);
            self.at_keyless(map, found, |b, at| {
                let was = b.load(at.plus(-PRESENCE), Size::B8);
                b.f.set(result, was.into());
                b.zero(at.plus(-PRESENCE), size);
            });
            return Operand::Reg(result);
        };
        if self.is_kept(map) {
            return self.delete_kept(map, key);
        }
        let key = self.key(key);
        let map = self.map(map);
        let code = self.call(helpers::MAP_DELETE_ELEM, &[map, key]);
        self.select(Comparison::Equal, code, 0, 1, 0)
    }

    /// Whether a keyless map was written.
    pub fn is_written(&mut self, map: MapIndex) -> Operand {
        let result = self.copy(0);
        let found = self.lookup(map, None);
        self.at_keyless(map, found, |b, at| {
            let was = b.load(at.plus(-PRESENCE), Size::B8);
            b.f.set(result, was.into());
        });
        Operand::Reg(result)
    }
}
