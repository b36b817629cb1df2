//! Runs one live case against a tracer.
//!
//! Takes a [`Case`] and a tracer's path; starts it, waits for it to say it has attached,
//! triggers what the case asks for, and holds what came against what was expected. Gives the
//! list of what does not agree, empty for a case that passes. Never leaves a process behind.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use regex_lite::Regex;

use crate::cases::{Action, Case, Expectation};

/// Both tracers print this variable's name as a line of stdout once they have attached, when it
/// is set.
const NOTIFY: &str = "__BPFTRACE_NOTIFY_PROBES_ATTACHED";

/// What a run of the tracer gave.
pub struct Outcome {
    /// Without the line that tells us of the attaching.
    pub stdout: String,
    pub stderr: String,
    /// The exit status, or 128 and the signal that ended the tracer.
    pub status: i32,
    /// The tracer was still running when its time was over.
    pub timed_out: bool,
    /// What went wrong around the tracer: its start, or the case's own commands.
    pub trouble: Vec<String>,
}

/// Runs `case` with time limits stretched by `patience`, and gives what does not agree with it.
pub fn run(case: &Case, tracer: &Path, patience: f64) -> Vec<String> {
    match outcome(case, tracer, patience) {
        Ok(outcome) => disagreements(case, &outcome),
        Err(trouble) => vec![trouble],
    }
}

fn outcome(case: &Case, tracer: &Path, patience: f64) -> Result<Outcome, String> {
    let mut background = match &case.before {
        Some(text) => Some(Group(spawn(&mut shell(text), "BEFORE")?)),
        None => None,
    };
    let pid = background
        .as_ref()
        .map_or_else(String::new, |group| group.0.id().to_string());
    let mut command = match &case.action {
        Action::Script(script) => {
            let mut command = Command::new(tracer);
            command
                .args(&case.options)
                .arg("-e")
                .arg(script.replace("{{BEFORE_PID}}", &pid));
            command
        }
        Action::Shell(text) => shell(
            &text
                .replace("{{RBT}}", &tracer.to_string_lossy())
                .replace("{{BEFORE_PID}}", &pid),
        ),
    };
    command
        .env(NOTIFY, "1")
        .envs(case.env.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut tracer = Group(spawn(&mut command, "the tracer")?);
    follow(case, &mut tracer, &mut background, patience)
}

/// What the tracer's output threads report.
enum Piece {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
}

/// Collects the tracer's output until it ends, doing in between what the case asks for.
fn follow(
    case: &Case,
    tracer: &mut Group,
    background: &mut Option<Group>,
    patience: f64,
) -> Result<Outcome, String> {
    let (sender, pieces) = mpsc::channel();
    if let Some(stdout) = tracer.0.stdout.take() {
        forward(stdout, sender.clone(), Piece::Stdout);
    }
    if let Some(stderr) = tracer.0.stderr.take() {
        forward(stderr, sender.clone(), Piece::Stderr);
    }
    drop(sender);

    let deadline = Instant::now() + case.timeout.mul_f64(patience);
    let mut outcome = Outcome {
        stdout: String::new(),
        stderr: String::new(),
        status: 0,
        timed_out: false,
        trouble: Vec::new(),
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut attached = false;
    let mut trigger: Option<Group> = None;
    let mut interrupt_at: Option<Instant> = None;
    let mut status: Option<ExitStatus> = None;
    let mut grace: Option<Instant> = None;
    loop {
        match pieces.recv_timeout(Duration::from_millis(5)) {
            Ok(Piece::Stdout(bytes)) => stdout.extend(bytes),
            Ok(Piece::Stderr(bytes)) => stderr.extend(bytes),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if status.is_some() => break,
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(5)),
        }
        let now = Instant::now();
        // Left unwaited for, a background process that ended would still be there for the tracer.
        if let Some(group) = background {
            let _ = group.0.try_wait();
        }
        if status.is_none() {
            status = tracer.0.try_wait().map_err(|e| format!("wait: {e}"))?;
            // A process the tracer left behind may hold its output open for ever.
            grace = status.map(|_| now + Duration::from_secs(2));
        }
        if grace.is_some_and(|end| now > end) {
            outcome
                .trouble
                .push("something still holds the tracer's output open".to_owned());
            break;
        }
        if !attached && notice(&stdout).is_some() {
            attached = true;
            match &case.after {
                Some(text) => trigger = Some(Group(spawn(&mut shell(text), "AFTER")?)),
                None => interrupt_at = case.interrupt.map(|wait| now + wait),
            }
        }
        if let Some(group) = &mut trigger
            && let Some(ended) = group.0.try_wait().map_err(|e| format!("wait: {e}"))?
        {
            if !ended.success() {
                outcome.trouble.push(format!("AFTER ended with {ended}"));
            }
            trigger = None;
            interrupt_at = case.interrupt.map(|wait| now + wait);
        }
        if interrupt_at.is_some_and(|at| now >= at) {
            interrupt_at = None;
            tracer.signal("INT");
        }
        if status.is_none() && now > deadline {
            outcome.timed_out = true;
            tracer.signal("KILL");
            status = tracer.0.wait().ok();
            grace = Some(now + Duration::from_secs(1));
        }
    }
    if let Some(place) = notice(&stdout) {
        stdout.drain(place..place + NOTIFY.len() + 1);
    }
    outcome.stdout = String::from_utf8_lossy(&stdout).into_owned();
    outcome.stderr = String::from_utf8_lossy(&stderr).into_owned();
    outcome.status = status.map_or(-1, |status| {
        status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
            .unwrap_or(-1)
    });
    Ok(outcome)
}

fn disagreements(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut wrong = outcome.trouble.clone();
    if outcome.timed_out {
        wrong.push(format!("still running after {:?}", case.timeout));
    } else if outcome.status != case.status {
        wrong.push(format!(
            "status {}, expected {}",
            outcome.status, case.status
        ));
    }
    match_stream("stdout", &outcome.stdout, &case.stdout, &mut wrong);
    match_stream("stderr", &outcome.stderr, &case.stderr, &mut wrong);
    if !wrong.is_empty() {
        let exact = case
            .stdout
            .iter()
            .any(|expected| matches!(expected, Expectation::Exactly(_)));
        if !exact {
            wrong.push(quoted("stdout was", &outcome.stdout));
        }
        wrong.push(quoted("stderr was", &outcome.stderr));
    }
    wrong
}

/// Holds one stream against what is expected of it. Lines that must be there are looked for in
/// order: each one after the line that satisfied the one before.
fn match_stream(stream: &str, text: &str, expected: &[Expectation], wrong: &mut Vec<String>) {
    let lines: Vec<&str> = text.lines().collect();
    let mut from = 0;
    for expectation in expected {
        let (what, found) = match expectation {
            Expectation::Exactly(wanted) => {
                if text != wanted {
                    wrong.push(difference(stream, wanted, text));
                }
                continue;
            }
            Expectation::Never(unwanted) => {
                if let Some(line) = lines.iter().find(|line| line.contains(unwanted)) {
                    wrong.push(format!("{stream} has the unwanted line {line:?}"));
                }
                continue;
            }
            Expectation::Line(wanted) => (
                format!("the line {wanted:?}"),
                position(&lines, from, |line| line == wanted),
            ),
            Expectation::Contains(wanted) => (
                format!("a line containing {wanted:?}"),
                position(&lines, 0, |line| line.contains(wanted)),
            ),
            Expectation::Pattern(pattern) | Expectation::Finds(pattern) => {
                let whole = matches!(expectation, Expectation::Pattern(_));
                let full = if whole {
                    format!("^(?:{pattern})$")
                } else {
                    pattern.clone()
                };
                match Regex::new(&full) {
                    Err(e) => {
                        wrong.push(format!("the pattern {pattern:?} is not one: {e}"));
                        continue;
                    }
                    Ok(regex) => {
                        let start = if whole { from } else { 0 };
                        (
                            format!("a line matching {pattern:?}"),
                            position(&lines, start, |line| regex.is_match(line)),
                        )
                    }
                }
            }
        };
        match found {
            None => wrong.push(format!("{stream} lacks {what}")),
            Some(place) => from = place + 1,
        }
    }
}

fn position(lines: &[&str], from: usize, is_it: impl Fn(&str) -> bool) -> Option<usize> {
    (from..lines.len()).find(|&place| is_it(lines[place]))
}

/// The first line at which two texts part, and both texts in full.
fn difference(stream: &str, wanted: &str, got: &str) -> String {
    let same = wanted
        .split_inclusive('\n')
        .zip(got.split_inclusive('\n'))
        .take_while(|(a, b)| a == b)
        .count();
    let mut text = format!("{stream} differs from line {}\n", same + 1);
    text += &quoted("  expected", wanted);
    text.push('\n');
    text += &quoted("  got", got);
    text
}

/// A text with its line ends made visible, each line on its own.
fn quoted(title: &str, text: &str) -> String {
    let mut quoted = format!("{title}:");
    if text.is_empty() {
        quoted.push_str(" nothing");
    }
    let count = text.split_inclusive('\n').count();
    for line in text.split_inclusive('\n').take(60) {
        quoted.push_str(&format!("\n    | {}", line.escape_debug()));
    }
    if count > 60 {
        quoted.push_str(&format!("\n    | ... and {} lines more", count - 60));
    }
    quoted
}

/// Where the line that tells of the attaching begins.
fn notice(stdout: &[u8]) -> Option<usize> {
    let line = format!("{NOTIFY}\n").into_bytes();
    stdout
        .windows(line.len())
        .position(|window| window == line.as_slice())
}

/// A process with a process group of its own, all of which ends with this value.
struct Group(Child);

impl Group {
    /// Sends a signal to the whole group. A group that is gone is not an error: it may have
    /// ended a moment ago.
    fn signal(&self, name: &str) {
        let _ = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("kill -s {name} -- -{}", self.0.id()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal("KILL");
        let _ = self.0.wait();
    }
}

fn shell(text: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(text)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn spawn(command: &mut Command, what: &str) -> Result<Child, String> {
    command
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|e| format!("start {what}: {e}"))
}

fn forward(
    mut from: impl Read + Send + 'static,
    to: mpsc::Sender<Piece>,
    piece: fn(Vec<u8>) -> Piece,
) {
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.send(piece(buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
}
