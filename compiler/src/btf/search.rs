//! Questions by name: which type is called this, and what was probably meant.
//!
//! Takes names; gives the lowest type number that bears one, as the kernel's own search does.

use super::read::{self, Kind, Record};
use super::{Btf, BtfType, TypeId};
use crate::nearest;

impl Btf {
    /// The struct of that tag.
    pub fn find_struct(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| kind == Kind::Struct)
    }

    /// The union of that tag.
    pub fn find_union(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| kind == Kind::Union)
    }

    /// The enum of that tag.
    pub fn find_enum(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| matches!(kind, Kind::Enum | Kind::Enum64))
    }

    /// The typedef of that name.
    pub fn find_typedef(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| kind == Kind::Typedef)
    }

    /// The integer of that name: `unsigned int`, `_Bool`.
    pub fn find_int(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| kind == Kind::Int)
    }

    /// The function of that name.
    pub fn find_function(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| kind == Kind::Function)
    }

    /// The prototype, or the function, of a tracepoint's handlers: its first parameter is the
    /// handler's own, the others are what the tracepoint passes. With names where the kernel
    /// kept a function of that prototype.
    pub fn tracepoint_handler(&self, event: &str) -> Option<TypeId> {
        let function = self.find_function(&format!("__traceiter_{event}"));
        if let Some(function) =
            function.or_else(|| self.find_function(&format!("__bpf_trace_{event}")))
        {
            return Some(function);
        }
        match self.resolved(self.find_typedef(&format!("btf_trace_{event}"))?) {
            BtfType::Pointer(prototype) => Some(self.resolve(prototype)),
            _ => None,
        }
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
        let strings = self.string_bytes();
        // Names are compared as bytes: this goes over every enumerator there is.
        let position = |record: &Record<'_>| {
            let stride = match record.kind {
                Kind::Enum => 8,
                Kind::Enum64 => 12,
                _ => return None,
            };
            let mut entries = record.tail.chunks_exact(stride);
            entries.position(|entry| is_at(strings, read::u32_of(entry), name.as_bytes()))
        };
        let known: Vec<TypeId> = self.index.borrow().enums().collect();
        let mut known = known.into_iter().filter_map(|id| {
            let at = position(&self.record(id)?)?;
            Some((id, at))
        });
        let (id, at) = known
            .next()
            .or_else(|| self.advance_until(|record| position(record)))?;
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
        self.ids().filter_map(move |id| {
            let record = self.record_of(id, &wanted)?;
            Some((self.string(record.name), id)).filter(|(name, _)| !name.is_empty())
        })
    }

    fn find(&self, name: &str, wanted: impl Fn(Kind) -> bool) -> Option<TypeId> {
        let (types, strings) = (self.type_bytes(), self.string_bytes());
        let name = name.as_bytes();
        if name.is_empty() {
            return None;
        }
        let is_it = |record: &Record<'_>| wanted(record.kind) && is_at(strings, record.name, name);
        // Candidates come highest first, and what is not indexed yet is higher still.
        let index = self.index.borrow();
        let known = index.candidates(name).filter(|id| {
            let place = index.offset(*id);
            let record = place.and_then(|place| read::record(types, place as usize));
            record.is_some_and(|(record, _)| is_it(&record))
        });
        let known = known.last();
        drop(index);
        known.or_else(|| {
            let (id, ()) = self.advance_until(|record| is_it(record).then_some(()))?;
            Some(id)
        })
    }

    /// Indexes further until `test` gives something for a type.
    fn advance_until<T>(&self, test: impl Fn(&Record<'_>) -> Option<T>) -> Option<(TypeId, T)> {
        let (types, strings) = (self.type_bytes(), self.string_bytes());
        let mut index = self.index.borrow_mut();
        loop {
            let (id, record) = index.advance(types, strings)?;
            if let Some(found) = test(&record) {
                return Some((id, found));
            }
        }
    }
}

/// Whether the string at `offset` is `name`.
fn is_at(strings: &[u8], offset: u32, name: &[u8]) -> bool {
    let rest = strings.get(offset as usize..).unwrap_or(&[]);
    rest.starts_with(name) && rest.get(name.len()) == Some(&0)
}
