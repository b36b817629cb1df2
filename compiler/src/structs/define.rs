//! The script's own structs, unions, enums and typedefs, laid out as C lays them out.
//!
//! Takes the tree of C definitions; gives sizes, offsets and bits of the System V ABI of
//! 64-bit machines, and a diagnostic for each definition that has no layout. `char` is
//! signed here, as in the C that people paste.
//!
//! Source: System V ABI, AMD64 supplement, section 3.1.2 (bit-fields included).

use super::kernel::bit_field;
use super::{TypeTable, names};
use crate::btf::TypeId;
use crate::pass::preamble::Macros;
use crate::types::{Encoding, EnumRef, Field, I8, Origin, Space, StructRef, Type, U8};
use rbt_grammar::ast::{
    Attributes, BinaryOp, CBase, CEnum, CField, CItem, CRecord, Expr, ExprKind, RecordKind,
    TagKind, UnaryOp,
};
use rbt_grammar::diagnostic::{Diagnostic, Diagnostics};
use rbt_grammar::{Span, codes};
use std::collections::HashSet;
use std::rc::Rc;

/// Largest struct of a script: larger ones are slips of the pen.
const MOST_BYTES: u64 = 1 << 24;

/// Structs inside structs; the grammar stops earlier.
const MOST_NESTED: u32 = 64;

/// A struct or union of the script.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    is_union: bool,
    name: Rc<str>,
    size: u32,
    align: u32,
    members: Vec<MemberDefinition>,
}

/// One member. Bit-fields keep their place in bits.
#[derive(Clone, Debug)]
struct MemberDefinition {
    name: Rc<str>,
    ty: CType,
    bit_offset: u32,
    width: Option<u32>,
}

/// A type in a definition. What a pointer leads to is looked up when it is asked for, because
/// it may be defined later, or be the struct itself.
#[derive(Clone, Debug)]
pub(super) enum CType {
    /// A type that needs no looking up.
    Known(Type),
    /// `struct S`, `union U`, `enum E` by tag.
    Tagged(TagKind, Rc<str>),
    /// A struct or union of the script, by number.
    Script(u32),
    /// A name that is not a tag.
    Named(Rc<str>),
    /// A pointer.
    Pointer(Box<CType>),
    /// An array.
    Array(Box<CType>, u32),
    /// A floating-point number of that many bytes, aligned to them.
    Float(u32),
}

impl Definition {
    pub(super) fn reference(&self, number: u32) -> StructRef {
        StructRef {
            is_union: self.is_union,
            name: self.name.clone(),
            size: self.size,
            origin: Origin::Script(number),
        }
    }
}

impl TypeTable<'_> {
    /// Takes the script's definitions in order. Constant expressions may use enumerators,
    /// `sizeof` of types known so far, and `macros`. Preprocessor lines are passed over.
    pub fn define(&mut self, items: &[CItem], macros: &Macros) -> Diagnostics {
        let mut define = Define {
            table: self,
            macros,
            diagnostics: Vec::new(),
        };
        for item in items {
            match item {
                CItem::Directive(_) | CItem::Error(_) => {}
                CItem::Record(record) => {
                    define.record(record, MOST_NESTED);
                }
                CItem::Enum(e) => {
                    define.enumeration(e);
                }
                CItem::Typedef { name, field } => {
                    if let Some(ty) = define.field_type(field, MOST_NESTED) {
                        define.table.script_typedefs.insert(name.node.clone(), ty);
                    }
                }
            }
        }
        define.diagnostics
    }

    /// Takes the definitions of headers: those that have a layout here, the first of each name.
    /// The script may define the same names again.
    pub fn define_headers(&mut self, items: &[CItem], macros: &Macros) {
        if items.is_empty() {
            return;
        }
        self.define(items, macros);
        let tags = self.script_tags.keys().chain(self.script_enums.keys());
        self.header_names = tags.cloned().collect();
    }

    /// The members of a script's struct, as they stand.
    pub(super) fn script_fields(&self, number: u32, space: Space) -> Vec<Field> {
        let Some(definition) = self.script.get(number as usize) else {
            return Vec::new();
        };
        let members = definition.members.iter();
        members
            .map(|member| {
                let ty = self.script_type(&member.ty, space);
                let (ty, offset, bits) = match member.width {
                    Some(width) => bit_field(ty, member.bit_offset, width, definition.size),
                    None => (ty, member.bit_offset / 8, None),
                };
                Field {
                    name: member.name.clone(),
                    offset,
                    ty,
                    bits,
                    encoding: Encoding::Plain,
                }
            })
            .collect()
    }

    /// Whether a member of a script's struct is one that the language has no values of.
    pub(super) fn is_float(&self, number: u32, name: &str) -> bool {
        let definition = self.script.get(number as usize);
        definition.is_some_and(|definition| {
            let mut members = definition.members.iter();
            members.any(|m| &*m.name == name && matches!(m.ty, CType::Float(_)))
        })
    }

    /// The type that a definition means.
    pub(super) fn script_type(&self, ty: &CType, space: Space) -> Type {
        match ty {
            CType::Known(ty) => ty.clone(),
            CType::Script(number) => match self.script_struct(*number) {
                Some(found) => Type::Struct(found),
                None => Type::Void,
            },
            CType::Tagged(keyword, tag) => self.tagged(*keyword, tag).unwrap_or_else(|| {
                // Never defined: an address of it can be had, but nothing in it.
                Type::Struct(StructRef {
                    is_union: *keyword == TagKind::Union,
                    name: tag.clone(),
                    size: 0,
                    origin: Origin::Kernel(TypeId::VOID.0),
                })
            }),
            CType::Named(name) => self.named(name, space).unwrap_or(Type::Void),
            CType::Pointer(to) => Type::Pointer(Rc::new(self.script_type(to, space)), space),
            CType::Float(size) => Type::Array(Rc::new(U8), *size),
            CType::Array(element, count) => match self.script_type(element, space) {
                Type::Int(int) if int.size == 1 && int.is_signed && *count > 0 => Type::Str(*count),
                element => Type::Array(Rc::new(element), *count),
            },
        }
    }

    /// Bytes and alignment of a type in C; `None` if it is not complete.
    fn c_layout(&self, ty: &CType) -> Option<(u64, u32)> {
        match ty {
            CType::Script(number) => {
                let definition = self.script.get(*number as usize)?;
                Some((u64::from(definition.size), definition.align))
            }
            CType::Pointer(_) => Some((8, 8)),
            CType::Float(size) => Some((u64::from(*size), *size)),
            CType::Array(element, count) => {
                let (size, align) = self.c_layout(element)?;
                Some((size.checked_mul(u64::from(*count))?, align))
            }
            CType::Known(ty) => self.type_layout(ty),
            CType::Tagged(keyword, tag) => self.type_layout(&self.tagged(*keyword, tag)?),
            CType::Named(name) => self.type_layout(&self.named(name, Space::Kernel)?),
        }
    }

    fn type_layout(&self, ty: &Type) -> Option<(u64, u32)> {
        let align = match ty {
            Type::Void | Type::Error | Type::Unknown => return None,
            Type::Struct(s) => match s.origin {
                Origin::Kernel(id) if id != 0 => self.kernel_align(TypeId(id), 8),
                Origin::Script(number) => self.script.get(number as usize)?.align,
                Origin::Kernel(_) | Origin::Program(..) | Origin::Probe(_) => return None,
            },
            Type::Array(element, _) => self.type_layout(element)?.1,
            ty => ty.align(),
        };
        Some((u64::from(ty.size()), align.max(1)))
    }
}

/// One walk over definitions.
struct Define<'a, 't> {
    table: &'a mut TypeTable<'t>,
    macros: &'a Macros,
    diagnostics: Diagnostics,
}

impl Define<'_, '_> {
    fn error(&mut self, message: impl Into<String>, span: Span, here: &str) {
        let error = Diagnostic::error(codes::C_DEFINITION, message, span, here);
        self.diagnostics.push(error);
    }

    /// Lays out a struct or union; its number, if it has a layout.
    fn record(&mut self, record: &CRecord, nested: u32) -> Option<u32> {
        let nested = nested.checked_sub(1)?;
        let name = record.name.as_ref().map_or("", |name| &name.node);
        let is_union = record.kind == RecordKind::Union;
        let mut layout = RecordLayout {
            is_union,
            is_packed: record.attributes.is_packed,
            bits: 0,
            end: 0,
            align: 1,
        };
        let mut members: Vec<MemberDefinition> = Vec::new();
        let mut names: HashSet<&str> = HashSet::new();
        let mut is_good = true;
        for field in &record.fields {
            match self.member(field, &mut layout, nested) {
                Some(member) => members.extend(member),
                None => is_good = false,
            }
            if let Some(name) = &field.name
                && !names.insert(&name.node)
            {
                let message = format!("member '{}' is defined twice", name.node);
                self.error(message, name.span, "the second");
                is_good = false;
            }
        }
        layout.align = layout
            .align
            .max(self.alignment(record.attributes, record.span));
        let bytes = layout.end.div_ceil(8);
        let size = bytes.next_multiple_of(u64::from(layout.align));
        if size > MOST_BYTES {
            self.error("this struct is too large", record.span, "more than 16 MiB");
            is_good = false;
        }
        if let Some(tag) = record.name.as_ref()
            && self.table.script_tags.contains_key(name)
            && !self.table.header_names.contains(name)
        {
            let message = format!("'{name}' is defined twice");
            self.error(message, tag.span, "the second definition");
            is_good = false;
        }
        if !is_good {
            return None;
        }
        let number = u32::try_from(self.table.script.len()).ok()?;
        self.table.script.push(Definition {
            is_union,
            name: Rc::from(name),
            size: u32::try_from(size).ok()?,
            align: layout.align,
            members,
        });
        if !name.is_empty() {
            self.table.script_tags.insert(name.to_owned(), number);
        }
        Some(number)
    }

    /// Places a member. `Some(None)` for a bit-field that only makes room.
    fn member(
        &mut self,
        field: &CField,
        layout: &mut RecordLayout,
        nested: u32,
    ) -> Option<Option<MemberDefinition>> {
        let ty = self.field_type(field, nested)?;
        let Some((size, align)) = self.table.c_layout(&ty) else {
            let here = match &field.base {
                CBase::Named(name) if name.node == "void" => "has no size",
                CBase::Named(_) => "this type is not known",
                _ => "this type is not defined",
            };
            self.error("a member needs a complete type", field.span, here);
            return None;
        };
        let is_packed = layout.is_packed || field.attributes.is_packed;
        let own = if is_packed && field.bits.is_none() {
            1
        } else {
            align
        };
        let align = own.max(self.alignment(field.attributes, field.span));
        if size > MOST_BYTES {
            self.error("this member is too large", field.span, "more than 16 MiB");
            return None;
        }
        let name = field.name.as_ref().map(|name| Rc::from(name.node.as_str()));
        let Some(bits) = &field.bits else {
            return Some(Some(MemberDefinition {
                name: name.unwrap_or_else(|| Rc::from("")),
                ty,
                bit_offset: u32::try_from(layout.place(size, align)).ok()?,
                width: None,
            }));
        };
        let resolved = self.table.script_type(&ty, Space::Kernel);
        let is_integer = matches!(resolved, Type::Int(_) | Type::Bool | Type::Enum(_));
        let width = self.constant(bits)?;
        let most = if resolved == Type::Bool { 1 } else { size * 8 };
        let width = match u32::try_from(width) {
            Ok(width) if is_integer && u64::from(width) <= most => width,
            _ => {
                let here = format!("a width of 0 to {most} is possible");
                self.error("this bit-field has no place", field.span, &here);
                return None;
            }
        };
        let bit_offset = u32::try_from(layout.place_bits(size, align, width, name.is_some()));
        let member = name.map(|name| MemberDefinition {
            name,
            ty,
            bit_offset: bit_offset.unwrap_or(u32::MAX),
            width: Some(width),
        });
        Some(member)
    }

    /// The alignment that attributes ask for, 1 if none.
    fn alignment(&mut self, attributes: Attributes, span: Span) -> u32 {
        let align = attributes.align.max(1);
        if align.is_power_of_two() && u64::from(align) <= MOST_BYTES {
            return align;
        }
        let here = format!("{align} is none that a machine has");
        self.error("an alignment is a power of two", span, &here);
        1
    }

    fn field_type(&mut self, field: &CField, nested: u32) -> Option<CType> {
        let mut ty = match &field.base {
            CBase::Named(name) => self.named(&name.node),
            CBase::Tagged(keyword, name) => CType::Tagged(*keyword, Rc::from(name.node.as_str())),
            CBase::Record(record) => CType::Script(self.record(record, nested)?),
            CBase::Enum(e) => CType::Known(self.enumeration(e)?),
        };
        for _ in 0..field.pointers {
            ty = CType::Pointer(Box::new(ty));
        }
        if field.is_function_pointer {
            ty = CType::Pointer(Box::new(CType::Known(Type::Void)));
        }
        for dimension in field.dimensions.iter().rev() {
            let count = self.constant(dimension)?;
            let Ok(count) = u32::try_from(count) else {
                let here = format!("the length is {count}");
                self.error("an array needs a length", dimension.span, &here);
                return None;
            };
            ty = CType::Array(Box::new(ty), count);
        }
        Some(ty)
    }

    fn named(&self, name: &str) -> CType {
        if self.table.script_typedefs.contains_key(name) {
            return CType::Named(Rc::from(name));
        }
        match name {
            "char" => CType::Known(I8),
            "float" => CType::Float(4),
            "double" => CType::Float(8),
            "long double" | "double long" | "__float128" => CType::Float(16),
            name => match names::well_known(name) {
                Some(ty) => CType::Known(ty),
                None => CType::Named(Rc::from(name)),
            },
        }
    }

    fn enumeration(&mut self, e: &CEnum) -> Option<Type> {
        let mut variants: Vec<(i64, Rc<str>)> = Vec::new();
        let mut next = 0i64;
        for (name, value) in &e.variants {
            if let Some(value) = value {
                next = self.constant(value)?;
            }
            variants.push((next, Rc::from(name.node.as_str())));
            next = next.wrapping_add(1);
        }
        let is_wide = |v: &i64| i32::try_from(*v).is_err() && u32::try_from(*v).is_err();
        let size = if variants.iter().any(|(v, _)| is_wide(v)) {
            8
        } else {
            4
        };
        let tag = e.name.as_ref().map_or("", |name| &name.node);
        let found = EnumRef {
            name: Rc::from(tag),
            size,
            variants: variants.into(),
        };
        let ty = Type::Enum(found.clone());
        for (value, name) in found.variants.iter() {
            let known = &mut self.table.script_enumerators;
            known.insert(name.to_string(), (ty.clone(), *value));
        }
        if let Some(name) = &e.name {
            let enums = &mut self.table.script_enums;
            let is_again = enums.insert(name.node.clone(), found).is_some();
            if is_again && !self.table.header_names.contains(&name.node) {
                let message = format!("'{}' is defined twice", name.node);
                self.error(message, name.span, "the second definition");
            }
        }
        Some(ty)
    }

    /// The value of a constant expression.
    fn constant(&mut self, expr: &Expr) -> Option<i64> {
        let value = self.value(expr, MOST_NESTED);
        if value.is_none() {
            self.error(
                "this is not a constant",
                expr.span,
                "C definitions take integers, enumerators and macros",
            );
        }
        value
    }

    fn value(&self, expr: &Expr, nested: u32) -> Option<i64> {
        let nested = nested.checked_sub(1)?;
        match &expr.kind {
            ExprKind::Int(n) => Some(*n as i64),
            ExprKind::Bool(b) => Some(i64::from(*b)),
            ExprKind::Identifier(name) => {
                let known = self.macros.value(name);
                known.or_else(|| self.table.enumerator(name).map(|(_, value)| value))
            }
            ExprKind::Unary { op, operand } => {
                let x = self.value(operand, nested)?;
                match op {
                    UnaryOp::Negate => Some(x.wrapping_neg()),
                    UnaryOp::Not => Some(i64::from(x == 0)),
                    UnaryOp::Complement => Some(!x),
                    UnaryOp::Dereference | UnaryOp::AddressOf => None,
                }
            }
            ExprKind::Binary {
                op, left, right, ..
            } => apply(*op, self.value(left, nested)?, self.value(right, nested)?),
            ExprKind::Ternary {
                condition,
                then,
                otherwise,
            } => {
                let condition = self.value(condition, nested)?;
                match then {
                    Some(then) if condition != 0 => self.value(then, nested),
                    None if condition != 0 => Some(condition),
                    _ => self.value(otherwise, nested),
                }
            }
            ExprKind::Sizeof(of) => self.size_of(of),
            _ => None,
        }
    }

    fn size_of(&self, of: &rbt_grammar::ast::TypeOrExpr) -> Option<i64> {
        use rbt_grammar::ast::{TypeBase, TypeOrExpr, TypeSuffix};
        let TypeOrExpr::Type(name) = of else {
            return None;
        };
        let ty = match &name.base {
            TypeBase::Named(name) => self.named(name),
            TypeBase::Tagged(keyword, tag) => CType::Tagged(*keyword, Rc::from(tag.as_str())),
            TypeBase::Typeof(_) => return None,
        };
        let size = match name.suffixes.as_slice() {
            [] => self.table.c_layout(&ty)?.0,
            [TypeSuffix::Pointer] => 8,
            _ => return None,
        };
        i64::try_from(size).ok()
    }
}

/// Where the next member goes.
struct RecordLayout {
    is_union: bool,
    is_packed: bool,
    /// Bits used so far; stays 0 in a union.
    bits: u64,
    /// Bits of the longest so far.
    end: u64,
    /// Of the whole.
    align: u32,
}

impl RecordLayout {
    /// The bit at which a member of `size` bytes begins.
    fn place(&mut self, size: u64, align: u32) -> u64 {
        self.align = self.align.max(align);
        let at = self.bits.next_multiple_of(u64::from(align) * 8);
        self.take(at, size.saturating_mul(8));
        at
    }

    /// The bit at which a bit-field of a type of `size` bytes begins. A width of 0 ends the
    /// integer that bit-fields were put in.
    fn place_bits(&mut self, size: u64, align: u32, width: u32, is_named: bool) -> u64 {
        let unit = size * 8;
        let width = u64::from(width);
        if width == 0 {
            let at = self.bits.next_multiple_of(unit);
            self.take(at, 0);
            return at;
        }
        let mut at = self.bits;
        if !self.is_packed {
            let crosses = at / unit != (at + width - 1) / unit;
            if crosses {
                at = at.next_multiple_of(unit);
            }
            if is_named {
                self.align = self.align.max(align);
            }
        }
        self.take(at, width);
        at
    }

    fn take(&mut self, at: u64, bits: u64) {
        let end = at.saturating_add(bits);
        self.end = self.end.max(end);
        if !self.is_union {
            self.bits = end;
        }
    }
}

/// C's arithmetic on 64-bit integers; `None` for a division by zero.
pub(crate) fn apply(op: BinaryOp, a: i64, b: i64) -> Option<i64> {
    let shift = u32::try_from(b).ok().filter(|n| *n < 64);
    Some(match op {
        BinaryOp::Multiply => a.wrapping_mul(b),
        BinaryOp::Divide if b == 0 => return None,
        BinaryOp::Divide => a.wrapping_div(b),
        BinaryOp::Remainder if b == 0 => return None,
        BinaryOp::Remainder => a.wrapping_rem(b),
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Subtract => a.wrapping_sub(b),
        BinaryOp::ShiftLeft => a.wrapping_shl(shift?),
        BinaryOp::ShiftRight => a.wrapping_shr(shift?),
        BinaryOp::Less => i64::from(a < b),
        BinaryOp::LessEqual => i64::from(a <= b),
        BinaryOp::Greater => i64::from(a > b),
        BinaryOp::GreaterEqual => i64::from(a >= b),
        BinaryOp::Equal => i64::from(a == b),
        BinaryOp::NotEqual => i64::from(a != b),
        BinaryOp::BitAnd => a & b,
        BinaryOp::BitXor => a ^ b,
        BinaryOp::BitOr => a | b,
        BinaryOp::And => i64::from(a != 0 && b != 0),
        BinaryOp::Or => i64::from(a != 0 || b != 0),
    })
}
