//! What people read about the command itself: `--help` and the topics of `rbt help`.
//!
//! Made of the tables of options, subcommands, words, settings, codes and tools; what is in no
//! other table (examples, environment, files, exit statuses) is a table here. The manual page is
//! made of the same.

use crate::args::{self, Args, Row};
use crate::{doc, print, print_or, repl, subcommand, tools};
use rbt_compiler::{config, nearest};
use rbt_grammar::codes;
use rbt_stdlib::{Kind, pages};
use std::fmt::Write as _;

/// How the command is written, and what that does.
pub(crate) const USAGES: &[(&str, &str)] = &[
    ("rbt [options] FILE [parameters]", ""),
    ("rbt [options] -e 'PROGRAM' [parameters]", ""),
    ("rbt [options] -", "the script comes from stdin"),
    ("rbt -l [PATTERN | FILE]", "list probes"),
    ("rbt", "the prompt: clauses run as they are typed"),
];

/// Command lines, and what each does.
pub(crate) const EXAMPLES: &[(&str, &str)] = &[
    (
        "rbt -l 'tracepoint:syscalls:*open*'",
        "list tracepoints whose name contains \"open\"",
    ),
    (
        "rbt -e 'tracepoint:raw_syscalls:sys_enter < @[comm] = count(); >'",
        "count system calls by process; Ctrl-C prints the counts",
    ),
    (
        "rbt -e 'tracepoint:syscalls:sys_enter_openat { printf(\"%s %s\\n\", comm, \
         str(args.filename)); }'",
        "show the files that are opened",
    ),
    (
        "rbt -e 'profile:hz:99 { @[comm] = count(); } interval:s:5 { exit(); }'",
        "sample what runs, for five seconds",
    ),
];

/// Exit statuses.
pub(crate) const STATUSES: &[(&str, &str)] = &[
    ("0", "tracing ended; what was asked for was done"),
    ("N", "what the script gave to `exit(N)`"),
    (
        "1",
        "the script or the command line is wrong, or privileges are missing",
    ),
    ("2", "the script's C part is wrong"),
    ("255", "the kernel refused to load or attach"),
];

/// Variables of the environment, the settings aside.
pub(crate) const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "RBT_NAME",
        "a setting, for every one that `rbt help settings` lists; BPFTRACE_NAME means the same",
    ),
    ("NO_COLOR", "no colours in messages, if it is not empty"),
    (
        "RBT_COLOR",
        "colours in messages: always, never or auto; BPFTRACE_COLOR means the same",
    ),
    ("RBT_BTF", "a file of BTF to read instead of the kernel's"),
    ("RBT_VMLINUX", "an uncompressed kernel to take symbols from"),
    (
        "RBT_KERNEL_SOURCE, RBT_KERNEL_BUILD",
        "where the kernel's headers are, for scripts that include some",
    ),
    (
        "XDG_STATE_HOME",
        "the folder below which the prompt keeps its history; ~/.local/state if it is not set",
    ),
];

/// Files that are read or written.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("/sys/kernel/btf/vmlinux", "the types of the running kernel"),
    (
        "/sys/kernel/tracing",
        "its tracepoints and the functions that can be traced; reached without being mounted",
    ),
    ("/proc/kallsyms", "its symbols"),
    ("~/.local/state/rbt/history", "what was typed at the prompt"),
];

/// The language on one page.
pub(crate) const LANGUAGE: &str = "\
A script is a list of clauses: where to look, when to care, what to do.

    tracepoint:syscalls:sys_exit_read /args.ret > 0/ { @bytes[comm] = sum(args.ret); }
    ^ probe                           ^ predicate    ^ action

An action may be written in angle brackets as well; it means the same:

    tracepoint:syscalls:sys_exit_read /args.ret > 0/ < @bytes[comm] = sum(args.ret); >

BEGIN and END run at the start and the end. `probe, probe { … }` and `*` name many probes.

    $x = 1                        a variable of this run of the action
    @name, @name[key, key]        a map: shared by all, printed when tracing ends
    @n = count()                  an aggregation; also sum, avg, min, max, stats, hist, lhist
    args.field, arg0, retval      what the probe brings
    pid, comm, nsecs, kstack      builtins: `rbt help words` lists them
    curtask->mm->total_vm         kernel types, without headers
    if, else, while, for ($i : 0..9), for ($kv : @map), c ? a : b
    printf(\"%s %d\\n\", comm, pid)  output now; print(@map) prints a map
    macro add(a, b) { a + b }     a word of your own
    $1, str($2), getopt(\"name\")   the script's parameters
    config = { max_map_keys = 10000 }   settings: `rbt help settings`
    // comment, /* comment */
";

/// A topic.
struct Topic {
    name: &'static str,
    summary: &'static str,
    page: fn() -> String,
}

const TOPICS: &[Topic] = &[
    Topic {
        name: "commands",
        summary: "what may stand where a script's file does: check, fmt, tools, ...",
        page: || {
            let pages = subcommand::TABLE.iter().map(|known| known.page());
            pages.collect::<Vec<_>>().join("\n")
        },
    },
    Topic {
        name: "options",
        summary: "every option",
        page: || option_lines(args::TABLE),
    },
    Topic {
        name: "examples",
        summary: "command lines to begin with",
        page: examples,
    },
    Topic {
        name: "language",
        summary: "the language on one page",
        page: || String::from(LANGUAGE),
    },
    Topic {
        name: "probes",
        summary: "what a clause can attach to",
        page: || words(&[Kind::Probe]),
    },
    Topic {
        name: "words",
        summary: "builtins, functions, aggregations and the words of the library",
        page: || {
            words(&[
                Kind::Builtin,
                Kind::Function,
                Kind::Aggregation,
                Kind::Macro,
            ])
        },
    },
    Topic {
        name: "settings",
        summary: "config = { name = value }",
        page: || {
            let rows = config::TABLE.iter().map(|row| (row.name, row.doc));
            lines(rows, 30)
        },
    },
    Topic {
        name: "codes",
        summary: "the codes of messages",
        page: || {
            let rows = codes::TABLE.iter();
            let rows: Vec<_> = rows.map(|row| (row.code.to_string(), row.title)).collect();
            lines(rows.iter().map(|(code, title)| (code.as_str(), *title)), 8)
        },
    },
    Topic {
        name: "tools",
        summary: "the tools that come with rbt",
        page: tools::list,
    },
    Topic {
        name: "prompt",
        summary: "what the prompt of `rbt` without arguments understands",
        page: repl::command::help,
    },
    Topic {
        name: "environment",
        summary: "variables of the environment",
        page: || lines(ENVIRONMENT.iter().copied(), 0),
    },
    Topic {
        name: "files",
        summary: "files that are read or written",
        page: || lines(FILES.iter().copied(), 0),
    },
    Topic {
        name: "status",
        summary: "exit statuses",
        page: || lines(STATUSES.iter().copied(), 6),
    },
];

/// The names of all topics.
pub(crate) fn topics() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().map(|topic| topic.name)
}

/// `rbt help [TOPIC]`.
pub(crate) fn run(args: &Args) -> u8 {
    match &args.words[..] {
        [] => print(&contents()),
        [name, ..] => print_or(page(name)),
    }
}

/// The list of topics.
fn contents() -> String {
    let topics = TOPICS.iter().map(|topic| (topic.name, topic.summary));
    format!(
        "rbt traces a running system with the bpftrace language. `rbt --help` is the short of it.\
         \n\nTOPICS (rbt help TOPIC):\n{}\nA subcommand, a word of the language, a setting, a \
         message's code and a tool are topics too:\n`rbt help fmt`, `rbt help hist`, `rbt help \
         E0402`, `rbt help execsnoop`. `rbt --man | man -l -` is the\nmanual page.\n",
        lines(topics, 14)
    )
}

/// The page of a topic, a subcommand, a tool, or whatever else has a page.
///
/// Errors: there is none; with the nearest.
fn page(name: &str) -> Result<String, String> {
    let topic = TOPICS.iter().find(|topic| topic.name == name);
    if let Some(topic) = topic {
        return Ok((topic.page)());
    }
    let command = subcommand::find(name).map(|known| known.page());
    let tool = tools::find(name).ok().map(tools::Tool::header);
    let found: Vec<String> = command
        .into_iter()
        .chain(tool)
        .chain(doc::doc(name))
        .collect();
    if !found.is_empty() {
        return Ok(found.join("\n"));
    }
    let commands = subcommand::TABLE.iter().map(|known| known.name);
    let all = pages();
    let words = all.iter().map(|page| page.name);
    let settings = config::TABLE.iter().map(|row| row.name);
    let names = topics().chain(commands).chain(tools::names());
    let near = nearest::nearest(name, names.chain(words).chain(settings));
    let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Err(format!(
        "there is no page `{name}`{hint}\nHINT: `rbt help` lists the topics"
    ))
}

/// What `--help` shows.
pub(crate) fn overview() -> String {
    let mut text = String::from("USAGE:\n");
    for (usage, what) in USAGES {
        let _ = writeln!(text, "{}", format!("    {usage:<33} {what}").trim_end());
    }
    text.push_str("    a script's own parameters with names follow a lone --\n\nCOMMANDS:\n");
    for known in subcommand::TABLE {
        let usage = known.usage();
        let _ = match usage.len() {
            0..=33 => writeln!(text, "    {usage:<33} {}", known.summary),
            _ => writeln!(text, "    {usage}\n    {:<33} {}", "", known.summary),
        };
    }
    let _ = writeln!(text, "\nOPTIONS:\n{}", option_lines(args::TABLE));
    let _ = writeln!(text, "EXAMPLES:\n{}", examples());
    text.push_str(
        "SETTINGS (config = { name = value } in a script, or RBT_NAME in the environment):\n",
    );
    for row in config::TABLE {
        let _ = writeln!(text, "    {:<30} {}", row.name, row.doc);
    }
    let _ = write!(
        text,
        "\nEXIT STATUS:\n{}\n`rbt help` lists the pages of help.\n",
        lines(STATUSES.iter().copied(), 6)
    );
    text
}

fn examples() -> String {
    EXAMPLES
        .iter()
        .fold(String::new(), |mut text, (line, what)| {
            let _ = writeln!(text, "    {line}\n        {what}");
            text
        })
}

/// A line for each option.
pub(crate) fn option_lines(rows: &[Row]) -> String {
    rows.iter().fold(String::new(), |mut text, row| {
        let _ = writeln!(text, "    {:<30} {}", row.usage(), row.help);
        text
    })
}

/// A line for each name; with a width of 0 the sentence has one of its own.
fn lines<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>, width: usize) -> String {
    rows.fold(String::new(), |mut text, (name, what)| {
        let _ = match width {
            0 => writeln!(text, "    {name}\n        {what}"),
            _ => writeln!(text, "    {name:<width$} {what}"),
        };
        text
    })
}

/// A line for each word of some kinds.
fn words(kinds: &[Kind]) -> String {
    let all = pages();
    let mut text = String::new();
    for kind in kinds {
        let mut of_kind: Vec<_> = all.iter().filter(|page| page.kind == *kind).collect();
        of_kind.sort_by_key(|page| page.name);
        let (_, _, title) = doc::KINDS
            .iter()
            .find(|(known, ..)| known == kind)
            .copied()
            .unwrap_or((*kind, "", ""));
        let _ = writeln!(text, "{title}:");
        for page in of_kind {
            let aliases = match page.aliases.as_slice() {
                [] => String::new(),
                some => format!(" ({})", some.join(", ")),
            };
            let _ = writeln!(text, "    {:<20} {}{aliases}", page.name, page.summary);
        }
        text.push('\n');
    }
    text.push_str("`rbt help NAME` shows the page of any of them.\n");
    text
}

/// Paragraphs in lines of at most 92 characters.
pub(crate) fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let fits = lines
            .last()
            .is_some_and(|last| last.len() + 1 + word.len() <= 92);
        match lines.last_mut() {
            Some(last) if fits || last.is_empty() => {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn every_option_and_subcommand_is_in_the_help() {
        let help = overview();
        for row in args::TABLE {
            assert!(help.contains(row.help));
        }
        for known in subcommand::TABLE {
            assert!(help.contains(known.summary));
        }
    }

    #[test]
    fn every_topic_has_a_page_and_a_name_of_its_own() {
        for topic in TOPICS {
            assert!(page(topic.name).unwrap().len() > 100, "{}", topic.name);
            assert!(contents().contains(topic.summary));
        }
        assert!(page("fmt").unwrap().contains("--in-place"));
        assert!(page("hist").unwrap().contains("hist("));
        assert!(page("e0402").unwrap().starts_with("E0402"));
        assert!(page("execsnoop").unwrap().contains("USAGE"));
        let error = page("enviroment").unwrap_err();
        assert!(error.contains("did you mean `environment`?"), "{error}");
    }

    #[test]
    fn lines_are_wrapped() {
        let text = wrapped(&"word ".repeat(60));
        assert!(text.lines().all(|line| line.len() <= 92));
        assert_eq!(text.split_whitespace().count(), 60);
    }
}
