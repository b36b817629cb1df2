//! Events: records in the ring buffer, filled in place.
//!
//! A record begins with its event's number (`u64`). Submitting does not wake userspace,
//! which polls, until as much waits as the wake level says; who wakes it raises the level, so
//! that the records until it runs wake nobody.

use super::{Builder, Fill, MaybeNull};
use crate::artifact::{ENDING, EventField, EventSchema, Param, When};
use crate::hir;
use crate::ir::{Address, AluOp, Comparison, Operand, helpers};
use crate::types::Type;

/// `BPF_RB_NO_WAKEUP`, `BPF_RB_FORCE_WAKEUP`, `BPF_RB_AVAIL_DATA` of `linux/bpf.h`.
const NO_WAKEUP: i64 = 1;
const FORCE_WAKEUP: i64 = 2;
const AVAILABLE_DATA: i64 = 0;

impl Builder<'_> {
    /// Sends an event to the userspace half of `word`: the literals go with the manifest,
    /// the fields' values with the record.
    pub fn event(&mut self, word: &str, params: &[Param], fields: &[hir::Expr]) {
        // Leaving the program between reserving and submitting would leak the record, so
        // what can do that runs before.
        let early: Vec<Option<Early>> = fields
            .iter()
            .map(|field| self.evaluate_early(field))
            .collect();
        let types: Vec<Type> = fields.iter().map(|field| field.ty.clone()).collect();
        self.event_of(word, params, &types, |b, places| {
            for ((field, to), early) in fields.iter().zip(places).zip(early) {
                match early {
                    Some(Early::Scalar(value)) => b.put_scalar(*to, value, &field.ty),
                    Some(Early::Memory(from)) => b.copy_bytes(*to, from, field.ty.size()),
                    None => b.store_as(field, *to, Fill::ToNul),
                }
            }
        });
    }

    /// The same for values that the word writes itself: `fill` gets the place of each, and
    /// neither leaves the program nor calls back.
    pub fn event_of(
        &mut self,
        word: &str,
        params: &[Param],
        fields: &[Type],
        fill: impl FnOnce(&mut Self, &[Address]),
    ) {
        self.send(word, params, fields, false, fill);
    }

    /// The same; an urgent event wakes userspace at once.
    pub(super) fn send(
        &mut self,
        word: &str,
        params: &[Param],
        fields: &[Type],
        is_urgent: bool,
        fill: impl FnOnce(&mut Self, &[Address]),
    ) {
        let mut at = 8;
        let mut schema = Vec::new();
        for ty in fields {
            let align = if ty.size() >= 8 { 8 } else { ty.align().max(1) };
            let offset = u32::next_multiple_of(at, align);
            at = offset.saturating_add(ty.size());
            schema.push(EventField {
                offset,
                shape: self.plan.shape(self.types, ty),
            });
        }
        let size = at.next_multiple_of(8);
        let number = self.manifest.events.len();
        let offsets: Vec<i32> = schema
            .iter()
            .map(|f| i32::try_from(f.offset).unwrap_or(i32::MAX))
            .collect();
        self.manifest.events.push(EventSchema {
            word: word.to_owned(),
            params: params.to_vec(),
            fields: schema,
            size,
            span: self.f.span,
        });
        let number = i64::try_from(number).unwrap_or(0);
        self.record(number, size, is_urgent, |b, record| {
            let places: Vec<Address> = offsets.iter().map(|at| record.plus(*at)).collect();
            fill(b, &places);
        });
    }

    /// Says that tracing ends, for when the event that says so finds no room; no clause but
    /// those of the end sends an event from then on. To be called after that event.
    pub fn end_tracing(&mut self, status: Option<Operand>) {
        let Some(ending) = self.ending() else { return };
        let word = match status {
            Some(status) => {
                let status = self.alu(AluOp::And, status, 0xff);
                self.alu(AluOp::Or, status, ENDING.cast_signed())
            }
            None => Operand::Imm(ENDING.cast_signed()),
        };
        let at = self.in_reg(Operand::Global(ending));
        self.put(Address::reg(at), word, crate::ir::Size::B8);
    }

    /// The word that says whether tracing ends, in clauses that it concerns.
    fn ending(&self) -> Option<u32> {
        let runs_meanwhile = matches!(self.clause.provider.when(), When::Attached | When::Signal);
        self.plan.ending.filter(|_| runs_meanwhile)
    }

    fn record(
        &mut self,
        number: i64,
        size: u32,
        is_urgent: bool,
        fill: impl FnOnce(&mut Self, Address),
    ) {
        let Some(ending) = self.ending() else {
            return self.reserve(number, size, is_urgent, fill);
        };
        let word = self.in_reg(Operand::Global(ending));
        let word = self.load(Address::reg(word), crate::ir::Size::B8);
        self.when(Comparison::Equal, word, 0, |b| {
            b.reserve(number, size, is_urgent, fill);
        });
    }

    fn reserve(
        &mut self,
        number: i64,
        size: u32,
        is_urgent: bool,
        fill: impl FnOnce(&mut Self, Address),
    ) {
        let ring = Operand::Map(self.plan.ring);
        let bytes = Operand::Imm(i64::from(size));
        let pointer = self.call(helpers::RINGBUF_RESERVE, &[ring, bytes, Operand::Imm(0)]);
        self.if_some_else(
            MaybeNull::new(pointer),
            |b, record| {
                b.put(record, number, crate::ir::Size::B8);
                fill(b, record);
                if is_urgent {
                    let record = b.pointer(record);
                    let flags = Operand::Imm(FORCE_WAKEUP);
                    return b.call_void(helpers::RINGBUF_SUBMIT, &[record, flags]);
                }
                let waiting = b.call(
                    helpers::RINGBUF_QUERY,
                    &[ring, Operand::Imm(AVAILABLE_DATA)],
                );
                let level = b.in_reg(Operand::Global(b.plan.wake_level));
                let level = b.load(Address::reg(level), crate::ir::Size::B8);
                let flags = b.copy(NO_WAKEUP);
                b.when(Comparison::Greater, waiting, level, |b| {
                    // One wake-up is enough: the next is due when much more waits, or when
                    // userspace has said again that it sleeps.
                    let next = b.alu(AluOp::Add, waiting, b.plan.wake_step);
                    let at = b.in_reg(Operand::Global(b.plan.wake_level));
                    b.put(Address::reg(at), next, crate::ir::Size::B8);
                    b.set(flags, FORCE_WAKEUP);
                });
                let record = b.pointer(record);
                b.call_void(helpers::RINGBUF_SUBMIT, &[record, flags.into()]);
            },
            |b| {
                let lost = b.in_reg(Operand::Global(b.plan.lost_events));
                b.atomic_add(Address::reg(lost), 1);
            },
        );
    }

    /// The value of an expression that may leave the program or call back, computed now.
    fn evaluate_early(&mut self, expr: &hir::Expr) -> Option<Early> {
        if !super::expr::may_leave(expr) {
            return None;
        }
        Some(if expr.ty.is_scalar() {
            Early::Scalar(self.value(expr))
        } else {
            let to = self.temporary(expr.ty.size(), "an argument");
            self.store(expr, to);
            Early::Memory(to)
        })
    }
}

/// A value that was computed before its record was reserved.
enum Early {
    Scalar(Operand),
    Memory(Address),
}
