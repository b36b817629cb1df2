//! A text that an editor has open: positions, words, and what compiling it comes to.
//!
//! Positions of the protocol are lines and UTF-16 units from 0; everything else counts bytes.

use super::Server;
use crate::{imports, run};
use rbt_compiler::Compiled;
use rbt_compiler::question::{Answer, At, Question};
use rbt_grammar::{SourceId, SourceMap};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::rc::Rc;

/// An open text.
#[derive(Debug)]
pub(super) struct Document {
    /// What the editor calls it.
    pub uri: String,
    /// Its text now.
    pub text: String,
    /// Where it is stored, if it is a file.
    path: Option<PathBuf>,
}

impl Document {
    pub(super) fn new(uri: &str, text: &str) -> Document {
        Document {
            uri: uri.to_owned(),
            text: text.to_owned(),
            path: uri.strip_prefix("file://").map(unescaped),
        }
    }

    /// What messages call it.
    pub(super) fn name(&self) -> String {
        match &self.path {
            Some(path) => path.display().to_string(),
            None => self.uri.clone(),
        }
    }

    /// The byte at a position; the end of its line for one behind it.
    pub(super) fn byte(&self, position: &Value) -> usize {
        let number = |name: &str| {
            let number = position[name].as_u64().unwrap_or(0);
            usize::try_from(number).unwrap_or(usize::MAX)
        };
        let mut start = 0;
        for line in self.text.split_inclusive('\n').take(number("line")) {
            start += line.len();
        }
        let rest = self.text.get(start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let mut units = 0;
        for (at, c) in line.char_indices() {
            if units >= number("character") {
                return start + at;
            }
            units += c.len_utf16();
        }
        start + line.len()
    }

    /// The position of a byte.
    fn position(&self, byte: usize) -> Value {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line = before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let units = before.get(start..).unwrap_or_default().encode_utf16();
        json!({ "line": line, "character": units.count() })
    }

    /// The range of some bytes.
    pub(super) fn range(&self, start: usize, end: usize) -> Value {
        json!({ "start": self.position(start), "end": self.position(end) })
    }

    /// The word that a byte is part of or right behind, with its `$` or `@`: its place.
    pub(super) fn word(&self, byte: usize) -> std::ops::Range<usize> {
        let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let before = self.text.get(..byte).unwrap_or_default();
        let after = self.text.get(byte..).unwrap_or_default();
        // On the sign itself.
        if after.starts_with(['$', '@']) {
            let rest = after.get(1..).unwrap_or_default();
            let length = rest.chars().take_while(is_part).count();
            return byte..byte + 1 + length;
        }
        let mut start = byte - before.chars().rev().take_while(is_part).count();
        let end = byte + after.chars().take_while(is_part).count();
        let sign = self.text.get(..start).unwrap_or_default();
        if sign.ends_with(['$', '@']) {
            start -= 1;
        }
        start..end
    }

    /// Compiles a text in this one's place; with a question, if there is one.
    pub(super) fn compile(
        &self,
        server: &Server,
        text: &str,
        question: Option<Rc<Question>>,
    ) -> (Compiled, SourceMap) {
        let mut sources = SourceMap::new();
        let script = sources.add(self.name(), text);
        // The environment's settings were read when the server started; wrong ones are not the
        // text's mistake.
        let mut options = run::options(&server.args, Vec::new()).unwrap_or_default();
        options.imports = imports::load(&mut sources, script, self.path.as_deref());
        options.question = question;
        options.allows_unsafe = true;
        let vocabulary = &rbt_stdlib::VOCABULARY;
        let compiled = rbt_compiler::compile(&sources, script, vocabulary, &*server.host, &options);
        (compiled, sources)
    }

    /// The smallest expression at a place of a text in this one's place.
    pub(super) fn ask(&self, server: &Server, text: &str, at: At) -> Option<Answer> {
        let question = Rc::new(Question::new(SourceId(0), at));
        self.compile(server, text, Some(Rc::clone(&question)));
        question.answer()
    }
}

/// The path of a URI, its `%20`s resolved.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => {
                let digit = |c: &u8| char::from(*c).to_digit(16);
                digit(high).zip(digit(low))
            }
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_utf_16() {
        let document = Document::new("file:///a%20b.bt", "é𝄞x\n@y = $z\n");
        assert_eq!(document.name(), "/a b.bt");
        let byte = |line: u32, character: u32| {
            document.byte(&json!({ "line": line, "character": character }))
        };
        assert_eq!(byte(0, 0), 0);
        assert_eq!(byte(0, 1), 2);
        assert_eq!(byte(0, 3), 6);
        assert_eq!(byte(0, 99), 7);
        assert_eq!(byte(1, 1), 9);
        assert_eq!(byte(7, 0), document.text.len());
        assert_eq!(document.position(6), json!({ "line": 0, "character": 3 }));
        assert_eq!(document.position(8), json!({ "line": 1, "character": 0 }));
        assert_eq!(&document.text[document.word(8)], "@y");
        assert_eq!(&document.text[document.word(10)], "@y");
        assert_eq!(&document.text[document.word(14)], "$z");
    }
}
