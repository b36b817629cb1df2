//! What each stage makes of a script: every file of `tests/stages` is a script, then listings as
//! comments, each under a line such as `// -- asm`.
//!
//! The kernel is the fixture's, so the listings are the same everywhere. `RBT_BLESS=1` writes
//! them anew, those stages that the file already names; the difference is to be reviewed.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "support/script.rs"]
mod script;

use rbt_compiler::Stage;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const HEADER: &str = "// -- ";

/// A golden: its script, and what is expected after each stage it names.
struct Golden {
    script: String,
    stages: Vec<(Stage, String, String)>,
}

fn read(path: &Path) -> Golden {
    let text = fs::read_to_string(path).expect("a readable golden");
    let mut script = Vec::new();
    let mut stages: Vec<(Stage, String, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix(HEADER), stages.last_mut()) {
            (Some(name), _) => {
                let stage = Stage::named(name)
                    .unwrap_or_else(|| panic!("{}: no stage {name}", path.display()));
                stages.push((stage, name.to_owned(), Vec::new()));
            }
            (None, Some((.., lines))) => lines.push(line),
            (None, None) => script.push(line),
        }
    }
    assert!(!stages.is_empty(), "{} names no stage", path.display());
    Golden {
        script: format!("{}\n", script.join("\n").trim_end()),
        stages: stages
            .into_iter()
            .map(|(stage, name, lines)| (stage, name, script::from_comments(&lines)))
            .collect(),
    }
}

#[test]
fn every_stage_is_as_expected() {
    let wrong = script::with_stack(|| {
        let mut wrong = String::new();
        for path in script::files("tests/stages", "bt") {
            let golden = read(&path);
            let name = script::name_of(&path);
            let mut blessed = golden.script.clone();
            let mut differs = false;
            for (stage, called, expected) in &golden.stages {
                let outcome = script::compile_text(&name, &golden.script, Some(*stage));
                let listing = outcome.compiled.listing.clone().unwrap_or_default();
                if outcome.compiled.diagnostics.iter().any(|d| d.is_fatal()) {
                    wrong.push_str(&format!("{name}:\n{}\n", outcome.rendered()));
                }
                let lines: Vec<_> = listing.trim_end().lines().map(str::trim_end).collect();
                let text = lines.join("\n");
                blessed.push_str(&format!(
                    "\n{HEADER}{called}\n{}",
                    script::as_comments(&text)
                ));
                if text != expected.trim_end() {
                    differs = true;
                    if !script::is_blessing() {
                        wrong.push_str(&format!("{name}, {called}:\n{text}\n\n"));
                    }
                }
            }
            if differs && script::is_blessing() {
                fs::write(&path, blessed).expect("a writable golden");
            }
        }
        wrong
    });
    assert!(wrong.is_empty(), "RBT_BLESS=1 accepts these:\n\n{wrong}");
}

#[test]
fn every_stage_has_a_golden() {
    let named: BTreeSet<String> = script::files("tests/stages", "bt")
        .iter()
        .flat_map(|path| read(path).stages)
        .map(|(_, name, _)| name)
        .collect();
    for (_, name) in Stage::ALL {
        assert!(named.contains(*name), "no golden shows {name}");
    }
}

/// Same source, same answers, same bytes.
#[test]
fn compiling_twice_gives_the_same_object() {
    script::with_stack(|| {
        for path in script::files("tests/stages", "bt") {
            let golden = read(&path);
            let object = || {
                let outcome = script::compile_text("script.bt", &golden.script, None);
                let artifact = outcome.compiled.artifact;
                artifact.map(|a| (a.object, format!("{:?}", a.manifest)))
            };
            let first = object();
            assert!(first.is_some(), "{} does not compile", path.display());
            assert!(first == object(), "{}", path.display());
        }
    });
}
