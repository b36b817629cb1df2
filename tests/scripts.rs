//! The live suite: runs the cases of `tests/scripts/` against a tracer on this kernel.
//!
//! Takes the cases of a folder and the program to try them on, by default the `rbt` of this
//! build. Prints one line a case (`ok`, `FAIL`, `skip`, and `differs` for bpftrace) and a summary;
//! ends with status 1 when a case failed. Never passes over a case silently: a skipped one is
//! printed with its reason and counted. At the end of a whole run it says which rules of
//! `tests/conformance.md` have live cases of which none passed here.
//!
//! The test executable is the runner, so it can be copied to another machine:
//! `scripts-HASH --rbt ./rbt --cases ./scripts [--patience 5] [--jobs 2] [--form written] [NAME...]`.
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
    let counts = Mutex::new([0_usize; 4]);
    let passing = Mutex::new(BTreeSet::new());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, 16) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let verdict = decide(case, options, is_peer);
                    if matches!(verdict, Verdict::Passed) {
                        let mut passing = passing.lock().unwrap_or_else(|e| e.into_inner());
                        passing.insert(case.name.as_str());
                    }
                    // Held while printing, so that two cases' lines do not mix.
                    let mut counts = counts.lock().unwrap_or_else(|e| e.into_inner());
                    counts[report(case, &verdict, begun)] += 1;
                }
            });
        }
    });
    let [passed, failed, skipped, differs] = counts.into_inner().unwrap_or_else(|e| e.into_inner());
    if options.wanted.is_empty() && !is_peer && options.form != Form::Other {
        let passing = passing.into_inner().unwrap_or_else(|e| e.into_inner());
        show_unproven(&options.rules, &passing)?;
    }
    for (why, count) in &in_one_form {
        println!("one form only: {count} cases ({why})");
    }
    println!(
        "scripts: {passed} passed, {failed} failed, {skipped} skipped, {differs} differ, \
         {} not asked for ({:.1} s)",
        all - asked,
        started.elapsed().as_secs_f64()
    );
    Ok(failed)
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
    let mut wrong = live::run(case, &options.tracer, options.patience);
    if !wrong.is_empty() && !is_peer {
        // Cases meet whatever else the machine does. What fails once is run once more, and the
        // first failure is shown all the same.
        println!(
            "again   {} after: {}",
            case.name,
            wrong.join("; ").replace('\n', " | ")
        );
        wrong = live::run(case, &options.tracer, options.patience);
    }
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

/// Prints a case's line, and gives the place of its verdict among the four counts.
fn report(case: &Case, verdict: &Verdict, begun: Instant) -> usize {
    let name = &case.name;
    match verdict {
        Verdict::Passed => {
            println!("ok      {name} ({} ms)", begun.elapsed().as_millis());
            0
        }
        Verdict::Failed(wrong) => {
            println!("FAIL    {name}");
            for text in wrong {
                println!("  {}", text.replace('\n', "\n  "));
            }
            1
        }
        Verdict::Skipped(reason) => {
            println!("skip    {name} ({reason})");
            2
        }
        Verdict::Differs(reason) => {
            println!("differs {name} ({reason})");
            3
        }
    }
}

fn is_bpftrace(tracer: &Path) -> bool {
    Command::new(tracer)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"bpftrace"))
}
