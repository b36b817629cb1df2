//! From text to tree: sources, diagnostics, tokens and the syntax tree.
//!
//! Takes a source's text; gives an [`ast::Program`] and diagnostics. It knows how the
//! language is written and nothing of what any name means, nor that BPF exists.
#![forbid(unsafe_code)]

pub mod ast;
pub mod codes;
pub mod diagnostic;
pub mod source;

pub use diagnostic::{Color, Diagnostic, Diagnostics, Severity};
pub use source::{Source, SourceId, SourceMap, Span, Spanned};

/// What the parser must be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParseOptions<'a> {
    /// Names and aliases of the probe providers: they tell where an item begins after a `>`.
    /// Names match without regard to letter case, aliases exactly; see `aliases`.
    pub providers: &'a [&'a str],
    /// Short provider names, matched exactly.
    pub aliases: &'a [&'a str],
    /// Positional parameters: `$1` in an attach point is replaced by the first.
    pub positional: &'a [String],
}

/// A tree and what was wrong with the text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The tree; it may hold `Error` nodes.
    pub program: ast::Program,
    /// One for each mistake.
    pub diagnostics: Diagnostics,
}
