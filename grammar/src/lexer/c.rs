//! C definitions: which words are a type and which one is the name.
//!
//! Takes the text of a `struct`, `union`, `enum` or `typedef`; gives its tokens. In
//! `unsigned long x` the grammar could not tell where the type ends, so the words of a type
//! become one token here, and a function pointer with its parameters another. It never looks a
//! name up.

use super::body::{Flow, plain};
use super::lookahead::{is_c_word, is_qualifier};
use super::{Lexer, MAX_NESTING};
use crate::ast::Attributes;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::token::{Raw, Token};

/// What the braces that are open hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Members,
    Enumerators,
}

/// The state of reading one definition.
struct Definition {
    /// Open braces, outermost first, with their places.
    open: Vec<(Inside, usize)>,
    /// What the next `{` opens.
    next: Inside,
    /// Whether a name is due: the type has been read.
    is_name_due: bool,
    is_typedef: bool,
}

impl<'s> Lexer<'s> {
    /// Reads one definition, with its `;` if it has one.
    pub(super) fn c_definition(&mut self) -> Flow {
        let start = self.at;
        let mut state = Definition {
            open: Vec::new(),
            next: Inside::Members,
            is_name_due: false,
            is_typedef: false,
        };
        loop {
            let Some((at, raw)) = self.peek() else {
                return self.c_end_of_text(start, &state);
            };
            let is_cut = self.is_resynchronising && at > start && self.is_line_start(at);
            if is_cut && self.starts_item(at) {
                return self.c_end_of_text(start, &state);
            }
            let Some((_, end)) = raw.ok().and_then(|_| self.raw_at(at)) else {
                return self.not_c(at, self.skip_raw(at), "no C definition has this character");
            };
            let flow = match raw {
                Ok(Raw::Ident) => self.c_word(at, end, &mut state),
                Ok(Raw::OpenBrace) => self.c_open(at, end, &mut state),
                Ok(Raw::CloseBrace) => {
                    let Some(_) = state.open.pop() else {
                        return self.not_c(at, end, "nothing is open here");
                    };
                    self.put(Token::CloseBrace, at, end);
                    state.is_name_due = true;
                    if state.open.is_empty() && !state.is_typedef {
                        return self.c_tail();
                    }
                    Flow::Continue
                }
                Ok(Raw::Semicolon) => {
                    self.put(Token::Semicolon, at, end);
                    state.is_name_due = false;
                    if state.open.is_empty() {
                        return Flow::Done;
                    }
                    Flow::Continue
                }
                Ok(Raw::OpenParen) => self.c_paren(at, &mut state),
                Ok(Raw::OpenBracket) => {
                    self.put(Token::OpenBracket, at, end);
                    let flow = self.run_c_expression();
                    let next = self.peek();
                    match (flow, next) {
                        (Flow::Done, Some((at, Ok(Raw::CloseBracket)))) => {
                            self.put(Token::CloseBracket, at, at + 1);
                            Flow::Continue
                        }
                        (Flow::Restart, _) => return Flow::Restart,
                        _ => return self.not_c(at, end, "this `[` is never closed"),
                    }
                }
                Ok(Raw::Colon) => {
                    self.put(Token::Colon, at, end);
                    self.run_c_expression()
                }
                Ok(Raw::Assign) => {
                    self.put(Token::Assign, at, end);
                    self.run_c_expression()
                }
                Ok(raw @ (Raw::Star | Raw::Comma)) => {
                    self.put(plain(raw), at, end);
                    state.is_name_due = state.is_name_due || raw == Raw::Star;
                    Flow::Continue
                }
                _ => return self.not_c(at, end, "this cannot stand in a C definition"),
            };
            match flow {
                Flow::Continue | Flow::Done => {}
                other => return other,
            }
        }
    }

    fn put(&mut self, token: Token<'s>, at: usize, end: usize) {
        self.emit(token, at, end);
        self.at = end;
    }

    fn c_open(&mut self, at: usize, end: usize, state: &mut Definition) -> Flow {
        if state.open.len() >= MAX_NESTING {
            let diagnostic = Diagnostic::error(
                codes::TOO_DEEP,
                "brackets are nested too deeply",
                self.span(at, end),
                "one level too many",
            )
            .note(format!(
                "at most {MAX_NESTING} brackets may be open at once"
            ));
            self.diagnostics.push(diagnostic);
            return Flow::Abandon;
        }
        state.open.push((state.next, at));
        state.is_name_due = false;
        self.put(Token::OpenBrace, at, end);
        Flow::Continue
    }

    /// A word: a keyword, a type's words, a tag or a name.
    fn c_word(&mut self, at: usize, end: usize, state: &mut Definition) -> Flow {
        let word = self.text.get(at..end).unwrap_or("");
        let keyword = match word {
            "struct" => Some((Token::Struct, Inside::Members)),
            "union" => Some((Token::Union, Inside::Members)),
            "enum" => Some((Token::Enum, Inside::Enumerators)),
            _ => None,
        };
        if let Some((token, next)) = keyword {
            self.put(token, at, end);
            state.next = next;
            state.is_name_due = false;
            return Flow::Continue;
        }
        if word == "typedef" && self.tokens.is_empty() {
            self.put(Token::Typedef, at, end);
            state.is_typedef = true;
            return Flow::Continue;
        }
        if word == "__attribute__" || word == "__attribute" {
            return self.c_attribute(at, end);
        }
        if is_qualifier(word) {
            self.at = end;
            return Flow::Continue;
        }
        let before = self.tokens.last().map(|t| &t.1);
        if matches!(before, Some(Token::Struct | Token::Union | Token::Enum))
            || (matches!(before, Some(Token::CAttribute(_))) && !state.is_name_due)
        {
            self.put(Token::Ident(word), at, end);
            state.is_name_due = true;
            return Flow::Continue;
        }
        if let Some((Inside::Enumerators, _)) = state.open.last() {
            self.values.push(word);
            self.put(Token::Ident(word), at, end);
            return Flow::Continue;
        }
        if state.is_name_due {
            self.put(Token::CName(word), at, end);
            return Flow::Continue;
        }
        self.c_type(at, state);
        Flow::Continue
    }

    /// The words of a type; the last of them is left when it is the name.
    fn c_type(&mut self, start: usize, state: &mut Definition) {
        let mut words: Vec<(&'s str, usize)> = Vec::new();
        let mut at = start;
        while let Some(word) = self.ident_at(at) {
            if word.starts_with("__attribute") {
                break;
            }
            let end = at + word.len();
            if !is_qualifier(word) {
                // Behind a type that is not made of C's own words comes the name.
                let is_complete = words.iter().any(|(w, _)| !is_c_word(w));
                if is_complete || (!words.is_empty() && !is_c_word(word)) {
                    break;
                }
                words.push((word, end));
            }
            at = self.trivia_end(end);
        }
        let end = words.last().map_or(start, |(_, end)| *end);
        let joined: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        self.put(Token::CType(joined.join(" ")), start, end);
        state.is_name_due = true;
    }

    /// `(*name)(…)`
    fn c_paren(&mut self, at: usize, state: &mut Definition) -> Flow {
        let star = self.trivia_end(at + 1);
        let name_at = self.trivia_end(star + 1);
        let is_pointer = matches!(self.raw_at(star), Some((Raw::Star, _)));
        let name = self
            .ident_at(name_at)
            .filter(|_| is_pointer && state.is_name_due);
        let Some(name) = name else {
            return self.not_c(
                at,
                at + 1,
                "only `(*name)(…)` may stand between parentheses here",
            );
        };
        self.at = at;
        let mut groups = 0;
        while groups < 2 {
            match self.peek() {
                Some((open, Ok(Raw::OpenParen))) => match self.skip_parentheses(open) {
                    Some(end) => self.at = end,
                    None => return self.not_c(open, open + 1, "this `(` is never closed"),
                },
                _ => return self.not_c(at, at + 1, "a function pointer is `type (*name)(…);`"),
            }
            groups += 1;
        }
        let end = self.at;
        self.put(Token::CFunctionPointer(name), at, end);
        Flow::Continue
    }

    /// `__attribute__((…))`
    fn c_attribute(&mut self, at: usize, end: usize) -> Flow {
        let open = self.trivia_end(end);
        let is_open = matches!(self.raw_at(open), Some((Raw::OpenParen, _)));
        let Some(close) = Some(open)
            .filter(|_| is_open)
            .and_then(|o| self.skip_parentheses(o))
        else {
            return self.not_c(at, end, "an attribute is `__attribute__((packed))`");
        };
        let text = self.text.get(open..close).unwrap_or("");
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut attributes = Attributes::default();
        let mut words = text.split(|c| !is_word(c)).filter(|word| !word.is_empty());
        while let Some(word) = words.next() {
            match word.trim_matches('_') {
                "packed" => attributes.is_packed = true,
                "aligned" => {
                    // Without a number: the most any type of the machine needs.
                    let number = words.clone().next().and_then(|n| n.parse().ok());
                    attributes.align = attributes.align.max(number.unwrap_or(16));
                }
                _ => {}
            }
        }
        // Between a type and its name an attribute is the type's own and changes no layout.
        if matches!(self.tokens.last().map(|t| &t.1), Some(Token::CType(_))) {
            self.at = close;
            return Flow::Continue;
        }
        self.put(Token::CAttribute(attributes), at, close);
        Flow::Continue
    }

    /// One past the parenthesis that closes the one at `open`.
    fn skip_parentheses(&self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        let mut at = open;
        while at < self.text.len() {
            match self.raw_at(at) {
                Some((Raw::OpenParen, _)) => depth += 1,
                Some((Raw::CloseParen, end)) => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(end);
                    }
                }
                Some((Raw::Semicolon | Raw::OpenBrace | Raw::CloseBrace, _)) => return None,
                _ => {}
            }
            at = self.trivia_end(self.skip_raw(at));
        }
        None
    }

    /// What may follow the `}` of a definition: attributes, then `;`.
    fn c_tail(&mut self) -> Flow {
        loop {
            match self.peek() {
                Some((at, Ok(Raw::Ident))) => {
                    let word = self.ident_at(at).unwrap_or("");
                    if !word.starts_with("__attribute") {
                        return Flow::Done;
                    }
                    let flow = self.c_attribute(at, at + word.len());
                    if flow != Flow::Continue {
                        return flow;
                    }
                }
                Some((at, Ok(Raw::Semicolon))) => {
                    self.put(Token::Semicolon, at, at + 1);
                    return Flow::Done;
                }
                _ => return Flow::Done,
            }
        }
    }

    fn not_c(&mut self, at: usize, end: usize, here: &str) -> Flow {
        let span = self.span(at, end);
        self.error(
            codes::BAD_C_DEFINITION,
            "this C definition cannot be read",
            span,
            here,
            "a member is `type name;`, `type name[4];`, `type name : 3;` or `type (*name)(…);`",
        );
        Flow::Abandon
    }

    fn c_end_of_text(&mut self, start: usize, state: &Definition) -> Flow {
        if !self.is_resynchronising {
            return Flow::Restart;
        }
        match state.open.last() {
            Some((_, open)) => {
                let diagnostic = Diagnostic::error(
                    codes::UNCLOSED_DELIMITER,
                    "this `{` is never closed",
                    self.span(*open, open + 1),
                    "opened here",
                )
                .label(self.span(self.last_end, self.last_end), "expected `}` here")
                .help("add the missing `}`");
                self.diagnostics.push(diagnostic);
                Flow::Abandon
            }
            None => self.not_c(start, self.last_end, "expected `{ … }` or `;` behind this"),
        }
    }
}
