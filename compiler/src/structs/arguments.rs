//! The arguments of kernel functions and raw tracepoints, from their prototypes.
//!
//! Takes types; gives a struct with one 8-byte slot for each argument, which is how programs
//! that trace them are handed the registers. A slot holds its value in the lowest bytes.

use super::TypeTable;
use crate::btf::TypeId;
use crate::types::{Encoding, Field, Origin, Space, StructRef, Type};
use std::rc::Rc;

/// Bytes of a slot.
const SLOT: u32 = 8;

/// Most slots: what a structure larger than this is passed by is not a register.
const MOST_SLOTS: u32 = 12;

impl TypeTable<'_> {
    /// The arguments of a function or a prototype, as a struct of that name. Pointers point
    /// into `space`. `None` if `function` is neither. A variadic function's unnamed rest, and
    /// what follows an argument that does not fit two registers, is left out.
    pub fn function_arguments(
        &self,
        name: &str,
        function: TypeId,
        space: Space,
    ) -> Option<StructRef> {
        self.btf()?.result(function)?;
        Some(self.slots(name, function, 0, space))
    }

    /// What a function or a prototype returns; `None` if `function` is neither.
    pub fn function_result(&self, function: TypeId, space: Space) -> Option<Type> {
        let result = self.btf()?.result(function)?;
        Some(self.kernel_type(result, space))
    }

    /// The arguments of a tracepoint as its raw programs get them, as a struct of that name;
    /// `None` if the kernel does not describe them.
    pub fn raw_tracepoint_arguments(
        &self,
        name: &str,
        event: &str,
        space: Space,
    ) -> Option<StructRef> {
        let prototype = self.btf()?.tracepoint_handler(event)?;
        // The first parameter is the handler's own.
        Some(self.slots(name, prototype, 1, space))
    }

    fn slots(&self, name: &str, function: TypeId, skipped: usize, space: Space) -> StructRef {
        let mut fields = Vec::new();
        let mut next = 0;
        let parameters = self.btf().into_iter().flat_map(|b| b.parameters(function));
        for (parameter, id) in parameters.skip(skipped) {
            let ty = self.kernel_type(id, space);
            let slots = ty.size().div_ceil(SLOT);
            if slots == 0 || slots > 2 || next + slots > MOST_SLOTS {
                break;
            }
            fields.push(Field {
                name: Rc::from(parameter),
                offset: next * SLOT,
                ty,
                bits: None,
                encoding: Encoding::Plain,
            });
            next += slots;
        }
        StructRef {
            is_union: false,
            name: Rc::from(name),
            size: next * SLOT,
            origin: Origin::Probe(fields.into()),
        }
    }
}
