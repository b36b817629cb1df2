//! The tools inside the binary: `rbt tools` lists them, `rbt tools NAME` runs one.
//!
//! They are the files of `examples/`, each of which begins with a comment that says what it
//! shows; a test holds the table against the folder.

use std::fmt::Write as _;

/// A tool.
#[derive(Debug)]
pub(crate) struct Tool {
    /// What it is called.
    pub name: &'static str,
    /// The script.
    pub text: &'static str,
}

macro_rules! tools {
    ($($name:literal)*) => {
        /// Every tool, by name.
        const TOOLS: &[Tool] = &[$(Tool {
            name: $name,
            text: include_str!(concat!("../../examples/", $name, ".bt")),
        }),*];
    };
}

tools! {
    "argdist"
    "bashreadline"
    "biolatency"
    "biosnoop"
    "cachestat"
    "capable"
    "execsnoop"
    "filelife"
    "fileslower"
    "funccount"
    "gethostlatency"
    "killsnoop"
    "memleak"
    "offcputime"
    "oomkill"
    "opensnoop"
    "profile"
    "readlat"
    "runqlat"
    "runqlen"
    "seccomp-profile"
    "sslsniff"
    "stackcount"
    "syscount"
    "tcpaccept"
    "tcpconnect"
    "tcpdrop"
    "tcplife"
    "tcpretrans"
    "trace"
    "vfsstat"
    "lessons/01-listing"
    "lessons/02-hello"
    "lessons/03-file-opens"
    "lessons/04-syscalls-by-process"
    "lessons/05-read-sizes"
    "lessons/06-kernel-function"
    "lessons/07-time-reads"
    "lessons/08-process-events"
    "lessons/09-kernel-stacks"
    "lessons/10-scheduler"
    "lessons/11-block-sizes"
    "lessons/12-kernel-structs"
}

/// The tool of that name; a lesson is found by its number and name alone as well.
///
/// Errors: there is none, with the nearest name.
pub(crate) fn find(name: &str) -> Result<&'static Tool, String> {
    let is_it =
        |tool: &&Tool| tool.name == name || tool.name.strip_prefix("lessons/") == Some(name);
    TOOLS.iter().find(is_it).ok_or_else(|| {
        let near = rbt_compiler::nearest::nearest(name, TOOLS.iter().map(|tool| tool.name));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("there is no tool `{name}`{hint} `rbt tools` lists them")
    })
}

/// The names of all tools.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|tool| tool.name)
}

/// One line for each tool.
pub(crate) fn list() -> String {
    let width = TOOLS.iter().map(|tool| tool.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for tool in TOOLS {
        let _ = writeln!(text, "{:width$}  {}", tool.name, tool.summary());
    }
    text.push_str("\n`rbt tools NAME` runs one, `rbt tools NAME --help` says how.\n");
    text
}

impl Tool {
    /// The comment at its head, without the marks.
    pub(crate) fn header(&self) -> String {
        let lines = self.text.lines().skip_while(|line| line.starts_with("#!"));
        let lines = lines.map_while(|line| line.strip_prefix("//"));
        lines.fold(String::new(), |mut text, line| {
            text.push_str(line.strip_prefix(' ').unwrap_or(line));
            text.push('\n');
            text
        })
    }

    /// What it shows, in a sentence.
    fn summary(&self) -> String {
        let header = self.header();
        let paragraph = header.split("\n\n").next().unwrap_or_default();
        let sentence = paragraph
            .split_once(": ")
            .map_or(paragraph, |(_, text)| text);
        sentence.replace('\n', " ").trim().to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn the_table_has_every_file() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let mut files = BTreeSet::new();
        for (folder, prefix) in [(root.clone(), ""), (root.join("lessons"), "lessons/")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                files.extend(
                    name.strip_suffix(".bt")
                        .map(|name| format!("{prefix}{name}")),
                );
            }
        }
        let table: BTreeSet<String> = TOOLS.iter().map(|tool| tool.name.to_owned()).collect();
        assert_eq!(table, files);
    }

    #[test]
    fn every_tool_says_what_it_is() {
        for tool in TOOLS {
            let header = tool.header();
            let parts: &[&str] = if tool.name.starts_with("lessons/") {
                &["SAMPLE"]
            } else {
                &["USAGE:", "COST:", "SAMPLE:"]
            };
            for part in parts {
                assert!(header.contains(part), "{} has no {part}", tool.name);
            }
            assert!(tool.summary().len() > 5, "{}", tool.name);
            assert!(tool.summary().len() < 100, "{}", tool.name);
        }
    }

    #[test]
    fn tools_are_found_by_name() {
        assert_eq!(find("execsnoop").unwrap().name, "execsnoop");
        assert_eq!(find("02-hello").unwrap().name, "lessons/02-hello");
        assert!(find("execsnop").unwrap_err().contains("`execsnoop`"));
    }
}
