//! The tokens that the C preprocessor sees.
//!
//! Takes a text without comments and directives; gives words, numbers and marks, and writes
//! them back. Knows no keyword and no macro. Any bytes are some token.

use std::rc::Rc;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword.
    Word,
    /// A number with whatever clings to it.
    Number,
    /// `"…"`
    Text,
    /// `'…'`
    Character,
    /// An operator or another character.
    Mark,
}

/// The macros whose expansion a token came out of: it is not expanded by them again.
#[derive(Debug)]
pub(super) struct Hidden {
    pub name: Rc<str>,
    pub outer: Option<Rc<Hidden>>,
}

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub text: Rc<str>,
    /// White space stands in front of it.
    pub is_spaced: bool,
    pub hidden: Option<Rc<Hidden>>,
}

impl Token {
    pub(super) fn new(kind: Kind, text: &str, is_spaced: bool) -> Token {
        Token {
            kind,
            text: Rc::from(text),
            is_spaced,
            hidden: None,
        }
    }

    pub(super) fn is(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && *self.text == *mark
    }

    /// Whether it came out of the macro `name`.
    pub(super) fn is_hidden_from(&self, name: &str) -> bool {
        let mut next = self.hidden.as_ref();
        while let Some(hidden) = next {
            if *hidden.name == *name {
                return true;
            }
            next = hidden.outer.as_ref();
        }
        false
    }
}

/// Marks of more than one character, longer ones before their beginnings.
const MARKS: &[&str] = &[
    "...", "<<=", ">>=", "##", "->", "++", "--", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||",
    "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
];

/// Splits a text.
pub(super) fn split(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut is_spaced = false;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            is_spaced = true;
            rest = rest.trim_start();
            continue;
        }
        let (kind, length) = first(rest, c);
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        tokens.push(Token::new(kind, token, is_spaced));
        is_spaced = false;
        rest = after;
    }
    tokens
}

fn first(rest: &str, c: char) -> (Kind, usize) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let second = rest.chars().nth(1);
    if c.is_ascii_digit() || (c == '.' && second.is_some_and(|c| c.is_ascii_digit())) {
        let end = rest.find(|c: char| !is_word(c) && c != '.');
        return (Kind::Number, end.unwrap_or(rest.len()));
    }
    if is_word(c) {
        let end = rest.find(|c: char| !is_word(c));
        return (Kind::Word, end.unwrap_or(rest.len()));
    }
    if c == '"' || c == '\'' {
        let kind = if c == '"' {
            Kind::Text
        } else {
            Kind::Character
        };
        return (kind, quoted(rest, c));
    }
    let mark = MARKS.iter().find(|mark| rest.starts_with(**mark));
    (Kind::Mark, mark.map_or(c.len_utf8(), |mark| mark.len()))
}

/// The length of a quoted piece; all of the text if it is never closed.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The text of some tokens, as the script's language writes it: a character is its number.
pub(super) fn write(tokens: &[Token]) -> String {
    let mut out = String::new();
    for token in tokens {
        let before = out.chars().next_back();
        let clings = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let would_cling = before.is_some_and(clings) && token.text.starts_with(clings);
        if !out.is_empty() && (token.is_spaced || would_cling || token.kind == Kind::Mark) {
            out.push(' ');
        }
        match token.kind {
            Kind::Character => match character(&token.text) {
                Some(value) => out.push_str(&value.to_string()),
                None => out.push_str(&token.text),
            },
            _ => out.push_str(&token.text),
        }
    }
    out
}

/// The number of a character literal of one byte.
fn character(text: &str) -> Option<i64> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let byte = match inner.strip_prefix('\\') {
        None => u8::try_from(inner.chars().next()?).ok()?,
        Some("n") => b'\n',
        Some("t") => b'\t',
        Some("r") => b'\r',
        Some("a") => 7,
        Some("b") => 8,
        Some("f") => 12,
        Some("v") => 11,
        Some(hex) if hex.starts_with('x') => u8::from_str_radix(hex.get(1..)?, 16).ok()?,
        Some(octal) if octal.starts_with(|c: char| c.is_digit(8)) => {
            u8::from_str_radix(octal, 8).ok()?
        }
        Some(other) => u8::try_from(other.chars().next()?).ok()?,
    };
    Some(i64::from(byte.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_longest_there_are() {
        let tokens = split("a->b<<=0x1fUL '\\n' \"x\\\"y\" a##b");
        let texts: Vec<&str> = tokens.iter().map(|t| &*t.text).collect();
        assert_eq!(
            texts,
            [
                "a",
                "->",
                "b",
                "<<=",
                "0x1fUL",
                "'\\n'",
                "\"x\\\"y\"",
                "a",
                "##",
                "b"
            ]
        );
        assert_eq!(write(&split("'\\n'+'a'")), "10 +97");
    }
}
