//! Which line of which source each instruction came from, as `.BTF.ext` says it.
//!
//! Takes functions with their spans; gives the bytes of the section. The kernel shows these
//! lines in verifier logs and `bpftool prog dump`.
//!
//! Source: the kernel's `Documentation/bpf/btf.rst`, section 4.2.

use crate::backend::Code;
use crate::btf::{BtfBuilder, TypeId};
use rbt_grammar::{SourceId, SourceMap, Span};
use std::collections::HashMap;

/// Bytes of the header; the last two words place relocations of types, of which there are none.
const HEADER_SIZE: u32 = 32;

/// Highest column that ten bits hold.
const MOST_COLUMNS: u32 = 1023;

/// What is known of one section.
struct Section {
    name: String,
    /// Byte offset and type of each function.
    functions: Vec<[u32; 2]>,
    /// Byte offset, file name, line text, `line << 10 | column`.
    lines: Vec<[u32; 4]>,
}

/// Line information being gathered.
pub(super) struct Lines<'a> {
    sources: &'a SourceMap,
    sections: Vec<Section>,
    /// Where each of them is, by name.
    numbers: HashMap<String, usize>,
    /// The last line that was asked for, with its file's name and its text: instructions
    /// of one line mostly come together.
    last: Option<((SourceId, u32), [u32; 2])>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(sources: &'a SourceMap) -> Self {
        Lines {
            sources,
            sections: Vec::new(),
            numbers: HashMap::new(),
            last: None,
        }
    }

    /// Takes a function that starts at byte `start` of a section. Functions of one section
    /// come in the order of their offsets. Instructions of no source count to the one before,
    /// the first ones to `clause`.
    pub(super) fn function(
        &mut self,
        section: &str,
        start: u64,
        ty: TypeId,
        code: &Code,
        clause: Span,
        strings: &mut BtfBuilder,
    ) {
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let mut lines = Vec::new();
        let mut last = None;
        let mut seen = None;
        for index in insn_starts(code) {
            let span = code.spans.get(index).copied().unwrap_or(clause);
            // The same place as the instruction before.
            if seen == Some(span) && last.is_some() {
                continue;
            }
            seen = Some(span);
            let place = match (self.place(span, strings), last) {
                (Some(place), _) => place,
                (None, Some(_)) => continue,
                // The kernel wants a line for the first instruction of every function.
                (None, None) => self.place(clause, strings).unwrap_or([0, 0, 0]),
            };
            if last == Some(place) {
                continue;
            }
            last = Some(place);
            let [file, text, position] = place;
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            lines.push([start.saturating_add(index * 8), file, text, position]);
        }
        let functions = [start, ty.0];
        let known = self.numbers.get(section);
        match known.and_then(|number| self.sections.get_mut(*number)) {
            Some(found) => {
                found.functions.push(functions);
                found.lines.extend(lines);
            }
            None => {
                self.numbers.insert(section.to_owned(), self.sections.len());
                self.sections.push(Section {
                    name: section.to_owned(),
                    functions: vec![functions],
                    lines,
                });
            }
        }
    }

    /// File name, line text and position of a span's start; `None` if it is of no source.
    fn place(&mut self, span: Span, strings: &mut BtfBuilder) -> Option<[u32; 3]> {
        if span.start == span.end {
            return None;
        }
        let source = self.sources.get(span.source)?;
        let at = source.position(span.start);
        let line = (span.source, at.line);
        let [file, text] = match self.last {
            Some((last, found)) if last == line => found,
            _ => {
                let name = strings.string(&source.name);
                let found = [name, strings.string(source.line(at.line))];
                self.last = Some((line, found));
                found
            }
        };
        let column = at.column.min(MOST_COLUMNS);
        Some([file, text, at.line << 10 | column])
    }

    /// The bytes of `.BTF.ext`.
    pub(super) fn finish(&self, strings: &mut BtfBuilder) -> Vec<u8> {
        let functions = table(8, strings, self.sections.iter().map(|s| (s, &s.functions)));
        let lines = table(16, strings, self.sections.iter().map(|s| (s, &s.lines)));
        let (functions_size, lines_size) = (bytes_of(&functions), bytes_of(&lines));
        let header = [
            // The magic number, version 1, no flags.
            0x0001_eb9f,
            HEADER_SIZE,
            0,
            functions_size,
            functions_size,
            lines_size,
            functions_size + lines_size,
            0,
        ];
        let words = header.iter().chain(&functions).chain(&lines);
        words.flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// A record size and, for each section, its name, how many records it has, and these.
fn table<'a, const N: usize>(
    record_size: u32,
    strings: &mut BtfBuilder,
    sections: impl Iterator<Item = (&'a Section, &'a Vec<[u32; N]>)>,
) -> Vec<u32> {
    let mut words = vec![record_size];
    for (section, records) in sections.filter(|(_, records)| !records.is_empty()) {
        words.push(strings.string(&section.name));
        words.push(records.len() as u32);
        words.extend(records.iter().flatten());
    }
    words
}

fn bytes_of(words: &[u32]) -> u32 {
    u32::try_from(words.len() * 4).unwrap_or(u32::MAX)
}

/// Indexes of instructions, the second halves of `ld_imm64` left out.
fn insn_starts(code: &Code) -> impl Iterator<Item = usize> {
    let mut is_second_half = false;
    code.insns.iter().enumerate().filter_map(move |(at, insn)| {
        if is_second_half {
            is_second_half = false;
            return None;
        }
        is_second_half = insn.code == super::LD_IMM64;
        Some(at)
    })
}
