//! Loops: short ones with known bounds as jumps, all others as callbacks of kernel helpers.
//!
//! The body of a callback is a function of its own. What it shares with its surroundings
//! travels in one object of the frame, the environment: whether to leave the program, the
//! context, the scratch element, the site, the result, the first index, and 8 bytes for each
//! variable: a scalar itself, or the address of a value in memory.

use super::{Builder, Home, LoopEnds};
use crate::hir::{self, Expr, MapContent, MapIndex, Stmt, VariableId};
use crate::ir::builder::FunctionBuilder;
use crate::ir::{Address, AluOp, Comparison, End, FunctionId, Operand, Reg, Size, helpers};
use crate::target::Feature;
use crate::types::{Type, layout};
use std::collections::HashMap;

/// Rounds a loop may make as jumps where both bounds are known.
const MOST_UNROLLED: i64 = 16;

/// Rounds of any loop: the limit of `bpf_loop`.
const MOST_ROUNDS: i64 = 1 << 23;

/// Rounds of a loop on kernels without `bpf_loop`, which must be verified one by one.
const MOST_VERIFIED_ROUNDS: i64 = 1024;

const LEAVE: i32 = 0;
const CONTEXT: i32 = 8;
const SCRATCH: i32 = 16;
const SITE: i32 = 24;
const RESULT: i32 = 32;
const FIRST: i32 = 40;
const VARIABLES: i32 = 48;

/// Where a callback finds its environment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Callback {
    environment: Reg,
    /// It leaves the program somewhere.
    leaves: bool,
}

impl Builder<'_> {
    /// `break` and `continue`.
    pub(super) fn jump_out(&mut self, is_break: bool) {
        if let Some(ends) = self.loops.last().copied() {
            self.f.jump(if is_break { ends.leave } else { ends.again });
        } else if self.callback.is_some() {
            self.f.end(End::Return(Operand::Imm(i64::from(is_break))));
        }
    }

    /// Leaves the program from a callback: a flag for the caller, and an end to the loop.
    pub(super) fn leave_callback(&mut self, callback: Callback) {
        let environment = Address::reg(callback.environment);
        self.f
            .store(environment.plus(LEAVE), Operand::Imm(1), Size::B8);
        self.f.end(End::Return(Operand::Imm(1)));
        if let Some(callback) = &mut self.callback {
            callback.leaves = true;
        }
    }

    pub(super) fn set_result(&mut self, value: Operand) {
        match self.callback {
            Some(callback) => {
                let environment = Address::reg(callback.environment);
                self.f.store(environment.plus(RESULT), value, Size::B8);
            }
            None => self.f.set(self.result, value),
        }
    }

    pub(super) fn while_loop(&mut self, condition: &Expr, body: &[Stmt]) {
        if !self.has(Feature::Loop) {
            let rounds = self.copy(0);
            self.jumping(body, |b, go, leave| {
                let more = b.f.label();
                let limit = Operand::Imm(MOST_VERIFIED_ROUNDS);
                let left = Operand::Reg(rounds);
                b.f.branch(Comparison::Less, left, limit, more, leave);
                b.f.at(more);
                let next = b.alu(AluOp::Add, rounds, 1);
                b.f.set(rounds, next);
                b.condition(condition, go, leave);
            });
            return;
        }
        let mut used = Used::of(body);
        hir::any(condition, &mut |e| used.expr(e));
        let rounds = Operand::Imm(MOST_ROUNDS);
        self.loop_callback(rounds, Operand::Imm(0), used, |b, _| {
            let go = b.f.label();
            let stop = b.f.label();
            b.condition(condition, go, stop);
            b.f.at(stop);
            b.f.end(End::Return(Operand::Imm(1)));
            b.f.at(go);
            b.statements(body);
        });
    }

    pub(super) fn range_loop(
        &mut self,
        variable: VariableId,
        from: &Expr,
        to: &Expr,
        is_signed: bool,
        body: &[Stmt],
    ) {
        let first = self.value(from);
        let last = self.value(to);
        let rounds = match (first, last) {
            (Operand::Imm(a), Operand::Imm(b)) => Some(b.saturating_sub(a)),
            _ => None,
        };
        let is_short = rounds.is_some_and(|n| n <= MOST_UNROLLED);
        if is_short || !self.has(Feature::Loop) {
            let index = self.copy(first);
            let limit = match (is_short, last) {
                (false, Operand::Reg(_)) => {
                    // The verifier must see an end.
                    let most = self.alu(AluOp::Add, first, MOST_VERIFIED_ROUNDS);
                    self.select(Comparison::SignedLess, last, most, last, most)
                }
                _ => last,
            };
            let less = less(is_signed);
            self.jumping_from(
                |b, go, leave| {
                    b.f.branch(less, Operand::Reg(index), limit, go, leave);
                },
                |b| {
                    b.set_variable_scalar(variable, Operand::Reg(index));
                    b.statements(body);
                },
                |b| {
                    let next = b.alu(AluOp::Add, index, 1);
                    b.f.set(index, next);
                },
            );
            return;
        }
        let used = Used::of(body);
        let skip = self.f.label();
        let run = self.f.label();
        self.f.branch(less(is_signed), first, last, run, skip);
        self.f.at(run);
        let rounds = self.alu(AluOp::Sub, last, first);
        let most = MOST_ROUNDS;
        let rounds = self.select(Comparison::Less, rounds, most, rounds, most);
        self.loop_callback(rounds, first, used, |b, index| {
            let start = b.environment(FIRST);
            let value = b.alu(AluOp::Add, start, index);
            b.set_variable_scalar(variable, value);
            b.statements(body);
        });
        self.f.jump(skip);
        self.f.at(skip);
    }

    pub(super) fn map_loop(&mut self, variable: VariableId, map: MapIndex, body: &[Stmt]) {
        let program = self.program;
        let Some(facts) = program.maps.get(map.0 as usize) else {
            return;
        };
        let ty = self.variable_type(variable);
        let used = Used::of(body);
        let (function, environment) = self.callback("each", 4, 3, used, Operand::Imm(0), |b| {
            let key = b.f.param(1);
            let value = b.f.param(2);
            let Home::Memory(to) = b.home_or_new(variable) else {
                return;
            };
            let parts = ty.elements().unwrap_or_default();
            let places = layout(parts.iter().copied());
            b.zero(to, places.size);
            if let (Some(from), Some(part)) = (key, parts.first()) {
                b.copy_bytes(to, Address::reg(from), part.size());
            }
            let at = places.offsets.get(1).copied().unwrap_or(0);
            let to = to.plus(i32::try_from(at).unwrap_or(i32::MAX));
            if let (Some(from), Some(part)) = (value, parts.get(1)) {
                let from = Address::reg(from);
                match &facts.value {
                    MapContent::Plain(_) => b.copy_bytes(to, from, part.size()),
                    MapContent::Aggregate {
                        word, is_signed, ..
                    } => {
                        let total = b.temporary(24, "an aggregate that is read");
                        b.zero(total, 24);
                        word.combine(from, total, *is_signed, b);
                        let value = word.finish(total, *is_signed, b);
                        b.put_scalar(to, value, part);
                    }
                }
            }
            b.statements(body);
        });
        let map = self.map(map);
        let function = Operand::Function(function);
        let object = self.pointer(environment.at);
        let none = Operand::Imm(0);
        self.call_void(helpers::FOR_EACH_MAP_ELEM, &[map, function, object, none]);
        self.after_callback(&environment);
    }

    /// How many keys a map has: the kernel counts as it walks.
    pub fn count_elements(&mut self, map: MapIndex) -> Operand {
        let none = Operand::Imm(0);
        let (function, environment) = self.callback("count", 4, 3, Used::default(), none, |_| ());
        let map = self.map(map);
        let function = Operand::Function(function);
        let object = self.pointer(environment.at);
        Operand::Reg(self.call(helpers::FOR_EACH_MAP_ELEM, &[map, function, object, none]))
    }

    /// A loop of jumps: `head` decides, the body follows.
    fn jumping(
        &mut self,
        body: &[Stmt],
        head: impl FnOnce(&mut Self, crate::ir::Label, crate::ir::Label),
    ) {
        self.jumping_from(head, |b| b.statements(body), |_| ());
    }

    fn jumping_from(
        &mut self,
        head: impl FnOnce(&mut Self, crate::ir::Label, crate::ir::Label),
        body: impl FnOnce(&mut Self),
        step: impl FnOnce(&mut Self),
    ) {
        self.forget_elements();
        let top = self.f.label();
        let go = self.f.label();
        let again = self.f.label();
        let leave = self.f.label();
        self.f.jump(top);
        self.f.at(top);
        self.in_scope(|b| {
            head(b, go, leave);
            b.f.at(go);
            b.loops.push(LoopEnds { leave, again });
            body(b);
            b.loops.pop();
            b.f.jump(again);
            b.f.at(again);
            step(b);
            b.f.jump(top);
        });
        self.f.at(leave);
    }

    /// Runs `body` as often as `rounds` says, at most, until it jumps out; a kernel without
    /// `bpf_loop` cuts it to what it can verify. What the rounds share lies in memory.
    pub(super) fn repeat(&mut self, rounds: i64, body: impl FnOnce(&mut Self)) {
        if self.has(Feature::Loop) {
            let rounds = Operand::Imm(rounds.min(MOST_ROUNDS));
            self.loop_callback(rounds, Operand::Imm(0), Used::default(), |b, _| body(b));
            return;
        }
        let round = self.copy(0);
        let limit = Operand::Imm(rounds.min(MOST_VERIFIED_ROUNDS));
        self.jumping_from(
            |b, go, leave| {
                let left = Operand::Reg(round);
                b.f.branch(Comparison::Less, left, limit, go, leave);
            },
            body,
            |b| {
                let next = b.alu(AluOp::Add, round, 1);
                b.f.set(round, next);
            },
        );
    }

    /// The same by `bpf_loop` alone, with a body that gets `pointer`.
    pub(super) fn repeat_with(
        &mut self,
        rounds: i64,
        pointer: Operand,
        body: impl FnOnce(&mut Self, Operand),
    ) {
        self.loop_callback(Operand::Imm(rounds), pointer, Used::default(), |b, _| {
            let pointer = b.environment(FIRST);
            body(b, pointer);
        });
    }

    /// `bpf_loop` with a body that gets the index of the round.
    fn loop_callback(
        &mut self,
        rounds: Operand,
        first: Operand,
        used: Used,
        body: impl FnOnce(&mut Self, Operand),
    ) {
        let (function, environment) = self.callback("loop", 2, 1, used, first, |b| {
            let index = b.f.param(0).map_or(Operand::Imm(0), Operand::Reg);
            body(b, index);
        });
        let object = self.pointer(environment.at);
        let function = Operand::Function(function);
        let none = Operand::Imm(0);
        self.call_void(helpers::LOOP, &[rounds, function, object, none]);
        self.after_callback(&environment);
    }

    /// Eight bytes of the environment of the callback that is being built.
    fn environment(&mut self, at: i32) -> Operand {
        match self.callback {
            Some(callback) => {
                let address = Address::reg(callback.environment).plus(at);
                Operand::Reg(self.load(address, Size::B8))
            }
            None => Operand::Imm(0),
        }
    }

    /// Builds a callback; gives its number and the environment it was given, which is filled
    /// here, after the body said what it needs.
    fn callback(
        &mut self,
        name: &str,
        params: u32,
        environment_param: usize,
        used: Used,
        first: Operand,
        body: impl FnOnce(&mut Self),
    ) -> (FunctionId, Environment) {
        let changed: Vec<VariableId> = used.0.iter().filter(|(_, is)| *is).map(|v| v.0).collect();
        let captured: Vec<(VariableId, Home)> = used
            .0
            .into_iter()
            .filter_map(|(id, _)| match self.homes.get(id.0 as usize) {
                Some(Home::None) | None => None,
                Some(home) => Some((id, *home)),
            })
            .collect();
        let number = self.begun;
        self.begun += 1;
        let name = format!("{}_{name}{number}", self.symbol);
        let inner = FunctionBuilder::new(name, params, self.f.span);
        let outer = Outer {
            f: std::mem::replace(&mut self.f, inner),
            homes: self.homes.clone(),
            known: std::mem::replace(&mut self.known, vec![HashMap::new()]),
            loops: std::mem::take(&mut self.loops),
            context: self.context,
            scratch: self.scratch,
            site: self.site,
            callback: self.callback,
        };
        let environment = self.f.param(environment_param).unwrap_or(Reg(0));
        self.callback = Some(Callback {
            environment,
            leaves: false,
        });
        let object = Address::reg(environment);
        self.context = self.load(object.plus(CONTEXT), Size::B8);
        self.scratch = self.load(object.plus(SCRATCH), Size::B8);
        self.site = outer
            .site
            .map(|_| Operand::Reg(self.f.load(object.plus(SITE), Size::B8)));
        for home in &mut self.homes {
            *home = Home::None;
        }
        for (index, (id, home)) in captured.iter().enumerate() {
            let at = object.plus(variable_offset(index));
            let inside = match home {
                Home::Memory(_) if !self.variable_type(*id).is_scalar() => {
                    Home::Memory(Address::reg(self.load(at, Size::B8)))
                }
                _ => Home::Memory(at),
            };
            if let Some(slot) = self.homes.get_mut(id.0 as usize) {
                *slot = inside;
            }
        }
        body(self);
        self.f.end(End::Return(Operand::Imm(0)));
        let inner = std::mem::replace(&mut self.f, outer.f);
        let function = self.next_function();
        self.callbacks.push(inner.finish());
        self.homes = outer.homes;
        self.known = outer.known;
        self.loops = outer.loops;
        self.context = outer.context;
        self.scratch = outer.scratch;
        self.site = outer.site;
        let leaves = self.callback.is_some_and(|callback| callback.leaves);
        self.callback = outer.callback;
        let size = variable_offset(captured.len()).unsigned_abs();
        let slot = self.f.slot(size, "what a loop shares");
        let at = Address::frame(slot);
        self.put(at.plus(LEAVE), 0, Size::B8);
        self.put(at.plus(CONTEXT), self.context, Size::B8);
        if self.scratch_most > 0 {
            self.put(at.plus(SCRATCH), self.scratch, Size::B8);
        } else {
            self.put(at.plus(SCRATCH), 0, Size::B8);
        }
        let site = self.site.unwrap_or(Operand::Imm(0));
        self.put(at.plus(SITE), site, Size::B8);
        self.put(at.plus(RESULT), 0, Size::B8);
        self.put(at.plus(FIRST), first, Size::B8);
        let mut zero = None;
        for (index, (id, home)) in captured.iter().enumerate() {
            let to = at.plus(variable_offset(index));
            let is_hidden = changed.contains(id)
                && !matches!(home, Home::None)
                && matches!(self.variable_type(*id), Type::Int(_) | Type::Bool);
            let hidden = is_hidden.then(|| *zero.get_or_insert_with(|| self.unknown_zero()));
            match home {
                Home::Memory(address) if !self.variable_type(*id).is_scalar() => {
                    let pointer = self.pointer(*address);
                    self.put(to, pointer, Size::B8);
                }
                Home::Memory(from) if hidden.is_none() => self.copy_bytes(to, *from, 8),
                Home::Memory(from) => {
                    let value = self.load(*from, Size::B8);
                    self.put_hidden(to, value, hidden);
                }
                Home::Reg(reg) => self.put_hidden(to, *reg, hidden),
                Home::None => {}
            }
        }
        let environment = Environment {
            at,
            captured,
            leaves,
        };
        (function, environment)
    }

    /// Zero, of which the verifier knows nothing.
    ///
    /// A number that it knew before a loop it would follow through every round, and a loop that
    /// counts up to a `break` it would follow past it: it does not know that a callback which
    /// gave 1 is not called again.
    fn unknown_zero(&mut self) -> Reg {
        let zeros = self.in_reg(Operand::Global(self.plan.zero));
        self.load(Address::reg(zeros), Size::B8)
    }

    fn put_hidden(&mut self, to: Address, value: Reg, zero: Option<Reg>) {
        let value = match zero {
            Some(zero) => self.alu(AluOp::Add, value, zero),
            None => value.into(),
        };
        self.put(to, value, Size::B8);
    }

    /// Has the verifier forget what it knows about a word of the frame.
    ///
    /// Before Linux 6.7 it takes what a loop's body leaves there for what is there after the loop:
    /// what becomes of a loop of no rounds is dead code to it, and is removed.
    fn make_unknown(&mut self, word: Address) {
        if !self.has(Feature::RawTracepointCookie) {
            self.atomic_add(word, 0);
        }
    }

    /// Takes back what a loop changed, and leaves the program if its body did.
    fn after_callback(&mut self, environment: &Environment) {
        for (index, (id, home)) in environment.captured.iter().enumerate() {
            let from = environment.at.plus(variable_offset(index));
            let ty = self.variable_type(*id);
            if ty.is_scalar() {
                self.make_unknown(from);
            }
            match home {
                Home::Reg(reg) => {
                    let value = self.load_scalar(from, &ty);
                    self.f.set(*reg, value);
                }
                Home::Memory(to) if ty.is_scalar() => self.copy_bytes(*to, from, 8),
                Home::Memory(_) | Home::None => {}
            }
        }
        if !environment.leaves {
            return;
        }
        self.make_unknown(environment.at.plus(LEAVE));
        let flag = self.load(environment.at.plus(LEAVE), Size::B8);
        self.when(Comparison::NotEqual, flag, 0, |b| {
            let value = b.load(environment.at.plus(RESULT), Size::B8);
            b.set_result(value.into());
            b.leave();
        });
    }
}

/// What a callback was given.
struct Environment {
    at: Address,
    captured: Vec<(VariableId, Home)>,
    /// The callback leaves the program somewhere.
    leaves: bool,
}

/// What is put aside while a callback is built.
struct Outer {
    f: FunctionBuilder,
    homes: Vec<Home>,
    known: Vec<HashMap<String, super::Known>>,
    loops: Vec<LoopEnds>,
    context: Reg,
    scratch: Reg,
    site: Option<Operand>,
    callback: Option<Callback>,
}

fn variable_offset(index: usize) -> i32 {
    VARIABLES + i32::try_from(index * 8).unwrap_or(i32::MAX - VARIABLES)
}

fn less(is_signed: bool) -> Comparison {
    if is_signed {
        Comparison::SignedLess
    } else {
        Comparison::Less
    }
}

/// The scratch variables that a loop's body names, each once, and whether the body changes them.
#[derive(Debug, Default)]
struct Used(Vec<(VariableId, bool)>);

impl Used {
    fn of(statements: &[Stmt]) -> Self {
        let mut used = Self::default();
        used.statements(statements);
        hir::any_in(statements, &mut |e| used.expr(e));
        used
    }

    fn note(&mut self, id: VariableId, is_changed: bool) {
        match self.0.iter_mut().find(|(known, _)| *known == id) {
            Some((_, changed)) => *changed |= is_changed,
            None => self.0.push((id, is_changed)),
        }
    }

    /// Notes what stands at one expression. Always false: the walk goes on.
    fn expr(&mut self, expr: &Expr) -> bool {
        match &expr.kind {
            hir::ExprKind::Variable(id) => self.note(*id, false),
            hir::ExprKind::StepVariable { variable, .. } => self.note(*variable, true),
            hir::ExprKind::Block(statements, _) => self.statements(statements),
            _ => {}
        }
        false
    }

    fn statements(&mut self, statements: &[Stmt]) {
        hir::each_statement(statements, &mut |statement| match &statement.kind {
            hir::StmtKind::SetVariable(id, _) | hir::StmtKind::Clear(id) => self.note(*id, true),
            hir::StmtKind::ForRange { variable, .. } | hir::StmtKind::ForMap { variable, .. } => {
                self.note(*variable, true);
            }
            _ => {}
        });
    }
}
