//! `bench` and `test` clauses: run on their own, and reported on.
//!
//! Takes a loaded session whose probes are not attached; gives an exit status. What `begin`
//! and benchmarks print is dropped; what a test prints is shown if it failed.

use std::time::{Duration, Instant};

use rbt_compiler::artifact::When;
use rbt_grammar::codes;
use rbt_grammar::diagnostic::Diagnostic;

use super::{Mode, Session};
use crate::error::Error;
use crate::output::{OutputFormat, json_string};

/// How long a benchmark is to run, about.
const BENCH_TIME: Duration = Duration::from_millis(20);

/// Runs that a benchmark's length is guessed from, and that warm it up.
const FIRST_RUNS: u32 = 1000;

/// Columns of a benchmark's name at least, and of its time.
const NAME_COLUMNS: usize = 40;
const TIME_COLUMNS: usize = 15;

/// Colours of a terminal, as tests are known to be reported.
const GREEN: &str = "\u{1b}[32m";
const RED: &str = "\u{1b}[31m";
const PLAIN: &str = "\u{1b}[0m";

/// What came of a test.
struct Outcome {
    name: String,
    took: Duration,
    has_passed: bool,
    output: Vec<u8>,
}

impl Mode {
    /// The clauses that it runs.
    fn when(self) -> Option<When> {
        match self {
            Mode::Trace => None,
            Mode::Bench => Some(When::Bench),
            Mode::Test => Some(When::Test),
        }
    }
}

impl Session<'_> {
    /// Whether the mode has clauses of its own to run, so that nothing is attached.
    pub(super) fn has_trials(&self) -> bool {
        let wanted = self.options.mode.when();
        wanted.is_some_and(|when| self.programs.iter().any(|p| p.plan.when == when))
    }

    /// Runs and reports them all; gives the exit status.
    pub(super) fn run_trials(&mut self) -> Result<i32, Error> {
        self.skip()?;
        let status = match self.options.mode {
            Mode::Test => self.run_tests()?,
            Mode::Trace | Mode::Bench => {
                self.run_benchmarks()?;
                0
            }
        };
        self.run_programs(When::End)?;
        // Benchmarks lose most of what they send, which is nothing to tell.
        self.render(usize::MAX)?;
        self.report.printer.finish_events()?;
        self.report.printer.flush()?;
        Ok(status)
    }

    /// The texts of the programs that run then, and their indexes.
    fn trials(&self, when: When) -> Vec<(usize, String)> {
        let sites = &self.report.decoder.manifest.sites;
        let programs = self.programs.iter().enumerate();
        programs
            .filter(|(_, program)| program.plan.when == when)
            .map(|(index, program)| {
                let site = program.attachments.first();
                let site = site.and_then(|a| sites.get(a.site.0 as usize));
                let text = site.map_or("", |site| site.text.as_str());
                let (_, name) = text.split_once(':').unwrap_or(("", text));
                (index, name.to_owned())
            })
            .collect()
    }

    fn run_benchmarks(&mut self) -> Result<(), Error> {
        let mut results = Vec::new();
        for (index, name) in self.trials(When::Bench) {
            let Some(program) = self.programs.get(index) else {
                continue;
            };
            let failed = |error: std::io::Error| {
                let why = crate::host::reason(&error);
                let message = format!("run the benchmark {name}: {why}");
                let here = "the kernel does not run this";
                Error::refused(Diagnostic::error(
                    codes::TEST_RUN,
                    message,
                    program.plan.span,
                    here,
                ))
            };
            let first = program.run_often(FIRST_RUNS).map_err(failed)?;
            let wanted = BENCH_TIME.as_nanos() / first.as_nanos().max(1);
            // In whole thousands, as nobody reads more.
            let runs = u32::try_from(wanted / 1000 * 1000).unwrap_or(u32::MAX);
            let runs = runs.clamp(FIRST_RUNS, 1_000_000);
            let average = program.run_often(runs).map_err(failed)?;
            self.skip()?;
            results.push((name, average.as_nanos(), runs));
        }
        let printer = &mut self.report.printer;
        if printer.format() == OutputFormat::Json {
            for (name, average, runs) in &results {
                printer.raw(&format!(
                    "{{\"type\": \"benchmark_result\", \"data\": {{{}: {{\"average\": {average}, \
                     \"iters\": {runs}}}}}}}\n",
                    json_string(name.as_bytes())
                ))?;
            }
            return Ok(());
        }
        let longest = results.iter().map(|(name, ..)| name.len()).max();
        let columns = longest.unwrap_or(0).max(NAME_COLUMNS) + 1;
        printer.raw(&format!(
            "{:columns$}{:TIME_COLUMNS$}Iterations\n{}\n",
            "Benchmark",
            "Time(ns)",
            "-".repeat(columns + TIME_COLUMNS + "Iterations".len())
        ))?;
        for (name, average, runs) in results {
            printer.raw(&format!("{name:columns$}{average:<TIME_COLUMNS$}{runs}\n"))?;
        }
        Ok(())
    }

    fn run_tests(&mut self) -> Result<i32, Error> {
        let trials = self.trials(When::Test);
        let is_text = self.report.printer.format() == OutputFormat::Text;
        if is_text {
            let count = trials.len();
            self.mark(GREEN, "==========", &format!("Running {count} tests."))?;
        }
        let mut outcomes = Vec::new();
        for (index, name) in trials {
            if is_text {
                self.mark(GREEN, " RUN      ", &name)?;
            }
            let outcome = self.run_test(index, name)?;
            if is_text {
                self.tell(&outcome)?;
            } else {
                self.tell_json(&outcome)?;
            }
            outcomes.push(outcome);
        }
        let failed: Vec<&Outcome> = outcomes.iter().filter(|o| !o.has_passed).collect();
        if is_text {
            let passed = outcomes.len() - failed.len();
            self.mark(
                GREEN,
                "==========",
                &format!("{} ran.", tests(outcomes.len())),
            )?;
            if passed > 0 {
                self.mark(GREEN, "  PASSED  ", &format!("{}.", tests(passed)))?;
            }
            if !failed.is_empty() {
                let list = format!("{}, listed below:", tests(failed.len()));
                self.mark(RED, "  FAILED  ", &list)?;
            }
            for outcome in &failed {
                self.mark(RED, "  FAILED  ", &outcome.name)?;
            }
        }
        Ok(i32::from(!failed.is_empty()))
    }

    fn run_test(&mut self, index: usize, name: String) -> Result<Outcome, Error> {
        self.report.printer.start_capture();
        let began = Instant::now();
        let result = self.programs.get(index).map(|program| program.test_run());
        let took = began.elapsed();
        let (_, exit) = self.look(usize::MAX)?;
        let output = self.report.printer.end_capture();
        let returned = match result {
            Some(Ok(returned)) => returned,
            Some(Err(error)) => {
                let what = format!("run the test {name}");
                return Err(Error::system(what, error));
            }
            None => 0,
        };
        Ok(Outcome {
            name,
            took,
            has_passed: returned == 0 && exit.unwrap_or(0) == 0,
            output,
        })
    }

    fn tell(&mut self, outcome: &Outcome) -> Result<(), Error> {
        let text = format!("{} ({})", outcome.name, shown(outcome.took));
        if outcome.has_passed {
            return self.mark(GREEN, "       OK ", &text);
        }
        self.report.printer.raw_bytes(&outcome.output)?;
        if outcome.output.last().is_some_and(|last| *last != b'\n') {
            self.report.printer.raw("\n")?;
        }
        self.mark(RED, "  FAILED  ", &text)
    }

    fn tell_json(&mut self, outcome: &Outcome) -> Result<(), Error> {
        let line = format!(
            "{{\"type\": \"test_result\", \"data\": {{{}: {{\"duration\": {}, \"passed\": {}, \
             \"output\": {}}}}}}}\n",
            json_string(outcome.name.as_bytes()),
            outcome.took.as_nanos(),
            outcome.has_passed,
            json_string(&outcome.output)
        );
        Ok(self.report.printer.raw(&line)?)
    }

    fn mark(&mut self, color: &str, mark: &str, text: &str) -> Result<(), Error> {
        let line = format!("{color}[{mark}]{PLAIN} {text}\n");
        Ok(self.report.printer.raw(&line)?)
    }
}

fn tests(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} test{plural}")
}

/// A time in the unit that suits it.
fn shown(took: Duration) -> String {
    match took.as_nanos() {
        n @ 0..1_000 => format!("{n} ns"),
        n @ 1_000..1_000_000 => format!("{} μs", n / 1_000),
        n => format!("{} ms", n / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times_are_worded() {
        assert_eq!(super::tests(1), "1 test");
        assert_eq!(super::tests(2), "2 tests");
        assert_eq!(shown(Duration::from_nanos(999)), "999 ns");
        assert_eq!(shown(Duration::from_micros(12)), "12 μs");
        assert_eq!(shown(Duration::from_millis(1500)), "1500 ms");
    }
}
