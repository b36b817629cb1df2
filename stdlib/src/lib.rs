//! The words of the language: probe types, builtins, functions, aggregations, and macros.
//!
//! A word lives in one file: its name, its page, what it becomes in the kernel, and what
//! userspace does with the result. This crate exports two lists of them, one for each side of
//! the kernel's boundary. It knows nothing of command lines and terminals.
#![forbid(unsafe_code)]

mod aggregation;
mod builtin;
mod function;
mod library;
mod page;
mod probe;
mod word;

pub use page::{Kind, Page, pages};
pub use probe::is_match;

use rbt_compiler::vocabulary::Vocabulary;
use rbt_runtime::vocabulary::Handlers;

/// The words, for the compiler.
pub static VOCABULARY: Vocabulary = Vocabulary {
    builtins: builtin::ALL,
    functions: function::ALL,
    aggregations: aggregation::ALL,
    providers: probe::ALL,
    scripts: library::ALL,
};

/// The words, for the runtime.
pub static HANDLERS: Handlers = Handlers {
    actions: function::ACTIONS,
    folds: aggregation::FOLDS,
};

#[cfg(test)]
mod tests {
    use super::*;
    use rbt_compiler::fixture::Fixture;
    use rbt_compiler::word::Word;
    use rbt_compiler::{Options, compile};
    use rbt_grammar::{Color, SourceMap};
    use std::collections::HashSet;

    fn words() -> Vec<(&'static str, &'static dyn Word)> {
        let mut words: Vec<(&str, &dyn Word)> = Vec::new();
        words.extend(
            VOCABULARY
                .builtins
                .iter()
                .map(|w| ("builtin", *w as &dyn Word)),
        );
        words.extend(
            VOCABULARY
                .functions
                .iter()
                .map(|w| ("function", *w as &dyn Word)),
        );
        words.extend(
            VOCABULARY
                .aggregations
                .iter()
                .map(|w| ("aggregation", *w as &dyn Word)),
        );
        words.extend(
            VOCABULARY
                .providers
                .iter()
                .map(|w| ("provider", *w as &dyn Word)),
        );
        words
    }

    #[test]
    fn every_word_is_documented_and_named_once() {
        let mut seen = HashSet::new();
        for (kind, word) in words() {
            let (name, doc) = (word.name(), word.doc());
            assert!(seen.insert((kind, name)), "two of {kind} {name}");
            assert!(!doc.usage.is_empty(), "{name}");
            assert!(doc.usage.iter().all(|usage| usage.contains(name)), "{name}");
            assert!(doc.summary.ends_with('.'), "{name}");
            assert!(!doc.summary.contains("  "), "{name}");
        }
    }

    #[test]
    fn names_of_aggregations_and_functions_differ() {
        for word in VOCABULARY.aggregations {
            assert!(
                VOCABULARY.function(word.name()).is_none(),
                "{}",
                word.name()
            );
        }
    }

    #[test]
    fn words_have_both_halves() {
        for word in VOCABULARY.aggregations {
            assert!(HANDLERS.fold(word.name()).is_some(), "{}", word.name());
        }
        for word in HANDLERS.folds {
            assert!(
                VOCABULARY.aggregation(word.name()).is_some(),
                "{}",
                word.name()
            );
        }
        for word in HANDLERS.actions {
            assert!(
                VOCABULARY.function(word.name()).is_some(),
                "{}",
                word.name()
            );
        }
    }

    #[test]
    fn slots_are_made_of_words() {
        for word in VOCABULARY.aggregations {
            for params in [&[0, 10, 3][..], &[5], &[]] {
                assert_eq!(word.slot_size(params, true) % 8, 0, "{}", word.name());
            }
        }
    }

    #[test]
    fn every_example_compiles() {
        let target = Fixture::new();
        let mut wrong = Vec::new();
        for (kind, word) in words() {
            for example in word.doc().examples {
                let mut sources = SourceMap::new();
                let script = sources.add(word.name(), *example);
                let options = Options {
                    allows_unsafe: true,
                    ..Options::default()
                };
                let compiled = compile(&sources, script, &VOCABULARY, &target, &options);
                // Of what may still change, any use is a warning.
                let all = &compiled.diagnostics;
                let is_clean = all.iter().all(|d| d.code == rbt_grammar::codes::UNSTABLE);
                if compiled.artifact.is_none() || !is_clean {
                    let rendered = compiled.diagnostics.iter();
                    let rendered: Vec<String> =
                        rendered.map(|d| d.render(&sources, Color::Never)).collect();
                    wrong.push(format!("{kind} {}:\n{}", word.name(), rendered.concat()));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
