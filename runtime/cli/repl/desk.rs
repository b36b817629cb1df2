//! What has been typed and still holds: definitions, clauses, variables.
//!
//! Takes texts; tells what each is and composes the script that they all make. Compiles
//! nothing: a change is prepared here and takes effect once the caller says it went well.

use rbt_grammar::ast::Item;
use rbt_grammar::{Diagnostics, SourceMap, Span, codes};
use rbt_stdlib::VOCABULARY;
use std::collections::BTreeSet;
use std::ops::Range;

/// What maps are called that hold variables.
const VARIABLE: &str = "prompt_";

/// What sources are called in messages.
pub(super) const NAME: &str = "prompt";

/// A clause that runs.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    /// The number that commands name it by.
    pub number: u32,
    /// As typed.
    pub text: String,
}

/// All that holds. Cheap to copy: a change is made on a copy, which replaces the original
/// only if the kernel took it.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk {
    /// C definitions and preprocessor lines.
    preamble: Vec<String>,
    /// Settings: the texts between the braces of `config`.
    settings: Vec<String>,
    /// Macros, functions and map declarations.
    definitions: Vec<String>,
    /// Scratch variables that statements assigned, without `$`. Each lives on in a map, as
    /// programs of other clauses have to find it.
    variables: BTreeSet<String>,
    /// In the order they were typed.
    pub clauses: Vec<Clause>,
    next: u32,
}

/// What a text is.
#[derive(Debug)]
pub(super) enum Input {
    /// Clauses and definitions.
    Items(Items),
    /// Statements that run once, now.
    Statements(String),
    /// Neither: what is wrong, in a source of this text alone.
    Wrong(Diagnostics, SourceMap),
}

/// The pieces of a text of items.
#[derive(Debug, Default)]
pub(super) struct Items {
    preamble: Vec<String>,
    settings: Vec<String>,
    definitions: Vec<String>,
    clauses: Vec<String>,
}

/// A script to compile.
#[derive(Debug)]
pub(super) struct Script {
    /// Its text.
    pub text: String,
    /// Bytes of it that were not there before: only their `begin` clauses are to run.
    pub new: Range<usize>,
}

/// Parses a text as a script.
fn parse(text: &str) -> (rbt_grammar::Parsed, SourceMap) {
    let mut sources = SourceMap::new();
    let id = sources.add(NAME, text);
    let parsed = match sources.get(id) {
        Some(source) => VOCABULARY.parse(source, &[]),
        None => rbt_grammar::Parsed {
            program: rbt_grammar::ast::Program::default(),
            diagnostics: Vec::new(),
        },
    };
    (parsed, sources)
}

/// Whether a text is the beginning of something: a bracket, an action or a comment is open.
pub(super) fn is_unfinished(text: &str) -> bool {
    let text = text.trim_end();
    let (parsed, _) = match classify(text) {
        Input::Wrong(..) if begins_item(text) => parse(text),
        Input::Wrong(..) => parse(&wrapped(text)),
        _ => return false,
    };
    let open = [
        codes::UNTERMINATED_COMMENT,
        codes::UNCLOSED_DELIMITER,
        codes::UNCLOSED_ANGLE_ACTION,
        codes::UNCLOSED_PREDICATE,
        codes::MISSING_ACTION,
    ];
    parsed
        .diagnostics
        .iter()
        .any(|d| d.is_fatal() && open.contains(&d.code))
}

/// Whether a text begins as an item does and not as a statement.
pub(super) fn begins_item(text: &str) -> bool {
    let word: String = text
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let rest = text.get(word.len()..).unwrap_or_default().trim_start();
    let is_definition = ["macro", "fn", "struct", "union", "enum", "config", "import"]
        .contains(&word.as_str())
        || text.starts_with('#')
        || (word == "let" && rest.starts_with('@'));
    let is_probe = VOCABULARY.provider(&word).is_some()
        && (rest.is_empty() || rest.starts_with([':', '{', '<', '/', ',']));
    is_definition || is_probe
}

fn wrapped(statements: &str) -> String {
    format!("begin {{ {statements}\n}}")
}

/// Tells what a text is.
pub(super) fn classify(text: &str) -> Input {
    let (parsed, sources) = parse(text);
    if !parsed.diagnostics.iter().any(|d| d.is_fatal()) {
        let program = &parsed.program;
        let slice = |span: Span| sources.slice(span).to_owned();
        let mut items = Items::default();
        for setting in &program.config {
            items
                .settings
                .push(slice(setting.name.span.to(setting.value.span)));
        }
        if !program.preamble.is_empty() {
            items.preamble.push(preamble(text, program).to_owned());
        }
        for item in &program.items {
            match item {
                Item::Clause(clause) => items.clauses.push(slice(clause.span)),
                Item::Macro(item) => items.definitions.push(slice(item.span)),
                Item::Function(item) => items.definitions.push(slice(item.span)),
                Item::MapDeclaration(item) => items.definitions.push(slice(item.span)),
                Item::Error(_) => {}
            }
        }
        return Input::Items(items);
    }
    if !begins_item(text) {
        let (as_statements, its_sources) = parse(&wrapped(text));
        if !as_statements.diagnostics.iter().any(|d| d.is_fatal()) {
            return Input::Statements(text.to_owned());
        }
        return Input::Wrong(as_statements.diagnostics, its_sources);
    }
    Input::Wrong(parsed.diagnostics, sources)
}

/// The part of a text that stands before its settings and items.
fn preamble<'t>(text: &'t str, program: &rbt_grammar::ast::Program) -> &'t str {
    let first = program.items.first().map(|item| match item {
        Item::Clause(item) => item.span,
        Item::Macro(item) => item.span,
        Item::Function(item) => item.span,
        Item::MapDeclaration(item) => item.span,
        Item::Error(span) => *span,
    });
    let mut end = first.map_or(text.len(), |span| span.start as usize);
    if let Some(setting) = program.config.first() {
        let before = text.get(..setting.name.span.start as usize);
        let keyword = before.and_then(|before| before.rfind("config"));
        end = keyword.map_or(end, |keyword| keyword.min(end));
    }
    text.get(..end).unwrap_or(text).trim_end()
}

/// The name that a definition defines: its first identifier after the keyword.
fn defined(text: &str) -> &str {
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '@'));
    words
        .by_ref()
        .filter(|word| !word.is_empty())
        .nth(1)
        .unwrap_or_default()
}

/// Adds definitions; one that defines a name again takes the place of the first.
fn define(known: &mut Vec<String>, new: Vec<String>) {
    for text in new {
        let same = |old: &&mut String| defined(old) == defined(&text);
        match known.iter_mut().find(same) {
            Some(old) => *old = text,
            None => known.push(text),
        }
    }
}

/// The places of a text where a scratch variable stands, outside strings and comments: the
/// bytes of it with its `$`, how many brackets are open there, and what follows.
fn variables(text: &str) -> Vec<(Range<usize>, usize, &str)> {
    let mut found = Vec::new();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let skipped = if rest.starts_with('"') {
            string_length(rest)
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(name) = rest.strip_prefix('$') {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = name.find(|c| !is_part(c)).unwrap_or(name.len());
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if is_name {
                let after = name.get(length..).unwrap_or_default().trim_start();
                found.push((at..at + 1 + length, depth, after));
            }
            1 + length
        } else {
            let first = rest.chars().next().unwrap_or(' ');
            match first {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            first.len_utf8()
        };
        at += skipped.max(1);
    }
    found
}

/// Bytes of the string that a text begins with, its quotes included.
pub(crate) fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    text.len()
}

/// Whether what follows a variable assigns it.
fn assigns(after: &str) -> bool {
    let operators = [
        "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "++", "--",
    ];
    (after.starts_with('=') && !after.starts_with("=="))
        || operators.iter().any(|operator| after.starts_with(operator))
}

impl Desk {
    /// What the session defines by name: macros and functions, and variables with their `$`.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let definitions = self.definitions.iter().map(|text| defined(text).to_owned());
        let variables = self.variables.iter().map(|name| format!("${name}"));
        definitions
            .filter(|name| !name.is_empty() && !name.starts_with('@'))
            .chain(variables)
    }

    /// Takes note of the variables that statements assign outside their blocks.
    pub(super) fn remember(&mut self, statements: &str) {
        for (place, depth, after) in variables(statements) {
            if depth == 0 && assigns(after) {
                let name = statements.get(place.start + 1..place.end);
                self.variables.extend(name.map(str::to_owned));
            }
        }
    }

    /// A text with the variables that live on replaced by their maps: all of them in
    /// statements, in a clause those that it does not assign itself.
    fn with_maps(&self, text: &str, is_clause: bool) -> String {
        let all = variables(text);
        let name_of = |place: &Range<usize>| text.get(place.start + 1..place.end).unwrap_or("");
        let own: Vec<&str> = all
            .iter()
            .filter(|(_, _, after)| is_clause && assigns(after))
            .map(|(place, ..)| name_of(place))
            .collect();
        let mut changed = String::new();
        let mut done = 0;
        for (place, ..) in &all {
            let name = name_of(place);
            if !self.variables.contains(name) || own.contains(&name) {
                continue;
            }
            let before = text.get(done..place.start).unwrap_or_default();
            // A map needs no declaration.
            let declared = before
                .trim_end()
                .strip_suffix("let")
                .filter(|rest| !rest.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
            changed.push_str(declared.unwrap_or(before));
            changed.push_str(&format!("@{VARIABLE}{name}"));
            done = place.end;
        }
        changed.push_str(text.get(done..).unwrap_or_default());
        changed
    }

    /// Whether a map holds a variable and is none of the person's own.
    pub(super) fn is_hidden(map: &str) -> bool {
        map.starts_with(VARIABLE)
    }

    /// Adds what was typed; gives the numbers of new clauses.
    pub(super) fn add(&mut self, items: Items) -> Vec<u32> {
        define(&mut self.preamble, items.preamble);
        define(&mut self.definitions, items.definitions);
        for setting in items.settings {
            let name = |s: &str| s.split('=').next().unwrap_or_default().trim().to_owned();
            self.settings.retain(|old| name(old) != name(&setting));
            self.settings.push(setting);
        }
        let mut numbers = Vec::new();
        for text in items.clauses {
            self.next += 1;
            numbers.push(self.next);
            self.clauses.push(Clause {
                number: self.next,
                text,
            });
        }
        numbers
    }

    /// Puts the clauses of `items` in the place of one, whose number the first keeps; `false`
    /// if there is no such clause.
    pub(super) fn replace(&mut self, number: u32, mut items: Items) -> bool {
        let Some(at) = self.clauses.iter().position(|c| c.number == number) else {
            return false;
        };
        let clauses = std::mem::take(&mut items.clauses);
        self.add(items);
        self.clauses.remove(at);
        for (index, text) in clauses.into_iter().enumerate() {
            let number = if index == 0 {
                number
            } else {
                self.next += 1;
                self.next
            };
            self.clauses.insert(at + index, Clause { number, text });
        }
        true
    }

    /// Takes a clause away; `false` if there is none of that number.
    pub(super) fn stop(&mut self, number: u32) -> bool {
        let before = self.clauses.len();
        self.clauses.retain(|clause| clause.number != number);
        self.clauses.len() != before
    }

    /// The script of all that holds, with statements that run once. `new` are the numbers of
    /// clauses that were not there before.
    pub(super) fn script(&self, statements: Option<&str>, new: &[u32]) -> Script {
        let mut text = self.definitions_text();
        let (old, fresh): (Vec<&Clause>, Vec<&Clause>) = self
            .clauses
            .iter()
            .partition(|clause| !new.contains(&clause.number));
        // What is new stands last, so that one range tells it; the order of clauses matters
        // only to those of one event.
        for clause in old {
            text.push_str(&self.with_maps(&clause.text, true));
            text.push('\n');
        }
        let start = text.len();
        for clause in fresh {
            text.push_str(&self.with_maps(&clause.text, true));
            text.push('\n');
        }
        if let Some(statements) = statements {
            text.push_str(&wrapped(&self.with_maps(statements, false)));
            text.push('\n');
        }
        let new = start..text.len();
        if self.clauses.is_empty() && statements.is_none() {
            // A script has a clause.
            text.push_str("begin { }\n");
        }
        Script { text, new }
    }

    /// The script as a person would keep it.
    pub(super) fn saved(&self) -> String {
        let mut text = self.definitions_text();
        for clause in &self.clauses {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&clause.text);
            text.push('\n');
        }
        text
    }

    fn definitions_text(&self) -> String {
        let mut text = String::new();
        for line in self.preamble.iter().chain(&self.definitions) {
            // Settings stand between the two.
            if !self.settings.is_empty() && self.definitions.first() == Some(line) {
                text.push_str(&self.settings_text());
            }
            text.push_str(line);
            text.push('\n');
        }
        if !self.settings.is_empty() && self.definitions.is_empty() {
            text.push_str(&self.settings_text());
        }
        text
    }

    fn settings_text(&self) -> String {
        format!("config = {{ {} }}\n", self.settings.join("; "))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn items(text: &str) -> Items {
        match classify(text) {
            Input::Items(items) => items,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_are_told_apart() {
        assert!(matches!(classify("BEGIN { print(1); }"), Input::Items(_)));
        assert!(matches!(classify("BEGIN < print(1); >"), Input::Items(_)));
        assert!(matches!(classify("struct A { int x; };"), Input::Items(_)));
        assert!(matches!(classify("print(1)"), Input::Statements(_)));
        assert!(matches!(
            classify("@x = 5; print(@x);"),
            Input::Statements(_)
        ));
        assert!(matches!(classify("print(1"), Input::Wrong(..)));
        assert!(matches!(classify("BEGIN { print(1; }"), Input::Wrong(..)));
    }

    #[test]
    fn what_is_open_is_unfinished() {
        for text in [
            "BEGIN {",
            "BEGIN < print(1);",
            "interval:s:1",
            "interval:s:1 /pid ==",
            "macro f(a) {",
            "/* so",
            "if (1) {",
            "print(1",
        ] {
            assert!(is_unfinished(text), "{text}");
        }
        for text in [
            "BEGIN { }",
            "print(1)",
            "@x",
            "BEGIN { print(1); } )",
            "nonsense words",
        ] {
            assert!(!is_unfinished(text), "{text}");
        }
    }

    #[test]
    fn definitions_stay_and_can_change() {
        let mut desk = Desk::default();
        desk.add(items("macro one() { 1 }"));
        desk.add(items("struct A { int x; };"));
        desk.add(items("macro one() { 2 }"));
        let numbers = desk.add(items("interval:s:1 { print(one()); }"));
        assert_eq!(numbers, [1]);
        let script = desk.script(Some("print(3)"), &[]);
        assert!(script.text.starts_with("struct A { int x; }"));
        assert!(script.text.contains("macro one() { 2 }"));
        assert!(!script.text.contains("{ 1 }"));
        assert_eq!(&script.text[script.new], "begin { print(3)\n}\n");
    }

    #[test]
    fn variables_live_on() {
        let mut desk = Desk::default();
        desk.remember("let $x = 5; if (1) { $y = 2; } print(\"$z = \")");
        desk.add(items("interval:s:1 /$x > 1/ { print($x); print($y) }"));
        desk.add(items("interval:s:2 { $x = 1; print($x); }"));
        let script = desk.script(Some("$x == 5; print(\"$x\"); let $x = $y"), &[]);
        assert_eq!(
            script.text,
            "interval:s:1 /@prompt_x > 1/ { print(@prompt_x); print($y) }\n\
             interval:s:2 { $x = 1; print($x); }\n\
             begin { @prompt_x == 5; print(\"$x\"); @prompt_x = $y\n}\n"
        );
    }

    #[test]
    fn clauses_keep_their_numbers() {
        let mut desk = Desk::default();
        desk.add(items("interval:s:1 { } interval:s:2 { }"));
        assert!(desk.stop(1));
        assert!(!desk.stop(1));
        assert!(desk.replace(2, items("interval:s:3 { }")));
        assert_eq!(desk.add(items("interval:s:4 { }")), [3]);
        assert_eq!(desk.saved(), "interval:s:3 { }\n\ninterval:s:4 { }\n");
        let script = desk.script(None, &[2]);
        assert_eq!(&script.text[script.new], "interval:s:3 { }\n");
    }
}
