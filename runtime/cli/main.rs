//! The `rbt` command: arguments in, exit status out.
//!
//! Chooses what to do and prints what a person should read. Holds no logic that a second
//! front end would need.
#![forbid(unsafe_code)]

mod args;
mod check;
mod clock;
mod completions;
mod doc;
mod flame;
mod fmt;
mod help;
mod imports;
mod list;
mod lsp;
mod manual;
mod members;
mod repl;
mod run;
mod show;
mod subcommand;
mod tools;
mod view;

use args::Args;
use rbt_compiler::target::TracedProcess;
use rbt_grammar::{Color, Diagnostic, Severity, SourceMap};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

/// The script or the command line is wrong.
const WRONG: u8 = 1;

/// Bytes of stack for all the work. Compiling recurses as deep as a script nests, and the
/// grammar's limit on that is meant for this much; pages that are not reached cost nothing.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    let args = match args::parse(std::env::args_os().skip(1)) {
        Ok(args) => args,
        Err(why) => return usage(&why),
    };
    if let Ok(color) = std::env::var("BPFTRACE_COLOR")
        && !["auto", "always", "never"].contains(&color.as_str())
        && !args.hides_warnings
    {
        complain(&format!(
            "WARNING: Invalid env value! The valid values of `BPFTRACE_COLOR` are \
             [auto|always|never]. The current value is {color}!\n"
        ));
    }
    // Not on a thread of its own: scripts see the tracer's thread in BEGIN and END.
    ExitCode::from(stacker::grow(STACK, || choose(&args)))
}

fn choose(args: &Args) -> u8 {
    if let Some(when) = &args.color {
        match when.as_str() {
            "always" => set_color(Some(Color::Always)),
            "never" => set_color(Some(Color::Never)),
            "auto" => set_color(None),
            other => {
                complain(&format!(
                    "ERROR: --color is `always`, `never` or `auto`, not `{other}`\n"
                ));
                return WRONG;
            }
        }
    }
    if args.help {
        return match (run::tool(args), args.subcommand) {
            (Some(tool), _) => print_or(tool.map(tools::Tool::header)),
            (None, Some(known)) => print(&known.page()),
            (None, None) => print(&help::overview()),
        };
    }
    if args.man {
        return print(&manual::page());
    }
    if args.version {
        return print(&format!("rbt v{}\n", env!("CARGO_PKG_VERSION")));
    }
    if args.info {
        return print_or(run::host(args, TracedProcess::default()).map(|host| show::info(&host)));
    }
    if args.doc {
        return match &args.words[..] {
            [] => print(&doc::list()),
            [word, ..] => print_or(doc::doc(word)),
        };
    }
    if let Some(code) = &args.explain {
        let unknown = || format!("there is no code `{code}`; codes look like E0402");
        return print_or(doc::explain(code).ok_or_else(unknown));
    }
    if args.lists {
        return list::list(args);
    }
    if std::env::args_os().len() == 1 {
        if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            return repl::start(args);
        }
        complain(&help::overview());
        return WRONG;
    }
    match args.subcommand {
        Some(known) => (known.run)(args),
        None => run::run(args),
    }
}

/// A command line that cannot be read: why, and what could have been written.
fn usage(why: &str) -> ExitCode {
    complain(&format!("rbt: {why}\n{}", help::overview()));
    ExitCode::from(WRONG)
}

/// Prints data; nobody reading it any more is no failure.
fn print(text: &str) -> u8 {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => WRONG,
        _ => 0,
    }
}

fn print_or(text: Result<String, String>) -> u8 {
    match text {
        Ok(text) => print(&text),
        Err(why) => {
            complain(&format!("ERROR: {why}\n"));
            WRONG
        }
    }
}

/// Writes to stderr; if that is gone, there is nobody to tell.
fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Shows diagnostics; without `warnings`, only what is fatal.
fn show_all(diagnostics: &[Diagnostic], sources: &SourceMap, warnings: bool) {
    for diagnostic in diagnostics {
        if warnings || diagnostic.severity >= Severity::Error {
            complain(&diagnostic.render(sources, color()));
        }
    }
}

/// What `--color` said; unset for `auto` and where it was not given.
static COLOR: OnceLock<Option<Color>> = OnceLock::new();

fn set_color(color: Option<Color>) {
    // The command line is read once.
    let _ = COLOR.set(color);
}

/// Colours where both streams are terminals, unless the command line or the environment says
/// otherwise.
fn color() -> Color {
    let is_terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    let auto = if is_terminal {
        Color::Always
    } else {
        Color::Never
    };
    if let Some(said) = COLOR.get() {
        return said.unwrap_or(auto);
    }
    let wish = std::env::var("RBT_COLOR").or_else(|_| std::env::var("BPFTRACE_COLOR"));
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    match wish.as_deref() {
        Ok("always") => Color::Always,
        Ok("never") => Color::Never,
        _ if is_unwanted => Color::Never,
        _ => auto,
    }
}
