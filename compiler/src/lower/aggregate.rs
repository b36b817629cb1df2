//! Aggregations: updating this CPU's slot, and reading all slots as one integer.
//!
//! A map whose slots the script reads back is not kept per CPU: its one slot is changed
//! atomically, so one lookup reads it.

use super::Builder;
use super::map::PRESENCE;
use crate::hir::{AggregateUse, Expr, MapContent, MapIndex};
use crate::ir::{Operand, Size, helpers};
use crate::types::Type;
use crate::vocabulary::AggregateCall;

/// Bytes of what [`crate::vocabulary::Aggregation::combine`] may gather in.
const STATE: u32 = 24;

impl Builder<'_> {
    /// The time for aggregations by time: boot-clock nanoseconds, or what the map holds that
    /// stands in for the clock.
    pub fn series_clock(&mut self) -> Operand {
        let program = self.program;
        let wanted = program.config.dummy_ts_map.as_deref();
        let mut maps = (0..).map(MapIndex).zip(&program.maps);
        let stand_in = wanted.and_then(|name| maps.find(|(_, map)| map.name == name));
        if let Some((index, map)) = stand_in
            && let MapContent::Plain(ty @ Type::Int(_)) = &map.value
            && map.key.is_none()
        {
            return self.map_scalar(index, None, ty);
        }
        Operand::Reg(self.call(helpers::KTIME_GET_BOOT_NS, &[]))
    }

    pub(super) fn aggregate(&mut self, map: MapIndex, key: Option<&Expr>, call: &AggregateUse) {
        let program = self.program;
        let Some(MapContent::Aggregate {
            params, is_signed, ..
        }) = program.maps.get(map.0 as usize).map(|m| &m.value)
        else {
            return;
        };
        let value = call.value.as_ref().map(|value| self.value(value));
        let found = self.lookup_or_insert(map, key);
        let facts = AggregateCall {
            params,
            is_signed: *is_signed,
            span: call.span,
        };
        if key.is_none() {
            self.at_keyless(map, found, |b, slot| {
                b.put(slot.plus(-PRESENCE), 1, Size::B8);
                call.word.update(slot, value, &facts, b);
            });
        } else {
            self.if_some(found, |b, slot| call.word.update(slot, value, &facts, b));
        }
    }

    pub(super) fn read_aggregate(&mut self, map: MapIndex, key: Option<&Expr>) -> Operand {
        let program = self.program;
        let Some(MapContent::Aggregate {
            word, is_signed, ..
        }) = program.maps.get(map.0 as usize).map(|m| &m.value)
        else {
            return Operand::Imm(0);
        };
        let total = self.temporary(STATE, "an aggregate that is read");
        self.zero(total, STATE);
        let found = self.lookup(map, key);
        if key.is_none() {
            self.at_keyless(map, found, |b, slot| {
                word.combine(slot, total, *is_signed, b);
            });
        } else {
            self.if_some(found, |b, slot| word.combine(slot, total, *is_signed, b));
        }
        word.finish(total, *is_signed, self)
    }
}
