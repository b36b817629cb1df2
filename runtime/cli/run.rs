//! Compiles a script and runs it, or shows or writes a stage of it.

use crate::args::{self, Args};
use crate::flame::{self, Flame};
use crate::tools::{self, Tool};
use crate::view::{self, View};
use crate::{WRONG, complain, print, show_all};
use rbt_compiler::config::Config;
use rbt_compiler::target::{Feature, TracedProcess};
use rbt_compiler::{Compiled, Options, Parameter, PlaceFilter, Stage};
use rbt_grammar::{Color, SourceId, SourceMap, codes};
use rbt_runtime::viewer::Viewer;
use rbt_runtime::{Buffering, Child, Files, Host, Mode, OutputFormat, Process, Session, Warnings};
use std::fmt::Write as _;
use std::io::Read;
use std::path::PathBuf;
use std::rc::Rc;

/// The C part of the script is wrong.
const WRONG_PREAMBLE: u8 = 2;

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
    if let Some(tool) = tool(args) {
        let tool = tool?;
        let id = sources.add(format!("{}.bt", tool.name), tool.text);
        let parameters = args.words.get(2..).unwrap_or_default().to_vec();
        return Ok((sources, id, parameters));
    }
    let words = words(args);
    let (name, text, parameters) = match &args.program {
        Some(text) if !text.is_empty() => (String::from("stdin"), text.clone(), words.to_vec()),
        _ if flame::is_wanted(args) && words.is_empty() => {
            (String::from("flame"), flame::script(args), Vec::new())
        }
        _ => {
            let Some((file, parameters)) = words.split_first() else {
                return Err(String::from("USAGE: filename or -e 'program' required."));
            };
            let name = if file == "-" { "stdin" } else { file };
            (name.to_owned(), read(file)?, parameters.to_vec())
        }
    };
    let id = sources.add(name, text);
    Ok((sources, id, parameters))
}

/// The command line once for each script that it names: the one of `-e`, or each word by itself.
///
/// Errors: it names none.
pub(crate) fn each(args: &Args) -> Vec<Result<Args, Refused>> {
    if args.program.is_some() {
        let words = args.words.iter().chain(&args.parameters).cloned();
        return vec![Ok(Args {
            words: words.collect(),
            ..args.clone()
        })];
    }
    if args.words.is_empty() {
        let usage = args
            .subcommand
            .map_or_else(String::new, |known| known.usage());
        return vec![Err(format!("USAGE: {usage}"))];
    }
    let words = args.words.iter().map(|word| {
        let words = std::iter::once(word).chain(&args.parameters).cloned();
        Ok(Args {
            words: words.collect(),
            ..args.clone()
        })
    });
    words.collect()
}

/// The words without the command before them.
fn words(args: &Args) -> &[String] {
    let skipped = usize::from(flame::is_wanted(args));
    args.words.get(skipped..).unwrap_or_default()
}

/// The file that the script is read from; none for `-e` and stdin.
pub(crate) fn script_file(args: &Args) -> Option<PathBuf> {
    if args.program.as_ref().is_some_and(|text| !text.is_empty()) || tool(args).is_some() {
        return None;
    }
    let file = words(args).first().filter(|file| *file != "-")?;
    Some(PathBuf::from(file))
}

/// The tool that `tools NAME` names; none if that is not what the command line says.
pub(crate) fn tool(args: &Args) -> Option<Result<&'static Tool, Refused>> {
    match (&args.program, &args.words[..]) {
        (None, [first, name, ..]) if first == "tools" => Some(tools::find(name)),
        _ => None,
    }
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
        Ok(bytes) => Ok(args::text(&bytes)),
        Err(error) => Err(format!("failed to open file '{file}': {}", reason(&error))),
    }
}

/// What a compilation is told by the command line and the environment.
pub(crate) fn options(args: &Args, positional: Vec<String>) -> Result<Options, Refused> {
    let mut config = Config::default();
    let refused = config.set_from_environment(&|name| std::env::var(name).ok());
    if let Some((name, why)) = refused.first() {
        return Err(format!("{name}: {why}"));
    }
    let fixed_settings = rbt_compiler::config::fixed_by(&|name| std::env::var_os(name).is_some());
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
        carried: None,
        question: None,
        positional,
        named,
        allows_unsafe: args.allows_unsafe,
        reports_reads: args.warnings > 0,
        config,
        fixed_settings,
        print: None,
        imports: Vec::new(),
        on_stage: None,
        keep: args.probe_filter.as_deref().map(filter).transpose()?,
    })
}

/// What `--probe-filter` keeps.
fn filter(pattern: &str) -> Result<PlaceFilter, Refused> {
    let regex = regex_lite::Regex::new(pattern)
        .map_err(|error| format!("Invalid --probe-filter regex '{pattern}': {error}"))?;
    Ok(PlaceFilter(Rc::new(move |text| regex.is_match(text))))
}

/// This machine, as the command line and the environment say to take it.
pub(crate) fn host(args: &Args, traced: TracedProcess) -> Result<Host, Refused> {
    let mut without = Vec::new();
    for name in &args.without_features {
        let known = WITHOUT.iter().find(|(known, _)| known == name);
        let (_, feature) = known.ok_or(
            "USAGE: --no-feature can only have values \
             'kprobe_multi,kprobe_session,uprobe_multi'.",
        )?;
        without.push(*feature);
    }
    let variable = |name: &str| {
        let own = std::env::var_os(format!("RBT_{name}"));
        own.or_else(|| std::env::var_os(format!("BPFTRACE_{name}")))
    };
    let files = Files {
        btf: variable("BTF").map(Into::into),
        vmlinux: variable("VMLINUX").map(Into::into),
        kernel_source: variable("KERNEL_SOURCE").map(Into::into),
        kernel_build: variable("KERNEL_BUILD").map(Into::into),
        include_folders: args.include_folders.iter().map(Into::into).collect(),
        includes: args.includes.iter().map(Into::into).collect(),
        traceable_functions: args.traceable_functions.as_ref().map(Into::into),
        debug_folders: args.debug_folders.iter().map(Into::into).collect(),
    };
    for (file, what) in [
        (&files.btf, "the file of BPFTRACE_BTF"),
        (
            &files.traceable_functions,
            "the list of traceable functions",
        ),
    ] {
        if let Some(file) = file
            && let Err(error) = std::fs::File::open(file)
        {
            let (file, why) = (file.display(), reason(&error));
            return Err(format!("cannot read {what}, '{file}': {why}"));
        }
    }
    let logs = args.stages.iter().any(|stage| stage == "verifier");
    let host = Host::new(traced).with_files(files).without(without);
    Ok(host.with_verifier_logs(logs))
}

/// What `--no-feature` may name.
const WITHOUT: &[(&str, Feature)] = &[
    ("kprobe_multi", Feature::KprobeMulti),
    ("kprobe_session", Feature::KprobeSession),
    ("uprobe_multi", Feature::UprobeMulti),
];

/// The stages that `-d` names, in the order of the compilation.
fn stages(args: &Args) -> Result<Vec<Stage>, Refused> {
    let mut stages = Vec::new();
    for name in &args.stages {
        match Stage::named(name) {
            Some(stage) => stages.push(stage),
            // What loading and verifying say is shown while the script runs.
            None if matches!(name.as_str(), "libbpf" | "verifier") => {}
            None if name == "all" => stages.extend(Stage::ALL.iter().map(|(stage, _)| *stage)),
            None => return Err(format!("USAGE: invalid option for -d: {name}")),
        }
    }
    stages.sort_unstable();
    stages.dedup();
    Ok(stages)
}

/// Prints stages of a script and stops. Its mistakes are shown once.
fn show_stages(
    stages: &[Stage],
    (sources, script): (&SourceMap, SourceId),
    host: &Host,
    options: &Options,
    warnings: bool,
) -> u8 {
    for (number, stage) in stages.iter().enumerate() {
        let options = Options {
            print: Some(*stage),
            ..options.clone()
        };
        let vocabulary = &rbt_stdlib::VOCABULARY;
        let compiled = rbt_compiler::compile(sources, script, vocabulary, host, &options);
        // An early stage can be shown of a script that a later one refuses.
        if number + 1 == stages.len() || compiled.listing.is_none() {
            show_all(&compiled.diagnostics, sources, warnings);
        }
        let Some(listing) = compiled.listing else {
            return WRONG;
        };
        if stages.len() > 1 {
            print(&format!("// {}\n", stage.name()));
        }
        print(&listing);
    }
    0
}

/// The reason as the C library words it, without Rust's number behind it.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn prepare(args: &Args) -> Result<u8, Refused> {
    if args.pid.is_some() && args.command.is_some() {
        return Err(String::from("USAGE: Cannot use both -c and -p."));
    }
    if args.warnings > 1 {
        return Err(String::from(
            "USAGE: -kk has been deprecated. Use a single -k for runtime warnings for errors in \
             map lookups and probe reads.",
        ));
    }
    if args.warnings > 0 && args.hides_warnings {
        return Err(String::from(
            "USAGE: -k, --warnings conflicts with --no-warnings",
        ));
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
    if let Some(option) = args.llvm {
        return Err(format!(
            "USAGE: {option} is not available: scripts are compiled without LLVM. Use -d to see \
             a stage, --emit-elf for the object."
        ));
    }
    let mut mode = Mode::Trace;
    let compiles_only = match args.mode.as_deref() {
        None => false,
        Some("codegen") => true,
        Some("compiler-bench") => true,
        Some("bench") => {
            mode = Mode::Bench;
            false
        }
        Some("test") => {
            mode = Mode::Test;
            false
        }
        Some("format") => return crate::fmt::one(args),
        Some(_) => {
            return Err(String::from(
                "USAGE: --mode can only be 'codegen', 'compiler-bench', 'bench', 'test' or \
                 'format'.",
            ));
        }
    };
    let stages = stages(args)?;
    for unwound in &args.unwound {
        pid(unwound)?;
    }
    let (mut sources, script, positional) = script(args)?;
    let mut options = options(args, positional)?;
    options.imports = crate::imports::load(&mut sources, script, script_file(args).as_deref());
    let is_compiled_only = compiles_only || !stages.is_empty() || args.emit_elf.is_some();

    let process = match &args.pid {
        None => None,
        Some(text) => {
            let process = Process::open(pid(text)?);
            Some(process.map_err(|error| error.to_string())?)
        }
    };
    let child = match &args.command {
        Some(command) if !is_compiled_only && !command.trim().is_empty() => {
            match Child::spawn(command) {
                Ok(child) => Some(child),
                Err(error) => return Err(error.to_string()),
            }
        }
        _ => None,
    };
    let traced = TracedProcess {
        pid: process.as_ref().map(Process::pid),
        child: child.as_ref().map(Child::pid),
    };
    let host = host(args, traced)?;
    if args.mode.as_deref() == Some("compiler-bench") {
        return Ok(crate::clock::run(&sources, script, &host, &options));
    }
    if !stages.is_empty() {
        let script = (&sources, script);
        let warnings = !args.hides_warnings;
        return Ok(show_stages(&stages, script, &host, &options, warnings));
    }
    if !is_compiled_only && let Err(diagnostic) = host.check_privileges() {
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
    let Some(artifact) = compiled.artifact else {
        let mut mistakes = compiled.diagnostics.iter().filter(|d| d.is_fatal());
        let is_c = mistakes.any(|mistake| codes::is_of_preamble(mistake.code));
        return Ok(if is_c { WRONG_PREAMBLE } else { WRONG });
    };
    if compiles_only {
        return Ok(0);
    }
    if artifact.manifest.programs.is_empty() {
        print("No probes to attach\n");
        return Ok(WRONG);
    }
    if let Some(path) = &args.emit_elf {
        return match std::fs::write(path, &artifact.object) {
            Ok(()) => Ok(0),
            Err(error) => Err(format!("cannot write the object to '{path}': {error}")),
        };
    }
    let mut viewer: Option<Box<dyn Viewer>> = None;
    let mut output = args.output.as_ref().map(PathBuf::from);
    if flame::is_wanted(args) {
        let name = sources
            .get(script)
            .map_or("", |source| source.name.as_str());
        let flame = Flame::new(args, name);
        if !args.is_quiet {
            complain(&flame.notice());
        }
        viewer = Some(Box::new(flame));
        output = None;
    }
    let mut printed = None;
    let mut sink = None;
    if args.views {
        let (view, output) = View::new(crate::color() == Color::Always, output.is_some())?;
        let shared = output.as_ref().map(std::fs::File::try_clone);
        printed = shared.transpose().map_err(|error| reason(&error))?;
        sink = output;
        viewer = Some(Box::new(view));
    }
    let session = Session::start(
        &artifact,
        &sources,
        &rbt_stdlib::HANDLERS,
        &host,
        rbt_runtime::Options {
            format,
            output,
            buffering,
            is_quiet: args.is_quiet,
            is_verbose: args.is_verbose || args.stages.iter().any(|stage| stage == "libbpf"),
            warnings: if args.hides_warnings {
                Warnings::None
            } else if args.warnings > 0 {
                Warnings::All
            } else {
                Warnings::Some
            },
            is_unsafe_allowed: args.allows_unsafe,
            is_dry_run: args.is_dry_run,
            mode,
            child,
            process,
            is_last: true,
            viewer,
            sink,
        },
    );
    let ended = session.and_then(Session::run);
    if let Some(printed) = printed {
        view::finish(&printed).map_err(|error| reason(&error))?;
    }
    let error = match ended {
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
    if unknown.is_empty() || compiled.artifact.is_none() {
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

/// The number of a process, decimal or hexadecimal.
pub(crate) fn pid(text: &str) -> Result<u32, Refused> {
    let digits = text.strip_prefix("0x");
    let number = match digits {
        Some(digits) => i128::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let number = number.map_err(|_| format!("Failed to parse pid: invalid integer: {text}"))?;
    u32::try_from(number).map_err(|_| format!("Pid out of range: {text}"))
}
