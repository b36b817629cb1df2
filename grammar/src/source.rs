//! Sources, spans, and the only place that counts bytes and lines.
//!
//! Takes text with a name; gives identities and positions. Never reads a file.

use std::fmt;
use std::ops::Range;

/// Names one text of a [`SourceMap`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// A range of bytes in one source.
///
/// Units: bytes from the start of the text; `end` is one past the last byte.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The text the range lies in.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end` of `source`.
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        Span {
            source,
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(end).unwrap_or(u32::MAX),
        }
    }

    /// The smallest range that holds both. Ranges of different sources give the first.
    pub fn to(self, other: Span) -> Span {
        if self.source != other.source {
            return self;
        }
        Span {
            source: self.source,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// The empty range at this one's end: where something is missing.
    pub fn after(self) -> Span {
        Span {
            start: self.end,
            ..self
        }
    }

    /// The bytes as an index into the text.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// A value and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    /// The value.
    pub node: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `node` at `span`.
    pub fn new(node: T, span: Span) -> Self {
        Spanned { node, span }
    }
}

/// One text: a script, an imported file, a `-e` argument.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its identity in the map it was added to.
    pub id: SourceId,
    /// What diagnostics call it: a path as given, or `stdin` for `-e` and `-`.
    pub name: String,
    /// The text. Bytes that were not UTF-8 have been replaced before it came here.
    pub text: String,
    /// Byte offset of the start of each line.
    lines: Vec<u32>,
}

/// A line and a column, both counted from 1; columns are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Byte in the line, from 1.
    pub column: u32,
}

impl Source {
    fn new(id: SourceId, name: String, text: String) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let lines = std::iter::once(0)
            .chain(starts.map(|(i, _)| u32::try_from(i + 1).unwrap_or(u32::MAX)))
            .collect();
        Source {
            id,
            name,
            text,
            lines,
        }
    }

    /// Where byte `offset` stands. An offset past the end gives the end.
    pub fn position(&self, offset: u32) -> Position {
        let line = self.lines.partition_point(|start| *start <= offset).max(1) - 1;
        let start = self.lines.get(line).copied().unwrap_or(0);
        Position {
            line: u32::try_from(line).unwrap_or(u32::MAX) + 1,
            column: offset.saturating_sub(start) + 1,
        }
    }

    /// The text of line `line` (from 1), without its newline; empty past the end.
    pub fn line(&self, line: u32) -> &str {
        let range = self.line_range(line.saturating_sub(1) as usize);
        let text = range.and_then(|r| self.text.get(r)).unwrap_or("");
        text.trim_end_matches(['\n', '\r'])
    }

    /// The bytes of line `index` (from 0) with its newline; nothing past the end.
    pub fn line_range(&self, index: usize) -> Option<Range<usize>> {
        let start = *self.lines.get(index)? as usize;
        let next = self.lines.get(index + 1);
        Some(start..next.map_or(self.text.len(), |n| *n as usize))
    }

    /// How many lines there are; an empty text has one.
    pub fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// The text a span covers; empty if the span is not of this source.
    pub fn slice(&self, span: Span) -> &str {
        if span.source != self.id {
            return "";
        }
        self.text.get(span.range()).unwrap_or("")
    }
}

/// All texts of a compilation, by identity.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    sources: Vec<Source>,
}

impl SourceMap {
    /// A map without texts.
    pub fn new() -> Self {
        SourceMap::default()
    }

    /// Adds a text and gives its identity.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        let id = SourceId(u32::try_from(self.sources.len()).unwrap_or(u32::MAX));
        self.sources.push(Source::new(id, name.into(), text.into()));
        id
    }

    /// The text of that identity.
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.sources.get(id.0 as usize)
    }

    /// All texts, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter()
    }

    /// The text a span covers; empty when its source is unknown.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source).map_or("", |s| s.slice(span))
    }

    /// `name:line:column` of a span's start, as messages write it.
    pub fn locate(&self, span: Span) -> String {
        match self.get(span.source) {
            Some(source) => {
                let at = source.position(span.start);
                format!("{}:{}:{}", source.name, at.line, at.column)
            }
            None => String::from("?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_bytes_from_one() {
        let mut map = SourceMap::new();
        let id = map.add("a.bt", "ab\ncd\n");
        let source = map.get(id).expect("just added");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(4), Position { line: 2, column: 2 });
        assert_eq!(source.position(6), Position { line: 3, column: 1 });
        assert_eq!(source.line(2), "cd");
        assert_eq!(source.line(9), "");
        assert_eq!(map.locate(Span::new(id, 3, 5)), "a.bt:2:1");
    }
}
