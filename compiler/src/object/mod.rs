//! Writes the eBPF object: an ELF that any BPF loader takes.
//!
//! Takes the manifest's maps, globals and program plans, the encoded functions of each
//! program, and the sources for line information; gives bytes. The same input gives the same
//! bytes. What only rbt knows (attach points, cookies, records) stays in the manifest.
//!
//! The file: `license`; one section for each section name of the plans, a sized global symbol
//! for each program in it; `.text` with the subprograms and callbacks of all programs, each a
//! sized local symbol; `.maps` and `.bss`; `.BTF` and `.BTF.ext`.
//!
//! Source: libbpf's conventions, as `Documentation/bpf/libbpf/` and its `libbpf.c` have them;
//! the kernel's `Documentation/bpf/btf.rst`, section 4.

mod lines;
#[cfg(test)]
mod tests;
mod types;

use crate::artifact::{Manifest, MapId, ProgramKind, Storage};
use crate::backend::{Code, Insn, RelocationTarget};
use ::object::write::{
    Object, Relocation, SectionId, StandardSection, StandardSegment, Symbol, SymbolId,
    SymbolSection,
};
use ::object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope,
};
use lines::Lines;
use rbt_grammar::SourceMap;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use types::Types;

/// Bytes of an instruction.
const INSN_SIZE: u64 = 8;

/// Load of a 64-bit constant, the one instruction that takes two slots.
const LD_IMM64: u8 = 0x18;

/// Call of a function, `bpf_call`.
const CALL: u8 = 0x85;

/// `BPF_PSEUDO_CALL`: the callee is a function of the program.
const PSEUDO_CALL: u8 = 1;

/// Relocation of a 64-bit constant (`R_BPF_64_64`).
const RELOCATE_IMM64: u32 = 1;

/// Relocation of a call (`R_BPF_64_32`).
const RELOCATE_CALL: u32 = 10;

/// A broken promise of an earlier stage: the object cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectError {
    /// A symbol that BTF or a loader would not take, or that is there twice.
    Symbol(String),
    /// A number of a program or map that the manifest does not have, or has as something else.
    Missing(String),
    /// A relocation of an instruction that is not of the kind it needs.
    Relocation {
        /// The function.
        function: String,
        /// Index of the instruction.
        insn: u32,
    },
    /// A program without instructions.
    Empty(String),
    /// The ELF writer refused.
    Elf(String),
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectError::Symbol(name) => write!(f, "the symbol '{name}' is not valid or not new"),
            ObjectError::Missing(what) => write!(f, "{what} is not in the manifest"),
            ObjectError::Relocation { function, insn } => {
                write!(f, "instruction {insn} of '{function}' cannot be relocated")
            }
            ObjectError::Empty(name) => write!(f, "the program '{name}' has no instructions"),
            ObjectError::Elf(reason) => write!(f, "the object cannot be written: {reason}"),
        }
    }
}

impl std::error::Error for ObjectError {}

/// The section for a program of that kind, as loaders want it named. `symbol` tells programs
/// apart where a name may go on after the kind.
pub fn section_name(kind: ProgramKind, symbol: &str) -> String {
    match kind {
        ProgramKind::Kprobe => format!("kprobe/{symbol}"),
        ProgramKind::Tracepoint => format!("tracepoint/{symbol}"),
        ProgramKind::RawTracepoint => format!("raw_tp/{symbol}"),
        ProgramKind::Tracing => format!("fentry/{symbol}"),
        ProgramKind::Xdp => String::from("xdp"),
        // Nothing may follow: programs of this kind share a section.
        ProgramKind::PerfEvent => String::from("perf_event"),
    }
}

/// Writes the object of `manifest`. `programs` pairs an index of [`Manifest::programs`] with
/// that program's functions, the entry first.
///
/// Errors: an earlier stage broke a promise; never a user's mistake.
pub fn write(
    manifest: &Manifest,
    programs: &[(usize, Vec<Code>)],
    sources: &SourceMap,
) -> Result<Vec<u8>, ObjectError> {
    let mut writer = Writer {
        elf: Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little),
        types: Types::new(),
        lines: Lines::new(sources),
        names: HashSet::new(),
        maps: BTreeMap::new(),
        globals: None,
        sections: HashMap::new(),
        section_names: HashMap::new(),
        text: None,
    };
    writer.license(&manifest.settings.license);
    writer.maps(manifest)?;
    writer.globals(manifest)?;
    for (index, functions) in programs {
        writer.program(manifest, *index, functions)?;
    }
    writer.debugging();
    writer
        .elf
        .write()
        .map_err(|error| ObjectError::Elf(error.to_string()))
}

/// An object being written.
struct Writer<'a> {
    elf: Object<'static>,
    types: Types,
    lines: Lines<'a>,
    /// Symbols so far: BTF, ELF and loaders all need them to differ.
    names: HashSet<String>,
    maps: BTreeMap<MapId, SymbolId>,
    /// The section symbol of `.bss`.
    globals: Option<SymbolId>,
    /// Program sections by name, and their names.
    sections: HashMap<String, SectionId>,
    section_names: HashMap<SectionId, String>,
    text: Option<SectionId>,
}

impl Writer<'_> {
    fn license(&mut self, license: &str) {
        let section = self.section("license", SectionKind::Data);
        self.elf.append_section_data(section, license.as_bytes(), 1);
        self.elf.append_section_data(section, &[0], 1);
    }

    fn maps(&mut self, manifest: &Manifest) -> Result<(), ObjectError> {
        let mut section = None;
        let mut entries = Vec::new();
        for (number, map) in manifest.maps.iter().enumerate() {
            let Storage::Map {
                kind,
                key_size,
                value_size,
                max_entries,
                flags,
            } = map.storage
            else {
                continue;
            };
            let definition = types::MapDefinition {
                kind: kind as u32,
                key_size,
                value_size,
                max_entries,
                flags,
            };
            self.name(&map.symbol)?;
            let size = definition.size();
            let section = *section.get_or_insert_with(|| {
                self.elf
                    .add_section(Vec::new(), b".maps".to_vec(), SectionKind::Data)
            });
            // All a definition says is in its type; its bytes are zero.
            let zeros = vec![0; size as usize];
            let offset = self.elf.append_section_data(section, &zeros, 8);
            let symbol = self.symbol(Place {
                name: &map.symbol,
                section,
                offset,
                size: u64::from(size),
                kind: SymbolKind::Data,
                scope: SymbolScope::Dynamic,
            });
            let variable = self.types.map(&map.symbol, &definition);
            entries.push((variable, offset as u32, size));
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            self.maps.insert(MapId(number), symbol);
        }
        self.types.section(".maps", &entries);
        Ok(())
    }

    fn globals(&mut self, manifest: &Manifest) -> Result<(), ObjectError> {
        let globals = &manifest.globals;
        if globals.size == 0 {
            return Ok(());
        }
        let section = self.elf.section_id(StandardSection::UninitializedData);
        self.elf
            .append_section_bss(section, u64::from(globals.size), 8);
        self.globals = Some(self.elf.section_symbol(section));
        let mut variables: Vec<_> = globals.variables.iter().filter(|v| v.size > 0).collect();
        variables.sort_by_key(|v| v.offset);
        let mut entries = Vec::new();
        for variable in variables {
            self.name(&variable.symbol)?;
            self.symbol(Place {
                name: &variable.symbol,
                section,
                offset: u64::from(variable.offset),
                size: u64::from(variable.size),
                kind: SymbolKind::Data,
                scope: SymbolScope::Dynamic,
            });
            let ty = self.types.global(&variable.symbol, variable.size);
            entries.push((ty, variable.offset, variable.size));
        }
        self.types.section_of_size(".bss", globals.size, &entries);
        Ok(())
    }

    fn program(
        &mut self,
        manifest: &Manifest,
        index: usize,
        functions: &[Code],
    ) -> Result<(), ObjectError> {
        let plan = manifest
            .programs
            .get(index)
            .ok_or_else(|| ObjectError::Missing(format!("program {index}")))?;
        let missing = || ObjectError::Empty(plan.symbol.clone());
        let (entry, rest) = functions.split_first().ok_or_else(missing)?;

        // Symbols of all functions come first: any of them may refer to any other.
        let section = self.program_section(&plan.section);
        let mut placed = vec![self.function(entry, &plan.symbol, section, SymbolScope::Dynamic)?];
        for code in rest {
            let section = self.text_section();
            let name = if self.names.contains(&code.name) {
                format!("{}_{}", plan.symbol, code.name)
            } else {
                code.name.clone()
            };
            placed.push(self.function(code, &name, section, SymbolScope::Compilation)?);
        }
        for (code, function) in functions.iter().zip(&placed) {
            self.code(code, function, &placed)?;
            let name = self.section_of(function.section).to_owned();
            let is_entry = function.section == section;
            let ty = self.types.function(&function.name, is_entry);
            let builder = &mut self.types.builder;
            self.lines
                .function(&name, function.offset, ty, code, plan.span, builder);
        }
        Ok(())
    }

    /// Makes room for a function, and its symbol.
    fn function(
        &mut self,
        code: &Code,
        name: &str,
        section: SectionId,
        scope: SymbolScope,
    ) -> Result<Placed, ObjectError> {
        if code.insns.is_empty() {
            return Err(ObjectError::Empty(name.to_owned()));
        }
        self.name(name)?;
        let size = code.insns.len() as u64 * INSN_SIZE;
        let offset = self.elf.append_section_data(section, &[], INSN_SIZE);
        let zeros = vec![0; code.insns.len() * INSN_SIZE as usize];
        self.elf.append_section_data(section, &zeros, INSN_SIZE);
        let symbol = self.symbol(Place {
            name,
            section,
            offset,
            size,
            kind: SymbolKind::Text,
            scope,
        });
        Ok(Placed {
            name: name.to_owned(),
            section,
            offset,
            symbol,
        })
    }

    /// Writes a function's instructions into its room, with their relocations.
    fn code(&mut self, code: &Code, at: &Placed, all: &[Placed]) -> Result<(), ObjectError> {
        let mut insns = code.insns.clone();
        for relocation in &code.relocations {
            let wrong = || ObjectError::Relocation {
                function: at.name.clone(),
                insn: relocation.insn,
            };
            let insn = insns.get_mut(relocation.insn as usize).ok_or_else(wrong)?;
            let callee = |number: u32| all.get(number as usize).ok_or_else(wrong);
            let (symbol, r_type) = match relocation.target {
                RelocationTarget::Map(map) => {
                    insn.imm = 0;
                    let missing = || ObjectError::Missing(format!("map {}", map.0));
                    let symbol = self.maps.get(&map).copied().ok_or_else(missing)?;
                    (symbol, RELOCATE_IMM64)
                }
                RelocationTarget::Global(offset) => {
                    insn.imm = i32::try_from(offset).map_err(|_| wrong())?;
                    let missing = || ObjectError::Missing(String::from("the data section"));
                    (self.globals.ok_or_else(missing)?, RELOCATE_IMM64)
                }
                RelocationTarget::FunctionAddress(number) => {
                    // By section and offset: libbpf takes a local symbol only for calls.
                    let callee = callee(number)?;
                    insn.imm = i32::try_from(callee.offset).map_err(|_| wrong())?;
                    (self.elf.section_symbol(callee.section), RELOCATE_IMM64)
                }
                RelocationTarget::Call(number) => {
                    insn.imm = -1;
                    insn.src = PSEUDO_CALL;
                    (callee(number)?.symbol, RELOCATE_CALL)
                }
            };
            let expected = match r_type {
                RELOCATE_CALL => CALL,
                _ => LD_IMM64,
            };
            if insn.code != expected {
                return Err(wrong());
            }
            let relocation = Relocation {
                offset: at.offset + u64::from(relocation.insn) * INSN_SIZE,
                symbol,
                addend: 0,
                flags: RelocationFlags::Elf { r_type },
            };
            self.elf
                .add_relocation(at.section, relocation)
                .map_err(|error| ObjectError::Elf(error.to_string()))?;
        }
        let bytes: Vec<u8> = insns.iter().flat_map(encode).collect();
        let data = self.elf.section_mut(at.section).data_mut();
        let start = usize::try_from(at.offset).unwrap_or(usize::MAX);
        let room = data.get_mut(start..).and_then(|d| d.get_mut(..bytes.len()));
        room.ok_or_else(|| ObjectError::Elf(String::from("a function without room")))?
            .copy_from_slice(&bytes);
        Ok(())
    }

    fn debugging(&mut self) {
        let extension = self.lines.finish(&mut self.types.builder);
        let section = self.section(".BTF", SectionKind::Other);
        let bytes = self.types.builder.finish();
        self.elf.append_section_data(section, &bytes, 4);
        let section = self.section(".BTF.ext", SectionKind::Other);
        self.elf.append_section_data(section, &extension, 4);
    }

    fn section(&mut self, name: &str, kind: SectionKind) -> SectionId {
        let segment = match kind {
            SectionKind::Other => Vec::new(),
            _ => self.elf.segment_name(StandardSegment::Data).to_vec(),
        };
        self.elf.add_section(segment, name.into(), kind)
    }

    fn program_section(&mut self, name: &str) -> SectionId {
        if let Some(section) = self.sections.get(name) {
            return *section;
        }
        let section = self.section(name, SectionKind::Text);
        self.sections.insert(name.to_owned(), section);
        self.section_names.insert(section, name.to_owned());
        section
    }

    fn text_section(&mut self) -> SectionId {
        match self.text {
            Some(section) => section,
            None => *self.text.insert(self.elf.section_id(StandardSection::Text)),
        }
    }

    fn section_of(&self, section: SectionId) -> &str {
        let found = self.section_names.get(&section);
        found.map_or(".text", String::as_str)
    }

    /// Takes a name that must be new and an identifier of C, as the kernel asks of BTF.
    fn name(&mut self, name: &str) -> Result<(), ObjectError> {
        let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let starts = !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit());
        if is_word && starts && self.names.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(ObjectError::Symbol(name.to_owned()))
        }
    }

    fn symbol(&mut self, place: Place<'_>) -> SymbolId {
        self.elf.add_symbol(Symbol {
            name: place.name.into(),
            value: place.offset,
            size: place.size,
            kind: place.kind,
            scope: place.scope,
            weak: false,
            section: SymbolSection::Section(place.section),
            flags: SymbolFlags::None,
        })
    }
}

/// Where a symbol stands.
struct Place<'a> {
    name: &'a str,
    section: SectionId,
    offset: u64,
    size: u64,
    kind: SymbolKind,
    scope: SymbolScope,
}

/// A function that has its room.
struct Placed {
    name: String,
    section: SectionId,
    offset: u64,
    symbol: SymbolId,
}

/// An instruction's bytes: code, registers, offset, constant; little-endian.
fn encode(insn: &Insn) -> [u8; INSN_SIZE as usize] {
    let [off0, off1] = insn.off.to_le_bytes();
    let [imm0, imm1, imm2, imm3] = insn.imm.to_le_bytes();
    let registers = insn.dst & 0xf | insn.src << 4;
    [insn.code, registers, off0, off1, imm0, imm1, imm2, imm3]
}
