//! The shape in which a value of a type reaches userspace.
//!
//! Takes a type; gives a description that needs no type table any more.

use super::{MOST_MEMBERS, MOST_NESTED, TypeTable};
use crate::artifact::{FieldShape, MapId, Shape};
use crate::types::{Encoding, Origin, Space, Stack, StructRef, Type, layout};

impl TypeTable<'_> {
    /// How a value of `ty` lies in bytes and what it means. `stack_map` says which map holds
    /// the frames of a stack of that kind. Structs nested too deeply, or too large to be
    /// shown, have no shape from there on.
    pub fn shape(&self, ty: &Type, stack_map: &dyn Fn(&Stack) -> MapId) -> Shape {
        let walk = Walk {
            table: self,
            stack_map,
        };
        walk.shape(ty, MOST_NESTED, &mut MOST_MEMBERS.clone())
    }
}

struct Walk<'a> {
    table: &'a TypeTable<'a>,
    stack_map: &'a dyn Fn(&Stack) -> MapId,
}

impl Walk<'_> {
    fn shape(&self, ty: &Type, nested: u32, budget: &mut usize) -> Shape {
        let (Some(nested), Some(rest)) = (nested.checked_sub(1), budget.checked_sub(1)) else {
            return Shape::None;
        };
        *budget = rest;
        match ty {
            Type::Error | Type::Unknown | Type::Void | Type::Aggregate(_) => Shape::None,
            Type::Int(int) => Shape::Int {
                size: int.size,
                is_signed: int.is_signed,
            },
            Type::Bool => Shape::Bool,
            Type::Enum(e) => Shape::Enum {
                size: e.size,
                names: e
                    .variants
                    .iter()
                    .map(|(v, n)| (*v, n.to_string()))
                    .collect(),
            },
            Type::Str(capacity) => Shape::Text {
                capacity: *capacity,
            },
            Type::Buffer(capacity) => Shape::Buffer {
                capacity: *capacity,
            },
            Type::Pointer(..) => Shape::Pointer,
            Type::Array(element, count) => Shape::Array {
                element: Box::new(self.shape(element, nested, budget)),
                stride: element.size(),
                count: *count,
            },
            Type::Struct(s) => Shape::Struct(self.members(s, nested, budget)),
            Type::Tuple(elements) => {
                let offsets = layout(elements.iter()).offsets;
                let shapes = elements.iter().map(|ty| self.shape(ty, nested, budget));
                Shape::Tuple(offsets.into_iter().zip(shapes).collect())
            }
            Type::Record(fields) => {
                let offsets = layout(fields.iter().map(|(_, ty)| ty)).offsets;
                let fields = offsets.into_iter().zip(fields.iter());
                Shape::Struct(
                    fields
                        .map(|(offset, (name, ty))| FieldShape {
                            name: name.to_string(),
                            offset,
                            shape: self.shape(ty, nested, budget),
                            bits: None,
                        })
                        .collect(),
                )
            }
            Type::Stack(stack) => Shape::Stack {
                map: (self.stack_map)(stack),
                is_user: stack.is_user,
                mode: stack.mode,
                limit: stack.limit,
            },
            Type::KernelSymbol => Shape::KernelSymbol,
            Type::UserSymbol => Shape::UserSymbol,
            Type::Inet => Shape::Inet,
            Type::Mac => Shape::Mac,
            Type::Timestamp => Shape::Timestamp,
            Type::CgroupPath => Shape::CgroupPath,
            Type::Username => Shape::Username,
            Type::Site => Shape::Site,
            Type::SiteFunction => Shape::SiteFunction,
            Type::TextNumber => Shape::TextNumber,
        }
    }

    fn members(&self, of: &StructRef, nested: u32, budget: &mut usize) -> Vec<FieldShape> {
        let fields = self.table.fields(of, Space::Kernel);
        let is_float = |name: &str| match of.origin {
            Origin::Script(number) => self.table.is_float(number, name),
            Origin::Kernel(_) | Origin::Program(..) | Origin::Probe(_) => false,
        };
        fields
            .into_iter()
            .map(|field| FieldShape {
                name: field.name.to_string(),
                offset: field.offset,
                shape: match field.encoding {
                    _ if is_float(&field.name) => Shape::None,
                    Encoding::Plain => self.shape(&field.ty, nested, budget),
                    // The word that says where the data is: the data itself is elsewhere.
                    Encoding::DataLocation | Encoding::RelativeLocation => Shape::Int {
                        size: 4,
                        is_signed: false,
                    },
                },
                bits: field.bits,
            })
            .collect()
    }
}
