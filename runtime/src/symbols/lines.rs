//! Lines of source, and functions that were inlined, from a file's debug information.
//!
//! Takes an open file, or its debug file; gives names and lines for addresses. Only read when
//! a script asks for lines.

use std::fmt;
use std::fs::File;
use std::rc::Rc;

use gimli::{Dwarf, DwarfSections, EndianRcSlice, RunTimeEndian, SectionId};
use object::{Object, ObjectSection, ReadCache};

use super::file::{Places, separate_file};

type Reader = EndianRcSlice<RunTimeEndian>;

/// The debug information of a file.
pub(crate) struct Lines {
    context: addr2line::Context<Reader>,
}

/// What debug information says of an address.
#[derive(Debug, Default)]
pub(crate) struct SourcePlace {
    /// `folder/file:line` of the function itself.
    pub line: Option<String>,
    /// Functions inlined there, the innermost first, each with its line.
    pub inlined: Vec<(String, Option<String>)>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

impl Lines {
    /// The debug information of a file, or of its debug file; `None` if neither has any.
    pub(crate) fn read(file: &File, places: &Places) -> Option<Lines> {
        Lines::of(file.try_clone().ok()?).or_else(|| Lines::of(separate_file(file, places)?))
    }

    fn of(file: File) -> Option<Lines> {
        let cache = ReadCache::new(file);
        let object = object::File::parse(&cache).ok()?;
        let endian = match object.is_little_endian() {
            true => RunTimeEndian::Little,
            false => RunTimeEndian::Big,
        };
        object.section_by_name(SectionId::DebugInfo.name())?;
        let section = |id: SectionId| -> Result<Reader, gimli::Error> {
            let found = object.section_by_name(id.name());
            let data = found.and_then(|s| s.uncompressed_data().ok());
            let bytes: Rc<[u8]> = Rc::from(data.unwrap_or_default());
            Ok(EndianRcSlice::new(bytes, endian))
        };
        let sections = DwarfSections::load(section).ok()?;
        let dwarf: Dwarf<Reader> = sections.borrow(Reader::clone);
        let context = addr2line::Context::from_dwarf(dwarf).ok()?;
        Some(Lines { context })
    }

    /// What it says of an address, as the file has it.
    pub(crate) fn at(&self, address: u64) -> SourcePlace {
        let mut place = SourcePlace::default();
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else {
            return place;
        };
        let mut all = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let line = frame.location.and_then(|at| {
                let file = at.file?;
                // The last folder tells files of one name apart.
                let short = file.rmatch_indices('/').nth(1);
                let short = short.and_then(|(slash, _)| file.get(slash + 1..));
                Some(format!("{}:{}", short.unwrap_or(file), at.line?))
            });
            let name = frame.function.and_then(|function| {
                let name = function.raw_name().ok()?;
                Some(name.into_owned())
            });
            all.push((name.unwrap_or_default(), line));
        }
        place.line = all.pop().and_then(|(_, line)| line);
        place.inlined = all;
        place
    }
}
