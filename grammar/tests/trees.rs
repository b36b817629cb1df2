//! What the lexer decides, seen in trees: attach points, casts, sections, spans.

mod common;

use common::{ALIASES, PROVIDERS, parse_text};
use rbt_grammar::ast::{self, CItem, ExprKind, Item, SettingValue, StatementKind};
use rbt_grammar::{ParseOptions, SourceMap, codes, parse_expression, pretty};

/// The parts of every attach point, quoted ones in quotes, joined by `|`.
fn attach_points(text: &str) -> Vec<String> {
    let (_, parsed) = parse_text("a.bt", text);
    assert!(
        parsed.diagnostics.is_empty(),
        "{text}: {:?}",
        parsed.diagnostics
    );
    let clauses = parsed.program.items.iter().filter_map(|item| match item {
        Item::Clause(clause) => Some(clause),
        _ => None,
    });
    let shown = |attach: &ast::AttachPoint| {
        let label = attach.label.iter().map(|l| format!("{}=", l.node));
        let parts = attach.parts.iter().map(|p| match p.node.is_quoted {
            true => format!("\"{}\"", p.node.text),
            false => p.node.text.clone(),
        });
        let parts: Vec<_> = parts.collect();
        label.collect::<String>() + &parts.join("|")
    };
    clauses
        .flat_map(|c| c.attach_points.iter().map(shown))
        .collect()
}

#[test]
fn attach_points_are_split_at_colons() {
    let rows: &[(&str, &[&str])] = &[
        ("BEGIN { }", &["BEGIN"]),
        ("BEGIN{ }", &["BEGIN"]),
        ("\u{feff}BEGIN { }\n\u{feff}END { }", &["BEGIN", "END"]),
        ("BEGIN/1/{ }", &["BEGIN"]),
        ("BEGIN// note\n{ }", &["BEGIN"]),
        ("BEGIN/* note */{ }", &["BEGIN"]),
        ("k:a,k:b , k:c,\n{ }", &["k|a", "k|b", "k|c"]),
        (
            "uprobe:/bin/bash:readline { }",
            &["uprobe|/bin/bash|readline"],
        ),
        (
            "uprobe:/usr/lib/*:malloc { }",
            &["uprobe|/usr/lib/*|malloc"],
        ),
        ("usdt::provider:name { }", &["usdt||provider|name"]),
        ("uprobe:a@file.c:12:5 { }", &["uprobe|a|@|file.c|12|5"]),
        (
            "uprobe:a:cpp:\"ns::f<int>(a, b)\" { }",
            &["uprobe|a|cpp|\"ns::f<int>(a, b)\""],
        ),
        ("uprobe:a:\"x\\\"y\" { }", &["uprobe|a|\"x\"y\""]),
        ("nm=interval:ms:10 { }", &["nm=interval|ms|10"]),
        ("$1 { }", &["i|s|1"]),
        ("interval:s:$2 { }", &["interval|s|5"]),
        ("kprobe:f$9 { }", &["kprobe|f"]),
        (
            "asyncwatchpoint:0x12:8:rw { }",
            &["asyncwatchpoint|0x12|8|rw"],
        ),
        ("watchpoint:f+arg1:8:w { }", &["watchpoint|f+arg1|8|w"]),
    ];
    for (text, parts) in rows {
        assert_eq!(attach_points(text), *parts, "{text}");
    }
}

#[test]
fn an_attach_point_knows_where_its_parts_stand() {
    let (sources, parsed) = parse_text("a.bt", "x=uprobe:/bin/a:\"f g\", $1 { }");
    let Some(Item::Clause(clause)) = parsed.program.items.first() else {
        unreachable!("one clause");
    };
    let texts = clause.attach_points.iter().flat_map(|a| &a.parts);
    let texts: Vec<_> = texts.map(|p| sources.slice(p.span)).collect();
    assert_eq!(texts.get(..3), Some(&["uprobe", "/bin/a", "\"f g\""][..]));
    // What a parameter stands for has the parameter's place.
    assert!(texts.iter().skip(3).all(|t| "$1".contains(t)), "{texts:?}");
}

/// The expression `text` with its shape said in a word.
fn kind(text: &str) -> &'static str {
    let script = format!("#define NAME 3\nenum E {{ VARIANT }};\nmacro m(value) {{ {text} }}\n");
    let (_, parsed) = parse_text("a.bt", &script);
    assert!(
        parsed.diagnostics.is_empty(),
        "{text}: {:?}",
        parsed.diagnostics
    );
    let value = parsed.program.items.iter().find_map(|item| match item {
        Item::Macro(definition) => definition.body.value.as_deref(),
        _ => None,
    });
    match value.map(|e| &e.kind) {
        Some(ExprKind::Cast { .. }) => "cast",
        Some(ExprKind::Binary { .. }) => "binary",
        Some(ExprKind::Call { .. }) => "call",
        _ => "other",
    }
}

#[test]
fn casts_are_told_from_parentheses() {
    let rows = [
        ("(foo_t)$x", "cast"),
        ("(foo) * $p", "cast"),
        ("(int8)-1", "cast"),
        ("(int8*)-5", "cast"),
        ("(struct S *)arg0", "cast"),
        ("(union U)$x", "cast"),
        ("(enum E)1", "cast"),
        ("(typeof($x))1", "cast"),
        ("(uint8[4])5", "cast"),
        ("(uint8[])5", "cast"),
        ("(unsigned long long *)arg0", "cast"),
        ("(const char *)arg0", "cast"),
        ("(foo)(1 + 2)", "cast"),
        ("(foo)!$x", "cast"),
        ("(foo)\"text\"", "cast"),
        ("(value *)$x", "cast"),
        ("(value)$x", "cast"),
        ("(pid) * tid", "binary"),
        ("(nsecs) - 1", "binary"),
        ("(arg0) & 1", "binary"),
        ("(NAME) - 1", "binary"),
        ("(VARIANT) - 1", "binary"),
        ("(value) - 1", "binary"),
        ("(foo) + 1", "binary"),
        ("(foo) / 1", "binary"),
        ("(foo) == 1", "binary"),
        ("($x) - 1", "binary"),
        ("(a.b) - 1", "binary"),
        ("(a * b) - 1", "binary"),
        ("(1) - 1", "binary"),
        ("foo(bar) - 1", "binary"),
        ("sizeof(foo) - 1", "binary"),
        ("f((foo))", "call"),
        ("(foo)", "other"),
    ];
    for (text, expected) in rows {
        assert_eq!(kind(text), expected, "{text}");
    }
}

#[test]
fn sections_are_kept_apart() {
    let text = "#!/usr/bin/env rbt\r\n#include <x.h>\r\n#define A \\\r\n 1\r\nstruct S { int a; };\r\n\
                config = { one = 1; two = \"x\"; three = word; four = true }\r\nimport \"x.bt\";\r\n\
                let @m = hash(5);\r\n#define LATE 1\r\nBEGIN { $x = A; }\r\n";
    let (_, parsed) = parse_text("a.bt", text);
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    let program = parsed.program;
    let lines = program.preamble.iter().filter_map(|item| match item {
        CItem::Directive(line) => Some(line.node.as_str()),
        _ => None,
    });
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines, ["#include <x.h>", "#define A   1", "#define LATE 1"]);
    let values: Vec<_> = program
        .config
        .iter()
        .map(|s| s.value.node.clone())
        .collect();
    let word = |s: &str| SettingValue::Text(String::from(s));
    assert_eq!(
        values,
        [
            SettingValue::Int(1),
            word("x"),
            word("word"),
            SettingValue::Bool(true)
        ]
    );
    assert_eq!(program.imports.len(), 1);
    assert_eq!(program.items.len(), 2);
}

#[test]
fn spans_cover_what_was_written() {
    let text = "BEGIN { $x = (1 + 2) * f(3); @m[4] += -5 }";
    let (sources, parsed) = parse_text("a.bt", text);
    let Some(Item::Clause(clause)) = parsed.program.items.first() else {
        unreachable!("one clause");
    };
    let [first, second] = clause.action.statements.as_slice() else {
        unreachable!("two statements");
    };
    assert_eq!(sources.slice(clause.span), text);
    assert_eq!(sources.slice(first.span), "$x = (1 + 2) * f(3)");
    assert_eq!(sources.slice(second.span), "@m[4] += -5");
    let StatementKind::Assign { value, .. } = &first.kind else {
        unreachable!("an assignment");
    };
    let ExprKind::Binary {
        op_span,
        left,
        right,
        ..
    } = &value.kind
    else {
        unreachable!("a product");
    };
    assert_eq!(sources.slice(*op_span), "*");
    assert_eq!(sources.slice(left.span), "(1 + 2)");
    assert_eq!(sources.slice(right.span), "f(3)");
}

#[test]
fn an_expression_alone_fills_its_text() {
    let options = ParseOptions {
        providers: PROVIDERS,
        aliases: ALIASES,
        positional: &[],
    };
    let read = |text: &str| {
        let mut sources = SourceMap::new();
        let id = sources.add("define", text);
        let source = sources.get(id).expect("just added");
        parse_expression(source, &options)
    };
    let good = read(" (1 << 3) | FLAG // note");
    assert_eq!(
        good.map(|e| pretty::expression(&e)),
        Ok(String::from("1 << 3 | FLAG"))
    );
    for text in [
        "",
        "1 2",
        "1;",
        "do { } while (0)",
        "(1",
        "1)",
        "int x",
        "{ 1",
    ] {
        let bad = read(text).expect_err(text);
        assert!(!bad.is_empty(), "{text}");
    }
}

#[test]
fn an_if_can_be_a_value_or_a_statement() {
    let rows = [
        ("macro m(c) { if (c) { 1 } else { 2 } }", true),
        (
            "macro m(c) { if (c) { 1 } else if (c) { 2 } else { 3 } }",
            true,
        ),
        ("macro m(c) { if (c) { 1 } }", false),
        ("macro m(c) { if (c) { @x = 1; } else { @x = 2; } }", false),
    ];
    for (text, is_value) in rows {
        let (_, parsed) = parse_text("a.bt", text);
        let Some(Item::Macro(definition)) = parsed.program.items.first() else {
            unreachable!("one macro");
        };
        assert_eq!(definition.body.value.is_some(), is_value, "{text}");
    }
}

#[test]
fn a_qualifier_makes_no_name_of_a_keyword() {
    let (_, parsed) = parse_text("a.bt", "BEGIN { while (1) { const break; } }");
    assert!(!parsed.diagnostics.is_empty());
}

#[test]
fn one_mistake_is_one_diagnostic() {
    let rows = [
        "BEGIN { if (1) { print(1; } print(2); }",
        "BEGIN { print(\"a\", ; }",
        "BEGIN { printf(\"hello); }",
        "BEGIN { $x = 5 }}",
        "BEGIN { if (1 { print(1); } }",
        "BEGIN { if 1) { print(1); } }",
        "BEGIN { $x = @y[1; $z = 2; }",
        "BEGIN { for $i 0..5 { print($i); } print(1); }",
        "BEGIN { while { print(1); } }",
        "BEGIN { $x = 1 +; }",
        "BEGIN { $x = if (1) 2 else { 3 }; }",
        "BEGIN { foo { print(1); } print(2); }",
        "BEGIN { let = 5; print(2); }",
        "BEGIN { return return; }",
        "BEGIN { $x = ((1 + 2) 3); }",
        "kprobe:f /pid = 1/ { }",
        "kprobe:f / / { }",
        "kprobe:f /pid == 1 && / { @ = count(); }",
        "kprobe:f pid == 1/ { @ = count(); }",
        "kprobe:f, , kprobe:g { }",
        "kprobe:f < @x = >",
        "kprobe:f < print(1 >",
        "kprobe:f < if (1) { print(1) >",
        "BEGIN { print(1) \nEND { print(2); }",
        "BEGIN { $x = 08 + 1; }",
        "BEGIN { $x = (int8 1; }",
        "macro m(x { x }",
        "let @m = hash(8\nBEGIN { }",
        "struct S { int a int b; };",
        "config = { a = 1, b = 2 }",
        "BEGIN { @x = 1 END { }",
    ];
    for text in rows {
        let (_, parsed) = parse_text("a.bt", text);
        let found: Vec<_> = parsed
            .diagnostics
            .iter()
            .map(|d| (d.code, &d.message))
            .collect();
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert_ne!(
            parsed.diagnostics.first().map(|d| d.code),
            Some(codes::INTERNAL)
        );
    }
}
