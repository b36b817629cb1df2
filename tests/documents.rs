//! Runs the commands of the documents. The block that a `# rbt …` stands in says how.
//!
//! | Block | The command |
//! | --- | --- |
//! | `console` | gives exactly what is shown beneath it, stdout and stderr together |
//! | `console live` | differs from machine to machine: ends well, complains of nothing and, where something is shown beneath it, says something |
//! | `console kprobe` | the same where the kernel has kprobes and tracing programs; elsewhere it is only parsed, and counted as such |
//!
//! Needs root, as the commands do; without it the test says so and counts what it skipped.
//! `text` blocks are not run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// How a command is tried.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Exact,
    Live,
    Kprobe,
}

impl Kind {
    fn of(fence: &str) -> Option<Kind> {
        match fence {
            "```console" => Some(Kind::Exact),
            "```console live" => Some(Kind::Live),
            "```console kprobe" => Some(Kind::Kprobe),
            _ => None,
        }
    }
}

/// A command and what is shown beneath it.
struct Shown {
    line: usize,
    kind: Kind,
    command: String,
    output: String,
}

/// The commands of a document's `console` blocks. A line that opens no command and belongs to
/// an unfinished quotation goes on with the command above it.
fn shown(text: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut block = None;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            block = Kind::of(line);
        } else if let Some(kind) = block {
            let open = found
                .last_mut()
                .filter(|s| s.output.is_empty() && s.command.matches('\'').count() % 2 == 1);
            if let Some(open) = open {
                open.command.push('\n');
                open.command.push_str(line);
            } else if let Some(command) = line.strip_prefix("# ") {
                found.push(Shown {
                    line: number + 1,
                    kind,
                    command: command.to_owned(),
                    output: String::new(),
                });
            } else if let Some(last) = found.last_mut() {
                last.output.push_str(line);
                last.output.push('\n');
            }
        }
    }
    found
}

/// Every document whose commands are for the reader to type.
fn documents(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.join("README.md")];
    let docs = std::fs::read_dir(root.join("docs")).expect("docs/ is readable");
    found.extend(
        docs.flatten()
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "md")),
    );
    found.sort();
    found
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|o| o.stdout == b"0\n")
}

/// Whether everything that a `kprobe` block asks for is there.
fn has_kprobes(rbt: &Path) -> bool {
    let info = Command::new(rbt).arg("--info").output().expect("rbt runs");
    let info = String::from_utf8_lossy(&info.stdout).into_owned();
    ["kprobe: yes", "tracing: yes"]
        .iter()
        .all(|line| info.contains(line))
}

#[test]
fn every_command_gives_what_is_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let rbt = Path::new(env!("CARGO_BIN_EXE_rbt"));
    let folder = rbt.parent().expect("a binary lies in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let kprobes = has_kprobes(rbt);
    let (mut failures, mut count, mut parsed) = (String::new(), 0, 0);
    let mut total = 0;
    for document in documents(&root) {
        let name = document
            .strip_prefix(&root)
            .unwrap_or(&document)
            .display()
            .to_string();
        let text = std::fs::read_to_string(&document).expect("the document is readable");
        let commands = shown(&text);
        total += commands.len();
        if !is_root() {
            println!("skipped {} commands of {name}: needs root", commands.len());
            continue;
        }
        for Shown {
            line,
            kind,
            command,
            output,
        } in commands
        {
            let is_parsed = kind == Kind::Kprobe && !kprobes;
            // What does not end by itself is stopped as a reader would.
            let typed = match (is_parsed, kind) {
                (true, _) => command.replacen("rbt ", "rbt -d ast ", 1),
                (false, Kind::Exact) => command.clone(),
                (false, _) => format!("timeout --foreground --preserve-status -s INT 4 {command}"),
            };
            let run = Command::new("sh")
                .arg("-c")
                .arg(format!("{{ {typed}\n}} 2>&1"))
                .env("PATH", format!("{}:{path}", folder.display()))
                .env("LC_ALL", "C")
                .current_dir(&root)
                .output()
                .expect("sh runs");
            let got = String::from_utf8_lossy(&run.stdout);
            let is_right = match kind {
                Kind::Exact => got == output,
                _ => {
                    let complains = ["ERROR", "WARNING"].iter().any(|word| got.contains(word));
                    let says = got
                        .lines()
                        .any(|l| !l.is_empty() && !l.starts_with("Attached"));
                    run.status.success() && !complains && (says || output.is_empty())
                }
            };
            if is_parsed {
                parsed += 1;
            } else {
                count += 1;
            }
            if !is_right {
                failures.push_str(&format!(
                    "{name}:{line}: {command}\n--- shown ({kind:?})\n{output}--- got ({})\n{got}\n",
                    run.status
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(total > 50, "only {total} commands were found");
    println!(
        "{count} commands run, {parsed} only parsed: this kernel lacks kprobes or tracing programs"
    );
}

/// The targets of a document's links that are files, as it writes them.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in text.split("](").skip(1) {
        let target = part.split(')').next().unwrap_or_default();
        let file = target.split('#').next().unwrap_or_default();
        if !file.is_empty() && !file.contains("://") && !file.contains([' ', '`', '\n']) {
            found.push(file);
        }
    }
    found
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_in_the_book() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let summary = std::fs::read_to_string(root.join("docs/SUMMARY.md")).expect("docs/SUMMARY.md");
    let mut failures = String::new();
    for document in documents(&root) {
        let text = std::fs::read_to_string(&document).expect("the document is readable");
        let folder = document.parent().expect("a file lies in a folder");
        for link in links(&text) {
            if !folder.join(link).exists() {
                failures.push_str(&format!("{}: no {link}\n", document.display()));
            }
        }
        let is_page = folder == root.join("docs") && !document.ends_with("SUMMARY.md");
        let name = document
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if is_page && !links(&summary).contains(&name) {
            failures.push_str(&format!("docs/SUMMARY.md leaves out {name}\n"));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
