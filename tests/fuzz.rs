//! Text that is no script: whatever the bytes, compiling gives diagnostics or an object that
//! aya's reader takes, and never a panic.
//!
//! The corpus is every script of the repository; each is cut, joined, and has tokens and bytes
//! changed. `RBT_FUZZ=SEED` begins elsewhere and `RBT_FUZZ_ROUNDS` goes on for longer; a failure
//! prints its seed and the text.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "support/random.rs"]
mod random;
#[path = "support/script.rs"]
mod script;

use random::Random;
use rbt_grammar::Severity;
use rbt_stdlib::VOCABULARY;
use std::panic::{AssertUnwindSafe, catch_unwind};

const ROUNDS: u64 = 4000;

/// Every script of the repository without what goldens expect of it.
fn corpus() -> Vec<String> {
    let mut texts = Vec::new();
    for folder in [
        "tests/stages",
        "tests/errors",
        "examples",
        "grammar/tests/corpus",
    ] {
        for path in script::files(folder, "bt") {
            let text = std::fs::read_to_string(path).expect("a readable script");
            let lines = text.lines().filter(|line| !line.starts_with("//"));
            texts.push(lines.collect::<Vec<_>>().join("\n"));
        }
    }
    let vocabulary = &VOCABULARY;
    let functions = vocabulary.functions.iter().map(|w| w.doc());
    let aggregations = vocabulary.aggregations.iter().map(|w| w.doc());
    let builtins = vocabulary.builtins.iter().map(|w| w.doc());
    let docs = functions.chain(aggregations).chain(builtins);
    texts.extend(docs.flat_map(|d| d.examples.iter().map(|e| (*e).to_owned())));
    // What makes the compiler slow rather than wrong is tested elsewhere.
    texts.retain(|text| text.len() < 3000);
    texts
}

/// Pieces worth putting anywhere.
const PIECES: &[&str] = &[
    "0",
    "1",
    "-1",
    "0x7fffffffffffffff",
    "18446744073709551615",
    "-9223372036854775808",
    "\"\"",
    "\"text\"",
    "@",
    "@a",
    "@a[1]",
    "@a[comm, 1]",
    "$x",
    "$x.0",
    "$1",
    "pid",
    "comm",
    "args",
    "args.filename",
    "curtask",
    "(uint8)",
    "(int64)",
    "(struct task_struct *)",
    "(string[5])",
    "*",
    "&",
    "/",
    "%",
    "<<",
    ">>",
    "==",
    "<",
    ">",
    "&&",
    "||",
    "?",
    ":",
    "++",
    "--",
    "+=",
    "=",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ";",
    ",",
    ".",
    "->",
    "if",
    "else",
    "for",
    "while",
    "unroll",
    "break",
    "continue",
    "return",
    "let",
    "macro",
    "fn",
    "config",
    "sizeof",
    "offsetof",
    "comptime",
    "true",
    "count()",
    "sum(1)",
    "hist(1)",
    "lhist(1, 0, 10, 1)",
    "avg(1)",
    "stats(1)",
    "print(",
    "printf(\"%d\",",
    "str(",
    "buf(",
    "exit()",
    "clear(@a)",
    "delete(@a)",
    "BEGIN",
    "interval:s:1",
    "tracepoint:syscalls:sys_enter_*",
    "(1, 2)",
    "(1, \"a\").1",
    "\n",
    "0..10",
    "kstack",
    "ustack",
    "nsecs",
    "1e9",
    "5ms",
    "~",
    "!",
    "-",
    "struct s { int a; }",
];

fn mutate(random: &mut Random, corpus: &[String]) -> String {
    let mut bytes = random.pick(corpus).clone().into_bytes();
    for _ in 0..=random.below(5) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let length = random.below(12) as usize;
        let end = (at + length).min(bytes.len());
        match random.below(8) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() as u64 + 1) as usize;
                bytes.splice(to..to, piece);
            }
            2 => {
                let byte = random.next() as u8;
                bytes.splice(at..at, [byte]);
            }
            3 => {
                let other = random.pick(corpus).as_bytes();
                let from = random.below(other.len() as u64 + 1) as usize;
                let to = (from + random.below(60) as usize).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            4 => bytes.truncate(at.max(1)),
            5 => replace_word(&mut bytes, at, random.pick::<&str>(PIECES)),
            _ => {
                let piece = format!(" {} ", random.pick(PIECES));
                bytes.splice(at..at, piece.into_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Replaces the word or number around `at`.
fn replace_word(bytes: &mut Vec<u8>, at: usize, by: &str) {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let start = at - bytes[..at].iter().rev().take_while(|b| is_part(b)).count();
    let end = at + bytes[at..].iter().take_while(|b| is_part(b)).count();
    bytes.splice(start..end, by.bytes());
}

/// What is wrong with what came of `text`, if something is.
fn complaint(text: &str) -> Option<String> {
    let compiled = catch_unwind(AssertUnwindSafe(|| {
        let outcome = script::compile_text("script.bt", text, None);
        let rendered = outcome.rendered();
        (outcome.compiled, rendered)
    }));
    let Ok((compiled, rendered)) = compiled else {
        return Some("it panicked".to_owned());
    };
    let mut diagnostics = compiled.diagnostics.iter();
    if diagnostics.any(|d| d.severity == Severity::Bug) {
        return Some(rendered);
    }
    let has_errors = compiled.diagnostics.iter().any(|d| d.is_fatal());
    match compiled.artifact {
        None if has_errors => None,
        None => Some(String::from("neither an object nor an error")),
        Some(_) if has_errors => Some(format!("an object in spite of errors\n{rendered}")),
        Some(artifact) => match aya_obj::Object::parse(&artifact.object) {
            Ok(_) => None,
            Err(error) => Some(format!("aya's reader says: {error}")),
        },
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_text_breaks_the_compiler() {
    let first = number("RBT_FUZZ").unwrap_or(1);
    let rounds = number("RBT_FUZZ_ROUNDS").unwrap_or(ROUNDS);
    let (wrong, objects) = script::with_stack(move || {
        let corpus = corpus();
        let mut wrong = Vec::new();
        let mut objects = 0;
        for seed in first..first + rounds {
            let text = mutate(&mut Random::new(seed), &corpus);
            match complaint(&text) {
                Some(what) if wrong.len() < 10 => {
                    wrong.push(format!("RBT_FUZZ={seed}: {what}\n{text}\n"));
                }
                Some(_) => break,
                None => objects += 1,
            }
        }
        (wrong, objects)
    });
    println!("{objects} texts were answered");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_corpus_itself_is_answered() {
    let wrong = script::with_stack(|| {
        let texts = corpus();
        let wrong = texts
            .iter()
            .filter_map(|t| complaint(t).map(|w| format!("{w}\n{t}")));
        wrong.collect::<Vec<_>>()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
