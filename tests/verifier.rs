//! The kernel's verifier takes what rbt makes: of every stage script, every example, and every
//! live case that this machine can run, each loaded by `rbt --dry-run`.
//!
//! Needs root; without it, and for each script that does not apply, the reason is printed and
//! counted.

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
#[path = "support/needs.rs"]
mod needs;
#[path = "support/script.rs"]
mod script;

use std::path::Path;
use std::process::Command;

/// A script to load.
struct Offered {
    name: String,
    text: String,
    parameters: Vec<String>,
    /// Why it is not loaded here, if there is a reason.
    skip: Option<String>,
}

/// A script's positional parameters: those its first line gives, or, of a tool that takes a
/// probe, the first of its usage that needs no kprobe.
fn parameters(text: &str) -> Vec<String> {
    let first = text.lines().next();
    if let Some(given) = first.and_then(|line| line.strip_prefix("// parameters: ")) {
        return given.split_whitespace().map(str::to_owned).collect();
    }
    let head = text.lines().take_while(|line| line.starts_with(['#', '/']));
    let quoted = head.filter_map(|line| line.split('\'').nth(1));
    let mut probes = quoted.filter(|w| w.starts_with("tracepoint:") || w.starts_with("uprobe:"));
    let takes_probe = text.lines().any(|line| line.starts_with("$1 "));
    let probe = probes.next().filter(|_| takes_probe);
    probe.map(str::to_owned).into_iter().collect()
}

fn offered(tracer: &Path) -> Vec<Offered> {
    let mut all = Vec::new();
    for folder in ["tests/stages", "examples"] {
        for path in script::files(folder, "bt") {
            let text = std::fs::read_to_string(&path).expect("a readable script");
            all.push(Offered {
                name: format!("{folder}/{}", script::name_of(&path)),
                parameters: parameters(&text),
                // A case for another kernel than this one compiles here as well, only otherwise;
                // one for another processor names registers and arguments of its own.
                skip: text
                    .lines()
                    .filter_map(|line| line.strip_prefix("// NEEDS: "))
                    .find_map(|need| needs::unmet(need, tracer).expect("a known need"))
                    .or_else(|| other_processor(&text)),
                text,
            });
        }
    }
    let folder = script::root().join("tests/scripts");
    for case in cases::read_folder(&folder).expect("readable cases") {
        // What is meant to be refused is no business of the verifier.
        let (cases::Action::Script(text), 0) = (&case.action, case.status) else {
            continue;
        };
        let unmet = case.requires.iter();
        let mut unmet = unmet.map(|need| needs::unmet(need, tracer).expect("a known need"));
        all.push(Offered {
            name: case.name.clone(),
            text: text.replace("{{BEFORE_PID}}", "1"),
            parameters: Vec::new(),
            skip: unmet.find_map(|reason| reason),
        });
    }
    all
}

/// Why a golden that is for another processor is not offered.
fn other_processor(text: &str) -> Option<String> {
    let features = text
        .lines()
        .find_map(|line| line.strip_prefix("// kernel for: "))?;
    let mut names = features.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let other = names.find(|n| ["x86_64", "aarch64"].contains(n))?;
    (other != std::env::consts::ARCH).then(|| format!("this machine is no {other}"))
}

#[test]
fn the_kernel_takes_every_program() {
    if let Some(reason) = needs::no_privileges() {
        println!("skipped all: {reason}");
        return;
    }
    let tracer = Path::new(env!("CARGO_BIN_EXE_rbt"));
    let (mut taken, mut skipped, mut wrong) = (0, 0, String::new());
    for script in offered(tracer) {
        if let Some(reason) = &script.skip {
            println!("skip {}: {reason}", script.name);
            skipped += 1;
            continue;
        }
        let output = Command::new(tracer)
            .args(["--dry-run", "--unsafe", "-e", &script.text])
            .args(&script.parameters)
            .output()
            .expect("rbt starts");
        if output.status.success() {
            taken += 1;
        } else {
            let said = String::from_utf8_lossy(&output.stderr);
            wrong.push_str(&format!("{}: {}\n{said}\n", script.name, output.status));
        }
    }
    println!("verifier: {taken} taken, {skipped} skipped");
    assert!(wrong.is_empty(), "{wrong}");
}
