//! Mistakes and what is said about them: each file of `tests/errors` is a script, an empty line,
//! and the rendered diagnostics as comments. The file is named by the code it is about.
//!
//! `RBT_BLESS=1` writes the comments anew; the difference is to be reviewed.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "support/script.rs"]
mod script;

use rbt_grammar::codes::{self, Code};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Codes that no script provokes on the fixture's kernel, and what tests them: a file and
/// something in it that goes when the test goes.
const ELSEWHERE: &[(Code, &str, &str)] = &[
    (codes::MAP_CREATION, "tests/scripts/refused.rt", "[E0801]"),
    (codes::VERIFIER, "runtime/tests/live.rs", "[E0802]"),
    (
        codes::ATTACH,
        "runtime/tests/live.rs",
        "fn what_cannot_be_attached_is_handled_as_configured",
    ),
    (codes::PRIVILEGES, "tests/scripts/refused.rt", "[E0900]"),
    (codes::CHILD, "tests/scripts/cli.rt", "/nonexistent/program"),
    (codes::OUTPUT, "tests/scripts/refused.rt", "[E0903]"),
];

/// Codes that say rbt or its kernel is broken, which no test brings about: a promise of rbt's
/// own, an object of another version, a kernel that does not run `begin`.
const BROKEN: &[Code] = &[codes::INTERNAL, codes::OBJECT, codes::TEST_RUN];

/// A golden: its script and the text that is expected for it.
struct Golden {
    path: PathBuf,
    name: String,
    script: String,
    expected: String,
}

fn read(path: &Path) -> Golden {
    let text = fs::read_to_string(path).expect("a readable golden");
    let lines: Vec<&str> = text.lines().collect();
    let is_comment = |line: &&&str| line.starts_with("//");
    let comments = lines.iter().rev().take_while(is_comment).count();
    let (script, expected) = lines.split_at(lines.len() - comments);
    Golden {
        path: path.to_path_buf(),
        name: script::name_of(path),
        script: format!("{}\n", script.join("\n").trim_end()),
        expected: script::from_comments(expected),
    }
}

/// The code a golden is named by.
fn code_of(name: &str) -> Option<u16> {
    name.strip_prefix('E')?.get(..4)?.parse().ok()
}

fn goldens() -> Vec<Golden> {
    let paths = script::files("tests/errors", "bt");
    paths.iter().map(|path| read(path)).collect()
}

#[test]
fn every_mistake_is_described_as_expected() {
    let wrong = script::with_stack(|| {
        let mut wrong = String::new();
        for golden in goldens() {
            let outcome = script::compile_text(&golden.name, &golden.script, None);
            let diagnostics = &outcome.compiled.diagnostics;
            let found: BTreeSet<_> = diagnostics.iter().map(|d| d.code.0).collect();
            let text = outcome.rendered();
            let code = code_of(&golden.name);
            if !code.is_some_and(|code| found.contains(&code)) {
                wrong.push_str(&format!(
                    "{}: its code is not among {found:?}\n{text}\n\n",
                    golden.name
                ));
            } else if text == golden.expected {
            } else if script::is_blessing() {
                let blessed = format!("{}\n{}", golden.script, script::as_comments(&text));
                fs::write(&golden.path, blessed).expect("a writable golden");
            } else {
                wrong.push_str(&format!("{}\n{text}\n\n", golden.name));
            }
        }
        wrong
    });
    assert!(wrong.is_empty(), "RBT_BLESS=1 accepts these:\n\n{wrong}");
}

/// A mistake that rbt calls its own is never the answer to a script.
#[test]
fn no_mistake_of_a_script_is_called_a_defect_of_rbt() {
    for golden in goldens() {
        assert!(
            !golden.expected.contains("bug[E0000]"),
            "{} blames rbt",
            golden.name
        );
    }
}

#[test]
fn every_code_has_a_golden_or_a_test_elsewhere() {
    let have: BTreeSet<_> = goldens().iter().filter_map(|g| code_of(&g.name)).collect();
    let others = ELSEWHERE.iter().map(|(code, ..)| code).chain(BROKEN);
    let others: BTreeSet<_> = others.map(|code| code.0).collect();
    let rows = codes::TABLE.iter().map(|row| row.code.0);
    let missing: Vec<_> = rows
        .filter(|code| !have.contains(code) && !others.contains(code))
        .collect();
    assert!(missing.is_empty(), "no golden for {missing:?}");
    let twice: Vec<_> = have.intersection(&others).collect();
    assert!(twice.is_empty(), "{twice:?} have goldens");
    for (_, file, text) in ELSEWHERE {
        let found = fs::read_to_string(script::root().join(file)).expect("a readable file");
        assert!(found.contains(text), "{file} no longer has `{text}`");
    }
}

#[test]
fn every_golden_is_named_by_a_code_and_holds_an_explanation() {
    for golden in goldens() {
        let code = code_of(&golden.name).expect("a name like E0201.what_is_wrong.bt");
        assert!(
            codes::TABLE.iter().any(|row| row.code.0 == code),
            "{} is named by no code",
            golden.name
        );
        assert!(!golden.expected.is_empty(), "{}", golden.name);
    }
}
