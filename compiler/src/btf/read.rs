//! The bytes of BTF: header, records, strings.
//!
//! Takes slices and offsets; gives what stands there, or nothing. Knows no index and follows
//! no reference.
//!
//! Source: the kernel's `Documentation/bpf/btf.rst` and `include/uapi/linux/btf.h`.

use super::BtfError;
use std::ops::Range;

/// First two bytes, little-endian.
pub(super) const MAGIC: u16 = 0xeb9f;

/// Bytes of the header this reader knows.
pub(super) const HEADER_SIZE: usize = 24;

/// Bytes of every record's head.
pub(super) const HEAD_SIZE: usize = 12;

/// What a record describes; the number is BTF's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Int = 1,
    Pointer = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Forward = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Function = 12,
    Prototype = 13,
    Variable = 14,
    Section = 15,
    Float = 16,
    DeclarationTag = 17,
    TypeTag = 18,
    Enum64 = 19,
}

impl Kind {
    fn from_number(number: u32) -> Option<Kind> {
        Some(match number {
            1 => Kind::Int,
            2 => Kind::Pointer,
            3 => Kind::Array,
            4 => Kind::Struct,
            5 => Kind::Union,
            6 => Kind::Enum,
            7 => Kind::Forward,
            8 => Kind::Typedef,
            9 => Kind::Volatile,
            10 => Kind::Const,
            11 => Kind::Restrict,
            12 => Kind::Function,
            13 => Kind::Prototype,
            14 => Kind::Variable,
            15 => Kind::Section,
            16 => Kind::Float,
            17 => Kind::DeclarationTag,
            18 => Kind::TypeTag,
            19 => Kind::Enum64,
            _ => return None,
        })
    }

    /// Bytes after the head, for `count` entries.
    fn tail_size(self, count: usize) -> usize {
        match self {
            Kind::Int | Kind::Variable | Kind::DeclarationTag => 4,
            Kind::Array => 12,
            Kind::Struct | Kind::Union | Kind::Section | Kind::Enum64 => count * 12,
            Kind::Enum | Kind::Prototype => count * 8,
            Kind::Pointer
            | Kind::Forward
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::Function
            | Kind::Float
            | Kind::TypeTag => 0,
        }
    }
}

/// One type's record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// Offset of its name in the strings.
    pub(super) name: u32,
    /// What it describes.
    pub(super) kind: Kind,
    /// The flag whose meaning depends on the kind.
    pub(super) has_flag: bool,
    /// Bytes of the type, or the type it refers to.
    pub(super) size_or_type: u32,
    /// Its entries.
    pub(super) tail: &'a [u8],
}

impl Record<'_> {
    /// The word of that number after the head.
    pub(super) fn word(&self, number: usize) -> Option<u32> {
        u32_at(self.tail, number * 4)
    }
}

/// Where types and strings lie.
pub(super) fn header(bytes: &[u8]) -> Result<(Range<usize>, Range<usize>), BtfError> {
    let magic = bytes.get(..2).ok_or(BtfError::Truncated)?;
    if magic == MAGIC.to_be_bytes() {
        return Err(BtfError::ByteOrder);
    }
    if magic != MAGIC.to_le_bytes() {
        return Err(BtfError::Magic);
    }
    let version = *bytes.get(2).ok_or(BtfError::Truncated)?;
    if version != 1 {
        return Err(BtfError::Version(version));
    }
    let word = |at| u32_at(bytes, at).ok_or(BtfError::Truncated);
    let header = word(4)? as usize;
    let range = |offset: u32, length: u32| {
        let start = header.checked_add(offset as usize)?;
        let end = start.checked_add(length as usize)?;
        (header >= HEADER_SIZE && end <= bytes.len()).then_some(start..end)
    };
    let types = range(word(8)?, word(12)?).ok_or(BtfError::Truncated)?;
    let strings = range(word(16)?, word(20)?).ok_or(BtfError::Truncated)?;
    Ok((types, strings))
}

/// The record at `offset` and where the next one starts.
pub(super) fn record(types: &[u8], offset: usize) -> Option<(Record<'_>, usize)> {
    let rest = types.get(offset..)?;
    let (head, rest) = rest.split_at_checked(HEAD_SIZE)?;
    let info = u32_at(head, 4)?;
    let kind = Kind::from_number(info >> 24 & 0x1f)?;
    let size = kind.tail_size((info & 0xffff) as usize);
    let record = Record {
        name: u32_at(head, 0)?,
        kind,
        has_flag: info >> 31 != 0,
        size_or_type: u32_at(head, 8)?,
        tail: rest.get(..size)?,
    };
    Some((record, offset + HEAD_SIZE + size))
}

/// The strings that records name theirs by: those of a module go on where the kernel's end.
#[derive(Clone, Copy)]
pub(super) struct Strings<'a> {
    /// The kernel's, if they are a module's; else none.
    pub(super) first: &'a [u8],
    /// The own ones.
    pub(super) own: &'a [u8],
}

impl<'a> Strings<'a> {
    /// What stands from `offset` on; empty past the end.
    pub(super) fn from(self, offset: u32) -> &'a [u8] {
        let offset = offset as usize;
        let found = match offset.checked_sub(self.first.len()) {
            None => self.first.get(offset..),
            Some(offset) => self.own.get(offset..),
        };
        found.unwrap_or(&[])
    }

    /// The bytes of the string at `offset`, without its NUL; empty past the end.
    pub(super) fn at(self, offset: u32) -> &'a [u8] {
        let rest = self.from(offset);
        let end = rest.iter().position(|byte| *byte == 0);
        rest.get(..end.unwrap_or(0)).unwrap_or(&[])
    }

    /// Whether the string at `offset` is `name`.
    pub(super) fn is_at(self, offset: u32, name: &[u8]) -> bool {
        let rest = self.from(offset);
        rest.starts_with(name) && rest.get(name.len()) == Some(&0)
    }
}

/// Four bytes as a number; 0 if there are fewer.
pub(super) fn u32_of(bytes: &[u8]) -> u32 {
    u32_at(bytes, 0).unwrap_or(0)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word))
}
