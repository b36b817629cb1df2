//! The parts of the command that need no tracing: help, the manual page, completions, `check`
//! and `fmt`. Runs `rbt` as a user without privileges would, wherever it is started by root.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const RBT: &str = env!("CARGO_BIN_EXE_rbt");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("command-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn rbt(arguments: &[&str]) -> Output {
    Command::new(RBT).args(arguments).output().unwrap()
}

/// The same without any capability; where they cannot be dropped there are none.
fn unprivileged(arguments: &[&str]) -> Output {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !is_root {
        return rbt(arguments);
    }
    Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", RBT])
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every script of `examples/`.
fn examples() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["examples", "examples/lessons"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "bt") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn help_has_topics_and_pages() {
    let contents = stdout(&rbt(&["help"]));
    for topic in ["words", "probes", "codes", "status", "language", "prompt"] {
        assert!(contents.contains(topic), "{contents}");
        let page = rbt(&["help", topic]);
        assert_eq!(page.status.code(), Some(0));
    }
    assert!(stdout(&rbt(&["help", "status"])).contains("255    the kernel refused"));
    assert!(stdout(&rbt(&["help", "printf"])).contains("printf("));
    assert!(stdout(&rbt(&["check", "--help"])).contains("--format"));
    let wrong = rbt(&["help", "prbes"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("did you mean `probes`?"));
    // A file called like a subcommand is run by its path.
    let file = rbt(&["./help"]);
    assert!(stderr(&file).contains("failed to open file './help'"));
}

#[test]
fn check_judges_scripts_without_privileges() {
    let folder = folder("check");
    let bad = folder.join("bad.bt");
    std::fs::write(&bad, "BEGIN {\n  $é = 1;\n}\n").unwrap();
    let bad = bad.to_str().unwrap().to_owned();
    assert_eq!(unprivileged(&["check", &bad]).status.code(), Some(1));

    let text = "tracepoint:sched:sched_switch { @[args.next_comm] = count(); }\n\
                BEGIN < for ($kv : @) { print($kv); } $x = coun(); >\n";
    std::fs::write(&bad, text).unwrap();
    let found = unprivileged(&["check", &bad]);
    assert_eq!(found.status.code(), Some(1));
    assert!(stderr(&found).contains("Unknown function: 'coun' [E0300]"));
    assert!(
        !stderr(&found).contains("needs Linux"),
        "{}",
        stderr(&found)
    );

    let found = unprivileged(&["check", "--format", "json", &bad]);
    assert_eq!(found.status.code(), Some(1));
    let findings: Vec<Value> = stdout(&found)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let error = findings.iter().find(|f| f["severity"] == "error").unwrap();
    assert_eq!(error["code"], "E0300");
    assert_eq!(error["message"], "Unknown function: 'coun'");
    assert_eq!(error["help"][0], "did you mean `count`?");
    let span = &error["spans"][0];
    assert_eq!(span["file"], bad.as_str());
    assert_eq!((&span["line"], &span["column"]), (&2.into(), &44.into()));
    let bytes = span["start"].as_u64().unwrap() as usize..span["end"].as_u64().unwrap() as usize;
    assert_eq!(&text[bytes], "coun");
    // What only root may see is no mistake of the script.
    assert!(
        findings
            .iter()
            .all(|f| f["severity"] == "note" || f["code"] != "E0901")
    );
    assert_eq!(rbt(&["check"]).status.code(), Some(1));
    assert_eq!(
        rbt(&["check", "--format", "xml", &bad]).status.code(),
        Some(1)
    );
    assert_eq!(rbt(&["check", "/nonexistent.bt"]).status.code(), Some(1));
}

#[test]
fn check_finds_nothing_wrong_with_the_examples() {
    for path in examples() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut line = vec!["check", "--format", "json", path.to_str().unwrap()];
        let is_generic = text.lines().any(|line| line.starts_with("$1 {"));
        if is_generic {
            line.extend(["--", "kprobe:vfs_read", "1"]);
        }
        let found = unprivileged(&line);
        // What this kernel does not have is a matter of the machine.
        let errors = stdout(&found);
        let errors: Vec<&str> = errors
            .lines()
            .filter(|line| {
                let finding: Value = serde_json::from_str(line).unwrap();
                finding["severity"] == "error"
                    && !["E0102", "E0901", "E0101"].contains(&finding["code"].as_str().unwrap())
            })
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
    }
}

#[test]
fn fmt_is_idempotent_and_keeps_comments() {
    let folder = folder("fmt");
    let comments = |text: &str| {
        let lines = text.lines().filter_map(|line| line.split_once("//"));
        lines
            .map(|(_, comment)| comment.trim().to_owned())
            .collect::<Vec<_>>()
    };
    for path in examples() {
        let before = std::fs::read_to_string(&path).unwrap();
        let copy = folder.join(path.file_name().unwrap());
        std::fs::write(&copy, &before).unwrap();
        let copy_name = copy.to_str().unwrap();
        assert!(rbt(&["fmt", "-i", copy_name]).status.success());
        let once = std::fs::read_to_string(&copy).unwrap();
        assert_eq!(comments(&before), comments(&once), "{}", path.display());
        let check = rbt(&["fmt", "--check", copy_name]);
        assert_eq!(stdout(&check), "", "{once}");
        assert_eq!(check.status.code(), Some(0));
        assert_eq!(stdout(&rbt(&["fmt", copy_name])), once);
    }
    let file = folder.join("angle.bt");
    let name = file.to_str().unwrap();
    std::fs::write(&file, "BEGIN<print(1);>END{print(2)}").unwrap();
    let check = rbt(&["fmt", "--check", name]);
    assert_eq!(check.status.code(), Some(1));
    assert_eq!(stdout(&check), format!("{name}\n"));
    assert!(rbt(&["fmt", "--in-place", name]).status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        text,
        "BEGIN {\n    print(1);\n}\n\nEND {\n    print(2)\n}\n"
    );
    // What cannot be parsed stays as it is.
    std::fs::write(&file, "BEGIN { print(1").unwrap();
    assert_eq!(rbt(&["fmt", "-i", name]).status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "BEGIN { print(1");
}

#[test]
fn the_manual_page_is_roff() {
    let page = rbt(&["--man"]);
    assert!(stdout(&page).contains(".SH EXIT STATUS"));
    if Command::new("groff").arg("-v").output().is_err() {
        println!("skipped: this machine has no command groff");
        return;
    }
    let file = folder("man").join("rbt.8");
    std::fs::write(&file, &page.stdout).unwrap();
    let shown = Command::new("groff")
        .args(["-man", "-Tutf8", "-ww", "-z"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(stderr(&shown), "");
    assert!(shown.status.success());
}

#[test]
fn bash_completes() {
    let folder = folder("bash");
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::os::unix::fs::symlink(RBT, bin.join("rbt")).unwrap();
    let script = "\
source <(rbt completions bash)
compopt() { :; }
try() {
    COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) COMP_LINE=\"$*\" COMP_POINT=${#COMP_LINE}
    _rbt
    echo \"$*|${COMPREPLY[*]}\"
}
try rbt --emit-e
try rbt comp
try rbt -q fmt --in-
try rbt tools execsn
try rbt help statu
try rbt --doc lhis
try rbt --explain E0402
try rbt -o out -f js
try rbt --color = alw
try rbt -d hi
try rbt -l interva
try rbt -l software : page-fau
try rbt -e \"'software:page-fau\"
complete -p rbt
";
    let output = Command::new("bash")
        .args(["--norc", "-c", script])
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .current_dir(&folder)
        .output()
        .unwrap();
    let expected = "\
rbt --emit-e|--emit-elf
rbt comp|completions
rbt -q fmt --in-|--in-place
rbt tools execsn|execsnoop
rbt help statu|status
rbt --doc lhis|lhist
rbt --explain E0402|E0402
rbt -o out -f js|json
rbt --color = alw|always
rbt -d hi|hir
rbt -l interva|interval:
rbt -l software : page-fau|page-faults:
rbt -e 'software:page-fau|software:page-faults: software:page-faults: {
complete -F _rbt rbt
";
    assert_eq!(stdout(&output), expected, "{}", stderr(&output));
}

#[test]
fn zsh_and_fish_take_their_completions() {
    for shell in ["zsh", "fish"] {
        let text = rbt(&["completions", shell]);
        assert!(text.status.success());
        if Command::new(shell).args(["-c", "true"]).output().is_err() {
            println!("skipped: this machine has no command {shell}");
            continue;
        }
        let file = folder(shell).join("completion");
        std::fs::write(&file, &text.stdout).unwrap();
        let read = Command::new(shell).arg("-n").arg(&file).output().unwrap();
        assert!(read.status.success(), "{shell}: {}", stderr(&read));
        if shell == "fish" {
            let line = format!(
                "source {}; complete -C 'rbt --emit-e'; complete -C 'rbt tools execsn'; complete \
                 -C 'rbt che'",
                file.display()
            );
            let answer = Command::new(shell)
                .args(["-N", "-c", &line])
                .output()
                .unwrap();
            let answer = stdout(&answer);
            for word in ["--emit-elf\t", "execsnoop\n", "check\n"] {
                assert!(answer.contains(word), "{word}: {answer}");
            }
        }
    }
    assert_eq!(rbt(&["completions", "tcsh"]).status.code(), Some(1));
}

#[test]
fn colors_are_a_choice() {
    let colored = |output: &Output| stderr(output).contains('\x1b');
    let wrong = ["check", "-e", "BEGIN { x }"];
    assert!(!colored(&rbt(&wrong)));
    assert!(colored(
        &rbt(&[&wrong[..], &["--color", "always"]].concat())
    ));
    let environment = |name: &str, value: &str, more: &[&str]| {
        Command::new(RBT)
            .args(wrong)
            .args(more)
            .env(name, value)
            .output()
            .unwrap()
    };
    assert!(colored(&environment("RBT_COLOR", "always", &[])));
    assert!(!colored(&environment(
        "RBT_COLOR",
        "always",
        &["--color=never"]
    )));
    assert!(colored(&environment("NO_COLOR", "1", &["--color=always"])));
    let refused = rbt(&["--color", "mauve", "-e", "BEGIN { }"]);
    assert_eq!(refused.status.code(), Some(1));
}

/// Every file that the Debian package is told to hold is there, and nothing generated is missing
/// from it.
#[test]
fn the_package_finds_what_it_holds() {
    let manifest = root().join("runtime/cli/Cargo.toml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let (_, assets) = text.split_once("\nassets = [\n").unwrap();
    let (assets, _) = assets.split_once("\n]\n").unwrap();
    let mut held = Vec::new();
    for line in assets.lines() {
        let parts: Vec<&str> = line.split('"').collect();
        let (from, to, mode) = (parts[1], parts[3], parts[5]);
        assert!(to.starts_with("usr/"), "{line}");
        if from == "target/release/rbt" {
            assert_eq!((to, mode), ("usr/bin/", "755"));
            continue;
        }
        let path = root().join("runtime/cli").join(from);
        let Some(end) = from.rsplit('/').next().unwrap().strip_prefix('*') else {
            assert!(path.is_file(), "{from}");
            held.push(match from.strip_prefix("../../") {
                Some(below_root) => below_root.to_owned(),
                None => format!("runtime/cli/{from}"),
            });
            continue;
        };
        let mut files = std::fs::read_dir(path.parent().unwrap()).unwrap();
        let fits = |name: &std::ffi::OsStr| name.to_string_lossy().ends_with(end);
        assert!(files.any(|file| fits(&file.unwrap().file_name())), "{from}");
    }
    for folder in [
        "runtime/cli/packaging",
        "runtime/cli/packaging/completions",
        "grammar/editors/vim/syntax",
    ] {
        for file in std::fs::read_dir(root().join(folder)).unwrap() {
            let file = file.unwrap();
            let name = format!("{folder}/{}", file.file_name().to_string_lossy());
            assert!(file.path().is_dir() || held.contains(&name), "{name}");
        }
    }
}
