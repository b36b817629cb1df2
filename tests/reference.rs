//! The reference, `docs/reference/`, what is installed beside the command,
//! `runtime/cli/packaging/`, and the highlighting of editors, `grammar/editors/`: made of the same
//! tables that the compiler, the command line and `rbt --doc` use. Fails when a file is not what
//! they say; `RBT_BLESS=1` writes all anew.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "support/editors.rs"]
mod editors;
#[path = "support/script.rs"]
mod script;

use rbt_compiler::config;
use rbt_grammar::codes;
use rbt_stdlib::{Kind, Page, pages};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

/// The pages of words: file, title, what stands under the title, kind.
const WORDS: &[(&str, &str, &str, Kind)] = &[
    (
        "probes.md",
        "Probe types",
        "What a clause attaches to: `tracepoint:category:event { … }`. Names may be written in any \
         letter case, aliases exactly.",
        Kind::Probe,
    ),
    (
        "builtins.md",
        "Builtins",
        "Values a script can name. Each may be written as a call too: `pid()`.",
        Kind::Builtin,
    ),
    (
        "functions.md",
        "Functions",
        "What a script can call.",
        Kind::Function,
    ),
    (
        "aggregations.md",
        "Map aggregations",
        "Assigned to a map: `@calls[comm] = count();`. Each CPU keeps its own value, and they are \
         combined when they are read.",
        Kind::Aggregation,
    ),
    (
        "library.md",
        "Words written in the language",
        "Macros of the library in `stdlib/bt/`. A macro of a script with the same parameters takes \
         their place.",
        Kind::Macro,
    ),
];

fn of_words(title: &str, about: &str, kind: Kind) -> String {
    let mut all: Vec<Page> = pages().into_iter().filter(|p| p.kind == kind).collect();
    all.sort_by_key(|page| page.name);
    let mut text = format!("# {title}\n\n{about}\n");
    for page in all {
        let _ = write!(text, "\n## {}\n\n", page.name);
        let _ = writeln!(text, "```text\n{}\n```\n", page.usage.join("\n"));
        let _ = writeln!(text, "{}", wrapped(&page.summary));
        if !page.details.is_empty() {
            let _ = writeln!(text, "\n{}", wrapped(&page.details));
        }
        if !page.aliases.is_empty() {
            let aliases: Vec<_> = page.aliases.iter().map(|a| format!("`{a}`")).collect();
            let _ = writeln!(text, "\nAliases: {}.", aliases.join(", "));
        }
        if page.is_unsafe {
            let _ = writeln!(text, "\nNeeds `--unsafe`.");
        }
        if !page.kernel.is_empty() {
            let _ = writeln!(text, "\n{}", wrapped(&format!("Kernel: {}", page.kernel)));
        }
        if !page.examples.is_empty() {
            let _ = writeln!(text, "\n```c\n{}\n```", page.examples.join("\n\n"));
        }
    }
    text
}

/// Paragraphs in lines of at most 96 characters.
fn wrapped(text: &str) -> String {
    let paragraph = |paragraph: &str| {
        let mut lines = vec![String::new()];
        for word in paragraph.split_whitespace() {
            let last = lines.last_mut().expect("one line at least");
            if last.is_empty() {
                last.push_str(word);
            } else if last.chars().count() + 1 + word.chars().count() <= 96 {
                last.push(' ');
                last.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
        lines.join("\n")
    };
    let paragraphs: Vec<_> = text.split("\n\n").map(paragraph).collect();
    paragraphs.join("\n\n")
}

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn settings() -> String {
    let mut text = String::from(
        "# Settings\n\nSet in a script, `config = { name = value; … }`, or in the environment as \
         `RBT_NAME` or\n`BPFTRACE_NAME`, which win in this order over the script.\n\n\
         | Setting | Meaning |\n| --- | --- |\n",
    );
    for row in config::TABLE {
        let _ = writeln!(text, "| `{}` | {} |", row.name, cell(row.doc));
    }
    text
}

fn messages() -> String {
    let mut text = String::from(
        "# Codes of messages\n\nEvery message names its code; `rbt --explain E0402` prints what \
         stands here.\n",
    );
    for row in codes::TABLE {
        let explanation = wrapped(row.explanation);
        let _ = write!(text, "\n## {}: {}\n\n{explanation}\n", row.code, row.title);
    }
    text
}

/// What rbt prints.
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rbt"))
        .args(arguments)
        .output()
        .expect("rbt runs");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What `rbt --help` says.
fn options() -> String {
    let help = printed(&["--help"]);
    format!("# The command line\n\n```text\n{}\n```\n", help.trim_end())
}

fn all() -> Vec<(&'static str, String)> {
    let mut files: Vec<(&str, String)> = WORDS
        .iter()
        .map(|(file, title, about, kind)| (*file, of_words(title, about, *kind)))
        .collect();
    files.push(("settings.md", settings()));
    files.push(("options.md", options()));
    files.push(("messages.md", messages()));
    let mut index = String::from(
        "# Reference\n\nThese pages are made of the tables that rbt itself uses, by\n\
         `RBT_BLESS=1 cargo test -p rbt --test reference`; `rbt --doc NAME` shows the same in a \
         terminal.\n\n",
    );
    for (file, text) in &files {
        let title = text.lines().next().unwrap_or_default();
        let _ = writeln!(index, "- [{}]({file})", title.trim_start_matches("# "));
    }
    files.push(("README.md", index));
    files
}

/// What is installed beside the command: path from the root, text.
fn installed() -> Vec<(String, String)> {
    let beside: [(&str, &[&str]); 4] = [
        ("runtime/cli/packaging/rbt.8", &["--man"]),
        (
            "runtime/cli/packaging/completions/rbt.bash",
            &["completions", "bash"],
        ),
        (
            "runtime/cli/packaging/completions/_rbt",
            &["completions", "zsh"],
        ),
        (
            "runtime/cli/packaging/completions/rbt.fish",
            &["completions", "fish"],
        ),
    ];
    let beside = beside.map(|(name, arguments)| (name.to_owned(), printed(arguments)));
    let editors = editors::files().into_iter();
    let editors = editors.map(|(name, text)| (format!("grammar/editors/{name}"), text));
    beside.into_iter().chain(editors).collect()
}

#[test]
fn what_is_installed_is_what_the_tables_say() {
    let mut stale = Vec::new();
    for (name, text) in installed() {
        let path = script::root().join(&name);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        if script::is_blessing() {
            let folder = path.parent().expect("a folder");
            fs::create_dir_all(folder).expect("a writable folder");
            fs::write(&path, text).expect("a writable file");
        } else {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} are stale; RBT_BLESS=1 writes them anew"
    );
}

#[test]
fn the_reference_is_what_the_tables_say() {
    let folder = script::root().join("docs/reference");
    let mut stale = Vec::new();
    let files = all();
    for (name, text) in &files {
        let path = folder.join(name);
        if fs::read_to_string(&path).is_ok_and(|there| there == *text) {
            continue;
        }
        if script::is_blessing() {
            fs::create_dir_all(&folder).expect("a writable folder");
            fs::write(&path, text).expect("a writable page");
        } else {
            stale.push(*name);
        }
    }
    let known: BTreeSet<_> = files.iter().map(|(name, _)| *name).collect();
    for path in script::files("docs/reference", "md") {
        let name = script::name_of(&path);
        assert!(known.contains(name.as_str()), "nothing makes {name}");
    }
    assert!(
        stale.is_empty(),
        "{} {} stale; RBT_BLESS=1 writes them anew",
        stale.join(", "),
        if stale.len() == 1 { "is" } else { "are" }
    );
}
