//! Where statements, predicates and actions end, and what is said when they do not.
//!
//! Takes a `;`, a lone `>`, a `/` or the end of the text; says whether something ends with it.
//! The rules for `>` are A1 to A6 of the language's angle actions.

use super::Lexer;
use super::body::{Base, Bracket, Flow, Frame, Position};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::token::{Raw, Token};

impl<'s> Lexer<'s> {
    pub(super) fn semicolon(&mut self, at: usize, end: usize) -> Flow {
        while self.frames.last().is_some_and(Frame::is_inner) {
            self.close_inner(at);
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.questions = 0;
            frame.heads.clear();
            if frame.bracket == Bracket::Base(Base::Predicate) {
                self.unclosed_predicate(at, end);
                return Flow::Abandon;
            }
        }
        self.operator(Token::Semicolon, end, ());
        self.position = Position::Statement;
        if self.is_definition_ended() {
            Flow::Done
        } else {
            Flow::Continue
        }
    }

    /// Whether a definition without a body stands complete, its `;` included.
    pub(super) fn is_definition_ended(&self) -> bool {
        let is_base = matches!(
            self.frames.last().map(|f| f.bracket),
            Some(Bracket::Base(Base::Definition(_)))
        );
        is_base && matches!(self.tokens.last(), Some((_, Token::Semicolon, _)))
    }

    /// Whether the operand at `at` begins a statement, on a new line, though the one before has
    /// no `;`.
    pub(super) fn is_semicolon_missing(&self, raw: Raw, at: usize) -> bool {
        let starts_operand = match raw {
            Raw::Ident => self.ident_at(at) != Some("else"),
            Raw::Variable | Raw::Map | Raw::Number | Raw::Quote => true,
            Raw::Positional | Raw::PositionalCount => true,
            _ => false,
        };
        let is_due = |frame: &Frame| frame.has_statements() && frame.heads.is_empty();
        starts_operand
            && self.position == Position::Operator
            && self.frames.last().is_some_and(is_due)
            && self.is_new_line_between(self.last_end, at)
    }

    pub(super) fn insert_semicolon(&mut self) {
        let end = self.last_end;
        let span = self.span(end, end);
        self.error(
            codes::MISSING_SEMICOLON,
            "expected `;` at the end of this statement",
            span,
            "`;` is missing here",
            "add `;`: only the last statement of a block can do without",
        );
        self.emit(Token::Semicolon, end, end);
        self.position = Position::Statement;
        if let Some(frame) = self.frames.last_mut() {
            frame.questions = 0;
        }
    }

    /// Rules A1 to A6: whether the lone `>` that ends at `end` closes the action.
    pub(super) fn closes_angle(&self, raw: Raw, end: usize) -> bool {
        let Some(frame) = self.frames.last() else {
            return false;
        };
        // A1: inside a bracket it compares.
        if frame.bracket != Bracket::Base(Base::AngleAction) {
            return false;
        }
        if raw == Raw::ShiftRight {
            // `<< … >>`: the opening has been reported, the closing is meant alike.
            let opened_twice = self.slice(frame.open, frame.open + 2) == "<<";
            return opened_twice && self.position == Position::Statement;
        }
        // A2: where a statement would begin.
        if self.position == Position::Statement {
            return true;
        }
        // A3: a ternary still waits for its `:`.
        if frame.questions > 0 {
            return false;
        }
        // A4, A5: nothing but another item may follow.
        let next = self.trivia_end(end);
        next >= self.text.len() || self.starts_item(next)
    }

    /// Whether the `/` that ends at `end` closes the predicate.
    pub(super) fn closes_predicate(&self, end: usize) -> bool {
        let is_level = self.frames.len() == 1
            && self.frames.last().map(|f| f.bracket) == Some(Bracket::Base(Base::Predicate));
        let next = self.trivia_end(end);
        is_level && matches!(self.text.as_bytes().get(next), Some(b'{' | b'<'))
    }

    pub(super) fn unclosed_predicate(&mut self, at: usize, end: usize) {
        let open = self.frames.first().map_or(at, |f| f.open);
        let diagnostic = Diagnostic::error(
            codes::UNCLOSED_PREDICATE,
            "this predicate is never closed",
            self.span(open, open + 1),
            "opened here",
        )
        .label(
            self.span(at, end),
            "expected `/` and the action before this",
        )
        .help("a predicate is `/condition/`, directly before the `{` or `<` of the action");
        self.diagnostics.push(diagnostic);
    }

    /// `/condition { … }`: the closing slash was forgotten.
    pub(super) fn unclosed_predicate_before_brace(&mut self, at: usize) -> Flow {
        self.unclosed_predicate(at, at + 1);
        let end = self.last_end;
        self.emit(Token::PredicateClose, end, end);
        Flow::Done
    }

    /// Reports an angle action that the text at `at` ends though it is open.
    pub(super) fn unclosed_angle(&mut self, at: usize, end: usize) {
        let open = self.frames.first().map_or(at, |f| f.open);
        let start = self
            .source
            .position(u32::try_from(open).unwrap_or(u32::MAX));
        let found = self.slice(at, end);
        let here = if found.is_empty() && self.at >= self.text.len() {
            String::from("expected `>` before the end of the script")
        } else if found.is_empty() {
            String::from("expected `>` before the next item")
        } else {
            format!(
                "expected `>`, found `{}`",
                found.lines().next().unwrap_or("")
            )
        };
        let diagnostic = Diagnostic::error(
            codes::UNCLOSED_ANGLE_ACTION,
            format!(
                "expected `>` to close the action opened at {}:{}",
                start.line, start.column
            ),
            self.span(at, end),
            here,
        )
        .label(self.span(open, open + 1), "the action opens here")
        .help("an action opened with `<` is closed with `>`, one opened with `{` with `}`");
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn end_of_text(&mut self) -> Flow {
        match self.frames.first().map(|f| f.bracket) {
            Some(Bracket::Base(Base::Expression | Base::CExpression)) => {
                while self.frames.len() > 1 {
                    self.close_inner(self.text.len());
                }
                return Flow::Done;
            }
            Some(Bracket::Base(Base::Definition(_))) if self.frames.len() == 1 => {
                return Flow::Done;
            }
            _ => {}
        }
        if !self.is_resynchronising {
            return Flow::Restart;
        }
        self.cut_short()
    }

    /// Ends what is open before the token at hand: it starts another item, or the text ends.
    pub(super) fn cut_short(&mut self) -> Flow {
        let at = self.at;
        let Some(frame) = self.frames.last().cloned() else {
            return Flow::Done;
        };
        match frame.bracket {
            Bracket::Base(Base::Predicate) => {
                self.unclosed_predicate(self.last_end, self.last_end);
                return Flow::Abandon;
            }
            Bracket::Base(Base::AngleAction) => self.unclosed_angle(self.last_end, self.last_end),
            Bracket::Base(Base::Definition(_)) => {}
            _ => self.unclosed(&frame, at),
        }
        if self.position == Position::Operand {
            // What is missing here is the closing bracket's partner; that has been said.
            self.emit(Token::ErrorExpression, self.last_end, self.last_end);
        }
        while let Some(frame) = self.frames.pop() {
            if matches!(frame.bracket, Bracket::Base(Base::Definition(_))) {
                break;
            }
            if frame.bracket == Bracket::Base(Base::Predicate) {
                return Flow::Abandon;
            }
            let token = self.closing_token(frame.bracket);
            self.emit(token, self.last_end, self.last_end);
        }
        Flow::Done
    }

    pub(super) fn unclosed(&mut self, frame: &Frame, at: usize) {
        let opener = self.slice(frame.open, frame.open + 1);
        let closer = frame.closer();
        let is_end = at >= self.text.len();
        let here = if is_end {
            format!("expected `{closer}` before the end of the script")
        } else {
            format!("expected `{closer}` before the next item")
        };
        let ends_with_angle = matches!(self.tokens.last(), Some((_, Token::Greater, _)));
        let is_action = frame.bracket == Bracket::Base(Base::Action);
        let help = if is_action && ends_with_angle {
            String::from("an action opened with `{` is closed with `}`, not with `>`")
        } else {
            format!("add the missing `{closer}`")
        };
        let diagnostic = Diagnostic::error(
            codes::UNCLOSED_DELIMITER,
            format!("this `{opener}` is never closed"),
            self.span(frame.open, frame.open + 1),
            "opened here",
        )
        .label(self.span(self.last_end, self.last_end), here)
        .help(help);
        self.diagnostics.push(diagnostic);
    }
}
