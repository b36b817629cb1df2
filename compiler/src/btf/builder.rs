//! Writes BTF: for the object's own types, and for fixtures.
//!
//! Takes types in the order in which they get their numbers; gives raw bytes that the kernel
//! accepts. Equal strings are stored once. Does not check that references make sense.

use super::TypeId;
use super::read::{HEADER_SIZE, Kind, MAGIC};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// What an integer's bits mean; combinations are not used by compilers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntEncoding {
    /// An unsigned number.
    Unsigned,
    /// Two's complement.
    Signed,
    /// A truth value.
    Bool,
}

/// A member to be written.
#[derive(Clone, Copy, Debug)]
pub struct MemberSpec<'a> {
    /// Its name; empty for an anonymous struct or union.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Bits from the start.
    pub bit_offset: u32,
    /// Bits, if it is a bit-field.
    pub bit_width: Option<u32>,
}

impl<'a> MemberSpec<'a> {
    /// A member at a whole byte.
    pub fn new(name: &'a str, ty: TypeId, byte_offset: u32) -> Self {
        MemberSpec {
            name,
            ty,
            bit_offset: byte_offset * 8,
            bit_width: None,
        }
    }

    /// A bit-field.
    pub fn bits(name: &'a str, ty: TypeId, bit_offset: u32, width: u32) -> Self {
        MemberSpec {
            name,
            ty,
            bit_offset,
            bit_width: Some(width),
        }
    }
}

/// A hash of texts that nobody chooses to collide but the author of the script: eight bytes at
/// a time, multiplied and turned.
#[derive(Clone, Debug, Default)]
struct Quick(u64);

impl Quick {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.add(u64::from_le_bytes(last) ^ bytes.len() as u64);
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        // The table takes its bits from both ends.
        self.0 ^ self.0 >> 29
    }
}

/// BTF being written.
///
/// Private fields: every string offset in `types` is one of `strings`.
#[derive(Clone, Debug)]
pub struct BtfBuilder {
    types: Vec<Vec<u32>>,
    strings: Vec<u8>,
    offsets: HashMap<String, u32, BuildHasherDefault<Quick>>,
    array_index: Option<TypeId>,
    /// Types and bytes of strings of the kernel, if this is a module's.
    types_before: u32,
    strings_before: u32,
}

impl Default for BtfBuilder {
    fn default() -> Self {
        BtfBuilder::new()
    }
}

impl BtfBuilder {
    /// BTF without types.
    pub fn new() -> Self {
        BtfBuilder {
            types: Vec::new(),
            strings: vec![0],
            offsets: HashMap::default(),
            array_index: None,
            types_before: 0,
            strings_before: 0,
        }
    }

    /// BTF of a module of the kernel that `kernel` describes: numbers and strings go on where
    /// those end. Numbers are those of the bytes, not those that a reader gives.
    pub fn module_of(kernel: &BtfBuilder) -> Self {
        BtfBuilder {
            strings: Vec::new(),
            types_before: u32_of(kernel.types.len()),
            strings_before: u32_of(kernel.strings.len()),
            ..BtfBuilder::new()
        }
    }

    /// The offset of `text` in the string section; a NUL in it ends it.
    pub fn string(&mut self, text: &str) -> u32 {
        let text = text.split('\0').next().unwrap_or("");
        if text.is_empty() {
            return 0;
        }
        if let Some(offset) = self.offsets.get(text) {
            return *offset;
        }
        let offset = u32_of(self.strings.len()) + self.strings_before;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        self.offsets.insert(text.to_owned(), offset);
        offset
    }

    /// A number whose type is given later: for types that refer to each other. Until then it
    /// is an empty struct.
    pub fn reserve(&mut self) -> TypeId {
        self.structure("", 0, &[])
    }

    /// An integer of `size` bytes.
    pub fn int(&mut self, name: &str, size: u32, encoding: IntEncoding) -> TypeId {
        let bits = match encoding {
            IntEncoding::Unsigned => 0,
            IntEncoding::Signed => 1,
            IntEncoding::Bool => 4,
        };
        let name = self.string(name);
        self.push(name, Kind::Int, 0, size, &[(bits << 24) | (size * 8)])
    }

    /// A pointer.
    pub fn pointer(&mut self, to: TypeId) -> TypeId {
        self.push(0, Kind::Pointer, 0, to.0, &[])
    }

    /// An array of `count` elements.
    pub fn array(&mut self, element: TypeId, count: u32) -> TypeId {
        let index = match self.array_index {
            Some(index) => index,
            None => {
                let index = self.int("__ARRAY_SIZE_TYPE__", 4, IntEncoding::Unsigned);
                self.array_index = Some(index);
                index
            }
        };
        self.push(0, Kind::Array, 0, 0, &[element.0, index.0, count])
    }

    /// A struct of `size` bytes.
    pub fn structure(&mut self, name: &str, size: u32, members: &[MemberSpec<'_>]) -> TypeId {
        let id = self.push(0, Kind::Struct, 0, 0, &[]);
        self.structure_at(id, name, size, members);
        id
    }

    /// A union of `size` bytes.
    pub fn union(&mut self, name: &str, size: u32, members: &[MemberSpec<'_>]) -> TypeId {
        let id = self.push(0, Kind::Union, 0, 0, &[]);
        self.record(id, Kind::Union, name, size, members);
        id
    }

    /// Makes a reserved number a struct.
    pub fn structure_at(&mut self, id: TypeId, name: &str, size: u32, members: &[MemberSpec<'_>]) {
        self.record(id, Kind::Struct, name, size, members);
    }

    /// Makes a number a union.
    pub fn union_at(&mut self, id: TypeId, name: &str, size: u32, members: &[MemberSpec<'_>]) {
        self.record(id, Kind::Union, name, size, members);
    }

    fn record(
        &mut self,
        id: TypeId,
        kind: Kind,
        name: &str,
        size: u32,
        members: &[MemberSpec<'_>],
    ) {
        let has_widths = members.iter().any(|m| m.bit_width.is_some());
        let mut tail = Vec::with_capacity(members.len() * 3);
        for member in members {
            tail.push(self.string(member.name));
            tail.push(member.ty.0);
            tail.push(member.bit_width.unwrap_or(0) << 24 | member.bit_offset);
        }
        let flag = u32::from(has_widths) << 31;
        let name = self.string(name);
        let words = words(name, kind, flag | u32_of(members.len()), size, &tail);
        if let Some(slot) = self
            .types
            .get_mut((id.0 as usize).wrapping_sub(self.types_before as usize + 1))
        {
            *slot = words;
        }
    }

    /// An enum of `size` bytes; signed if a value is negative, of the 64-bit kind if `size`
    /// is 8.
    pub fn enumeration(&mut self, name: &str, size: u32, values: &[(&str, i64)]) -> TypeId {
        let is_wide = size == 8;
        let mut tail = Vec::with_capacity(values.len() * 3);
        for (name, value) in values {
            tail.push(self.string(name));
            tail.push(*value as u32);
            if is_wide {
                tail.push((*value >> 32) as u32);
            }
        }
        let kind = if is_wide { Kind::Enum64 } else { Kind::Enum };
        let flag = u32::from(values.iter().any(|(_, v)| *v < 0)) << 31;
        let name = self.string(name);
        self.push(name, kind, flag | u32_of(values.len()), size, &tail)
    }

    /// A struct that is only named.
    pub fn forward(&mut self, name: &str) -> TypeId {
        let name = self.string(name);
        self.push(name, Kind::Forward, 0, 0, &[])
    }

    /// Another name.
    pub fn typedef(&mut self, name: &str, to: TypeId) -> TypeId {
        let name = self.string(name);
        self.push(name, Kind::Typedef, 0, to.0, &[])
    }

    /// `const` of a type.
    pub fn constant(&mut self, of: TypeId) -> TypeId {
        self.push(0, Kind::Const, 0, of.0, &[])
    }

    /// A type with an attribute.
    pub fn type_tag(&mut self, tag: &str, of: TypeId) -> TypeId {
        let tag = self.string(tag);
        self.push(tag, Kind::TypeTag, 0, of.0, &[])
    }

    /// Result and parameters of functions.
    pub fn prototype(&mut self, result: TypeId, parameters: &[(&str, TypeId)]) -> TypeId {
        let mut tail = Vec::with_capacity(parameters.len() * 2);
        for (name, ty) in parameters {
            tail.push(self.string(name));
            tail.push(ty.0);
        }
        let count = u32_of(parameters.len());
        self.push(0, Kind::Prototype, count, result.0, &tail)
    }

    /// A function.
    pub fn function(&mut self, name: &str, prototype: TypeId, linkage: Linkage) -> TypeId {
        let name = self.string(name);
        self.push(name, Kind::Function, linkage as u32, prototype.0, &[])
    }

    /// A variable.
    pub fn variable(&mut self, name: &str, ty: TypeId, linkage: Linkage) -> TypeId {
        let name = self.string(name);
        self.push(name, Kind::Variable, 0, ty.0, &[linkage as u32])
    }

    /// A section of `size` bytes with variables: type, byte offset, bytes.
    pub fn section(&mut self, name: &str, size: u32, variables: &[(TypeId, u32, u32)]) -> TypeId {
        let tail: Vec<u32> = variables
            .iter()
            .flat_map(|(ty, offset, size)| [ty.0, *offset, *size])
            .collect();
        let name = self.string(name);
        self.push(name, Kind::Section, u32_of(variables.len()), size, &tail)
    }

    /// A floating-point number.
    pub fn float(&mut self, name: &str, size: u32) -> TypeId {
        let name = self.string(name);
        self.push(name, Kind::Float, 0, size, &[])
    }

    /// The bytes.
    pub fn finish(&self) -> Vec<u8> {
        let types: usize = self.types.iter().map(|words| words.len() * 4).sum();
        let mut bytes = Vec::with_capacity(HEADER_SIZE + types + self.strings.len());
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&[1, 0]);
        let header = [
            u32_of(HEADER_SIZE),
            0,
            u32_of(types),
            u32_of(types),
            u32_of(self.strings.len()),
        ];
        let words = header.iter().chain(self.types.iter().flatten());
        for word in words {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.strings);
        bytes
    }

    fn push(&mut self, name: u32, kind: Kind, info: u32, size: u32, tail: &[u32]) -> TypeId {
        self.types.push(words(name, kind, info, size, tail));
        TypeId(u32_of(self.types.len()) + self.types_before)
    }
}

/// Whether other objects may see a function or variable; the number is BTF's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Linkage {
    /// They may not; of functions: verified with each caller.
    Static = 0,
    /// They may; of functions: verified once.
    Global = 1,
}

fn words(name: u32, kind: Kind, info: u32, size: u32, tail: &[u32]) -> Vec<u32> {
    let mut words = vec![name, info | (kind as u32) << 24, size];
    words.extend_from_slice(tail);
    words
}

fn u32_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
