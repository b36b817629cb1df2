//! Statements and expressions: what each token means where it stands.
//!
//! Takes the text of an action, a body, a predicate or an expression; gives its tokens, balanced.
//! It keeps a frame for every bracket that is open and remembers whether a statement, an operand
//! or an operator is due; that decides casts, blocks that are values, the two kinds of `if`,
//! and whether a lone `>` closes an angle action (rules A1 to A6).

use super::lookahead::{is_c_word, is_qualifier};
use super::{Kind, Lexer, MAX_NESTING};
use crate::ast::BinaryOp;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::literal;
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
enum Head {
    If(IfKind),
    Loop,
}

/// What a frame's bracket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bracket {
    /// None: the frame is what [`Base`] says.
    Base(Base),
    Paren,
    CastParen,
    Square,
    Brace(Brace),
}

/// What a `{` opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Brace {
    Block,
    Value,
    Body(Head),
    Definition,
}

/// An open bracket and what is known of the level inside it.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    bracket: Bracket,
    open: usize,
    /// How many `?` wait for their `:`.
    questions: usize,
    heads: Vec<Head>,
}

impl Frame {
    fn new(bracket: Bracket, open: usize) -> Self {
        Frame {
            bracket,
            open,
            questions: 0,
            heads: Vec::new(),
        }
    }

    /// Whether statements stand in it.
    fn has_statements(&self) -> bool {
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

    fn is_inner(&self) -> bool {
        matches!(
            self.bracket,
            Bracket::Paren | Bracket::CastParen | Bracket::Square
        )
    }

    fn closer(&self) -> &'static str {
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

    fn slice(&self, start: usize, end: usize) -> &'s str {
        self.text.get(start..end).unwrap_or("")
    }

    /// Emits the token at hand, after which an operand is due; gives back `flow`.
    fn operator<T>(&mut self, token: Token<'s>, end: usize, flow: T) -> T {
        self.emit(token, self.at, end);
        self.at = end;
        self.position = Position::Operand;
        flow
    }

    /// Emits the token at hand, which is an operand.
    fn operand(&mut self, token: Token<'s>, end: usize) {
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
            if matches!(next, "struct" | "union" | "enum" | "typeof") {
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

    // Literals.

    fn positional(&mut self, at: usize, end: usize) {
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

    fn number(&mut self, at: usize, end: usize) {
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
    fn is_fraction(&self, at: usize) -> bool {
        let is_number = matches!(self.tokens.last(), Some((_, Token::Int(_), end)) if *end == at);
        let next = self.text.as_bytes().get(at + 1);
        is_number && next.is_some_and(u8::is_ascii_digit)
    }

    fn fraction(&mut self, at: usize) {
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

    fn string(&mut self, at: usize) {
        let literal = literal::read_string(self.rest());
        for error in literal.errors {
            self.literal_error(at, error);
        }
        self.operand(Token::Str(literal.bytes), at + literal.length);
    }

    /// Reports a run of characters that begin no token, and skips it.
    fn bad_character(&mut self) {
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
    fn bad_run(&self, rest: &str) -> usize {
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

    // Brackets.

    fn open_paren(&mut self, at: usize) {
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

    fn open_brace(&mut self, at: usize, resume: Resume) -> Flow {
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
    fn is_head_waiting(&self) -> bool {
        let mut outwards = self.frames.iter().rev();
        let is_idle = |f: &&Frame| f.is_inner() && f.heads.is_empty();
        let first = outwards.find(|f| !is_idle(f));
        first.is_some_and(|f| !f.is_inner() && !f.heads.is_empty())
    }

    /// Opens a bracket, unless too many are open already: then what it holds is left out.
    fn open(&mut self, token: Token<'s>, bracket: Bracket, at: usize) -> bool {
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
    fn skip_bracket(&mut self) {
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
    fn close(&mut self, raw: Raw, at: usize, end: usize) -> Flow {
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

    fn closing_token(&self, bracket: Bracket) -> Token<'s> {
        match bracket {
            Bracket::Paren | Bracket::CastParen => Token::CloseParen,
            Bracket::Square => Token::CloseBracket,
            Bracket::Brace(Brace::Value) => Token::ValueClose,
            Bracket::Brace(_) => Token::CloseBrace,
            Bracket::Base(Base::Predicate) => Token::PredicateClose,
            Bracket::Base(_) => Token::ActionClose,
        }
    }

    fn after_closing(&mut self, bracket: Bracket) -> Flow {
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

    /// Reports the innermost `(` or `[` as never closed, and closes it before byte `at`.
    fn close_inner(&mut self, at: usize) {
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

    fn stray(&mut self, at: usize, end: usize) -> Flow {
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

    // The ends of statements and actions.

    fn semicolon(&mut self, at: usize, end: usize) -> Flow {
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
    fn is_definition_ended(&self) -> bool {
        let is_base = matches!(
            self.frames.last().map(|f| f.bracket),
            Some(Bracket::Base(Base::Definition(_)))
        );
        is_base && matches!(self.tokens.last(), Some((_, Token::Semicolon, _)))
    }

    /// Whether the operand at `at` begins a statement, on a new line, though the one before has
    /// no `;`.
    fn is_semicolon_missing(&self, raw: Raw, at: usize) -> bool {
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

    fn insert_semicolon(&mut self) {
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
    fn closes_angle(&self, raw: Raw, end: usize) -> bool {
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
    fn closes_predicate(&self, end: usize) -> bool {
        let is_level = self.frames.len() == 1
            && self.frames.last().map(|f| f.bracket) == Some(Bracket::Base(Base::Predicate));
        let next = self.trivia_end(end);
        is_level && matches!(self.text.as_bytes().get(next), Some(b'{' | b'<'))
    }

    fn unclosed_predicate(&mut self, at: usize, end: usize) {
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
    fn unclosed_predicate_before_brace(&mut self, at: usize) -> Flow {
        self.unclosed_predicate(at, at + 1);
        let end = self.last_end;
        self.emit(Token::PredicateClose, end, end);
        Flow::Done
    }

    /// Reports an angle action that the text at `at` ends though it is open.
    fn unclosed_angle(&mut self, at: usize, end: usize) {
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

    fn end_of_text(&mut self) -> Flow {
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
    fn cut_short(&mut self) -> Flow {
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

    fn unclosed(&mut self, frame: &Frame, at: usize) {
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
