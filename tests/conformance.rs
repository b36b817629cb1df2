//! The table of the language's rules and their tests, `tests/conformance.md`, against what there
//! is: every test it names exists, every word has a row, rows without a test are shown.
//!
//! Reads files and the words' tables only; whether the tests pass is for them to say.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/conformance.rs"]
mod conformance;
#[path = "support/script.rs"]
mod script;

use conformance::Row;
use rbt_compiler::config;
use rbt_compiler::word::Word;
use rbt_stdlib::VOCABULARY;
use std::collections::BTreeSet;
use std::process::Command;

fn rows() -> Vec<Row> {
    let path = script::root().join("tests/conformance.md");
    let text = std::fs::read_to_string(path).expect("a readable table");
    conformance::read(&text).unwrap_or_else(|e| panic!("tests/conformance.md: {e}"))
}

/// Merges keep both sides' lines; this makes one of them, with the tests of both.
#[test]
fn no_rule_stands_twice() {
    let path = script::root().join("tests/conformance.md");
    let text = std::fs::read_to_string(&path).expect("a readable table");
    let rows = rows();
    assert!(rows.len() > 800, "only {} rows", rows.len());
    let is_rule = |line: &str| {
        line.starts_with("| ")
            && conformance::read(&format!("## \n{line}")).is_ok_and(|rows| rows.len() == 1)
    };
    let start = text.find("\n## ").expect("an area");
    let lines = text[start..].lines().filter(|line| is_rule(line)).count();
    if lines == rows.len() {
        return;
    }
    println!(
        "{} rules stand twice; RBT_BLESS=1 makes one of them",
        lines - rows.len()
    );
    if script::is_blessing() {
        let mut tidy = String::new();
        for (index, line) in text.lines().enumerate() {
            let row = rows.iter().find(|row| row.line == index + 1);
            if let Some(row) = row {
                let kept = line.trim_end_matches('|').rfind('|').expect("a cell");
                tidy.push_str(&format!("{}| {} |\n", &line[..kept], row.tests.join(", ")));
            } else if index < text[..start].lines().count() || !is_rule(line) {
                tidy.push_str(&format!("{line}\n"));
            }
        }
        std::fs::write(&path, tidy.replace("|  |", "| |")).expect("a writable table");
    }
}

#[test]
fn every_test_named_exists() {
    let folder = script::root().join("tests/scripts");
    let cases = cases::read_folder(&folder).unwrap_or_else(|e| panic!("{e}"));
    let cases: BTreeSet<_> = cases.into_iter().map(|case| case.name).collect();
    let mut missing = String::new();
    for row in rows() {
        for name in &row.tests {
            let exists = match name.strip_prefix("cargo:") {
                Some(test) => is_test(test),
                None if name.starts_with("errors/") || name.starts_with("stages/") => {
                    script::root().join(format!("tests/{name}.bt")).exists()
                }
                None => cases.contains(name),
            };
            if !exists {
                missing.push_str(&format!("line {}: {name}\n", row.line));
            }
        }
    }
    assert!(missing.is_empty(), "no such tests:\n{missing}");
}

/// Whether `NAME`, `NAME::FUNCTION` or `PATH.rs::FUNCTION` is a test.
fn is_test(name: &str) -> bool {
    let (file, function) = match name.split_once("::") {
        Some((file, function)) => (file, Some(function)),
        None => (name, None),
    };
    let path = if file.ends_with(".rs") {
        script::root().join(file)
    } else {
        script::root().join(format!("tests/{file}.rs"))
    };
    let Ok(text) = std::fs::read_to_string(path) else {
        return false;
    };
    match function {
        Some(function) => text.contains(&format!("fn {function}(")),
        None => true,
    }
}

#[test]
fn every_rule_has_a_test() {
    let rows = rows();
    let bare: Vec<_> = rows.iter().filter(|row| row.tests.is_empty()).collect();
    for row in &bare {
        println!("{}:{}: {}", row.area, row.line, row.feature);
    }
    println!("{} of {} rules have no test", bare.len(), rows.len());
    assert!(bare.is_empty(), "{} rules have no test", bare.len());
}

/// What is written as code in a rule, as words: `-p`, `kstack`, `--dry-run`.
fn words_of(feature: &str) -> BTreeSet<String> {
    let code = feature.split('`').skip(1).step_by(2);
    let is_edge = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
    code.flat_map(|code| code.split(is_edge))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_word_has_a_rule() {
    let rows = rows();
    let in_area = |area: &str| -> BTreeSet<String> {
        let of_area = rows.iter().filter(|row| row.area == area);
        of_area.flat_map(|row| words_of(&row.feature)).collect()
    };
    let mut missing = Vec::new();
    let mut look = |kind: &str, area: &str, names: Vec<String>| {
        let mut known = in_area(area);
        known.extend(in_area("rbt's own"));
        for name in names {
            if !known.contains(&name) {
                missing.push(format!("{kind} {name} (in {area})"));
            }
        }
    };
    fn names<W: Word + ?Sized>(words: &[&'static W]) -> Vec<String> {
        words.iter().map(|word| word.name().to_owned()).collect()
    }
    look("builtin", "Builtins", names(VOCABULARY.builtins));
    look("function", "Functions", names(VOCABULARY.functions));
    look("aggregation", "Maps", names(VOCABULARY.aggregations));
    look("probe type", "Probes", names(VOCABULARY.providers));
    let aliases = VOCABULARY.providers.iter().flat_map(|word| word.aliases());
    look(
        "alias",
        "Probes",
        aliases.map(|a| (*a).to_owned()).collect(),
    );
    let settings = config::TABLE.iter().map(|row| row.name.to_owned());
    look("setting", "Command line", settings.collect());
    look("option", "Command line", options());
    // Words of the language itself are of any kind; a family has rules for its first and last.
    let everywhere: BTreeSet<String> = rows.iter().flat_map(|row| words_of(&row.feature)).collect();
    for page in rbt_stdlib::pages() {
        let family = format!(
            "{}0",
            page.name.trim_end_matches(|c: char| c.is_ascii_digit())
        );
        let is_known = everywhere.contains(page.name) || everywhere.contains(&family);
        if page.kind == rbt_stdlib::Kind::Macro && !is_known {
            missing.push(format!("macro {}", page.name));
        }
    }
    assert!(missing.is_empty(), "no rule for:\n{}", missing.join("\n"));
}

/// The options that `--help` lists.
fn options() -> Vec<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_rbt"))
        .arg("--help")
        .output()
        .expect("rbt runs");
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    let flags = text
        .lines()
        .skip_while(|line| !line.starts_with("OPTIONS"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .flat_map(|line| line.split_whitespace())
        .filter(|word| word.starts_with('-') && word.len() > 1)
        .map(|word| word.trim_end_matches(',').to_owned());
    let flags: Vec<_> = flags.collect();
    assert!(flags.len() > 20, "--help lists {flags:?}");
    flags
}
