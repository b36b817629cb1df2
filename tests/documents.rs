//! Runs the commands of the documents: every `# rbt …` in a `console` block gives exactly what
//! is shown beneath it, stdout and stderr together.
//!
//! Needs root, as the commands do; without it the test says so and counts what it skipped.
//! `text` blocks show what differs from machine to machine and are not run.

use std::path::Path;
use std::process::Command;

/// A command and what is shown beneath it.
struct Shown {
    line: usize,
    command: String,
    output: String,
}

/// The commands of a document's `console` blocks.
fn shown(text: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut is_console = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if is_console {
            if let Some(command) = line.strip_prefix("# ") {
                found.push(Shown {
                    line: number + 1,
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

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|o| o.stdout == b"0\n")
}

#[test]
fn every_command_gives_what_is_shown() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let rbt = Path::new(env!("CARGO_BIN_EXE_rbt"));
    let folder = rbt.parent().expect("a binary lies in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut failures = String::new();
    let mut count = 0;
    for name in ["README.md"] {
        let text = std::fs::read_to_string(root.join(name)).expect("the document is readable");
        let commands = shown(&text);
        assert!(!commands.is_empty(), "{name} has no console blocks");
        if !is_root() {
            println!("skipped {} commands of {name}: needs root", commands.len());
            continue;
        }
        for Shown {
            line,
            command,
            output,
        } in commands
        {
            let run = Command::new("sh")
                .arg("-c")
                .arg(format!("{{ {command}\n}} 2>&1"))
                .env("PATH", format!("{}:{path}", folder.display()))
                .current_dir(&root)
                .output()
                .expect("sh runs");
            let got = String::from_utf8_lossy(&run.stdout);
            count += 1;
            if got != output {
                failures.push_str(&format!(
                    "{name}:{line}: {command}\n--- shown\n{output}--- got\n{got}\n"
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    println!("{count} commands");
}
