//! Where output goes and in which format: one file for each format beside this.
//!
//! Takes values and texts; writes to stdout or a file what belongs there, to stderr what a
//! person should notice. Holds back what buffering allows; loses nothing that was given.

mod chart;
pub(crate) mod json;
pub mod text;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rbt_grammar::source::{SourceMap, Span};

use crate::maps::MapReport;
use crate::value::Value;

/// How output is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object to a line.
    Json,
}

/// When output leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Buffering {
    /// With each newline; lines that come together leave together.
    #[default]
    Line,
    /// When there is much of it, and at the end.
    Full,
    /// At once.
    None,
}

/// How much is held back before it leaves in any case.
const CAPACITY: usize = 1 << 16;

/// Writes output in one format to one place.
///
/// Private fields: `pending` holds what was given and not yet written.
pub struct Printer {
    file: File,
    format: OutputFormat,
    buffering: Buffering,
    pending: Vec<u8>,
    scratch: Vec<u8>,
    /// Where in `pending` captured text starts, and the format before.
    capture: Option<(usize, OutputFormat)>,
    /// What a person should notice goes to the file too.
    takes_errors: bool,
}

/// Something a person should notice, that came up while a program ran.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// What JSON calls it: `errorf`, `warnf`, `helper_error`, `runtime_error`.
    pub kind: &'a str,
    /// `ERROR` or `WARNING`.
    pub severity: &'a str,
    /// The sentence.
    pub text: &'a str,
    /// The expression it comes from.
    pub span: Span,
    /// The helper that failed and what it returned.
    pub helper: Option<(&'a str, i64)>,
    /// Whether the source line is shown below.
    pub shows_source: bool,
}

impl Printer {
    /// Writes to the file at `path`, or to stdout.
    ///
    /// Errors: the file cannot be made.
    pub fn new(
        path: Option<&Path>,
        format: OutputFormat,
        buffering: Buffering,
    ) -> io::Result<Printer> {
        let file = match path {
            Some(path) => File::create(path)?,
            None => File::from(io::stdout().as_fd().try_clone_to_owned()?),
        };
        Ok(Printer::to_file(file, format, buffering))
    }

    /// Writes to an open file.
    pub fn to_file(file: File, format: OutputFormat, buffering: Buffering) -> Printer {
        Printer {
            file,
            format,
            buffering,
            pending: Vec::new(),
            scratch: Vec::new(),
            capture: None,
            takes_errors: false,
        }
    }

    /// The same with what would go to stderr in the same place.
    pub(crate) fn with_errors(mut self) -> Printer {
        self.takes_errors = true;
        self
    }

    /// The format.
    pub fn format(&self) -> OutputFormat {
        self.format
    }

    /// Writes the text of an event that JSON calls `kind`: `printf`, `time`, `cat`, `join`,
    /// `syscall`.
    pub fn text(&mut self, kind: &str, body: &[u8]) -> io::Result<()> {
        match self.format {
            OutputFormat::Text => self.pending.extend_from_slice(body),
            OutputFormat::Json => json::write_text(kind, body, &mut self.pending),
        }
        self.written()
    }

    /// The same for a text that `fill` appends to a buffer: no copy is made of it in text.
    ///
    /// Errors: those of `fill`, and then nothing is written; the output's.
    pub fn text_with<E: From<io::Error>>(
        &mut self,
        kind: &str,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.format {
            OutputFormat::Text => {
                let start = self.pending.len();
                if let Err(error) = fill(&mut self.pending) {
                    self.pending.truncate(start);
                    return Err(error);
                }
            }
            OutputFormat::Json => {
                self.scratch.clear();
                fill(&mut self.scratch)?;
                json::write_text(kind, &self.scratch, &mut self.pending);
            }
        }
        Ok(self.written()?)
    }

    /// Writes a value and a newline.
    pub fn value(&mut self, value: &Value<'_>) -> io::Result<()> {
        match self.format {
            OutputFormat::Text => {
                text::write_value(value, &mut self.pending);
                self.pending.push(b'\n');
            }
            OutputFormat::Json => json::write_value_record(value, &mut self.pending),
        }
        self.written()
    }

    /// Writes a map.
    pub fn map(&mut self, map: &MapReport<'_>) -> io::Result<()> {
        match self.format {
            OutputFormat::Text => {
                for (key, value) in &map.entries {
                    self.element(&map.name, key.as_ref(), value)?;
                }
            }
            OutputFormat::Json => json::write_map(map, &mut self.pending),
        }
        self.written()
    }

    /// Writes one element of a map as text.
    pub(crate) fn element(
        &mut self,
        name: &str,
        key: Option<&Value<'_>>,
        value: &Value<'_>,
    ) -> io::Result<()> {
        text::write_element(name, key, value, &mut self.pending);
        self.written()
    }

    /// Writes a line of a report as it is, whatever the format.
    pub(crate) fn raw(&mut self, text: &str) -> io::Result<()> {
        self.raw_bytes(text.as_bytes())
    }

    /// The same for bytes.
    pub(crate) fn raw_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        self.written()?;
        self.end_of_batch()
    }

    /// Keeps what is given from now on, as text, for [`Printer::end_capture`].
    pub(crate) fn start_capture(&mut self) {
        self.capture = Some((self.pending.len(), self.format));
        self.format = OutputFormat::Text;
    }

    /// What was given since, which is not written.
    pub(crate) fn end_capture(&mut self) -> Vec<u8> {
        let Some((start, format)) = self.capture.take() else {
            return Vec::new();
        };
        self.format = format;
        self.pending.split_off(start.min(self.pending.len()))
    }

    /// Says how many functions and events were attached.
    pub fn attached(&mut self, count: u64) -> io::Result<()> {
        match self.format {
            OutputFormat::Text => {
                let plural = if count == 1 { "" } else { "s" };
                self.to_stderr(&format!("Attached {count} probe{plural}\n"))
            }
            OutputFormat::Json => self.counted("attached_probes", "probes", count),
        }
    }

    /// Says how many events found no room.
    pub fn lost(&mut self, count: u64) -> io::Result<()> {
        match self.format {
            OutputFormat::Text => self.to_stderr(&format!("Lost {count} events\n")),
            OutputFormat::Json => self.counted("lost_events", "events", count),
        }
    }

    /// Shows a message with its place.
    pub fn message(&mut self, message: &Message<'_>, sources: &SourceMap) -> io::Result<()> {
        match self.format {
            OutputFormat::Text => {
                let text = message_text(message, sources);
                self.to_stderr(&text)
            }
            OutputFormat::Json => {
                let line = message_json(message, sources);
                self.pending.extend_from_slice(&line);
                self.written()
            }
        }
    }

    /// Writes to stderr, after what was given before and is due.
    pub fn to_stderr(&mut self, text: &str) -> io::Result<()> {
        self.end_of_batch()?;
        if self.takes_errors {
            return self.file.write_all(text.as_bytes());
        }
        // If nobody reads the errors, the output is still worth going on for.
        let _ = io::stderr().write_all(text.as_bytes());
        Ok(())
    }

    /// Ends the output of events: two newlines before the maps, in text.
    pub fn finish_events(&mut self) -> io::Result<()> {
        if self.format == OutputFormat::Text {
            self.pending.extend_from_slice(b"\n\n");
        }
        self.written()
    }

    /// Says that all events that came together were given: whole lines are due.
    pub fn end_of_batch(&mut self) -> io::Result<()> {
        if self.buffering != Buffering::Line {
            return Ok(());
        }
        let due = self.pending.iter().rposition(|byte| *byte == b'\n');
        let due = due.map_or(0, |last| last + 1);
        self.write_out(due)
    }

    /// Writes all that was given.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_out(self.pending.len())
    }

    fn written(&mut self) -> io::Result<()> {
        if self.buffering == Buffering::None || self.pending.len() >= CAPACITY {
            return self.flush();
        }
        Ok(())
    }

    fn write_out(&mut self, length: usize) -> io::Result<()> {
        let due = self.pending.get(..length).unwrap_or(&[]);
        if due.is_empty() || self.capture.is_some() {
            return Ok(());
        }
        let result = self.file.write_all(due);
        // After a failure the same bytes would only fail again.
        self.pending.drain(..length);
        result
    }

    fn counted(&mut self, kind: &str, what: &str, count: u64) -> io::Result<()> {
        let line = format!(
            "{{\"type\": \"{kind}\", \"count\": {count}, \"data\": {{\"{what}\": {count}}}}}\n"
        );
        self.pending.extend_from_slice(line.as_bytes());
        self.written()
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        // Whoever cares about failures has flushed before.
        let _ = self.flush();
    }
}

/// `NAME:LINE:COL1-COL2: WARNING: text`, then the source and a line of tildes.
fn message_text(message: &Message<'_>, sources: &SourceMap) -> String {
    let Message {
        severity,
        text,
        span,
        ..
    } = message;
    let Some(source) = sources.get(span.source) else {
        return format!("{severity}: {text}\n");
    };
    let (first, last) = (source.position(span.start), source.position(span.end));
    let name = &source.name;
    let is_one_line = first.line == last.line;
    let place = if is_one_line {
        format!("{name}:{}:{}-{}", first.line, first.column, last.column)
    } else {
        format!("{name}:{}-{}", first.line, last.line)
    };
    let mut shown = format!("{place}: {severity}: {text}\n");
    if let Some((helper, code)) = message.helper {
        shown += &format!("Additional Info - helper: {helper}, retcode: {code}\n");
    }
    if message.shows_source {
        for line in first.line..=last.line {
            shown += source.line(line);
            shown.push('\n');
        }
        if is_one_line {
            let width = (last.column - first.column) as usize;
            let indent = first.column as usize - 1;
            shown += &format!("{:indent$}{}\n", "", "~".repeat(width));
        }
    }
    shown
}

fn message_json(message: &Message<'_>, sources: &SourceMap) -> Vec<u8> {
    let mut line = format!("{{\"type\": \"{}\", \"msg\": ", message.kind).into_bytes();
    json::write_string(message.text.as_bytes(), &mut line);
    if let Some((helper, code)) = message.helper {
        line.extend_from_slice(b", \"helper\": ");
        json::write_string(helper.as_bytes(), &mut line);
        line.extend_from_slice(format!(", \"retcode\": {code}").as_bytes());
    }
    if let Some(source) = sources.get(message.span.source) {
        let at = source.position(message.span.start);
        line.extend_from_slice(b", \"filename\": ");
        json::write_string(source.name.as_bytes(), &mut line);
        let place = format!(", \"line\": {}, \"col\": {}", at.line, at.column);
        line.extend_from_slice(place.as_bytes());
    }
    line.extend_from_slice(b"}\n");
    line
}

/// A quoted string of JSON.
pub(crate) fn json_string(text: &[u8]) -> String {
    let mut quoted = Vec::new();
    json::write_string(text, &mut quoted);
    String::from_utf8_lossy(&quoted).into_owned()
}
