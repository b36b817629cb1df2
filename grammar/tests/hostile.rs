//! Text that nobody would write: no panic, no endless loop, no tree too high for the stack, and
//! time in proportion to the text.

mod common;

use common::parse_text;
use rbt_grammar::{Color, ast, codes, pretty};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A small deterministic generator (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}

/// Pieces that change how the text around them is read.
const PIECES: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    ">>",
    "<<",
    "->",
    "--",
    "++",
    "/",
    "//",
    "/*",
    "*/",
    "\"",
    "'",
    ";",
    ",",
    ":",
    "?",
    "?:",
    "=",
    "==",
    "+=",
    "..",
    ".",
    "$",
    "$x",
    "$0",
    "$1",
    "$#",
    "@",
    "@m",
    "#",
    "\n",
    "\r\n",
    "\0",
    "é",
    "\u{feff}",
    "\\",
    "0x",
    "1e99",
    "99999999999999999999",
    "1.5",
    "if",
    "else",
    "for",
    "while",
    "unroll",
    "return",
    "let",
    "macro",
    "fn",
    "struct",
    "union",
    "enum",
    "typedef",
    "config",
    "import",
    "sizeof",
    "typeof",
    "offsetof",
    "comptime",
    "true",
    "END",
    "k:f",
    "BEGIN {",
    "k:f <",
    "(int8)",
    "(struct S *)",
    "__attribute__",
    "unsigned",
    "const",
];

fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let entries = fs::read_dir(folder).expect("the corpus is part of the repository");
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    let texts = paths.iter().map(fs::read_to_string);
    texts.map(|t| t.expect("a readable script")).collect()
}

/// Where a character begins.
fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Deletes, doubles, moves or inserts a stretch of the text.
fn mutate(text: &mut String, random: &mut Random) {
    let start = boundary(text, random.below(text.len() + 1));
    let longest = if random.below(4) == 0 { 60 } else { 6 };
    let length = 1 + random.below(longest);
    let end = boundary(text, (start + length).min(text.len()));
    let stretch = String::from(&text[start..end]);
    match random.below(5) {
        0 => text.replace_range(start..end, ""),
        1 => text.insert_str(start, &stretch),
        2 => {
            text.replace_range(start..end, "");
            let to = boundary(text, random.below(text.len() + 1));
            text.insert_str(to, &stretch);
        }
        _ => text.insert_str(start, PIECES[random.below(PIECES.len())]),
    }
}

/// Whether an attach point is nothing but a parameter that was not given: that has no text.
fn has_empty_attach_point(program: &ast::Program) -> bool {
    let clauses = program.items.iter().filter_map(|item| match item {
        ast::Item::Clause(clause) => Some(clause),
        _ => None,
    });
    let mut attach_points = clauses.flat_map(|c| &c.attach_points);
    attach_points.any(|a| a.parts.iter().all(|p| p.node.text.is_empty()))
}

#[test]
fn mutated_scripts_never_panic() {
    let corpus = corpus();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..6000 {
        let mut text = corpus[round % corpus.len()].clone();
        for _ in 0..1 + random.below(8) {
            mutate(&mut text, &mut random);
        }
        let start = Instant::now();
        let (sources, parsed) = parse_text("mutated.bt", &text);
        assert!(start.elapsed() < Duration::from_secs(5), "{text}");
        for diagnostic in &parsed.diagnostics {
            assert!(!diagnostic.labels.is_empty(), "{diagnostic:?}\n{text}");
            let rendered = diagnostic.render(&sources, Color::Never);
            assert!(rendered.contains("mutated.bt:"), "{rendered}\n{text}");
        }
        // Whatever was understood can be printed; without mistakes it reads back.
        let printed = pretty::program(&parsed.program);
        if parsed.diagnostics.is_empty() && !has_empty_attach_point(&parsed.program) {
            let (_, again) = parse_text("printed.bt", &printed);
            let messages: Vec<_> = again.diagnostics.iter().map(|d| &d.message).collect();
            assert!(messages.is_empty(), "{messages:?}\n{text}\n---\n{printed}");
            let shapes = [&parsed.program, &again.program].map(common::shape);
            let lines = shapes[0].lines().zip(shapes[1].lines());
            let difference = lines.enumerate().find(|(_, (a, b))| a != b);
            assert_eq!(difference, None, "{text}\n---\n{printed}");
        }
    }
}

#[test]
fn pieces_in_any_order_never_panic() {
    let mut random = Random(42);
    for _ in 0..6000 {
        let mut text = String::new();
        for _ in 0..1 + random.below(40) {
            text.push_str(PIECES[random.below(PIECES.len())]);
            if random.below(2) == 0 {
                text.push(' ');
            }
        }
        let (_, parsed) = parse_text("pieces.bt", &text);
        let _ = pretty::program(&parsed.program);
    }
}

/// Ways to nest without end; each is a beginning, what repeats, and an end.
const NESTINGS: &[(&str, &str, &str)] = &[
    ("BEGIN { $x = ", "(", "1"),
    ("BEGIN { $x = ", "f(", "1"),
    ("BEGIN { $x = ", "@x[", "1"),
    ("BEGIN { $x = ", "{ ", "1"),
    ("BEGIN ", "{ ", ""),
    ("BEGIN { ", "if (1) { ", ""),
    ("BEGIN { ", "if (1) { } else ", "{ } }"),
    ("BEGIN { $x = ", "if (1) { 1 } else ", "{ 2 } }"),
    ("BEGIN { ", "for $i : 0..1 { ", ""),
    ("BEGIN { $x = ", "!", "1; }"),
    ("BEGIN { $x = ", "- ", "1; }"),
    ("BEGIN { $x = ", "(int8)", "1; }"),
    ("BEGIN { $x = ", "comptime ", "1; }"),
    ("BEGIN { $x = 1", " + 1", "; }"),
    ("BEGIN { $x = 1", " == 1 && 2", "; }"),
    ("BEGIN { $x = ", "1 ? 1 : ", "1; }"),
    ("BEGIN { $x = ", "1 ? ", "1; }"),
    ("BEGIN { $x = $y", ".a", "; }"),
    ("BEGIN { $x = $y", "[0]", "; }"),
    ("BEGIN { $x = $y", "++", "; }"),
    ("BEGIN { $x = ", "sizeof(typeof(", "1; }"),
    ("BEGIN { $x = (int8", "*", ")1; }"),
    ("BEGIN { $x = (int8", "[1]", ")1; }"),
    ("BEGIN { let $x : ", "typeof(", "1; }"),
    ("", "struct S { ", "int a;"),
    ("struct S { int a", "[1]", "; };"),
    ("enum E { A = ", "(", "1 };"),
    ("k:f /", "(", "1/ { }"),
    ("k:f < ", "if (1) { ", ""),
    ("", "k:f /1 ", ""),
    ("", "BEGIN { ", ""),
    ("", "\n BEGIN { print(1) \n", ""),
    ("", "BEGIN {\n", ""),
    ("", "k:f <\n", ""),
    ("", "k:f /\n", ""),
    ("", "struct S {\n", ""),
    ("", "\"", ""),
    ("", "/*", ""),
    ("BEGIN { ", "\"a\n", "}"),
    ("BEGIN { ", "$x = ;", "}"),
    ("BEGIN { ", "$x = 1\n", "}"),
    ("BEGIN { ", "if (", "}"),
    ("k:f < ", "@ = 1 > 2; ", ">"),
    ("k:f /", "1 / ", "1/ { }"),
    ("k:f", ",k:f", " { }"),
    ("", "}", ""),
    ("", "é", ""),
    ("BEGIN { ", "é ", "}"),
    ("", "#define A \\\n", ""),
    ("", "(int8 ", ""),
    ("BEGIN { ", "(int8 ", ""),
    ("BEGIN { ", "(typeof(", ""),
    ("", "macro m(", ""),
    ("", "config = { ", ""),
    ("", "let @m = hash(8)\n", ""),
];

#[test]
fn nesting_and_repetition_end_in_a_diagnostic_or_a_tree() {
    // Two MiB of stack, as a test's thread has; dropping, printing and comparing recurse.
    for (before, again, after) in NESTINGS {
        let text = format!("{before}{}{after}", again.repeat(20_000));
        let start = Instant::now();
        let (sources, parsed) = parse_text("deep.bt", &text);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "{before}{again}: {took:?}");
        for diagnostic in parsed.diagnostics.iter().take(3) {
            let _ = diagnostic.render(&sources, Color::Never).len();
        }
        let _ = format!("{:?}", parsed.program).len();
        let _ = pretty::program(&parsed.program).len();
        assert_eq!(parsed.program, parsed.program.clone());
    }
}

#[test]
fn what_is_too_deep_is_said_once() {
    for (before, again, after) in [
        ("BEGIN { $x = 1", " + 1", "; }"),
        ("BEGIN { $x = ", "(", "1; }"),
        ("BEGIN { ", "if (1) { } else ", "{ } }"),
    ] {
        let close = if again == "(" { ")" } else { "" };
        let text = format!("{before}{}1{}{after}", again.repeat(500), close.repeat(500));
        let text = text.replace("1; }1", "1; }").replace("else 1{", "else {");
        let (_, parsed) = parse_text("deep.bt", &text);
        let found: Vec<_> = parsed.diagnostics.iter().map(|d| d.code).collect();
        assert!(found.contains(&codes::TOO_DEEP), "{again}: {found:?}");
        let count = found.iter().filter(|c| **c == codes::TOO_DEEP).count();
        assert_eq!(count, 1, "{again}");
    }
}

#[test]
fn ten_thousand_clauses_take_little_time() {
    let clause = |i: usize| {
        format!(
            "tracepoint:cat{i}:event /pid == {i} && @start[tid]/ <\n\t$d = (nsecs - @start[tid]) / 1000;\n\t\
             if ($d > 10) {{ @us[comm, \"x\"] = hist($d); }} else {{ printf(\"%d\\n\", args.ret) }}\n\
             \tdelete(@start, tid);\n>\n"
        )
    };
    let text: String = (0..10_000).map(clause).collect();
    let start = Instant::now();
    let (_, parsed) = parse_text("large.bt", &text);
    let took = start.elapsed();
    assert!(parsed.diagnostics.is_empty());
    assert_eq!(parsed.program.items.len(), 10_000);
    // Unoptimised and on a busy machine; an optimised build takes a tenth of it.
    assert!(took < Duration::from_secs(10), "{took:?}");
    println!("10,000 clauses, {} bytes: {took:?}", text.len());
}
