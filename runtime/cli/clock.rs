//! How much CPU time each stage of a compilation takes.
//!
//! Takes a script; compiles it again and again for half a second and prints the quickest time
//! of each stage. Loads and attaches nothing.

use crate::{WRONG, print, show_all};
use rbt_compiler::Options;
use rbt_grammar::{SourceId, SourceMap};
use rbt_runtime::Host;
use rbt_runtime::time::cpu_time;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// For how long a script is compiled again.
const LONG_ENOUGH: Duration = Duration::from_millis(500);

/// Compilations after which more tell nothing new.
const MOST_ROUNDS: u32 = 1000;

thread_local! {
    /// When the stages of the running compilation ended, by this thread's CPU clock.
    static ENDS: RefCell<Vec<(&'static str, u64)>> = const { RefCell::new(Vec::new()) };
}

/// Prints a line for each stage, `NAME: MICROSECONDS`, and one for all of them. The first
/// compilation is told apart: it reads the machine's facts.
pub(crate) fn run(sources: &SourceMap, script: SourceId, host: &Host, options: &Options) -> u8 {
    let options = Options {
        on_stage: Some(|stage| ENDS.with_borrow_mut(|all| all.push((stage, cpu_time())))),
        ..options.clone()
    };
    let mut best: Vec<(&'static str, Duration)> = Vec::new();
    let mut first = Duration::ZERO;
    let mut whole = Duration::MAX;
    let begin = Instant::now();
    for round in 0..MOST_ROUNDS {
        ENDS.with_borrow_mut(Vec::clear);
        let start = cpu_time();
        let vocabulary = &rbt_stdlib::VOCABULARY;
        let compiled = rbt_compiler::compile(sources, script, vocabulary, host, &options);
        let took = Duration::from_nanos(cpu_time().saturating_sub(start));
        if compiled.artifact.is_none() {
            show_all(&compiled.diagnostics, sources, true);
            return WRONG;
        }
        if round == 0 {
            first = took;
        }
        whole = whole.min(took);
        let mut last = start;
        for (number, (stage, end)) in ENDS.take().into_iter().enumerate() {
            let took = Duration::from_nanos(end.saturating_sub(last));
            last = end;
            match best.get_mut(number) {
                Some((_, least)) => *least = took.min(*least),
                None => best.push((stage, took)),
            }
        }
        if begin.elapsed() > LONG_ENOUGH {
            break;
        }
    }
    let mut text = String::new();
    let all = [("all", whole), ("the first time", first)];
    for (stage, took) in best.into_iter().chain(all) {
        let _ = writeln!(text, "{stage}: {:.1} us", took.as_secs_f64() * 1e6);
    }
    print(&text);
    0
}
