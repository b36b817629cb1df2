//! Mistakes and what is said about them: each file of `tests/errors` whose code is the parser's
//! is a script, an empty line, and the rendered diagnostics as comments.
//!
//! `RBT_BLESS=1` writes the comments anew; the difference is to be reviewed.

mod common;

use common::parse_text;
use rbt_grammar::{Color, codes};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Codes of the syntax group that later passes give.
const NOT_THE_PARSERS: &[u16] = &[
    codes::INTERNAL.0,
    codes::PREPROCESSOR.0,
    codes::INCLUDE.0,
    codes::C_DEFINITION.0,
];

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
    let comments = lines
        .iter()
        .rev()
        .take_while(|l| l.starts_with("//"))
        .count();
    let (script, expected) = lines.split_at(lines.len() - comments);
    let expected = expected.iter().map(|line| {
        let line = line.trim_start_matches("//");
        line.strip_prefix(' ').unwrap_or(line)
    });
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Golden {
        path: path.to_path_buf(),
        name: name.into_owned(),
        script: format!("{}\n", script.join("\n").trim_end()),
        expected: expected.collect::<Vec<_>>().join("\n"),
    }
}

/// The diagnostics as they are kept: no white space at the ends of lines.
fn render(golden: &Golden) -> (BTreeSet<u16>, String) {
    let (sources, parsed) = parse_text(&golden.name, &golden.script);
    let mut codes = BTreeSet::new();
    let mut text = String::new();
    for diagnostic in &parsed.diagnostics {
        codes.insert(diagnostic.code.0);
        text.push_str(&diagnostic.render(&sources, Color::Never));
    }
    let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
    (codes, lines.join("\n"))
}

fn as_comments(text: &str) -> String {
    let comment = |line: &str| format!("// {line}").trim_end().to_owned() + "\n";
    text.lines().map(comment).collect()
}

/// The code a golden is named by.
fn code_of(name: &str) -> Option<u16> {
    name.strip_prefix('E')?.get(..4)?.parse().ok()
}

fn goldens() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/errors");
    let entries = fs::read_dir(folder).expect("tests/errors is part of the repository");
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    let mut all: Vec<_> = paths.iter().map(|p| read(p)).collect();
    all.retain(|g| code_of(&g.name).is_some_and(|c| c < 100 && !NOT_THE_PARSERS.contains(&c)));
    all
}

#[test]
fn every_mistake_is_described_as_expected() {
    let is_blessing = std::env::var_os("RBT_BLESS").is_some();
    let mut wrong = String::new();
    for golden in goldens() {
        let (codes, text) = render(&golden);
        let code = code_of(&golden.name);
        assert!(
            code.is_some_and(|c| codes.contains(&c)),
            "{}: its code is not among {codes:?}\n{text}",
            golden.name
        );
        if text == golden.expected {
            continue;
        }
        if is_blessing {
            let blessed = format!("{}\n{}", golden.script, as_comments(&text));
            fs::write(&golden.path, blessed).expect("a writable golden");
        } else {
            wrong.push_str(&format!("{}\n{text}\n\n", golden.name));
        }
    }
    assert!(wrong.is_empty(), "RBT_BLESS=1 accepts these:\n\n{wrong}");
}

#[test]
fn every_code_of_the_parser_has_a_golden() {
    let have: BTreeSet<_> = goldens().iter().filter_map(|g| code_of(&g.name)).collect();
    let rows = codes::TABLE.iter().map(|row| row.code.0);
    let missing: Vec<_> = rows
        .filter(|c| *c < 100 && !NOT_THE_PARSERS.contains(c) && !have.contains(c))
        .collect();
    assert!(missing.is_empty(), "no golden for {missing:?}");
}
