//! From BTF to types.
//!
//! Takes type numbers; gives types and members. Structs stay by number: their members are
//! read when asked for.

use super::TypeTable;
use crate::btf::{Btf, BtfType, Member, TypeId};
use crate::types::{Encoding, EnumRef, Field, Int, Origin, Space, StructRef, Type, U8};
use std::rc::Rc;

/// Pointers and arrays inside each other that are kept apart: beyond, an address is an address.
const MOST_LAYERS: u32 = 16;

/// Where types are described.
#[derive(Clone, Copy)]
pub(super) struct Described<'b> {
    pub(super) btf: &'b Btf,
    /// The number of the program whose debug information it is; none for the kernel.
    pub(super) program: Option<u32>,
}

impl<'b> Described<'b> {
    fn kernel(btf: &'b Btf) -> Described<'b> {
        Described { btf, program: None }
    }

    fn origin(self, id: TypeId) -> Origin {
        match self.program {
            Some(number) => Origin::Program(number, id.0),
            None => Origin::Kernel(id.0),
        }
    }
}

impl TypeTable<'_> {
    /// The type of that number.
    ///
    /// Pointers point into `space`, or into user memory if they say so. A pointer to a function
    /// is one to `void`; an array of `char` is text; what a script cannot compute with
    /// (floating-point numbers, 128-bit integers) is an array of its bytes.
    pub fn kernel_type(&self, id: TypeId, space: Space) -> Type {
        match self.btf() {
            Some(btf) => self.type_in(Described::kernel(btf), id, space),
            None => Type::Void,
        }
    }

    /// The type of that number in one place where types are described.
    pub(super) fn type_in(&self, from: Described<'_>, id: TypeId, space: Space) -> Type {
        self.btf_type(from, id, space, MOST_LAYERS)
    }

    fn btf_type(&self, from: Described<'_>, id: TypeId, space: Space, layers: u32) -> Type {
        let btf = from.btf;
        let id = btf.resolve(id);
        match btf.get(id).unwrap_or(BtfType::Void) {
            BtfType::Int {
                size,
                is_signed,
                is_bool,
                ..
            } => int_type(size, is_signed, is_bool),
            BtfType::Pointer(to) => {
                let space = if btf.has_tag(to, "user") {
                    Space::User
                } else {
                    space
                };
                let to = match layers.checked_sub(1) {
                    Some(layers) => self.btf_type(from, to, space, layers),
                    None => Type::Void,
                };
                Type::Pointer(Rc::new(to), space)
            }
            BtfType::Array { element, count } => {
                if is_text(btf, element) && count > 0 {
                    return Type::Str(count);
                }
                let Some(layers) = layers.checked_sub(1) else {
                    return bytes(btf.size_of(id).unwrap_or(0));
                };
                Type::Array(Rc::new(self.btf_type(from, element, space, layers)), count)
            }
            BtfType::Struct {
                name,
                size,
                is_union,
            } => Type::Struct(StructRef {
                is_union,
                name: Rc::from(name),
                size,
                origin: from.origin(id),
            }),
            BtfType::Enum { name, size, .. } => self.kernel_enum(from, id, name, size),
            BtfType::Forward { name, is_union } => {
                // Described elsewhere, perhaps; otherwise a struct without members.
                let found = if is_union {
                    btf.find_union(name)
                } else {
                    btf.find_struct(name)
                };
                match found {
                    Some(found) => self.btf_type(from, found, space, layers),
                    None => Type::Struct(StructRef {
                        is_union,
                        name: Rc::from(name),
                        size: 0,
                        origin: from.origin(id),
                    }),
                }
            }
            BtfType::Float { size, .. } => bytes(size),
            BtfType::Variable { ty, .. } => match layers.checked_sub(1) {
                Some(layers) => self.btf_type(from, ty, space, layers),
                None => Type::Void,
            },
            // Functions are met behind pointers only.
            BtfType::Void
            | BtfType::Typedef { .. }
            | BtfType::Modifier(_)
            | BtfType::TypeTag { .. }
            | BtfType::Function { .. }
            | BtfType::Prototype { .. }
            | BtfType::Section { .. }
            | BtfType::DeclarationTag { .. } => Type::Void,
        }
    }

    fn kernel_enum(&self, from: Described<'_>, id: TypeId, name: &str, size: u32) -> Type {
        let btf = from.btf;
        let is_kernel = from.program.is_none();
        if let Some(found) = self.kernel_enums.borrow().get(&id)
            && is_kernel
        {
            return Type::Enum(found.clone());
        }
        let Some(size) = int_size(size) else {
            return bytes(size);
        };
        let variants = btf.enumerators(id);
        let found = EnumRef {
            name: Rc::from(name),
            size,
            variants: variants.map(|(n, v)| (v, Rc::from(n))).collect(),
        };
        if is_kernel {
            self.kernel_enums.borrow_mut().insert(id, found.clone());
        }
        Type::Enum(found)
    }

    /// Members of a struct, as they stand.
    pub(super) fn kernel_fields(&self, id: TypeId, space: Space) -> Vec<Field> {
        let Some(btf) = self.btf() else {
            return Vec::new();
        };
        self.fields_in(Described::kernel(btf), id, space)
    }

    /// Members of a struct that is described there, as they stand.
    pub(super) fn fields_in(&self, from: Described<'_>, id: TypeId, space: Space) -> Vec<Field> {
        let members = from.btf.members(id);
        members.map(|m| self.field_of(from, id, m, space)).collect()
    }

    /// The member of that name, anonymous members not looked into.
    pub(super) fn kernel_field(&self, id: TypeId, name: &str, space: Space) -> Option<Field> {
        let known = self
            .kernel_members
            .borrow()
            .get(&(id, space))
            .and_then(|known| {
                let found = known.iter().find(|field| *field.name == *name);
                found.cloned()
            });
        if known.is_some() {
            return known;
        }
        let btf = self.btf()?;
        let member = btf.members(id).find(|m| m.name == name)?;
        let field = self.field_of(Described::kernel(btf), id, member, space);
        let mut all = self.kernel_members.borrow_mut();
        all.entry((id, space)).or_default().push(field.clone());
        Some(field)
    }

    /// The anonymous members.
    pub(super) fn kernel_anonymous(&self, id: TypeId, space: Space) -> Vec<Field> {
        let Some(btf) = self.btf() else {
            return Vec::new();
        };
        let members = btf.members(id).filter(|m| m.name.is_empty());
        let from = Described::kernel(btf);
        members.map(|m| self.field_of(from, id, m, space)).collect()
    }

    fn field_of(&self, from: Described<'_>, of: TypeId, member: Member<'_>, space: Space) -> Field {
        let btf = from.btf;
        let ty = self.btf_type(from, member.ty, space, MOST_LAYERS);
        let (ty, offset, bits) = match member.bit_width {
            Some(width) => {
                let end = btf.size_of(of).unwrap_or(0);
                bit_field(ty, member.bit_offset, width, end)
            }
            None => (ty, member.bit_offset / 8, None),
        };
        Field {
            name: Rc::from(member.name),
            offset,
            ty,
            bits,
            encoding: Encoding::Plain,
        }
    }

    /// Alignment of a kernel struct in C, guessed from where its members lie.
    pub(super) fn kernel_align(&self, id: TypeId, nested: u32) -> u32 {
        let Some(btf) = self.btf() else {
            return 1;
        };
        let size = btf.size_of(id).unwrap_or(0);
        let aligns = btf.members(id).filter_map(|member| {
            let align = align_within(btf, member.ty, nested);
            let fits = size % align == 0 && member.bit_offset % (align * 8) == 0;
            (fits && member.bit_width.is_none()).then_some(align)
        });
        aligns.max().unwrap_or(1)
    }
}

/// Alignment in C of the type of that number.
fn align_within(btf: &Btf, id: TypeId, nested: u32) -> u32 {
    let id = btf.resolve(id);
    match btf.get(id) {
        Some(BtfType::Array { element, .. }) if nested > 0 => {
            align_within(btf, element, nested - 1)
        }
        Some(BtfType::Struct { size, .. }) if nested > 0 => btf
            .members(id)
            .take(64)
            .map(|m| (m.bit_offset, align_within(btf, m.ty, nested - 1)))
            .filter(|(offset, align)| size % align == 0 && offset % 8 == 0)
            .map(|(_, align)| align)
            .max()
            .unwrap_or(1),
        Some(BtfType::Array { .. } | BtfType::Struct { .. }) | None => 1,
        Some(_) => match btf.size_of(id) {
            Some(size) if size.is_power_of_two() && size <= 16 => size,
            _ => 1,
        },
    }
}

/// An integer of `size` bytes, or an array of its bytes if a register does not hold it.
pub(super) fn int_type(size: u32, is_signed: bool, is_bool: bool) -> Type {
    if is_bool && size == 1 {
        return Type::Bool;
    }
    match int_size(size) {
        Some(size) => Type::Int(Int { size, is_signed }),
        None => bytes(size),
    }
}

/// `size`, if it is one of an integer.
pub(super) fn int_size(size: u32) -> Option<u8> {
    match size {
        1 | 2 | 4 | 8 => u8::try_from(size).ok(),
        _ => None,
    }
}

/// `size` bytes without a meaning.
pub(super) fn bytes(size: u32) -> Type {
    Type::Array(Rc::new(U8), size)
}

/// Whether arrays of that type are text: `char`, signed or not, but not `unsigned char`.
fn is_text(btf: &Btf, element: TypeId) -> bool {
    match btf.resolved(element) {
        BtfType::Int {
            name,
            size: 1,
            is_signed,
            is_bool,
            ..
        } => !is_bool && (is_signed || name == "char"),
        _ => false,
    }
}

/// Where a bit-field is read: its type, the offset of an integer of that type's size that
/// holds all of it, and its bits in that integer.
///
/// The integer is aligned and inside the struct's `end` bytes wherever that is possible; the
/// type is widened or narrowed where the declared one does not do.
pub(super) fn bit_field(
    ty: Type,
    bit_offset: u32,
    width: u32,
    end: u32,
) -> (Type, u32, Option<(u8, u8)>) {
    let is_signed = ty.is_signed() && !matches!(ty, Type::Enum(_));
    let place = |size: u32| {
        let offset = bit_offset / (size * 8) * size;
        let first = bit_offset - offset * 8;
        let fits = first + width <= size * 8 && offset + size <= end.max(1);
        fits.then_some((offset, first))
    };
    let narrow = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
    let declared = int_size(ty.size()).map(u32::from);
    let (ty, offset, first) = match declared.and_then(place) {
        Some((offset, first)) => (ty, offset, first),
        None => {
            let found = [1, 2, 4, 8]
                .into_iter()
                .find_map(|size| Some((size, place(size)?)));
            match found {
                Some((size, (offset, first))) => (int_type(size, is_signed, false), offset, first),
                // Packed across an aligned word: whatever eight bytes begin with it.
                None => {
                    let offset = bit_offset / 8;
                    (int_type(8, is_signed, false), offset, bit_offset % 8)
                }
            }
        }
    };
    let room = (ty.size() * 8).saturating_sub(first);
    let width = width.min(room);
    if first == 0 && width == ty.size() * 8 {
        return (ty, offset, None);
    }
    (ty, offset, Some((narrow(first), narrow(width))))
}
