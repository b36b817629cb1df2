//! The userspace half of a word: what is done with its events, how its maps are read.
//!
//! The runtime handles every word through these traits and knows none by name. How a program
//! is attached is data of the artifact, so there is deliberately no trait for that.

use std::io;

use rbt_compiler::artifact::{Manifest, MapId, Settings};
use rbt_compiler::word::Word;
use rbt_grammar::source::{SourceMap, Span};

use crate::error::Error;
use crate::maps::{self, Order};
use crate::output::{Message, OutputFormat, Printer};
use crate::record::{Decoder, Record};
use crate::value::Value;

/// A word whose events reach userspace.
pub trait Action: Word {
    /// Does what the word says with one of its events.
    ///
    /// Errors: the output cannot be written, or the record is malformed.
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error>;
}

/// A word that is a map's kind.
pub trait Fold: Word {
    /// One value of what each CPU has: `slots` are as long as the schema's `slot_size`, and
    /// all zero for a CPU that stored nothing.
    fn fold(&self, params: &[i64], is_signed: bool, slots: &[&[u8]]) -> Value<'static>;

    /// How elements of such a map are ordered.
    fn order(&self) -> Order {
        Order::Natural
    }

    /// What JSON calls such a map: `map`, `stats`, `hist`.
    fn kind(&self) -> &'static str {
        "map"
    }
}

/// What happens after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The next one.
    Continue,
    /// Tracing ends, with that exit status (modulo 256).
    Exit(i64),
    /// The watchpoints of that address are no more wanted.
    Unwatch(u64),
}

/// The words of the language, for the runtime.
#[derive(Clone, Copy, Default)]
pub struct Handlers {
    /// Words whose events reach userspace.
    pub actions: &'static [&'static dyn Action],
    /// Words that are a map's kind.
    pub folds: &'static [&'static dyn Fold],
}

impl Handlers {
    /// The action of that name.
    pub fn action(&self, name: &str) -> Option<&'static dyn Action> {
        self.actions
            .iter()
            .copied()
            .find(|word| word.name() == name)
    }

    /// The map kind of that name.
    pub fn fold(&self, name: &str) -> Option<&'static dyn Fold> {
        self.folds.iter().copied().find(|word| word.name() == name)
    }
}

/// Which run-time warnings are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Warnings {
    /// Those that matter to everybody.
    #[default]
    Some,
    /// Failed reads and lookups too (`-k`).
    All,
    /// None (`--no-warnings`).
    None,
}

/// What an action may use.
///
/// `'s` is the session's lifetime, `'p` the borrow of its printer.
pub struct Context<'s, 'p> {
    /// Where output goes.
    pub printer: &'p mut Printer,
    /// What values are decoded by: symbols, users, the clock.
    pub decoder: &'s Decoder<'s>,
    /// The script's texts.
    pub sources: &'s SourceMap,
    /// The words.
    pub handlers: &'s Handlers,
    /// Which warnings are shown.
    pub warnings: Warnings,
    /// Whether `--unsafe` was given.
    pub is_unsafe_allowed: bool,
}

impl<'s> Context<'s, '_> {
    /// The manifest.
    pub fn manifest(&self) -> &'s Manifest {
        self.decoder.manifest
    }

    /// What of the script's configuration matters now.
    pub fn settings(&self) -> &'s Settings {
        &self.decoder.manifest.settings
    }

    /// The output's format.
    pub fn format(&self) -> OutputFormat {
        self.printer.format()
    }

    /// Prints a map as it is now: the last `top` lines (all for 0), integers divided by
    /// `divisor` (not for 0).
    pub fn print_map(&mut self, map: MapId, top: usize, divisor: u64) -> Result<(), Error> {
        let elements = maps::read(&self.decoder.maps, self.decoder.manifest, map)?;
        let shown = (top, divisor);
        let (decoder, handlers) = (self.decoder, self.handlers);
        maps::print(decoder, handlers, map, &elements, shown, self.printer)
    }

    /// Prints the value that a map has for a key, given as its bytes; that of no values if it
    /// has none.
    pub fn print_element(&mut self, map: MapId, key: &[u8]) -> Result<(), Error> {
        let elements = maps::read_element(&self.decoder.maps, self.decoder.manifest, map, key)?;
        let (decoder, handlers) = (self.decoder, self.handlers);
        maps::print_value(decoder, handlers, map, &elements, self.printer)
    }

    /// Removes all elements of a map.
    pub fn clear_map(&mut self, map: MapId) -> Result<(), Error> {
        maps::clear(&self.decoder.maps, self.decoder.manifest, map)
    }

    /// Sets all values of a map to zero; its keys stay.
    pub fn zero_map(&mut self, map: MapId) -> Result<(), Error> {
        maps::zero(&self.decoder.maps, self.decoder.manifest, map)
    }

    /// Shows an error of the script's own on stderr (a record of that kind in JSON).
    pub fn error(&mut self, kind: &str, text: &str, span: Span) -> Result<(), Error> {
        self.say(kind, "ERROR", text, span)
    }

    /// The same for a warning, unless warnings are silenced.
    pub fn warning(&mut self, kind: &str, text: &str, span: Span) -> Result<(), Error> {
        if self.warnings == Warnings::None {
            return Ok(());
        }
        self.say(kind, "WARNING", text, span)
    }

    /// Writes a line to stderr, after the output that came before it.
    pub fn complain(&mut self, line: &str) -> Result<(), Error> {
        self.printer
            .to_stderr(&format!("{line}\n"))
            .map_err(Error::Output)
    }

    /// Writes all output that was given so far: before a command writes to the same place.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.printer.flush().map_err(Error::Output)
    }

    fn say(&mut self, kind: &str, severity: &str, text: &str, span: Span) -> Result<(), Error> {
        let message = Message {
            kind,
            severity,
            text,
            span,
            helper: None,
            shows_source: false,
        };
        self.printer
            .message(&message, self.sources)
            .map_err(Error::Output)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Output(error)
    }
}
