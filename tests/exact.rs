//! Nothing is lost and nothing is counted twice, whatever interrupts what.
//!
//! One script changes the same maps from process context, from timer interrupts (`profile`),
//! from hardware and soft interrupts (tracepoints), on all CPUs at once, and where the machine
//! has a counter of cycles from interrupts that nothing keeps out (NMI). How often the
//! processes did so this test knows, as its own threads do it; how often the interrupts did is
//! counted once more by each in a map of its own. Records of one CPU must come in their order,
//! and the end of tracing must come through whatever is printed.
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
use std::time::{Duration, Instant};

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
    // Virtual machines mostly have no such counter. The timers of `profile` interrupt all but
    // other interrupts, so what is then left out is a change inside a change of an interrupt's.
    let has_cycles = std::path::Path::new("/sys/bus/event_source/devices/cpu").exists();
    let cycles = if has_cycles {
        format!("hardware:cpu-cycles:100000 {{ {UPDATE} @cycles = count(); }}")
    } else {
        println!("without NMI: this machine's processor counts no cycles");
        String::new()
    };
    let script = format!(
        "{cycles} tracepoint:raw_syscalls:sys_enter /pid == {own} && args.id == 110/ {{ {UPDATE} \
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
    let kinds = ["@profile: ", "@hrtimer: ", "@softirq: ", "@cycles: "];
    let kinds = kinds.iter().take(if has_cycles { 4 } else { 3 });
    let interrupts: Vec<u64> = kinds.map(|name| total(&output, name)).collect();
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

/// Waits for a process's end, `limit` at most. Gives whether it ended.
fn ends_within(child: &mut Child, limit: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if child.try_wait().expect("a child").is_some() {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn an_end_comes_through_a_full_buffer() {
    if !is_root() {
        return;
    }
    let _turn = turn();
    let own = std::process::id();
    // Nobody reads what is printed, so the buffer fills up and stays full. Then the script is
    // told once, and only once, to end.
    let mut tracer = Tracer::start(&format!(
        "config = {{ perf_rb_pages = 16 }} \
         tracepoint:raw_syscalls:sys_enter /pid == {own} && args.id == 110/ \
             {{ @calls = count(); printf(\"%d %s\\n\", tid, comm); }} \
         tracepoint:raw_syscalls:sys_enter /pid == {own} && args.id == 84/ {{ exit(7); }} \
         END {{ printf(\"the end\\n\"); }}"
    ));
    let call = |often: u64| {
        for _ in 0..often {
            std::hint::black_box(parent_id());
        }
    };
    call(100_000);
    thread::sleep(Duration::from_millis(300));
    call(20_000);
    // The call that the script waits for; that there is no such folder does not matter.
    assert!(std::fs::remove_dir("/no such folder").is_err());
    call(20_000);
    let mut stdout = tracer.child.stdout.take().expect("a pipe");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).expect("text");
        text
    });
    let has_ended = ends_within(&mut tracer.child, Duration::from_secs(20));
    if !has_ended {
        tracer.child.kill().expect("a child");
    }
    let text = reader.join().expect("a reader ends");
    assert!(has_ended, "the script's end was lost");
    let status = tracer.child.wait().expect("an end");
    assert_eq!(status.code(), Some(7));
    let rest = text.split_once("the end\n").expect("what END prints").1;
    assert_eq!(rest.trim(), "@calls: 140000", "nothing else comes after it");
}

#[test]
fn nothing_is_left_of_programs_that_are_slow_to_detach() {
    if !is_root() {
        return;
    }
    let mark = format!("@mark_{}", std::process::id());
    let script = format!("tracepoint:syscalls:sys_enter_getppid {{ {mark} = count(); }}");
    let output = Tracer::start(&script).finish();
    assert!(!output.contains("rbt"), "{output}");
    // Their descriptors are with a child of the tracer, which ends when the kernel is done.
    let is_there = || {
        let listing = std::fs::read_dir("/proc").expect("processes");
        let mut commands = listing
            .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).into_owned());
        commands.any(|line| line.contains(&mark))
    };
    let begun = Instant::now();
    while is_there() {
        assert!(begun.elapsed() < Duration::from_secs(20), "still there");
        thread::sleep(Duration::from_millis(10));
    }
}
