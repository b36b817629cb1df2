//! Questions by name: which type is called this, and what was probably meant.
//!
//! Takes names; gives the lowest type number that bears one, as the kernel's own search does.
//! Types are looked for in the modules if the kernel itself has none of that name; functions
//! only where that is asked for, because a module's stand for themselves alone.

use super::read::{self, Kind, Record};
use super::{Btf, BtfType, KERNEL, TypeId};
use crate::nearest;

/// What stands before an event's name in the type of its handlers.
const HANDLER: &str = "btf_trace_";

impl Btf {
    /// The struct of that tag.
    pub fn find_struct(&self, name: &str) -> Option<TypeId> {
        self.find_anywhere(name, |kind| kind == Kind::Struct)
    }

    /// The union of that tag.
    pub fn find_union(&self, name: &str) -> Option<TypeId> {
        self.find_anywhere(name, |kind| kind == Kind::Union)
    }

    /// The enum of that tag.
    pub fn find_enum(&self, name: &str) -> Option<TypeId> {
        self.find_anywhere(name, |kind| matches!(kind, Kind::Enum | Kind::Enum64))
    }

    /// The typedef of that name.
    pub fn find_typedef(&self, name: &str) -> Option<TypeId> {
        self.find_anywhere(name, |kind| kind == Kind::Typedef)
    }

    /// The integer of that name: `unsigned int`, `_Bool`.
    pub fn find_int(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| kind == Kind::Int)
    }

    /// The function of that name, of the kernel itself.
    pub fn find_function(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| kind == Kind::Function)
    }

    /// The function of that name in a module; in the kernel itself, if the module's name is
    /// empty or [`KERNEL`].
    pub fn find_function_in(&self, module: &str, name: &str) -> Option<TypeId> {
        if module.is_empty() || module == KERNEL {
            return self.find_function(name);
        }
        let number = self.number_of(module)?;
        self.find_in(number, name, |kind| kind == Kind::Function)
    }

    /// The modules that describe a function of that name, the kernel itself ([`KERNEL`])
    /// first.
    pub fn modules_with_function(&self, name: &str) -> Vec<&str> {
        let modules = std::iter::once(KERNEL).chain(self.modules());
        let has_it = |module: &&str| self.find_function_in(module, name).is_some();
        modules.filter(has_it).collect()
    }

    /// The prototype, or the function, of a tracepoint's handlers: its first parameter is the
    /// handler's own, the others are what the tracepoint passes. With names where the kernel
    /// kept a function of that prototype. An empty module stands for the kernel itself.
    pub fn tracepoint_handler(&self, module: &str, event: &str) -> Option<TypeId> {
        let find = |prefix: &str| self.find_function_in(module, &format!("{prefix}{event}"));
        if let Some(function) = find("__traceiter_").or_else(|| find("__bpf_trace_")) {
            return Some(function);
        }
        let number = match module {
            "" | KERNEL => 0,
            _ => self.number_of(module)?,
        };
        let name = format!("{HANDLER}{event}");
        let handler = self.find_in(number, &name, |kind| kind == Kind::Typedef)?;
        match self.resolved(handler) {
            BtfType::Pointer(prototype) => Some(self.resolve(prototype)),
            _ => None,
        }
    }

    /// Modules and names of the tracepoints that are described, in the order of their numbers.
    pub fn tracepoints(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts = (0..).zip(std::iter::once(KERNEL).chain(self.modules()));
        parts.flat_map(move |(number, module)| {
            let names = self.names_in(number, |kind| kind == Kind::Typedef);
            names.filter_map(move |(name, _)| Some((module, name.strip_prefix(HANDLER)?)))
        })
    }

    /// The variable of that name (per-CPU variables are all the kernel describes).
    pub fn find_variable(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| kind == Kind::Variable)
    }

    /// The enum that has an enumerator of that name, and its value. Reads enums up to it.
    pub fn enumerator(&self, name: &str) -> Option<(TypeId, i64)> {
        if name.is_empty() {
            return None;
        }
        let numbers = 0..=u32::try_from(self.modules.len()).unwrap_or(0);
        numbers
            .into_iter()
            .find_map(|number| self.enumerator_in(number, name))
    }

    fn enumerator_in(&self, number: u32, name: &str) -> Option<(TypeId, i64)> {
        let strings = self.strings(number)?;
        let part = self.part(number)?;
        // Names are compared as bytes: this goes over every enumerator there is.
        let position = |record: &Record<'_>| {
            let stride = match record.kind {
                Kind::Enum => 8,
                Kind::Enum64 => 12,
                _ => return None,
            };
            let mut entries = record.tail.chunks_exact(stride);
            entries.position(|entry| strings.is_at(read::u32_of(entry), name.as_bytes()))
        };
        let known: Vec<TypeId> = part.index.borrow().enums().collect();
        let mut known = known.into_iter().filter_map(|id| {
            let id = id.within(number);
            let at = position(&self.record(id)?)?;
            Some((id, at))
        });
        let (id, at) = known
            .next()
            .or_else(|| self.advance_until(number, |record| position(record)))?;
        let (_, value) = self.enumerators(id).nth(at)?;
        Some((id, value))
    }

    /// Names of functions, in the order of their numbers.
    pub fn function_names(&self) -> impl Iterator<Item = (&str, TypeId)> {
        self.names(|kind| kind == Kind::Function)
    }

    /// Tags of structs and unions, in the order of their numbers.
    pub fn struct_names(&self) -> impl Iterator<Item = (&str, TypeId)> {
        self.names(|kind| matches!(kind, Kind::Struct | Kind::Union))
    }

    /// The struct or union tag nearest to a misspelt one.
    pub fn nearest_struct(&self, name: &str) -> Option<&str> {
        nearest::nearest(name, self.struct_names().map(|(name, _)| name))
    }

    /// The function nearest to a misspelt one.
    pub fn nearest_function(&self, name: &str) -> Option<&str> {
        nearest::nearest(name, self.function_names().map(|(name, _)| name))
    }

    fn names(&self, wanted: impl Fn(Kind) -> bool) -> impl Iterator<Item = (&str, TypeId)> {
        self.names_in(0, wanted)
    }

    fn names_in(
        &self,
        number: u32,
        wanted: impl Fn(Kind) -> bool,
    ) -> impl Iterator<Item = (&str, TypeId)> {
        self.ids_in(number).filter_map(move |id| {
            let record = self.record_of(id, &wanted)?;
            Some((self.string(id, record.name), id)).filter(|(name, _)| !name.is_empty())
        })
    }

    /// In the kernel itself, then in the modules.
    fn find_anywhere(&self, name: &str, wanted: impl Fn(Kind) -> bool) -> Option<TypeId> {
        let numbers = 0..=u32::try_from(self.modules.len()).unwrap_or(0);
        numbers
            .into_iter()
            .find_map(|number| self.find_in(number, name, &wanted))
    }

    fn find(&self, name: &str, wanted: impl Fn(Kind) -> bool) -> Option<TypeId> {
        self.find_in(0, name, wanted)
    }

    fn find_in(&self, number: u32, name: &str, wanted: impl Fn(Kind) -> bool) -> Option<TypeId> {
        let (part, strings) = (self.part(number)?, self.strings(number)?);
        let types = part.type_bytes();
        let name = name.as_bytes();
        if name.is_empty() {
            return None;
        }
        let is_it = |record: &Record<'_>| wanted(record.kind) && strings.is_at(record.name, name);
        // Candidates come highest first, and what is not indexed yet is higher still.
        let index = part.index.borrow();
        let known = index.candidates(name).filter(|id| {
            let place = index.offset(*id);
            let record = place.and_then(|place| read::record(types, place as usize));
            record.is_some_and(|(record, _)| is_it(&record))
        });
        let known = known.last().map(|id| id.within(number));
        drop(index);
        known.or_else(|| {
            let (id, ()) = self.advance_until(number, |record| is_it(record).then_some(()))?;
            Some(id)
        })
    }

    /// Indexes further until `test` gives something for a type.
    fn advance_until<T>(
        &self,
        number: u32,
        test: impl Fn(&Record<'_>) -> Option<T>,
    ) -> Option<(TypeId, T)> {
        let (part, strings) = (self.part(number)?, self.strings(number)?);
        let types = part.type_bytes();
        let mut index = part.index.borrow_mut();
        loop {
            let (id, record) = index.advance(types, strings)?;
            if let Some(found) = test(&record) {
                return Some((id.within(number), found));
            }
        }
    }
}
