//! Moves values that found no register to the frame, or makes constants again.
//!
//! Takes a function and the classes of registers to be spilled; rewrites the function. A
//! spilled value has a home: an aligned slot of 8 bytes, written whole (a pointer written in
//! parts is no pointer to the kernel's verifier), or a constant. In the first round, a stretch
//! of a block without calls reads a home once and keeps the value in a new register, a
//! *piece*. A piece that finds no register either is split into pieces of one instruction
//! each, which always do.

use crate::ir::{Address, Base, Function, Inst, InstKind, Operand, Reg, Size, Slot, SlotId};
use rbt_grammar::Span;
use std::collections::HashMap;

/// Where a spilled value is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Home {
    Slot(SlotId),
    Constant(Operand),
}

/// What is known of registers that stand for spilled values.
#[derive(Debug)]
pub(super) struct Homes {
    /// By register: its home and whether it lives for one instruction only.
    pieces: Vec<Option<(Home, bool)>>,
}

impl Homes {
    /// None yet.
    pub(super) fn new(registers: u32) -> Self {
        Homes {
            pieces: vec![None; registers as usize],
        }
    }

    /// Whether the register is a part of a spilled value.
    pub(super) fn is_piece(&self, reg: Reg) -> bool {
        self.of(reg).is_some()
    }

    /// Whether it is a part that cannot be divided further.
    pub(super) fn is_last(&self, reg: Reg) -> bool {
        self.of(reg).is_some_and(|(_, is_last)| is_last)
    }

    fn of(&self, reg: Reg) -> Option<(Home, bool)> {
        self.pieces.get(reg.0 as usize).copied().flatten()
    }

    fn piece(&mut self, function_registers: &mut u32, home: Home, is_last: bool) -> Reg {
        let reg = Reg(*function_registers);
        *function_registers += 1;
        self.pieces.resize(reg.0 as usize, None);
        self.pieces.push(Some((home, is_last)));
        reg
    }
}

/// A register to be replaced.
#[derive(Clone, Copy)]
struct Plan {
    home: Home,
    /// Whether its pieces are to live for one instruction only.
    is_last: bool,
}

/// Replaces the members of each class by pieces.
pub(super) fn rewrite(
    function: &mut Function,
    homes: &mut Homes,
    classes: &[Vec<Reg>],
    constants: &[Option<Operand>],
) {
    let mut plans: Vec<Option<Plan>> = vec![None; function.registers as usize];
    for members in classes {
        let Some(first) = members.first() else {
            continue;
        };
        // A piece is the only member of its class, as is a constant.
        let plan = match (homes.of(*first), constants[first.0 as usize]) {
            (Some((home, _)), _) => Plan {
                home,
                is_last: true,
            },
            (None, Some(constant)) => Plan {
                home: Home::Constant(constant),
                is_last: false,
            },
            (None, None) => Plan {
                home: Home::Slot(new_slot(function)),
                is_last: false,
            },
        };
        for member in members {
            plans[member.0 as usize] = Some(plan);
        }
    }
    let mut cx = Rewriter {
        plans,
        homes,
        registers: function.registers,
        current: HashMap::new(),
        out: Vec::new(),
    };
    for (b, block) in function.blocks.iter_mut().enumerate() {
        cx.current.clear();
        if b == 0 {
            for param in &mut function.params {
                if let Some(plan) = cx.plan(*param) {
                    *param = cx.piece(plan);
                    cx.store(plan, *param, function.span);
                    cx.end_inst(plan);
                }
            }
        }
        for inst in std::mem::take(&mut block.insts) {
            cx.inst(inst);
        }
        if let Some(end) = &mut block.end {
            let mut used = Vec::new();
            end.for_each_use_mut(&mut |reg| {
                if let Some(plan) = cx.plan(*reg) {
                    *reg = cx.load(plan, block.end_span);
                    used.push(plan);
                }
            });
        }
        block.insts = std::mem::take(&mut cx.out);
    }
    function.registers = cx.registers;
    homes.pieces.resize(function.registers as usize, None);
}

fn new_slot(function: &mut Function) -> SlotId {
    let slot = SlotId(u32::try_from(function.slots.len()).unwrap_or(u32::MAX));
    function.slots.push(Slot {
        size: 8,
        name: String::from("a value kept from registers"),
        span: function.span,
    });
    slot
}

struct Rewriter<'a> {
    plans: Vec<Option<Plan>>,
    homes: &'a mut Homes,
    registers: u32,
    /// The piece that holds a home's value at this point of the block.
    current: HashMap<Operand, Reg>,
    out: Vec<Inst>,
}

/// A home as a key: a slot's is its address.
fn key(home: Home) -> Operand {
    match home {
        Home::Slot(slot) => Operand::Frame(slot, 0),
        Home::Constant(constant) => constant,
    }
}

impl Rewriter<'_> {
    fn plan(&self, reg: Reg) -> Option<Plan> {
        self.plans.get(reg.0 as usize).copied().flatten()
    }

    fn piece(&mut self, plan: Plan) -> Reg {
        let reg = self
            .homes
            .piece(&mut self.registers, plan.home, plan.is_last);
        self.current.insert(key(plan.home), reg);
        reg
    }

    /// Forgets a piece that lives for one instruction.
    fn end_inst(&mut self, plan: Plan) {
        if plan.is_last {
            self.current.remove(&key(plan.home));
        }
    }

    fn load(&mut self, plan: Plan, span: Span) -> Reg {
        if let Some(reg) = self.current.get(&key(plan.home)) {
            return *reg;
        }
        let dst = self.piece(plan);
        let kind = load(plan.home, dst);
        self.out.push(Inst { kind, span });
        dst
    }

    fn store(&mut self, plan: Plan, src: Reg, span: Span) {
        if let Home::Slot(slot) = plan.home {
            let kind = InstKind::Store {
                address: Address::frame(slot),
                src: Operand::Reg(src),
                size: Size::B8,
            };
            self.out.push(Inst { kind, span });
        }
    }

    fn inst(&mut self, inst: Inst) {
        let Inst { mut kind, span } = inst;
        if self.is_superseded(&kind) {
            return;
        }
        if self.short_cut(&kind, span) {
            return;
        }
        let mut plans = Vec::new();
        kind.for_each_use_mut(&mut |reg| {
            if let Some(plan) = self.plan(*reg) {
                *reg = self.load(plan, span);
                plans.push(plan);
            }
        });
        if kind.is_call() {
            self.current.clear();
        }
        let mut stored = None;
        if let Some(def) = kind.def_mut()
            && let Some(plan) = self.plan(*def)
        {
            // An instruction that changes a register in place must go on doing so.
            let reg = match self.current.get(&key(plan.home)) {
                Some(reg) => *reg,
                None => self.piece(plan),
            };
            *def = reg;
            stored = Some((plan, reg));
        }
        self.out.push(Inst { kind, span });
        if let Some((plan, reg)) = stored {
            self.store(plan, reg, span);
            plans.push(plan);
        }
        for plan in plans {
            self.end_inst(plan);
        }
    }

    /// Whether the instruction loads or stores a piece's home: its own pieces do that, or
    /// its home is a constant that each of them makes.
    fn is_superseded(&self, kind: &InstKind) -> bool {
        match kind {
            InstKind::Move { dst, src } => self
                .plan(*dst)
                .is_some_and(|plan| plan.home == Home::Constant(*src)),
            InstKind::Load {
                dst: reg,
                address:
                    Address {
                        base: Base::Frame(slot),
                        ..
                    },
                ..
            }
            | InstKind::Store {
                src: Operand::Reg(reg),
                address:
                    Address {
                        base: Base::Frame(slot),
                        ..
                    },
                ..
            } => self
                .plan(*reg)
                .is_some_and(|plan| plan.is_last && plan.home == Home::Slot(*slot)),
            _ => false,
        }
    }

    /// Makes one access to memory of a move from or to it.
    fn short_cut(&mut self, kind: &InstKind, span: Span) -> bool {
        let InstKind::Move { dst, src } = kind else {
            return false;
        };
        let from = match src {
            Operand::Reg(src) => self.plan(*src),
            _ => None,
        };
        let to = self.plan(*dst);
        match (from, to) {
            // Two members of one class.
            (Some(from), Some(to)) if from.home == to.home => true,
            (Some(from), None) if !self.current.contains_key(&key(from.home)) => {
                let kind = load(from.home, *dst);
                self.out.push(Inst { kind, span });
                true
            }
            (None, Some(to)) => {
                let Home::Slot(slot) = to.home else {
                    return false;
                };
                let is_storable = match src {
                    Operand::Reg(_) => true,
                    Operand::Imm(value) => super::legalise::fits_i32(*value),
                    _ => false,
                };
                if is_storable {
                    self.current.remove(&key(to.home));
                    let kind = InstKind::Store {
                        address: Address::frame(slot),
                        src: *src,
                        size: Size::B8,
                    };
                    self.out.push(Inst { kind, span });
                }
                is_storable
            }
            _ => false,
        }
    }
}

fn load(home: Home, dst: Reg) -> InstKind {
    match home {
        Home::Slot(slot) => InstKind::Load {
            dst,
            address: Address::frame(slot),
            size: Size::B8,
        },
        Home::Constant(src) => InstKind::Move { dst, src },
    }
}
