//! Types: what a value is, how many bytes it takes, how it is laid out, and its name.
//!
//! Kernel structs are nominal: a [`StructRef`] knows its name, size and where its members
//! are to be looked up; members are read only when an access asks for them.

use crate::artifact::StackMode;
use std::fmt;
use std::rc::Rc;

/// Which memory a pointer points into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// Kernel memory: read by the kernel probe-read helpers.
    Kernel,
    /// The current process's memory: read by the user probe-read helpers.
    User,
    /// Memory the verifier lets a program load from directly: the program's context, a
    /// BTF-typed argument.
    Direct,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// What a mistake has; it absorbs further complaints.
    Error,
    /// Not known yet: only while types are being inferred.
    Unknown,
    /// No value.
    Void,
    /// An integer.
    Int(Int),
    /// A truth value; one byte in memory.
    Bool,
    /// An integer whose values have names.
    Enum(EnumRef),
    /// Text of at most that many bytes, its NUL included.
    Str(u32),
    /// Bytes with a length, at most that many.
    Buffer(u32),
    /// An address of a value of that type.
    Pointer(Rc<Type>, Space),
    /// That many elements.
    Array(Rc<Type>, u32),
    /// A struct or union, by value.
    Struct(StructRef),
    /// Values side by side, naturally aligned.
    Tuple(Rc<[Type]>),
    /// The same, with names.
    Record(Rc<[(Rc<str>, Type)]>),
    /// A stack trace.
    Stack(Stack),
    /// An address shown as a kernel symbol.
    KernelSymbol,
    /// An address shown as a user symbol.
    UserSymbol,
    /// An address of the internet, of either family.
    Inet,
    /// A hardware address.
    Mac,
    /// A formatted time.
    Timestamp,
    /// The paths of a cgroup, looked up when it is shown: its id and a filter's text number.
    CgroupPath,
    /// A user id shown as a name.
    Username,
    /// The number of a probe's site, shown as its text.
    Site,
    /// The number of a probe's site, shown as the function it is in.
    SiteFunction,
    /// The number of a text of the manifest, shown as the text.
    TextNumber,
    /// What a map of an aggregation holds.
    Aggregate(Aggregate),
}

/// An integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Int {
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Two's complement if so.
    pub is_signed: bool,
}

/// A C enum.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EnumRef {
    /// Its tag; anonymous enums have an empty one.
    pub name: Rc<str>,
    /// Bytes in memory.
    pub size: u8,
    /// Values and names, in order.
    pub variants: Rc<[(i64, Rc<str>)]>,
}

/// A struct or union, by name and by where its members are found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StructRef {
    /// `struct` or `union`.
    pub is_union: bool,
    /// Its tag; anonymous ones have an empty one.
    pub name: Rc<str>,
    /// Bytes.
    pub size: u32,
    /// Where its members are.
    pub origin: Origin,
}

/// Where a struct's members are found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// In the kernel's BTF, by type id.
    Kernel(u32),
    /// In the debug information of a program, by its number and the type's.
    Program(u32, u32),
    /// In the script's own definitions, by number.
    Script(u32),
    /// Here: a probe's arguments.
    Probe(Rc<[Field]>),
}

/// A member of a struct.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name; empty for an anonymous struct or union.
    pub name: Rc<str>,
    /// Bytes from the start of the struct.
    pub offset: u32,
    /// Its type.
    pub ty: Type,
    /// For a bit-field: first bit, from the least significant of the integer at `offset`,
    /// and width.
    pub bits: Option<(u8, u8)>,
    /// How it is stored where that is not simply its bytes.
    pub encoding: Encoding,
}

/// How a member is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As its bytes.
    Plain,
    /// A 32-bit word whose low half is the distance of the data from the start of the struct
    /// (`__data_loc`): the value is the data's address.
    DataLocation,
    /// The same, from the end of that word (`__rel_loc`).
    RelativeLocation,
}

/// A stack trace's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stack {
    /// User or kernel frames.
    pub is_user: bool,
    /// How it is written.
    pub mode: StackMode,
    /// Most frames.
    pub limit: u32,
    /// User frames by tables of the program even where the script follows no process: the
    /// addresses of calls instead of those where they return to.
    pub is_unwound: bool,
}

impl Stack {
    /// Bytes that all its frames take.
    pub fn stored_size(&self) -> u32 {
        self.limit.saturating_mul(self.mode.frame_size())
    }
}

/// What a map of an aggregation holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Aggregate {
    /// The word's name.
    pub word: &'static str,
    /// Whether a single integer can be had from it: by a cast, in arithmetic.
    pub is_castable: bool,
    /// Whether that integer is signed.
    pub is_signed: bool,
}

/// `uint64`
pub const U64: Type = Type::Int(Int {
    size: 8,
    is_signed: false,
});
/// `int64`
pub const I64: Type = Type::Int(Int {
    size: 8,
    is_signed: true,
});
/// `uint32`
pub const U32: Type = Type::Int(Int {
    size: 4,
    is_signed: false,
});
/// `int32`
pub const I32: Type = Type::Int(Int {
    size: 4,
    is_signed: true,
});
/// `uint8`
pub const U8: Type = Type::Int(Int {
    size: 1,
    is_signed: false,
});
/// `int8`
pub const I8: Type = Type::Int(Int {
    size: 1,
    is_signed: true,
});

impl Type {
    /// Whether it is, or is made of, a struct that the script defines.
    pub fn is_of_script(&self) -> bool {
        match self {
            Type::Struct(of) => matches!(of.origin, Origin::Script(_)),
            Type::Pointer(inner, _) | Type::Array(inner, _) => inner.is_of_script(),
            Type::Tuple(parts) => parts.iter().any(Type::is_of_script),
            Type::Record(parts) => parts.iter().any(|(_, part)| part.is_of_script()),
            _ => false,
        }
    }

    /// Bytes in memory, without padding after it. Aggregations and void have none.
    pub fn size(&self) -> u32 {
        match self {
            Type::Error | Type::Unknown | Type::Void | Type::Aggregate(_) => 0,
            Type::Int(int) => u32::from(int.size),
            Type::Bool => 1,
            Type::Enum(e) => u32::from(e.size),
            Type::Str(capacity) => *capacity,
            Type::Buffer(capacity) => capacity.saturating_add(4),
            Type::Pointer(..)
            | Type::KernelSymbol
            | Type::Username
            | Type::Site
            | Type::SiteFunction
            | Type::TextNumber => 8,
            Type::Array(element, count) => element.size().saturating_mul(*count),
            Type::Struct(s) => s.size,
            Type::Tuple(elements) => layout(elements.iter()).size,
            Type::Record(fields) => layout(fields.iter().map(|(_, ty)| ty)).size,
            Type::Stack(_) | Type::UserSymbol | Type::Timestamp | Type::CgroupPath => 16,
            Type::Inet => 20,
            Type::Mac => 6,
        }
    }

    /// Alignment in bytes inside tuples and records.
    pub fn align(&self) -> u32 {
        match self {
            Type::Int(int) => u32::from(int.size),
            Type::Enum(e) => u32::from(e.size),
            Type::Pointer(..)
            | Type::KernelSymbol
            | Type::Username
            | Type::Site
            | Type::SiteFunction
            | Type::TextNumber
            | Type::Stack(_)
            | Type::UserSymbol
            | Type::Timestamp
            | Type::CgroupPath
            | Type::Struct(_) => 8,
            Type::Buffer(_) | Type::Inet => 4,
            Type::Array(element, _) => element.align(),
            Type::Tuple(elements) => elements.iter().map(Type::align).max().unwrap_or(1),
            Type::Record(fields) => fields.iter().map(|(_, t)| t.align()).max().unwrap_or(1),
            Type::Error
            | Type::Unknown
            | Type::Void
            | Type::Bool
            | Type::Str(_)
            | Type::Mac
            | Type::Aggregate(_) => 1,
        }
    }

    /// Whether a value of it lives in a register; all others live in memory.
    pub fn is_scalar(&self) -> bool {
        matches!(
            self,
            Type::Int(_)
                | Type::Bool
                | Type::Enum(_)
                | Type::Pointer(..)
                | Type::KernelSymbol
                | Type::Username
                | Type::Site
                | Type::SiteFunction
                | Type::TextNumber
        )
    }

    /// Whether it is an integer or an enum.
    pub fn is_integer(&self) -> bool {
        matches!(self, Type::Int(_) | Type::Enum(_))
    }

    /// Whether it absorbs complaints: an error, or not known yet.
    pub fn is_absorbing(&self) -> bool {
        matches!(self, Type::Error | Type::Unknown)
    }

    /// Whether its values are signed integers.
    pub fn is_signed(&self) -> bool {
        match self {
            Type::Int(int) => int.is_signed,
            Type::Enum(_) => true,
            Type::Aggregate(a) => a.is_signed,
            _ => false,
        }
    }

    /// What a text that travels as a number is once its bytes are needed: of texts, and of the
    /// names of probes. `None` for every other type.
    pub fn spelled_out(&self) -> Option<Type> {
        match self {
            Type::TextNumber => Some(Type::Str(64)),
            Type::Site => Some(Type::Str(128)),
            _ => None,
        }
    }

    /// The element types of a tuple or record.
    pub fn elements(&self) -> Option<Vec<&Type>> {
        match self {
            Type::Tuple(elements) => Some(elements.iter().collect()),
            Type::Record(fields) => Some(fields.iter().map(|(_, ty)| ty).collect()),
            _ => None,
        }
    }
}

/// Where the parts of a tuple lie. Padding between them is always written as zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Bytes from the start, one for each part.
    pub offsets: Vec<u32>,
    /// Bytes of all, a multiple of `align`.
    pub size: u32,
    /// Alignment in bytes.
    pub align: u32,
}

/// Lays parts side by side, each at its natural alignment.
pub fn layout<'a>(parts: impl Iterator<Item = &'a Type>) -> Layout {
    let mut layout = Layout {
        offsets: Vec::new(),
        size: 0,
        align: 1,
    };
    for part in parts {
        let align = part.align().max(1);
        let at = layout.size.next_multiple_of(align);
        layout.offsets.push(at);
        layout.size = at.saturating_add(part.size());
        layout.align = layout.align.max(align);
    }
    layout.size = layout.size.next_multiple_of(layout.align);
    layout
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_signed { "" } else { "u" };
        write!(f, "{sign}int{}", u32::from(self.size) * 8)
    }
}

/// The name as messages write it: `uint32`, `string[16]`, `(int8,string[2])`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Error => f.write_str("error"),
            Type::Unknown => f.write_str("none"),
            Type::Void => f.write_str("void"),
            Type::Int(int) => int.fmt(f),
            Type::Bool => f.write_str("bool"),
            Type::Enum(e) => write!(f, "enum {}", e.name),
            Type::Str(capacity) => write!(f, "string[{capacity}]"),
            Type::Buffer(capacity) => write!(f, "buffer[{capacity}]"),
            Type::Pointer(to, _) => match &**to {
                Type::Pointer(..) => write!(f, "{to}*"),
                to => write!(f, "{to} *"),
            },
            Type::Array(element, count) => write!(f, "{element}[{count}]"),
            Type::Struct(s) => {
                let keyword = if s.is_union { "union" } else { "struct" };
                let name = if s.name.is_empty() { "{}" } else { &s.name };
                write!(f, "{keyword} {name}")
            }
            Type::Tuple(elements) => {
                f.write_str("(")?;
                for (i, element) in elements.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str(")")
            }
            Type::Record(fields) => {
                f.write_str("record { ")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}.{name} = {ty}")?;
                }
                f.write_str(" }")
            }
            Type::Stack(stack) => {
                let who = if stack.is_user { "ustack" } else { "kstack" };
                write!(f, "{who}_{}_{}", stack.mode.name(), stack.limit)
            }
            Type::KernelSymbol => f.write_str("ksym_t"),
            Type::UserSymbol => f.write_str("usym_t"),
            Type::Inet => f.write_str("inet"),
            Type::Mac => f.write_str("macaddr_t"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::CgroupPath => f.write_str("cgroup_path_t"),
            Type::Username => f.write_str("username_t"),
            Type::Site | Type::TextNumber => f.write_str("string"),
            Type::SiteFunction => f.write_str("usym_t"),
            Type::Aggregate(a) => {
                let unsigned = if a.is_signed || !a.is_castable || a.word == "count" {
                    ""
                } else {
                    "u"
                };
                write!(f, "{unsigned}{}_t", a.word)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_are_laid_out_by_natural_alignment() {
        let tuple = Type::Tuple(Rc::from([U8, U64, Type::Str(3), U32]));
        let parts = tuple.elements().expect("a tuple");
        let layout = layout(parts.into_iter());
        assert_eq!(layout.offsets, [0, 8, 16, 20]);
        assert_eq!((layout.size, layout.align), (24, 8));
        assert_eq!(tuple.to_string(), "(uint8,uint64,string[3],uint32)");
    }
}
