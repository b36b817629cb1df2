//! Turns text into tokens whose meaning no longer depends on where they stand.
//!
//! Takes a source and what the caller knows (provider names, positional parameters); gives the
//! script piece by piece: a directive, or the tokens of one item. All context sensitivity of the
//! language is here: which part of a script this is (this file), attach points (`header`),
//! statements and expressions (`body`, with `operand` and `brackets`), their ends with the rules
//! for a lone `>` (`ends`), pure lookahead (`lookahead`), C definitions (`c`).
//!
//! What it hands over is always balanced: a bracket that was not closed has been reported and
//! closed where it should have been. It builds no tree.

mod body;
mod brackets;
mod c;
mod ends;
mod header;
mod lookahead;
mod operand;

use crate::ParseOptions;
use crate::codes::{self, Code};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::literal::LiteralError;
use crate::source::{Source, Span, Spanned};
use crate::token::{self, Raw, Token};
use body::{Base, Flow, Frame, Position, Resume};

/// How many brackets may be open at once; see also `builder::MAX_HEIGHT`.
pub(crate) const MAX_NESTING: usize = 200;

/// A token between two byte offsets, as LALRPOP takes it.
pub(crate) type Lexed<'s> = (usize, Token<'s>, usize);

/// A piece of a script.
#[derive(Clone, Debug)]
pub(crate) enum Piece<'s> {
    /// A preprocessor line.
    Directive(Spanned<String>),
    /// The tokens of a C definition, the config block, an import or an item.
    Tokens(Kind, Vec<Lexed<'s>>),
    /// Text that was reported and left out.
    Bad(Kind, Span),
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    C,
    Config,
    Import,
    Clause,
    Macro,
    Function,
    MapDeclaration,
    Expression,
}

/// The lexer's state.
pub(crate) struct Lexer<'s> {
    source: &'s Source,
    text: &'s str,
    options: ParseOptions<'s>,
    /// The next byte.
    at: usize,
    /// One past the last byte of the last token.
    last_end: usize,
    /// The tokens of the piece at hand.
    tokens: Vec<Lexed<'s>>,
    /// What was found wrong so far; the parser adds to it.
    pub(crate) diagnostics: Diagnostics,

    // Where the piece at hand stands; see `body`.
    frames: Vec<Frame>,
    position: Position,
    resume: Resume,

    /// Names that the script gives a value: `#define`s, enumerators.
    values: Vec<&'s str>,
    /// Expression parameters of the macro at hand.
    parameters: Vec<&'s str>,
    /// A bracket was left open somewhere: an item at the start of a line ends what is open.
    is_resynchronising: bool,
    has_items: bool,
    has_config: bool,
    is_depth_reported: bool,
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s Source, options: &ParseOptions<'s>) -> Self {
        Lexer {
            source,
            text: &source.text,
            options: *options,
            at: 0,
            last_end: 0,
            tokens: Vec::new(),
            diagnostics: Vec::new(),
            frames: Vec::new(),
            position: Position::Statement,
            resume: Resume::Nothing,
            values: Vec::new(),
            parameters: Vec::new(),
            is_resynchronising: false,
            has_items: false,
            has_config: false,
            is_depth_reported: false,
        }
    }

    /// The next piece of the script; `None` at its end.
    pub(crate) fn next_piece(&mut self) -> Option<Piece<'s>> {
        if self.at == 0 {
            self.skip_shebang();
        }
        loop {
            self.skip_trivia();
            let start = self.at;
            let rest = self.rest();
            match rest.bytes().next()? {
                b'#' => return Some(self.directive()),
                b';' => self.at += 1,
                c @ (b'}' | b')' | b']') => {
                    self.at += 1;
                    let found = char::from(c);
                    let span = self.span(start, self.at);
                    self.error(
                        codes::STRAY_DELIMITER,
                        format!("unexpected `{found}`"),
                        span,
                        "nothing is open here",
                        "remove it, or open its partner before it",
                    );
                }
                _ => return Some(self.item(start)),
            }
        }
    }

    /// The whole text as the tokens of one expression.
    pub(crate) fn whole_expression(&mut self) -> Piece<'s> {
        self.begin();
        self.emit(Token::ExpressionStart, 0, 0);
        self.run(Base::Expression, 0);
        Piece::Tokens(Kind::Expression, std::mem::take(&mut self.tokens))
    }

    /// Reads one item, again from its start if a bracket turns out to be left open.
    fn item(&mut self, start: usize) -> Piece<'s> {
        let diagnostics = self.diagnostics.len();
        let kind = self.kind_of_item(start);
        loop {
            self.begin();
            let flow = self.read(kind, start);
            match flow {
                Flow::Restart => {
                    self.is_resynchronising = true;
                    self.diagnostics.truncate(diagnostics);
                    self.at = start;
                }
                Flow::Abandon => {
                    self.skip_item();
                    self.note_section(kind, start);
                    return Piece::Bad(kind, self.span(start, self.at));
                }
                Flow::Continue | Flow::Done => {
                    self.note_section(kind, start);
                    return Piece::Tokens(kind, std::mem::take(&mut self.tokens));
                }
            }
        }
    }

    fn begin(&mut self) {
        self.tokens.clear();
        self.frames.clear();
        self.parameters.clear();
        self.position = Position::Operand;
        self.resume = Resume::Nothing;
        self.last_end = self.at;
    }

    fn kind_of_item(&self, start: usize) -> Kind {
        let Some(word) = self.ident_at(start) else {
            return Kind::Clause;
        };
        // No provider has one of these names; if one had, a colon would follow.
        if self.text.as_bytes().get(start + word.len()) == Some(&b':') {
            return Kind::Clause;
        }
        match word {
            "struct" | "union" | "enum" | "typedef" => Kind::C,
            "config" => Kind::Config,
            "import" => Kind::Import,
            "macro" => Kind::Macro,
            "fn" => Kind::Function,
            "let" => Kind::MapDeclaration,
            _ => Kind::Clause,
        }
    }

    fn read(&mut self, kind: Kind, start: usize) -> Flow {
        let word = match kind {
            Kind::C => return self.c_definition(),
            Kind::Clause => return self.clause(),
            Kind::Config => Token::Config,
            Kind::Import => Token::Import,
            Kind::Macro => Token::Macro,
            Kind::Function => Token::Fn,
            Kind::MapDeclaration => Token::Let,
            Kind::Expression => Token::ExpressionStart,
        };
        self.at = start + self.ident_at(start).map_or(0, str::len);
        self.emit(word, start, self.at);
        self.run(Base::Definition(kind), start)
    }

    /// Reports a section out of its place, and remembers that it was there.
    fn note_section(&mut self, kind: Kind, start: usize) {
        let length = self.ident_at(start).map_or(1, str::len);
        let span = self.span(start, start + length);
        let late = match kind {
            Kind::C => "C definitions must appear before probes and functions",
            Kind::Config => "config must appear before probes and functions",
            Kind::Import => "root imports must appear before probes and functions",
            _ => {
                self.has_items = true;
                return;
            }
        };
        if self.has_items {
            let help = "move it up, before the first probe, macro, function or map declaration";
            self.error(codes::OUT_OF_ORDER, late, span, "too late here", help);
        }
        if kind == Kind::Config {
            if self.has_config {
                let help = "put all settings into one block: `config = { a = 1; b = 2 }`";
                self.error(
                    codes::DUPLICATE_CONFIG,
                    "duplicate config block",
                    span,
                    "a script has one config block",
                    help,
                );
            }
            self.has_config = true;
        }
    }

    /// A line that begins with `#`, with the lines that a backslash joins to it.
    fn directive(&mut self) -> Piece<'s> {
        let start = self.at;
        let mut line = String::new();
        loop {
            let rest = self.rest();
            let length = rest.find('\n').unwrap_or(rest.len());
            let piece = rest.get(..length).unwrap_or(rest);
            let piece = piece.strip_suffix('\r').unwrap_or(piece);
            self.at += length;
            if let Some(joined) = piece.strip_suffix('\\')
                && self.at < self.text.len()
            {
                line.push_str(joined);
                line.push(' ');
                self.at += 1;
                continue;
            }
            line.push_str(piece);
            break;
        }
        let end = self
            .text
            .get(start..self.at)
            .map_or(self.at, |t| start + t.trim_end().len());
        // `#define NAME text` gives NAME a value: `(NAME) - 1` is a subtraction.
        let after = self
            .text
            .get(start + 1..)
            .unwrap_or("")
            .trim_start_matches([' ', '\t']);
        if let Some(after) = after.strip_prefix("define") {
            let after = after.trim_start_matches([' ', '\t']);
            let at = self.text.len() - after.len();
            if let Some(name) = self.ident_at(at) {
                self.values.push(name);
            }
        }
        Piece::Directive(Spanned::new(line, self.span(start, end)))
    }

    fn skip_shebang(&mut self) {
        if self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        if self.rest().starts_with("#!") {
            let rest = self.rest();
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    /// Skips to where the next item may begin: behind a `}` that closes everything, or before
    /// an item at the start of a line.
    fn skip_item(&mut self) {
        let mut depth = 0usize;
        while let Some((at, raw)) = self.peek() {
            if at > self.last_end && self.is_line_start(at) && self.starts_item(at) {
                return;
            }
            match raw {
                Ok(Raw::OpenBrace) => depth += 1,
                Ok(Raw::CloseBrace) => {
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

    // What every part of the lexer needs.

    fn rest(&self) -> &'s str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.source.id, start, end)
    }

    fn emit(&mut self, token: Token<'s>, start: usize, end: usize) {
        self.tokens.push((start, token, end));
        self.last_end = end;
    }

    /// The next token, behind white space and comments, which it skips.
    fn peek(&mut self) -> Option<(usize, Result<Raw, ()>)> {
        self.skip_trivia();
        let (raw, _) = token::first(self.rest())?;
        Some((self.at, raw))
    }

    /// Skips white space and comments; reports a comment without end.
    fn skip_trivia(&mut self) {
        let start = self.at;
        self.at = self.trivia_end(start);
        if self.at < self.text.len() || start == self.at {
            return;
        }
        // Only a comment that was not closed reaches the end without white space behind it.
        let Some(open) = self.unterminated_comment(start) else {
            return;
        };
        let is_known = |d: &Diagnostic| d.code == codes::UNTERMINATED_COMMENT;
        if !self.diagnostics.iter().any(is_known) {
            let span = self.span(open, open + 2);
            self.error(
                codes::UNTERMINATED_COMMENT,
                "unterminated comment",
                span,
                "this comment never ends",
                "close it with `*/`",
            );
        }
    }

    fn error(
        &mut self,
        code: Code,
        message: impl Into<String>,
        span: Span,
        here: &str,
        help: &str,
    ) {
        let diagnostic = Diagnostic::error(code, message, span, here).help(help);
        self.diagnostics.push(diagnostic);
    }

    fn literal_error(&mut self, start: usize, error: LiteralError) {
        let span = self.span(start + error.range.start, start + error.range.end);
        let mut diagnostic = Diagnostic::error(error.code, error.message, span, error.here);
        diagnostic.help.extend(error.help);
        self.diagnostics.push(diagnostic);
    }
}
