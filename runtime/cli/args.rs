//! The table of options, and what the command line says.
//!
//! One row for each option: it yields the parsing and `--help`. Parsing only records;
//! deciding comes after.

use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;
use std::fmt::Write as _;

/// Everything the command line said.
#[derive(Debug, Default)]
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
    /// `-d`
    pub stage: Option<String>,
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
    /// `--info`
    pub info: bool,
    /// `--doc`
    pub doc: Option<String>,
    /// `--explain`
    pub explain: Option<String>,
    /// `-h`
    pub help: bool,
    /// `-V`
    pub version: bool,
}

/// How an option takes effect.
enum Effect {
    Flag(fn(&mut Args)),
    Value(&'static str, fn(&mut Args, String)),
}

/// An option.
struct Row {
    short: Option<char>,
    long: &'static str,
    effect: Effect,
    help: &'static str,
}

const TABLE: &[Row] = &[
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
        effect: Effect::Value("STAGE", |a, v| a.stage = Some(v)),
        help: "print a stage and stop: ast, hir, plan, ir, asm or object",
    },
    Row {
        short: None,
        long: "emit-elf",
        effect: Effect::Value("FILE", |a, v| a.emit_elf = Some(v)),
        help: "write the eBPF object to a file and stop",
    },
    Row {
        short: None,
        long: "doc",
        effect: Effect::Value("WORD", |a, v| a.doc = Some(v)),
        help: "show the page of a probe type, builtin, function or map kind",
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
    while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
        let row = match argument {
            Arg::Value(word) => {
                args.words.push(word.string().map_err(|e| e.to_string())?);
                continue;
            }
            Arg::Short('b') => continue,
            Arg::Short(letter) => {
                let row = TABLE.iter().find(|row| row.short == Some(letter));
                row.ok_or_else(|| format!("unknown option -{letter}"))?
            }
            Arg::Long(name) => {
                let row = TABLE
                    .iter()
                    .find(|row| !name.is_empty() && row.long == name);
                row.ok_or_else(|| format!("unknown option --{name}"))?
            }
        };
        match row.effect {
            Effect::Flag(set) => set(&mut args),
            Effect::Value(_, set) => {
                let value = parser.value().map_err(|e| e.to_string())?;
                set(&mut args, value.string().map_err(|e| e.to_string())?);
            }
        }
    }
    for word in rest {
        let word = word.clone().string().map_err(|e| e.to_string())?;
        if word.starts_with("--") {
            args.named.push(word);
        } else {
            args.words.push(word);
        }
    }
    Ok(args)
}

/// What `--help` shows.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "USAGE:\n    \
         rbt [options] FILE [parameters]\n    \
         rbt [options] -e 'PROGRAM' [parameters]\n    \
         rbt [options] -                  the script comes from stdin\n    \
         rbt -l [PATTERN]                 list probes\n\n\
         OPTIONS:\n",
    );
    for row in TABLE {
        let mut flags = match (row.short, row.long) {
            (Some(short), "") => format!("-{short}"),
            (Some(short), long) => format!("-{short}, --{long}"),
            (None, long) => format!("    --{long}"),
        };
        if let Effect::Value(name, _) = row.effect {
            flags.push(' ');
            flags.push_str(name);
        }
        let _ = writeln!(text, "    {flags:<24} {}", row.help);
    }
    text.push_str(
        "\nEXAMPLES:\n    \
         rbt -l 'tracepoint:syscalls:*open*'\n        \
         list tracepoints whose name contains \"open\"\n    \
         rbt -e 'tracepoint:raw_syscalls:sys_enter < @[comm] = count(); >'\n        \
         count system calls by process; Ctrl-C prints the counts\n    \
         rbt -e 'tracepoint:syscalls:sys_enter_openat { printf(\"%s %s\\n\", comm, \
         str(args.filename)); }'\n        \
         show the files that are opened\n    \
         rbt -e 'profile:hz:99 { @[comm] = count(); } interval:s:5 { exit(); }'\n        \
         sample what runs, for five seconds\n\n\
         SETTINGS (config = { name = value } in a script, or RBT_NAME in the environment):\n",
    );
    for row in rbt_compiler::config::TABLE {
        let _ = writeln!(text, "    {:<24} {}", row.name, row.doc);
    }
    text.push_str(
        "\nEXIT STATUS:\n    \
         0 tracing ended; what exit(n) says; 1 the script or the command line is wrong;\n    \
         255 the machine refused to load or attach\n",
    );
    text
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
    fn every_option_is_in_the_help() {
        let help = help();
        for row in TABLE {
            assert!(help.contains(row.help));
        }
    }
}
