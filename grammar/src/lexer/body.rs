//! Statements and expressions: what each token means where it stands.
//!
//! Takes the text of an action, a body, a predicate or an expression; gives its tokens, balanced.
//! It keeps a frame for every bracket that is open and remembers whether a statement, an operand
//! or an operator is due; that decides casts, blocks that are values, the two kinds of `if`,
//! and whether a lone `>` closes an angle action (rules A1 to A6).

use super::lookahead::{is_c_word, is_qualifier};
use super::{Kind, Lexer};
use crate::ast::BinaryOp;
use crate::token::{Raw, Token};

/// What is read, and so what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// `/ … /`
    Predicate,
    /// `{ … }` of a clause.
    Action,
    /// `< … >` of a clause.
    AngleAction,
    /// Something that begins with a keyword.
    Definition(Kind),
    /// To the end of the text.
    Expression,
    /// An expression inside a C definition; the caller says where it ends.
    CExpression,
}

/// How reading went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// There is more.
    Continue,
    /// What was asked for has been read.
    Done,
    /// A bracket was left open: read the item again, resynchronising.
    Restart,
    /// The item makes no sense; it has been reported.
    Abandon,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Statement,
    Operand,
    Operator,
}

/// What the last token left to be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resume {
    Nothing,
    /// The body of an `if` was closed: an `else` may follow.
    Else(IfKind),
    /// An `else` was read: its body or an `if` follows.
    ElseBody(IfKind),
}

/// Whether an `if` is a statement or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfKind {
    Statement,
    Value,
}

/// A keyword that waits for its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    If(IfKind),
    Loop,
}

/// What a frame's bracket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bracket {
    /// None: the frame is what [`Base`] says.
    Base(Base),
    Paren,
    CastParen,
    Square,
    Brace(Brace),
}

/// What a `{` opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Brace {
    Block,
    Value,
    Body(Head),
    Definition,
}

/// An open bracket and what is known of the level inside it.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) bracket: Bracket,
    pub(super) open: usize,
    /// How many `?` wait for their `:`.
    pub(super) questions: usize,
    pub(super) heads: Vec<Head>,
}

impl Frame {
    pub(super) fn new(bracket: Bracket, open: usize) -> Self {
        Frame {
            bracket,
            open,
            questions: 0,
            heads: Vec::new(),
        }
    }

    /// Whether statements stand in it.
    pub(super) fn has_statements(&self) -> bool {
        match self.bracket {
            Bracket::Base(base) => matches!(
                base,
                Base::Action
                    | Base::AngleAction
                    | Base::Definition(Kind::MapDeclaration | Kind::Import)
            ),
            Bracket::Brace(_) => true,
            _ => false,
        }
    }

    pub(super) fn is_inner(&self) -> bool {
        matches!(
            self.bracket,
            Bracket::Paren | Bracket::CastParen | Bracket::Square
        )
    }

    pub(super) fn closer(&self) -> &'static str {
        match self.bracket {
            Bracket::Base(Base::Action) | Bracket::Brace(_) => "}",
            Bracket::Base(Base::AngleAction) => ">",
            Bracket::Base(Base::Predicate) => "/",
            Bracket::Base(_) => "",
            Bracket::Paren | Bracket::CastParen => ")",
            Bracket::Square => "]",
        }
    }
}

impl<'s> Lexer<'s> {
    /// Reads what `base` says, opened at byte `open`, to its end.
    pub(super) fn run(&mut self, base: Base, open: usize) -> Flow {
        self.frames.clear();
        self.resume = Resume::Nothing;
        self.frames.push(Frame::new(Bracket::Base(base), open));
        self.position = match base {
            Base::Action | Base::AngleAction => Position::Statement,
            _ => Position::Operand,
        };
        loop {
            match self.step() {
                Flow::Continue => {}
                other => return other,
            }
        }
    }

    /// Reads an expression of a C definition, up to a `,`, `;`, `}` or `]` outside its brackets.
    pub(super) fn run_c_expression(&mut self) -> Flow {
        self.frames.clear();
        self.resume = Resume::Nothing;
        let base = Bracket::Base(Base::CExpression);
        self.frames.push(Frame::new(base, self.at));
        self.position = Position::Operand;
        while let Some((_, raw)) = self.peek() {
            let ends = matches!(
                raw,
                Ok(Raw::Comma | Raw::Semicolon | Raw::CloseBrace | Raw::CloseBracket)
            );
            if ends && self.frames.len() <= 1 {
                return Flow::Done;
            }
            match self.step() {
                Flow::Continue => {}
                other => return other,
            }
        }
        self.end_of_text()
    }

    /// Reads one token.
    fn step(&mut self) -> Flow {
        let Some((at, raw)) = self.peek() else {
            return self.end_of_text();
        };
        if self.is_resynchronising
            && self.is_line_start(at)
            && !self.tokens.is_empty()
            && self.starts_item(at)
        {
            return self.cut_short();
        }
        let Ok(raw) = raw else {
            self.bad_character();
            return Flow::Continue;
        };
        let end = self.raw_at(at).map_or(at + 1, |(_, end)| end);
        if self.is_semicolon_missing(raw, at) {
            self.insert_semicolon();
            if self.is_definition_ended() {
                return Flow::Done;
            }
        }
        let resume = std::mem::replace(&mut self.resume, Resume::Nothing);
        match raw {
            Raw::Ident => self.identifier(at, end, resume),
            Raw::OpenBrace => return self.open_brace(at, resume),
            Raw::CloseParen | Raw::CloseBracket | Raw::CloseBrace => {
                return self.close(raw, at, end);
            }
            Raw::Semicolon => return self.semicolon(at, end),
            Raw::Greater | Raw::ShiftRight if self.closes_angle(raw, end) => {
                self.frames.clear();
                return self.operator(Token::ActionClose, end, Flow::Done);
            }
            Raw::Slash if self.closes_predicate(end) => {
                return self.operator(Token::PredicateClose, end, Flow::Done);
            }
            Raw::OpenParen => self.open_paren(at),
            Raw::OpenBracket => {
                self.open(Token::OpenBracket, Bracket::Square, at);
            }
            Raw::Variable => self.operand(Token::Variable(self.slice(at, end)), end),
            Raw::Map => self.operand(Token::Map(self.slice(at, end)), end),
            Raw::Positional => self.positional(at, end),
            Raw::PositionalCount => self.operand(Token::PositionalCount, end),
            Raw::Number => self.number(at, end),
            Raw::Quote => self.string(at),
            Raw::Question => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.questions += 1;
                }
                self.operator(Token::Question, end, ());
            }
            Raw::Colon => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.questions = frame.questions.saturating_sub(1);
                }
                self.operator(Token::Colon, end, ());
            }
            Raw::PlusPlus | Raw::MinusMinus => {
                let token = plain(raw);
                // Postfix after an operand, prefix before one; what is due stays the same.
                let due = match self.position {
                    Position::Statement => Position::Operand,
                    position => position,
                };
                self.operator(token, end, ());
                self.position = due;
            }
            Raw::Dot if self.is_fraction(at) => self.fraction(at),
            Raw::AssignOp => {
                let token = self.compound(at, end);
                self.operator(token, end, ());
            }
            raw => self.operator(plain(raw), end, ()),
        }
        Flow::Continue
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'s str {
        self.text.get(start..end).unwrap_or("")
    }

    /// Emits the token at hand, after which an operand is due; gives back `flow`.
    pub(super) fn operator<T>(&mut self, token: Token<'s>, end: usize, flow: T) -> T {
        self.emit(token, self.at, end);
        self.at = end;
        self.position = Position::Operand;
        flow
    }

    /// Emits the token at hand, which is an operand.
    pub(super) fn operand(&mut self, token: Token<'s>, end: usize) {
        self.emit(token, self.at, end);
        self.at = end;
        self.position = Position::Operator;
    }

    fn compound(&self, at: usize, end: usize) -> Token<'s> {
        let op = match self.slice(at, end) {
            "+=" => BinaryOp::Add,
            "-=" => BinaryOp::Subtract,
            "*=" => BinaryOp::Multiply,
            "/=" => BinaryOp::Divide,
            "%=" => BinaryOp::Remainder,
            "&=" => BinaryOp::BitAnd,
            "|=" => BinaryOp::BitOr,
            "^=" => BinaryOp::BitXor,
            "<<=" => BinaryOp::ShiftLeft,
            _ => BinaryOp::ShiftRight,
        };
        Token::AssignOp(op)
    }

    // Words.

    fn identifier(&mut self, at: usize, end: usize, resume: Resume) {
        let word = self.slice(at, end);
        if matches!(self.tokens.last(), Some((_, Token::Dot | Token::Arrow, _))) {
            return self.operand(Token::Ident(word), end);
        }
        match word {
            "if" => {
                let kind = match (resume, self.position) {
                    (Resume::ElseBody(kind), _) => kind,
                    (_, Position::Statement) => IfKind::Statement,
                    _ => IfKind::Value,
                };
                let token = match kind {
                    IfKind::Statement => Token::If,
                    IfKind::Value => Token::IfValue,
                };
                self.head(token, Head::If(kind), end);
            }
            "else" => {
                let kind = match resume {
                    Resume::Else(kind) => kind,
                    _ => IfKind::Statement,
                };
                self.operator(Token::Else, end, ());
                self.resume = Resume::ElseBody(kind);
            }
            "for" => self.head(Token::For, Head::Loop, end),
            "while" => self.head(Token::While, Head::Loop, end),
            "unroll" => self.head(Token::Unroll, Head::Loop, end),
            "let" => self.operator(Token::Let, end, ()),
            "return" => self.operator(Token::Return, end, ()),
            "break" => self.operand(Token::Break, end),
            "continue" => self.operand(Token::Continue, end),
            "import" if self.is_import(end) => self.operator(Token::Import, end, ()),
            "sizeof" => self.operator(Token::Sizeof, end, ()),
            "offsetof" => self.operator(Token::Offsetof, end, ()),
            "typeof" => self.operator(Token::Typeof, end, ()),
            "typeinfo" => self.operator(Token::Typeinfo, end, ()),
            "comptime" => self.operator(Token::Comptime, end, ()),
            "struct" => self.operator(Token::Struct, end, ()),
            "union" => self.operator(Token::Union, end, ()),
            "enum" => self.operator(Token::Enum, end, ()),
            "true" => self.operand(Token::Bool(true), end),
            "false" => self.operand(Token::Bool(false), end),
            _ if is_c_word(word) || is_qualifier(word) => self.c_words(word, end),
            _ => {
                if self.is_macro_header() {
                    self.parameters.push(word);
                }
                self.operand(Token::Ident(word), end);
            }
        }
    }

    fn head(&mut self, token: Token<'s>, head: Head, end: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.heads.push(head);
        }
        self.operator(token, end, ());
    }

    fn is_import(&self, end: usize) -> bool {
        matches!(self.raw_at(self.trivia_end(end)), Some((Raw::Quote, _)))
    }

    /// Whether the parentheses of a macro's definition are open.
    fn is_macro_header(&self) -> bool {
        let base = self.frames.first().map(|f| f.bracket);
        base == Some(Bracket::Base(Base::Definition(Kind::Macro))) && self.frames.len() == 2
    }

    /// Words of C that belong together: `unsigned long`, `const char`.
    fn c_words(&mut self, first: &'s str, mut end: usize) {
        let mut words = Vec::new();
        let mut word = first;
        loop {
            if !is_qualifier(word) {
                words.push(word);
            }
            let next_at = self.trivia_end(end);
            let is_open = words.iter().all(|w| is_c_word(w));
            let Some(next) = self.ident_at(next_at).filter(|_| is_open) else {
                break;
            };
            let continues = is_c_word(next) || is_qualifier(next);
            // Behind qualifiers alone any word is the type.
            if !continues && !words.is_empty() {
                break;
            }
            if is_keyword(next) {
                break;
            }
            word = next;
            end = next_at + next.len();
        }
        match words.as_slice() {
            // `const struct S`: the qualifier says nothing.
            [] if first_is_followed_by_tag(self.ident_at(self.trivia_end(end))) => self.at = end,
            [] => self.operand(Token::Ident(first), end),
            [one] => self.operand(Token::Ident(one), end),
            all => self.operand(Token::TypeWords(all.join(" ")), end),
        }
    }
}

/// Whether a word means something else than a name inside an action.
fn is_keyword(word: &str) -> bool {
    crate::KEYWORDS.contains(&word)
}

fn first_is_followed_by_tag(next: Option<&str>) -> bool {
    matches!(next, Some("struct" | "union" | "enum" | "typeof"))
}

/// The token of an operator or a piece of punctuation.
pub(super) fn plain<'s>(raw: Raw) -> Token<'s> {
    match raw {
        Raw::Comma => Token::Comma,
        Raw::Dot => Token::Dot,
        Raw::DotDot => Token::DotDot,
        Raw::Arrow => Token::Arrow,
        Raw::Elvis => Token::Elvis,
        Raw::Assign => Token::Assign,
        Raw::PlusPlus => Token::PlusPlus,
        Raw::MinusMinus => Token::MinusMinus,
        Raw::Plus => Token::Plus,
        Raw::Minus => Token::Minus,
        Raw::Star => Token::Star,
        Raw::Slash => Token::Slash,
        Raw::Percent => Token::Percent,
        Raw::ShiftLeft => Token::ShiftLeft,
        Raw::ShiftRight => Token::ShiftRight,
        Raw::Less => Token::Less,
        Raw::LessEqual => Token::LessEqual,
        Raw::Greater => Token::Greater,
        Raw::GreaterEqual => Token::GreaterEqual,
        Raw::Equal => Token::Equal,
        Raw::NotEqual => Token::NotEqual,
        Raw::Ampersand => Token::Ampersand,
        Raw::Caret => Token::Caret,
        Raw::Pipe => Token::Pipe,
        Raw::AndAnd => Token::AndAnd,
        Raw::OrOr => Token::OrOr,
        Raw::Bang => Token::Bang,
        Raw::Tilde => Token::Tilde,
        // The rest is handled where it is met.
        _ => Token::ErrorExpression,
    }
}
