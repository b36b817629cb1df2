//! Elements that stay when they are deleted, and the program that removes them.
//!
//! Such an element is its value and a flag, 8 bytes each. It counts as absent while both are
//! zero, so a value other than zero is stored and removed by one store each, whatever program
//! comes between; only a zero needs the flag. What reads an absent element reads zero.

use super::program::Plan;
use super::{Builder, MaybeNull};
use crate::artifact::MapId;
use crate::hir::{Expr, MapIndex};
use crate::ir::builder::FunctionBuilder;
use crate::ir::{
    self, Address, AluOp, Comparison, End, Function, InstKind, Label, Operand, Reg, Size, helpers,
};
use crate::types::{Space, Type};
use rbt_grammar::Span;

/// `PF_EXITING` of `include/linux/sched.h`.
const EXITING: i64 = 0x4;

/// Where the flag is.
const FLAG: i32 = 8;

/// Bytes of such an element's value.
pub(crate) const KEPT_BYTES: u32 = 16;

impl Builder<'_> {
    pub(super) fn is_kept(&self, map: MapIndex) -> bool {
        self.map_plan(map).is_some_and(|plan| plan.is_kept)
    }

    /// The thread's element, if it has one: looked up once.
    pub(super) fn kept_element(&mut self, map: MapIndex, key: &Expr) -> MaybeNull {
        let found = self.once(&memo(map), |b| {
            let key = b.kept_key(map, key);
            let map = b.map(map);
            Operand::Reg(b.call(helpers::MAP_LOOKUP_ELEM, &[map, key]))
        });
        MaybeNull::new(self.in_reg(found))
    }

    /// The thread's key, which is always the same.
    fn kept_key(&mut self, map: MapIndex, key: &Expr) -> Operand {
        let name = format!("{MEMO}{}: its key", map.0);
        self.once(&name, |b| b.key(key))
    }

    pub(super) fn set_kept(&mut self, map: MapIndex, key: &Expr, value: &Expr) {
        let ty = &value.ty;
        let scalar = self.value(value);
        let found = self.kept_element(map, key);
        self.if_some_else(
            found,
            |b, at| {
                b.put_whole(at, scalar, ty);
                b.when(Comparison::Equal, scalar, 0, |b| {
                    b.put(at.plus(FLAG), 1, Size::B8)
                });
            },
            |b| {
                let new = b.temporary(KEPT_BYTES, "a new map value");
                b.put_whole(new, scalar, ty);
                b.put(new.plus(FLAG), 1, Size::B8);
                let (key, kernel) = (b.kept_key(map, key), b.map(map));
                b.insert(kernel, key, new);
            },
        );
        self.forget(&memo(map));
    }

    /// Stores a scalar as 8 bytes, so that the element is zero exactly if the value is.
    fn put_whole(&mut self, at: Address, value: Operand, ty: &Type) {
        let value = if ty.size() < 8 {
            self.zero_extend(value, Size::from_bytes(ty.size()).unwrap_or(Size::B8))
        } else {
            value
        };
        self.put(at, value, Size::B8);
    }

    /// Deletes the thread's key; gives 1 if it was there.
    pub(super) fn delete_kept(&mut self, map: MapIndex, key: &Expr) -> Operand {
        let was = self.copy(0);
        let found = self.kept_element(map, key);
        self.if_some(found, |b, at| {
            let value = b.load(at, Size::B8);
            let flag = b.load(at.plus(FLAG), Size::B8);
            let either = b.alu(AluOp::Or, value, flag);
            let there = b.select(Comparison::NotEqual, either, 0, 1, 0);
            b.set(was, there);
            let Some(task) = b.current_task() else {
                return;
            };
            let flags = i64::from(b.plan.task_flags);
            let flags = b.read_scalar(task, flags, Size::B4, Space::Direct);
            b.when_else(
                Comparison::Set,
                flags,
                EXITING,
                |b| {
                    // Nobody removes it later.
                    let (key, kernel) = (b.kept_key(map, key), b.map(map));
                    b.call_void(helpers::MAP_DELETE_ELEM, &[kernel, key]);
                },
                |b| {
                    b.put(at.plus(FLAG), 0, Size::B8);
                    b.put(at, 0, Size::B8);
                },
            );
        });
        self.forget(&memo(map));
        Operand::Reg(was)
    }

    /// Forgets the elements that were looked up: what comes next may run again after they
    /// were made or deleted.
    pub(super) fn forget_elements(&mut self) {
        for scope in &mut self.known {
            scope.retain(|name, _| !name.starts_with(MEMO));
        }
    }

    fn forget(&mut self, name: &str) {
        for scope in &mut self.known {
            scope.remove(name);
        }
    }
}

const MEMO: &str = "the thread's element of map ";

fn memo(map: MapIndex) -> String {
    format!("{MEMO}{}", map.0)
}

/// The program that runs when a thread exits: removes its elements that count as absent.
pub(crate) fn lower_exit(plan: &Plan, symbol: &str, span: Span) -> ir::Program {
    let mut f = FunctionBuilder::new(symbol, 1, span);
    let entry = Label(0);
    f.at(entry);
    let ids = call(&mut f, helpers::GET_CURRENT_PID_TGID, &[]);
    let slot = f.slot(8, "the id of a thread that exits");
    f.store(Address::frame(slot), Operand::Reg(ids), Size::B4);
    let key = Operand::Frame(slot, 0);
    for (number, _) in (0..).zip(&plan.maps).filter(|(_, map)| map.is_kept) {
        let map = Operand::Map(MapId(number));
        let found = call(&mut f, helpers::MAP_LOOKUP_ELEM, &[map, key]);
        let [some, absent, next] = [(); 3].map(|()| f.label());
        let zero = Operand::Imm(0);
        f.branch(Comparison::NotEqual, found.into(), zero, some, next);
        f.at(some);
        let value = f.load(Address::reg(found), Size::B8);
        let flag = f.load(Address::reg(found).plus(FLAG), Size::B8);
        let either = f.alu(AluOp::Or, value.into(), flag.into());
        f.branch(Comparison::Equal, either, zero, absent, next);
        f.at(absent);
        call(&mut f, helpers::MAP_DELETE_ELEM, &[map, key]);
        f.jump(next);
        f.at(next);
    }
    f.end(End::Return(Operand::Imm(0)));
    let functions: Vec<Function> = vec![f.finish()];
    ir::Program { functions }
}

fn call(f: &mut FunctionBuilder, helper: ir::Helper, args: &[Operand]) -> Reg {
    let result = f.reg();
    f.push(InstKind::Call {
        helper,
        args: args.to_vec(),
        result: Some(result),
    });
    result
}
