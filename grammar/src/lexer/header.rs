//! Reads what stands in front of an action: attach points and the predicate.
//!
//! Takes the text where a clause begins; gives attach points split at their colons, the
//! predicate's tokens and the action's. It never asks whether a provider exists: that is for
//! whoever resolves the probes.

use super::Lexer;
use super::body::{Base, Flow};
use crate::ast::{AttachPart, AttachPoint, Name};
use crate::codes;
use crate::source::Spanned;
use crate::token::Token;

/// The parts of an attach point while they are read.
struct Parts {
    done: Vec<Spanned<AttachPart>>,
    text: String,
    is_quoted: bool,
    start: usize,
}

impl<'s> Lexer<'s> {
    /// `attach, attach /predicate/ { action }`
    pub(super) fn clause(&mut self) -> Flow {
        if let Some(flow) = self.attach_points() {
            return flow;
        }
        if self.rest().starts_with('/') {
            let open = self.at;
            self.at += 1;
            self.emit(Token::PredicateOpen, open, self.at);
            match self.run(Base::Predicate, open) {
                Flow::Continue | Flow::Done => {}
                other => return other,
            }
            self.skip_trivia();
        }
        self.action()
    }

    /// Reads the list of attach points; gives a flow only when the clause ends with them.
    fn attach_points(&mut self) -> Option<Flow> {
        let start = self.at;
        let mut count = 0;
        loop {
            self.skip_trivia();
            if self.is_after_attach_points() || self.rest().starts_with(',') {
                if count == 0 {
                    self.missing_probe(start);
                } else if self.rest().starts_with(',') {
                    let span = self.span(self.at, self.at + 1);
                    self.error(
                        codes::MISSING_PROBE,
                        "expected attach point before this `,`",
                        span,
                        "nothing stands before it",
                        "remove the `,`",
                    );
                    self.at += 1;
                    continue;
                }
                return None;
            }
            if self.rest().is_empty() {
                return Some(self.missing_action());
            }
            let begin = self.at;
            let attach = self.attach_point();
            if self.at == begin {
                // No character of an attach point: `clause` was called at a `,` or the like.
                self.at += 1;
                return Some(Flow::Abandon);
            }
            count += 1;
            self.emit(Token::Attach(Box::new(attach)), begin, self.at);
            self.skip_trivia();
            if self.rest().starts_with(',') {
                self.emit(Token::Comma, self.at, self.at + 1);
                self.at += 1;
                continue;
            }
            if self.is_after_attach_points() {
                return None;
            }
            let is_same_line = !self.is_new_line_between(self.last_end, self.at);
            if is_same_line && self.starts_item(self.at) {
                let span = self.span(self.last_end, self.last_end);
                self.error(
                    codes::SYNTAX,
                    "expected `,` between attach points",
                    span,
                    "`,` is missing here",
                    "separate the attach points of a clause with `,`",
                );
                self.emit(Token::Comma, self.last_end, self.last_end);
                continue;
            }
            return Some(self.missing_action());
        }
    }

    fn is_after_attach_points(&self) -> bool {
        self.rest().starts_with(['{', '<', '/'])
    }

    fn missing_probe(&mut self, start: usize) {
        let span = self.span(self.at, self.at + 1);
        self.error(
            codes::MISSING_PROBE,
            "expected attach point before this action",
            span,
            "no probe stands before it",
            "name what it attaches to: `BEGIN { … }`, `interval:s:1 { … }`, `kprobe:vfs_read { … }`",
        );
        self.emit(Token::NoAttach, start, start);
    }

    /// Reports that no action follows, and puts an empty one there.
    fn missing_action(&mut self) -> Flow {
        let at = self.last_end;
        let begins = self.tokens.first().map_or(at, |t| t.0);
        let written = self.text.get(begins..at).unwrap_or("");
        let diagnostic = if written.contains(['(', ')', ';', '=']) {
            // A statement at top level, most likely.
            crate::Diagnostic::error(
                codes::MISSING_PROBE,
                "expected attach point",
                self.span(begins, at),
                "this is no probe",
            )
            .help("statements stand inside an action: `BEGIN { … }`")
        } else {
            let message = format!("expected an action after `{written}`");
            crate::Diagnostic::error(
                codes::MISSING_ACTION,
                message,
                self.span(at, at),
                "`{` or `<` is missing here",
            )
            .help(format!("say what it does: `{written} {{ … }}`"))
        };
        self.diagnostics.push(diagnostic);
        self.skip_rest_of_clause();
        self.emit(Token::ActionOpen, at, at);
        self.emit(Token::ActionClose, at, at);
        Flow::Done
    }

    /// Skips what is no action: to the end of the line, with the brackets that open on it.
    fn skip_rest_of_clause(&mut self) {
        let mut depth = 0usize;
        let mut last = self.last_end;
        loop {
            self.skip_trivia();
            let at = self.at;
            if at >= self.text.len() {
                return;
            }
            let is_new_line = self.is_new_line_between(last, at);
            if depth == 0 && is_new_line {
                return;
            }
            if is_new_line && self.is_line_start(at) && self.starts_item(at) {
                return;
            }
            match self.text.as_bytes().get(at) {
                Some(b'{' | b'(' | b'[') => depth += 1,
                Some(b'}' | b')' | b']') => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.at = self.skip_raw(at);
            last = self.at;
        }
    }

    /// Opens the action and reads it.
    fn action(&mut self) -> Flow {
        let open = self.at;
        let rest = self.rest();
        if rest.starts_with('{') {
            self.at += 1;
            self.emit(Token::ActionOpen, open, self.at);
            return self.run(Base::Action, open);
        }
        if !rest.starts_with('<') {
            return self.missing_action();
        }
        let operator = ["<<=", "<<", "<="]
            .into_iter()
            .find(|o| rest.starts_with(o));
        self.at += operator.map_or(1, str::len);
        if let Some(operator) = operator {
            let span = self.span(open, self.at);
            self.error(
                codes::ACTION_OPERATOR,
                format!("`{operator}` cannot stand here: an action opens with `{{` or `<`"),
                span,
                "this is an operator",
                "write `< … >`, with a space behind the `<`",
            );
        }
        self.emit(Token::ActionOpen, open, self.at);
        self.run(Base::AngleAction, open)
    }

    /// Collects one attach point and splits it at its colons.
    fn attach_point(&mut self) -> AttachPoint {
        let start = self.at;
        let mut label: Option<Name> = None;
        let mut parts = Parts {
            done: Vec::new(),
            text: String::new(),
            is_quoted: false,
            start,
        };
        let mut has_colon = false;
        while let Some(c) = self.rest().chars().next() {
            match c {
                ' ' | '\t' | '\r' | '\n' | '\x0b' | '\x0c' | ',' | '{' | '<' => break,
                '/' if !has_colon => break,
                '"' => self.quoted_piece(&mut parts),
                '$' => {
                    let replacement = self.positional_piece();
                    for c in replacement.chars() {
                        has_colon |= c == ':';
                        self.attach_character(c, &mut parts, 0);
                    }
                }
                '=' if !has_colon && label.is_none() && is_name(&parts) => {
                    let name = std::mem::take(&mut parts.text);
                    label = Some(Spanned::new(name, self.span(parts.start, self.at)));
                    self.at += 1;
                    parts.start = self.at;
                }
                c => {
                    has_colon |= c == ':';
                    self.attach_character(c, &mut parts, c.len_utf8());
                    self.at += c.len_utf8();
                }
            }
        }
        self.end_part(&mut parts, self.at);
        AttachPoint {
            label,
            parts: parts.done,
            span: self.span(start, self.at),
        }
    }

    /// Takes one unquoted character that is `length` bytes long in the script.
    fn attach_character(&self, c: char, parts: &mut Parts, length: usize) {
        match c {
            ':' => {
                self.end_part(parts, self.at);
                parts.start = self.at + length;
            }
            '@' => {
                self.end_part(parts, self.at);
                parts.text.push('@');
                parts.start = self.at;
                self.end_part(parts, self.at + length);
                parts.start = self.at + length;
            }
            c => parts.text.push(c),
        }
    }

    fn end_part(&self, parts: &mut Parts, end: usize) {
        let part = AttachPart {
            text: std::mem::take(&mut parts.text),
            is_quoted: std::mem::take(&mut parts.is_quoted),
        };
        let span = self.span(parts.start.min(end), end);
        parts.done.push(Spanned::new(part, span));
    }

    /// A piece between quotes; a backslash takes the next character as it is.
    fn quoted_piece(&mut self, parts: &mut Parts) {
        let open = self.at;
        let length = parts.text.len();
        parts.is_quoted = true;
        self.at += 1;
        while let Some(c) = self.rest().chars().next() {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\n' => break,
                '\\' => {
                    self.at += 1;
                    if let Some(next) = self.rest().chars().next().filter(|c| *c != '\n') {
                        parts.text.push(next);
                        self.at += next.len_utf8();
                    }
                }
                c => {
                    parts.text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        // What follows is the rest of the clause, most likely.
        let line = self.text.get(open + 1..self.at).unwrap_or("");
        parts.text.truncate(length);
        let length = line.find([' ', '\t', ',', '{', '<']).unwrap_or(line.len());
        parts.text.push_str(line.get(..length).unwrap_or(""));
        self.at = open + 1 + length;
        let span = self.span(open, open + 1);
        self.error(
            codes::UNTERMINATED_STRING,
            "unterminated string in an attach point",
            span,
            "this quote is never closed",
            "close it with `\"` on the same line",
        );
    }

    /// The text that `$N` stands for.
    fn positional_piece(&mut self) -> String {
        let start = self.at;
        let after = self.text.get(start + 1..).unwrap_or("");
        let length = after.bytes().take_while(u8::is_ascii_digit).count();
        self.at += 1 + length;
        let digits = after.get(..length).unwrap_or("");
        let number = digits.parse::<usize>().ok();
        match number.filter(|_| !digits.starts_with('0')) {
            Some(number) => {
                let text = self.options.positional.get(number.saturating_sub(1));
                text.cloned().unwrap_or_default()
            }
            None => {
                let span = self.span(start, self.at);
                self.error(
                    codes::BAD_PARAMETER,
                    "expected the number of a positional parameter after `$`",
                    span,
                    "positional parameters are `$1`, `$2`, …",
                    "put a `$` that belongs to a name between quotes: `uprobe:/bin/app:\"a$b\"`",
                );
                String::new()
            }
        }
    }
}

/// Whether what was read so far is a name, as stands before the `=` of `name=provider:…`.
fn is_name(parts: &Parts) -> bool {
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    parts.done.is_empty()
        && !parts.is_quoted
        && !parts.text.is_empty()
        && parts.text.bytes().all(is_name_byte)
        && !parts.text.starts_with(|c: char| c.is_ascii_digit())
}
