//! From the typed program to the IR.
//!
//! Takes a clause, the route it goes, and the manifest so far; gives a BPF program with
//! virtual registers, and adds the events, faults and texts it needs to the manifest. It
//! never reports a user's mistake. Words lower themselves through [`Builder`], which is all
//! they see of a program under construction.

mod aggregate;
mod control;
mod event;
mod expr;
mod kept;
mod loops;
mod map;
mod memory;
mod program;
mod search;
mod stack;
mod stmt;
mod text;
mod typed;
mod unwind;

pub use control::MaybeNull;
pub(crate) use kept::{KEPT_BYTES, lower_exit};
pub use memory::Fill;
pub use program::{MapPlan, Plan, lower_program};
pub use search::NOT_FOUND;
pub use unwind::Unwinding;

use crate::artifact::{FaultKind, Manifest};
use crate::hir;
use crate::ir::builder::FunctionBuilder;
use crate::ir::{
    Address, AluOp, AtomicOp, Base, Comparison, FunctionId, Helper, InstKind, Label, Operand, Reg,
    Size,
};
use crate::structs::TypeTable;
use crate::target::{Feature, Target};
use crate::types::Type;
use crate::vocabulary::{ProbeContext, Route};
use rbt_grammar::Span;
use std::collections::HashMap;

/// What lowering may ask and add to while it makes one program.
pub struct Builder<'a> {
    /// The typed script.
    program: &'a hir::Program,
    clause: &'a hir::Clause,
    route: &'a Route,
    target: &'a dyn Target,
    types: &'a TypeTable<'a>,
    manifest: &'a mut Manifest,
    plan: &'a Plan,
    /// The function that is being built.
    f: FunctionBuilder,
    /// Finished callbacks; the entry becomes function 0.
    callbacks: Vec<crate::ir::Function>,
    /// How many callbacks were begun: an inner one is finished before the one around it.
    begun: usize,
    /// Where each scratch variable lives, by its number.
    homes: Vec<Home>,
    /// Values of fixed builtins computed so far, by scope.
    known: Vec<HashMap<String, Known>>,
    /// Enclosing loops, innermost last.
    loops: Vec<LoopEnds>,
    /// Where leaving the program goes.
    exit: Label,
    /// The program's context in a register of this function.
    context: Reg,
    /// The scratch element in a register of this function.
    scratch: Reg,
    /// Scratch bytes in use, and the most there were.
    scratch_used: u32,
    scratch_most: u32,
    /// Where the index of the site was put, if the route looks it up.
    site: Option<Operand>,
    /// Whether the function is a callback of a loop, and how it leaves the program.
    callback: Option<loops::Callback>,
    /// What the program returns.
    result: Reg,
    /// The program's symbol.
    symbol: String,
    /// How texts are written.
    fill: Fill,
}

/// Where a scratch variable lives.
#[derive(Clone, Copy, Debug)]
enum Home {
    /// Nowhere yet.
    None,
    /// In a register.
    Reg(Reg),
    /// In memory: a scalar of 8 bytes, or a value of its type.
    Memory(Address),
}

/// A value that need not be computed again.
#[derive(Clone, Copy, Debug)]
enum Known {
    Scalar(Operand),
    Memory(Address),
}

/// Where `break` and `continue` go.
#[derive(Clone, Copy, Debug)]
struct LoopEnds {
    leave: Label,
    again: Label,
}

/// The bytes of a scratch element in front of what programs use: the claim.
const SCRATCH_HEADER: u32 = 8;

/// How often [`Builder::atomic_max`] is tried: a loop of the program, which the verifier walks.
const TRIES: i64 = 32;

impl<'a> Builder<'a> {
    /// The kernel.
    pub fn target(&self) -> &'a dyn Target {
        self.target
    }

    /// Whether the kernel can do something.
    pub fn has(&self, feature: Feature) -> bool {
        self.target.has(feature)
    }

    /// The types of the kernel and the script.
    pub fn types(&self) -> &'a TypeTable<'a> {
        self.types
    }

    /// The probe.
    pub fn probe(&self) -> &'a ProbeContext {
        &self.clause.context
    }

    /// How the probe is reached: how the context looks.
    pub fn route(&self) -> &'a Route {
        self.route
    }

    /// The places that the program serves.
    pub fn places(&self) -> impl Iterator<Item = &'a crate::vocabulary::Place> + use<'a> {
        let (all, route) = (&self.clause.places, self.route);
        route.places.iter().filter_map(move |index| all.get(*index))
    }

    /// The settings.
    pub fn config(&self) -> &'a crate::config::Config {
        &self.program.config
    }

    /// The source of what is being lowered.
    pub fn span(&self) -> Span {
        self.f.span
    }

    /// The program's context, as an address.
    pub fn context(&self) -> Operand {
        Operand::Reg(self.context)
    }

    /// Lowers within another source.
    pub fn with_span<T>(&mut self, span: Span, lower: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.f.span, span);
        let value = lower(self);
        self.f.span = before;
        value
    }

    /// `left op right`, 64 bits; constants are folded.
    pub fn alu(
        &mut self,
        op: AluOp,
        left: impl Into<Operand>,
        right: impl Into<Operand>,
    ) -> Operand {
        self.f.alu(op, left.into(), right.into())
    }

    /// A copy of `value` in a register of its own, which may be written.
    pub fn copy(&mut self, value: impl Into<Operand>) -> Reg {
        let reg = self.f.reg();
        self.f.set(reg, value.into());
        reg
    }

    /// A register that holds `value`.
    pub fn in_reg(&mut self, value: impl Into<Operand>) -> Reg {
        self.f.in_reg(value.into())
    }

    /// A register nothing has written yet.
    pub fn reg(&mut self) -> Reg {
        self.f.reg()
    }

    /// `dst = src`
    pub fn set(&mut self, dst: Reg, src: impl Into<Operand>) {
        self.f.set(dst, src.into());
    }

    /// The low bytes of `value`, sign-extended.
    pub fn sign_extend(&mut self, value: impl Into<Operand>, size: Size) -> Operand {
        let src = self.in_reg(value);
        if size == Size::B8 {
            return Operand::Reg(src);
        }
        let dst = self.f.reg();
        self.f.push(InstKind::SignExtend { dst, src, size });
        Operand::Reg(dst)
    }

    /// The low bytes of `value`, zero-extended.
    pub fn zero_extend(&mut self, value: impl Into<Operand>, size: Size) -> Operand {
        let value = value.into();
        match size {
            Size::B8 => value,
            Size::B4 => {
                let src = self.in_reg(value);
                let dst = self.f.reg();
                self.f.push(InstKind::Truncate32 { dst, src });
                Operand::Reg(dst)
            }
            Size::B2 => self.alu(AluOp::And, value, 0xffff),
            Size::B1 => self.alu(AluOp::And, value, 0xff),
        }
    }

    /// The low bytes of `value` in reverse order.
    pub fn byte_swap(&mut self, value: impl Into<Operand>, size: Size) -> Operand {
        let src = self.in_reg(value);
        if size == Size::B1 {
            return self.zero_extend(src, size);
        }
        let dst = self.f.reg();
        self.f.push(InstKind::ByteSwap { dst, src, size });
        Operand::Reg(dst)
    }

    /// The bytes at `address`, zero-extended.
    pub fn load(&mut self, address: Address, size: Size) -> Reg {
        self.f.load(address, size)
    }

    /// Puts the low bytes of `value` at `address`.
    pub fn put(&mut self, address: Address, value: impl Into<Operand>, size: Size) {
        self.f.store(address, value.into(), size);
    }

    /// An address as a value, for helpers.
    pub fn pointer(&mut self, address: Address) -> Operand {
        self.f.address(address)
    }

    /// Calls a helper; gives its result.
    pub fn call(&mut self, helper: Helper, args: &[Operand]) -> Reg {
        let result = self.f.reg();
        self.f.push(InstKind::Call {
            helper,
            args: args.to_vec(),
            result: Some(result),
        });
        result
    }

    /// Calls a helper whose result is of no interest.
    pub fn call_void(&mut self, helper: Helper, args: &[Operand]) {
        self.f.push(InstKind::Call {
            helper,
            args: args.to_vec(),
            result: None,
        });
    }

    /// Adds to 8 bytes of memory, exactly, whatever else runs.
    pub fn atomic_add(&mut self, address: Address, value: impl Into<Operand>) {
        let src = self.in_reg(value);
        let address = self.based_on_register(address);
        self.f.push(InstKind::Atomic {
            op: AtomicOp::Add,
            size: Size::B8,
            address,
            src,
            fetched: None,
        });
    }

    /// Makes the 8 bytes at `address` at least `value`, unsigned, exactly, whatever else runs:
    /// tried again with compare-and-exchange, where the kernel has it, if another program came
    /// between. Each of the [`TRIES`] is lost only to one that raised the value.
    pub fn atomic_max(&mut self, address: Address, value: Operand) {
        let address = self.based_on_register(address);
        let old = self.load(address, Size::B8);
        let value = self.in_reg(value);
        if !self.has(Feature::AtomicFetch) {
            self.when(Comparison::Less, old, value, |b| {
                b.put(address, value, Size::B8);
            });
            return;
        }
        let left = self.copy(TRIES);
        let [again, lower, missed, done] = [(); 4].map(|()| self.f.label());
        self.f.jump(again);
        self.f.at(again);
        let (old_is, value_is) = (Operand::Reg(old), Operand::Reg(value));
        self.f
            .branch(Comparison::GreaterEqual, old_is, value_is, done, lower);
        self.f.at(lower);
        let fetched = self.f.reg();
        self.f.push(InstKind::CompareExchange {
            address,
            expected: old,
            src: value,
            fetched,
        });
        self.f
            .branch(Comparison::Equal, fetched.into(), old_is, done, missed);
        self.f.at(missed);
        self.set(old, fetched);
        let fewer = self.alu(AluOp::Sub, left, 1);
        self.set(left, fewer);
        self.f
            .branch(Comparison::NotEqual, left.into(), 0.into(), again, done);
        self.f.at(done);
    }

    /// The same address with its base in a register.
    fn based_on_register(&mut self, address: Address) -> Address {
        match address.base {
            Base::Reg(_) => address,
            Base::Frame(slot) => {
                let reg = self.in_reg(Operand::Frame(slot, 0));
                Address {
                    base: Base::Reg(reg),
                    offset: address.offset,
                }
            }
        }
    }

    /// The value of something that stays the same during one run of a program: computed at
    /// most once in each scope, by `compute`.
    pub fn once(&mut self, key: &str, compute: impl FnOnce(&mut Self) -> Operand) -> Operand {
        if let Some(Known::Scalar(value)) = self.find_known(key) {
            return value;
        }
        let value = compute(self);
        self.remember(key, Known::Scalar(value));
        value
    }

    fn find_known(&self, key: &str) -> Option<Known> {
        self.known.iter().rev().find_map(|s| s.get(key)).copied()
    }

    fn remember(&mut self, key: &str, value: Known) {
        if let Some(scope) = self.known.last_mut() {
            scope.insert(key.to_owned(), value);
        }
    }

    /// Lowers something that may not run: what it computes is not known afterwards.
    fn in_scope<T>(&mut self, lower: impl FnOnce(&mut Self) -> T) -> T {
        self.known.push(HashMap::new());
        let value = lower(self);
        self.known.pop();
        value
    }

    /// The number of a text of the manifest.
    pub fn text_number(&mut self, text: &str) -> i64 {
        let texts = &mut self.manifest.texts;
        let found = texts.iter().position(|t| t == text);
        let index = found.unwrap_or_else(|| {
            texts.push(text.to_owned());
            texts.len() - 1
        });
        i64::try_from(index).unwrap_or(i64::MAX)
    }

    /// The number of the first of some texts that have consecutive numbers in the manifest.
    pub fn text_block(&mut self, block: &[&str]) -> i64 {
        let texts = &mut self.manifest.texts;
        let found = texts
            .windows(block.len().max(1))
            .position(|window| window.iter().eq(block));
        let first = found.unwrap_or_else(|| {
            let first = texts.len();
            texts.extend(block.iter().map(|text| (*text).to_owned()));
            first
        });
        i64::try_from(first).unwrap_or(i64::MAX)
    }

    /// Leaves the program at once.
    pub fn leave(&mut self) {
        if let Some(callback) = self.callback {
            self.leave_callback(callback);
        } else {
            self.f.jump(self.exit);
        }
        let after = self.f.label();
        self.f.at(after);
    }

    /// Counts something that went wrong here; userspace reports it. `code` is what the helper
    /// returned.
    pub fn fault(&mut self, kind: FaultKind, helper: &str, code: impl Into<Operand>) {
        let offset = self.plan.fault(self.manifest, kind, self.f.span, helper);
        let base = self.in_reg(Operand::Global(offset));
        let code = code.into();
        self.put(Address::reg(base).plus(8), code, Size::B8);
        self.atomic_add(Address::reg(base), 1);
    }

    /// A map as helpers take it.
    pub fn map(&self, map: hir::MapIndex) -> Operand {
        Operand::Map(crate::artifact::MapId(map.0))
    }

    /// The scalar of a type as it is in a register: cut to its width and extended by its sign.
    pub fn normalize(&mut self, value: Operand, ty: &Type) -> Operand {
        let size = Size::from_bytes(ty.size()).unwrap_or(Size::B8);
        if ty.is_signed() {
            self.sign_extend(value, size)
        } else {
            self.zero_extend(value, size)
        }
    }

    fn next_function(&self) -> FunctionId {
        FunctionId(u32::try_from(self.callbacks.len()).unwrap_or(u32::MAX - 1) + 1)
    }
}
