//! What the tests of the grammar share: the providers' names, and trees without spans.

use rbt_grammar::{ParseOptions, Parsed, SourceMap, ast, parse};

/// The providers' names.
pub(crate) const PROVIDERS: &[&str] = &[
    "begin",
    "end",
    "self",
    "tracepoint",
    "rawtracepoint",
    "kprobe",
    "kretprobe",
    "fentry",
    "fexit",
    "uprobe",
    "uretprobe",
    "usdt",
    "profile",
    "interval",
    "software",
    "hardware",
    "watchpoint",
    "iter",
    "bench",
    "test",
];

/// Their short names.
pub(crate) const ALIASES: &[&str] = &[
    "t", "rt", "k", "kr", "f", "kfunc", "fr", "kretfunc", "u", "ur", "U", "p", "i", "s", "h", "w",
    "it",
];

/// Parses a text under a name.
pub(crate) fn parse_text(name: &str, text: &str) -> (SourceMap, Parsed) {
    let positional = [String::from("i:s:1"), String::from("5")];
    let options = ParseOptions {
        providers: PROVIDERS,
        aliases: ALIASES,
        positional: &positional,
    };
    let mut sources = SourceMap::new();
    let id = sources.add(name, text);
    let parsed = parse(sources.get(id).expect("just added"), &options);
    (sources, parsed)
}

/// The tree as text, with the spans blanked: `12..34` becomes `_`.
#[allow(dead_code)]
pub(crate) fn shape(program: &ast::Program) -> String {
    let text = format!("{program:#?}");
    let mut shape = String::with_capacity(text.len());
    for line in text.lines() {
        let last = line.trim_end_matches(',').rsplit(' ').next().unwrap_or("");
        let is_span = last.split_once("..").is_some_and(|(a, b)| {
            let is_number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
            is_number(a) && is_number(b)
        });
        shape.push_str(if is_span {
            line.split(char::is_numeric).next().unwrap_or("")
        } else {
            line
        });
        shape.push('\n');
    }
    shape
}
