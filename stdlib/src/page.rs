//! The pages of all words, whichever side of the language they are written in.
//!
//! Gives what `rbt --doc` shows and the reference is made of. Never formats anything.

use crate::{VOCABULARY, library};
use rbt_compiler::word::Word;

/// What a word is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A probe type: `tracepoint`.
    Probe,
    /// A value: `pid`.
    #[default]
    Builtin,
    /// A call: `printf`.
    Function,
    /// A way for a map to combine values: `count`.
    Aggregation,
    /// A word that the language itself says: `stdlib/bt`.
    Macro,
}

/// The page of a word.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What it is.
    pub kind: Kind,
    /// As scripts write it.
    pub name: &'static str,
    /// Its short names; exact.
    pub aliases: Vec<&'static str>,
    /// How it is written, one for each form.
    pub usage: Vec<String>,
    /// One sentence.
    pub summary: String,
    /// Further paragraphs; may be empty.
    pub details: String,
    /// Scripts that compile.
    pub examples: Vec<String>,
    /// The first kernel that has what it needs; empty for the baseline.
    pub kernel: String,
    /// Whether it wants `--unsafe`.
    pub is_unsafe: bool,
}

fn of<W: Word + ?Sized>(kind: Kind, word: &W) -> Page {
    let doc = word.doc();
    let owned = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    Page {
        kind,
        name: word.name(),
        aliases: Vec::new(),
        usage: owned(doc.usage),
        summary: doc.summary.to_owned(),
        details: doc.details.to_owned(),
        examples: owned(doc.examples),
        kernel: doc.kernel.to_owned(),
        is_unsafe: false,
    }
}

/// Every word's page: probe types, builtins, functions, aggregations, macros; each kind in the
/// order of its table.
pub fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    for word in VOCABULARY.providers {
        let mut page = of(Kind::Probe, *word);
        page.aliases = word.aliases().to_vec();
        pages.push(page);
    }
    pages.extend(VOCABULARY.builtins.iter().map(|w| of(Kind::Builtin, *w)));
    for word in VOCABULARY.functions {
        let mut page = of(Kind::Function, *word);
        page.is_unsafe = word.is_unsafe();
        pages.push(page);
    }
    let aggregations = VOCABULARY.aggregations.iter();
    pages.extend(aggregations.map(|w| of(Kind::Aggregation, *w)));
    pages.extend(VOCABULARY.scripts.iter().flat_map(library::pages));
    pages
}
