//! What the parser stopped at, in a reader's words.
//!
//! Takes the tokens of a piece, where the parser stopped and what it could have taken; gives a
//! diagnostic. Mistakes that the lexer finds (brackets, literals, attach points) are described
//! there; here is what remains.

use crate::builder::Builder;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::lexer::{Kind, Lexed};
use crate::source::Span;
use crate::token::Token;

/// Describes why token `index` cannot stand where it does.
pub(crate) fn describe(
    builder: &Builder<'_>,
    kind: Kind,
    tokens: &[Lexed<'_>],
    index: usize,
    expected: &[String],
) -> Diagnostic {
    let end = tokens.last().map_or(0, |t| t.2);
    let place = Place {
        kind,
        found: tokens.get(index).map(|t| &t.1),
        at: tokens
            .get(index)
            .map_or(builder.span(end, end), |t| builder.span(t.0, t.2)),
        before: index
            .checked_sub(1)
            .and_then(|i| tokens.get(i))
            .map(|t| &t.1),
        after: match index.checked_sub(1).and_then(|i| tokens.get(i)) {
            Some((_, _, end)) => builder.span(*end, *end),
            None => builder.span(0, 0),
        },
        head: keyword_of_head(tokens, index),
        expected,
    };
    by_keyword(&place)
        .or_else(|| by_found(&place))
        .or_else(|| missing(&place))
        .or_else(|| by_kind(&place))
        .unwrap_or_else(|| unexpected(&place))
}

/// Everything a description depends on.
struct Place<'t> {
    kind: Kind,
    /// What stands there; nothing at the end.
    found: Option<&'t Token<'t>>,
    at: Span,
    before: Option<&'t Token<'t>>,
    /// The empty place behind the token before.
    after: Span,
    /// The keyword whose head this is.
    head: Option<&'t Token<'t>>,
    expected: &'t [String],
}

impl Place<'_> {
    fn expects(&self, name: &str) -> bool {
        self.expected.iter().any(|e| e.trim_matches('"') == name)
    }

    /// Whether a value could have stood here.
    fn expects_value(&self) -> bool {
        self.expects("variable") && self.expects("integer")
    }

    fn found(&self) -> String {
        self.found.map_or_else(|| String::from("the end"), words)
    }
}

/// The keyword before `index` whose head has no body yet.
fn keyword_of_head<'t>(tokens: &'t [Lexed<'t>], index: usize) -> Option<&'t Token<'t>> {
    let mut depth = 0usize;
    let before = tokens.get(..index).unwrap_or(tokens);
    for (at, (_, token, _)) in before.iter().enumerate().rev() {
        if token.closes() {
            depth += 1;
        } else if token.opens() {
            match depth.checked_sub(1) {
                Some(less) => depth = less,
                // The parentheses round the head of a `for` are part of it.
                None => {
                    return before
                        .get(at.checked_sub(1)?)
                        .map(|t| &t.1)
                        .filter(|t| **t == Token::For);
                }
            }
        } else if depth == 0 {
            match token {
                Token::If | Token::IfValue | Token::While | Token::Unroll | Token::For => {
                    return Some(token);
                }
                Token::Else => return Some(token),
                Token::Semicolon => return None,
                _ => {}
            }
        }
        if depth == 0 && matches!(token, Token::OpenBrace) {
            return None;
        }
    }
    None
}

fn by_keyword(place: &Place<'_>) -> Option<Diagnostic> {
    let keyword = place.head?;
    let is_for = matches!(keyword, Token::For);
    let is_operator = place.found.is_some_and(is_binary);
    if is_for && is_operator {
        let message = match place.found {
            Some(Token::Minus) if place.expects_value() => {
                "a signed bound of a range needs parentheses"
            }
            _ => "the bounds of a range are single values",
        };
        return Some(
            Diagnostic::error(
                codes::SYNTAX,
                message,
                place.at,
                "an operator stands outside parentheses",
            )
            .help("write `for $i : (-2)..($n + 1) { … }`"),
        );
    }
    let name = words(keyword);
    if place.expects("{") && !place.expects_value() {
        let is_condition = !matches!(keyword, Token::Else | Token::For);
        if is_operator && is_condition {
            let plain = name.trim_matches('`');
            return Some(
                Diagnostic::error(
                    codes::BARE_CONDITION,
                    format!("the condition of this {name} needs parentheses"),
                    place.at,
                    "an operator stands outside parentheses",
                )
                .help(format!("write `{plain} (…) {{ … }}`")),
            );
        }
        if place.found == Some(&Token::Assign) && is_condition {
            return Some(assignment(place));
        }
        return Some(
            Diagnostic::error(
                codes::MISSING_BRACES,
                format!(
                    "expected `{{` and the body of this {name}, found {}",
                    place.found()
                ),
                place.at,
                "the body begins here",
            )
            .help("put braces round the body, even when it is one statement: `{ … }`"),
        );
    }
    if is_for && !place.expects_value() {
        return Some(
            Diagnostic::error(
                codes::SYNTAX,
                format!("this `for` cannot be read: unexpected {}", place.found()),
                place.at,
                "not expected here",
            )
            .help("a loop is `for $i : 0..10 { … }` or `for $kv : @map { … }`")
            .note("the bounds of a range are single values; put parentheses round others"),
        );
    }
    None
}

fn assignment(place: &Place<'_>) -> Diagnostic {
    Diagnostic::error(
        codes::ASSIGNMENT_IN_EXPRESSION,
        format!("{} cannot stand inside an expression", place.found()),
        place.at,
        "an assignment is a statement and has no value",
    )
    .help("compare with `==`, or assign in a statement of its own")
}

fn by_found(place: &Place<'_>) -> Option<Diagnostic> {
    match place.found? {
        Token::Else => Some(
            Diagnostic::error(
                codes::STRAY_ELSE,
                "`else` without an `if`",
                place.at,
                "no `if` ends directly before this",
            )
            .help("`else` follows the `}` of an `if`: `if (c) { … } else { … }`"),
        ),
        Token::Assign | Token::AssignOp(_) if !is_header(place.kind) && !place.expects("=") => {
            let is_operand = place.before.is_some_and(Token::ends_operand);
            is_operand.then(|| assignment(place))
        }
        _ => None,
    }
}

fn is_header(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Config | Kind::C | Kind::MapDeclaration | Kind::Import
    )
}

/// A value or a `;` that is not there.
fn missing(place: &Place<'_>) -> Option<Diagnostic> {
    if place.kind == Kind::C {
        return None;
    }
    if place.expects_value() && !place.expects(";") {
        let found = place.found();
        let behind = place.before.map(words).unwrap_or_default();
        let is_end = place
            .found
            .is_none_or(|t| t.closes() || *t == Token::Semicolon);
        let message = if behind.is_empty() {
            format!("expected an expression, found {found}")
        } else {
            format!("expected an expression after {behind}, found {found}")
        };
        let span = if is_end { place.after } else { place.at };
        let diagnostic = Diagnostic::error(
            codes::MISSING_EXPRESSION,
            message,
            span,
            "a value is missing here",
        );
        return Some(match place.before {
            Some(Token::Comma) => diagnostic.help("remove the `,` or add a value behind it"),
            _ => diagnostic
                .help("write a value here, such as `1`, `\"text\"`, `$x`, `@map` or `pid`"),
        });
    }
    if place.expects(";") && place.before.is_some_and(ends_statement_early) {
        let found = place.found?;
        if starts_operand(found) {
            return Some(
                Diagnostic::error(
                    codes::MISSING_SEMICOLON,
                    format!("expected `;` or an operator before {}", words(found)),
                    place.after,
                    "`;` is missing here",
                )
                .help("statements are separated by `;`"),
            );
        }
    }
    None
}

fn ends_statement_early(token: &Token<'_>) -> bool {
    token.ends_operand() || matches!(token, Token::Break | Token::Continue)
}

fn starts_operand(token: &Token<'_>) -> bool {
    use Token::*;
    matches!(
        token,
        Ident(_)
            | Variable(_)
            | Map(_)
            | Int(_)
            | Bool(_)
            | Str(_)
            | Positional(_)
            | PositionalCount
            | If
            | IfValue
            | For
            | While
            | Unroll
            | Let
            | Return
            | Break
            | Continue
            | Import
            | Sizeof
            | Offsetof
            | Typeinfo
            | Comptime
    )
}

/// What the piece at hand should have looked like.
fn by_kind(place: &Place<'_>) -> Option<Diagnostic> {
    let is_body = place.expects_value() || place.expects(";") && place.expects("+");
    let (code, what, help) = match place.kind {
        Kind::Config => (
            codes::BAD_CONFIG,
            "this setting cannot be read",
            "write `config = { name = value; … }`",
        ),
        Kind::C => (
            codes::BAD_C_DEFINITION,
            "this C definition cannot be read",
            "a member is `type name;`, `type name[4];`, `type name : 3;` or `type (*name)(…);`",
        ),
        Kind::Macro if !is_body => (
            codes::BAD_MACRO,
            "this macro cannot be read",
            "write `macro name($x, @m, e) { … }`, with `()` when it takes nothing",
        ),
        Kind::Function if !is_body => (
            codes::BAD_FUNCTION,
            "this function cannot be read",
            "write `fn name($a : int64) : int64 { … }`",
        ),
        Kind::MapDeclaration => (
            codes::BAD_DECLARATION,
            "this map declaration cannot be read",
            "write `let @name = hash(100);`",
        ),
        Kind::Import => (
            codes::BAD_DECLARATION,
            "this import cannot be read",
            "write `import \"path\";`",
        ),
        _ => return None,
    };
    let message = match expected_words(place.expected) {
        Some(expected) => format!("{what}: expected {expected}, found {}", place.found()),
        None => format!("{what}: unexpected {}", place.found()),
    };
    Some(Diagnostic::error(code, message, place.at, "not expected here").help(help))
}

fn unexpected(place: &Place<'_>) -> Diagnostic {
    let message = match expected_words(place.expected) {
        Some(expected) => format!("expected {expected}, found {}", place.found()),
        None => format!("unexpected {}", place.found()),
    };
    let diagnostic = Diagnostic::error(codes::SYNTAX, message, place.at, "not expected here");
    match (place.before, place.found) {
        (Some(Token::Dot | Token::Arrow), _) => {
            diagnostic.help("a field follows the dot: `args.name`, `$tuple.0`")
        }
        (Some(Token::Let), _) => diagnostic.help("a variable is declared by `let $name = value;`"),
        (_, Some(Token::OpenBrace)) => {
            diagnostic.help("a block follows `if`, `for`, `while`, `unroll` or `else`")
        }
        (_, Some(Token::OpenParen)) => diagnostic.help("only a name can be called: `name(…)`"),
        _ => diagnostic,
    }
}

/// The expected tokens, when they are few enough to name.
fn expected_words(expected: &[String]) -> Option<String> {
    let mut all: Vec<String> = Vec::new();
    for name in expected {
        let name = name.trim_matches('"');
        let word = match name {
            "error expression" | "error statement" | "no attach" | "words" => continue,
            "identifier" | "c name" => String::from("a name"),
            "c type" => String::from("a type"),
            "c function pointer" | "attribute" => continue,
            "variable" => String::from("a variable `$name`"),
            "map" => String::from("a map `@name`"),
            "string" => String::from("a string"),
            "integer" => String::from("a number"),
            "bool" => String::from("`true` or `false`"),
            "element" => String::from("an element's number"),
            "value }" => String::from("`}`"),
            "action }" => String::from("the end of the action"),
            "predicate /" => String::from("the closing `/`"),
            other => format!("`{other}`"),
        };
        if !all.contains(&word) {
            all.push(word);
        }
    }
    match all.as_slice() {
        [] => None,
        // Behind a value the parser has put together what it could, and knows no better.
        all if all.iter().any(|w| w == "`;`")
            && all.iter().any(|w| w.contains("end of the action")) =>
        {
            Some(String::from("`;` or an operator"))
        }
        [one] => Some(one.clone()),
        [first @ .., last] if first.len() < 4 => Some(format!("{} or {last}", first.join(", "))),
        // An operator could have followed, or the end: too many to name.
        all if all.iter().any(|w| w == "`;`") => Some(String::from("`;` or an operator")),
        all if all.iter().any(|w| w == "`)`") => Some(String::from("`)`, `,` or an operator")),
        all if all.iter().any(|w| w == "`]`") => Some(String::from("`]`, `,` or an operator")),
        _ => None,
    }
}

fn is_binary(token: &Token<'_>) -> bool {
    use Token::*;
    matches!(
        token,
        Plus | Minus
            | Star
            | Slash
            | Percent
            | ShiftLeft
            | ShiftRight
            | Less
            | LessEqual
            | Greater
            | GreaterEqual
            | Equal
            | NotEqual
            | Ampersand
            | Caret
            | Pipe
            | AndAnd
            | OrOr
            | Question
            | Elvis
    )
}

/// A token as a message names it.
fn words(token: &Token<'_>) -> String {
    use Token::*;
    let symbol = match token {
        Ident(name) | Variable(name) | Map(name) | CName(name) | CFunctionPointer(name) => name,
        TypeWords(name) | CType(name) => name.as_str(),
        Positional(number) => return format!("`${number}`"),
        PositionalCount => "$#",
        Int(value) => return format!("the number {value}"),
        Element(value) => return format!("the number {value}"),
        Bool(true) => "true",
        Bool(false) => "false",
        Str(_) => return String::from("a string"),
        Attach(_) | NoAttach => return String::from("an attach point"),
        ExpressionStart => return String::new(),
        PredicateOpen | PredicateClose | Slash => "/",
        ActionOpen | OpenBrace | ValueOpen => "{",
        ActionClose => return String::from("the end of the action"),
        CloseBrace | ValueClose => "}",
        Macro => "macro",
        Fn => "fn",
        Let => "let",
        Config => "config",
        Import => "import",
        If | IfValue => "if",
        Else => "else",
        For => "for",
        While => "while",
        Unroll => "unroll",
        Return => "return",
        Break => "break",
        Continue => "continue",
        Sizeof => "sizeof",
        Offsetof => "offsetof",
        Typeof => "typeof",
        Typeinfo => "typeinfo",
        Comptime => "comptime",
        Struct => "struct",
        Union => "union",
        Enum => "enum",
        Typedef => "typedef",
        OpenParen | CastOpen | TypeOpen => "(",
        CloseParen => ")",
        OpenBracket => "[",
        CloseBracket => "]",
        Semicolon => ";",
        Comma => ",",
        Dot => ".",
        DotDot => "..",
        Arrow => "->",
        Question => "?",
        Elvis => "?:",
        Colon => ":",
        Assign => "=",
        AssignOp(op) => return format!("`{}=`", op.symbol()),
        PlusPlus => "++",
        MinusMinus => "--",
        Plus => "+",
        Minus => "-",
        Star => "*",
        Percent => "%",
        ShiftLeft => "<<",
        ShiftRight => ">>",
        Less => "<",
        LessEqual => "<=",
        Greater => ">",
        GreaterEqual => ">=",
        Equal => "==",
        NotEqual => "!=",
        Ampersand => "&",
        Caret => "^",
        Pipe => "|",
        AndAnd => "&&",
        OrOr => "||",
        Bang => "!",
        Tilde => "~",
        CAttribute(_) => "__attribute__",
        ErrorExpression | ErrorStatement => return String::from("something unreadable"),
    };
    format!("`{symbol}`")
}
