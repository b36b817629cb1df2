//! Questions by name: which type is called this, and what was probably meant.
//!
//! Takes names; gives the lowest type number that bears one, as the kernel's own search does.

use super::read::{self, Kind};
use super::{Btf, TypeId};
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

    /// The variable of that name (per-CPU variables are all the kernel describes).
    pub fn find_variable(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| kind == Kind::Variable)
    }

    /// The enum that has an enumerator of that name, and its value. Reads all enums.
    pub fn enumerator(&self, name: &str) -> Option<(TypeId, i64)> {
        if name.is_empty() {
            return None;
        }
        let strings = self.string_bytes();
        for id in self.index().enums() {
            // Names are compared as bytes: this loop goes over every enumerator there is.
            let Some(record) = self.record(id) else {
                continue;
            };
            let stride = if record.kind == Kind::Enum64 { 12 } else { 8 };
            let found = record
                .tail
                .chunks_exact(stride)
                .position(|entry| is_at(strings, read::u32_of(entry), name.as_bytes()));
            if let Some((_, value)) = found.and_then(|at| self.enumerators(id).nth(at)) {
                return Some((id, value));
            }
        }
        None
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
        let strings = self.string_bytes();
        let is_it = |id: &TypeId| {
            let record = self.record(*id);
            record.is_some_and(|r| wanted(r.kind) && is_at(strings, r.name, name.as_bytes()))
        };
        // Candidates come highest first.
        self.index()
            .candidates(name.as_bytes())
            .filter(is_it)
            .last()
    }
}

/// Whether the string at `offset` is `name`.
fn is_at(strings: &[u8], offset: u32, name: &[u8]) -> bool {
    let rest = strings.get(offset as usize..).unwrap_or(&[]);
    rest.starts_with(name) && rest.get(name.len()) == Some(&0)
}
