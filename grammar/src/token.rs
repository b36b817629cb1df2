//! Tokens: the plain ones that regular expressions find, and the ones the parser sees.
//!
//! Takes text that does not begin with white space or a comment; gives the longest token
//! there. It never knows where it stands: what a token means in its place is decided in
//! `lexer`, which turns every [`Raw`] into a [`Token`].

use crate::ast::{AttachPoint, Attributes};
use logos::Logos;

/// A token as regular expressions see it.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    #[regex("[A-Za-z_][A-Za-z0-9_]*")]
    Ident,
    #[regex(r"\$[A-Za-z_][A-Za-z0-9_]*")]
    Variable,
    #[regex(r"\$[0-9]+")]
    Positional,
    #[token("$#")]
    PositionalCount,
    #[regex("@[A-Za-z_][A-Za-z0-9_]*")]
    #[token("@")]
    Map,
    /// Digits with whatever letters follow; `literal` says what they are worth.
    #[regex("[0-9][A-Za-z0-9_]*")]
    Number,
    /// Only the opening quote; `literal` reads the rest.
    #[token("\"")]
    Quote,
    #[token("(")]
    OpenParen,
    #[token(")")]
    CloseParen,
    #[token("[")]
    OpenBracket,
    #[token("]")]
    CloseBracket,
    #[token("{")]
    OpenBrace,
    #[token("}")]
    CloseBrace,
    #[token(";")]
    Semicolon,
    #[token(",")]
    Comma,
    #[token(".")]
    Dot,
    #[token("..")]
    DotDot,
    #[token("->")]
    Arrow,
    #[token("?")]
    Question,
    #[token("?:")]
    Elvis,
    #[token(":")]
    Colon,
    #[token("=")]
    Assign,
    #[token("+=")]
    #[token("-=")]
    #[token("*=")]
    #[token("/=")]
    #[token("%=")]
    #[token("&=")]
    #[token("|=")]
    #[token("^=")]
    #[token("<<=")]
    #[token(">>=")]
    AssignOp,
    #[token("++")]
    PlusPlus,
    #[token("--")]
    MinusMinus,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("*")]
    Star,
    #[token("/")]
    Slash,
    #[token("%")]
    Percent,
    #[token("<<")]
    ShiftLeft,
    #[token(">>")]
    ShiftRight,
    #[token("<")]
    Less,
    #[token("<=")]
    LessEqual,
    #[token(">")]
    Greater,
    #[token(">=")]
    GreaterEqual,
    #[token("==")]
    Equal,
    #[token("!=")]
    NotEqual,
    #[token("&")]
    Ampersand,
    #[token("^")]
    Caret,
    #[token("|")]
    Pipe,
    #[token("&&")]
    AndAnd,
    #[token("||")]
    OrOr,
    #[token("!")]
    Bang,
    #[token("~")]
    Tilde,
}

/// The token at the start of `text`: `None` at its end, `Err` for a character no token
/// begins with. The number is its length in bytes.
pub(crate) fn first(text: &str) -> Option<(Result<Raw, ()>, usize)> {
    let mut lexer = Raw::lexer(text);
    let raw = lexer.next()?;
    Some((raw, lexer.span().end.max(1)))
}

/// A token as the parser sees it: what it means no longer depends on where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'s> {
    /// Says that an expression alone follows; never written.
    ExpressionStart,

    // Clauses.
    Attach(Box<AttachPoint>),
    /// Stands for an attach point that was reported missing.
    NoAttach,
    PredicateOpen,
    PredicateClose,
    ActionOpen,
    ActionClose,

    // Names and values.
    Ident(&'s str),
    /// Several words that name one C type, joined by a space.
    TypeWords(String),
    Variable(&'s str),
    Map(&'s str),
    Positional(u32),
    PositionalCount,
    Int(u64),
    /// The digits after a `.`.
    Element(u32),
    Bool(bool),
    Str(Vec<u8>),

    // Keywords.
    Macro,
    Fn,
    Let,
    Config,
    Import,
    If,
    /// An `if` that is a value.
    IfValue,
    Else,
    For,
    While,
    Unroll,
    Return,
    Break,
    Continue,
    Sizeof,
    Offsetof,
    Typeof,
    Typeinfo,
    Comptime,
    Struct,
    Union,
    Enum,
    Typedef,

    // Brackets.
    OpenParen,
    /// The `(` of a cast.
    CastOpen,
    /// The `(` of `sizeof(T)` and its like.
    TypeOpen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    /// The `{` of a statement, a body or a definition.
    OpenBrace,
    CloseBrace,
    /// The `{` of a block that is a value.
    ValueOpen,
    ValueClose,

    // Punctuation.
    Semicolon,
    Comma,
    Dot,
    DotDot,
    Arrow,
    Question,
    Elvis,
    Colon,
    Assign,
    AssignOp(crate::ast::BinaryOp),
    PlusPlus,
    MinusMinus,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    ShiftLeft,
    ShiftRight,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
    Ampersand,
    Caret,
    Pipe,
    AndAnd,
    OrOr,
    Bang,
    Tilde,

    // C definitions.
    /// The words of a C type in front of a declarator.
    CType(String),
    /// The name a C declarator declares.
    CName(&'s str),
    /// `(*name)(…)`, whole.
    CFunctionPointer(&'s str),
    /// `__attribute__((…))`
    CAttribute(Attributes),

    // Where something was reported and left out.
    ErrorExpression,
    ErrorStatement,
}

impl Token<'_> {
    /// Whether it opens a pair; the lexer sees to it that pairs always match.
    pub(crate) fn opens(&self) -> bool {
        use Token::*;
        matches!(
            self,
            PredicateOpen
                | ActionOpen
                | OpenParen
                | CastOpen
                | TypeOpen
                | OpenBracket
                | OpenBrace
                | ValueOpen
        )
    }

    /// Whether it closes a pair.
    pub(crate) fn closes(&self) -> bool {
        use Token::*;
        matches!(
            self,
            PredicateClose | ActionClose | CloseParen | CloseBracket | CloseBrace | ValueClose
        )
    }

    /// Whether an operand ends with it.
    pub(crate) fn ends_operand(&self) -> bool {
        use Token::*;
        matches!(
            self,
            Ident(_)
                | TypeWords(_)
                | Variable(_)
                | Map(_)
                | Positional(_)
                | PositionalCount
                | Int(_)
                | Element(_)
                | Bool(_)
                | Str(_)
                | CloseParen
                | CloseBracket
                | ValueClose
                | PlusPlus
                | MinusMinus
                | ErrorExpression
        )
    }

    /// Whether it stands for something already reported.
    pub(crate) fn is_placeholder(&self) -> bool {
        matches!(
            self,
            Token::ErrorExpression | Token::ErrorStatement | Token::NoAttach
        )
    }
}
