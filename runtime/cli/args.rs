//! The table of options, and what the command line says.
//!
//! One row for each option: it yields the parsing, `--help`, the manual page and the completions.
//! Parsing only records; deciding comes after.

use crate::subcommand::{self, Subcommand};
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

/// Everything the command line said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    /// `-e`
    pub program: Option<String>,
    /// The words that are no options: without `-e` the first is the script's file, or a
    /// pattern to list; the others are the script's parameters.
    pub words: Vec<String>,
    /// `--name[=value]` after a lone `--`.
    pub named: Vec<String>,
    /// `-l`
    pub lists: bool,
    /// `-v`
    pub is_verbose: bool,
    /// `-q`
    pub is_quiet: bool,
    /// `-o`
    pub output: Option<String>,
    /// `-f`
    pub format: Option<String>,
    /// `-B`
    pub buffering: Option<String>,
    /// `-c`
    pub command: Option<String>,
    /// `-p`
    pub pid: Option<String>,
    /// `-d`, all of them.
    pub stages: Vec<String>,
    /// `-k`, how often.
    pub warnings: u32,
    /// `--no-warnings`
    pub hides_warnings: bool,
    /// `--unsafe`
    pub allows_unsafe: bool,
    /// `--dry-run`
    pub is_dry_run: bool,
    /// `--emit-elf`
    pub emit_elf: Option<String>,
    /// `-I`
    pub include_folders: Vec<String>,
    /// `--include`
    pub includes: Vec<String>,
    /// `--no-feature`
    pub without_features: Vec<String>,
    /// `--probe-filter`
    pub probe_filter: Option<String>,
    /// `--traceable-functions`
    pub traceable_functions: Option<String>,
    /// `--debuginfo`
    pub debug_folders: Vec<String>,
    /// `--dwarf-pid`
    pub unwound: Vec<String>,
    /// `--mode`, or the option that stands for one.
    pub mode: Option<String>,
    /// An option that only a compiler by way of LLVM could honour.
    pub llvm: Option<&'static str>,
    /// `--folded`
    pub is_folded: bool,
    /// `--view`
    pub views: bool,
    /// `--info`
    pub info: bool,
    /// `--doc`
    pub doc: bool,
    /// `--explain`
    pub explain: Option<String>,
    /// `--color`
    pub color: Option<String>,
    /// `--man`
    pub man: bool,
    /// The first word, if it is one of those that `rbt help commands` lists. Not in `words`,
    /// save for `tools`.
    pub subcommand: Option<&'static Subcommand>,
    /// Words after a lone `--`, where the words before it are not the script's parameters.
    pub parameters: Vec<String>,
    /// `fmt -i`
    pub in_place: bool,
    /// `fmt --check`
    pub only_compares: bool,
    /// `-h`
    pub help: bool,
    /// `-V`
    pub version: bool,
}

/// How an option takes effect.
pub(crate) enum Effect {
    /// Takes nothing.
    Flag(fn(&mut Args)),
    /// Takes a value of that name.
    Value(&'static str, fn(&mut Args, String)),
}

/// An option.
pub(crate) struct Row {
    /// Its letter.
    pub short: Option<char>,
    /// Its name without dashes; empty if it has a letter only.
    pub long: &'static str,
    /// What it does to the arguments.
    pub effect: Effect,
    /// One sentence.
    pub help: &'static str,
}

impl Row {
    /// How it is written: `-o, --output FILE`.
    pub(crate) fn usage(&self) -> String {
        let mut usage = match (self.short, self.long) {
            (Some(short), "") => format!("-{short}"),
            (Some(short), long) => format!("-{short}, --{long}"),
            (None, long) => format!("    --{long}"),
        };
        if let Effect::Value(name, _) = self.effect {
            usage.push(' ');
            usage.push_str(name);
        }
        usage
    }
}

/// Every option that stands before or behind any word.
pub(crate) const TABLE: &[Row] = &[
    Row {
        short: Some('e'),
        long: "",
        effect: Effect::Value("PROGRAM", |a, v| a.program = Some(v)),
        help: "run this text",
    },
    Row {
        short: Some('l'),
        long: "list",
        effect: Effect::Flag(|a| a.lists = true),
        help: "list probes that match a pattern, or that a script attaches to",
    },
    Row {
        short: Some('v'),
        long: "verbose",
        effect: Effect::Flag(|a| a.is_verbose = true),
        help: "say what is done; with -l show the arguments of probes",
    },
    Row {
        short: Some('p'),
        long: "pid",
        effect: Effect::Value("PID", |a, v| a.pid = Some(v)),
        help: "trace this process only, and end when it ends",
    },
    Row {
        short: Some('c'),
        long: "cmd",
        effect: Effect::Value("COMMAND", |a, v| a.command = Some(v)),
        help: "run this command, and end when it ends",
    },
    Row {
        short: Some('o'),
        long: "output",
        effect: Effect::Value("FILE", |a, v| a.output = Some(v)),
        help: "write the output to a file",
    },
    Row {
        short: Some('f'),
        long: "",
        effect: Effect::Value("FORMAT", |a, v| a.format = Some(v)),
        help: "the output's format: text or json",
    },
    Row {
        short: Some('B'),
        long: "",
        effect: Effect::Value("MODE", |a, v| a.buffering = Some(v)),
        help: "when output leaves: line, full or none",
    },
    Row {
        short: Some('q'),
        long: "quiet",
        effect: Effect::Flag(|a| a.is_quiet = true),
        help: "no notice when everything is attached",
    },
    Row {
        short: Some('k'),
        long: "warnings",
        effect: Effect::Flag(|a| a.warnings += 1),
        help: "report failed reads of memory and maps too",
    },
    Row {
        short: None,
        long: "no-warnings",
        effect: Effect::Flag(|a| a.hides_warnings = true),
        help: "no warnings",
    },
    Row {
        short: None,
        long: "unsafe",
        effect: Effect::Flag(|a| a.allows_unsafe = true),
        help: "allow functions that change the system",
    },
    Row {
        short: None,
        long: "dry-run",
        effect: Effect::Flag(|a| a.is_dry_run = true),
        help: "compile, load and attach, then stop",
    },
    Row {
        short: Some('d'),
        long: "debug",
        effect: Effect::Value("STAGE[,STAGE]", |a, v| {
            a.stages.extend(v.split(',').map(str::to_owned));
        }),
        help: "print a stage and stop: ast, hir, plan, ir, asm, object or all; or show what \
               the verifier says",
    },
    Row {
        short: None,
        long: "emit-elf",
        effect: Effect::Value("FILE", |a, v| a.emit_elf = Some(v)),
        help: "write the eBPF object to a file and stop",
    },
    Row {
        short: Some('I'),
        long: "",
        effect: Effect::Value("DIR", |a, v| a.include_folders.push(v)),
        help: "search a folder for what a script includes",
    },
    Row {
        short: None,
        long: "include",
        effect: Effect::Value("FILE", |a, v| a.includes.push(v)),
        help: "include a file before the script",
    },
    Row {
        short: None,
        long: "no-feature",
        effect: Effect::Value("NAME[,NAME]", |a, v| {
            a.without_features.extend(v.split(',').map(str::to_owned));
        }),
        help: "do without kprobe_multi, kprobe_session or uprobe_multi",
    },
    Row {
        short: None,
        long: "probe-filter",
        effect: Effect::Value("REGEX", |a, v| a.probe_filter = Some(v)),
        help: "keep only probes whose name matches",
    },
    Row {
        short: None,
        long: "traceable-functions",
        effect: Effect::Value("FILE", |a, v| a.traceable_functions = Some(v)),
        help: "read the kernel functions that can be traced from a file",
    },
    Row {
        short: None,
        long: "debuginfo",
        effect: Effect::Value("DIR[:DIR]", |a, v| {
            a.debug_folders.extend(v.split(':').map(str::to_owned));
        }),
        help: "search folders for debug information of programs",
    },
    Row {
        short: None,
        long: "dwarf-pid",
        effect: Effect::Value("PID", |a, v| a.unwound.push(v)),
        help: "accepted: stacks of every process are unwound where they can be",
    },
    Row {
        short: None,
        long: "usdt-file-activation",
        effect: Effect::Flag(|_| {}),
        help: "accepted: the kernel activates semaphores by itself",
    },
    Row {
        short: None,
        long: "mode",
        effect: Effect::Value("MODE", |a, v| a.mode = Some(v)),
        help: "what to do: codegen (compile, and stop), format, bench or test",
    },
    Row {
        short: None,
        long: "bench",
        effect: Effect::Flag(|a| a.mode = Some(String::from("bench"))),
        help: "run the benchmarks of a script, and report how long they take",
    },
    Row {
        short: None,
        long: "test",
        effect: Effect::Flag(|a| a.mode = Some(String::from("test"))),
        help: "run the tests of a script, and report which pass",
    },
    Row {
        short: None,
        long: "fmt",
        effect: Effect::Flag(|a| a.mode = Some(String::from("format"))),
        help: "write the script in its usual form; with -o into that file",
    },
    Row {
        short: None,
        long: "emit-llvm",
        effect: Effect::Value("FILE", |a, _| a.llvm = Some("--emit-llvm")),
        help: "refused: nothing is compiled by way of LLVM",
    },
    Row {
        short: None,
        long: "verify-llvm-ir",
        effect: Effect::Flag(|a| a.llvm = Some("--verify-llvm-ir")),
        help: "refused: nothing is compiled by way of LLVM",
    },
    Row {
        short: None,
        long: "aot",
        effect: Effect::Value("FILE", |a, _| a.llvm = Some("--aot")),
        help: "refused: --emit-elf writes an object that other loaders take",
    },
    Row {
        short: None,
        long: "view",
        effect: Effect::Flag(|a| a.views = true),
        help: "show maps on the terminal while they change: tables, rates, histograms over time",
    },
    Row {
        short: None,
        long: "doc",
        effect: Effect::Flag(|a| a.doc = true),
        help: "show the page of a word, a setting or a code, or list them",
    },
    Row {
        short: None,
        long: "explain",
        effect: Effect::Value("CODE", |a, v| a.explain = Some(v)),
        help: "explain the code of a message, such as E0402",
    },
    Row {
        short: None,
        long: "info",
        effect: Effect::Flag(|a| a.info = true),
        help: "say what this kernel can do",
    },
    Row {
        short: None,
        long: "color",
        effect: Effect::Value("WHEN", |a, v| a.color = Some(v)),
        help: "colours in messages: always, never, or auto (on a terminal)",
    },
    Row {
        short: None,
        long: "man",
        effect: Effect::Flag(|a| a.man = true),
        help: "write the manual page: rbt --man | man -l -",
    },
    Row {
        short: Some('h'),
        long: "help",
        effect: Effect::Flag(|a| a.help = true),
        help: "show this",
    },
    Row {
        short: Some('V'),
        long: "version",
        effect: Effect::Flag(|a| a.version = true),
        help: "show the version",
    },
];

/// Reads a command line, without the command's own name.
///
/// Errors: a sentence about what is wrong with it.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Args, String> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let end = arguments.iter().position(|a| a == "--");
    let (options, rest) = match end {
        Some(end) => {
            let (options, rest) = arguments.split_at(end);
            (options, rest.get(1..).unwrap_or_default())
        }
        None => (arguments.as_slice(), [].as_slice()),
    };
    let mut args = Args::default();
    let mut parser = Parser::from_args(options);
    while let Some(argument) = parser.next().map_err(complaint)? {
        let row = match argument {
            Arg::Value(word) => {
                args.word(text(word.as_bytes()));
                continue;
            }
            Arg::Short('b') => continue,
            Arg::Short(letter) => {
                let row = args.rows().find(|row| row.short == Some(letter));
                row.ok_or_else(|| format!("invalid option -- '{letter}'"))?
            }
            Arg::Long(name) => named(name, &args)?,
        };
        match row.effect {
            Effect::Flag(set) => set(&mut args),
            Effect::Value(_, set) => {
                let value = parser.value().map_err(complaint)?;
                set(&mut args, text(value.as_bytes()));
            }
        }
    }
    for word in rest {
        let word = text(word.as_bytes());
        if word.starts_with("--") {
            args.named.push(word);
        } else if args.subcommand.is_some_and(|known| !known.is_a_script) {
            args.parameters.push(word);
        } else {
            args.words.push(word);
        }
    }
    Ok(args)
}

/// Bytes as a script's text: those that are no UTF-8 become escapes, which mean the same bytes
/// inside a string.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

impl Args {
    /// The options that may follow: those of the subcommand before all others.
    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let own = self.subcommand.map_or(&[][..], |known| known.options);
        own.iter().chain(TABLE)
    }

    /// Takes a word that is no option.
    fn word(&mut self, word: String) {
        let is_first = self.words.is_empty() && self.subcommand.is_none();
        let is_other = self.program.is_some() || self.lists || self.doc;
        if is_first && !is_other && self.explain.is_none() {
            self.subcommand = subcommand::find(&word);
            if self.subcommand.is_some_and(|known| !known.is_a_script) {
                return;
            }
        }
        self.words.push(word);
    }
}

/// The option of that long name, or the only one that begins so.
fn named(name: &str, args: &Args) -> Result<&'static Row, String> {
    let all = || args.rows().filter(|row| !row.long.is_empty());
    if let Some(row) = all().find(|row| row.long == name) {
        return Ok(row);
    }
    let near: Vec<&Row> = all().filter(|row| row.long.starts_with(name)).collect();
    match near.as_slice() {
        [row] => Ok(row),
        [] => Err(format!("unrecognized option '--{name}'")),
        near => {
            let names: Vec<String> = near.iter().map(|r| format!("'--{}'", r.long)).collect();
            Err(format!(
                "option '--{name}' is ambiguous; possibilities: {}",
                names.join(" ")
            ))
        }
    }
}

/// What the C library's `getopt` says of the same mistake.
fn complaint(error: lexopt::Error) -> String {
    match error {
        lexopt::Error::MissingValue { option: Some(name) } => match name.strip_prefix("--") {
            Some(_) => format!("option '{name}' requires an argument"),
            None => format!(
                "option requires an argument -- '{}'",
                name.trim_start_matches('-')
            ),
        },
        lexopt::Error::UnexpectedValue { option, .. } => {
            format!("option '{option}' doesn't allow an argument")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn options_may_follow_the_script_until_two_dashes() {
        let args = parse(words("a.bt 1 -q x -- -5 --name=3")).expect("a good line");
        assert!(args.is_quiet);
        assert_eq!(args.words, ["a.bt", "1", "x", "-5"]);
        assert_eq!(args.named, ["--name=3"]);
    }

    #[test]
    fn short_options_join() {
        let args = parse(words("-lv t:*")).expect("a good line");
        assert!(args.lists && args.is_verbose);
        assert!(parse(words("--nonsense")).is_err());
        assert!(parse(words("-e")).is_err());
    }

    #[test]
    fn long_options_may_be_cut_short() {
        assert!(
            parse(words("--verb"))
                .expect("only one begins so")
                .is_verbose
        );
        let error = parse(words("--no")).expect_err("two begin so");
        assert_eq!(
            error,
            "option '--no' is ambiguous; possibilities: '--no-warnings' '--no-feature'"
        );
        let error = parse(words("--pid")).expect_err("nothing follows");
        assert_eq!(error, "option '--pid' requires an argument");
        let error = parse(words("-z")).expect_err("no such letter");
        assert_eq!(error, "invalid option -- 'z'");
        let error = parse(words("--quiet=1")).expect_err("takes none");
        assert_eq!(error, "option '--quiet' doesn't allow an argument");
    }

    #[test]
    fn the_first_word_may_be_a_subcommand() {
        let args = parse(words("-q check --format json a.bt")).expect("a good line");
        assert_eq!(args.subcommand.map(|known| known.name), Some("check"));
        assert_eq!(args.words, ["a.bt"]);
        assert_eq!(args.format.as_deref(), Some("json"));
        let args = parse(words("a.bt check")).expect("a good line");
        assert!(args.subcommand.is_none());
        assert_eq!(args.words, ["a.bt", "check"]);
        let args = parse(words("./check -l")).expect("a good line");
        assert_eq!(args.words, ["./check"]);
        let args = parse(words("-l check")).expect("a good line");
        assert!(args.subcommand.is_none());
        assert!(parse(words("a.bt --in-place")).is_err());
    }
}
