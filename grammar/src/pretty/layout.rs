//! What of a script's text the tree does not hold: comments, empty lines, how literals are
//! written.
//!
//! Takes the source and where its comments are; puts each comment at its statement: on the
//! lines before it, or behind it where it stood on the same line.

use super::Printer;
use crate::source::Span;

/// The text that is being laid out anew.
pub(super) struct Layout<'s> {
    text: &'s str,
    /// In order, those already printed first.
    comments: &'s [Span],
    next: usize,
}

impl<'s> Layout<'s> {
    pub(super) fn new(text: &'s str, comments: &'s [Span]) -> Layout<'s> {
        Layout {
            text,
            comments,
            next: 0,
        }
    }

    fn slice(&self, span: Span) -> &'s str {
        self.text.get(span.range()).unwrap_or("")
    }

    /// The next comment, if it begins before `at`.
    fn before(&self, at: u32) -> Option<Span> {
        let next = self.comments.get(self.next).copied();
        next.filter(|comment| comment.start < at)
    }

    /// The next comment, if nothing but punctuation stands between `at` and it.
    fn behind(&self, at: u32) -> Option<Span> {
        let next = self.comments.get(self.next).copied()?;
        let between = self.text.get(at as usize..next.start as usize)?;
        between
            .bytes()
            .all(|byte| matches!(byte, b' ' | b'\t' | b';' | b','))
            .then_some(next)
    }

    /// Whether an empty line stands before the byte `at`.
    fn is_apart(&self, at: u32) -> bool {
        let before = self.text.get(..at as usize).unwrap_or("");
        let gap = before.len() - before.trim_end().len();
        let gap = before.get(before.len() - gap..).unwrap_or("");
        gap.bytes().filter(|byte| *byte == b'\n').count() > 1
    }
}

impl Printer<'_> {
    /// How the script writes a literal, if that is known.
    pub(super) fn written(&self, span: Span) -> Option<String> {
        let text = self.layout.as_ref()?.slice(span).trim();
        Some(text.to_owned()).filter(|text| !text.is_empty())
    }

    /// Starts the line of what stands at `at`, behind an empty one where the script has one.
    pub(super) fn line_of(&mut self, at: u32, is_first: bool) {
        if let Some(layout) = &self.layout {
            let start = layout.before(at).map_or(at, |comment| comment.start);
            if !is_first && layout.is_apart(start) {
                self.put("\n");
            }
        }
        self.line();
    }

    /// Comments that begin before `at`, each with a line of its own.
    pub(super) fn comments_before(&mut self, at: u32) {
        while let Some(text) = self.take(|layout| layout.before(at)) {
            self.put(&text);
            self.line();
        }
    }

    /// Comments between the last statement of a block and its end.
    pub(super) fn comments_at_end(&mut self, end: u32) {
        while let Some(text) = self.take(|layout| layout.before(end)) {
            self.line();
            self.put(&text);
        }
    }

    /// Whether a comment begins before `at`.
    pub(super) fn has_comments(&self, at: u32) -> bool {
        let layout = self.layout.as_ref();
        layout.is_some_and(|layout| layout.before(at).is_some())
    }

    /// Comments behind what ended at `end`, on its line.
    pub(super) fn comments_behind(&mut self, end: u32) {
        let mut end = end;
        while let Some(comment) = self.layout.as_ref().and_then(|layout| layout.behind(end)) {
            let Some(text) = self.take(|_| Some(comment)) else {
                return;
            };
            self.put(" ");
            self.put(&text);
            end = comment.end;
        }
    }

    /// Comments at top level before what begins at `at`, and the empty lines between them.
    pub(super) fn comments_above(&mut self, at: u32) {
        while let Some(text) = self.take(|layout| layout.before(at)) {
            self.put(&text);
            self.put("\n");
            let Some(layout) = &self.layout else { return };
            let following = layout.before(at).map_or(at, |comment| comment.start);
            if layout.is_apart(following) {
                self.put("\n");
            }
        }
    }

    fn take(&mut self, find: impl Fn(&Layout<'_>) -> Option<Span>) -> Option<String> {
        let layout = self.layout.as_mut()?;
        let comment = find(layout)?;
        layout.next += 1;
        Some(layout.slice(comment).trim_end().to_owned())
    }
}
