//! The arguments of kernel functions and raw tracepoints, from their prototypes.
//!
//! Takes types; gives a struct with one 8-byte slot for each argument, which is how programs
//! that trace them are handed the registers. A slot holds its value in the lowest bytes.

use super::TypeTable;
use super::kernel::Described;
use crate::binary::Signature;
use crate::btf::{BtfType, TypeId};
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

    /// The arguments of a program's function, as a struct of that name: the first `most` that
    /// are passed in general registers, which floating-point numbers are not.
    pub fn program_arguments(
        &self,
        name: &str,
        function: &Rc<Signature>,
        most: u32,
        space: Space,
    ) -> StructRef {
        let mut programs = self.programs.borrow_mut();
        let known = programs
            .iter()
            .position(|known| Rc::ptr_eq(known, function));
        let number = known.unwrap_or_else(|| {
            programs.push(Rc::clone(function));
            programs.len() - 1
        });
        drop(programs);
        let btf = &function.types;
        let from = Described {
            btf,
            program: u32::try_from(number).ok(),
        };
        let mut fields = Vec::new();
        for (parameter, id) in btf.parameters(function.prototype) {
            let is_number = matches!(btf.resolved(id), BtfType::Float { .. });
            let at = u32::try_from(fields.len()).unwrap_or(u32::MAX);
            if is_number || at >= most {
                continue;
            }
            fields.push(Field {
                name: Rc::from(parameter),
                offset: at * SLOT,
                ty: self.type_in(from, id, space),
                bits: None,
                encoding: Encoding::Plain,
            });
        }
        let count = u32::try_from(fields.len()).unwrap_or(0);
        StructRef {
            is_union: false,
            name: Rc::from(name),
            size: count * SLOT,
            origin: Origin::Probe(fields.into()),
        }
    }

    /// Members of a struct of a program.
    pub(super) fn program_fields(&self, number: u32, id: TypeId, space: Space) -> Vec<Field> {
        let programs = self.programs.borrow();
        let Some(function) = programs.get(number as usize).map(Rc::clone) else {
            return Vec::new();
        };
        drop(programs);
        let from = Described {
            btf: &function.types,
            program: Some(number),
        };
        self.fields_in(from, id, space)
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
        module: &str,
        event: &str,
        space: Space,
    ) -> Option<StructRef> {
        let prototype = self.btf()?.tracepoint_handler(module, event)?;
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
