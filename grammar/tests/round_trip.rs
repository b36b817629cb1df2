//! Any tree prints and parses back to an equal tree, spans apart; printing again gives the same
//! text.

mod common;

use common::{ALIASES, PROVIDERS, parse_text, shape};
use rbt_grammar::{Color, ParseOptions, SourceId, comments, pretty};
use std::fs;
use std::path::Path;

fn check(name: &str, text: &str) {
    let (sources, first) = parse_text(name, text);
    let shown: String = first
        .diagnostics
        .iter()
        .map(|d| d.render(&sources, Color::Never))
        .collect();
    assert!(first.diagnostics.is_empty(), "{name}\n{shown}");
    let printed = pretty::program(&first.program);
    let (sources, second) = parse_text("printed.bt", &printed);
    let shown: String = second
        .diagnostics
        .iter()
        .map(|d| d.render(&sources, Color::Never))
        .collect();
    assert!(second.diagnostics.is_empty(), "{name}\n{printed}\n{shown}");
    assert_eq!(
        shape(&first.program),
        shape(&second.program),
        "{name}\n{printed}"
    );
    assert_eq!(printed, pretty::program(&second.program), "{name}");
}

/// A script laid out anew, with the comments that were in it.
fn laid_out(name: &str, text: &str) -> (String, usize, String) {
    let (sources, parsed) = parse_text(name, text);
    assert!(parsed.diagnostics.is_empty(), "{name}:\n{text}");
    let source = sources.get(SourceId(0)).expect("the only one");
    let options = ParseOptions {
        providers: PROVIDERS,
        aliases: ALIASES,
        positional: &[],
    };
    let found = comments(source, &options);
    let printed = pretty::script(&parsed.program, source, &found);
    (printed, found.len(), shape(&parsed.program))
}

fn check_layout(name: &str, text: &str) {
    let (once, count, tree) = laid_out(name, text);
    let (twice, kept, same) = laid_out(name, &once);
    assert_eq!(count, kept, "{name}: comments were lost\n{once}");
    assert_eq!(tree, same, "{name}: the script was changed\n{once}");
    assert_eq!(once, twice, "{name}: the layout is not settled");
}

#[test]
fn comments_and_literals_survive_a_new_layout() {
    let text = "#!/usr/bin/env rbt\n/* head */\n\n#define X 5 // of the directive\n\
        struct s { int a; // a\n /* b */ char b[4]; };\n\
        config = { max_strlen = 0x40; // bytes\n stack_mode = perf }\n\
        // begins\nBEGIN /* c */ { print(0x10) /* d */; // e\n\n // f\n $x = 1_000; if ($x /* g */) \
        { // h\n } else { print(1s) } // i\n} // j\n\
        uprobe:/lib/*:f,\n t:syscalls:sys_enter_* // k\n /pid == 1/ { /* l */ }\n\
        k:f < @[\"// no\"] = 1 > // m\n// n";
    check_layout("layout.bt", text);
    let (once, count, _) = laid_out("layout.bt", text);
    assert_eq!(count, 17, "{once}");
    for wanted in [
        "print(0x10); /* d */ // e\n\n    // f",
        "$x = 1_000;",
        "        // h\n",
        "/lib/*:f,",
    ] {
        assert!(once.contains(wanted), "`{wanted}` is not in\n{once}");
    }
}

#[test]
fn the_corpus_prints_and_parses_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the corpus is part of the repository") {
        let path = entry.expect("a readable folder").path();
        let text = fs::read_to_string(&path).expect("a readable script");
        check(&path.display().to_string(), &text);
        check_layout(&path.display().to_string(), &text);
        count += 1;
    }
    assert!(count >= 4, "the corpus is not empty");
}

#[test]
fn operators_keep_only_the_parentheses_that_say_something() {
    let rows = [
        ("$x & 4 == 4", "$x & 4 == 4"),
        ("($x & 4) == 4", "($x & 4) == 4"),
        ("(1 + 2) * 3", "(1 + 2) * 3"),
        ("1 + (2 * 3)", "1 + 2 * 3"),
        ("1 - (2 - 3)", "1 - (2 - 3)"),
        ("(1 - 2) - 3", "1 - 2 - 3"),
        (
            "1 << 2 + 3 < 4 == 5 & 6 ^ 7 | 8 && 9 || 10 ? 11 : 12",
            "1 << 2 + 3 < 4 == 5 & 6 ^ 7 | 8 && 9 || 10 ? 11 : 12",
        ),
        ("$a ? $b : $c ? $d : $e", "$a ? $b : $c ? $d : $e"),
        ("($a ? $b : $c) ? $d : $e", "($a ? $b : $c) ? $d : $e"),
        ("$a ?: $b ?: $c", "$a ?: $b ?: $c"),
        ("-(-$x)", "- -$x"),
        ("-(--$x)", "- --$x"),
        ("&(&$x)", "& &$x"),
        ("!!$x", "!!$x"),
        ("**$p", "**$p"),
        ("$a / *$p", "$a / *$p"),
        ("(int8)-1", "(int8)(-1)"),
        (
            "((struct task_struct*)curtask)->pid",
            "((struct task_struct *)curtask).pid",
        ),
        ("(pid) * tid", "pid * tid"),
        ("(foo) * $p", "(foo)(*$p)"),
        ("(unsigned   long)$x", "(unsigned long)$x"),
        ("(const char *)arg0", "(char*)arg0"),
        ("(uint8[4])5", "(uint8[4])5"),
        ("sizeof((foo))", "sizeof((foo))"),
        ("sizeof(foo)", "sizeof(foo)"),
        ("offsetof(struct S, a.b)", "offsetof(struct S, a.b)"),
        ("(1,)", "(1,)"),
        ("()", "()"),
        ("(a=1,b=\"s\")", "(a = 1, b = \"s\")"),
        ("$kv.0.1", "$kv.0.1"),
        ("@x[1,2]", "@x[1, 2]"),
        ("\"\\101\\x01\\xff\\\"é\"", "\"A\\x01\\xff\\\"é\""),
        ("1ms", "1000000"),
        ("comptime (1 + 2)", "comptime (1 + 2)"),
        ("({ 1 }) + 2", "({\n    1\n}) + 2"),
        ("foo(typeof($x), struct S *)", "foo(typeof($x), struct S *)"),
    ];
    for (written, canonical) in rows {
        let options = rbt_grammar::ParseOptions::default();
        let mut sources = rbt_grammar::SourceMap::new();
        let id = sources.add("expression", written);
        let source = sources.get(id).expect("just added");
        let expr = rbt_grammar::parse_expression(source, &options);
        let expr = expr.expect(written);
        assert_eq!(pretty::expression(&expr), canonical, "{written}");
        check(written, &format!("BEGIN {{ $x = {written}; }}"));
        check(written, &format!("BEGIN {{ f({written}) }}"));
    }
}

#[test]
fn shapes_of_different_trees_differ() {
    let (_, one) = parse_text("a.bt", "BEGIN { $x = 1 + 2; }");
    let (_, other) = parse_text("a.bt", "BEGIN { $x = 1 + 3; }");
    let (_, moved) = parse_text("a.bt", "BEGIN {\n\n$x = 1 + 2; }");
    assert_ne!(shape(&one.program), shape(&other.program));
    assert_eq!(shape(&one.program), shape(&moved.program));
    assert_ne!(one.program, moved.program);
}

/// The script of a live case: the text behind `PROG`, or the lines up to `END`.
fn script_of(case: &str) -> Option<String> {
    let (_, rest) = case.split_once("PROG ")?;
    let (first, after) = rest.split_once('\n').unwrap_or((rest, ""));
    if first != "<<END" {
        return Some(String::from(first));
    }
    after
        .split_once("\nEND\n")
        .map(|(script, _)| String::from(script))
}

#[test]
fn the_live_cases_print_and_parse_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scripts");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the cases are part of the repository") {
        let path = entry.expect("a readable folder").path();
        let text = fs::read_to_string(&path).expect("readable cases");
        // Cases with status 1 are about mistakes; whether of syntax is not said.
        let cases = text.split("\nNAME ").filter(|c| !c.contains("\nSTATUS 1"));
        for script in cases.filter_map(script_of) {
            check(&path.display().to_string(), &script);
            count += 1;
        }
    }
    assert!(count > 200, "{count}");
}
