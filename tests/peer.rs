//! The same scripts through rbt and through bpftrace: stdout byte for byte, and the exit status.
//!
//! Takes the live cases that have one answer: their stdout is expected exactly, or their script
//! runs in `begin` and `end` only, names nothing that differs from run to run and answers rbt the
//! same way twice. Cases that say how bpftrace differs, or that need something this machine does
//! not have, are left out; every reason is printed with its count. So is a missing bpftrace, which
//! `tests/peer/setup` installs.
//!
//! What bpftrace answered is kept beside it, in `answers/`: it takes long to start and says the
//! same again. Delete the folder to ask anew.

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

use cases::{Action, Case, Expectation, Peer};
use rbt_grammar::ast::Item;
use rbt_grammar::{ParseOptions, SourceMap};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Seconds that either program may take.
const LIMIT: &str = "30";

/// Words whose values are of one process, one moment or one program.
const PASSING: &[&str] = &[
    "pid",
    "tid",
    "ppid",
    "pcomm",
    "comm",
    "curtask",
    "nsecs",
    "elapsed",
    "jiffies",
    "rand",
    "time",
    "strftime",
    "cpu",
    "kstack",
    "ustack",
    "cpid",
    "leader_tid",
    "leader_comm",
    "cgroup",
    "usermode",
    "kaddr",
    "ksym",
    "percpu_kaddr",
];

fn peer() -> Option<PathBuf> {
    let folder = std::env::var_os("RBT_PEER").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        cache.or(home).map(|cache| cache.join("rbt-peer"))
    });
    folder
        .map(|folder| folder.join("bpftrace"))
        .filter(|path| path.is_file())
}

/// What a program answered.
#[derive(PartialEq, Eq)]
struct Answer {
    stdout: Vec<u8>,
    status: Option<i32>,
    stderr: String,
}

fn ask(tracer: &Path, case: &Case, text: &str) -> Answer {
    let output = Command::new("timeout")
        .args(["--kill-after=2", LIMIT])
        .arg(tracer)
        .args(&case.options)
        .args(["-e", text])
        .envs(case.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .expect("timeout runs");
    Answer {
        stdout: output.stdout,
        status: output.status.code(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What bpftrace answers, from an earlier run if it was asked before.
fn ask_peer(peer: &Path, case: &Case, text: &str) -> (Answer, bool) {
    let mut hasher = std::hash::DefaultHasher::new();
    (text, &case.env, &case.options).hash(&mut hasher);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    (release, peer.metadata().and_then(|m| m.modified()).ok()).hash(&mut hasher);
    let folder = peer.with_file_name("answers");
    let path = folder.join(format!("{:016x}", hasher.finish()));
    let parts = [path.with_extension("status"), path.with_extension("stderr")];
    if let (Ok(stdout), Ok(status), Ok(stderr)) = (
        fs::read(&path),
        fs::read_to_string(&parts[0]),
        fs::read_to_string(&parts[1]),
    ) {
        let status = status.parse().ok();
        let answer = Answer {
            stdout,
            status,
            stderr,
        };
        return (answer, true);
    }
    let answer = ask(peer, case, text);
    // 124 and 137 are of `timeout`: the machine was busy, and may not be next time.
    if let Some(status) = answer.status.filter(|status| ![124, 137].contains(status)) {
        // Not being able to keep it costs time only.
        let _ = fs::create_dir_all(&folder);
        let _ = fs::write(&parts[0], status.to_string());
        let _ = fs::write(&parts[1], &answer.stderr);
        let _ = fs::write(&path, &answer.stdout);
    }
    (answer, false)
}

/// The script of a case that both programs must answer alike.
///
/// Errors: why it is not compared.
fn script_of<'c>(case: &'c Case, rbt: &Path) -> Result<&'c str, String> {
    match &case.peer {
        Peer::Agrees => {}
        Peer::Differs(_) => return Err("bpftrace is known to answer otherwise".to_owned()),
        Peer::Skipped(_) => return Err("bpftrace cannot be asked".to_owned()),
    }
    let Action::Script(text) = &case.action else {
        return Err("a shell command".to_owned());
    };
    if case.before.is_some() || case.after.is_some() || case.interrupt.is_some() {
        return Err("it needs something to happen".to_owned());
    }
    for requirement in &case.requires {
        if needs::unmet(requirement, rbt)?.is_some() {
            return Err("this machine has not what it requires".to_owned());
        }
    }
    let is_exact = |e: &Expectation| matches!(e, Expectation::Exactly(_));
    let has_one_answer = ends_by_itself(text) && !passes(text);
    if !has_one_answer && !case.stdout.iter().any(is_exact) {
        return Err("its answer is not the same each time".to_owned());
    }
    Ok(text)
}

/// Whether all clauses are `begin` and `end`, or none can be read.
fn ends_by_itself(text: &str) -> bool {
    let mut sources = SourceMap::new();
    let id = sources.add("script", text);
    let Some(source) = sources.get(id) else {
        return false;
    };
    let program = rbt_grammar::parse(source, &ParseOptions::default()).program;
    program.items.iter().all(|item| match item {
        Item::Clause(clause) => clause.attach_points.iter().all(|point| {
            let provider = point.parts.first().map_or("", |part| &part.node.text);
            ["begin", "end"]
                .iter()
                .any(|name| provider.eq_ignore_ascii_case(name))
        }),
        _ => true,
    })
}

fn passes(text: &str) -> bool {
    let is_edge = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(is_edge).any(|word| PASSING.contains(&word))
}

/// The first thing a program complains of, in words of its own: without codes and places.
fn complaint(stderr: &str) -> Option<&str> {
    let line = stderr
        .lines()
        .find(|line| line.starts_with("error[") || line.contains("ERROR: "))?;
    let message = match line.split_once("ERROR: ") {
        Some((_, message)) => message,
        None => line.split_once("]: ")?.1,
    };
    // rbt's code stands behind the message.
    let message = message.rsplit_once(" [E").map_or(message, |(text, _)| text);
    Some(message.trim())
}

#[test]
fn both_give_the_same() {
    if let Some(why) = needs::no_privileges() {
        println!("skipped: {why}");
        return;
    }
    let Some(peer) = peer() else {
        println!("skipped: bpftrace is not installed; tests/peer/setup does it");
        return;
    };
    let rbt = PathBuf::from(env!("CARGO_BIN_EXE_rbt"));
    let folder = script::root().join("tests/scripts");
    let all = cases::read_folder(&folder).unwrap_or_else(|e| panic!("{e}"));
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    let mut asked = Vec::new();
    for case in &all {
        match script_of(case, &rbt) {
            Ok(text) => asked.push((case, text)),
            Err(why) => *left_out.entry(why).or_default() += 1,
        }
    }
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let words = Mutex::new((0, Vec::new()));
    let (moving, kept) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |n| n.get().min(4)) {
            scope.spawn(|| {
                while let Some((case, text)) = asked.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ours = ask(&rbt, case, text);
                    if ask(&rbt, case, text).stdout != ours.stdout {
                        println!("moves {}", case.name);
                        moving.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    let (theirs, is_kept) = ask_peer(&peer, case, text);
                    kept.fetch_add(usize::from(is_kept), Ordering::Relaxed);
                    if ours.stdout != theirs.stdout || ours.status != theirs.status {
                        let show = |a: &Answer| {
                            let out = String::from_utf8_lossy(&a.stdout).into_owned();
                            format!("{:?} {out:?} {:?}", a.status, complaint(&a.stderr))
                        };
                        let text = format!(
                            "{}: {text}\n  rbt      {}\n  bpftrace {}",
                            case.name,
                            show(&ours),
                            show(&theirs)
                        );
                        wrong.lock().unwrap().push(text);
                        continue;
                    }
                    let (ours, theirs) = (complaint(&ours.stderr), complaint(&theirs.stderr));
                    if let (Some(ours), Some(theirs)) = (ours, theirs) {
                        let mut words = words.lock().unwrap();
                        if ours == theirs {
                            words.0 += 1;
                        } else {
                            let text = format!("{}: {ours}\n  bpftrace: {theirs}", case.name);
                            words.1.push(text);
                        }
                    }
                }
            });
        }
    });
    for (why, count) in &left_out {
        println!("not compared: {count} cases ({why})");
    }
    let (same, mut other) = words.into_inner().unwrap();
    other.sort();
    println!(
        "complaints in the same words: {same}; in others: {}",
        other.len()
    );
    println!("{}", other.join("\n"));
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    let moving = moving.into_inner();
    println!(
        "{} scripts compared, {} differ, {moving} answered rbt in two ways; {} answers of \
         bpftrace were kept from before",
        asked.len() - moving,
        wrong.len(),
        kept.into_inner()
    );
    assert!(
        wrong.is_empty(),
        "rbt and bpftrace differ:\n{}",
        wrong.join("\n")
    );
    assert!(
        asked.len() > 200,
        "only {} scripts can be compared",
        asked.len()
    );
}
