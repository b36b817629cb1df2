//! The live suite: runs the cases of `tests/scripts/` against a tracer on this kernel.
//!
//! Takes the cases of a folder and the program to try them on, by default the `rbt` of this
//! build. Prints one line a case (`ok`, `FAIL`, `skip`, and `differs` for bpftrace) and a summary;
//! ends with status 1 when a case failed. Never passes over a case silently: a skipped one is
//! printed with its reason and counted. At the end of a whole run it says which rules of
//! `tests/conformance.md` have live cases of which none passed here.
//!
//! Cases meet whatever else the machine does, other cases above all. One that fails (`again`, and
//! why) is tried a second time at the end of the run, alone. If it passes then, its line is
//! `second`, and the summary counts and names it; if not, it failed.
//!
//! The test executable is the runner, so it can be copied to another machine:
//! `scripts-HASH --rbt ./rbt --cases ./scripts [--patience 5] [--jobs 2] [--form written] [NAME...]`.
//! `--only FILE` runs the cases that FILE names, one a line, in that order, and `--progress` has a
//! line `begin` printed before each case: of use where the machine itself may not survive one.
//! With `--once` the first attempt is the only one.
//!
//! A case's script is run twice: as it is written, and with its actions in the other form, `< >`
//! for `{ }` and back. `--form written` and `--form other` choose one.
//! Given bpftrace as `--rbt`, it holds the expectations against the program they come from.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/conformance.rs"]
mod conformance;
#[path = "support/form.rs"]
mod form;
#[path = "support/live.rs"]
mod live;
#[path = "support/needs.rs"]
mod needs;
#[path = "support/programs.rs"]
mod programs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use cases::{Action, Case, Peer};

fn main() -> ExitCode {
    let options = match Options::from_arguments(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("scripts: {message}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("scripts: {message}");
            ExitCode::from(2)
        }
    }
}

/// Which form of the scripts' actions is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Written,
    Other,
    Both,
}

/// The sources of the test programs.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/programs");

/// What the command line asked for.
struct Options {
    tracer: PathBuf,
    cases: PathBuf,
    /// Factor on every time limit, for slow machines.
    patience: f64,
    jobs: usize,
    form: Form,
    /// The table of rules and their tests; not there on other machines.
    rules: PathBuf,
    /// The test programs, built elsewhere; else they are built here.
    programs: Option<PathBuf>,
    /// The test programs are built, and their folder is printed, instead of running anything.
    builds_programs: bool,
    /// Names are listed instead of run.
    list: bool,
    /// What is run, named in full by the lines of a file.
    only: Option<PathBuf>,
    /// A case's name is printed before it is run.
    progress: bool,
    /// Nothing is tried a second time.
    once: bool,
    /// Only cases whose name contains one of these; all when empty.
    wanted: Vec<String>,
}

impl Options {
    fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            tracer: PathBuf::from(env!("CARGO_BIN_EXE_rbt")),
            cases: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scripts")),
            rules: PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../tests/conformance.md"
            )),
            patience: 1.0,
            jobs: std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(4)),
            form: Form::Both,
            programs: None,
            builds_programs: false,
            list: false,
            only: None,
            progress: false,
            once: false,
            wanted: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
            match argument.as_str() {
                "--rbt" => options.tracer = value()?.into(),
                "--cases" => options.cases = value()?.into(),
                "--rules" => options.rules = value()?.into(),
                "--patience" => {
                    options.patience = value()?.parse().map_err(|e| format!("--patience: {e}"))?;
                }
                "--jobs" | "--test-threads" => {
                    options.jobs = value()?.parse().map_err(|e| format!("--jobs: {e}"))?;
                }
                "--form" => {
                    options.form = match value()?.as_str() {
                        "written" => Form::Written,
                        "other" => Form::Other,
                        "both" => Form::Both,
                        form => return Err(format!("--form: no form {form}")),
                    };
                }
                "--programs" => options.programs = Some(value()?.into()),
                "--build-programs" => options.builds_programs = true,
                "--list" => options.list = true,
                "--only" => options.only = Some(value()?.into()),
                "--progress" => options.progress = true,
                "--once" => options.once = true,
                // What `cargo test -- FLAG` says to every test executable of the workspace.
                "--nocapture" | "--no-capture" | "--quiet" | "-q" | "--show-output"
                | "--include-ignored" => {}
                flag if flag.starts_with('-') => return Err(format!("no option {flag}")),
                name => options.wanted.push(name.to_owned()),
            }
        }
        Ok(options)
    }
}

/// How a case ended.
enum Verdict {
    Passed,
    /// It failed while others ran, and passed alone.
    PassedAlone,
    /// What was wrong. To be tried once more, when it comes from a first attempt.
    Failed(Vec<String>),
    Skipped(String),
    /// The peer answers otherwise, as the case says it does.
    Differs(String),
}

/// Runs what was asked for; gives the number of failures.
fn run(options: &Options) -> Result<usize, String> {
    if options.builds_programs {
        return match programs::build(Path::new(SOURCES)) {
            Ok(folder) => {
                println!("{}", folder.display());
                Ok(0)
            }
            Err(programs::Trouble::NoCompiler(why) | programs::Trouble::Broken(why)) => Err(why),
        };
    }
    let mut cases = cases::read_folder(&options.cases)?;
    if cases.is_empty() {
        return Err(format!("no case in {}", options.cases.display()));
    }
    let all = cases.len();
    if !options.wanted.is_empty() {
        cases.retain(|case| options.wanted.iter().any(|name| case.name.contains(name)));
    }
    if let Some(file) = &options.only {
        let names =
            std::fs::read_to_string(file).map_err(|e| format!("read {}: {e}", file.display()))?;
        let mut by_name: BTreeMap<String, Case> = cases
            .drain(..)
            .map(|case| (case.name.clone(), case))
            .collect();
        for name in names.lines() {
            let case = by_name.remove(name);
            cases.push(case.ok_or_else(|| format!("{}: no case {name}", file.display()))?);
        }
    }
    if options.list {
        for case in &cases {
            println!("{}: test", case.name);
        }
        return Ok(0);
    }
    let is_peer = is_bpftrace(&options.tracer);
    let asked = cases.len();
    prepare_programs(&mut cases, options)?;
    let mut in_one_form = BTreeMap::new();
    let other: Vec<Case> = if is_peer || options.form == Form::Written {
        Vec::new()
    } else {
        let other = |case: &Case| match in_other_form(case) {
            Ok(case) => Some(case),
            Err(why) => {
                *in_one_form.entry(why).or_insert(0) += 1;
                None
            }
        };
        cases.iter().filter_map(other).collect()
    };
    if options.form == Form::Other {
        cases.clear();
    }
    cases.extend(other);
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, 16) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = begin(case, options);
                    let verdict = decide(case, options, is_peer);
                    // Held while printing, so that two cases' lines do not mix.
                    let mut tally = tally.lock().unwrap_or_else(|e| e.into_inner());
                    if options.once {
                        tally.end(case, &verdict, begun);
                    } else {
                        tally.first(case, verdict, begun);
                    }
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(|e| e.into_inner());
    for case in std::mem::take(&mut tally.again) {
        let begun = begin(case, options);
        tally.last(case, decide(case, options, is_peer), begun);
    }
    if options.wanted.is_empty() && !is_peer && options.form != Form::Other {
        show_unproven(&options.rules, &tally.passing)?;
    }
    for (why, count) in &in_one_form {
        println!("one form only: {count} cases ({why})");
    }
    for name in &tally.alone {
        println!("passed at the second attempt: {name}");
    }
    println!(
        "scripts: {} passed ({} at the second attempt), {} failed, {} skipped, {} differ, \
         {} not asked for ({:.1} s)",
        tally.passed,
        tally.alone.len(),
        tally.failed,
        tally.skipped,
        tally.differing,
        all - asked,
        started.elapsed().as_secs_f64()
    );
    Ok(tally.failed)
}

/// Says which case is about to run, where that is asked for, and gives the time.
fn begin(case: &Case, options: &Options) -> Instant {
    if options.progress {
        println!("begin   {}", case.name);
    }
    Instant::now()
}

/// Has the test programs built, if a case traces any, and tells the cases where they are.
fn prepare_programs(cases: &mut [Case], options: &Options) -> Result<(), String> {
    let mut tracing: Vec<&mut Case> = cases
        .iter_mut()
        .filter_map(|case| case.wants_programs().then_some(case))
        .collect();
    if tracing.is_empty() {
        return Ok(());
    }
    let folder = match &options.programs {
        Some(folder) => Ok(folder.clone()),
        None => programs::build(Path::new(SOURCES)),
    };
    match folder {
        Ok(folder) => {
            let folder = folder.to_string_lossy();
            tracing
                .iter_mut()
                .for_each(|case| case.place_programs(&folder));
        }
        Err(programs::Trouble::NoCompiler(why)) => tracing
            .iter_mut()
            .for_each(|case| case.lacks = Some(why.clone())),
        Err(programs::Trouble::Broken(why)) => return Err(why),
    }
    Ok(())
}

/// The case with its script's actions in the other form.
///
/// Errors: why it has none.
fn in_other_form(case: &Case) -> Result<Case, String> {
    if let Some(why) = &case.only_form {
        return Err(why.clone());
    }
    let Action::Script(text) = &case.action else {
        return Err("a shell command".to_owned());
    };
    Ok(Case {
        name: format!("{} in the other form", case.name),
        action: Action::Script(form::other(text, &[])?),
        ..case.clone()
    })
}

/// Prints the rules that only live cases prove, none of which is among `passing`.
fn show_unproven(rules: &Path, passing: &BTreeSet<&str>) -> Result<(), String> {
    let Ok(text) = std::fs::read_to_string(rules) else {
        println!("rules: not asked, {} is not here", rules.display());
        return Ok(());
    };
    let rows = conformance::read(&text).map_err(|e| format!("{}: {e}", rules.display()))?;
    let is_live = |row: &&conformance::Row| row.cases().count() == row.tests.len();
    let unproven: Vec<_> = rows
        .iter()
        .filter(is_live)
        .filter(|row| !row.cases().any(|name| passing.contains(name)))
        .collect();
    for row in &unproven {
        let why = if row.tests.is_empty() {
            "no test".to_owned()
        } else {
            row.tests.join(", ")
        };
        println!("rule    {}: {} ({why})", row.area, row.feature);
    }
    println!(
        "rules: {} of {} have no case that passed here",
        unproven.len(),
        rows.len()
    );
    Ok(())
}

fn decide(case: &Case, options: &Options, is_peer: bool) -> Verdict {
    if let Some(reason) = needs::no_privileges().or_else(|| case.lacks.clone()) {
        return Verdict::Skipped(reason);
    }
    if let Peer::Skipped(reason) = &case.peer
        && is_peer
    {
        return Verdict::Skipped(reason.clone());
    }
    for requirement in &case.requires {
        match needs::unmet(requirement, &options.tracer) {
            Err(mistake) => return Verdict::Failed(vec![mistake]),
            Ok(Some(reason)) => return Verdict::Skipped(reason),
            Ok(None) => {}
        }
    }
    let wrong = live::run(case, &options.tracer, options.patience);
    match &case.peer {
        Peer::Differs(reason) if is_peer && !wrong.is_empty() => Verdict::Differs(reason.clone()),
        // The note has outlived what it was about.
        Peer::Differs(reason) if is_peer => Verdict::Failed(vec![format!(
            "bpftrace agrees, against the note \"differs: {reason}\""
        )]),
        _ if wrong.is_empty() => Verdict::Passed,
        _ => Verdict::Failed(wrong),
    }
}

/// How many cases ended in which way so far.
#[derive(Default)]
struct Tally<'a> {
    /// At whichever attempt.
    passed: usize,
    failed: usize,
    skipped: usize,
    differing: usize,
    /// The names of those that passed.
    passing: BTreeSet<&'a str>,
    /// Those that failed and were not tried alone yet.
    again: Vec<&'a Case>,
    /// The names of those that passed alone only.
    alone: Vec<&'a str>,
}

impl<'a> Tally<'a> {
    /// Takes note of a first attempt: a failure is not the last word.
    fn first(&mut self, case: &'a Case, verdict: Verdict, begun: Instant) {
        match verdict {
            Verdict::Failed(wrong) => {
                self.again.push(case);
                println!("again   {}", case.name);
                show_wrong(&wrong);
            }
            verdict => self.end(case, &verdict, begun),
        }
    }

    /// Takes note of an attempt alone.
    fn last(&mut self, case: &'a Case, verdict: Verdict, begun: Instant) {
        match verdict {
            Verdict::Passed => self.end(case, &Verdict::PassedAlone, begun),
            verdict => self.end(case, &verdict, begun),
        }
    }

    /// Prints a case's line, and counts it.
    fn end(&mut self, case: &'a Case, verdict: &Verdict, begun: Instant) {
        let name = case.name.as_str();
        let took = begun.elapsed().as_millis();
        match verdict {
            Verdict::Passed => {
                println!("ok      {name} ({took} ms)");
                self.passed += 1;
                self.passing.insert(name);
            }
            Verdict::PassedAlone => {
                println!("second  {name} ({took} ms)");
                self.passed += 1;
                self.passing.insert(name);
                self.alone.push(name);
            }
            Verdict::Failed(wrong) => {
                println!("FAIL    {name}");
                show_wrong(wrong);
                self.failed += 1;
            }
            Verdict::Skipped(reason) => {
                println!("skip    {name} ({reason})");
                self.skipped += 1;
            }
            Verdict::Differs(reason) => {
                println!("differs {name} ({reason})");
                self.differing += 1;
            }
        }
    }
}

/// What belongs to a case's line is indented below it.
fn show_wrong(wrong: &[String]) {
    for text in wrong {
        println!("  {}", text.replace('\n', "\n  "));
    }
}

fn is_bpftrace(tracer: &Path) -> bool {
    Command::new(tracer)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"bpftrace"))
}
