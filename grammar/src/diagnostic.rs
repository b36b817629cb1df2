//! What a person reads when something is wrong: one type for every crate.
//!
//! Takes facts (a code, a sentence, places, help); gives rendered text by
//! codespan-reporting. Never decides where it is printed.

use crate::codes::{self, Code};
use crate::source::{SourceMap, Span};
use codespan_reporting::diagnostic as codespan;
use codespan_reporting::files::{Error as FilesError, Files};
use codespan_reporting::term;
use std::ops::Range;

/// How bad it is. Only `Error` and `Bug` stop a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A fact that needs no action.
    Note,
    /// The script runs, perhaps not as meant.
    Warning,
    /// The script cannot run.
    Error,
    /// rbt broke one of its own promises.
    Bug,
}

/// A place and a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is wrong *here*; may be empty.
    pub text: String,
}

/// Something a person should know about a script or the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A row of [`codes`].
    pub code: Code,
    /// One sentence without a full stop that says what is wrong.
    pub message: String,
    /// Places; the first is the primary one.
    pub labels: Vec<Label>,
    /// Facts.
    pub notes: Vec<String>,
    /// What to do, with code the reader can paste.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// A diagnostic without a place.
    pub fn new(severity: Severity, code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            severity,
            code,
            message: message.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// An error at `span`, labelled `here`.
    pub fn error(
        code: Code,
        message: impl Into<String>,
        span: Span,
        here: impl Into<String>,
    ) -> Self {
        Diagnostic::new(Severity::Error, code, message).label(span, here)
    }

    /// A warning at `span`, labelled `here`.
    pub fn warning(
        code: Code,
        message: impl Into<String>,
        span: Span,
        here: impl Into<String>,
    ) -> Self {
        Diagnostic::new(Severity::Warning, code, message).label(span, here)
    }

    /// A broken promise of rbt itself, at the place it was compiling.
    pub fn bug(message: impl Into<String>, span: Span) -> Self {
        Diagnostic::new(Severity::Bug, codes::INTERNAL, message)
            .label(span, "while compiling this")
            .help("this is a defect of rbt: please report it with the script")
    }

    /// Adds a place.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Adds a fact.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Adds what to do.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Whether this keeps the script from running.
    pub fn is_fatal(&self) -> bool {
        self.severity >= Severity::Error
    }

    /// The text a person sees, with ANSI colours if `color` says so.
    pub fn render(&self, sources: &SourceMap, color: Color) -> String {
        let mut primary = true;
        let labels = self.labels.iter().map(|label| {
            let make = if primary {
                codespan::Label::primary
            } else {
                codespan::Label::secondary
            };
            primary = false;
            make(label.span.source.0 as usize, label.span.range()).with_message(label.text.clone())
        });
        let labels = labels.collect();
        let notes = self.notes.iter().map(|n| format!("note: {n}"));
        let help = self.help.iter().map(|h| format!("help: {h}"));
        let diagnostic = codespan::Diagnostic {
            severity: match self.severity {
                Severity::Note => codespan::Severity::Note,
                Severity::Warning => codespan::Severity::Warning,
                Severity::Error => codespan::Severity::Error,
                Severity::Bug => codespan::Severity::Bug,
            },
            code: Some(self.code.to_string()),
            message: self.message.clone(),
            labels,
            notes: notes.chain(help).collect(),
        };
        let config = term::Config::default();
        let files = Texts(sources);
        let rendered = match color {
            Color::Never => term::emit_into_string(&config, &files, &diagnostic),
            Color::Always => {
                let mut buffer = term::termcolor::Buffer::ansi();
                term::emit_to_write_style(&mut buffer, &config, &files, &diagnostic)
                    .map(|()| String::from_utf8_lossy(buffer.as_slice()).into_owned())
            }
        };
        // A label outside its text is rbt's own slip; the sentence is still worth reading.
        let rendered = rendered.unwrap_or_default();
        let picture = rendered.split_once('\n').map_or("", |(_, below)| below);
        format!("{}\n{picture}", self.headline(sources, color))
    }

    /// `NAME:LINE:COL1-COL2: ERROR: message [E0200]`: the line that other programs look for. The
    /// second column is one past the last; a place of several lines has no columns.
    fn headline(&self, sources: &SourceMap, color: Color) -> String {
        let (word, paint) = match self.severity {
            Severity::Note => ("NOTE", "32"),
            Severity::Warning => ("WARNING", "33"),
            Severity::Error => ("ERROR", "31"),
            Severity::Bug => ("BUG", "31"),
        };
        let word = match color {
            Color::Never => word.to_owned(),
            Color::Always => format!("\x1b[1;{paint}m{word}\x1b[0m"),
        };
        let place = self.labels.first().and_then(|label| {
            let source = sources.get(label.span.source)?;
            let first = source.position(label.span.start);
            let last = source.position(label.span.end);
            let name = &source.name;
            Some(if first.line == last.line {
                format!("{name}:{}:{}-{}: ", first.line, first.column, last.column)
            } else {
                format!("{name}:{}-{}: ", first.line, last.line)
            })
        });
        let place = place.unwrap_or_default();
        format!("{place}{word}: {} [{}]", self.message, self.code)
    }
}

/// Whether rendered text carries ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Plain text.
    Never,
    /// ANSI escapes.
    Always,
}

/// Diagnostics in the order they were found.
pub type Diagnostics = Vec<Diagnostic>;

/// The map as codespan reads it.
struct Texts<'a>(&'a SourceMap);

impl<'a> Files<'a> for Texts<'a> {
    type FileId = usize;
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, id: usize) -> Result<&'a str, FilesError> {
        Ok(&self.find(id)?.name)
    }

    fn source(&'a self, id: usize) -> Result<&'a str, FilesError> {
        Ok(&self.find(id)?.text)
    }

    fn line_index(&'a self, id: usize, byte: usize) -> Result<usize, FilesError> {
        let offset = u32::try_from(byte).map_err(|_| FilesError::FileMissing)?;
        Ok(self.find(id)?.position(offset).line as usize - 1)
    }

    fn line_range(&'a self, id: usize, line: usize) -> Result<Range<usize>, FilesError> {
        self.find(id)?
            .line_range(line)
            .ok_or(FilesError::LineTooLarge {
                given: line,
                max: self.find(id)?.line_count(),
            })
    }
}

impl<'a> Texts<'a> {
    fn find(&self, id: usize) -> Result<&'a crate::source::Source, FilesError> {
        let id = u32::try_from(id).map_err(|_| FilesError::FileMissing)?;
        self.0
            .get(crate::source::SourceId(id))
            .ok_or(FilesError::FileMissing)
    }
}
