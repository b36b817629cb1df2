//! One run of a script: load, `begin`, attach, follow, detach, `end`, report.
//!
//! Takes an artifact and gives an exit status. The order of the steps is the language's; the
//! speed of the ends matters, so nothing is read, started or waited for that the script does
//! not need. Dropping a session detaches everything.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use rbt_compiler::artifact::{
    Artifact, AttachTarget, Attachment, ENDING, MapId, MapRole, MissingProbes, Side, When,
};
use rbt_grammar::codes;
use rbt_grammar::diagnostic::{Diagnostic, Severity};
use rbt_grammar::source::SourceMap;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;
use crate::events::Events;
use crate::faults::Reported;
use crate::host::Host;
use crate::load::{self, KernelMaps};
use crate::maps;
use crate::output::{Buffering, OutputFormat, Printer};
use crate::process::{Child, Process};
use crate::program::{AttachError, Link, Program, Scope};
use crate::progress::Progress;
use crate::record::{Decoder, Record};
use crate::sys;
use crate::viewer::{LiveMaps, Viewer, Wake};
use crate::vocabulary::{Context, Flow, Handlers, Warnings};

mod trials;

/// Environment variables that ask for their own name on stdout once all probes are attached.
const NOTIFY: [&str; 2] = ["__BPFTRACE_NOTIFY_PROBES_ATTACHED", "RBT_NOTIFY_ATTACHED"];

/// Objects of an iterator whose events are rendered together.
const OBJECTS: usize = 128;

/// Most records of one look at the ring buffer, so that signals are heard in between.
pub(crate) const LOOK: usize = 1 << 14;

/// How a script is run.
#[derive(Debug, Default)]
pub struct Options {
    /// The output's format.
    pub format: OutputFormat,
    /// The file that gets the output; stdout if none.
    pub output: Option<PathBuf>,
    /// When output leaves.
    pub buffering: Buffering,
    /// No notice of the attaching.
    pub is_quiet: bool,
    /// Says on stderr how long each step took.
    pub is_verbose: bool,
    /// Which run-time warnings are shown.
    pub warnings: Warnings,
    /// Words that change the system are allowed.
    pub is_unsafe_allowed: bool,
    /// Ends once everything is attached.
    pub is_dry_run: bool,
    /// What of the script is run.
    pub mode: Mode,
    /// The command of `-c`.
    pub child: Option<Child>,
    /// The process of `-p`.
    pub process: Option<Process>,
    /// The process ends with this run, so what takes the kernel long to close is left to a
    /// child.
    pub is_last: bool,
    /// Who looks at the maps.
    pub viewer: Option<Box<dyn Viewer>>,
    /// An open file that gets the output, and what else would go to stderr, instead.
    pub sink: Option<File>,
}

/// What of a script is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All but benchmarks and tests.
    #[default]
    Trace,
    /// The benchmarks.
    Bench,
    /// The tests.
    Test,
}

/// A script that is loaded and attached.
///
/// Private fields: dropped in this order, so that programs end before what they use.
pub struct Session<'a> {
    links: Vec<Link>,
    programs: Vec<Program<'a>>,
    events: Option<Events>,
    signals: Signals,
    watched: Option<AsyncFd<OwnedFd>>,
    report: Report<'a>,
    child: Option<Child>,
    viewer: Option<Box<dyn Viewer>>,
    options: Flags,
    clock: Phases,
    /// What the notice says: functions and events that are attached.
    attached: u64,
    runtime: Option<Runtime>,
}

/// What of the options is needed after the start.
#[derive(Clone, Copy)]
struct Flags {
    is_dry_run: bool,
    is_quiet: bool,
    is_last: bool,
    mode: Mode,
}

/// What turns records into output.
pub(crate) struct Report<'a> {
    pub(crate) decoder: Decoder<'a>,
    sources: &'a SourceMap,
    pub(crate) handlers: &'a Handlers,
    printer: Printer,
    reported: Reported,
    warnings: Warnings,
    is_unsafe_allowed: bool,
}

/// Signals that end tracing or run clauses.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    user: Signal,
}

/// Why following ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The script said so, with that status.
    Exit(i64),
    /// A signal, or the end of the traced process.
    Outside,
}

impl<'a> Session<'a> {
    /// Loads an artifact, runs its `begin` clauses and attaches the rest.
    ///
    /// Errors: what the machine refuses, as a diagnostic with a place in the script.
    pub fn start(
        artifact: &'a Artifact,
        sources: &'a SourceMap,
        handlers: &'a Handlers,
        host: &'a Host,
        mut options: Options,
    ) -> Result<Session<'a>, Error> {
        let mut clock = Phases::new(options.is_verbose);
        host.check_privileges()
            .map_err(|diagnostic| Error::Refused {
                diagnostic: Box::new(diagnostic),
                status: 1,
            })?;
        let printer = open_printer(&mut options)?;
        let wanted = |when: When| match when {
            When::Bench => options.mode == Mode::Bench,
            When::Test => options.mode == Mode::Test,
            _ => true,
        };
        let loaded = load::load(artifact, sources, host, &wanted, &|_| None)?;
        clock.passed("load");
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::system("start the event loop", error))?;
        let entered = runtime.enter();
        let signals = Signals::listen()?;
        let watched = watch(&options)?;
        let maps = Rc::new(loaded.maps);
        let events = open_events(artifact, &maps)?;
        drop(entered);
        let mut session = Session {
            links: Vec::new(),
            programs: loaded.programs,
            events,
            signals,
            watched,
            report: Report::new(
                artifact,
                sources,
                (handlers, host, maps),
                printer,
                (options.warnings, options.is_unsafe_allowed),
            ),
            child: options.child,
            viewer: options.viewer,
            options: Flags {
                is_dry_run: options.is_dry_run,
                is_quiet: options.is_quiet,
                is_last: options.is_last,
                mode: options.mode,
            },
            clock,
            attached: 0,
            runtime: Some(runtime),
        };
        let pid = options.process.as_ref().map(Process::pid);
        if let Some(pid) = pid {
            session.report.decoder.unwind(pid);
        }
        let child = session.child.as_ref().map(Child::pid);
        session.clock.passed("event loop");
        if !options.is_dry_run {
            session.run_programs(When::Begin)?;
            session.clock.passed("begin");
        }
        if !session.has_trials() {
            session.attach(host, &Scope { pid, child })?;
        }
        session.clock.passed("attach");
        Ok(session)
    }

    /// Follows the script to its end and gives the exit status.
    ///
    /// Errors: the output cannot be written (`BrokenPipe`: nobody reads it any more).
    pub fn run(mut self) -> Result<i32, Error> {
        if self.options.is_dry_run {
            return Ok(0);
        }
        let runtime = self.runtime.take();
        let runtime = runtime.ok_or_else(|| {
            Error::system("run a session twice", io::Error::from(io::ErrorKind::Other))
        })?;
        let result = runtime.block_on(self.follow_to_end());
        if let Some(child) = &self.child {
            child.terminate();
        }
        if self.options.is_last {
            Link::leave(mem::take(&mut self.links));
        }
        self.clock.passed("end");
        result
    }

    async fn follow_to_end(&mut self) -> Result<i32, Error> {
        if self.has_trials() {
            return self.run_trials();
        }
        self.notify()?;
        if let Some(child) = &mut self.child {
            let decoder = &self.report.decoder;
            let held = |pid| decoder.unwind_and_note(pid);
            let unwinds = decoder.unwinds();
            child.start(unwinds.then_some(&held as &dyn Fn(u32)))?;
        }
        let stop = match self.iterate()? {
            Some(stop) => stop,
            None => self.follow().await?,
        };
        self.clock.passed("follow");
        if let Some(viewer) = &mut self.viewer {
            viewer.leave();
        }
        self.detach();
        self.clock.passed("detach");
        match stop {
            // What came after the script's own end is none of its output.
            Stop::Exit(_) => self.skip()?,
            Stop::Outside => drop(self.drain_all().await?),
        }
        self.run_programs(When::End)?;
        let last = self.drain_all().await?;
        let is_printed = match &mut self.viewer {
            Some(viewer) => viewer.last(&LiveMaps::new(&self.report))?,
            None => true,
        };
        self.report.finish(is_printed)?;
        self.clock.passed("report");
        // The last word counts: that of an `end` clause.
        let status = last.unwrap_or(match stop {
            Stop::Exit(status) => status,
            Stop::Outside => 0,
        });
        Ok((status & 0xff) as i32)
    }

    /// Ends all calls of programs. Those that the kernel takes long to detach are told to do
    /// nothing, so that the report need not wait.
    fn detach(&mut self) {
        let shut = self.report.decoder.manifest.globals.shut;
        if let Some(at) = shut {
            self.report.decoder.maps.set_word(at, 1);
        }
        let links = self.links.iter_mut();
        links
            .filter(|link| shut.is_none() || !link.is_slow())
            .for_each(Link::detach);
    }

    /// The status with which a program has ended tracing, whether or not there was room for
    /// the event that says so.
    fn ending(&self) -> Option<i64> {
        let at = self.report.decoder.manifest.globals.ending?;
        let word = self.report.decoder.maps.word(at);
        (word & ENDING > 0).then(|| (word & (ENDING - 1)).cast_signed())
    }

    /// Says that everything is attached.
    fn notify(&mut self) -> Result<(), Error> {
        if !self.options.is_quiet {
            self.report.printer.attached(self.attached)?;
            self.report.printer.end_of_batch()?;
        }
        for name in NOTIFY {
            if env::var_os(name).is_some() {
                let mut stdout = io::stdout().lock();
                writeln!(stdout, "{name}").and_then(|()| stdout.flush())?;
            }
        }
        Ok(())
    }

    /// Goes over what iterators are for, once. Gives how tracing ended if there were any.
    fn iterate(&mut self) -> Result<Option<Stop>, Error> {
        let is_iterator = |program: &Program<'_>| {
            let mut targets = program.attachments.iter().map(|a| &a.target);
            targets.any(|target| matches!(target, AttachTarget::Iterator { .. }))
        };
        if !self.programs.iter().any(is_iterator) {
            return Ok(None);
        }
        let failed = |error| Error::system("run the iterator", error);
        let passes: io::Result<Vec<File>> = self.links.iter().filter_map(Link::pass).collect();
        for mut pass in passes.map_err(failed)? {
            // Each object leaves one byte, so that a short read is a few objects' events.
            let mut marks = [0; OBJECTS];
            loop {
                match pass.read(&mut marks) {
                    Ok(0) => break,
                    Ok(_) => {}
                    // The kernel pauses when it has gone over many objects that left nothing.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(failed(error)),
                }
                loop {
                    let (came, exit) = self.look(LOOK)?;
                    if let Some(status) = exit {
                        return Ok(Some(Stop::Exit(status)));
                    }
                    if came < LOOK {
                        break;
                    }
                }
            }
        }
        Ok(Some(Stop::Outside))
    }

    /// Renders events until something ends the tracing.
    async fn follow(&mut self) -> Result<Stop, Error> {
        let is_over_soon = !self
            .programs
            .iter()
            .any(|program| matches!(program.plan.when, When::Attached | When::Signal));
        loop {
            // Asked before the look, which then sees all that was sent before.
            let ending = self.ending();
            let (came, exit) = self.look(LOOK)?;
            if let Some(status) = exit.or(ending.filter(|_| came == 0)) {
                return Ok(Stop::Exit(status));
            }
            if came == LOOK {
                // There is more: only let signals in.
                tokio::task::yield_now().await;
            } else if is_over_soon && self.child.is_none() {
                return Ok(Stop::Outside);
            }
            let wait = wait(&mut self.events, came);
            let is_looked_at = tokio::select! {
                biased;
                _ = self.signals.interrupt.recv() => return Ok(Stop::Outside),
                _ = self.signals.terminate.recv() => return Ok(Stop::Outside),
                _ = self.signals.user.recv() => {
                    self.run_programs(When::Signal)?;
                    false
                }
                () = ended(&self.watched) => return Ok(Stop::Outside),
                () = wanted(&mut self.viewer) => true,
                () = wait => false,
            };
            if is_looked_at
                && let Some(viewer) = &mut self.viewer
                && !viewer.look(&LiveMaps::new(&self.report))?
            {
                return Ok(Stop::Outside);
            }
        }
    }

    /// Renders the records that are there, `most` at most. Gives how many there were and the
    /// status of an `exit` among them, at which it stops.
    fn look(&mut self, most: usize) -> Result<(usize, Option<i64>), Error> {
        let came = self.render(most)?;
        self.report.after_batch()?;
        Ok(came)
    }

    /// The same without a report of what went wrong meanwhile.
    fn render(&mut self, most: usize) -> Result<(usize, Option<i64>), Error> {
        let mut came = 0;
        let mut exit = None;
        if let Some(events) = &mut self.events {
            events.look()?;
            while came < most && exit.is_none() {
                let Some(record) = events.next() else { break };
                came += 1;
                match self.report.perform(&record)? {
                    Flow::Continue => {}
                    Flow::Exit(status) => exit = Some(status),
                    Flow::Unwatch(address) => self.links.retain(|link| !link.watches(address)),
                }
            }
        }
        Ok((came, exit))
    }

    /// Renders everything that is still in the ring buffer, unless a signal asks to be quick.
    /// Gives the status of the last `exit` in it.
    async fn drain_all(&mut self) -> Result<Option<i64>, Error> {
        let mut last = None;
        loop {
            let (came, exit) = self.look(LOOK)?;
            last = exit.or(last);
            if came == 0 {
                return Ok(last);
            }
            // An `exit` in an `end` clause ends nothing any more, so the look goes on.
            let signals = &mut self.signals;
            tokio::select! {
                biased;
                _ = signals.interrupt.recv() => return Ok(last),
                _ = signals.terminate.recv() => return Ok(last),
                () = tokio::task::yield_now() => {}
            }
        }
    }

    /// Drops everything that is still in the ring buffer.
    fn skip(&mut self) -> Result<(), Error> {
        if let Some(events) = &mut self.events {
            events.look()?;
            while events.next().is_some() {}
        }
        Ok(())
    }

    fn run_programs(&self, when: When) -> Result<(), Error> {
        for program in self.programs.iter().filter(|p| p.plan.when == when) {
            program.test_run().map_err(|error| {
                let why = crate::host::reason(&error);
                let message = format!("run the {} clause: {why}", program.plan.provider);
                let diagnostic = Diagnostic::error(
                    codes::TEST_RUN,
                    message,
                    program.plan.span,
                    "the kernel does not run this",
                );
                Error::refused(diagnostic)
            })?;
        }
        Ok(())
    }

    /// Attaches every program to its places, in the order of the script.
    fn attach(&mut self, host: &Host, scope: &Scope) -> Result<(), Error> {
        let policy = self.report.decoder.manifest.settings.missing_probes;
        let attachments = || self.programs.iter().flat_map(|p| p.attachments);
        let total = attachments().map(|a| u64::from(a.count)).sum();
        let progress = Progress::new(|| String::from("attaching probes"), total);
        for program in &mut self.programs {
            for attachment in program.attachments {
                match program.attach(attachment, host, scope) {
                    Ok(links) => {
                        self.clock.note(|| {
                            let sites = &self.report.decoder.manifest.sites;
                            let site = sites.get(attachment.site.0 as usize);
                            let text = site.map_or("", |site| site.text.as_str());
                            format!("{text}: attached by {}", way(&attachment.target))
                        });
                        self.links.extend(links);
                        self.attached += u64::from(attachment.count);
                    }
                    Err(error) => self.report.refused(program, attachment, &error, policy)?,
                }
                progress.step(u64::from(attachment.count));
            }
        }
        if self.attached == 0 {
            for (when, option, kind) in [
                (When::Bench, "--bench", "benchmark"),
                (When::Test, "--test", "test"),
            ] {
                let plans = &self.report.decoder.manifest.programs;
                if plans.iter().any(|plan| plan.when == when) {
                    let message = format!("No probes attached; use {option} to run {kind} probes.");
                    return Err(Error::refused(Diagnostic::new(
                        Severity::Error,
                        codes::ATTACH,
                        message,
                    )));
                }
            }
            return Err(Error::NothingToAttach);
        }
        Ok(())
    }
}

impl<'a> Report<'a> {
    /// For records of that artifact. `allowed` says which warnings are shown and whether words
    /// may change the system.
    pub(crate) fn new(
        artifact: &'a Artifact,
        sources: &'a SourceMap,
        (handlers, host, maps): (&'a Handlers, &'a Host, Rc<KernelMaps>),
        printer: Printer,
        allowed: (Warnings, bool),
    ) -> Report<'a> {
        Report {
            decoder: Decoder::new(&artifact.manifest, host, maps),
            sources,
            handlers,
            printer,
            reported: Reported::new(&artifact.manifest),
            warnings: allowed.0,
            is_unsafe_allowed: allowed.1,
        }
    }
}

impl Report<'_> {
    /// Does what a record says.
    pub(crate) fn perform(&mut self, bytes: &[u8]) -> Result<Flow, Error> {
        let record = Record::new(bytes, &self.decoder)?;
        let action = self.handlers.action(&record.schema.word).ok_or_else(|| {
            let word = &record.schema.word;
            crate::error::Malformed::new(format!("nothing is known about the event `{word}`"))
        })?;
        let mut cx = Context {
            printer: &mut self.printer,
            decoder: &self.decoder,
            sources: self.sources,
            handlers: self.handlers,
            warnings: self.warnings,
            is_unsafe_allowed: self.is_unsafe_allowed,
        };
        action.perform(&record, &mut cx)
    }

    /// Lets out what was rendered and reports what went wrong meanwhile.
    pub(crate) fn after_batch(&mut self) -> Result<(), Error> {
        let (cx, reported) = self.context();
        let maps = Rc::clone(&cx.decoder.maps);
        let mut cx = cx;
        reported.report_new(&maps, &mut cx)?;
        self.printer.end_of_batch()?;
        Ok(())
    }

    /// Totals, two newlines, and the maps unless somebody has seen them otherwise.
    fn finish(&mut self, prints_maps: bool) -> Result<(), Error> {
        let (mut cx, reported) = self.context();
        let maps = Rc::clone(&cx.decoder.maps);
        reported.report_totals(&maps, &mut cx)?;
        if prints_maps {
            self.printer.finish_events()?;
        }
        let manifest = self.decoder.manifest;
        if prints_maps && manifest.settings.print_maps_on_exit {
            for map in maps::reports_at_exit(manifest) {
                self.print_at_exit(map, &maps)?;
            }
        }
        Ok(self.printer.flush()?)
    }

    fn print_at_exit(&mut self, map: MapId, maps: &KernelMaps) -> Result<(), Error> {
        let manifest = self.decoder.manifest;
        let elements = maps::read(maps, manifest, map)?;
        if maps::holds_anything(manifest, map, &elements) {
            let (decoder, handlers) = (&self.decoder, self.handlers);
            maps::print(decoder, handlers, map, &elements, (0, 0), &mut self.printer)?;
        }
        Ok(())
    }

    fn context(&mut self) -> (Context<'_, '_>, &mut Reported) {
        let cx = Context {
            printer: &mut self.printer,
            decoder: &self.decoder,
            sources: self.sources,
            handlers: self.handlers,
            warnings: self.warnings,
            is_unsafe_allowed: self.is_unsafe_allowed,
        };
        (cx, &mut self.reported)
    }

    /// A probe could not be attached: stops, says so, or goes on, as the script has it.
    pub(crate) fn refused(
        &mut self,
        program: &Program<'_>,
        attachment: &Attachment,
        error: &AttachError,
        policy: MissingProbes,
    ) -> Result<(), Error> {
        let sites = &self.decoder.manifest.sites;
        let site = sites.get(attachment.site.0 as usize);
        let name = site.map_or_else(
            || shown_target(&attachment.target, &program.plan.provider),
            |site| site.text.clone(),
        );
        match policy {
            MissingProbes::Ignore => Ok(()),
            MissingProbes::Warn if self.warnings == Warnings::None => Ok(()),
            MissingProbes::Warn => {
                let line = format!("WARNING: Unable to attach probe: {name}. Skipping.\n");
                Ok(self.printer.to_stderr(&line)?)
            }
            MissingProbes::Error => {
                let message = format!(
                    "Unable to attach probe: {name}. If this is expected, set the \
                     'missing_probes' config variable to 'warn'."
                );
                let mut diagnostic = Diagnostic::new(Severity::Error, codes::ATTACH, message)
                    .label(program.plan.span, error.reason.clone());
                if !error.help.is_empty() {
                    diagnostic = diagnostic.help(error.help.clone());
                }
                Err(Error::refused(diagnostic))
            }
        }
    }
}

/// The way a program reaches a place.
fn way(target: &AttachTarget) -> &'static str {
    match target {
        AttachTarget::TestRun => "run by the tracer",
        AttachTarget::Tracepoint { .. } => "a perf event of the tracepoint",
        AttachTarget::RawTracepoint { .. } => "the raw tracepoint",
        AttachTarget::Kprobe { .. } => "a perf event of a kprobe",
        AttachTarget::KprobeMulti { .. } => "one kprobe.multi link for all",
        AttachTarget::Function {
            side: Side::Entry, ..
        } => "fentry",
        AttachTarget::Function {
            side: Side::Return, ..
        } => "fexit",
        AttachTarget::Iterator { .. } => "an iterator",
        AttachTarget::Watchpoint { .. } => "a hardware breakpoint",
        _ => "a perf event",
    }
}

/// A place without a site's text, for messages.
fn shown_target(target: &AttachTarget, provider: &str) -> String {
    match target {
        AttachTarget::TestRun => provider.to_owned(),
        AttachTarget::Tracepoint { category, name } => format!("{provider}:{category}:{name}"),
        AttachTarget::RawTracepoint { name } => format!("{provider}:{name}"),
        AttachTarget::Kprobe { function, .. } => format!("{provider}:{function}"),
        AttachTarget::KprobeMulti { functions, .. } => {
            format!(
                "{provider}:{}",
                functions.first().map_or("", String::as_str)
            )
        }
        AttachTarget::Function {
            module, function, ..
        } => {
            let module = if module.is_empty() { "vmlinux" } else { module };
            format!("{provider}:{module}:{function}")
        }
        AttachTarget::Iterator { .. } => provider.to_owned(),
        AttachTarget::Watchpoint { address, .. } => format!("{provider}:{address}"),
        AttachTarget::Uprobe { path, .. } | AttachTarget::UprobeMulti { path, .. } => {
            format!("{provider}:{path}")
        }
        AttachTarget::PerfEvent { config, .. } => format!("{provider}:{config}"),
    }
}

impl Signals {
    fn listen() -> Result<Signals, Error> {
        let on = |kind| signal(kind).map_err(|error| Error::system("listen to signals", error));
        Ok(Signals {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            user: on(SignalKind::user_defined1())?,
        })
    }
}

fn open_printer(options: &mut Options) -> Result<Printer, Error> {
    if let Some(sink) = options.sink.take() {
        return Ok(Printer::to_file(sink, options.format, options.buffering).with_errors());
    }
    let path = options.output.as_deref();
    Printer::new(path, options.format, options.buffering).map_err(|error| {
        let name = path.map_or_else(
            || String::from("stdout"),
            |path| format!("\"{}\"", path.display()),
        );
        let why = crate::host::reason(&error);
        let message = format!("Failed to open output file: {name}: {why}");
        Error::usage(codes::OUTPUT, message)
    })
}

pub(crate) fn open_events(
    artifact: &Artifact,
    maps: &Rc<KernelMaps>,
) -> Result<Option<Events>, Error> {
    let manifest = &artifact.manifest;
    let schemas = manifest.maps.iter().zip(0..);
    for (schema, number) in schemas {
        if matches!(schema.role, MapRole::Events) && !manifest.events.is_empty() {
            return Ok(Some(Events::of(MapId(number), manifest, maps)?));
        }
    }
    Ok(None)
}

/// What tells that the traced process or command has ended.
fn watch(options: &Options) -> Result<Option<AsyncFd<OwnedFd>>, Error> {
    let pidfd = match (&options.child, &options.process) {
        (Some(child), _) => child.watch(),
        (None, Some(process)) => process.watch(),
        (None, None) => return Ok(None),
    };
    pidfd
        .and_then(sys::watch)
        .map(Some)
        .map_err(|error| Error::system("watch the traced process", error))
}

/// Comes when the watched process has ended; never without one.
async fn ended(watched: &Option<AsyncFd<OwnedFd>>) {
    match watched {
        Some(pidfd) => drop(pidfd.readable().await),
        None => std::future::pending().await,
    }
}

/// Comes when the viewer wants to look; never without one.
fn wanted(viewer: &mut Option<Box<dyn Viewer>>) -> Wake<'_> {
    match viewer {
        Some(viewer) => viewer.wait(),
        None => Box::pin(std::future::pending()),
    }
}

/// Comes when it is worth looking at the ring buffer again; without one there is only what
/// programs count, which a person may wait for.
pub(crate) async fn wait(events: &mut Option<Events>, came: usize) {
    match events {
        Some(_) if came == LOOK => {}
        Some(events) => events.wait(came > 0).await,
        None => tokio::time::sleep(std::time::Duration::from_millis(250)).await,
    }
}

/// Says how long each step took.
struct Phases {
    last: Option<Instant>,
}

impl Phases {
    fn new(is_verbose: bool) -> Phases {
        Phases {
            last: is_verbose.then(Instant::now),
        }
    }

    /// Says something while the steps are shown.
    fn note(&self, text: impl FnOnce() -> String) {
        if self.last.is_some() {
            eprintln!("{}", text());
        }
    }

    fn passed(&mut self, step: &str) {
        if let Some(last) = &mut self.last {
            eprintln!("{step}: {} us", last.elapsed().as_micros());
            *last = Instant::now();
        }
    }
}
