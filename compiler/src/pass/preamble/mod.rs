//! What the preprocessor would do to a script's preamble.
//!
//! Takes preprocessor lines and C definitions in order; gives the definitions that are not
//! switched off, and the macros by name. Headers are asked of the target; one that it does not
//! have is no loss where the kernel describes its types. Macros with parameters serve other
//! macros and the conditions; an expression of the script cannot call them.

mod expand;
mod expression;
mod header;
mod token;

use crate::target::Target;
use expression::Unknown;
use rbt_grammar::ast::CItem;
use rbt_grammar::diagnostic::{Diagnostic, Diagnostics};
use rbt_grammar::{Span, Spanned, codes};
use std::collections::{HashMap, HashSet};

/// Set wherever the kernel describes its types, so that scripts can do without headers.
const HAVE_BTF: &str = "BPFTRACE_HAVE_BTF";

/// The preamble after preprocessing.
#[derive(Clone, Debug, Default)]
pub struct Preamble {
    /// Definitions of the script that count, in order; no directives among them.
    pub items: Vec<CItem>,
    /// Those of the headers it includes, in order.
    pub header_items: Vec<CItem>,
    /// Macros as they stand at its end.
    pub macros: Macros,
}

/// Macros by name.
#[derive(Clone, Debug, Default)]
pub struct Macros {
    definitions: HashMap<String, MacroText>,
}

/// What a name is replaced by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacroText {
    /// The text, without comments and surrounding space; may be empty.
    pub text: String,
    /// It was defined with parameters, so that a bare use means nothing.
    pub has_parameters: bool,
    /// Their names, in order.
    pub parameters: Vec<String>,
    /// The name of all arguments behind those, if it takes any number: `__VA_ARGS__`, mostly.
    pub rest: Option<String>,
    /// A header defined it, not the script.
    pub is_of_header: bool,
    /// The directive.
    pub span: Span,
}

impl Macros {
    /// The macro of that name.
    pub fn get(&self, name: &str) -> Option<&MacroText> {
        self.definitions.get(name)
    }

    /// The text a macro stands for, with the macros in it replaced; `None` if that becomes
    /// too much.
    pub fn expanded(&self, name: &str) -> Option<String> {
        expand::expanded(self, name)
    }

    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.keys().map(String::as_str)
    }

    /// The number a macro stands for, if it is one.
    pub fn value(&self, name: &str) -> Option<i64> {
        self.get(name).filter(|m| !m.has_parameters)?;
        expression::evaluate(&self.expanded(name)?, Unknown::Fails)
    }
}

/// Preprocesses `items`.
pub fn run(items: &[CItem], target: &dyn Target) -> (Preamble, Diagnostics) {
    let mut walk = Walk {
        target,
        preamble: Preamble::default(),
        branches: Vec::new(),
        diagnostics: Vec::new(),
        files: Vec::new(),
        once: HashSet::new(),
        header_bytes: 0,
        header_count: 0,
        pending: Vec::new(),
        declared: Vec::new(),
    };
    for file in target.includes() {
        walk.include(&format!("\"{file}\""), Span::default());
    }
    for item in items {
        match item {
            CItem::Directive(line) => walk.directive(line),
            item if walk.is_active() => walk.preamble.items.push(item.clone()),
            _ => {}
        }
    }
    if let Some(open) = walk.branches.last() {
        let span = open.span;
        walk.error("this condition is never ended", span, "`#endif` is missing");
    }
    (walk.preamble, walk.diagnostics)
}

/// An `#if` that is not ended yet.
struct Branch {
    is_active: bool,
    /// One of its arms was taken, or none can be.
    is_settled: bool,
    has_else: bool,
    span: Span,
}

struct Walk<'t> {
    target: &'t dyn Target,
    preamble: Preamble,
    branches: Vec<Branch>,
    diagnostics: Diagnostics,
    /// Paths of the headers that are being read, outermost first.
    files: Vec<String>,
    /// Paths of those that want to be read once only.
    once: HashSet<String>,
    /// How many headers were read so far, and their bytes.
    header_count: usize,
    header_bytes: usize,
    /// What was read of a header since the last change of a macro.
    pending: Vec<token::Token>,
    /// What was expanded of it and not taken as a declaration yet.
    declared: Vec<token::Token>,
}

impl Walk<'_> {
    fn is_active(&self) -> bool {
        self.branches.last().is_none_or(|branch| branch.is_active)
    }

    fn error(&mut self, message: impl Into<String>, span: Span, here: &str) {
        if !self.files.is_empty() {
            return;
        }
        let error = Diagnostic::error(codes::PREPROCESSOR, message, span, here);
        self.diagnostics.push(error);
    }

    fn directive(&mut self, line: &Spanned<String>) {
        let text = without_comments(&line.node);
        let text = text.trim().trim_start_matches('#');
        self.directive_text(text, line.span);
    }

    /// A directive without its `#` and comments.
    fn directive_text(&mut self, text: &str, span: Span) {
        let (word, rest) = split_word(text.trim_start());
        let rest = rest.trim();
        match word {
            "if" => {
                let holds = self.is_active() && self.condition(rest, span);
                self.open(holds, span);
            }
            "ifdef" | "ifndef" => {
                let (name, _) = split_word(rest);
                if name.is_empty() {
                    self.error(format!("`#{word}` needs a name"), span, "there is none");
                }
                let holds = self.is_active() && self.is_defined(name) == (word == "ifdef");
                self.open(holds, span);
            }
            "elif" => self.next_arm(Some(rest), span),
            "else" => self.next_arm(None, span),
            "endif" => {
                if self.branches.pop().is_none() {
                    self.error("there is no condition to end", span, "`#if` is missing");
                }
            }
            _ if !self.is_active() => {}
            "define" => self.define(rest, span),
            "undef" => {
                let (name, _) = split_word(rest);
                self.preamble.macros.definitions.remove(name);
            }
            "include" | "include_next" => self.include(rest, span),
            "pragma" if rest.trim() == "once" => {
                if let Some(file) = self.files.last() {
                    self.once.insert(file.clone());
                }
            }
            "error" => self.error(rest, span, "the script says so"),
            "" | "pragma" | "warning" | "line" | "ident" => {}
            word => self.error(format!("unknown directive `#{word}`"), span, ""),
        }
    }

    /// Reads the header that `<x.h>` or `"x.h"` names.
    fn include(&mut self, rest: &str, span: Span) {
        let expanded;
        let rest = if rest.starts_with(['<', '"']) {
            rest
        } else {
            let tokens = expand::expand(&self.preamble.macros, token::split(rest));
            expanded = token::write(&tokens.unwrap_or_default());
            expanded.as_str()
        };
        let quoted = |open: char, close: char| {
            let (name, _) = rest.strip_prefix(open)?.split_once(close)?;
            Some(name.to_owned())
        };
        let is_quoted = rest.starts_with('"');
        let Some(name) = quoted('<', '>').or_else(|| quoted('"', '"')) else {
            self.error(
                "`#include` needs a file",
                span,
                "`<file.h>` or `\"file.h\"`",
            );
            return;
        };
        let includer = self.files.last().map(String::as_str);
        if let Some(header) = self.target.header(&name, is_quoted, includer) {
            self.header(&header, span);
            return;
        }
        if !self.files.is_empty() {
            return;
        }
        let message = format!("'{name}' file not found");
        let diagnostic = if self.target.btf().is_ok() {
            Diagnostic::warning(
                codes::INCLUDE,
                message,
                span,
                "types come from the kernel instead",
            )
        } else {
            Diagnostic::error(codes::INCLUDE, message, span, "what it defines is missing")
        };
        self.diagnostics.push(diagnostic.help(format!(
            "name its folder with -I, or put the line between `#ifndef {HAVE_BTF}` and `#endif`"
        )));
        self.without_header(span);
    }

    fn open(&mut self, holds: bool, span: Span) {
        let is_settled = holds || !self.is_active();
        self.branches.push(Branch {
            is_active: holds,
            is_settled,
            has_else: false,
            span,
        });
    }

    /// `#elif` with its condition, or `#else`.
    fn next_arm(&mut self, condition: Option<&str>, span: Span) {
        let Some(branch) = self.branches.last() else {
            self.error(
                "there is no condition to go on with",
                span,
                "`#if` is missing",
            );
            return;
        };
        let (has_else, is_settled) = (branch.has_else, branch.is_settled);
        if has_else {
            self.error(
                "nothing can follow `#else`",
                span,
                "the condition ended before",
            );
        }
        let holds =
            !is_settled && condition.is_none_or(|condition| self.condition(condition, span));
        if let Some(branch) = self.branches.last_mut() {
            branch.is_active = holds;
            branch.is_settled |= holds;
            branch.has_else |= condition.is_none();
        }
    }

    fn condition(&mut self, text: &str, span: Span) -> bool {
        let text = self.without_defined(text);
        let expanded = expand::expand(&self.preamble.macros, token::split(&text));
        let text = expanded.map(|tokens| token::write(&tokens));
        match text.and_then(|text| expression::evaluate(&text, Unknown::IsZero)) {
            Some(value) => value != 0,
            None => {
                self.error("this condition is not a number", span, "it counts as false");
                false
            }
        }
    }

    /// `defined(X)` and `defined X` replaced by 1 or 0, and what the kernel defines by 1.
    fn without_defined(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (word, after) = split_word(rest);
            if word.is_empty() {
                out.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or("");
                continue;
            }
            rest = after;
            if word == HAVE_BTF {
                out.push(if self.is_defined(word) { '1' } else { '0' });
            } else if word == "defined" {
                let inner = rest.trim_start();
                let (name, after) = match inner.strip_prefix('(') {
                    Some(inner) => {
                        let (name, after) = split_word(inner.trim_start());
                        (name, after.trim_start().strip_prefix(')').unwrap_or(after))
                    }
                    None => split_word(inner),
                };
                out.push(if self.is_defined(name) { '1' } else { '0' });
                rest = after;
            } else {
                out.push_str(word);
            }
        }
        out
    }

    fn is_defined(&self, name: &str) -> bool {
        self.preamble.macros.get(name).is_some() || (name == HAVE_BTF && self.target.btf().is_ok())
    }

    fn define(&mut self, rest: &str, span: Span) {
        let (name, text) = split_word(rest);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.error("`#define` needs a name", span, "there is none");
            return;
        }
        let has_parameters = text.starts_with('(');
        let (mut parameters, mut others) = (Vec::new(), None);
        let text = match text.strip_prefix('(').and_then(|text| text.split_once(')')) {
            Some((list, text)) => {
                for parameter in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
                    match parameter.strip_suffix("...") {
                        Some(name) => {
                            let name = if name.is_empty() { "__VA_ARGS__" } else { name };
                            others = Some(name.trim().to_owned());
                        }
                        None => parameters.push(parameter.to_owned()),
                    }
                }
                text
            }
            None if has_parameters => "",
            None => text,
        };
        let definition = MacroText {
            text: text.trim().to_owned(),
            has_parameters,
            parameters,
            rest: others,
            is_of_header: !self.files.is_empty(),
            span,
        };
        let definitions = &mut self.preamble.macros.definitions;
        definitions.insert(name.to_owned(), definition);
    }
}

/// The letters, digits and underscores a text begins with, and what follows.
fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

/// The text with comments replaced by a space; those inside string literals stay.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or("");
        if !in_string && rest.starts_with("//") {
            break;
        }
        if !in_string && rest.starts_with("/*") {
            out.push(' ');
            rest = rest
                .get(2..)
                .and_then(|r| r.split_once("*/"))
                .map_or("", |(_, after)| after);
            continue;
        }
        out.push(c);
        if in_string && c == '\\' {
            let mut chars = after.chars();
            out.extend(chars.next());
            rest = chars.as_str();
            continue;
        }
        if c == '"' {
            in_string = !in_string;
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    fn preprocess(lines: &[&str]) -> (Preamble, Vec<String>) {
        let items = lines.iter().map(|line| match line.strip_prefix("item ") {
            Some(name) => CItem::Typedef {
                name: Spanned::new(name.to_owned(), Span::default()),
                field: field(),
            },
            None => CItem::Directive(Spanned::new((*line).to_owned(), Span::default())),
        });
        let fixture = Fixture::new();
        let (preamble, diagnostics) = run(&items.collect::<Vec<_>>(), &fixture);
        let messages = diagnostics.into_iter().map(|d| d.message).collect();
        (preamble, messages)
    }

    fn field() -> rbt_grammar::ast::CField {
        rbt_grammar::ast::CField {
            name: None,
            base: rbt_grammar::ast::CBase::Named(Spanned::new(
                String::from("int"),
                Span::default(),
            )),
            pointers: 0,
            dimensions: Vec::new(),
            is_function_pointer: false,
            bits: None,
            attributes: Default::default(),
            span: Span::default(),
        }
    }

    fn kept(preamble: &Preamble) -> Vec<String> {
        let items = preamble.items.iter();
        items
            .filter_map(|item| match item {
                CItem::Typedef { name, .. } => Some(name.node.clone()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn conditions_switch_definitions() {
        let (preamble, messages) = preprocess(&[
            "#define N 3 /* three */",
            "#if N * 2 == 6 && defined(N) && !defined M",
            "item a",
            "#ifdef M",
            "item b",
            "#else",
            "item c",
            "#endif",
            "#elif 1",
            "item d",
            "#else",
            "item e",
            "#endif",
            "# ifndef BPFTRACE_HAVE_BTF",
            "#include <linux/sched.h>",
            "#endif",
        ]);
        assert_eq!(kept(&preamble), ["a", "c"]);
        assert_eq!(messages, [""; 0]);
    }

    #[test]
    fn macros_have_values() {
        let (preamble, messages) = preprocess(&[
            "#define A (1 << 4) // sixteen",
            "#define B A | 0x0f",
            "#define F(x) x",
            "#define S \"a//b\"",
            "#define LOOP LOOP + 1",
            "#define GONE 1",
            "#undef GONE",
            "#define T B > 30 ? 7 : 8",
        ]);
        let macros = &preamble.macros;
        assert_eq!(macros.value("A"), Some(16));
        assert_eq!(macros.value("B"), Some(31));
        assert_eq!(macros.value("T"), Some(7));
        assert_eq!(macros.value("F"), None);
        assert_eq!(macros.value("LOOP"), None);
        assert_eq!(macros.value("GONE"), None);
        assert_eq!(macros.get("S").map(|m| m.text.as_str()), Some("\"a//b\""));
        assert_eq!(messages, [""; 0]);
    }

    #[test]
    fn macros_that_double_each_other_end() {
        let mut lines = vec![String::from("#define M0 1")];
        for n in 1..60 {
            lines.push(format!("#define M{n} M{} + M{}", n - 1, n - 1));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (preamble, _) = preprocess(&lines);
        assert_eq!(preamble.macros.value("M59"), None);
        assert_eq!(preamble.macros.value("M4"), Some(16));
    }

    #[test]
    fn mistakes_are_said() {
        let (_, messages) = preprocess(&[
            "#endif",
            "#if )",
            "#else",
            "#else",
            "#frob",
            "#error no luck",
            "#define",
            "#include \"x.h\"",
        ]);
        assert_eq!(
            messages,
            [
                "there is no condition to end",
                "this condition is not a number",
                "nothing can follow `#else`",
                "this condition is never ended",
            ]
        );
        let (_, messages) = preprocess(&[
            "#frob",
            "#error no luck",
            "#define",
            "#define 1x",
            "#include \"x.h\"",
            "#pragma once",
            "#ifdef",
            "#endif",
        ]);
        assert_eq!(
            messages,
            [
                "unknown directive `#frob`",
                "no luck",
                "`#define` needs a name",
                "`#define` needs a name",
                "'x.h' file not found",
                "`#ifdef` needs a name",
            ]
        );
    }
}
