//! Anything a script can name: what every word has, on either side of the kernel boundary.

/// A word of the language.
pub trait Word: Sync {
    /// As scripts write it.
    fn name(&self) -> &'static str;
    /// Its page.
    fn doc(&self) -> &'static Doc;
}

/// The page of a word: shown by `rbt --doc`, checked by the tests, printed in the reference.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// How it is written, one line for each form: `str(pointer [, length]) -> string`.
    pub usage: &'static [&'static str],
    /// One sentence.
    pub summary: &'static str,
    /// Further paragraphs; may be empty.
    pub details: &'static str,
    /// Scripts that compile, shortest first.
    pub examples: &'static [&'static str],
    /// The first kernel that has what it needs, and what that is; empty for the baseline.
    pub kernel: &'static str,
}
