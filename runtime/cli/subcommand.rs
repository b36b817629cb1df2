//! The table of subcommands: words that may stand where a script's file does.
//!
//! One row for each: it yields the parsing, `rbt help`, the manual page and the completions. A
//! script whose file is called like one is run as `./check`.

use crate::args::{Args, Effect, Row};
use crate::{check, completions, fmt, help, lsp, print, run, tools};

/// A subcommand.
#[derive(Debug)]
pub(crate) struct Subcommand {
    /// The word.
    pub name: &'static str,
    /// What follows it.
    pub arguments: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Paragraphs.
    pub details: &'static str,
    /// Its own options.
    pub options: &'static [Row],
    /// What `-d`, `-o` and all other options of running mean here: what they always do.
    pub is_a_script: bool,
    /// Does it; gives the exit status.
    pub run: fn(&Args) -> u8,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.usage())
    }
}

/// Every subcommand.
pub(crate) const TABLE: &[Subcommand] = &[
    Subcommand {
        name: "tools",
        arguments: "[NAME [parameters]]",
        summary: "run a tool that comes with rbt, or list them",
        details: "Without a name lists the tools. `rbt tools NAME --help` says what a tool shows, \
                  what it costs and how it is called; its own parameters with names follow a lone \
                  `--`.",
        options: &[],
        is_a_script: true,
        run: |args| match &args.words[..] {
            [_] if args.program.is_none() => print(&tools::list()),
            _ => run::run(args),
        },
    },
    Subcommand {
        name: "flame",
        arguments: "[FILE | -e PROGRAM] [parameters]",
        summary: "draw the stacks that a script counts, or that the CPUs are in",
        details: "Writes a flame graph, which a browser shows, to the file of `-o` (`flame.svg`). \
                  Without a script the CPUs are sampled 99 times a second, those that run the \
                  process of `-p`, or the command of `-c` and what it starts: until Ctrl-C, the \
                  end of the command, or for `-- --seconds=N`; `-- --user` and `-- --kernel` take \
                  one kind of stacks alone. Of a script, every map is drawn whose keys hold a \
                  stack and whose values are counts, sums, statistics or histograms.",
        options: &[Row {
            short: None,
            long: "folded",
            effect: Effect::Flag(|a| a.is_folded = true),
            help: "write folded stacks, a line for each, instead (to stdout without `-o`)",
        }],
        is_a_script: true,
        run: run::run,
    },
    Subcommand {
        name: "check",
        arguments: "FILE... [-- parameters]",
        summary: "compile scripts and run nothing; needs no privileges",
        details: "Shows what is wrong with scripts (`-` is stdin; `-e PROGRAM` one of the command \
                  line). Status 0 if nothing is, warnings aside. With `--format json` each \
                  finding is one line: an object with `severity`, `code`, `message`, `spans` \
                  (file, first and last line and column, bytes, label; the first span is where it \
                  is), `notes` and `help`. Without privileges, what only root may look up (the \
                  arguments of tracepoints) is not checked, and a note says so.",
        options: &[Row {
            short: None,
            long: "format",
            effect: Effect::Value("FORMAT", |a, v| a.format = Some(v)),
            help: "how findings are written: text or json",
        }],
        is_a_script: false,
        run: check::run,
    },
    Subcommand {
        name: "fmt",
        arguments: "FILE...",
        summary: "write scripts in their usual form",
        details: "Writes to stdout, or with `-i` back into each file that changes. Comments \
                  stay; actions in angle brackets are written in braces; what is in its usual \
                  form already does not change. `-` is stdin, `-e PROGRAM` a program of the command \
                  line.",
        options: &[
            Row {
                short: Some('i'),
                long: "in-place",
                effect: Effect::Flag(|a| a.in_place = true),
                help: "write into the files instead",
            },
            Row {
                short: None,
                long: "check",
                effect: Effect::Flag(|a| a.only_compares = true),
                help: "write nothing; name the files that are not in their usual form, status 1",
            },
        ],
        is_a_script: false,
        run: fmt::run,
    },
    Subcommand {
        name: "lsp",
        arguments: "",
        summary: "a language server for editors, on stdin and stdout",
        details: "Speaks the Language Server Protocol: diagnostics while a script is typed, \
                  completion of probes, words, maps, fields of `args` and of kernel types, a \
                  word's page and an expression's type on hover, the definition of macros, \
                  functions, maps and variables, and formatting. Needs no privileges; as root it \
                  knows the arguments of tracepoints too.",
        options: &[],
        is_a_script: false,
        run: lsp::run,
    },
    Subcommand {
        name: "help",
        arguments: "[TOPIC]",
        summary: "a page of help, or the list of topics",
        details: "A topic is one that `rbt help` lists, a subcommand, a word of the language, a \
                  setting, a message's code or a tool.",
        options: &[],
        is_a_script: false,
        run: help::run,
    },
    Subcommand {
        name: "completions",
        arguments: "bash|zsh|fish",
        summary: "write what completes rbt's command line in a shell",
        details: "For bash, `source <(rbt completions bash)` in ~/.bashrc; for zsh, `rbt \
                  completions zsh > DIR/_rbt` with a DIR of $fpath; for fish, `rbt completions \
                  fish > ~/.config/fish/completions/rbt.fish`. Options, subcommands, topics, \
                  tools, words, codes, files and probes are completed.",
        options: &[],
        is_a_script: false,
        run: completions::run,
    },
];

/// The subcommand of that name.
pub(crate) fn find(name: &str) -> Option<&'static Subcommand> {
    TABLE.iter().find(|known| known.name == name)
}

impl Subcommand {
    /// How it is written.
    pub(crate) fn usage(&self) -> String {
        format!("rbt {} {}", self.name, self.arguments)
    }

    /// Its page.
    pub(crate) fn page(&self) -> String {
        let mut text = format!(
            "{}: {}\n\n    {}\n\n{}\n",
            self.name,
            self.summary,
            self.usage(),
            help::wrapped(self.details)
        );
        if !self.options.is_empty() {
            text.push_str("\nOPTIONS:\n");
            text.push_str(&help::option_lines(self.options));
        }
        text
    }
}
