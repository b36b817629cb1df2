//! Operands of one token: numbers, strings, positional parameters; and characters that begin no
//! token.
//!
//! Takes the place of one; gives its token and reports what `literal` finds wrong with it.

use super::Lexer;
use super::body::Position;
use crate::codes;
use crate::literal;
use crate::token::Token;

impl<'s> Lexer<'s> {
    pub(super) fn positional(&mut self, at: usize, end: usize) {
        let digits = self.slice(at + 1, end);
        match digits.parse::<u32>() {
            Ok(number) if !digits.starts_with('0') => self.operand(Token::Positional(number), end),
            _ => {
                let span = self.span(at, end);
                self.error(
                    codes::BAD_PARAMETER,
                    format!("there is no positional parameter `${digits}`"),
                    span,
                    "positional parameters begin with `$1`",
                    "`$1` is the first word behind the script; `$#` is how many there are",
                );
                self.operand(Token::ErrorExpression, end);
            }
        }
    }

    pub(super) fn number(&mut self, at: usize, end: usize) {
        let text = self.slice(at, end);
        if matches!(self.tokens.last(), Some((_, Token::Dot, _)))
            && let Ok(element) = text.parse::<u32>()
        {
            return self.operand(Token::Element(element), end);
        }
        match literal::parse_integer(text) {
            Ok(value) => self.operand(Token::Int(value), end),
            Err(error) => {
                self.literal_error(at, error);
                self.operand(Token::ErrorExpression, end);
            }
        }
    }

    /// Whether the `.` at `at` stands inside a number.
    pub(super) fn is_fraction(&self, at: usize) -> bool {
        let is_number = matches!(self.tokens.last(), Some((_, Token::Int(_), end)) if *end == at);
        let next = self.text.as_bytes().get(at + 1);
        is_number && next.is_some_and(u8::is_ascii_digit)
    }

    pub(super) fn fraction(&mut self, at: usize) {
        let end = self.raw_at(at + 1).map_or(at + 1, |(_, end)| end);
        let start = self.tokens.last().map_or(at, |t| t.0);
        let span = self.span(start, end);
        self.error(
            codes::BAD_NUMBER,
            "there are no floating-point numbers",
            span,
            "only integers can be computed with",
            "count in a smaller unit: `1500ms`, or thousandths",
        );
        self.at = end;
    }

    pub(super) fn string(&mut self, at: usize) {
        let literal = literal::read_string(self.rest());
        for error in literal.errors {
            self.literal_error(at, error);
        }
        self.operand(Token::Str(literal.bytes), at + literal.length);
    }

    /// Reports a run of characters that begin no token, and skips it.
    pub(super) fn bad_character(&mut self) {
        let start = self.at;
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or(' ');
        let (message, help, length) = match first {
            '\'' => {
                let inside = rest.get(1..).unwrap_or("");
                let line = inside.find('\n').unwrap_or(inside.len());
                let close = inside.get(..line).and_then(|l| l.find('\''));
                let length = close.map_or(1, |c| c + 2);
                let message = String::from("unexpected character `'`");
                let help = "strings have double quotes; the first byte of one is `\"a\"[0]`";
                (message, help, length)
            }
            '$' => (
                String::from("expected a name or a number after `$`"),
                "a scratch variable is `$name`, a positional parameter `$1`, their number `$#`",
                1,
            ),
            _ => {
                let length = self.bad_run(rest);
                let run = rest.get(..length).unwrap_or("");
                let shown: String = run.chars().take(16).flat_map(char::escape_debug).collect();
                let message = format!("unexpected character '{shown}'");
                let help = "remove it; outside strings and comments only ASCII has a meaning";
                (message, help, length)
            }
        };
        self.at += length;
        let span = self.span(start, self.at);
        let code = match first {
            '$' => codes::BAD_PARAMETER,
            _ => codes::UNEXPECTED_CHARACTER,
        };
        let here = match first {
            '$' => "a `$` alone means nothing",
            _ => "not part of the language",
        };
        self.error(code, message, span, here, help);
        if self.position != Position::Operator {
            self.emit(Token::ErrorExpression, start, self.at);
            self.position = Position::Operator;
        }
    }

    /// How many bytes at the start of `rest` are like its first character.
    pub(super) fn bad_run(&self, rest: &str) -> usize {
        let mut length = 0;
        for c in rest.chars() {
            let is_plain = c.is_ascii() && !c.is_ascii_control() && !"\\`#".contains(c);
            if is_plain || c.is_ascii_whitespace() {
                break;
            }
            length += c.len_utf8();
        }
        length.max(rest.chars().next().map_or(1, char::len_utf8))
    }
}
