//! The parameters of functions and the lines of source, from a file's debug information.
//!
//! Takes a parsed file and the address of a function; gives its prototype and the types that
//! can be reached from it as BTF, the form in which the compiler knows C types. Types of other
//! languages are given as far as C could have written them. Reads only the unit that the
//! function is in. Never trusts that types end: their number and nesting are bounded.

use std::borrow::Cow;
use std::collections::HashMap;

use gimli::{
    AttributeValue, DebuggingInformationEntry, Dwarf, DwarfSections, EndianSlice, RunTimeEndian,
    SectionId, Unit, UnitOffset, constants as dw,
};
use object::{Object, ObjectSection};
use rbt_compiler::binary::Signature;
use rbt_compiler::btf::{Btf, BtfBuilder, IntEncoding, MemberSpec, TypeId};

type Reader<'d> = EndianSlice<'d, RunTimeEndian>;
type Entry<'d> = DebuggingInformationEntry<Reader<'d>>;

/// Most types that one function may lead to.
const MOST_TYPES: usize = 1 << 15;

/// Most types inside or behind each other.
const MOST_NESTED: u32 = 256;

/// The sections of a file's debug information; `None` if it has none.
fn sections<'d>(file: &object::File<'d>) -> Option<DwarfSections<Cow<'d, [u8]>>> {
    file.section_by_name(SectionId::DebugInfo.name())?;
    let section = |id: SectionId| -> Result<Cow<'d, [u8]>, gimli::Error> {
        let found = file.section_by_name(id.name());
        let data = found.and_then(|section| section.uncompressed_data().ok());
        Ok(data.unwrap_or_default())
    };
    DwarfSections::load(section).ok()
}

fn endian(file: &object::File<'_>) -> RunTimeEndian {
    if file.is_little_endian() {
        RunTimeEndian::Little
    } else {
        RunTimeEndian::Big
    }
}

/// The lowest address of the code for a line of source.
pub(super) fn line(
    file: &object::File<'_>,
    source: &str,
    line: u64,
    column: Option<u64>,
) -> Option<u64> {
    let (sections, endian) = (sections(file)?, endian(file));
    let dwarf = sections.borrow(|bytes| EndianSlice::new(bytes, endian));
    let mut units = dwarf.units();
    let mut lowest: Option<u64> = None;
    while let Ok(Some(header)) = units.next() {
        let Ok(unit) = dwarf.unit(header) else {
            continue;
        };
        let Some(program) = unit.line_program.clone() else {
            continue;
        };
        let mut rows = program.rows();
        // By number: whether it is the file that is meant.
        let mut files: HashMap<u64, bool> = HashMap::new();
        while let Ok(Some((header, row))) = rows.next_row() {
            let is_there = row.line().map(|number| number.get()) == Some(line)
                && (row.is_stmt() || column.is_some())
                && !row.end_sequence()
                && match (column, row.column()) {
                    (None, _) => true,
                    (Some(wanted), gimli::ColumnType::Column(found)) => found.get() == wanted,
                    (Some(wanted), gimli::ColumnType::LeftEdge) => wanted <= 1,
                };
            if !is_there || lowest.is_some_and(|lowest| lowest <= row.address()) {
                continue;
            }
            let is_it = *files.entry(row.file_index()).or_insert_with(|| {
                let name = row.file(header).and_then(|file| {
                    let name = dwarf.attr_string(&unit, file.path_name()).ok()?;
                    let folder = file.directory(header);
                    let folder = folder.and_then(|f| dwarf.attr_string(&unit, f).ok());
                    let folder = folder.map_or(String::new(), |f| f.to_string_lossy().into_owned());
                    Some(format!("{folder}/{}", name.to_string_lossy()))
                });
                name.is_some_and(|name| name == source || name.ends_with(&format!("/{source}")))
            });
            if is_it {
                lowest = Some(row.address());
            }
        }
    }
    lowest
}

/// The prototype of the function that begins at `address`; `None` if nothing describes it.
pub(super) fn signature(file: &object::File<'_>, address: u64) -> Option<Signature> {
    let (sections, endian) = (sections(file)?, endian(file));
    let dwarf = sections.borrow(|bytes| EndianSlice::new(bytes, endian));
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        let Ok(unit) = dwarf.unit(header) else {
            continue;
        };
        if !covers(&dwarf, &unit, address) {
            continue;
        }
        if let Some(function) = function(&dwarf, &unit, address) {
            return Types::new(&dwarf, &unit).signature(function);
        }
    }
    None
}

/// Whether a unit says that it has code at an address.
fn covers(dwarf: &Dwarf<Reader<'_>>, unit: &Unit<Reader<'_>>, address: u64) -> bool {
    let Ok(mut ranges) = dwarf.unit_ranges(unit) else {
        return false;
    };
    while let Ok(Some(range)) = ranges.next() {
        if range.begin <= address && address < range.end {
            return true;
        }
    }
    false
}

/// The entry of the function that begins at an address.
fn function(
    dwarf: &Dwarf<Reader<'_>>,
    unit: &Unit<Reader<'_>>,
    address: u64,
) -> Option<UnitOffset> {
    let mut entries = unit.entries();
    while let Ok(Some(entry)) = entries.next_dfs() {
        if entry.tag() != dw::DW_TAG_subprogram {
            continue;
        }
        let start = entry.attr_value(dw::DW_AT_low_pc);
        let start = start.and_then(|value| dwarf.attr_address(unit, value).ok()?);
        if start == Some(address) {
            return Some(entry.offset());
        }
    }
    None
}

/// Types of one unit on their way to BTF.
struct Types<'a, 'd> {
    dwarf: &'a Dwarf<Reader<'d>>,
    unit: &'a Unit<Reader<'d>>,
    builder: BtfBuilder,
    known: HashMap<UnitOffset, TypeId>,
}

impl<'a, 'd> Types<'a, 'd> {
    fn new(dwarf: &'a Dwarf<Reader<'d>>, unit: &'a Unit<Reader<'d>>) -> Self {
        Types {
            dwarf,
            unit,
            builder: BtfBuilder::new(),
            known: HashMap::new(),
        }
    }

    fn signature(mut self, function: UnitOffset) -> Option<Signature> {
        let entry = self.unit.entry(function).ok()?;
        let mut parameters = Vec::new();
        for child in self.children(function) {
            if child.tag() == dw::DW_TAG_formal_parameter {
                let name = self.through(&child, dw::DW_AT_name);
                let name = name.and_then(|(_, value)| self.text(value));
                let ty = match self.through(&child, dw::DW_AT_type) {
                    Some((_, value)) => self.reference(value, 0),
                    None => TypeId::VOID,
                };
                parameters.push((name.unwrap_or_default(), ty));
            }
        }
        let result = match self.through(&entry, dw::DW_AT_type) {
            Some((_, value)) => self.reference(value, 0),
            None => TypeId::VOID,
        };
        let named: Vec<(&str, TypeId)> = parameters
            .iter()
            .map(|(name, ty)| (name.as_str(), *ty))
            .collect();
        let prototype = self.builder.prototype(result, &named);
        let types = Btf::new(Box::new(self.builder.finish())).ok()?;
        Some(Signature { types, prototype })
    }

    /// The entries right below one.
    fn children(&self, of: UnitOffset) -> Vec<Entry<'d>> {
        let mut found = Vec::new();
        let Ok(mut entries) = self.unit.entries_at_offset(of) else {
            return found;
        };
        let Ok(Some(first)) = entries.next_dfs() else {
            return found;
        };
        let depth = first.depth();
        while let Ok(Some(entry)) = entries.next_dfs() {
            if entry.depth() <= depth {
                break;
            }
            if entry.depth() == depth + 1 {
                found.push(entry.clone());
            }
        }
        found
    }

    /// An attribute of an entry, or of the one that it is an instance of.
    fn through(
        &self,
        entry: &Entry<'d>,
        name: gimli::DwAt,
    ) -> Option<(UnitOffset, AttributeValue<Reader<'d>>)> {
        let mut entry = entry.clone();
        for _ in 0..8 {
            if let Some(value) = entry.attr_value(name) {
                return Some((entry.offset(), value));
            }
            let origin = entry
                .attr_value(dw::DW_AT_abstract_origin)
                .or_else(|| entry.attr_value(dw::DW_AT_specification))?;
            entry = self.unit.entry(self.place(origin)?).ok()?;
        }
        None
    }

    /// Where in this unit a reference leads; others are not followed.
    fn place(&self, value: AttributeValue<Reader<'d>>) -> Option<UnitOffset> {
        match value {
            AttributeValue::UnitRef(offset) => Some(offset),
            AttributeValue::DebugInfoRef(offset) => offset.to_unit_offset(&self.unit.header),
            _ => None,
        }
    }

    fn text(&self, value: AttributeValue<Reader<'d>>) -> Option<String> {
        let text = self.dwarf.attr_string(self.unit, value).ok()?;
        Some(text.to_string_lossy().into_owned())
    }

    fn name(&self, entry: &Entry<'d>) -> String {
        let value = entry.attr_value(dw::DW_AT_name);
        value.and_then(|value| self.text(value)).unwrap_or_default()
    }

    fn reference(&mut self, value: AttributeValue<Reader<'d>>, nested: u32) -> TypeId {
        match self.place(value) {
            Some(offset) => self.convert(offset, nested),
            None => TypeId::VOID,
        }
    }

    /// The type that an entry says it has.
    fn inner(&mut self, entry: &Entry<'d>, nested: u32) -> TypeId {
        match entry.attr_value(dw::DW_AT_type) {
            Some(value) => self.reference(value, nested + 1),
            None => TypeId::VOID,
        }
    }

    fn convert(&mut self, offset: UnitOffset, nested: u32) -> TypeId {
        if let Some(known) = self.known.get(&offset) {
            return *known;
        }
        if nested > MOST_NESTED || self.known.len() > MOST_TYPES {
            return TypeId::VOID;
        }
        let Ok(entry) = self.unit.entry(offset) else {
            return TypeId::VOID;
        };
        let id = match entry.tag() {
            dw::DW_TAG_base_type => self.base(&entry),
            dw::DW_TAG_pointer_type
            | dw::DW_TAG_reference_type
            | dw::DW_TAG_rvalue_reference_type => {
                let to = self.inner(&entry, nested);
                self.builder.pointer(to)
            }
            dw::DW_TAG_const_type => {
                let of = self.inner(&entry, nested);
                self.builder.constant(of)
            }
            dw::DW_TAG_volatile_type | dw::DW_TAG_restrict_type | dw::DW_TAG_atomic_type => {
                self.inner(&entry, nested)
            }
            dw::DW_TAG_typedef => {
                let of = self.inner(&entry, nested);
                let name = self.name(&entry);
                self.builder.typedef(&name, of)
            }
            dw::DW_TAG_structure_type | dw::DW_TAG_class_type | dw::DW_TAG_union_type => {
                return self.structure(&entry, nested);
            }
            dw::DW_TAG_enumeration_type => self.enumeration(&entry),
            dw::DW_TAG_array_type => self.array(&entry, nested),
            _ => TypeId::VOID,
        };
        self.known.insert(offset, id);
        id
    }

    fn base(&mut self, entry: &Entry<'d>) -> TypeId {
        let name = self.name(entry);
        let size = size(entry);
        let encoding = match entry.attr_value(dw::DW_AT_encoding) {
            Some(AttributeValue::Encoding(encoding)) => encoding,
            _ => dw::DW_ATE_unsigned,
        };
        let encoding = match encoding {
            dw::DW_ATE_float | dw::DW_ATE_complex_float => return self.builder.float(&name, size),
            dw::DW_ATE_boolean => IntEncoding::Bool,
            dw::DW_ATE_signed | dw::DW_ATE_signed_char => IntEncoding::Signed,
            _ => IntEncoding::Unsigned,
        };
        self.builder.int(&name, size, encoding)
    }

    fn structure(&mut self, entry: &Entry<'d>, nested: u32) -> TypeId {
        let name = self.name(entry);
        let offset = entry.offset();
        if entry.attr_value(dw::DW_AT_declaration).is_some() {
            let id = self.builder.forward(&name);
            self.known.insert(offset, id);
            return id;
        }
        let is_union = entry.tag() == dw::DW_TAG_union_type;
        // Its members may lead back to it.
        let id = if is_union {
            self.builder.union("", 0, &[])
        } else {
            self.builder.reserve()
        };
        self.known.insert(offset, id);
        let mut members = Vec::new();
        for child in self.children(offset) {
            // What a class inherits is an anonymous member of it.
            let is_base = child.tag() == dw::DW_TAG_inheritance;
            let at = member_place(&child);
            if let Some((bit_offset, bit_width)) = at
                && (is_base || child.tag() == dw::DW_TAG_member)
            {
                let name = if is_base {
                    String::new()
                } else {
                    self.name(&child)
                };
                let ty = self.inner(&child, nested);
                members.push((name, ty, bit_offset, bit_width));
            }
        }
        let members: Vec<MemberSpec<'_>> = members
            .iter()
            .map(|(name, ty, bit_offset, bit_width)| MemberSpec {
                name,
                ty: *ty,
                bit_offset: *bit_offset,
                bit_width: *bit_width,
            })
            .collect();
        if is_union {
            self.builder.union_at(id, &name, size(entry), &members);
        } else {
            self.builder.structure_at(id, &name, size(entry), &members);
        }
        id
    }

    fn enumeration(&mut self, entry: &Entry<'d>) -> TypeId {
        let name = self.name(entry);
        let values: Vec<(String, i64)> = self
            .children(entry.offset())
            .iter()
            .filter(|child| child.tag() == dw::DW_TAG_enumerator)
            .filter_map(|child| {
                let value = child.attr_value(dw::DW_AT_const_value)?;
                let value = match value {
                    AttributeValue::Sdata(value) => value,
                    value => value.udata_value()?.cast_signed(),
                };
                Some((self.name(child), value))
            })
            .collect();
        let values: Vec<(&str, i64)> = values.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        self.builder.enumeration(&name, size(entry), &values)
    }

    fn array(&mut self, entry: &Entry<'d>, nested: u32) -> TypeId {
        let mut ty = self.inner(entry, nested);
        let counts: Vec<u32> = self
            .children(entry.offset())
            .iter()
            .filter(|child| child.tag() == dw::DW_TAG_subrange_type)
            .map(|child| {
                let number = |name| child.attr_value(name).and_then(|v| v.udata_value());
                let count = number(dw::DW_AT_count);
                let last = number(dw::DW_AT_upper_bound).and_then(|last| last.checked_add(1));
                count
                    .or(last)
                    .and_then(|n| u32::try_from(n).ok())
                    .unwrap_or(0)
            })
            .collect();
        for count in counts.iter().rev() {
            ty = self.builder.array(ty, *count);
        }
        ty
    }
}

/// Bytes of a type.
fn size(entry: &Entry<'_>) -> u32 {
    let size = entry.attr_value(dw::DW_AT_byte_size);
    let size = size.and_then(|value| value.udata_value());
    size.and_then(|size| u32::try_from(size).ok()).unwrap_or(0)
}

/// Where a member lies: bits from the start, and how many it is if it is a bit-field. `None` for
/// members that are not in the struct (static ones).
fn member_place(entry: &Entry<'_>) -> Option<(u32, Option<u32>)> {
    let number = |name| -> Option<u64> { entry.attr_value(name)?.udata_value() };
    if entry.attr_value(dw::DW_AT_external).is_some() {
        return None;
    }
    let bytes = number(dw::DW_AT_data_member_location).unwrap_or(0);
    let width = number(dw::DW_AT_bit_size).and_then(|bits| u32::try_from(bits).ok());
    let bits = match (
        number(dw::DW_AT_data_bit_offset),
        number(dw::DW_AT_bit_offset),
    ) {
        (Some(bits), _) => bits,
        // The older form counts from the other end of the integer that the field is in.
        (None, Some(from_top)) => {
            let storage = number(dw::DW_AT_byte_size).unwrap_or(4).checked_mul(8)?;
            let low = storage
                .checked_sub(from_top)?
                .checked_sub(u64::from(width?))?;
            bytes.checked_mul(8)?.checked_add(low)?
        }
        (None, None) => bytes.checked_mul(8)?,
    };
    Some((u32::try_from(bits).ok()?, width))
}
