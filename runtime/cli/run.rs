//! Compiles a script and runs it, or shows or writes a stage of it.

use crate::args::Args;
use crate::{WRONG, complain, print, show_all};
use rbt_compiler::config::Config;
use rbt_compiler::target::TracedProcess;
use rbt_compiler::{Compiled, Options, Parameter, Stage};
use rbt_grammar::{SourceId, SourceMap};
use rbt_runtime::{Buffering, Child, Host, OutputFormat, Process, Session, Warnings};
use std::fmt::Write as _;
use std::io::Read;

/// A usage error: the sentence goes to stderr, the status is 1.
type Refused = String;

/// Runs what the command line says.
pub(crate) fn run(args: &Args) -> u8 {
    match prepare(args) {
        Ok(status) => status,
        Err(why) => {
            complain(&format!("ERROR: {why}\n"));
            WRONG
        }
    }
}

/// The script's text and its parameters.
pub(crate) fn script(args: &Args) -> Result<(SourceMap, SourceId, Vec<String>), Refused> {
    let mut sources = SourceMap::new();
    let (name, text, parameters) = match &args.program {
        Some(text) if !text.is_empty() => (String::from("stdin"), text.clone(), args.words.clone()),
        _ => {
            let Some((file, parameters)) = args.words.split_first() else {
                return Err(String::from("USAGE: filename or -e 'program' required."));
            };
            let name = if file == "-" { "stdin" } else { file };
            (name.to_owned(), read(file)?, parameters.to_vec())
        }
    };
    let id = sources.add(name, text);
    Ok((sources, id, parameters))
}

fn read(file: &str) -> Result<String, Refused> {
    let bytes = if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    match bytes {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => {
            // The reason as the C library words it, without Rust's number behind it.
            let text = error.to_string();
            let reason = text.split(" (os error").next().unwrap_or_default();
            Err(format!("failed to open file '{file}': {reason}"))
        }
    }
}

/// What a compilation is told by the command line and the environment.
pub(crate) fn options(args: &Args, positional: Vec<String>) -> Result<Options, Refused> {
    let mut config = Config::default();
    let refused = config.set_from_environment(&|name| std::env::var(name).ok());
    if let Some((name, why)) = refused.first() {
        return Err(format!("{name}: {why}"));
    }
    let fixed_settings = rbt_compiler::config::TABLE
        .iter()
        .filter(|row| {
            let upper = row.name.to_ascii_uppercase();
            ["BPFTRACE_", "RBT_"]
                .iter()
                .any(|prefix| std::env::var_os(format!("{prefix}{upper}")).is_some())
        })
        .map(|row| row.name.to_owned())
        .collect();
    let print = match &args.stage {
        None => None,
        Some(name) => Some(
            Stage::named(name).ok_or_else(|| format!("USAGE: invalid option for -d: {name}"))?,
        ),
    };
    let named = args
        .named
        .iter()
        .map(|word| {
            let word = word.trim_start_matches("--");
            match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            }
        })
        .collect();
    Ok(Options {
        positional,
        named,
        allows_unsafe: args.allows_unsafe,
        reports_reads: args.warnings > 0,
        config,
        fixed_settings,
        print,
    })
}

fn prepare(args: &Args) -> Result<u8, Refused> {
    if args.pid.is_some() && args.command.is_some() {
        return Err(String::from("USAGE: Cannot use both -c and -p."));
    }
    if args.warnings > 1 {
        return Err(String::from(
            "USAGE: -kk has been deprecated. Use a single -k for runtime warnings.",
        ));
    }
    if args.warnings > 0 && args.hides_warnings {
        return Err(String::from("USAGE: Cannot use both -k and --no-warnings."));
    }
    let format = match args.format.as_deref() {
        None | Some("text") => OutputFormat::Text,
        Some("json") => OutputFormat::Json,
        Some(other) => {
            return Err(format!(
                "Invalid output format \"{other}\"\nValid formats: 'text', 'json'"
            ));
        }
    };
    let buffering = match args.buffering.as_deref() {
        None | Some("line") => Buffering::Line,
        Some("full") => Buffering::Full,
        Some("none") => Buffering::None,
        Some(_) => {
            return Err(String::from(
                "USAGE: -B must be either 'line', 'full', or 'none'.",
            ));
        }
    };
    let (sources, script, positional) = script(args)?;
    let options = options(args, positional)?;
    let only_compiles = options.print.is_some() || args.emit_elf.is_some();

    let process = match &args.pid {
        None => None,
        Some(text) => {
            let pid = text
                .parse()
                .map_err(|_| format!("Failed to parse pid: invalid integer: {text}"))?;
            Some(process(pid, &sources)?)
        }
    };
    let child = match &args.command {
        Some(command) if !only_compiles => match Child::spawn(command) {
            Ok(child) => Some(child),
            Err(error) => return Err(error.to_string()),
        },
        _ => None,
    };
    let traced = TracedProcess {
        pid: process.as_ref().map(Process::pid),
        child: child.as_ref().map(Child::pid),
    };
    let mut host = Host::new(traced);
    if let Ok(file) = std::env::var("BPFTRACE_BTF") {
        host = host.with_btf_file(file);
    }
    if !only_compiles && let Err(diagnostic) = host.check_privileges() {
        show_all(&[diagnostic], &sources, true);
        return Ok(WRONG);
    }
    let compiled =
        rbt_compiler::compile(&sources, script, &rbt_stdlib::VOCABULARY, &host, &options);
    show_all(&compiled.diagnostics, &sources, !args.hides_warnings);
    if let Some(text) = unexpected(&options, &compiled) {
        complain(&text);
        return Ok(WRONG);
    }
    let Compiled {
        artifact, listing, ..
    } = compiled;
    if let Some(listing) = listing {
        return Ok(print(&listing));
    }
    let Some(artifact) = artifact else {
        return Ok(WRONG);
    };
    if let Some(path) = &args.emit_elf {
        return match std::fs::write(path, &artifact.object) {
            Ok(()) => Ok(0),
            Err(error) => Err(format!("cannot write the object to '{path}': {error}")),
        };
    }
    let session = Session::start(
        &artifact,
        &sources,
        &rbt_stdlib::HANDLERS,
        &host,
        rbt_runtime::Options {
            format,
            output: args.output.as_ref().map(Into::into),
            buffering,
            is_quiet: args.is_quiet,
            is_verbose: args.is_verbose,
            warnings: if args.hides_warnings {
                Warnings::None
            } else if args.warnings > 0 {
                Warnings::All
            } else {
                Warnings::Some
            },
            is_unsafe_allowed: args.allows_unsafe,
            is_dry_run: args.is_dry_run,
            child,
            process,
        },
    );
    let error = match session.and_then(Session::run) {
        Ok(status) => return Ok(u8::try_from(status & 0xff).unwrap_or(0)),
        Err(error) => error,
    };
    if let rbt_runtime::Error::Output(reason) = &error
        && reason.kind() == std::io::ErrorKind::BrokenPipe
    {
        return Ok(0);
    }
    show_all(&[error.diagnostic()], &sources, true);
    Ok(u8::try_from(error.status() & 0xff).unwrap_or(255))
}

/// What is wrong with the named parameters: those the script does not take, or a question
/// for those it takes.
fn unexpected(options: &Options, compiled: &Compiled) -> Option<String> {
    let is_taken = |name: &str| compiled.parameters.iter().any(|p| p.name == name);
    let given = options.named.iter().map(|(name, _)| name.as_str());
    let unknown: Vec<String> = given
        .filter(|name| !is_taken(name))
        .map(|name| format!("--{name}"))
        .collect();
    if unknown.is_empty() || (compiled.artifact.is_none() && compiled.listing.is_none()) {
        return None;
    }
    if unknown == ["--help"] {
        let mut text = String::from("HINT: expected program options:\n");
        for Parameter {
            name, description, ..
        } in &compiled.parameters
        {
            let colon = if description.is_empty() { "" } else { ": " };
            let _ = writeln!(text, "--{name}{colon}{description}");
        }
        return Some(text);
    }
    let names = compiled.parameters.iter().rev();
    let names: Vec<String> = names.map(|p| format!("--{}", p.name)).collect();
    Some(format!(
        "ERROR: unexpected program command line options: {}\nHINT: expected program options: {}\n",
        unknown.join(", "),
        names.join(": ")
    ))
}

fn process(pid: u32, sources: &SourceMap) -> Result<Process, Refused> {
    let _ = sources;
    Process::open(pid).map_err(|error| error.to_string())
}
