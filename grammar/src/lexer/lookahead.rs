//! Looks ahead without moving: trivia, the start of an item, casts and types.
//!
//! Takes offsets; gives offsets and answers. Nothing here changes the lexer.

use super::Lexer;
use crate::literal;
use crate::token::{self, Raw};

/// Words of C that may stand together in one type name.
const C_WORDS: &[&str] = &[
    "unsigned",
    "signed",
    "long",
    "short",
    "int",
    "char",
    "double",
    "float",
    "_Bool",
    "__signed__",
];

/// Words that say how a C type is used and nothing about its layout.
const QUALIFIERS: &[&str] = &["const", "volatile", "restrict", "__restrict", "register"];

/// Bare words that are values even where a type could stand: `(pid) * tid` multiplies. These
/// seven, with `argN`, are part of the syntax.
const VALUE_WORDS: &[&str] = &["args", "ctx", "kstack", "ustack", "nsecs", "pid", "tid"];

/// White space; a byte order mark counts as such wherever it stands.
const WHITE: &[char] = &[' ', '\t', '\r', '\n', '\x0b', '\x0c', '\u{feff}'];

/// How far a cast may reach; types are short, and the look is taken at every parenthesis.
const TYPE_REACH: usize = 64;

pub(super) fn is_c_word(word: &str) -> bool {
    C_WORDS.contains(&word)
}

pub(super) fn is_qualifier(word: &str) -> bool {
    QUALIFIERS.contains(&word)
}

/// What a type looks like.
enum Shape<'s> {
    /// One identifier with nothing behind it, or `[n]` or `*` behind it: it may be a value.
    Bare(&'s str),
    /// Nothing but a type.
    Certain,
}

impl<'s> Lexer<'s> {
    /// Where white space and comments that begin at `at` end.
    pub(super) fn trivia_end(&self, mut at: usize) -> usize {
        loop {
            let rest = self.text.get(at..).unwrap_or("");
            let trimmed = rest.trim_start_matches(WHITE);
            at += rest.len() - trimmed.len();
            let length = if trimmed.starts_with("//") {
                trimmed.find('\n')
            } else if let Some(inside) = trimmed.strip_prefix("/*") {
                inside.find("*/").map(|end| end + 4)
            } else {
                return at;
            };
            match length {
                Some(length) => at += length,
                None => return self.text.len(),
            }
        }
    }

    /// Where the comment begins that reaches from the trivia at `at` to the end of the text.
    pub(super) fn unterminated_comment(&self, mut at: usize) -> Option<usize> {
        loop {
            let rest = self.text.get(at..)?;
            let trimmed = rest.trim_start_matches(WHITE);
            at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                at += trimmed.find('\n')?;
            } else {
                let inside = trimmed.strip_prefix("/*")?;
                match inside.find("*/") {
                    Some(end) => at += end + 4,
                    None => return Some(at),
                }
            }
        }
    }

    /// The identifier at `at`.
    pub(super) fn ident_at(&self, at: usize) -> Option<&'s str> {
        let rest = self.text.get(at..)?;
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let is_other = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let word = rest.get(..rest.find(is_other).unwrap_or(rest.len()))?;
        Some(word).filter(|w| !w.is_empty())
    }

    /// The token at `at` and its end; `at` is no trivia.
    pub(super) fn raw_at(&self, at: usize) -> Option<(Raw, usize)> {
        let (raw, length) = token::first(self.text.get(at..)?)?;
        Some((raw.ok()?, at + length))
    }

    /// One past the token at `at`, whatever it is; strings are taken whole.
    pub(super) fn skip_raw(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or("");
        match token::first(rest) {
            Some((Ok(Raw::Quote), _)) => at + literal::read_string(rest).length,
            Some((Ok(_), length)) => at + length,
            // A character that begins no token.
            _ => at + rest.chars().next().map_or(1, char::len_utf8),
        }
    }

    pub(super) fn is_line_start(&self, at: usize) -> bool {
        at == 0 || self.text.as_bytes().get(at - 1) == Some(&b'\n')
    }

    /// Whether a new line lies between two offsets.
    pub(super) fn is_new_line_between(&self, start: usize, end: usize) -> bool {
        self.text.get(start..end).is_some_and(|t| t.contains('\n'))
    }

    /// Rule A5: whether the text at `at` (no trivia) starts another top-level item.
    pub(super) fn starts_item(&self, at: usize) -> bool {
        let Some(mut word) = self.ident_at(at) else {
            return false;
        };
        let mut end = at + word.len();
        let byte = |at: usize| self.text.as_bytes().get(at).copied();
        let after = |end: usize| self.trivia_end(end);
        match word {
            "macro" | "fn" => {
                let name = after(end);
                if let Some(name_word) = self.ident_at(name)
                    && name > end
                {
                    return byte(after(name + name_word.len())) == Some(b'(');
                }
            }
            "let" if byte(after(end)) == Some(b'@') => return true,
            _ => {}
        }
        if word.eq_ignore_ascii_case("begin") || word.eq_ignore_ascii_case("end") {
            let white = self.text.get(end..).unwrap_or("").trim_start();
            if white.starts_with(['{', '<', ',', '/']) {
                return true;
            }
        }
        if byte(end) == Some(b'=') {
            match self.ident_at(end + 1) {
                Some(provider) => {
                    word = provider;
                    end += 1 + provider.len();
                }
                None => return false,
            }
        }
        byte(end) == Some(b':') && self.is_provider(word)
    }

    /// Whether a provider has this name, in any letter case, or exactly this alias.
    pub(super) fn is_provider(&self, word: &str) -> bool {
        let names = self.options.providers;
        names.iter().any(|n| n.eq_ignore_ascii_case(word)) || self.options.aliases.contains(&word)
    }

    /// Whether the parenthesis at `open` begins a cast.
    pub(super) fn is_cast(&self, open: usize) -> bool {
        let Some((shape, end)) = self.type_at(open + 1) else {
            return false;
        };
        let close = self.trivia_end(end);
        let Some((Raw::CloseParen, after)) = self.raw_at(close) else {
            return false;
        };
        let Some((next, _)) = self.raw_at(self.trivia_end(after)) else {
            return false;
        };
        let may_be_binary = match next {
            Raw::Minus | Raw::Star | Raw::Ampersand | Raw::PlusPlus | Raw::MinusMinus => true,
            Raw::Ident
            | Raw::Variable
            | Raw::Map
            | Raw::Number
            | Raw::Quote
            | Raw::Positional
            | Raw::PositionalCount
            | Raw::OpenParen
            | Raw::Bang
            | Raw::Tilde => false,
            // `{` could begin a block that is a value, but `if (flag) { … }` is common.
            _ => return false,
        };
        match shape {
            Shape::Certain => true,
            Shape::Bare(word) if is_value_word(word) => false,
            Shape::Bare(word) => {
                let has_value = self.values.contains(&word) || self.parameters.contains(&word);
                !(may_be_binary && has_value)
            }
        }
    }

    /// Whether a type and then `)` or `,` follow the parenthesis at `open`.
    pub(super) fn is_type_argument(&self, open: usize) -> bool {
        let Some((_, end)) = self.type_at(open + 1) else {
            return false;
        };
        let next = self.raw_at(self.trivia_end(end));
        matches!(next, Some((Raw::CloseParen | Raw::Comma, _)))
    }

    /// The type at `at`, behind trivia, and where it ends.
    fn type_at(&self, at: usize) -> Option<(Shape<'s>, usize)> {
        let mut at = self.trivia_end(at);
        let mut word = self.ident_at(at)?;
        while is_qualifier(word) {
            at = self.trivia_end(at + word.len());
            word = self.ident_at(at)?;
        }
        let mut end = at + word.len();
        let mut shape = Shape::Bare(word);
        match word {
            "struct" | "union" | "enum" => {
                let tag = self.trivia_end(end);
                end = tag + self.ident_at(tag)?.len();
                shape = Shape::Certain;
            }
            "typeof" => {
                end = self.matching(self.trivia_end(end))?;
                shape = Shape::Certain;
            }
            _ if is_c_word(word) => {
                shape = Shape::Certain;
                while let Some(next) = self.ident_at(self.trivia_end(end)) {
                    if !is_c_word(next) && !is_qualifier(next) {
                        break;
                    }
                    end = self.trivia_end(end) + next.len();
                }
            }
            "true" | "false" | "if" | "sizeof" | "offsetof" | "typeinfo" | "comptime" => {
                return None;
            }
            _ => {}
        }
        for _ in 0..TYPE_REACH {
            let next = self.trivia_end(end);
            match self.raw_at(next) {
                Some((Raw::Star, after)) => end = after,
                Some((Raw::OpenBracket, _)) => end = self.matching(next)?,
                _ => return Some((shape, end)),
            }
        }
        None
    }

    /// One past the bracket that closes the one at `open`, if it is near.
    fn matching(&self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        let mut at = open;
        for _ in 0..TYPE_REACH {
            let (raw, end) = self.raw_at(at)?;
            match raw {
                Raw::OpenParen | Raw::OpenBracket => depth += 1,
                Raw::CloseParen | Raw::CloseBracket => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(end);
                    }
                }
                Raw::Quote | Raw::Semicolon | Raw::OpenBrace | Raw::CloseBrace => return None,
                _ if depth == 0 => return None,
                _ => {}
            }
            at = self.trivia_end(end);
        }
        None
    }
}

fn is_value_word(word: &str) -> bool {
    let is_argument =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    VALUE_WORDS.contains(&word) || word.strip_prefix("arg").is_some_and(is_argument)
}
