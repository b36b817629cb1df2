//! From text to tree: sources, diagnostics, tokens and the syntax tree.
//!
//! Takes a source's text; gives an [`ast::Program`] and diagnostics. It knows how the
//! language is written and nothing of what any name means, nor that BPF exists.
#![forbid(unsafe_code)]

pub mod ast;
pub mod codes;
pub mod diagnostic;
pub mod literal;
pub mod pretty;
pub mod source;

mod builder;
mod lexer;
mod mistake;
mod recover;
mod token;

lalrpop_util::lalrpop_mod!(
    #[allow(
        clippy::all,
        clippy::panic,
        clippy::unwrap_used,
        missing_docs,
        unreachable_pub,
        unused
    )]
    grammar
);

pub use diagnostic::{Color, Diagnostic, Diagnostics, Severity};
pub use source::{Source, SourceId, SourceMap, Span, Spanned};

use builder::{Builder, Unit};
use lexer::{Kind, Lexer, Piece};

/// Words that mean something else than a name inside an action.
pub const KEYWORDS: &[&str] = &[
    "if", "else", "for", "while", "unroll", "let", "return", "break", "continue", "import",
    "sizeof", "offsetof", "typeof", "typeinfo", "comptime", "struct", "union", "enum", "true",
    "false",
];

/// Words that begin an item of a script and mean nothing special inside an action.
pub const ITEM_KEYWORDS: &[&str] = &["config", "macro", "fn"];

/// What the parser must be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct ParseOptions<'a> {
    /// Names and aliases of the probe providers: they tell where an item begins after a `>`.
    /// Names match without regard to letter case, aliases exactly; see `aliases`.
    pub providers: &'a [&'a str],
    /// Short provider names, matched exactly.
    pub aliases: &'a [&'a str],
    /// Positional parameters: `$1` in an attach point is replaced by the first.
    pub positional: &'a [String],
}

/// A tree and what was wrong with the text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The tree; it may hold `Error` nodes.
    pub program: ast::Program,
    /// One for each mistake.
    pub diagnostics: Diagnostics,
}

/// The most mistakes that one run reports; what lies behind them is seldom worth reading.
const MOST_DIAGNOSTICS: usize = 100;

/// The group of codes for mistakes of syntax ends before this one's successor.
const LAST_OF_SYNTAX: codes::Code = codes::Code(99);

/// The tree of a script, and what is wrong with its text. Never fails.
pub fn parse(source: &Source, options: &ParseOptions<'_>) -> Parsed {
    let mut program = ast::Program::default();
    let mut lexer = Lexer::new(source, options);
    while let Some(piece) = lexer.next_piece() {
        let (kind, span, unit) = match piece {
            Piece::Directive(line) => {
                program.preamble.push(ast::CItem::Directive(line));
                continue;
            }
            Piece::Bad(kind, span) => (kind, span, None),
            Piece::Tokens(kind, tokens) => {
                let ends = tokens.first().zip(tokens.last());
                let (start, end) = ends.map_or((0, 0), |(first, last)| (first.0, last.2));
                let mut builder = Builder::new(source.id, &mut lexer.diagnostics);
                let span = builder.span(start, end);
                (kind, span, recover::parse(&mut builder, kind, tokens))
            }
        };
        match unit {
            Some(Unit::Item(item)) => program.items.push(item),
            Some(Unit::Config(settings)) => program.config.extend(settings),
            Some(Unit::Import(import)) => program.imports.push(import),
            Some(Unit::C(items)) => program.preamble.extend(items),
            Some(Unit::Expression(_)) => {}
            None => match kind {
                Kind::C => program.preamble.push(ast::CItem::Error(span)),
                Kind::Config | Kind::Import | Kind::Expression => {}
                _ => program.items.push(ast::Item::Error(span)),
            },
        }
    }
    Parsed {
        program,
        diagnostics: in_order(lexer.diagnostics),
    }
}

/// Where a script's comments are, in order.
pub fn comments(source: &Source, options: &ParseOptions<'_>) -> Vec<Span> {
    let mut lexer = Lexer::new(source, options);
    let mut comments = Vec::new();
    let shebang = source.text.starts_with("#!");
    let mut at = match source.text.find('\n') {
        Some(end) if shebang => end,
        None if shebang => source.text.len(),
        _ => 0,
    };
    // Between tokens stand white space and comments alone.
    let mut gap = |start: usize, end: usize| {
        if start > at {
            comments_between(source, at, start, &mut comments);
        }
        at = at.max(end);
    };
    while let Some(piece) = lexer.next_piece() {
        match piece {
            Piece::Directive(line) => gap(line.span.start as usize, line.span.end as usize),
            Piece::Bad(_, span) => gap(span.start as usize, span.end as usize),
            Piece::Tokens(_, tokens) => tokens.iter().for_each(|(start, _, end)| gap(*start, *end)),
        }
    }
    gap(source.text.len(), source.text.len());
    comments
}

fn comments_between(source: &Source, start: usize, end: usize, comments: &mut Vec<Span>) {
    let mut at = start;
    while let Some(rest) = source.text.get(at..end) {
        let (line, block) = (rest.find("//"), rest.find("/*"));
        let Some(open) = line.into_iter().chain(block).min() else {
            return;
        };
        let body = rest.get(open..).unwrap_or("");
        let length = if Some(open) == line {
            body.find('\n').unwrap_or(body.len())
        } else {
            body.find("*/").map_or(body.len(), |close| close + 2)
        };
        comments.push(Span::new(source.id, at + open, at + open + length));
        at += open + length.max(2);
    }
}

/// The tree of one expression that fills the whole text, such as the text of a `#define`; what
/// is wrong with it otherwise.
pub fn parse_expression(
    source: &Source,
    options: &ParseOptions<'_>,
) -> Result<ast::Expr, Diagnostics> {
    let mut lexer = Lexer::new(source, options);
    let unit = match lexer.whole_expression() {
        Piece::Tokens(kind, tokens) => {
            let mut builder = Builder::new(source.id, &mut lexer.diagnostics);
            recover::parse(&mut builder, kind, tokens)
        }
        _ => None,
    };
    match unit {
        Some(Unit::Expression(expr)) if lexer.diagnostics.is_empty() => Ok(expr),
        _ => Err(in_order(lexer.diagnostics)),
    }
}

/// In the order of the text, and not more than a person reads. Mistakes of syntax say so at
/// their beginning; what is only in the wrong place is no such mistake.
fn in_order(mut diagnostics: Diagnostics) -> Diagnostics {
    for diagnostic in &mut diagnostics {
        let is_order = [codes::OUT_OF_ORDER, codes::DUPLICATE_CONFIG].contains(&diagnostic.code);
        if diagnostic.is_fatal() && diagnostic.code <= LAST_OF_SYNTAX && !is_order {
            diagnostic.message.insert_str(0, "syntax: ");
        }
    }
    diagnostics.sort_by_key(|d| d.labels.first().map_or(0, |l| l.span.start));
    diagnostics.truncate(MOST_DIAGNOSTICS);
    diagnostics
}
