//! Nothing is lost and nothing is counted twice, whatever interrupts what.
//!
//! One script changes the same maps from process context, from timer interrupts (`profile`),
//! from hardware and soft interrupts (tracepoints), on all CPUs at once. How often the
//! processes did so this test knows, as its own threads do it; how often the interrupts did is
//! counted once more by each in a map of its own. Records of one CPU must come in their order.
//!
//! Needs root; without it the reason is printed.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::parent_id;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// The tests take turns: each counts the calls that this process makes.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running tracer that has attached.
struct Tracer {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Tracer {
    fn start(script: &str) -> Tracer {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rbt"))
            .args(["-e", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rbt starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = String::new();
        while !said.contains("Attached") {
            let got = stderr.read_line(&mut said).expect("readable stderr");
            assert!(got > 0, "rbt ended: {said}");
        }
        Tracer { child, stderr }
    }

    /// Interrupts it; gives its output, and fails if it complained of anything.
    fn finish(mut self) -> String {
        let pid = self.child.id().to_string();
        let killed = Command::new("kill").args(["-INT", &pid]).status();
        assert!(killed.expect("kill runs").success());
        let mut text = String::new();
        let mut stdout = self.child.stdout.take().expect("a pipe");
        stdout.read_to_string(&mut text).expect("text");
        let mut complaints = String::new();
        self.stderr.read_to_string(&mut complaints).expect("text");
        assert!(self.child.wait().expect("an end").success(), "{complaints}");
        assert_eq!(complaints, "", "rbt complained");
        text
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    let is_root = id.stdout == b"0\n";
    if !is_root {
        println!("skipped: loading programs needs root");
    }
    is_root
}

/// The number at the end of the line that begins with `name`; all numbers of a histogram.
fn total(output: &str, name: &str) -> u64 {
    let mut lines = output.lines().skip_while(|line| !line.starts_with(name));
    let first = lines
        .next()
        .unwrap_or_else(|| panic!("no {name} in\n{output}"));
    if let Some(value) = first
        .strip_prefix(name)
        .map(str::trim)
        .filter(|v| !v.is_empty())
    {
        // Of statistics the count: its values are all 1, so the total says the same.
        let mut numbers = value
            .split(|c: char| !c.is_ascii_digit())
            .filter(|n| !n.is_empty());
        let number = numbers.next().expect("a number").parse().expect("a number");
        if value.contains(".total") {
            let total: u64 = numbers
                .next_back()
                .expect("a total")
                .parse()
                .expect("a total");
            assert_eq!(number, total, "{first}");
        }
        return number;
    }
    let rows = lines.take_while(|line| line.starts_with(['[', '(']));
    rows.map(|row| {
        let after = row.split([')', ']']).next_back().expect("a row");
        let count = after.split('|').next().expect("a count").trim();
        count
            .parse::<u64>()
            .unwrap_or_else(|_| panic!("no count in {row}"))
    })
    .sum()
}

#[test]
fn every_change_of_a_map_counts_once() {
    if !is_root() {
        return;
    }
    let _turn = turn();
    const CALLS: u64 = 200_000;
    const UPDATE: &str = "@c = count(); @k[1] = count(); @s = sum(1); @ks[1] = sum(1); \
                          @st = stats(1); @kst[1] = stats(1); @h = hist(1); @kh[1] = hist(1); \
                          @l = lhist(1, 0, 4, 1); @p += 1; @kp[1] += 1; @r = count(); \
                          @max = max(nsecs); @min = min(1);";
    let own = std::process::id();
    let script = format!(
        "tracepoint:raw_syscalls:sys_enter /pid == {own} && args.id == 110/ {{ {UPDATE} \
             if ((int64)@r < 0) {{ print(1); }} }} \
         profile:hz:4999 {{ {UPDATE} @profile = count(); }} \
         tracepoint:timer:hrtimer_expire_entry {{ {UPDATE} @hrtimer = count(); }} \
         tracepoint:irq:softirq_entry {{ {UPDATE} @softirq = count(); }}"
    );
    let tracer = Tracer::start(&script);
    let cpus = thread::available_parallelism().map_or(1, |n| n.get()) as u64;
    let threads: Vec<_> = (0..2 * cpus)
        .map(|_| {
            thread::spawn(|| {
                for _ in 0..CALLS {
                    std::hint::black_box(parent_id());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a thread ends");
    }
    let output = tracer.finish();
    let interrupts = ["@profile: ", "@hrtimer: ", "@softirq: "].map(|n| total(&output, n));
    assert!(
        interrupts.iter().all(|n| *n > 0),
        "no interrupts: {interrupts:?}"
    );
    let expected = 2 * cpus * CALLS + interrupts.iter().sum::<u64>();
    for name in [
        "@c: ",
        "@k[1]: ",
        "@s: ",
        "@ks[1]: ",
        "@st: ",
        "@kst[1]: ",
        "@h:",
        "@kh[1]:",
        "@l:",
        "@p: ",
        "@kp[1]: ",
        "@r: ",
    ] {
        assert_eq!(total(&output, name), expected, "{name} of\n{output}");
    }
    assert_eq!(total(&output, "@min: "), 1, "{output}");
}

#[test]
fn records_of_one_cpu_come_in_order() {
    if !is_root() {
        return;
    }
    let _turn = turn();
    const CALLS: u64 = 50_000;
    let own = std::process::id();
    // One number for each call of a thread, made by the program itself. The buffer holds them
    // all: what a reader without a CPU loses is another matter.
    let tracer = Tracer::start(&format!(
        "config = {{ perf_rb_pages = 4096 }} \
         tracepoint:raw_syscalls:sys_enter /pid == {own} && args.id == 110/ \
             {{ @n[tid] = @n[tid] + 1; printf(\"%d %d\\n\", tid, @n[tid]); }} \
         END {{ clear(@n); }}"
    ));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(|| {
                for _ in 0..CALLS {
                    std::hint::black_box(parent_id());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a thread ends");
    }
    let output = tracer.finish();
    let mut last: HashMap<&str, u64> = HashMap::new();
    for line in output.lines().filter(|line| !line.is_empty()) {
        let (thread, number) = line.split_once(' ').expect("two numbers");
        let number: u64 = number.parse().expect("a number");
        let before = last.insert(thread, number).unwrap_or(0);
        assert_eq!(number, before + 1, "of thread {thread}");
    }
    let shown: Vec<u64> = last.into_values().collect();
    assert_eq!(shown, [CALLS; 2]);
}
