//! The bytes of the kernel's type information, or of one module's.
//!
//! Takes bytes in whatever the host holds them; gives the slices of types and strings and the
//! index that grows along them. A module's bytes are asked for once, when something of it is.

use super::index::Index;
use super::{BtfError, OpenModule, read};
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::ops::Range;

/// Type information in one piece.
///
/// Private fields: `types` and `strings` are ranges inside `bytes`; `index` is of them, and is
/// never borrowed while anything else of [`super::Btf`] runs.
pub(super) struct Part {
    bytes: Box<dyn AsRef<[u8]>>,
    types: Range<usize>,
    strings: Range<usize>,
    pub(super) index: RefCell<Index>,
}

impl Part {
    pub(super) fn new(bytes: Box<dyn AsRef<[u8]>>) -> Result<Part, BtfError> {
        let (types, strings) = read::header((*bytes).as_ref())?;
        let index = RefCell::new(Index::new(types.len()));
        Ok(Part {
            bytes,
            types,
            strings,
            index,
        })
    }

    pub(super) fn type_bytes(&self) -> &[u8] {
        let bytes = (*self.bytes).as_ref();
        bytes.get(self.types.clone()).unwrap_or(&[])
    }

    pub(super) fn string_bytes(&self) -> &[u8] {
        let bytes = (*self.bytes).as_ref();
        bytes.get(self.strings.clone()).unwrap_or(&[])
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("types", &self.types)
            .field("strings", &self.strings)
            .finish_non_exhaustive()
    }
}

/// A module of the kernel.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) name: String,
    part: OnceCell<Option<Part>>,
}

impl Module {
    pub(super) fn new(name: String) -> Module {
        Module {
            name,
            part: OnceCell::new(),
        }
    }

    /// What describes it; `None` if that cannot be read.
    pub(super) fn part(&self, open: &OpenModule) -> Option<&Part> {
        let read = || Part::new(open(&self.name)?).ok();
        self.part.get_or_init(read).as_ref()
    }
}
