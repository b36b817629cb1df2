//! Who knows whom: walks each crate's manifest and sources and fails on an upward arrow.
//!
//! Reads text only. `ARCHITECTURE.md` has the table that this file holds the code to.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "support/script.rs"]
mod script;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A crate: where it lies, which of the others it may name, and which modules of them if not all.
struct Layer {
    folder: &'static str,
    library: &'static str,
    may_name: &'static [&'static str],
    modules: &'static [(&'static str, &'static [&'static str])],
}

const LAYERS: &[Layer] = &[
    Layer {
        folder: "grammar",
        library: "rbt_grammar",
        may_name: &[],
        modules: &[],
    },
    Layer {
        folder: "compiler",
        library: "rbt_compiler",
        may_name: &["rbt_grammar"],
        modules: &[],
    },
    Layer {
        folder: "runtime",
        library: "rbt_runtime",
        may_name: &["rbt_grammar", "rbt_compiler"],
        // Never the tree, the HIR, the IR.
        modules: &[
            (
                "rbt_compiler",
                &[
                    "arch", "artifact", "btf", "config", "target", "binary", "types", "word",
                ],
            ),
            (
                "rbt_grammar",
                &[
                    "codes",
                    "diagnostic",
                    "source",
                    "Color",
                    "Diagnostic",
                    "Diagnostics",
                    "Severity",
                    "Source",
                    "SourceId",
                    "SourceMap",
                    "Span",
                    "Spanned",
                ],
            ),
        ],
    },
    Layer {
        folder: "stdlib",
        library: "rbt_stdlib",
        may_name: &["rbt_grammar", "rbt_compiler", "rbt_runtime"],
        modules: &[],
    },
    Layer {
        folder: "runtime/cli",
        library: "rbt",
        may_name: &["rbt_grammar", "rbt_compiler", "rbt_runtime", "rbt_stdlib"],
        modules: &[],
    },
];

/// Where aya may be named: what loads, attaches and reads.
const AYA: &[&str] = &[
    "runtime/src/load.rs",
    "runtime/src/load/",
    "runtime/src/program.rs",
    "runtime/src/events.rs",
    "runtime/src/maps.rs",
    "runtime/src/host/features.rs",
    "runtime/src/sys.rs",
];

/// The sources of a layer; the command's lie beside the runtime's.
fn sources(layer: &Layer) -> Vec<PathBuf> {
    let root = script::root();
    let mut found = Vec::new();
    match layer.folder {
        "runtime/cli" => walk(&root.join(layer.folder), &mut found),
        folder => walk(&root.join(folder).join("src"), &mut found),
    }
    assert!(!found.is_empty(), "{} has no sources", layer.folder);
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// A source without its comments: documentation may speak of anything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a readable source");
    let lines = text.lines().map(|line| match line.find("//") {
        Some(0) => "",
        Some(at) if line[..at].trim().is_empty() => "",
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn shown(path: &Path) -> String {
    let root = script::root();
    let shown = path.strip_prefix(&root).unwrap_or(path);
    shown.to_string_lossy().into_owned()
}

/// The word that begins at `at`.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// What is named directly beneath `krate`: `krate::module`, and each of `krate::{a, b}`.
fn named_beneath(code: &str, krate: &str) -> BTreeSet<String> {
    let start = format!("{krate}::");
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(&start) {
        let rest = &code[at + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(word(rest).to_owned());
            continue;
        };
        let mut depth = 0;
        let mut is_start = true;
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => is_start = true,
                c if is_start && !c.is_whitespace() => {
                    found.insert(word(&group[at..]).to_owned());
                    is_start = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn manifests_point_down() {
    for layer in LAYERS {
        let path = script::root().join(layer.folder).join("Cargo.toml");
        let text = fs::read_to_string(&path).expect("a manifest");
        let mut is_dependencies = false;
        for line in text.lines() {
            if line.starts_with('[') {
                is_dependencies = line == "[dependencies]" || line == "[build-dependencies]";
            } else if is_dependencies {
                let name = word(&line.replace('-', "_")).to_owned();
                let is_ours = LAYERS.iter().any(|other| other.library == name);
                assert!(
                    !is_ours || layer.may_name.contains(&name.as_str()),
                    "{} depends on {name}",
                    layer.folder
                );
                assert!(
                    !name.starts_with("aya") || layer.folder == "runtime",
                    "{} depends on {name}",
                    layer.folder
                );
            }
        }
    }
}

#[test]
fn sources_name_what_lies_below() {
    let mut wrong = Vec::new();
    for layer in LAYERS {
        for path in sources(layer) {
            let code = code(&path);
            for other in LAYERS {
                let is_named = code.contains(&format!("{}::", other.library))
                    || code.contains(&format!("use {};", other.library));
                let may = other.library == "rbt" || layer.may_name.contains(&other.library);
                if is_named && !may && other.library != layer.library {
                    wrong.push(format!("{} names {}", shown(&path), other.library));
                }
            }
            for (krate, modules) in layer.modules {
                for name in named_beneath(&code, krate) {
                    if !modules.contains(&name.as_str()) {
                        wrong.push(format!("{} names {krate}::{name}", shown(&path)));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn aya_stays_in_the_rooms_that_load() {
    let mut wrong = Vec::new();
    for layer in LAYERS {
        for path in sources(layer) {
            let name = shown(&path);
            // The compiler's tests hold its objects to aya's reader.
            let is_test = name.ends_with("tests.rs");
            let may = AYA.iter().any(|room| name.starts_with(room));
            let code = code(&path);
            if (code.contains("aya::") || code.contains("aya_obj::")) && !may && !is_test {
                wrong.push(name);
            }
        }
    }
    assert!(wrong.is_empty(), "aya is named in {wrong:#?}");
}

#[test]
fn unsafe_code_stays_in_one_room() {
    for layer in LAYERS {
        for path in sources(layer) {
            let name = shown(&path);
            if name.starts_with("runtime/src/sys") {
                continue;
            }
            let code = code(&path);
            for form in ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"] {
                let is_there = code.match_indices(form).any(|(at, _)| {
                    let before = code[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
                });
                assert!(!is_there, "{name} has `{form}`");
            }
            assert!(
                !code.contains("allow(unsafe_code)") || name == "runtime/src/lib.rs",
                "{name} allows unsafe code"
            );
        }
        let main = match layer.folder {
            "runtime/cli" => "main.rs",
            _ => "src/lib.rs",
        };
        let text = fs::read_to_string(script::root().join(layer.folder).join(main));
        let text = text.expect("a crate's first source");
        let says = match layer.folder {
            "runtime" => "#![deny(unsafe_code)]",
            _ => "#![forbid(unsafe_code)]",
        };
        assert!(text.contains(says), "{} does not say {says}", layer.folder);
    }
}

/// The compiler opens no file and asks nothing of the machine.
#[test]
fn the_compiler_only_computes() {
    for layer in LAYERS
        .iter()
        .filter(|l| ["grammar", "compiler"].contains(&l.folder))
    {
        for path in sources(layer) {
            let name = shown(&path);
            if name.ends_with("tests.rs") || name.contains("/tests/") {
                continue;
            }
            let code = code(&path);
            let code = code.split("#[cfg(test)]").next().unwrap_or_default();
            for room in [
                "std::fs",
                "std::process",
                "std::net",
                "std::env",
                "std::time",
                "libc::",
            ] {
                assert!(!code.contains(room), "{name} names {room}");
            }
        }
    }
}

/// Every source says at its top what it is.
#[test]
fn every_source_opens_with_what_it_is() {
    let without: Vec<_> = LAYERS
        .iter()
        .flat_map(sources)
        .filter(|path| {
            let text = fs::read_to_string(path).expect("a readable source");
            !text.starts_with("//!")
        })
        .map(|path| shown(&path))
        .collect();
    assert!(without.is_empty(), "no module comment in {without:#?}");
}

/// What may lie at the root: the rooms of the house, and what its visitors look for there.
const ROOT: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "compiler",
    "docs",
    "examples",
    "grammar",
    "runtime",
    "stdlib",
    "target",
    "tests",
];

#[test]
fn nothing_else_lies_at_the_root() {
    let entries = fs::read_dir(script::root()).expect("a readable folder");
    let names = entries
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned());
    let strange = names.filter(|n| !n.starts_with('.') && !ROOT.contains(&n.as_str()));
    assert_eq!(strange.collect::<Vec<_>>(), Vec::<String>::new());
}
