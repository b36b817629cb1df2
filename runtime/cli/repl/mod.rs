//! The prompt: clauses attach as they are typed and run while the next one is.
//!
//! Takes lines from the editor's thread and events from the kernel, in one loop; a change
//! takes effect whole or not at all. Holds no logic of tracing: `rbt_runtime::Live` has it.

pub(crate) mod command;
pub(crate) mod complete;
mod desk;
mod editor;
mod screen;

use crate::args::Args;
use crate::{WRONG, color, complain, doc, list, run, show_all};
use command::Command;
pub(crate) use desk::string_length;
use desk::{Desk, Input, Items};
use editor::{Next, Typed};
use rbt_compiler::target::TracedProcess;
use rbt_grammar::{Color, SourceMap};
use rbt_runtime::{Host, Live, Surroundings, Warnings, progress};
use screen::Screen;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Bytes of stack of the editor's thread: it parses what is typed.
const STACK: usize = 64 << 20;

/// `O_NONBLOCK` of open(2), the same number on every architecture that is compiled for.
const NONBLOCK: i32 = 0o4000;

/// What stands below a map that is watched.
const WATCHING: &str = "Enter or Ctrl-C ends the watch.";

/// How long a map is watched between looks at what has come.
const GLANCE: Duration = Duration::from_millis(50);

/// What ends the loop.
enum Flow {
    Continue,
    /// The next line begins with this text.
    Edit(String),
    Leave,
}

/// The session.
struct Prompt<'a> {
    args: &'a Args,
    host: Rc<Host>,
    live: Live,
    desk: Desk,
    /// The maps of all states so far, as last compiled.
    maps: Vec<rbt_compiler::hir::Map>,
    /// What clauses print is not shown while this is set.
    is_quiet: Arc<AtomicBool>,
    screen: Arc<Screen>,
    signals: Option<tokio::signal::unix::Signal>,
}

/// Runs the prompt to its end.
pub(crate) fn start(args: &Args) -> u8 {
    match prepare(args) {
        Ok(status) => status,
        Err(why) => {
            complain(&format!("ERROR: {why}\n"));
            WRONG
        }
    }
}

fn prepare(args: &Args) -> Result<u8, String> {
    let host = Rc::new(run::host(args, TracedProcess::default())?);
    if let Err(diagnostic) = host.check_privileges() {
        show_all(&[diagnostic], &SourceMap::new(), true);
        return Ok(WRONG);
    }
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("cannot {what}: {error}")
    };
    progress::hush(true);
    let (reader, writer) = std::io::pipe().map_err(failed("make a pipe"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed("start the event loop"))?;
    let (typed, inputs) = unbounded_channel();
    let (answers, asked) = mpsc::channel();
    let is_quiet = Arc::new(AtomicBool::new(false));
    let has_color = color() == Color::Always;
    let screen = Arc::new(Screen::default());
    forward(reader, Arc::clone(&is_quiet), Arc::clone(&screen));
    let drawn = Arc::clone(&screen);
    println!(
        "rbt v{}. A clause runs once it is typed; `:help` says more.",
        env!("CARGO_PKG_VERSION")
    );
    let editing = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || {
            if let Err(error) = editor::read_all(&typed, &asked, screen, has_color) {
                complain(&format!("ERROR: the terminal cannot be used: {error}\n"));
                let _ = typed.send(Typed::End);
            }
        })
        .map_err(failed("start a thread"))?;
    let surroundings = Surroundings {
        host: Rc::clone(&host),
        handlers: &rbt_stdlib::HANDLERS,
        warnings: if args.hides_warnings {
            Warnings::None
        } else if args.warnings > 0 {
            Warnings::All
        } else {
            Warnings::Some
        },
        is_unsafe_allowed: args.allows_unsafe,
    };
    let mut prompt = Prompt {
        args,
        host,
        live: Live::new(surroundings, File::from(OwnedFd::from(writer))),
        desk: Desk::default(),
        maps: Vec::new(),
        is_quiet,
        screen: drawn,
        signals: None,
    };
    let status = runtime.block_on(prompt.serve(inputs, &answers));
    drop(answers);
    let _ = editing.join();
    Ok(status)
}

/// Shows what clauses print above the line that is being typed.
fn forward(output: std::io::PipeReader, is_quiet: Arc<AtomicBool>, screen: Arc<Screen>) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|got| got > 0) {
            if !is_quiet.load(Ordering::Relaxed) {
                screen.above(&String::from_utf8_lossy(&line));
            }
            line.clear();
        }
    });
}

impl Prompt<'_> {
    async fn serve(
        &mut self,
        mut inputs: UnboundedReceiver<Typed>,
        answers: &mpsc::Sender<Next>,
    ) -> u8 {
        let mut terminate = signal(SignalKind::terminate()).ok();
        let mut came = 0;
        loop {
            let terminated = async {
                match &mut terminate {
                    Some(signal) => drop(signal.recv().await),
                    None => std::future::pending().await,
                }
            };
            let flow = tokio::select! {
                biased;
                typed = inputs.recv() => match typed {
                    Some(typed) => Some(self.deal_with(typed).await),
                    None => Some(Flow::Leave),
                },
                () = terminated => Some(Flow::Leave),
                () = self.live.wait(came) => None,
            };
            came = self.look();
            let initial = match flow {
                None => continue,
                Some(Flow::Leave) => break,
                Some(Flow::Continue) => String::new(),
                Some(Flow::Edit(text)) => text,
            };
            let names = self.names();
            if answers.send(Next { initial, names }).is_err() {
                break;
            }
        }
        self.leave()
    }

    /// Renders what has come; an `exit()` stops all clauses.
    fn look(&mut self) -> usize {
        match self.live.look() {
            Ok((came, false)) => came,
            Ok((came, true)) => {
                if !self.desk.clauses.is_empty() {
                    println!("exit(): all clauses are stopped; the maps stay");
                    let mut desk = self.desk.clone();
                    desk.clauses.clear();
                    self.change(desk, None, &[]);
                }
                came
            }
            Err(error) => {
                show_all(&[error.diagnostic()], &SourceMap::new(), true);
                0
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let maps = self.live.map_names().into_iter();
        let maps = maps.filter(|name| !Desk::is_hidden(name));
        let maps = maps.map(|name| format!("@{name}"));
        maps.chain(self.desk.names()).collect()
    }

    async fn deal_with(&mut self, typed: Typed) -> Flow {
        // Not sooner: the editor, too, takes the signal when it starts, and the last one has it.
        if self.signals.is_none() {
            self.signals = signal(SignalKind::interrupt()).ok();
        }
        match typed {
            Typed::End => Flow::Leave,
            Typed::Interrupt => {
                self.toggle_quiet();
                Flow::Continue
            }
            Typed::Text(text) => self.take(text.trim()).await,
        }
    }

    fn toggle_quiet(&self) {
        let was_quiet = self.is_quiet.fetch_xor(true, Ordering::Relaxed);
        println!(
            "{}",
            if was_quiet {
                "what clauses print is shown again"
            } else {
                "what clauses print is not shown; Ctrl-C or `:quiet` shows it again"
            }
        );
    }

    async fn take(&mut self, text: &str) -> Flow {
        if text.is_empty() {
            return Flow::Continue;
        }
        if text.starts_with(':') {
            return match command::parse(text) {
                Ok(command) => self.obey(command).await,
                Err(why) => {
                    complain(&format!("{why}\n"));
                    Flow::Continue
                }
            };
        }
        if let Some(name) = shown_map(text) {
            self.show(name);
            return Flow::Continue;
        }
        match desk::classify(text) {
            Input::Items(items) => self.add(items),
            Input::Statements(text) => {
                let mut desk = self.desk.clone();
                desk.remember(&text);
                self.change(desk, Some(&text), &[]);
            }
            Input::Wrong(diagnostics, sources) => show_all(&diagnostics, &sources, true),
        }
        Flow::Continue
    }

    fn add(&mut self, items: Items) {
        let mut desk = self.desk.clone();
        let numbers = desk.add(items);
        if self.change(desk, None, &numbers) {
            for number in numbers {
                println!("clause {number} runs");
            }
        }
    }

    /// Compiles and starts a new state; says whether it went well. If not, nothing changes.
    fn change(&mut self, desk: Desk, statements: Option<&str>, new: &[u32]) -> bool {
        let script = desk.script(statements, new);
        let mut options = match run::options(self.args, Vec::new()) {
            Ok(options) => options,
            Err(why) => {
                complain(&format!("ERROR: {why}\n"));
                return false;
            }
        };
        let (sites, texts) = self.live.numbered();
        let carried = |maps: &[rbt_compiler::hir::Map]| rbt_compiler::Carried {
            sites: sites.to_vec(),
            texts: texts.to_vec(),
            maps: maps.to_vec(),
        };
        let mut sources = SourceMap::new();
        let id = sources.add(desk::NAME, script.text.as_str());
        let mut compile = |carried| {
            options.carried = Some(carried);
            let vocabulary = &rbt_stdlib::VOCABULARY;
            rbt_compiler::compile(&sources, id, vocabulary, &*self.host, &options)
        };
        let mut compiled = compile(carried(&self.maps));
        if compiled.artifact.is_none() {
            // A map may be used for something else now that nothing fills it any more.
            let anew = compile(carried(&[]));
            if anew.artifact.is_some() {
                compiled = anew;
            }
        }
        show_all(&compiled.diagnostics, &sources, !self.args.hides_warnings);
        let Some(artifact) = compiled.artifact else {
            return false;
        };
        let is_new = |span: rbt_grammar::Span| script.new.contains(&(span.start as usize));
        // No line is being typed meanwhile.
        progress::hush(false);
        let changed = self.live.replace(artifact, sources, &is_new);
        progress::hush(true);
        match changed {
            Ok(changed) => {
                for name in changed.emptied {
                    println!("@{name} starts anew: what it holds has another type now");
                }
                self.desk = desk;
                let is_known = |map: &rbt_compiler::hir::Map| {
                    compiled.maps.iter().any(|new| new.name == map.name)
                };
                self.maps.retain(|map| !is_known(map));
                self.maps.extend(compiled.maps);
                true
            }
            Err(error) => {
                // The sources went with the attempt; they are made again for the message.
                let mut sources = SourceMap::new();
                sources.add(desk::NAME, script.text.as_str());
                show_all(&[error.diagnostic()], &sources, true);
                false
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Flow {
        match command {
            Command::Help => print!("{}", command::help()),
            Command::Probes => self.probes(),
            Command::Stop(None) => {
                let mut desk = self.desk.clone();
                desk.clauses.clear();
                self.change(desk, None, &[]);
            }
            Command::Stop(Some(number)) => {
                let mut desk = self.desk.clone();
                if desk.stop(number) {
                    self.change(desk, None, &[]);
                } else {
                    no_clause(number);
                }
            }
            Command::Replace(number, text) => self.replace(number, &text),
            Command::Edit(number) => {
                let clause = self.desk.clauses.iter().find(|c| c.number == number);
                match clause {
                    Some(clause) => {
                        return Flow::Edit(format!(":replace {number} {}", clause.text));
                    }
                    None => no_clause(number),
                }
            }
            Command::Watch(name, every) => self.watch(name, every).await,
            Command::Clear(name) => self.clear(name),
            Command::Doc(word) => match doc::doc(&word) {
                Ok(text) => print!("{text}"),
                Err(why) => complain(&format!("{why}\n")),
            },
            Command::List(pattern) => {
                list::list(&Args {
                    lists: true,
                    words: vec![pattern],
                    ..Args::default()
                });
            }
            Command::Save(file) => match std::fs::write(&file, self.desk.saved()) {
                Ok(()) => println!("saved to {file}; `rbt {file}` runs it"),
                Err(error) => complain(&format!("cannot write '{file}': {error}\n")),
            },
            Command::Quiet => self.toggle_quiet(),
            Command::Quit => return Flow::Leave,
        }
        Flow::Continue
    }

    fn replace(&mut self, number: u32, text: &str) {
        match desk::classify(text) {
            Input::Items(items) => {
                let mut desk = self.desk.clone();
                if desk.replace(number, items) {
                    self.change(desk, None, &[number]);
                } else {
                    no_clause(number);
                }
            }
            Input::Statements(_) => complain("only a clause can take the place of a clause\n"),
            Input::Wrong(diagnostics, sources) => show_all(&diagnostics, &sources, true),
        }
    }

    fn probes(&self) {
        if self.desk.clauses.is_empty() {
            println!("no clause runs");
        }
        for clause in &self.desk.clauses {
            let text = clause.text.replace('\n', "\n    ");
            println!("{:3} {text}", clause.number);
        }
    }

    /// The map that a command names. `@` is the nameless map, or all where there is none.
    fn named(&self, name: Option<String>) -> Option<String> {
        name.filter(|name| !name.is_empty() || self.live.map_names().contains(name))
    }

    fn clear(&self, name: Option<String>) {
        let names = match self.named(name) {
            Some(name) => vec![name],
            None => self.live.map_names(),
        };
        for name in names {
            match self.live.clear(&name) {
                Ok(true) => {}
                Ok(false) => no_map(&name),
                Err(error) => show_all(&[error.diagnostic()], &SourceMap::new(), true),
            }
        }
    }

    /// Prints a map, or all of them.
    fn show(&self, name: Option<&str>) {
        match self.text_of(name) {
            Some(text) => {
                let mut out = std::io::stdout().lock();
                // A terminal that is gone ends the editor.
                let _ = out.write_all(&text).and_then(|()| out.flush());
            }
            None => no_map(name.unwrap_or_default()),
        }
    }

    /// The text of a map, or of all; `None` if there is no such map.
    fn text_of(&self, name: Option<&str>) -> Option<Vec<u8>> {
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => self.live.map_names(),
        };
        let mut text = Vec::new();
        for map in names {
            if name.is_none() && Desk::is_hidden(&map) {
                continue;
            }
            match self.live.show(&map) {
                Ok(Some(shown)) => text.extend(shown),
                Ok(None) => return None,
                Err(error) => show_all(&[error.diagnostic()], &SourceMap::new(), true),
            }
        }
        Some(text)
    }

    /// Shows maps again and again in the same place until Enter or Ctrl-C. What clauses print
    /// meanwhile would tear the picture and is not shown.
    async fn watch(&mut self, name: Option<String>, every: Duration) {
        let name = self.named(name);
        let name = name.as_deref();
        if self.text_of(name).is_none() {
            return no_map(name.unwrap_or_default());
        }
        // The editor waits for an answer meanwhile, so the keyboard is free. Opened anew, so that
        // not waiting for keys is a matter of this file alone.
        let keys = File::options()
            .read(true)
            .custom_flags(NONBLOCK)
            .open("/dev/tty");
        let mut keys = match keys {
            Ok(keys) => keys,
            Err(error) => return complain(&format!("cannot read keys: {error}\n")),
        };
        let was_quiet = self.is_quiet.swap(true, Ordering::Relaxed);
        let mut height = 0;
        let mut next = tokio::time::Instant::now();
        loop {
            if tokio::time::Instant::now() >= next {
                let Some(text) = self.text_of(name) else {
                    no_map(name.unwrap_or_default());
                    break;
                };
                let text = String::from_utf8_lossy(&text).into_owned();
                let (text, lines) = screen::picture(&text, self.screen.size(), WATCHING);
                // Over the last picture, line by line: clearing all of it would flicker, and some
                // terminals keep what is cleared.
                if height > 0 {
                    print!("\x1b[{height}A\r");
                }
                print!("{}\x1b[J", text.replace('\n', "\x1b[K\n"));
                let _ = std::io::stdout().flush();
                height = lines;
                // Counted from here: a slow terminal must not keep signals from being seen.
                next = tokio::time::Instant::now() + every;
            }
            let interrupted = async {
                match &mut self.signals {
                    Some(signal) => drop(signal.recv().await),
                    None => std::future::pending().await,
                }
            };
            let wait = next.min(tokio::time::Instant::now() + GLANCE);
            tokio::select! {
                () = interrupted => break,
                () = tokio::time::sleep_until(wait) => {}
            }
            // The terminal gives whole lines, or nothing yet.
            if keys.read(&mut [0; 4096]).is_ok() {
                break;
            }
            if let Err(error) = self.live.look() {
                show_all(&[error.diagnostic()], &SourceMap::new(), true);
            }
        }
        self.is_quiet.store(was_quiet, Ordering::Relaxed);
    }

    /// Runs `end` clauses and prints the maps.
    fn leave(&mut self) -> u8 {
        let ended = self.live.end();
        self.show(None);
        match ended {
            Ok(()) => 0,
            Err(error) => {
                show_all(&[error.diagnostic()], &SourceMap::new(), true);
                WRONG
            }
        }
    }
}

fn no_clause(number: u32) {
    complain(&format!(
        "there is no clause {number}; `:probes` lists them\n"
    ));
}

fn no_map(name: &str) {
    complain(&format!("there is no map @{name} yet\n"));
}

/// The map that a line asks to see as it is: `@x` or `print(@x)`; all maps for a bare `@`.
fn shown_map(text: &str) -> Option<Option<&str>> {
    let text = text.trim_end_matches(';').trim();
    let inner = text
        .strip_prefix("print(")
        .and_then(|rest| rest.strip_suffix(')'));
    let name = inner.unwrap_or(text).trim().strip_prefix('@')?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    // A bare `@` asks for all maps, the nameless one among them.
    Some((inner.is_some() || !name.is_empty()).then_some(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_show_maps() {
        assert_eq!(shown_map("@"), Some(None));
        assert_eq!(shown_map("print(@);"), Some(Some("")));
        assert_eq!(shown_map("@x"), Some(Some("x")));
        assert_eq!(shown_map("print(@x)"), Some(Some("x")));
        assert_eq!(shown_map("@x = 5"), None);
        assert_eq!(shown_map("print(@x, 5)"), None);
        assert_eq!(shown_map("print(1)"), None);
    }
}
