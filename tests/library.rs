//! The words that are written in the language: the `test:` clauses of `stdlib/bt/*.bt`, each run
//! on this kernel.
//!
//! Needs root; without it the test says so and counts what it skipped.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "support/needs.rs"]
mod needs;
#[path = "support/script.rs"]
mod script;

use rbt_grammar::ast::Item;
use rbt_grammar::{ParseOptions, SourceMap};
use std::fs;
use std::process::Command;

/// The tests of a file: name and body.
fn tests(text: &str) -> Vec<(String, String)> {
    let mut sources = SourceMap::new();
    let id = sources.add("library", text);
    let source = sources.get(id).expect("it was just added");
    let options = ParseOptions {
        providers: &["test"],
        ..ParseOptions::default()
    };
    let parsed = rbt_grammar::parse(source, &options);
    let clauses = parsed
        .program
        .items
        .into_iter()
        .filter_map(|item| match item {
            Item::Clause(clause) => Some(clause),
            _ => None,
        });
    clauses
        .map(|clause| {
            let span = |span: rbt_grammar::Span| &text[span.start as usize..span.end as usize];
            let name = span(clause.attach_points.first().expect("a probe").span);
            (name.to_owned(), span(clause.action.span).to_owned())
        })
        .collect()
}

#[test]
fn every_test_of_the_library_passes() {
    let (mut passed, mut wrong) = (0, String::new());
    let skipped = needs::no_privileges();
    for path in script::files("stdlib/bt", "bt") {
        let text = fs::read_to_string(&path).expect("a readable file");
        let tests = tests(&text);
        assert!(!tests.is_empty(), "{} has no test", path.display());
        for (name, body) in tests {
            let name = format!("{} {name}", script::name_of(&path));
            if let Some(why) = &skipped {
                println!("skip {name} ({why})");
                continue;
            }
            // The same words in the same kernel, at a probe that runs by itself, and has
            // registers if they are asked for.
            let program = if text.contains("reg(") {
                format!("interval:ms:1 {{ {body} exit(); }}")
            } else {
                format!("BEGIN {body}")
            };
            let run = Command::new(env!("CARGO_BIN_EXE_rbt"))
                .args(["-q", "-e", &program])
                .output()
                .expect("rbt runs");
            let complaints = String::from_utf8_lossy(&run.stderr);
            if run.status.success() && complaints.is_empty() {
                passed += 1;
            } else {
                wrong.push_str(&format!("{name}: {}\n{complaints}\n", run.status));
            }
        }
    }
    println!("{passed} tests of the library passed");
    assert!(wrong.is_empty(), "{wrong}");
    assert!(skipped.is_some() || passed > 3);
}

/// An assertion that does not hold is seen by the test above.
#[test]
fn a_test_that_does_not_hold_fails() {
    if let Some(why) = needs::no_privileges() {
        println!("skip ({why})");
        return;
    }
    let run = Command::new(env!("CARGO_BIN_EXE_rbt"))
        .args(["-q", "-e", "BEGIN { assert(pid == 0, \"nobody\"); }"])
        .output()
        .expect("rbt runs");
    let complaints = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1));
    assert!(
        complaints.contains("ERROR: assert failed: nobody"),
        "{complaints}"
    );
}
