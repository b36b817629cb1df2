//! `rbt flame`: the stacks that a script counts, as a picture or as folded lines.
//!
//! Takes the maps of a script whose keys hold stacks; gives an SVG file or a line for each
//! stack, outermost frame first. Which stacks are counted is the script's matter; without one
//! the CPUs are sampled.

mod picture;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use rbt_runtime::value::{Frame, Stack};
use rbt_runtime::viewer::{LiveMaps, Viewer, Wake};
use rbt_runtime::{Error, MapReport, Value, output};

use crate::args::Args;

/// The script without a filter.
const DEFAULT: &str = include_str!("default.bt");

/// What is put behind a kernel function's name, by which its colour is chosen.
const OF_KERNEL: &str = "_[k]";

/// How often symbols of processes are looked for: at first this often, as a process may be
/// short-lived, later half as often each time.
const FIRST_LOOK: Duration = Duration::from_millis(50);
const LAST_LOOK: Duration = Duration::from_secs(2);

/// Whether the command line asks for this.
pub(crate) fn is_wanted(args: &Args) -> bool {
    args.subcommand.is_some_and(|known| known.name == "flame")
}

/// The script for what `-p` and `-c` say.
pub(crate) fn script(args: &Args) -> String {
    if let Some(pid) = &args.pid {
        return DEFAULT.replace("FILTER", &format!("/pid == {pid}/"));
    }
    if args.command.is_some() {
        // What the command starts is its doing.
        let follow = "\nBEGIN { @in[(uint32)cpid] = true; }\n\
            tracepoint:sched:sched_process_fork /@in[pid]/ { @in[(uint32)args.child_pid] = true; }\n\
            END { clear(@in); }\n";
        return DEFAULT.replace("FILTER", "/@in[pid]/") + follow;
    }
    DEFAULT.replace("FILTER", "/pid != 0/")
}

/// Collects stacks and writes them when tracing has ended.
#[derive(Debug)]
pub(crate) struct Flame {
    /// Where to; stdout if none.
    path: Option<PathBuf>,
    is_folded: bool,
    title: String,
    pause: Duration,
}

impl Flame {
    /// For what the command line says; `script` is what the title names.
    pub(crate) fn new(args: &Args, script: &str) -> Flame {
        let path = args.output.as_ref().map(PathBuf::from);
        let is_folded = args.is_folded;
        Flame {
            path: path.or_else(|| (!is_folded).then(|| PathBuf::from("flame.svg"))),
            is_folded,
            title: format!("Flame graph: {script}"),
            pause: FIRST_LOOK,
        }
    }

    /// Says how it ends, while it goes on.
    pub(crate) fn notice(&self) -> String {
        match &self.path {
            Some(path) => format!("Ctrl-C ends; then {} is written.\n", path.display()),
            None => String::from("Ctrl-C ends; then the stacks are written.\n"),
        }
    }

    fn write(&self, stacks: &BTreeMap<String, u64>) -> std::io::Result<()> {
        let bytes = if self.is_folded {
            folded(stacks).replace(OF_KERNEL, "").into_bytes()
        } else {
            picture::draw(stacks, &self.title, OF_KERNEL).into_bytes()
        };
        match &self.path {
            Some(path) => std::fs::write(path, bytes),
            None => {
                use std::io::Write;
                let mut out = std::io::stdout().lock();
                out.write_all(&bytes).and_then(|()| out.flush())
            }
        }
    }
}

impl Viewer for Flame {
    fn wait(&mut self) -> Wake<'_> {
        Box::pin(tokio::time::sleep(self.pause))
    }

    fn look(&mut self, maps: &LiveMaps<'_>) -> Result<bool, Error> {
        // Names can only be had of processes that live: what is found now is remembered.
        collect(maps)?;
        self.pause = (self.pause * 2).min(LAST_LOOK);
        Ok(true)
    }

    fn last(&mut self, maps: &LiveMaps<'_>) -> Result<bool, Error> {
        let stacks = collect(maps)?;
        if stacks.is_empty() {
            let why =
                "no stack was counted: there is no map with a stack in its key, or it is empty";
            return Err(Error::usage(rbt_grammar::codes::OUTPUT, why));
        }
        self.write(&stacks).map_err(|error| {
            let name = self
                .path
                .as_ref()
                .map_or("stdout".into(), |p| p.to_string_lossy());
            let why = crate::run::reason(&error);
            Error::usage(
                rbt_grammar::codes::OUTPUT,
                format!("Failed to open output file: \"{name}\": {why}"),
            )
        })?;
        Ok(false)
    }
}

/// All stacks that maps of the script count, folded. With more than one such map each is a
/// frame of its own.
fn collect(maps: &LiveMaps<'_>) -> Result<BTreeMap<String, u64>, Error> {
    let mut of_maps = Vec::new();
    for (id, _) in maps.names() {
        maps.read(id, &mut |report| {
            let stacks = fold(report);
            if !stacks.is_empty() {
                of_maps.push((report.name.clone(), stacks));
            }
        })?;
    }
    if of_maps.len() == 1 {
        return Ok(of_maps.remove(0).1);
    }
    let mut all = BTreeMap::new();
    for (name, stacks) in of_maps {
        all.extend(
            stacks
                .into_iter()
                .map(|(line, n)| (format!("{name};{line}"), n)),
        );
    }
    Ok(all)
}

/// The elements of a map whose keys hold a stack.
fn fold(report: &MapReport<'_>) -> BTreeMap<String, u64> {
    let mut stacks = BTreeMap::new();
    for (key, value) in &report.entries {
        let Some(key) = key else { continue };
        let parts = match key {
            Value::Tuple(parts) => parts.as_slice(),
            single => std::slice::from_ref(single),
        };
        let number = weight(value);
        if number > 0
            && let Some(line) = line(parts)
        {
            *stacks.entry(line).or_insert(0) += number;
        }
    }
    stacks
}

/// What a stack weighs: its count or sum, the total of statistics, how many values a histogram
/// has.
fn weight(value: &Value<'_>) -> u64 {
    match value {
        Value::Int(n) => u64::try_from(*n).unwrap_or(0),
        Value::Unsigned(n) => *n,
        Value::Stats(stats) => u64::try_from(stats.total).unwrap_or(0),
        Value::Histogram(histogram) => histogram.total(),
        _ => 0,
    }
}

/// The frames of a key, the outermost first: what is no stack, the user's frames, the kernel's.
/// `None` if there is no stack among them.
fn line(parts: &[Value<'_>]) -> Option<String> {
    let stack = |part: &Value<'_>, is_user: bool| matches!(part, Value::Stack(stack) if stack.is_user == is_user);
    if !parts.iter().any(|part| matches!(part, Value::Stack(_))) {
        return None;
    }
    let mut frames: Vec<String> = Vec::new();
    for part in parts.iter().filter(|part| !matches!(part, Value::Stack(_))) {
        let mut text = Vec::new();
        output::text::write_value(part, &mut text);
        frames.push(clean(&String::from_utf8_lossy(&text)));
    }
    for is_user in [true, false] {
        for part in parts.iter().filter(|part| stack(part, is_user)) {
            if let Value::Stack(stack) = part {
                frames.extend(names(stack));
            }
        }
    }
    (!frames.is_empty()).then(|| frames.join(";"))
}

/// The functions of a stack, the outermost first.
fn names(stack: &Stack) -> Vec<String> {
    let mut names = Vec::new();
    for frame in stack.frames.iter().rev() {
        if frame.address == 0 && frame.symbol.is_none() {
            continue;
        }
        let mut name = name(frame);
        if !stack.is_user {
            name.push_str(OF_KERNEL);
        }
        names.push(name);
        // An inlined function runs inside the one that has its code.
        let inlined = frame.inlined.iter().rev();
        names.extend(inlined.map(|(name, _)| clean(name)));
    }
    names
}

fn name(frame: &Frame) -> String {
    match (&frame.symbol, &frame.module) {
        (Some((name, _)), _) => clean(name),
        (None, Some(module)) => {
            let file = module.rsplit('/').next().unwrap_or(module);
            format!("[{}]", clean(file))
        }
        (None, None) => String::from("[unknown]"),
    }
}

/// A name without the marks that part frames and lines.
fn clean(name: &str) -> String {
    let name = if name.is_empty() { "[unknown]" } else { name };
    name.replace(';', ":").replace(['\n', '\r'], " ")
}

/// `outer;inner COUNT` lines, sorted.
fn folded(stacks: &BTreeMap<String, u64>) -> String {
    stacks.iter().fold(String::new(), |mut text, (line, n)| {
        let _ = writeln!(text, "{line} {n}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use rbt_compiler::artifact::StackMode;
    use rbt_runtime::value::Stats;

    fn stack(is_user: bool, names: &[&str]) -> Value<'static> {
        let frame = |name: &&str| Frame {
            address: 1,
            symbol: (!name.is_empty()).then(|| (String::from(*name), 4)),
            ..Frame::default()
        };
        Value::Stack(Stack {
            mode: StackMode::Bpftrace,
            is_user,
            is_cut: false,
            frames: names.iter().map(frame).collect(),
        })
    }

    fn report(entries: Vec<(Option<Value<'static>>, Value<'static>)>) -> MapReport<'static> {
        MapReport {
            name: String::from("@x"),
            kind: "map",
            entries,
        }
    }

    #[test]
    fn kernel_frames_stand_on_those_of_the_user() {
        let key = Value::Tuple(vec![
            stack(false, &["vfs_read", "do_syscall_64"]),
            stack(true, &["read", "main"]),
            Value::text("cat"),
        ]);
        let stacks = fold(&report(vec![(Some(key), Value::Int(7))]));
        assert_eq!(
            folded(&stacks),
            "cat;main;read;do_syscall_64_[k];vfs_read_[k] 7\n"
        );
    }

    #[test]
    fn equal_lines_add_up() {
        let one = |n| (Some(stack(true, &["f;g", ""])), Value::Unsigned(n));
        let stacks = fold(&report(vec![one(2), one(3)]));
        assert_eq!(folded(&stacks), "[unknown];f:g 5\n");
    }

    #[test]
    fn maps_without_stacks_are_none_of_it() {
        let entries = vec![
            (None, Value::Int(3)),
            (Some(Value::Int(1)), Value::Int(3)),
            (Some(stack(true, &["idle"])), Value::Int(0)),
            (Some(stack(true, &["text"])), Value::text("no weight")),
        ];
        assert_eq!(fold(&report(entries)), BTreeMap::new());
        let total = Stats {
            count: 2,
            average: 4,
            total: 8,
        };
        assert_eq!(weight(&Value::Stats(Box::new(total))), 8);
    }
}
