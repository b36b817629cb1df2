//! Artifacts assembled by hand, run on this machine's kernel.
//!
//! The programs are a few instructions each, the words are this file's own: what is tested is
//! the runtime alone. Without the privileges to trace, every test says that it is skipped.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rbt_compiler::artifact::*;
use rbt_compiler::backend::{Code, Insn, Relocation, RelocationTarget};
use rbt_compiler::object;
use rbt_compiler::target::{Feature, Target, TracedProcess};
use rbt_compiler::word::{Doc, Word};
use rbt_grammar::source::{SourceId, SourceMap, Span};
use rbt_runtime::{
    Action, Child, Context, Error, Flow, Fold, Handlers, Host, Options, Record, Session, Value,
};

/// Shows its values, one to a line.
struct Show;
/// Ends the run with its value as status.
struct End;
/// Adds up.
struct Sum;

const NO_DOC: Doc = Doc {
    usage: &[],
    summary: "",
    details: "",
    examples: &[],
    kernel: "",
};

macro_rules! word {
    ($word:ident, $name:literal) => {
        impl Word for $word {
            fn name(&self) -> &'static str {
                $name
            }
            fn doc(&self) -> &'static Doc {
                &NO_DOC
            }
        }
    };
}

word!(Show, "show");
word!(End, "end");
word!(Sum, "sum");

impl Action for Show {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        for value in record.values(0) {
            cx.printer.value(&value?)?;
        }
        Ok(Flow::Continue)
    }
}

impl Action for End {
    fn perform(&self, record: &Record<'_>, _: &mut Context<'_, '_>) -> Result<Flow, Error> {
        Ok(Flow::Exit(record.int(0)?))
    }
}

impl Fold for Sum {
    fn fold(&self, _: &[i64], _: bool, slots: &[&[u8]]) -> Value<'static> {
        let word = |slot: &&[u8]| (*slot).try_into().map_or(0, i64::from_ne_bytes);
        Value::Int(slots.iter().map(word).sum())
    }
}

static HANDLERS: Handlers = Handlers {
    actions: &[&Show, &End],
    folds: &[&Sum],
};

const SCRIPT: &str = "BEGIN { show(42); }\ntracepoint:raw_syscalls:sys_enter { @ = sum(1); }\n";
const RING: MapId = MapId(0);
const TABLE: MapId = MapId(1);

const SHOW: i32 = 0;
const END: i32 = 1;

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn {
        code,
        dst,
        src,
        off,
        imm,
    }
}

/// A program under construction.
#[derive(Default)]
struct Assembly {
    insns: Vec<Insn>,
    relocations: Vec<Relocation>,
    site_patches: Vec<u32>,
}

impl Assembly {
    fn push(mut self, insns: &[Insn]) -> Self {
        self.insns.extend_from_slice(insns);
        self
    }

    fn here(&self) -> u32 {
        u32::try_from(self.insns.len()).expect("short programs")
    }

    fn load(mut self, register: u8, target: RelocationTarget) -> Self {
        let insn_index = self.here();
        self.relocations.push(Relocation {
            insn: insn_index,
            target,
        });
        self.push(&[insn(0x18, register, 0, 0, 0), Insn::default()])
    }

    /// Sends event `number` with the value of `r6`.
    fn send(self, number: i32) -> Self {
        self.push(&[insn(0x7a, 10, 0, -16, number), insn(0x7b, 10, 6, -8, 0)])
            .load(1, RelocationTarget::Map(RING))
            .push(&[
                insn(0xbf, 2, 10, 0, 0),
                insn(0x07, 2, 0, 0, -16),
                insn(0xb7, 3, 0, 0, 16),
                // BPF_RB_NO_WAKEUP, bpf_ringbuf_output
                insn(0xb7, 4, 0, 0, 1),
                insn(0x85, 0, 0, 0, 130),
            ])
    }

    fn constant(self, value: i32) -> Self {
        self.push(&[insn(0xb7, 6, 0, 0, value)])
    }

    /// Puts the number of the site into `r6`.
    fn site(mut self) -> Self {
        let here = self.here();
        self.site_patches.push(here);
        self.push(&[insn(0x18, 6, 0, 0, 0), Insn::default()])
    }

    /// Adds one to the element of key `r6` in the table.
    fn count(self) -> Self {
        let key = [
            insn(0x7b, 10, 6, -8, 0),
            insn(0xbf, 2, 10, 0, 0),
            insn(0x07, 2, 0, 0, -8),
        ];
        self.push(&key)
            .load(1, RelocationTarget::Map(TABLE))
            .push(&[
                insn(0x85, 0, 0, 0, 1),
                // If there is one: load, add, store, and over the rest.
                insn(0x15, 0, 0, 4, 0),
                insn(0x79, 1, 0, 0, 0),
                insn(0x07, 1, 0, 0, 1),
                insn(0x7b, 0, 1, 0, 0),
                insn(0x05, 0, 0, 9, 0),
                insn(0x7a, 10, 0, -16, 1),
            ])
            .push(&key[1..])
            .push(&[insn(0xbf, 3, 10, 0, 0), insn(0x07, 3, 0, 0, -16)])
            .load(1, RelocationTarget::Map(TABLE))
            .push(&[insn(0xb7, 4, 0, 0, 0), insn(0x85, 0, 0, 0, 2)])
    }

    fn code(self, symbol: &str, span: Span) -> Code {
        let whole = self.push(&[insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)]);
        Code {
            name: symbol.to_owned(),
            spans: vec![span; whole.insns.len()],
            insns: whole.insns,
            relocations: whole.relocations,
            site_patches: whole.site_patches,
            frame: 16,
        }
    }
}

fn span(start: usize, end: usize) -> Span {
    Span::new(SourceId(0), start, end)
}

/// A script of some programs with one ring buffer, one table and two words.
struct Script {
    sources: SourceMap,
    manifest: Manifest,
    programs: Vec<(usize, Vec<Code>)>,
}

impl Script {
    fn new() -> Script {
        let mut sources = SourceMap::new();
        sources.add("test.bt", SCRIPT);
        let int = Shape::Int {
            size: 8,
            is_signed: true,
        };
        let host = Host::new(TracedProcess::default());
        let is_lazy = host.has(Feature::SafeHashAllocation);
        let map = |name: &str, kind, key_size, value_size, max_entries, role| MapSchema {
            name: String::new(),
            symbol: name.to_owned(),
            storage: Storage::Map {
                kind,
                key_size,
                value_size,
                max_entries,
                // BPF_F_NO_PREALLOC: thousands of elements per CPU take milliseconds to make.
                flags: u32::from(kind == MapKind::PerCpuHash && is_lazy),
            },
            role,
            is_kept: false,
            span: span(60, 61),
        };
        let event = |word: &str| EventSchema {
            word: word.to_owned(),
            params: Vec::new(),
            fields: vec![EventField {
                offset: 8,
                shape: int.clone(),
            }],
            size: 16,
            span: span(8, 16),
        };
        let table = MapRole::Script {
            key: Some(int.clone()),
            value: MapValue::Aggregate {
                word: String::from("sum"),
                params: Vec::new(),
                is_signed: true,
                slot_size: 8,
            },
        };
        let manifest = Manifest {
            maps: vec![
                map(
                    "events",
                    MapKind::RingBuffer,
                    0,
                    0,
                    1 << 16,
                    MapRole::Events,
                ),
                map("AT_", MapKind::PerCpuHash, 8, 8, 4096, table),
            ],
            events: vec![event("show"), event("end")],
            ..Manifest::default()
        };
        Script {
            sources,
            manifest,
            programs: Vec::new(),
        }
    }

    fn program(
        mut self,
        symbol: &str,
        kind: ProgramKind,
        when: When,
        targets: &[AttachTarget],
        assembly: Assembly,
    ) -> Script {
        let place = match when {
            When::Begin => span(0, 19),
            _ => span(20, 69),
        };
        let mut attachments = Vec::new();
        for target in targets {
            let site = u32::try_from(self.manifest.sites.len()).expect("few");
            self.manifest.sites.push(Site {
                text: format!("{symbol}:{site}"),
                function: String::new(),
            });
            attachments.push(Attachment {
                target: target.clone(),
                site: SiteId(site),
                count: 1,
                follows_pid: false,
            });
        }
        let number = self.manifest.programs.len();
        self.manifest.programs.push(ProgramPlan {
            symbol: symbol.to_owned(),
            section: object::section_name(kind, symbol),
            kind,
            provider: symbol.to_owned(),
            when,
            attachments,
            site_patches: assembly.site_patches.clone(),
            span: place,
        });
        self.programs
            .push((number, vec![assembly.code(symbol, place)]));
        self
    }

    fn once(self, symbol: &str, when: When, assembly: Assembly) -> Script {
        let kind = ProgramKind::RawTracepoint;
        self.program(symbol, kind, when, &[AttachTarget::TestRun], assembly)
    }

    fn artifact(&self) -> Artifact {
        Artifact {
            object: object::write(&self.manifest, &self.programs, &self.sources)
                .expect("an object"),
            manifest: self.manifest.clone(),
        }
    }

    /// Runs it and gives the exit status and what it printed.
    fn run(&self, options: Options) -> Result<(i32, String), Error> {
        let artifact = self.artifact();
        let host = Host::new(TracedProcess::default());
        let file = Output::new();
        let options = Options {
            output: Some(file.0.clone()),
            is_quiet: true,
            ..options
        };
        let session = Session::start(&artifact, &self.sources, &HANDLERS, &host, options)?;
        let status = session.run()?;
        Ok((status, std::fs::read_to_string(&file.0).expect("text")))
    }
}

/// A file that goes when the test ends.
struct Output(PathBuf);

impl Output {
    fn new() -> Output {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rbt-live-{}-{number}", std::process::id());
        Output(std::env::temp_dir().join(name))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Whether to skip: said aloud, since a test that did nothing has not passed.
fn is_skipped(test: &str) -> bool {
    let host = Host::new(TracedProcess::default());
    match host.check_privileges() {
        Ok(()) => false,
        Err(diagnostic) => {
            eprintln!("SKIPPED {test}: {}", diagnostic.message);
            true
        }
    }
}

fn every(period: Duration) -> AttachTarget {
    AttachTarget::PerfEvent {
        kind: 1,
        config: 0,
        sample: Sample::Period(u64::try_from(period.as_nanos()).expect("short")),
        cpus: Cpus::First,
    }
}

fn raw(name: &str) -> AttachTarget {
    AttachTarget::RawTracepoint {
        name: name.to_owned(),
    }
}

fn tracepoint(category: &str, name: &str) -> AttachTarget {
    AttachTarget::Tracepoint {
        category: category.to_owned(),
        name: name.to_owned(),
    }
}

#[test]
fn begin_and_end_run_once_each() {
    if is_skipped("begin_and_end_run_once_each") {
        return;
    }
    let script = Script::new()
        .once(
            "begin",
            When::Begin,
            Assembly::default().constant(42).send(SHOW),
        )
        .once(
            "end",
            When::End,
            Assembly::default().constant(-7).send(SHOW),
        );
    let started = Instant::now();
    let (status, output) = script.run(Options::default()).expect("it runs");
    eprintln!("a run of begin and end: {:?}", started.elapsed());
    assert_eq!((status, output.as_str()), (0, "42\n-7\n\n\n"));
}

#[test]
fn exit_ends_the_output_and_gives_the_status() {
    if is_skipped("exit_ends_the_output_and_gives_the_status") {
        return;
    }
    let begin = Assembly::default()
        .constant(1)
        .send(SHOW)
        .constant(300)
        .send(END)
        .constant(2)
        .send(SHOW);
    let script = Script::new().once("begin", When::Begin, begin).once(
        "end",
        When::End,
        Assembly::default().constant(3).send(SHOW),
    );
    let (status, output) = script.run(Options::default()).expect("it runs");
    assert_eq!((status, output.as_str()), (44, "1\n3\n\n\n"));
}

#[test]
fn elements_are_counted_per_cpu_and_printed_in_order() {
    if is_skipped("elements_are_counted_per_cpu_and_printed_in_order") {
        return;
    }
    let begin = [5, 3, 5, 5, 3, 9]
        .iter()
        .fold(Assembly::default(), |a, key| a.constant(*key).count());
    let script = Script::new().once("begin", When::Begin, begin);
    let (_, output) = script.run(Options::default()).expect("it runs");
    assert_eq!(output, "\n\n@[9]: 1\n@[3]: 2\n@[5]: 3\n");
}

#[test]
fn json_has_one_record_to_a_line() {
    if is_skipped("json_has_one_record_to_a_line") {
        return;
    }
    let begin = Assembly::default().constant(42).send(SHOW).count();
    let script = Script::new().once("begin", When::Begin, begin);
    let options = Options {
        format: rbt_runtime::OutputFormat::Json,
        ..Options::default()
    };
    let (_, output) = script.run(options).expect("it runs");
    assert_eq!(
        output,
        "{\"type\": \"value\", \"data\": 42}\n{\"type\": \"map\", \"data\": {\"@\": {\"42\": 1}}}\n"
    );
}

#[test]
fn every_way_of_attaching_reaches_its_program() {
    if is_skipped("every_way_of_attaching_reaches_its_program") {
        return;
    }
    let count = |key| Assembly::default().constant(key).count();
    let exit = Assembly::default().constant(0).send(END);
    let profile = AttachTarget::PerfEvent {
        kind: 1,
        config: 0,
        sample: Sample::Frequency(999),
        cpus: Cpus::Every,
    };
    let attached = When::Attached;
    let script = Script::new()
        .program(
            "tracepoint",
            ProgramKind::Tracepoint,
            attached,
            &[tracepoint("raw_syscalls", "sys_enter")],
            count(1),
        )
        .program(
            "raw",
            ProgramKind::RawTracepoint,
            attached,
            &[raw("sys_exit")],
            count(2),
        )
        .program(
            "profile",
            ProgramKind::PerfEvent,
            attached,
            &[profile],
            count(3),
        )
        .program(
            "interval",
            ProgramKind::PerfEvent,
            attached,
            &[every(Duration::from_millis(50))],
            exit,
        );
    let busy = Command::new("sh")
        .args(["-c", "for i in $(seq 20000); do :; done; ls / > /dev/null"])
        .spawn();
    let started = Instant::now();
    let (status, output) = script.run(Options::default()).expect("it runs");
    eprintln!("four ways for 50 ms: {:?}", started.elapsed());
    busy.expect("a shell").wait().expect("it ends");
    assert_eq!(status, 0);
    for key in ["@[1]: ", "@[2]: ", "@[3]: "] {
        assert!(output.contains(key), "{output}");
    }
}

#[test]
fn copies_of_a_program_know_their_site() {
    if is_skipped("copies_of_a_program_know_their_site") {
        return;
    }
    let exit = Assembly::default().constant(0).send(END);
    let script = Script::new()
        .program(
            "calls",
            ProgramKind::RawTracepoint,
            When::Attached,
            &[raw("sys_enter"), raw("sys_exit")],
            Assembly::default().site().count(),
        )
        .program(
            "interval",
            ProgramKind::PerfEvent,
            When::Attached,
            &[every(Duration::from_millis(20))],
            exit,
        );
    let (_, output) = script.run(Options::default()).expect("it runs");
    assert!(
        output.contains("@[0]: ") && output.contains("@[1]: "),
        "{output}"
    );
}

#[test]
fn nothing_is_lost_between_kernel_and_output() {
    if is_skipped("nothing_is_lost_between_kernel_and_output") {
        return;
    }
    let script = Script::new()
        .program(
            "calls",
            ProgramKind::RawTracepoint,
            When::Attached,
            &[raw("sys_enter")],
            Assembly::default().constant(1).send(SHOW).count(),
        )
        .program(
            "interval",
            ProgramKind::PerfEvent,
            When::Attached,
            &[every(Duration::from_millis(100))],
            Assembly::default().constant(0).send(END),
        );
    let (_, output) = script.run(Options::default()).expect("it runs");
    let lines = output.lines().filter(|line| *line == "1").count();
    let (_, counted) = output.split_once("@[1]: ").expect("the count");
    let counted: usize = counted.trim().parse().expect("a number");
    // Calls after the end of the script, until it was detached, are counted only.
    assert!(lines > 10 && lines <= counted, "{lines} of {counted}");
}

#[test]
fn a_child_starts_after_attaching_and_its_end_is_the_end() {
    if is_skipped("a_child_starts_after_attaching_and_its_end_is_the_end") {
        return;
    }
    let script = Script::new().program(
        "execs",
        ProgramKind::RawTracepoint,
        When::Attached,
        &[raw("sched_process_exec")],
        Assembly::default().constant(1).count(),
    );
    let options = Options {
        child: Some(Child::spawn("sh -c '/bin/true; exit 3'").expect("a shell")),
        ..Options::default()
    };
    let (status, output) = script.run(options).expect("it runs");
    assert_eq!(status, 0);
    let (_, count) = output.split_once("@[1]: ").expect("the count");
    // Other processes of the machine may start programs as well.
    assert!(
        count.trim().parse::<u32>().expect("a number") >= 2,
        "{output}"
    );
}

#[test]
fn a_refused_program_is_explained_at_its_place() {
    if is_skipped("a_refused_program_is_explained_at_its_place") {
        return;
    }
    // r1 is no number to load from after this.
    let bad = Assembly::default().push(&[insn(0xb7, 1, 0, 0, 8), insn(0x79, 0, 1, 0, 0)]);
    let script = Script::new().once("begin", When::Begin, bad);
    let error = script.run(Options::default()).expect_err("it is refused");
    assert_eq!(error.status(), 255);
    let shown = error
        .diagnostic()
        .render(&script.sources, rbt_grammar::diagnostic::Color::Never);
    for part in [
        "[E0802]",
        "test.bt:1:1",
        "BEGIN { show(42); }",
        "R1 invalid mem access",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn what_cannot_be_attached_is_handled_as_configured() {
    if is_skipped("what_cannot_be_attached_is_handled_as_configured") {
        return;
    }
    let missing = |policy, count| {
        let mut script = Script::new();
        script.manifest.settings.missing_probes = policy;
        let targets = [raw("no_such_tracepoint"), raw("sys_enter")];
        let target = &targets[..count];
        let nothing = Assembly::default();
        let kind = ProgramKind::RawTracepoint;
        script.program("calls", kind, When::Attached, target, nothing)
    };
    let dry = || Options {
        is_dry_run: true,
        ..Options::default()
    };
    let error = missing(MissingProbes::Error, 2)
        .run(dry())
        .expect_err("missing");
    let text = error.to_string();
    assert!(
        text.starts_with("Unable to attach probe: calls:0. If this"),
        "{text}"
    );
    assert_eq!(error.status(), 255);
    let error = missing(MissingProbes::Warn, 1)
        .run(dry())
        .expect_err("nothing is left");
    assert!(matches!(error, Error::NothingToAttach));
    assert_eq!(error.status(), 255);
    let (status, output) = missing(MissingProbes::Ignore, 2)
        .run(dry())
        .expect("one is left");
    assert_eq!((status, output.as_str()), (0, ""));
}

#[test]
fn globals_are_shared_and_faults_are_reported() {
    if is_skipped("globals_are_shared_and_faults_are_reported") {
        return;
    }
    let mut script = Script::new();
    script.manifest.globals = Globals {
        size: 40,
        variables: vec![Variable {
            symbol: String::from("AT_g"),
            offset: 8,
            size: 16,
        }],
        lost_events: Some(0),
        ..Globals::default()
    };
    script.manifest.maps.push(MapSchema {
        name: String::from("g"),
        symbol: String::from("AT_g"),
        storage: Storage::Global { variable: 0 },
        role: MapRole::Script {
            key: None,
            value: MapValue::Plain(Shape::Int {
                size: 8,
                is_signed: true,
            }),
        },
        is_kept: false,
        span: Span::default(),
    });
    script.manifest.faults.push(Fault {
        kind: FaultKind::MapFull,
        span: span(8, 16),
        offset: 24,
        helper: String::from("map_update_elem"),
    });
    let begin = Assembly::default()
        .load(1, RelocationTarget::Global(0))
        .push(&[
            insn(0x7a, 1, 0, 0, 3),
            insn(0x7a, 1, 0, 8, 1),
            insn(0x7a, 1, 0, 16, -5),
            insn(0x7a, 1, 0, 24, 1),
            insn(0x7a, 1, 0, 32, -7),
        ]);
    let script = script.once("begin", When::Begin, begin);
    let json = Options {
        format: rbt_runtime::OutputFormat::Json,
        ..Options::default()
    };
    let (_, output) = script.run(json).expect("it runs");
    assert_eq!(
        output,
        "{\"type\": \"helper_error\", \"msg\": \"Argument list too long\", \
         \"helper\": \"map_update_elem\", \"retcode\": -7, \"filename\": \"test.bt\", \
         \"line\": 1, \"col\": 9}\n\
         {\"type\": \"lost_events\", \"count\": 3, \"data\": {\"events\": 3}}\n\
         {\"type\": \"map\", \"data\": {\"@g\": -5}}\n"
    );
    let (_, output) = script.run(Options::default()).expect("it runs");
    assert_eq!(output, "\n\n@g: -5\n");
}

#[test]
fn the_machine_answers_quickly() {
    if is_skipped("the_machine_answers_quickly") {
        return;
    }
    let host = Host::new(TracedProcess::default());
    let mounts = || std::fs::read_to_string("/proc/self/mounts").expect("text");
    let before = mounts();
    let started = Instant::now();
    let categories = host.tracepoint_categories().expect("tracefs");
    let mut events = 0;
    for category in &categories {
        events += host.tracepoint_events(category).expect("a category").len();
    }
    let listed = started.elapsed();
    eprintln!(
        "{events} tracepoints of {} categories: {listed:?}",
        categories.len()
    );
    assert!(events > 200 && listed < Duration::from_secs(1));
    let format = host
        .tracepoint_format("sched", "sched_switch")
        .expect("tracefs");
    assert!(format.is_some_and(|text| text.contains("field:pid_t next_pid;")));
    assert_eq!(host.tracepoint_format("sched", "../sched"), Ok(None));
    assert_eq!(host.tracepoint_events("no_such_category"), Ok(Vec::new()));
    assert_eq!(before, mounts(), "a mount was left behind");
}

#[test]
fn features_are_probed_and_stay() {
    if is_skipped("features_are_probed_and_stay") {
        return;
    }
    let host = Host::new(TracedProcess::default());
    for (feature, name) in Feature::ALL {
        let started = Instant::now();
        let answer = host.has(*feature);
        eprintln!("{name}: {answer} ({:?})", started.elapsed());
        assert_eq!(host.has(*feature), answer);
    }
    // Helpers come in the order of kernels: a later one implies the earlier.
    if host.has(Feature::LookupPerCpu) {
        assert!(host.has(Feature::Loop) && host.has(Feature::ForEachMapElement));
    }
    assert!(host.possible_cpus() >= 1);
}
