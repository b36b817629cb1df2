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

use rbt_grammar::codes;
use rbt_stdlib::{HANDLERS, VOCABULARY, pages};

#[test]
fn every_word_has_a_page() {
    for page in pages() {
        let of = format!("the page of {}", page.name);
        assert!(!page.usage.is_empty(), "{of} has no usage");
        assert!(
            page.usage.iter().all(|usage| usage.contains(page.name)),
            "{of}: {:?}",
            page.usage
        );
        assert!(page.summary.ends_with('.'), "{of}: {}", page.summary);
        assert!(!page.summary.contains('\n'), "{of}: {}", page.summary);
        // A word that is only there to be refused shows nothing.
        let is_refused = page.summary.ends_with("rbt does not have it.");
        assert!(
            page.examples.is_empty() == is_refused,
            "{of} has no example"
        );
    }
}

#[test]
fn every_example_compiles() {
    let wrong = script::with_stack(|| {
        let mut wrong = String::new();
        for page in pages() {
            for example in &page.examples {
                // Unsafe words show themselves as they are used.
                let text = format!("// with: --unsafe\n{example}");
                let outcome = script::compile_text(page.name, &text, None);
                // Of what may still change, any use is a warning.
                let all = &outcome.compiled.diagnostics;
                let is_clean = all.iter().all(|d| d.code == codes::UNSTABLE);
                if outcome.compiled.artifact.is_none() || !is_clean {
                    wrong.push_str(&format!("{}:\n{}\n", page.name, outcome.rendered()));
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
    let mut scripts: Vec<String> = pages().into_iter().flat_map(|p| p.examples).collect();
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
