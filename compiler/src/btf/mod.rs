//! Reads BTF: find a type by name, walk a struct, find an offset.
//!
//! Takes the raw bytes of a kernel's type information, in whatever the host holds them (a
//! mapped file, a vector); gives types by number and by name. Nothing is read before the
//! first question, and no more than it needs: an index grows along the bytes until the answer
//! is found. Never allocates per type, and never panics or loops on malformed bytes: what
//! cannot be read does not exist.
//!
//! Modules describe what they add to the kernel: their numbers and strings go on where the
//! kernel's end, each module's for itself. Here they are told apart by the upper bits of a
//! number, so that one [`Btf`] answers for all of them; [`Btf::raw`] is what the kernel
//! calls a type.

mod builder;
mod declare;
mod index;
mod part;
mod read;
mod search;
#[cfg(test)]
mod tests;

pub use builder::{BtfBuilder, IntEncoding, Linkage, MemberSpec};

use part::{Module, Part};
use read::{Kind, Record, Strings};
use std::fmt;

/// The kernel itself, among modules.
pub const KERNEL: &str = "vmlinux";

/// Bits of a [`TypeId`] that count the types of the kernel or of a module; those above say
/// which module.
const COUNT_BITS: u32 = 22;

/// Number of a type; 0 is `void`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`
    pub const VOID: TypeId = TypeId(0);

    /// The kernel (0), or which module it is of.
    fn number(self) -> u32 {
        self.0 >> COUNT_BITS
    }

    /// Which it is there, counted from 1.
    fn local(self) -> TypeId {
        TypeId(self.0 & ((1 << COUNT_BITS) - 1))
    }

    /// A local one as one of that module.
    fn within(self, number: u32) -> TypeId {
        TypeId(self.0 | number << COUNT_BITS)
    }
}

/// The type information of a kernel, and of its modules.
///
/// Private fields: a [`TypeId`]'s upper bits are 0 for `kernel`, else one more than a place in
/// `modules`. `open` gives a module's bytes when something of it is first asked for.
pub struct Btf {
    kernel: Part,
    modules: Vec<Module>,
    open: Box<OpenModule>,
}

/// Gives the bytes of a module by its name; `None` if they cannot be had.
pub type OpenModule = dyn Fn(&str) -> Option<Box<dyn AsRef<[u8]>>>;

/// Why bytes are not BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BtfError {
    /// Shorter than a header, or than the header says.
    Truncated,
    /// The first two bytes are not BTF's.
    Magic,
    /// BTF of a machine of the other byte order.
    ByteOrder,
    /// A version this reader does not know.
    Version(u8),
}

/// A type as BTF has it. Names are empty where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BtfType<'a> {
    /// No type.
    Void,
    /// An integer.
    Int {
        /// `unsigned int`
        name: &'a str,
        /// Bytes.
        size: u32,
        /// Two's complement if so.
        is_signed: bool,
        /// Marked as a character (compilers seldom do).
        is_char: bool,
        /// `_Bool`
        is_bool: bool,
        /// Bits that carry the value.
        bits: u8,
    },
    /// A pointer to that type.
    Pointer(TypeId),
    /// Elements one after the other.
    Array {
        /// What each is.
        element: TypeId,
        /// How many; 0 for a flexible array.
        count: u32,
    },
    /// A struct or union; its members by [`Btf::members`].
    Struct {
        /// Its tag.
        name: &'a str,
        /// Bytes.
        size: u32,
        /// A union.
        is_union: bool,
    },
    /// An enum; its values by [`Btf::enumerators`].
    Enum {
        /// Its tag.
        name: &'a str,
        /// Bytes.
        size: u32,
        /// Some value is negative.
        is_signed: bool,
    },
    /// A struct or union that is named but not described.
    Forward {
        /// Its tag.
        name: &'a str,
        /// A union.
        is_union: bool,
    },
    /// Another name of a type.
    Typedef {
        /// The new name.
        name: &'a str,
        /// The type.
        to: TypeId,
    },
    /// `const`, `volatile` or `restrict` of a type.
    Modifier(TypeId),
    /// A type with an attribute (`user`, `rcu`, `percpu`).
    TypeTag {
        /// The attribute.
        tag: &'a str,
        /// The type.
        to: TypeId,
    },
    /// A function.
    Function {
        /// Its name.
        name: &'a str,
        /// Its [`BtfType::Prototype`].
        prototype: TypeId,
    },
    /// Result and parameters of a function; the latter by [`Btf::parameters`].
    Prototype {
        /// What it returns.
        result: TypeId,
    },
    /// A variable.
    Variable {
        /// Its name.
        name: &'a str,
        /// Its type.
        ty: TypeId,
    },
    /// A section and the variables in it.
    Section {
        /// `.data..percpu`
        name: &'a str,
        /// Bytes.
        size: u32,
    },
    /// A floating-point number.
    Float {
        /// `double`
        name: &'a str,
        /// Bytes.
        size: u32,
    },
    /// An attribute of a declaration.
    DeclarationTag {
        /// The attribute.
        tag: &'a str,
        /// What it is said of.
        of: TypeId,
    },
}

/// A member of a struct or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its name; empty for an anonymous struct or union.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Bits from the start of the struct.
    pub bit_offset: u32,
    /// Bits, if it is a bit-field.
    pub bit_width: Option<u32>,
}

/// Longest chain of typedefs and modifiers that is followed.
const MOST_LINKS: u32 = 64;

impl Btf {
    /// Type information in `bytes`. Looks at the header only.
    ///
    /// Errors: the header is not one of BTF, or promises more bytes than there are.
    pub fn new(bytes: Box<dyn AsRef<[u8]>>) -> Result<Btf, BtfError> {
        Ok(Btf {
            kernel: Part::new(bytes)?,
            modules: Vec::new(),
            open: Box::new(|_| None),
        })
    }

    /// The same with the kernel's modules: their names, and how to get the bytes of one.
    pub fn with_modules(self, names: Vec<String>, open: Box<OpenModule>) -> Btf {
        let most = (u32::MAX >> COUNT_BITS) as usize;
        let modules = names.into_iter().take(most).map(Module::new);
        Btf {
            modules: modules.collect(),
            open,
            ..self
        }
    }

    /// Names of the modules that are described.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().map(|module| module.name.as_str())
    }

    /// What the kernel calls a type, among those of its module.
    pub fn raw(&self, id: TypeId) -> u32 {
        match id.number() {
            0 => id.0,
            _ => id.local().0 + self.len() - 1,
        }
    }

    /// The module that a type is of; `None` for the kernel's own.
    pub fn module_of(&self, id: TypeId) -> Option<&str> {
        let at = id.number().checked_sub(1)?;
        Some(self.modules.get(at as usize)?.name.as_str())
    }

    /// How many types the kernel itself has, `void` included: numbers below it exist. Indexes
    /// them all.
    pub fn len(&self) -> u32 {
        self.length_of(0)
    }

    /// Whether there is no type but `void`.
    pub fn is_empty(&self) -> bool {
        self.len() <= 1
    }

    /// Every type's number in the kernel itself, `void` left out.
    pub fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        self.ids_in(0)
    }

    /// Every type's number in the modules.
    pub fn module_ids(&self) -> impl Iterator<Item = TypeId> {
        let numbers = 1..=u32::try_from(self.modules.len()).unwrap_or(0);
        numbers.flat_map(|number| self.ids_in(number))
    }

    fn ids_in(&self, number: u32) -> impl Iterator<Item = TypeId> + use<> {
        (1..self.length_of(number)).map(move |local| TypeId(local).within(number))
    }

    fn length_of(&self, number: u32) -> u32 {
        let (Some(part), Some(strings)) = (self.part(number), self.strings(number)) else {
            return 0;
        };
        let mut index = part.index.borrow_mut();
        while index.advance(part.type_bytes(), strings).is_some() {}
        index.len()
    }

    fn number_of(&self, module: &str) -> Option<u32> {
        let at = self.modules.iter().position(|known| known.name == module)?;
        Some(u32::try_from(at).ok()? + 1)
    }

    /// The kernel, or the module of that number, read when first asked for.
    fn part(&self, number: u32) -> Option<&Part> {
        match number.checked_sub(1) {
            None => Some(&self.kernel),
            Some(at) => self.modules.get(at as usize)?.part(&*self.open),
        }
    }

    fn strings(&self, number: u32) -> Option<Strings<'_>> {
        let first = match number {
            0 => &[][..],
            _ => self.kernel.string_bytes(),
        };
        let own = self.part(number)?.string_bytes();
        Some(Strings { first, own })
    }

    /// The type that a record of `id` refers to by the number `raw`.
    fn referred(&self, id: TypeId, raw: u32) -> TypeId {
        let number = id.number();
        if number == 0 || raw < self.len() {
            return TypeId(raw);
        }
        TypeId(raw - self.len() + 1).within(number)
    }

    /// The type of that number; `None` if there is no such type.
    pub fn get(&self, id: TypeId) -> Option<BtfType<'_>> {
        if id == TypeId::VOID {
            return Some(BtfType::Void);
        }
        let record = self.record(id)?;
        let name = self.string(id, record.name);
        let to = self.referred(id, record.size_or_type);
        let size = record.size_or_type;
        Some(match record.kind {
            Kind::Int => {
                let word = record.word(0)?;
                let encoding = word >> 24;
                BtfType::Int {
                    name,
                    size,
                    is_signed: encoding & 1 != 0,
                    is_char: encoding & 2 != 0,
                    is_bool: encoding & 4 != 0,
                    bits: (word & 0xff) as u8,
                }
            }
            Kind::Pointer => BtfType::Pointer(to),
            Kind::Array => BtfType::Array {
                element: self.referred(id, record.word(0)?),
                count: record.word(2)?,
            },
            Kind::Struct | Kind::Union => BtfType::Struct {
                name,
                size,
                is_union: record.kind == Kind::Union,
            },
            Kind::Enum | Kind::Enum64 => BtfType::Enum {
                name,
                size,
                is_signed: record.has_flag,
            },
            Kind::Forward => BtfType::Forward {
                name,
                is_union: record.has_flag,
            },
            Kind::Typedef => BtfType::Typedef { name, to },
            Kind::Const | Kind::Volatile | Kind::Restrict => BtfType::Modifier(to),
            Kind::TypeTag => BtfType::TypeTag { tag: name, to },
            Kind::Function => BtfType::Function {
                name,
                prototype: to,
            },
            Kind::Prototype => BtfType::Prototype { result: to },
            Kind::Variable => BtfType::Variable { name, ty: to },
            Kind::Section => BtfType::Section { name, size },
            Kind::Float => BtfType::Float { name, size },
            Kind::DeclarationTag => BtfType::DeclarationTag { tag: name, of: to },
        })
    }

    /// The type behind typedefs, modifiers and tags; `void` if the chain is broken or endless.
    pub fn resolve(&self, id: TypeId) -> TypeId {
        let mut at = id;
        for _ in 0..MOST_LINKS {
            match self.get(at) {
                Some(
                    BtfType::Typedef { to, .. }
                    | BtfType::Modifier(to)
                    | BtfType::TypeTag { to, .. },
                ) => at = to,
                Some(_) => return at,
                None => return TypeId::VOID,
            }
        }
        TypeId::VOID
    }

    /// [`Btf::resolve`] and [`Btf::get`] in one.
    pub fn resolved(&self, id: TypeId) -> BtfType<'_> {
        self.get(self.resolve(id)).unwrap_or(BtfType::Void)
    }

    /// The type behind modifiers and tags, typedefs kept.
    pub fn unmodified(&self, id: TypeId) -> TypeId {
        let mut at = id;
        for _ in 0..MOST_LINKS {
            match self.get(at) {
                Some(BtfType::Modifier(to) | BtfType::TypeTag { to, .. }) => at = to,
                Some(_) => return at,
                None => return TypeId::VOID,
            }
        }
        TypeId::VOID
    }

    /// Whether the chain of modifiers and tags that starts at `id` (a pointer's target)
    /// carries the attribute `tag`: `user` for pointers into user memory.
    pub fn has_tag(&self, id: TypeId, tag: &str) -> bool {
        let mut at = id;
        for _ in 0..MOST_LINKS {
            match self.get(at) {
                Some(BtfType::TypeTag { tag: found, .. }) if found == tag => return true,
                Some(BtfType::Modifier(to) | BtfType::TypeTag { to, .. }) => at = to,
                _ => return false,
            }
        }
        false
    }

    /// Members of a struct or union, in order; nothing for other types.
    pub fn members(&self, id: TypeId) -> impl Iterator<Item = Member<'_>> {
        let record = self.record_of(id, |kind| matches!(kind, Kind::Struct | Kind::Union));
        let has_widths = record.is_some_and(|r| r.has_flag);
        words(record).map(move |[name, ty, offset]| Member {
            name: self.string(id, name),
            ty: self.referred(id, ty),
            bit_offset: if has_widths {
                offset & 0x00ff_ffff
            } else {
                offset
            },
            bit_width: Some(offset >> 24).filter(|width| has_widths && *width != 0),
        })
    }

    /// Parameters of a function or its prototype, in order; nothing for other types. A
    /// variadic function's last parameter has no name and is `void`.
    pub fn parameters(&self, id: TypeId) -> impl Iterator<Item = (&str, TypeId)> {
        let id = match self.get(id) {
            Some(BtfType::Function { prototype, .. }) => prototype,
            _ => id,
        };
        let record = self.record_of(id, |kind| kind == Kind::Prototype);
        words(record).map(move |[name, ty]| (self.string(id, name), self.referred(id, ty)))
    }

    /// What a function or a prototype returns; `None` for other types.
    pub fn result(&self, id: TypeId) -> Option<TypeId> {
        match self.get(id)? {
            BtfType::Function { prototype, .. } => match self.get(prototype)? {
                BtfType::Prototype { result } => Some(result),
                _ => None,
            },
            BtfType::Prototype { result } => Some(result),
            _ => None,
        }
    }

    /// Names and values of an enum, in order; nothing for other types.
    pub fn enumerators(&self, id: TypeId) -> impl Iterator<Item = (&str, i64)> {
        let record = self.record_of(id, |kind| matches!(kind, Kind::Enum | Kind::Enum64));
        let is_signed = record.is_some_and(|r| r.has_flag);
        let narrow = record.filter(|r| r.kind == Kind::Enum);
        let wide = record.filter(|r| r.kind == Kind::Enum64);
        let narrow = words(narrow).map(move |[name, value]| {
            let value = if is_signed {
                i64::from(value as i32)
            } else {
                i64::from(value)
            };
            (name, value)
        });
        let wide = words(wide)
            .map(|[name, low, high]| (name, (u64::from(high) << 32 | u64::from(low)) as i64));
        narrow
            .chain(wide)
            .map(move |(name, value)| (self.string(id, name), value))
    }

    /// Variables of a section: type of the variable, byte offset, bytes.
    pub fn section_variables(&self, id: TypeId) -> impl Iterator<Item = (TypeId, u32, u32)> {
        let record = self.record_of(id, |kind| kind == Kind::Section);
        words(record).map(move |[ty, offset, size]| (self.referred(id, ty), offset, size))
    }

    /// Bytes a value of that type takes; `None` for what has no size.
    pub fn size_of(&self, id: TypeId) -> Option<u32> {
        self.size_within(id, MOST_LINKS)
    }

    fn size_within(&self, id: TypeId, links: u32) -> Option<u32> {
        match self.resolved(id) {
            BtfType::Int { size, .. }
            | BtfType::Struct { size, .. }
            | BtfType::Enum { size, .. }
            | BtfType::Float { size, .. }
            | BtfType::Section { size, .. } => Some(size),
            BtfType::Pointer(_) => Some(8),
            BtfType::Array { element, count } => self
                .size_within(element, links.checked_sub(1)?)?
                .checked_mul(count),
            BtfType::Variable { ty, .. } => self.size_within(ty, links.checked_sub(1)?),
            _ => None,
        }
    }

    fn record(&self, id: TypeId) -> Option<Record<'_>> {
        let (number, local) = (id.number(), id.local());
        let part = self.part(number)?;
        let types = part.type_bytes();
        let mut index = part.index.borrow_mut();
        while index.len() <= local.0 {
            index.advance(types, self.strings(number)?)?;
        }
        read::record(types, index.offset(local)? as usize).map(|(record, _)| record)
    }

    fn record_of(&self, id: TypeId, wanted: impl Fn(Kind) -> bool) -> Option<Record<'_>> {
        self.record(id).filter(|record| wanted(record.kind))
    }

    /// The string at `offset` of those that `id`'s record names its own by; empty if there is
    /// none or it is not UTF-8.
    fn string(&self, id: TypeId, offset: u32) -> &str {
        let bytes = self.strings(id.number()).map(|strings| strings.at(offset));
        std::str::from_utf8(bytes.unwrap_or(&[])).unwrap_or("")
    }
}

/// The entries after a record's head, `N` words each.
fn words<const N: usize>(record: Option<Record<'_>>) -> impl Iterator<Item = [u32; N]> {
    let tail = record.map_or(&[][..], |r| r.tail);
    tail.chunks_exact(N * 4).map(|chunk| {
        let mut entry = [0; N];
        for (word, bytes) in entry.iter_mut().zip(chunk.chunks_exact(4)) {
            *word = read::u32_of(bytes);
        }
        entry
    })
}

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Btf")
            .field("kernel", &self.kernel)
            .field("modules", &self.modules)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for BtfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BtfError::Truncated => f.write_str("the type information is cut short"),
            BtfError::Magic => f.write_str("this is not BTF"),
            BtfError::ByteOrder => f.write_str("this is BTF of the other byte order"),
            BtfError::Version(version) => write!(f, "BTF version {version} is not known"),
        }
    }
}

impl std::error::Error for BtfError {}
