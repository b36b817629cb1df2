//! Every word has its page, its examples compile, and both of its halves exist.
//!
//! Compiles for the hand-made kernel; needs nothing of the machine.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "support/script.rs"]
mod script;

use rbt_compiler::word::{Doc, Word};
use rbt_stdlib::{HANDLERS, VOCABULARY};

/// Every word: what it is, its name, its page.
fn words() -> Vec<(&'static str, &'static str, &'static Doc)> {
    fn all<W: Word + ?Sized>(
        kind: &'static str,
        words: &[&'static W],
    ) -> Vec<(&'static str, &'static str, &'static Doc)> {
        words.iter().map(|w| (kind, w.name(), w.doc())).collect()
    }
    let mut words = all("builtin", VOCABULARY.builtins);
    words.extend(all("function", VOCABULARY.functions));
    words.extend(all("aggregation", VOCABULARY.aggregations));
    words.extend(all("probe type", VOCABULARY.providers));
    words
}

#[test]
fn every_word_has_a_page() {
    for (kind, name, doc) in words() {
        let page = format!("the page of {kind} {name}");
        assert!(!doc.usage.is_empty(), "{page} has no usage");
        assert!(doc.summary.ends_with('.'), "{page}: {}", doc.summary);
        assert!(!doc.summary.contains('\n'), "{page}: {}", doc.summary);
        assert!(!doc.examples.is_empty(), "{page} has no example");
    }
}

#[test]
fn every_example_compiles() {
    let wrong = script::with_stack(|| {
        let mut wrong = String::new();
        for (kind, name, doc) in words() {
            for example in doc.examples {
                // Unsafe words show themselves as they are used.
                let text = format!("// with: --unsafe\n{example}");
                let outcome = script::compile_text(name, &text, None);
                let is_clean = outcome.compiled.diagnostics.is_empty();
                if outcome.compiled.artifact.is_none() || !is_clean {
                    wrong.push_str(&format!("{kind} {name}:\n{}\n", outcome.rendered()));
                }
            }
        }
        wrong
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_aggregation_is_read_and_every_event_has_an_action() {
    for word in VOCABULARY.aggregations {
        assert!(HANDLERS.fold(word.name()).is_some(), "{}", word.name());
    }
    for fold in HANDLERS.folds {
        let name = fold.name();
        assert!(VOCABULARY.aggregation(name).is_some(), "{name}");
    }
    // The words of the events that all examples and stage scripts send.
    let mut scripts: Vec<String> = words()
        .iter()
        .flat_map(|(.., doc)| doc.examples.iter().map(|e| (*e).to_owned()))
        .collect();
    for path in script::files("tests/stages", "bt") {
        scripts.push(std::fs::read_to_string(path).expect("a readable script"));
    }
    let sent = script::with_stack(move || {
        let mut sent = std::collections::BTreeSet::new();
        for text in scripts {
            let text = format!("// with: --unsafe\n{text}");
            let outcome = script::compile_text("script.bt", &text, None);
            if let Some(artifact) = outcome.compiled.artifact {
                sent.extend(artifact.manifest.events.iter().map(|e| e.word.clone()));
            }
        }
        sent
    });
    for name in &sent {
        let name: &str = name;
        assert!(HANDLERS.action(name).is_some(), "{name} has no action");
    }
    for action in HANDLERS.actions {
        let name = action.name();
        assert!(sent.iter().any(|s| *s == name), "no script sends {name}");
    }
}
