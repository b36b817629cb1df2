//! Executables and libraries: which file is meant, its symbols, its code, its notes.
//!
//! Takes paths; gives what the compiler asks of a [`Binary`] and what symbolisation needs. A
//! file is mapped, and only the parts that a question concerns are looked at. Never runs or
//! changes anything.

mod dwarf;
mod find;
mod instructions;
mod markers;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SymbolFlags, elf};
use rbt_compiler::binary::{self, Binary, Marker, Signature, Symbol, SymbolKind};
use rbt_compiler::target::TargetError;

use crate::host::reason;
use crate::sys::FileBytes;

pub(crate) use find::{find, mapped};

/// A folder where distributions put the symbols they strip.
const DEBUG_FILES: &str = "/usr/lib/debug";

/// An ELF file.
///
/// Private fields: `bytes` is known to parse.
#[derive(Debug)]
pub(crate) struct Elf {
    path: PathBuf,
    bytes: FileBytes,
    /// The file that has the symbols this one lacks.
    debug: Option<FileBytes>,
    /// Prototypes that were asked for, by address.
    signatures: RefCell<HashMap<u64, Option<Rc<Signature>>>>,
}

impl Elf {
    /// Opens a file, and the one with its symbols if it was stripped of them: that is looked
    /// for in `folders` and where distributions put it.
    ///
    /// Errors: it cannot be read, or is no ELF file.
    pub(crate) fn open(path: &Path, folders: &[PathBuf]) -> Result<Elf, TargetError> {
        let refused = |error: &io::Error| TargetError {
            attempted: String::from("read the executable"),
            on: path.display().to_string(),
            reason: reason(error),
            help: String::new(),
        };
        let bytes = FileBytes::open(path).map_err(|error| refused(&error))?;
        object::File::parse(bytes.as_ref())
            .map_err(|error| refused(&io::Error::other(error.to_string())))?;
        let mut elf = Elf {
            path: path.to_owned(),
            bytes,
            debug: None,
            signatures: RefCell::default(),
        };
        elf.debug = elf.find_debug(folders);
        Ok(elf)
    }

    /// The parsed file.
    pub(crate) fn file(&self) -> Option<object::File<'_>> {
        object::File::parse(self.bytes.as_ref()).ok()
    }

    /// The parsed file that has the symbols and debug information, which may be another.
    pub(crate) fn debug_file(&self) -> Option<object::File<'_>> {
        match &self.debug {
            Some(bytes) => object::File::parse(bytes.as_ref()).ok(),
            None => self.file(),
        }
    }

    /// The file with the symbols of a stripped one: by its build id, or by the name it notes.
    fn find_debug(&self, folders: &[PathBuf]) -> Option<FileBytes> {
        let file = self.file()?;
        let has_table = file.section_by_name(".symtab").is_some();
        if has_table {
            return None;
        }
        let folders = || {
            folders
                .iter()
                .map(PathBuf::as_path)
                .chain([Path::new(DEBUG_FILES)])
        };
        let mut candidates = Vec::new();
        if let Ok(Some(id)) = file.build_id() {
            let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
            if let Some((first, rest)) = hex.split_at_checked(2) {
                let name = format!(".build-id/{first}/{rest}.debug");
                candidates.extend(folders().map(|folder| folder.join(&name)));
            }
        }
        if let Ok(Some((name, _))) = file.gnu_debuglink() {
            let name = String::from_utf8_lossy(name).into_owned();
            let folder = self.path.parent().unwrap_or(Path::new("/"));
            candidates.push(folder.join(&name));
            candidates.push(folder.join(".debug").join(&name));
            let below = folder.strip_prefix("/").unwrap_or(folder);
            candidates.extend(folders().map(|folder| folder.join(below).join(&name)));
        }
        candidates.retain(|path| *path != self.path);
        let mut found = candidates
            .iter()
            .filter_map(|path| FileBytes::open(path).ok());
        found.find(|bytes| object::File::parse(bytes.as_ref()).is_ok())
    }
}

/// Calls `visit` with the symbols of one table until it gives `false`, which is then given.
fn each<'d, S: ObjectSymbol<'d>>(
    symbols: impl Iterator<Item = S>,
    visit: &mut dyn FnMut(&Symbol<'_>) -> bool,
) -> bool {
    for symbol in symbols {
        let SymbolFlags::Elf { st_info, .. } = symbol.flags() else {
            continue;
        };
        let kind = match st_info & 0xf {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => SymbolKind::Function,
            elf::STT_OBJECT => SymbolKind::Object,
            _ => continue,
        };
        if symbol.is_undefined() || symbol.address() == 0 {
            continue;
        }
        let Ok(name) = symbol.name() else { continue };
        if name.is_empty() {
            continue;
        }
        let place = binary::Place {
            address: symbol.address(),
            size: symbol.size(),
        };
        if !visit(&Symbol { name, kind, place }) {
            return false;
        }
    }
    true
}

impl Binary for Elf {
    fn each_symbol(&self, visit: &mut dyn FnMut(&Symbol<'_>) -> bool) {
        if let Some(file) = self.debug_file()
            && !each(file.symbols(), visit)
        {
            return;
        }
        if let Some(file) = self.file() {
            each(file.dynamic_symbols(), visit);
        }
    }

    fn offset_of(&self, address: u64) -> Option<u64> {
        let file = self.file()?;
        file.segments().find_map(|segment| {
            let (offset, size) = segment.file_range();
            let inside = address.checked_sub(segment.address())?;
            (inside < size).then(|| offset.saturating_add(inside))
        })
    }

    fn address_of(&self, offset: u64) -> Option<u64> {
        let file = self.file()?;
        file.segments().find_map(|segment| {
            let (start, size) = segment.file_range();
            let inside = offset.checked_sub(start)?;
            (inside < size).then(|| segment.address().saturating_add(inside))
        })
    }

    fn is_instruction(&self, address: u64, offset: u64) -> Option<bool> {
        let file = self.file()?;
        // An instruction more than asked for, so that the last one is whole.
        let bytes = file.segments().find_map(|segment| {
            let inside = usize::try_from(address.checked_sub(segment.address())?).ok()?;
            segment.data().ok()?.get(inside..)
        })?;
        match file.architecture() {
            object::Architecture::X86_64 => instructions::begins_at(bytes, offset),
            object::Architecture::Aarch64 => Some(offset.is_multiple_of(4)),
            _ => None,
        }
    }

    fn is_relocated(&self) -> bool {
        self.file()
            .is_some_and(|file| file.kind() == object::ObjectKind::Dynamic)
    }

    fn signature(&self, address: u64) -> Option<Rc<Signature>> {
        let mut known = self.signatures.borrow_mut();
        let found = known.entry(address).or_insert_with(|| {
            let file = self.debug_file()?;
            dwarf::signature(&file, address).map(Rc::new)
        });
        found.clone()
    }

    fn line(&self, file: &str, line: u64, column: Option<u64>) -> Option<u64> {
        dwarf::line(&self.debug_file()?, file, line, column)
    }

    fn markers(&self) -> Result<Vec<Marker>, TargetError> {
        let Some(file) = self.file() else {
            return Ok(Vec::new());
        };
        let Some(notes) = file.section_by_name(".note.stapsdt") else {
            return Ok(Vec::new());
        };
        let base = file.section_by_name(".stapsdt.base");
        let base = base.map_or(0, |section| section.address());
        let bytes = notes.data().unwrap_or_default();
        let notes = markers::parse(bytes, file.is_64(), base).ok_or_else(|| TargetError {
            attempted: String::from("read the markers of"),
            on: self.path.display().to_string(),
            reason: String::from("its notes make no sense"),
            help: String::new(),
        })?;
        let marker = |note: markers::Note| Marker {
            semaphore: match note.semaphore {
                0 => None,
                address => self.offset_of(address),
            },
            provider: note.provider,
            name: note.name,
            address: note.address,
            arguments: note.arguments,
        };
        Ok(notes.into_iter().map(marker).collect())
    }
}
