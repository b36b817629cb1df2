//! Parses one piece of a script, and goes on after a mistake.
//!
//! Takes the tokens of an item; gives its tree and adds to the diagnostics. After a mistake the
//! smallest stretch of tokens around it that is a whole (what a bracket holds, the head of a
//! statement, a statement) is replaced by a placeholder, and the item is parsed again. As the
//! lexer's tokens are balanced, one mistake never makes others out of the text behind it.

use crate::builder::{Builder, Unit};
use crate::grammar::UnitParser;
use crate::lexer::{Kind, Lexed};
use crate::mistake;
use crate::source::Span;
use crate::token::Token;
use lalrpop_util::ParseError;
use std::cell::Cell;

/// How many mistakes are looked for in one item: each costs another parse of it.
const MOST_MISTAKES: usize = 32;

/// Where the parser stopped.
struct Stop {
    /// The token it could not take; the number of tokens if it wanted more.
    index: usize,
    /// The names of the tokens it could have taken.
    expected: Vec<String>,
}

/// The tree of one piece; `None` when the piece as a whole makes no sense.
pub(crate) fn parse(
    builder: &mut Builder<'_>,
    kind: Kind,
    mut tokens: Vec<Lexed<'_>>,
) -> Option<Unit> {
    for _ in 0..MOST_MISTAKES {
        let stop = match attempt(builder, &tokens) {
            Ok(unit) => return Some(unit),
            Err(stop) => stop,
        };
        // Next to a placeholder everything has been said already.
        let is_known = |at: usize| tokens.get(at).is_some_and(|t| t.1.is_placeholder());
        let mut is_reported =
            is_known(stop.index) || stop.index.checked_sub(1).is_some_and(is_known);
        // Replaces ever larger stretches until one changes something.
        let mut found = stretch(&tokens, stop.index);
        while let Some(known) = found.filter(|s| s.is_replaced(&tokens)) {
            is_reported = true;
            found = enclosing(&tokens, known.start).and_then(|open| stretch(&tokens, open));
        }
        let place = match &found {
            Some(stretch) => stretch.place(&tokens, builder),
            None => whole(&tokens, builder),
        };
        is_reported = is_reported || place.is_some_and(|p| is_blamed(builder, p));
        if !is_reported {
            let diagnostic = mistake::describe(builder, kind, &tokens, stop.index, &stop.expected);
            builder.diagnostics().push(diagnostic);
        }
        found?.replace(&mut tokens);
    }
    None
}

fn attempt(builder: &mut Builder<'_>, tokens: &[Lexed<'_>]) -> Result<Unit, Stop> {
    let taken = Cell::new(0usize);
    let stream = tokens
        .iter()
        .cloned()
        .inspect(|_| taken.set(taken.get() + 1));
    let result = UnitParser::new().parse(builder, stream);
    result.map_err(|error| match error {
        ParseError::UnrecognizedToken { expected, .. } => Stop {
            index: taken.get().saturating_sub(1),
            expected,
        },
        ParseError::UnrecognizedEof { expected, .. } => Stop {
            index: tokens.len(),
            expected,
        },
        ParseError::InvalidToken { .. } | ParseError::ExtraToken { .. } => Stop {
            index: taken.get().saturating_sub(1),
            expected: Vec::new(),
        },
        ParseError::User { error } => match error {},
    })
}

/// Whether the lexer has reported something inside `place` already.
fn is_blamed(builder: &mut Builder<'_>, place: Span) -> bool {
    let mut labels = builder.diagnostics().iter().flat_map(|d| &d.labels);
    labels.any(|l| {
        // At the very start it is about what stands before.
        l.span.start >= place.start && l.span.end <= place.end && l.span.end > place.start
    })
}

/// The text of all tokens.
fn whole(tokens: &[Lexed<'_>], builder: &Builder<'_>) -> Option<Span> {
    Some(builder.span(tokens.first()?.0, tokens.last()?.2))
}

/// Tokens that can be replaced as a whole.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: usize,
    end: usize,
    is_statement: bool,
}

impl Stretch {
    fn is_replaced(&self, tokens: &[Lexed<'_>]) -> bool {
        let one = self.end == self.start + 1;
        one && tokens.get(self.start).is_some_and(|t| t.1.is_placeholder())
    }

    /// The text from the token before it to the token behind it.
    fn place(&self, tokens: &[Lexed<'_>], builder: &Builder<'_>) -> Option<Span> {
        let before = self.start.checked_sub(1).and_then(|i| tokens.get(i));
        let after = tokens.get(self.end).or(tokens.last());
        Some(builder.span(before.or(tokens.first())?.2, after?.2))
    }

    fn replace(&self, tokens: &mut Vec<Lexed<'_>>) {
        let token = if self.is_statement {
            Token::ErrorStatement
        } else {
            Token::ErrorExpression
        };
        let before = self.start.checked_sub(1).and_then(|i| tokens.get(i));
        let fallback = before.map_or(0, |t| t.2);
        let inside = tokens.get(self.start..self.end).unwrap_or(&[]);
        let start = inside.first().map_or(fallback, |t| t.0);
        let end = inside.last().map_or(fallback, |t| t.2);
        tokens.splice(self.start..self.end, [(start, token, end)]);
    }
}

/// The smallest stretch around `index` that can be replaced; `None`: only the item as a whole.
fn stretch(tokens: &[Lexed<'_>], index: usize) -> Option<Stretch> {
    let index = index.min(tokens.len());
    let open = enclosing(tokens, index)?;
    let close = closing(tokens, open)?;
    let holds_statements = matches!(
        tokens.get(open)?.1,
        Token::OpenBrace | Token::ActionOpen | Token::ValueOpen
    );
    if !holds_statements {
        return Some(Stretch {
            start: open + 1,
            end: close,
            is_statement: false,
        });
    }
    let start = statement_start(tokens, open, index);
    if start == index && index == close {
        // Nothing before the closing bracket: the block itself is wrong.
        return stretch(tokens, open);
    }
    let end = statement_end(tokens, start, index, close);
    if let Some(head) = head(tokens, start, index, end) {
        return Some(head);
    }
    Some(Stretch {
        start,
        end,
        is_statement: true,
    })
}

/// The bracket that is open at `index`.
fn enclosing(tokens: &[Lexed<'_>], index: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, (_, token, _)) in tokens.iter().enumerate().take(index).rev() {
        if token.closes() {
            depth += 1;
        } else if token.opens() {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return Some(at),
            }
        }
    }
    None
}

/// The partner of the bracket at `open`.
fn closing(tokens: &[Lexed<'_>], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, (_, token, _)) in tokens.iter().enumerate().skip(open) {
        if token.opens() {
            depth += 1;
        } else if token.closes() {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// Whether a statement ends with the `}` at `at`.
fn ends_statement(tokens: &[Lexed<'_>], at: usize) -> bool {
    let is_brace = tokens.get(at).is_some_and(|t| t.1 == Token::CloseBrace);
    is_brace && tokens.get(at + 1).is_none_or(|t| t.1 != Token::Else)
}

/// Where the statement around `index` begins, inside the bracket at `open`.
fn statement_start(tokens: &[Lexed<'_>], open: usize, index: usize) -> usize {
    let mut depth = 0usize;
    let mut start = open + 1;
    for at in open + 1..index {
        let Some((_, token, _)) = tokens.get(at) else {
            break;
        };
        if token.opens() {
            depth += 1;
        } else if token.closes() {
            depth = depth.saturating_sub(1);
            if depth == 0 && ends_statement(tokens, at) {
                start = at + 1;
            }
        } else if depth == 0 && matches!(token, Token::Semicolon | Token::ErrorStatement) {
            start = at + 1;
        }
    }
    start
}

/// One past the statement around `index`, its `;` not included.
fn statement_end(tokens: &[Lexed<'_>], start: usize, index: usize, close: usize) -> usize {
    let mut depth = 0usize;
    for at in start..close {
        let Some((_, token, _)) = tokens.get(at) else {
            break;
        };
        if token.opens() {
            depth += 1;
        } else if token.closes() {
            depth = depth.saturating_sub(1);
            if depth == 0 && at >= index && ends_statement(tokens, at) {
                return at + 1;
            }
        } else if depth == 0 && at >= index && *token == Token::Semicolon && at > start {
            return at;
        }
    }
    close
}

/// The head of the `if`, `while`, `unroll` or `for` that `index` stands in, between the keyword
/// and the body.
fn head(tokens: &[Lexed<'_>], start: usize, index: usize, end: usize) -> Option<Stretch> {
    let mut depth = 0usize;
    let mut keyword = None;
    for at in start..end {
        let (_, token, _) = tokens.get(at)?;
        if depth == 0 {
            match token {
                Token::If | Token::While | Token::Unroll | Token::For if at < index => {
                    keyword = Some(at);
                }
                Token::OpenBrace if keyword.is_some_and(|k| k < index) && index <= at => {
                    let stretch = Stretch {
                        start: keyword? + 1,
                        end: at,
                        is_statement: false,
                    };
                    // A head replaced before is not the mistake.
                    return Some(stretch).filter(|s| !s.is_replaced(tokens));
                }
                Token::OpenBrace => keyword = None,
                _ => {}
            }
        }
        if token.opens() {
            depth += 1;
        } else if token.closes() {
            depth = depth.saturating_sub(1);
        }
    }
    None
}
