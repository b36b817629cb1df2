//! Executables and libraries of user space, as far as probes ask about them.
//!
//! Addresses are those the file itself states (virtual addresses before any relocation);
//! offsets count bytes from the file's start, which is how the kernel wants places to be named.

use crate::btf::{Btf, TypeId};
use crate::target::TargetError;
use std::fmt;
use std::rc::Rc;

/// An executable or a library.
pub trait Binary: fmt::Debug {
    /// Calls `visit` with each symbol that has an address in the file, those of the full table
    /// first and then those of the dynamic one (which repeats many), until it gives `false`.
    fn each_symbol(&self, visit: &mut dyn FnMut(&Symbol<'_>) -> bool);

    /// Where the byte at an address lies in the file; `None` if no part of the file is loaded
    /// there.
    fn offset_of(&self, address: u64) -> Option<u64>;

    /// The address at which the byte at an offset is; `None` if it is not loaded.
    fn address_of(&self, offset: u64) -> Option<u64>;

    /// Whether an instruction begins `offset` bytes after `address`, where instructions begin at
    /// `address`; `None` if the instructions between cannot be told.
    fn is_instruction(&self, address: u64, offset: u64) -> Option<bool>;

    /// Whether the kernel chooses where in memory it lies.
    fn is_relocated(&self) -> bool;

    /// The markers (USDT probes) it declares, in the file's order.
    ///
    /// Errors: its notes make no sense.
    fn markers(&self) -> Result<Vec<Marker>, TargetError>;

    /// The parameters of the function that begins at an address; `None` if the file has no
    /// debug information about it.
    fn signature(&self, address: u64) -> Option<Rc<Signature>>;

    /// The lowest address of the code for a line of source, and a column of it if one is
    /// given; `None` if no file of that name, or path that ends so, has code there.
    fn line(&self, file: &str, line: u64, column: Option<u64>) -> Option<u64>;

    /// The first function or object of that name.
    fn symbol(&self, name: &str, kind: SymbolKind) -> Option<Place> {
        let mut found = None;
        self.each_symbol(&mut |symbol| {
            if symbol.kind == kind && symbol.name == name {
                found = Some(symbol.place);
            }
            found.is_none()
        });
        found
    }

    /// The function that an address lies in, by name, and where it is.
    fn function_at(&self, address: u64) -> Option<(String, Place)> {
        let mut found: Option<(String, Place)> = None;
        self.each_symbol(&mut |symbol| {
            let Place {
                address: start,
                size,
            } = symbol.place;
            let is_in = address >= start && address - start < size.max(1);
            if symbol.kind == SymbolKind::Function && is_in && found.is_none() {
                found = Some((symbol.name.to_owned(), symbol.place));
            }
            found.is_none()
        });
        found
    }
}

/// A name for a place of a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// As the file has it: mangled, where the language mangles.
    pub name: &'a str,
    /// What is there.
    pub kind: SymbolKind,
    /// Where.
    pub place: Place,
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// Instructions.
    Function,
    /// Data.
    Object,
}

/// Some bytes of a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first one's address.
    pub address: u64,
    /// How many; zero if the file does not say.
    pub size: u64,
}

/// One location of a marker: the compiler may copy it, and the arguments lie elsewhere in each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The provider's name.
    pub provider: String,
    /// The marker's name.
    pub name: String,
    /// The address of the instruction that stands for it.
    pub address: u64,
    /// Where in the file the counter lies that is above zero while anybody listens; `None` if
    /// there is none.
    pub semaphore: Option<u64>,
    /// Where the arguments are, as the assembler wrote it: `-4@%edi 8@-16(%rbp)`.
    pub arguments: String,
}

/// What a function takes and returns, by types of its own.
#[derive(Debug)]
pub struct Signature {
    /// The types.
    pub types: Btf,
    /// Among them, the function's prototype.
    pub prototype: TypeId,
}
