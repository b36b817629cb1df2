//! The words that are written in the language itself: the files of `stdlib/bt/`.
//!
//! Gives the compiler their text and, for pages and the reference, what their comments say. A
//! file is a script: macros under comments that document them, and `test:` clauses that try
//! them. It is read for scripts that mention one of its words and for no others.
//!
//! A comment is lines of `///` in paragraphs: how the word is written, one line for each form;
//! one sentence; more to know; `Kernel: …`; examples, indented by four.

use crate::page::{Kind, Page};
use rbt_compiler::vocabulary::Library;

/// Every file.
pub(crate) static ALL: &[Library] = &[
    Library {
        name: "check.bt",
        text: include_str!("../bt/check.bt"),
        words: &["assert", "is_err"],
    },
    Library {
        name: "comm.bt",
        text: include_str!("../bt/comm.bt"),
        words: &["comm()"],
    },
    Library {
        name: "maps.bt",
        text: include_str!("../bt/maps.bt"),
        words: &["find"],
    },
    Library {
        name: "packets.bt",
        text: include_str!("../bt/packets.bt"),
        words: &["skboutput"],
    },
    Library {
        name: "pointers.bt",
        text: include_str!("../bt/pointers.bt"),
        words: &["container_of"],
    },
    Library {
        name: "stack.bt",
        text: include_str!("../bt/stack.bt"),
        words: &[
            "sarg0", "sarg1", "sarg2", "sarg3", "sarg4", "sarg5", "sarg6", "sarg7", "sarg8",
            "sarg9",
        ],
    },
    Library {
        name: "strings.bt",
        text: include_str!("../bt/strings.bt"),
        words: &["default_str_length"],
    },
    Library {
        name: "task.bt",
        text: include_str!("../bt/task.bt"),
        words: &["leader_comm", "leader_tid", "pcomm", "ppid"],
    },
];

/// The pages of a file's words, in the order of the file.
pub(crate) fn pages(library: &Library) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in library.text.lines() {
        if let Some(line) = line.strip_prefix("///") {
            comment.push(line.strip_prefix(' ').unwrap_or(line));
            continue;
        }
        let definition = line.strip_prefix("macro ").and_then(|d| d.split_once('('));
        if let Some((name, _)) = definition
            && !comment.is_empty()
        {
            pages.push(page(name.trim(), &comment));
        }
        comment.clear();
    }
    pages
}

fn page(name: &'static str, comment: &[&'static str]) -> Page {
    let mut page = Page {
        kind: Kind::Macro,
        name,
        ..Page::default()
    };
    let paragraphs = comment.split(|line| line.is_empty());
    for (number, lines) in paragraphs.filter(|lines| !lines.is_empty()).enumerate() {
        let is_example = lines.iter().all(|line| line.starts_with("    "));
        let text = lines.join(if is_example { "\n" } else { " " });
        match number {
            0 => page.usage = lines.iter().map(|line| (*line).to_owned()).collect(),
            1 => page.summary = text,
            _ if is_example => {
                let lines = lines.iter().map(|line| line.get(4..).unwrap_or_default());
                page.examples.push(lines.collect::<Vec<_>>().join("\n"));
            }
            _ => match text.strip_prefix("Kernel: ") {
                Some(kernel) => page.kernel = kernel.to_owned(),
                None if page.details.is_empty() => page.details = text,
                None => page.details = format!("{}\n\n{text}", page.details),
            },
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use rbt_grammar::ast::Item;
    use rbt_grammar::{ParseOptions, SourceMap};
    use std::collections::BTreeSet;

    fn items(library: &Library) -> Vec<Item> {
        let mut sources = SourceMap::new();
        let id = sources.add(library.name, library.text);
        let source = sources.get(id).expect("it was just added");
        let options = ParseOptions {
            providers: &["test"],
            ..ParseOptions::default()
        };
        let parsed = rbt_grammar::parse(source, &options);
        assert!(parsed.diagnostics.is_empty(), "{}", library.name);
        parsed.program.items
    }

    #[test]
    fn the_words_of_a_file_are_its_macros_and_each_is_documented() {
        let mut all = BTreeSet::new();
        for library in ALL {
            let macros: BTreeSet<String> = items(library)
                .into_iter()
                .filter_map(|item| match item {
                    Item::Macro(definition) => Some(definition.name.node),
                    _ => None,
                })
                .collect();
            let name = |word: &&str| word.trim_end_matches("()").to_owned();
            let words: BTreeSet<String> = library.words.iter().map(name).collect();
            assert_eq!(macros, words, "{}", library.name);
            // The page of a builtin says what its name means with arguments.
            let own = library.words.iter().filter(|w| !w.ends_with("()"));
            let words: BTreeSet<String> = own.map(|w| (*w).to_owned()).collect();
            let pages = pages(library);
            let documented: BTreeSet<String> = pages.iter().map(|p| p.name.to_owned()).collect();
            assert_eq!(words, documented, "{}", library.name);
            for word in words {
                assert!(all.insert(word.clone()), "{word} stands in two files");
            }
        }
    }

    #[test]
    fn every_file_tries_its_words() {
        for library in ALL {
            let tests = items(library);
            let tests = tests.iter().filter(|item| matches!(item, Item::Clause(_)));
            assert!(tests.count() > 0, "{} has no test", library.name);
            let tried = library.text.split("test:").skip(1).collect::<String>();
            for word in library.words {
                let word = word.trim_end_matches(')');
                assert!(tried.contains(word), "no test uses {word}");
            }
        }
    }
}
