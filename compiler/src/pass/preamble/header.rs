//! Headers: what the files that a script includes define.
//!
//! Takes the text of a file; gives its macros, and those of its structs, unions, enums and
//! typedefs that the language can read. Functions, variables and what only a C compiler
//! understands are passed over without a word: the script did not write them.

use super::token::{Kind, Token, split, write};
use super::{Walk, expand};
use crate::target::Header;
use rbt_grammar::ast::{CBase, CItem};
use rbt_grammar::{ParseOptions, SourceMap, Span};

/// Files inside files.
pub(super) const MOST_NESTED: usize = 128;

/// Files of a script together, each counted as often as it is read.
const MOST_FILES: usize = 1 << 14;

/// Bytes of all headers of a script together.
const MOST_BYTES: usize = 64 << 20;

/// Macros that C compilers have without any header, for 64-bit Linux.
const PREDEFINED: &str = "\
#define __STDC__ 1
#define __STDC_VERSION__ 201112
#define __GNUC__ 4
#define __GNUC_MINOR__ 2
#define __linux__ 1
#define __linux 1
#define __unix__ 1
#define __LP64__ 1
#define _LP64 1
#define __BPF_TRACING__ 1
#define __CHAR_BIT__ 8
#define __SIZEOF_INT__ 4
#define __SIZEOF_LONG__ 8
#define __SIZEOF_POINTER__ 8
#define __INT_MAX__ 2147483647
#define __LONG_MAX__ 9223372036854775807
#define __ORDER_LITTLE_ENDIAN__ 1234
#define __ORDER_BIG_ENDIAN__ 4321
#define __BYTE_ORDER__ 1234
#define __SIZE_TYPE__ unsigned long
#define __PTRDIFF_TYPE__ long
#define __WCHAR_TYPE__ int
#define __extension__
#define __inline
#define __inline__
#define __restrict
#define __const const
#define __volatile__
#define __signed__ signed
";

/// Macros of kernel headers that scripts use, for machines that have no such headers.
const CONSTANTS: &str = include_str!("constants.h");

impl Walk<'_> {
    /// Stands in for a header that is not there: the kernel's type information has its types,
    /// but not its macros.
    pub(super) fn without_header(&mut self, span: Span) {
        let header = Header {
            path: String::from("constants.h"),
            text: CONSTANTS.to_owned(),
            is_kernel: true,
        };
        self.header(&header, span);
    }

    /// Reads a header that was found. What it says wrong is its own affair.
    pub(super) fn header(&mut self, header: &Header, span: Span) {
        self.header_bytes = self.header_bytes.saturating_add(header.text.len());
        self.header_count += 1;
        let is_read = self.once.contains(&header.path);
        let is_too_much = self.files.len() >= MOST_NESTED
            || self.header_count > MOST_FILES
            || self.header_bytes > MOST_BYTES;
        if is_read || is_too_much {
            return;
        }
        if self.header_count == 1 {
            self.predefine(span);
        }
        let branches = self.branches.len();
        self.files.push(header.path.clone());
        let before = std::mem::take(&mut self.pending);
        let declared = std::mem::take(&mut self.declared);
        for line in logical_lines(&header.text) {
            match line.trim_start().strip_prefix('#') {
                Some(directive) => {
                    let is_include = directive.trim_start().starts_with("include");
                    let changes = is_include
                        || directive.trim_start().starts_with("define")
                        || directive.trim_start().starts_with("undef");
                    if changes && self.is_active() {
                        self.flush();
                    }
                    if is_include && self.is_active() {
                        self.declare(header.is_kernel);
                    }
                    self.directive_text(directive, span);
                }
                None if self.is_active() => {
                    let mut tokens = split(&line);
                    if let Some(first) = tokens.first_mut() {
                        first.is_spaced = true;
                    }
                    self.pending.append(&mut tokens);
                }
                None => {}
            }
        }
        self.flush();
        self.declare(header.is_kernel);
        self.pending = before;
        self.declared = declared;
        self.files.pop();
        self.branches.truncate(branches);
    }

    /// The macros of the C compiler that the headers expect.
    fn predefine(&mut self, span: Span) {
        self.files.push(String::new());
        let c_macro = format!("__{}__", self.target.arch().name);
        let arch = format!("#define {} 1\n", c_macro);
        for line in PREDEFINED.lines().chain(arch.lines()) {
            if let Some(directive) = line.strip_prefix('#') {
                self.directive_text(directive, span);
            }
        }
        self.files.pop();
    }

    /// Expands what was read since the last change of a macro.
    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        if let Some(mut expanded) = expand::expand(&self.preamble.macros, pending) {
            self.declared.append(&mut expanded);
        }
    }

    /// Takes the whole declarations off what was expanded; a begun one is left.
    fn declare(&mut self, is_kernel: bool) {
        let tokens = std::mem::take(&mut self.declared);
        let mut start = 0;
        let mut depth = 0_usize;
        let mut is_function = false;
        for (at, token) in tokens.iter().enumerate() {
            if token.kind != Kind::Mark {
                continue;
            }
            match &*token.text {
                "(" | "[" => depth += 1,
                "{" => {
                    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
                    is_function |= depth == 0 && before.is_some_and(|t| t.is(")"));
                    depth += 1;
                }
                ")" | "]" => depth = depth.saturating_sub(1),
                "}" => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 && is_function {
                        // An inline function, or `extern "C" { … }`.
                        start = at + 1;
                        is_function = false;
                    }
                }
                ";" if depth == 0 => {
                    self.declaration(tokens.get(start..=at).unwrap_or_default(), is_kernel);
                    start = at + 1;
                    is_function = false;
                }
                _ => {}
            }
        }
        self.declared = tokens.get(start..).unwrap_or_default().to_vec();
    }

    /// One declaration with its `;`.
    fn declaration(&mut self, tokens: &[Token], is_kernel: bool) {
        let first = tokens.first().map_or("", |token| &token.text);
        let has_body = tokens.iter().any(|token| token.is("{"));
        let is_definition = match first {
            "typedef" => true,
            "struct" | "union" | "enum" => has_body,
            _ => false,
        };
        if !is_definition {
            return;
        }
        let mut sources = SourceMap::new();
        let id = sources.add("header", write(tokens));
        let Some(source) = sources.get(id) else {
            return;
        };
        let parsed = rbt_grammar::parse(source, &ParseOptions::default());
        let is_good = parsed.diagnostics.is_empty() && parsed.program.items.is_empty();
        if !is_good {
            return;
        }
        for item in parsed.program.preamble {
            if !(is_kernel && self.is_of_kernel(&item)) {
                self.preamble.header_items.push(item);
            }
        }
    }

    /// Whether the kernel describes a type itself: it knows better than its headers, which
    /// depend on how it was configured.
    fn is_of_kernel(&self, item: &CItem) -> bool {
        let Ok(btf) = self.target.btf() else {
            return false;
        };
        match item {
            CItem::Record(record) => record.name.as_ref().is_some_and(|name| {
                btf.find_struct(&name.node).is_some() || btf.find_union(&name.node).is_some()
            }),
            CItem::Enum(e) => {
                let name = e.name.as_ref();
                name.is_some_and(|name| btf.find_enum(&name.node).is_some())
            }
            CItem::Typedef { name, field } => {
                let is_known = btf.find_typedef(&name.node).is_some();
                is_known && !matches!(field.base, CBase::Enum(_))
            }
            CItem::Directive(_) | CItem::Error(_) => false,
        }
    }
}

/// The lines of a C text without comments; lines that end in a backslash are joined, and a
/// comment over several lines counts as none.
fn logical_lines(text: &str) -> impl Iterator<Item = String> {
    let joined = text.replace("\\\r\n", "").replace("\\\n", "");
    let mut lines = vec![String::new()];
    let mut rest = joined.as_str();
    let mut quote = None;
    while let Some(c) = rest.chars().next() {
        let (piece, after) = rest.split_at_checked(c.len_utf8()).unwrap_or((rest, ""));
        let Some(line) = lines.last_mut() else {
            break;
        };
        match (c, quote) {
            ('\n', _) => {
                quote = None;
                lines.push(String::new());
                rest = after;
                continue;
            }
            ('\\', Some(_)) => {
                let next = after.chars().next().map_or(0, char::len_utf8);
                let (escaped, after) = after.split_at_checked(next).unwrap_or((after, ""));
                line.push_str(piece);
                line.push_str(escaped);
                rest = after;
                continue;
            }
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('/', None) if after.starts_with('*') => {
                line.push(' ');
                rest = after.split_once("*/").map_or("", |(_, after)| after);
                continue;
            }
            ('/', None) if after.starts_with('/') => {
                rest = after
                    .find('\n')
                    .and_then(|at| after.get(at..))
                    .unwrap_or("");
                continue;
            }
            _ => {}
        }
        line.push_str(piece);
        rest = after;
    }
    lines.into_iter().filter(|line| !line.trim().is_empty())
}
