//! The symbols of one executable or library.
//!
//! Takes an open file (or bytes that are one, as the vdso is); gives names for places in it.
//! Reads the symbol tables and nothing else of the file; where the file has only those that
//! linking needs, the ones of its debug file, found by build id or by name.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, ReadCache, ReadRef};

/// How many symbols before an address are asked whether they hold it.
const NESTED: usize = 16;

/// What is known of a file.
///
/// Private fields: `symbols` is sorted by address; its names begin inside `names`.
#[derive(Debug, Default)]
pub(crate) struct FileSymbols {
    segments: Vec<Segment>,
    symbols: Vec<Symbol>,
    names: Vec<Vec<u8>>,
}

/// A part of the file that is loaded.
#[derive(Clone, Copy, Debug)]
struct Segment {
    offset: u64,
    size: u64,
    address: u64,
}

#[derive(Clone, Copy, Debug)]
struct Symbol {
    address: u64,
    size: u64,
    /// Which of `names`, and the byte there.
    table: u32,
    name: u32,
    /// Lower is better: names that the outside sees come first.
    rank: u8,
}

/// Where debug files are looked for.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The file's own path.
    pub path: PathBuf,
    /// What the process sees as `/`.
    pub root: PathBuf,
    /// Folders with debug files, in order.
    pub folders: Vec<PathBuf>,
}

/// What a file says of its debug file.
#[derive(Debug, Default)]
struct DebugLink {
    build_id: Vec<u8>,
    name: Vec<u8>,
    checksum: u32,
}

impl Places {
    /// The sentence for reading so long.
    pub(crate) fn reading(&self, what: &str) -> String {
        format!("reading the {what} of {}", self.path.display())
    }
}

impl FileSymbols {
    /// The symbols of a file; none if it is no ELF file.
    pub(crate) fn read(file: &File, places: &Places) -> FileSymbols {
        let mut symbols = FileSymbols::default();
        let Ok(copy) = file.try_clone() else {
            return symbols;
        };
        let (is_full, link) = symbols.add(&ReadCache::new(copy));
        if !is_full && let Some(debug) = debug_file(&link, places) {
            // Its segments are those of the file, without contents.
            let segments = std::mem::take(&mut symbols.segments);
            symbols.add(&ReadCache::new(debug));
            symbols.segments = segments;
        }
        symbols.finish();
        symbols
    }

    /// The symbols of bytes that are a file.
    pub(crate) fn parse(bytes: &[u8]) -> FileSymbols {
        let mut symbols = FileSymbols::default();
        symbols.add(bytes);
        symbols.finish();
        symbols
    }

    /// The address, as the file has it, of a byte of the file.
    pub(crate) fn address_of(&self, offset: u64) -> Option<u64> {
        let holds = |s: &&Segment| offset >= s.offset && offset - s.offset < s.size;
        let segment = self.segments.iter().find(holds)?;
        Some((offset - segment.offset).wrapping_add(segment.address))
    }

    /// The symbol that holds an address (as the file has it) and the distance from its start.
    pub(crate) fn at(&self, address: u64) -> Option<(&[u8], u64)> {
        let after = self.symbols.partition_point(|s| s.address <= address);
        let before = self.symbols.get(..after).unwrap_or(&[]);
        // The nearest may be a short one inside a longer one.
        let symbol = before.iter().rev().take(NESTED).find(|symbol| {
            let distance = address - symbol.address;
            distance < symbol.size.max(1)
        })?;
        Some((self.name(symbol), address - symbol.address))
    }

    fn name(&self, symbol: &Symbol) -> &[u8] {
        let table = self.names.get(symbol.table as usize);
        let from = table.and_then(|table| table.get(symbol.name as usize..));
        let from = from.unwrap_or(&[]);
        let end = from.iter().position(|byte| *byte == 0);
        from.get(..end.unwrap_or(from.len())).unwrap_or(&[])
    }

    /// Adds what a file holds. Gives whether it has its whole symbol table, and its debug file.
    fn add<'d>(&mut self, data: impl ReadRef<'d>) -> (bool, DebugLink) {
        match data.read_bytes_at(4, 1) {
            Ok([elf::ELFCLASS32]) => self.add_elf::<FileHeader32<Endianness>>(data),
            Ok([elf::ELFCLASS64]) => self.add_elf::<FileHeader64<Endianness>>(data),
            _ => None,
        }
        .unwrap_or_default()
    }

    fn add_elf<'d, E: FileHeader<Endian = Endianness>>(
        &mut self,
        data: impl ReadRef<'d>,
    ) -> Option<(bool, DebugLink)> {
        let header = E::parse(data).ok()?;
        let endian = header.endian().ok()?;
        for segment in header.program_headers(endian, data).unwrap_or(&[]) {
            if segment.p_type(endian) == elf::PT_LOAD {
                self.segments.push(Segment {
                    offset: segment.p_offset(endian).into(),
                    size: segment.p_filesz(endian).into(),
                    address: segment.p_vaddr(endian).into(),
                });
            }
        }
        let sections = header.sections(endian, data).ok()?;
        let mut link = DebugLink::default();
        let mut is_full = false;
        for section in sections.iter() {
            let kind = section.sh_type(endian);
            if kind == elf::SHT_NOTE && link.build_id.is_empty() {
                let notes = section.notes(endian, data).ok().flatten();
                link.build_id = notes
                    .and_then(|mut notes| {
                        while let Ok(Some(note)) = notes.next() {
                            if note.name() == elf::ELF_NOTE_GNU
                                && note.n_type(endian) == elf::NT_GNU_BUILD_ID
                            {
                                return Some(note.desc().to_vec());
                            }
                        }
                        None
                    })
                    .unwrap_or_default();
            }
            if sections.section_name(endian, section) == Ok(b".gnu_debuglink") {
                let content = section.data(endian, data).unwrap_or(&[]);
                // A name with its NUL, then the checksum in the last four bytes.
                let name = content.iter().take_while(|byte| **byte != 0).copied();
                link.name = name.collect();
                if let Some((_, sum)) = content.split_last_chunk() {
                    link.checksum = match endian {
                        Endianness::Little => u32::from_le_bytes(*sum),
                        Endianness::Big => u32::from_be_bytes(*sum),
                    };
                }
            }
        }
        for kind in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
            let Ok(table) = sections.symbols(endian, data, kind) else {
                continue;
            };
            if table.is_empty() {
                continue;
            }
            let strings = sections.section(table.string_section()).ok();
            let strings = strings.and_then(|s| s.data(endian, data).ok());
            let number = u32::try_from(self.names.len()).ok()?;
            self.names.push(strings.unwrap_or(&[]).to_vec());
            is_full |= kind == elf::SHT_SYMTAB;
            for symbol in table.iter() {
                self.add_symbol::<E>(symbol, endian, number);
            }
        }
        Some((is_full, link))
    }

    fn add_symbol<E: FileHeader<Endian = Endianness>>(
        &mut self,
        symbol: &E::Sym,
        endian: Endianness,
        table: u32,
    ) {
        let is_named = matches!(
            symbol.st_type(),
            elf::STT_FUNC | elf::STT_GNU_IFUNC | elf::STT_OBJECT
        );
        if !is_named || symbol.st_shndx(endian) == elf::SHN_UNDEF {
            return;
        }
        let rank = match symbol.st_bind() {
            elf::STB_GLOBAL => 0,
            elf::STB_WEAK => 1,
            _ => 2,
        };
        self.symbols.push(Symbol {
            address: symbol.st_value(endian).into(),
            size: symbol.st_size(endian).into(),
            table,
            name: symbol.st_name(endian),
            rank,
        });
    }

    /// Sorts; of several names of one place the one that people write stays: without leading
    /// underscores, visible from outside, short.
    fn finish(&mut self) {
        let mut symbols = std::mem::take(&mut self.symbols);
        symbols.sort_by_cached_key(|symbol| {
            let name = self.name(symbol);
            // Mangled names begin with an underscore, too.
            let is_mangled = name.starts_with(b"_Z") || name.starts_with(b"_R");
            let underscores = match is_mangled {
                true => 0,
                false => name.iter().take_while(|byte| **byte == b'_').count(),
            };
            let is_empty = symbol.size == 0;
            (
                symbol.address,
                is_empty,
                underscores,
                symbol.rank,
                name.len(),
            )
        });
        symbols.dedup_by_key(|s| s.address);
        self.symbols = symbols;
    }
}

/// The debug file of a file, if there is one.
pub(crate) fn separate_file(file: &File, places: &Places) -> Option<File> {
    let (_, link) = FileSymbols::default().add(&ReadCache::new(file.try_clone().ok()?));
    debug_file(&link, places)
}

/// The same: by build id, else by the name it says.
fn debug_file(link: &DebugLink, places: &Places) -> Option<File> {
    debug_path(link, places).and_then(|path| File::open(path).ok())
}

fn debug_path(link: &DebugLink, places: &Places) -> Option<PathBuf> {
    let roots = [places.root.as_path(), Path::new("/")];
    let beneath = |root: &Path, path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
    if let [first, rest @ ..] = link.build_id.as_slice() {
        let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!(".build-id/{first:02x}/{rest}.debug");
        for folder in &places.folders {
            let paths = roots.map(|root| beneath(root, folder).join(&name));
            if let Some(path) = paths.into_iter().find(|path| path.is_file()) {
                return Some(path);
            }
        }
    }
    if link.name.is_empty() {
        return None;
    }
    let name = PathBuf::from(String::from_utf8_lossy(&link.name).into_owned());
    let own = places.path.parent().unwrap_or(Path::new("/"));
    let mut folders = vec![own.to_owned(), own.join(".debug")];
    for folder in &places.folders {
        folders.push(folder.join(own.strip_prefix("/").unwrap_or(own)));
        folders.push(folder.clone());
    }
    folders
        .iter()
        .flat_map(|folder| roots.map(|root| beneath(root, folder).join(&name)))
        .find(|path| path.is_file() && checksum(path) == Some(link.checksum))
}

/// The checksum that a debug link names its file by: CRC-32 of all of it.
fn checksum(path: &Path) -> Option<u32> {
    let mut table = [0_u32; 256];
    for (byte, entry) in (0_u32..).zip(&mut table) {
        *entry = (0..8).fold(byte, |c, _| {
            (c >> 1) ^ (0xedb8_8320 & (c & 1).wrapping_neg())
        });
    }
    let mut file = File::open(path).ok()?;
    let mut sum = u32::MAX;
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece).ok()? {
            0 => return Some(!sum),
            count => {
                for byte in piece.iter().take(count) {
                    let index = ((sum ^ u32::from(*byte)) & 0xff) as usize;
                    sum = (sum >> 8) ^ table.get(index).copied().unwrap_or(0);
                }
            }
        }
    }
}

/// The vdso: the same for all processes, so the tracer's own is read.
pub(crate) fn vdso() -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let end = u64::from_str_radix(end, 16).ok()?;
    let mut memory = File::open("/proc/self/mem").ok()?;
    memory.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = vec![0; usize::try_from(end.checked_sub(start)?).ok()?.min(1 << 20)];
    memory.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &str) -> Places {
        Places {
            path: PathBuf::from(path),
            root: PathBuf::from("/"),
            folders: vec![PathBuf::from("/usr/lib/debug")],
        }
    }

    #[test]
    fn this_program_has_symbols() {
        let path = std::env::current_exe().expect("a path");
        let file = File::open(&path).expect("this program");
        let symbols = FileSymbols::read(&file, &places(&path.to_string_lossy()));
        let main = symbols.symbols.iter().find(|s| symbols.name(s) == b"main");
        let main = main.expect("every program has one");
        assert_eq!(symbols.at(main.address), Some((&b"main"[..], 0)));
        assert_eq!(symbols.at(main.address + 1), Some((&b"main"[..], 1)));
        assert_eq!(symbols.at(1), None);
    }

    #[test]
    fn the_vdso_has_symbols() {
        let symbols = FileSymbols::parse(&vdso().expect("a vdso"));
        let names: Vec<&[u8]> = symbols.symbols.iter().map(|s| symbols.name(s)).collect();
        assert!(names.iter().any(|name| name.ends_with(b"clock_gettime")));
    }

    #[test]
    fn what_is_no_program_has_none() {
        assert!(FileSymbols::parse(b"#!/bin/sh\n").symbols.is_empty());
        assert!(FileSymbols::parse(&[]).symbols.is_empty());
        let mut cut = vdso().expect("a vdso");
        cut.truncate(80);
        assert!(FileSymbols::parse(&cut).symbols.is_empty());
    }
}
