//! Brackets: what each opens, and that each is closed.
//!
//! Takes a bracket's place; pushes and pops frames. A bracket that was not closed is reported and
//! closed where it should have been, so that what the parser sees is balanced.

use super::body::{Base, Brace, Bracket, Flow, Frame, Head, IfKind, Position, Resume};
use super::{Kind, Lexer, MAX_NESTING};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::token::{Raw, Token};

impl<'s> Lexer<'s> {
    pub(super) fn open_paren(&mut self, at: usize) {
        let after_type_word = matches!(
            self.tokens.last(),
            Some((
                _,
                Token::Sizeof | Token::Offsetof | Token::Typeof | Token::Typeinfo,
                _
            ))
        );
        if after_type_word {
            let token = if self.is_type_argument(at) {
                Token::TypeOpen
            } else {
                Token::OpenParen
            };
            self.open(token, Bracket::Paren, at);
        } else if self.position != Position::Operator && self.is_cast(at) {
            self.open(Token::CastOpen, Bracket::CastParen, at);
        } else {
            self.open(Token::OpenParen, Bracket::Paren, at);
        }
    }

    pub(super) fn open_brace(&mut self, at: usize, resume: Resume) -> Flow {
        if self.position == Position::Operator && self.is_head_waiting() {
            // `if (a { … }`: the body begins, so the parenthesis should have ended.
            while self.frames.last().is_some_and(Frame::is_inner) {
                self.close_inner(at);
            }
        }
        let Some(frame) = self.frames.last_mut() else {
            return Flow::Done;
        };
        let is_base = |base| frame.bracket == Bracket::Base(base);
        if is_base(Base::Predicate) && self.position == Position::Operator {
            return self.unclosed_predicate_before_brace(at);
        }
        let brace = match (resume, self.position) {
            (Resume::ElseBody(kind), _) => Brace::Body(Head::If(kind)),
            _ if matches!(frame.bracket, Bracket::Base(Base::Definition(_))) => Brace::Definition,
            (_, Position::Statement) => Brace::Block,
            _ => match frame.heads.pop() {
                Some(head) => Brace::Body(head),
                None if self.position == Position::Operand => Brace::Value,
                None => Brace::Block,
            },
        };
        let token = match brace {
            Brace::Value => Token::ValueOpen,
            _ => Token::OpenBrace,
        };
        if self.open(token, Bracket::Brace(brace), at) {
            self.position = Position::Statement;
        }
        Flow::Continue
    }

    /// Whether a keyword waits for its body outside the parentheses that are open.
    pub(super) fn is_head_waiting(&self) -> bool {
        let mut outwards = self.frames.iter().rev();
        let is_idle = |f: &&Frame| f.is_inner() && f.heads.is_empty();
        let first = outwards.find(|f| !is_idle(f));
        first.is_some_and(|f| !f.is_inner() && !f.heads.is_empty())
    }

    /// Opens a bracket, unless too many are open already: then what it holds is left out.
    pub(super) fn open(&mut self, token: Token<'s>, bracket: Bracket, at: usize) -> bool {
        if self.frames.len() < MAX_NESTING {
            self.operator(token, at + 1, ());
            self.frames.push(Frame::new(bracket, at));
            return true;
        }
        if !self.is_depth_reported {
            self.is_depth_reported = true;
            let span = self.span(at, at + 1);
            let diagnostic = Diagnostic::error(
                codes::TOO_DEEP,
                "brackets are nested too deeply",
                span,
                "one level too many",
            )
            .note(format!(
                "at most {MAX_NESTING} brackets may be open at once"
            ))
            .help("store a part of it first: `$part = …;`");
            self.diagnostics.push(diagnostic);
        }
        self.skip_bracket();
        self.emit(Token::ErrorExpression, at, self.at);
        self.position = Position::Operator;
        false
    }

    /// Skips a bracket and what it holds.
    pub(super) fn skip_bracket(&mut self) {
        let mut depth = 0usize;
        while let Some((at, raw)) = self.peek() {
            match raw {
                Ok(Raw::OpenParen | Raw::OpenBracket | Raw::OpenBrace) => depth += 1,
                Ok(Raw::CloseParen | Raw::CloseBracket | Raw::CloseBrace) => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        self.at = at + 1;
                        return;
                    }
                }
                _ => {}
            }
            self.at = self.skip_raw(at);
        }
    }

    /// A `)`, `]` or `}`: closes its partner, and first whatever was left open inside.
    pub(super) fn close(&mut self, raw: Raw, at: usize, end: usize) -> Flow {
        let is_partner = |frame: &Frame| match raw {
            Raw::CloseParen => matches!(frame.bracket, Bracket::Paren | Bracket::CastParen),
            Raw::CloseBracket => frame.bracket == Bracket::Square,
            _ => matches!(
                frame.bracket,
                Bracket::Brace(_) | Bracket::Base(Base::Action | Base::AngleAction)
            ),
        };
        let inner = self
            .frames
            .iter()
            .rev()
            .take_while(|f| f.is_inner() && !is_partner(f))
            .count();
        let partner = self.frames.len().checked_sub(inner + 1);
        let partner = partner
            .and_then(|i| self.frames.get(i))
            .filter(|f| is_partner(f));
        let Some(bracket) = partner.map(|f| f.bracket) else {
            return self.stray(at, end);
        };
        for _ in 0..inner {
            self.close_inner(at);
        }
        if bracket == Bracket::Base(Base::AngleAction) {
            self.unclosed_angle(at, end);
        }
        self.frames.pop();
        self.operator(self.closing_token(bracket), end, ());
        self.after_closing(bracket)
    }

    pub(super) fn closing_token(&self, bracket: Bracket) -> Token<'s> {
        match bracket {
            Bracket::Paren | Bracket::CastParen => Token::CloseParen,
            Bracket::Square => Token::CloseBracket,
            Bracket::Brace(Brace::Value) => Token::ValueClose,
            Bracket::Brace(_) => Token::CloseBrace,
            Bracket::Base(Base::Predicate) => Token::PredicateClose,
            Bracket::Base(_) => Token::ActionClose,
        }
    }

    pub(super) fn after_closing(&mut self, bracket: Bracket) -> Flow {
        if bracket == Bracket::Paren && self.is_declared() {
            // The `;` of a map declaration may be left out.
            let end = self.last_end;
            self.emit(Token::Semicolon, end, end);
            return Flow::Done;
        }
        self.position = match bracket {
            Bracket::CastParen => Position::Operand,
            Bracket::Paren | Bracket::Square | Bracket::Brace(Brace::Value) => Position::Operator,
            Bracket::Brace(Brace::Body(Head::If(kind))) => {
                self.resume = Resume::Else(kind);
                match kind {
                    IfKind::Statement => Position::Statement,
                    IfKind::Value => Position::Operator,
                }
            }
            Bracket::Brace(Brace::Body(Head::Loop) | Brace::Block) => Position::Statement,
            Bracket::Brace(Brace::Definition) | Bracket::Base(_) => return Flow::Done,
        };
        Flow::Continue
    }

    /// Whether a map declaration ends here, without its `;`: an item follows, or nothing.
    fn is_declared(&mut self) -> bool {
        let base = Bracket::Base(Base::Definition(Kind::MapDeclaration));
        if self.frames.len() != 1 || self.frames.last().map(|f| f.bracket) != Some(base) {
            return false;
        }
        match self.peek() {
            None => true,
            Some((at, Ok(Raw::Ident))) => self.ident_at(at).is_some(),
            Some(_) => false,
        }
    }

    /// Reports the innermost `(` or `[` as never closed, and closes it before byte `at`.
    pub(super) fn close_inner(&mut self, at: usize) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let (open, closer) = (frame.open, frame.closer());
        let opener = self.slice(open, open + 1);
        let place = self.span(self.last_end, self.last_end);
        let found = self.text.get(at..).and_then(|t| t.chars().next());
        let here = match found {
            Some(found) => format!("expected `{closer}` before `{found}`"),
            None => format!("expected `{closer}` here"),
        };
        let diagnostic = Diagnostic::error(
            codes::UNCLOSED_DELIMITER,
            format!("this `{opener}` is never closed"),
            self.span(open, open + 1),
            "opened here",
        )
        .label(place, here)
        .help(format!("add the missing `{closer}`"));
        self.diagnostics.push(diagnostic);
        let token = self.closing_token(frame.bracket);
        self.emit(token, self.last_end, self.last_end);
    }

    pub(super) fn stray(&mut self, at: usize, end: usize) -> Flow {
        let found = self.slice(at, end);
        let mut diagnostic = Diagnostic::error(
            codes::STRAY_DELIMITER,
            format!("unexpected `{found}`"),
            self.span(at, end),
            "nothing is open for it to close",
        );
        if let Some(frame) = self.frames.last()
            && !frame.closer().is_empty()
        {
            let open = self.span(frame.open, frame.open + 1);
            let closer = frame.closer();
            diagnostic = diagnostic.label(open, format!("this is open, and waits for `{closer}`"));
        }
        self.diagnostics
            .push(diagnostic.help(format!("remove the `{found}`")));
        self.at = end;
        // The end of a predicate or of a definition's head: nothing sensible can follow.
        match self.frames.last().map(|f| f.bracket) {
            Some(Bracket::Base(Base::Predicate | Base::Definition(_))) if found == "}" => {
                Flow::Abandon
            }
            _ => Flow::Continue,
        }
    }
}
