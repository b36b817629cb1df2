//! The object's own BTF: its maps, its variables, its functions.
//!
//! Takes definitions; gives types in a [`BtfBuilder`]. A map is a variable of a struct whose
//! members are pointers to arrays, and a number is the length of such an array: this is how
//! libbpf reads map definitions out of types.

use crate::btf::{BtfBuilder, IntEncoding, Linkage, MemberSpec, TypeId};

/// What a map is created from.
pub(super) struct MapDefinition {
    pub(super) kind: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
    pub(super) flags: u32,
}

impl MapDefinition {
    /// The attributes that are said; those that are zero need not be.
    fn attributes(&self) -> impl Iterator<Item = (&'static str, u32)> {
        let all = [
            ("type", self.kind),
            ("key_size", self.key_size),
            ("value_size", self.value_size),
            ("max_entries", self.max_entries),
            ("map_flags", self.flags),
        ];
        all.into_iter().filter(|(_, value)| *value != 0)
    }

    /// Bytes of the struct: a pointer for each attribute.
    pub(super) fn size(&self) -> u32 {
        self.attributes().map(|_| 8).sum()
    }
}

/// Types of the object.
pub(super) struct Types {
    pub(super) builder: BtfBuilder,
    byte: TypeId,
    word: TypeId,
    /// `int (void *ctx)`: what every function is said to be.
    prototype: TypeId,
}

impl Types {
    pub(super) fn new() -> Self {
        let mut builder = BtfBuilder::new();
        let byte = builder.int("unsigned char", 1, IntEncoding::Unsigned);
        let word = builder.int("unsigned long", 8, IntEncoding::Unsigned);
        let int = builder.int("int", 4, IntEncoding::Signed);
        let pointer = builder.pointer(TypeId::VOID);
        let prototype = builder.prototype(int, &[("ctx", pointer)]);
        Types {
            builder,
            byte,
            word,
            prototype,
        }
    }

    /// A map's variable.
    pub(super) fn map(&mut self, name: &str, definition: &MapDefinition) -> TypeId {
        let mut members = Vec::new();
        for (attribute, value) in definition.attributes() {
            // Arrays of bytes: the kernel multiplies lengths by element sizes in 32 bits.
            let array = self.builder.array(self.byte, value);
            let pointer = self.builder.pointer(array);
            let offset = members.len() as u32 * 8;
            members.push(MemberSpec::new(attribute, pointer, offset));
        }
        let ty = self.builder.structure("", definition.size(), &members);
        self.builder.variable(name, ty, Linkage::Global)
    }

    /// A variable of the data section.
    pub(super) fn global(&mut self, name: &str, size: u32) -> TypeId {
        let ty = match size {
            8 => self.word,
            size if size.is_multiple_of(8) => self.builder.array(self.word, size / 8),
            size => self.builder.array(self.byte, size),
        };
        self.builder.variable(name, ty, Linkage::Global)
    }

    /// A program, which the verifier starts at, or a function it calls, which is verified
    /// with each caller.
    pub(super) fn function(&mut self, name: &str, is_entry: bool) -> TypeId {
        let linkage = if is_entry {
            Linkage::Global
        } else {
            Linkage::Static
        };
        self.builder.function(name, self.prototype, linkage)
    }

    /// A section that holds exactly these variables; none if there are none.
    pub(super) fn section(&mut self, name: &str, entries: &[(TypeId, u32, u32)]) {
        if let Some((_, offset, size)) = entries.last() {
            self.section_of_size(name, offset + size, entries);
        }
    }

    /// A section of `size` bytes; none if no variable of it is named.
    pub(super) fn section_of_size(
        &mut self,
        name: &str,
        size: u32,
        entries: &[(TypeId, u32, u32)],
    ) {
        if !entries.is_empty() {
            self.builder.section(name, size, entries);
        }
    }
}
