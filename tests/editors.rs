//! Highlighting in editors: Vim reads scripts with the files of `grammar/editors/vim` and says what each
//! character is. Skipped, with the reason, where there is no Vim.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The group of highlighting at each place, asked of Vim: `(line, column)`, both from 1.
fn groups(name: &str, text: &str, places: &[(usize, usize)]) -> Option<Vec<String>> {
    let has_syntax = Command::new("vim").arg("--version").output().ok()?;
    if !String::from_utf8_lossy(&has_syntax.stdout).contains("+syntax") {
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("editors-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    let (script, answer) = (folder.join("script.bt"), folder.join("answer"));
    std::fs::write(&script, text).unwrap();
    let _ = std::fs::remove_file(&answer);
    let ask = places.iter().map(|(line, column)| {
        format!(
            "call add(g:found, join(map(synstack({line}, {column}), 'synIDattr(v:val, \"name\")'), ' '))"
        )
    });
    let commands = [
        format!(
            "set nocompatible runtimepath^={}",
            root().join("grammar/editors/vim").display()
        ),
        String::from("filetype plugin on"),
        String::from("syntax on"),
        format!("edit {}", script.display()),
        String::from("let g:found = [&filetype]"),
    ]
    .into_iter()
    .chain(ask)
    .chain([
        format!("call writefile(g:found, '{}')", answer.display()),
        String::from("qa!"),
    ]);
    let file = folder.join("ask.vim");
    std::fs::write(&file, commands.collect::<Vec<_>>().join("\n")).unwrap();
    let output = Command::new("vim")
        .args(["-es", "-u", "NONE", "-i", "NONE", "-S"])
        .arg(&file)
        .output()
        .unwrap();
    let found = std::fs::read_to_string(&answer)
        .unwrap_or_else(|_| panic!("vim gives no answer: {output:?}"));
    let mut lines = found.lines().map(str::to_owned);
    assert_eq!(lines.next().as_deref(), Some("bpftrace"), "the file type");
    Some(lines.collect())
}

/// Where `what` stands in a text, for the `nth` time from 0: line and column.
fn place(text: &str, what: &str, nth: usize) -> (usize, usize) {
    let (at, _) = text.match_indices(what).nth(nth).unwrap();
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    (line, at - before.rfind('\n').map_or(0, |end| end + 1) + 1)
}

#[test]
fn vim_tells_words_and_delimiters_apart() {
    let text = "\
// a comment
tracepoint:sched:sched_switch /args.next_pid > 0/ <
  $x = nsecs >> 2; @m[comm] = count();
  if ($x > 3 && args.prev_pid > 1) { printf(\"a > %d\\n\", $x > 1); }
  @a = $x > $y ? 1 : 2;
  @b = curtask->pid
> kprobe:vfs_read { @c = 1 > 2; }
BEGIN<print(1)>END < @t = 0x10 >
// the end
interval:s:1 < > BEGIN { exit(); }
";
    let expected = [
        ("a comment", 0, "btComment"),
        ("tracepoint", 0, "btProbe btProbeType"),
        ("args", 0, "btPredicate btBuiltin"),
        ("> 0", 0, "btPredicate btGreater"),
        ("<\n", 0, "btAngleAction btDelimiter"),
        ("$x", 0, "btAngleAction btVariable"),
        ("nsecs", 0, "btAngleAction btBuiltin"),
        (">> 2", 0, "btAngleAction btOperator"),
        ("@m", 0, "btAngleAction btMap"),
        ("count", 0, "btAngleAction btFunction"),
        ("if", 0, "btAngleAction btKeyword"),
        ("> 3", 0, "btAngleAction btParen btGreater"),
        ("> %d", 0, "btAngleAction btBlock btParen btString"),
        ("> $y", 0, "btAngleAction"),
        ("->pid", 0, "btAngleAction btMember"),
        ("> kprobe", 0, "btDelimiter"),
        ("kprobe", 0, "btProbe btProbeType"),
        ("> 2; }", 0, "btAction btGreater"),
        ("<print", 0, "btAngleAction btDelimiter"),
        (">END", 0, "btDelimiter"),
        ("END", 0, "btProbeType"),
        ("0x10", 0, "btAngleAction btNumber"),
        (">\n// the", 0, "btDelimiter"),
        ("the end", 0, "btComment"),
        ("> BEGIN", 0, "btDelimiter"),
        ("exit", 0, "btAction btFunction"),
    ];
    let places: Vec<_> = expected
        .iter()
        .map(|(what, nth, _)| place(text, what, *nth))
        .collect();
    let Some(found) = groups("words", text, &places) else {
        println!("skipped: this machine has no Vim with syntax highlighting");
        return;
    };
    for ((what, _, group), found) in expected.iter().zip(found) {
        assert_eq!(found, *group, "at {what:?}");
    }
}

#[test]
fn vim_reads_every_example_to_its_end() {
    for folder in ["examples", "examples/lessons"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|end| end != "bt") {
                continue;
            }
            // Whatever an example leaves open would take in what follows it.
            let text = std::fs::read_to_string(&path).unwrap();
            let text = format!("{}\nBEGIN {{ exit(); }}\n", text.trim_end());
            let last = place(&text, "BEGIN { exit", 0);
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let Some(found) = groups(&name, &text, &[last, (1, 1)]) else {
                println!("skipped: this machine has no Vim with syntax highlighting");
                return;
            };
            assert_eq!(found[0], "btProbeType", "{name}");
            assert!(
                ["btComment", "btShebang"].contains(&found[1].as_str()),
                "{name}"
            );
        }
    }
}

#[test]
fn the_textmate_grammar_is_whole() {
    let path = root().join("grammar/editors/textmate/bpftrace.tmLanguage.json");
    let text = std::fs::read_to_string(path).unwrap();
    let grammar: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rules = grammar["repository"].as_object().unwrap();
    // Every rule that is included is there.
    for part in text.split("\"include\": \"#").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(rules.contains_key(name), "{name}");
    }
    assert_eq!(grammar["scopeName"], "source.bpftrace");
}
