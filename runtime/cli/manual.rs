//! The manual page, `rbt --man`, in roff.
//!
//! Made of the tables of options, subcommands, words, settings and statuses; holds no fact of its
//! own. Rendered by `man -l`.

use crate::{args, doc, help, repl, subcommand};
use rbt_compiler::config;
use rbt_stdlib::pages;
use std::fmt::Write as _;

/// The page.
pub(crate) fn page() -> String {
    let mut text = String::from(
        ".\\\" Written by `rbt --man`; changes belong into the tables it is made of.\n",
    );
    let _ = writeln!(
        text,
        ".TH RBT 8 \"\" \"rbt {}\" \"System Manager's Manual\"",
        env!("CARGO_PKG_VERSION")
    );
    text.push_str(".SH NAME\nrbt \\- trace a running system with the bpftrace language\n");
    text.push_str(".SH SYNOPSIS\n.nf\n");
    for (usage, _) in help::USAGES {
        let _ = writeln!(text, "{}", roff(usage));
    }
    for known in subcommand::TABLE {
        let _ = writeln!(text, "{}", roff(&known.usage()));
    }
    text.push_str(".fi\n");
    section(&mut text, "DESCRIPTION");
    text.push_str(
        "rbt compiles a tracing script straight to eBPF, has the kernel run it where the script \
         says, and\nreports what it saw. The language is that of bpftrace; an action may also be \
         written in angle\nbrackets. Tracing needs root.\n.PP\n.nf\n",
    );
    let _ = writeln!(text, "{}\n.fi", roff(help::LANGUAGE.trim_end()));
    section(&mut text, "COMMANDS");
    for known in subcommand::TABLE {
        let _ = writeln!(
            text,
            ".TP\n.B {}\n{}.\n{}",
            roff(&known.usage()),
            roff(known.summary),
            roff(known.details)
        );
        for row in known.options {
            let _ = writeln!(
                text,
                ".RS\n.TP\n.B {}\n{}\n.RE",
                roff(row.usage().trim()),
                roff(row.help)
            );
        }
    }
    section(&mut text, "OPTIONS");
    let rows = args::TABLE.iter();
    items(&mut text, rows.map(|row| (row.usage(), row.help)));
    section(&mut text, "EXAMPLES");
    for (line, what) in help::EXAMPLES {
        let _ = writeln!(text, ".TP\n{}\n.EX\n{}\n.EE", roff(what), roff(line));
    }
    section(&mut text, "THE PROMPT");
    text.push_str(
        "Without arguments, on a terminal, rbt asks for clauses and runs each as it is typed.\n",
    );
    let rows = repl::command::TABLE.iter();
    items(
        &mut text,
        rows.map(|row| (format!("{} {}", row.name, row.arguments), row.summary)),
    );
    section(&mut text, "WORDS");
    text.push_str("\\fBrbt help \\fINAME\\fR shows the page of any of them.\n");
    let all = pages();
    for (kind, _, title) in doc::KINDS {
        let _ = writeln!(text, ".SS {}", roff(title));
        let mut of_kind: Vec<_> = all.iter().filter(|page| page.kind == *kind).collect();
        of_kind.sort_by_key(|page| page.name);
        let rows = of_kind.iter();
        items(
            &mut text,
            rows.map(|page| (page.usage.join(", "), page.summary.as_str())),
        );
    }
    section(&mut text, "SETTINGS");
    text.push_str(
        "In a script as \\fBconfig = { \\fIname\\fB = \\fIvalue\\fB }\\fR, in the environment as \
         \\fBRBT_\\fINAME\\fR.\n",
    );
    let rows = config::TABLE.iter();
    items(&mut text, rows.map(|row| (row.name.to_owned(), row.doc)));
    for (title, rows) in [
        ("ENVIRONMENT", help::ENVIRONMENT),
        ("FILES", help::FILES),
        ("EXIT STATUS", help::STATUSES),
    ] {
        section(&mut text, title);
        let rows = rows.iter();
        items(
            &mut text,
            rows.map(|(name, what)| ((*name).to_owned(), *what)),
        );
    }
    text.push_str(".SH SEE ALSO\n.BR bpf (2),\n.BR perf (1),\n.BR bpftool (8)\n");
    text
}

fn section(text: &mut String, title: &str) {
    let _ = writeln!(text, ".SH {title}");
}

/// Names in bold, each with an indented sentence.
fn items<'a>(text: &mut String, rows: impl Iterator<Item = (String, &'a str)>) {
    for (name, what) in rows {
        let _ = writeln!(text, ".TP\n.B {}\n{}", roff(name.trim()), roff(what));
    }
}

/// Text that roff takes literally: no line of it is a request, no character an escape.
fn roff(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        if line.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        for c in line.chars() {
            match c {
                '\\' => out.push_str("\\e"),
                '-' => out.push_str("\\-"),
                '^' => out.push_str("\\(ha"),
                '~' => out.push_str("\\(ti"),
                c if c.is_ascii() => out.push(c),
                c => {
                    let _ = write!(out, "\\[u{:04X}]", u32::from(c));
                }
            }
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_roff() {
        assert_eq!(roff(".PP a-b\n'x \\n"), "\\&.PP a\\-b\n\\&'x \\en");
    }

    #[test]
    fn the_page_has_every_table() {
        let page = page();
        for title in ["OPTIONS", "COMMANDS", "SETTINGS", "EXIT STATUS", "FILES"] {
            assert!(page.contains(&format!(".SH {title}\n")), "{title}");
        }
        assert!(page.contains("\\-\\-emit\\-elf"));
        assert!(page.contains("bpf_loop") || page.contains("hist("));
        // No request by accident: lines that begin with a full stop are those of this file.
        let requests = [
            ".\\\"", ".TH", ".SH", ".SS", ".TP", ".B", ".BR", ".nf", ".fi", ".PP", ".EX", ".EE",
            ".RS", ".RE",
        ];
        for line in page.lines().filter(|line| line.starts_with('.')) {
            let request = line.split(' ').next().unwrap_or_default();
            assert!(requests.contains(&request), "{line}");
        }
    }
}
