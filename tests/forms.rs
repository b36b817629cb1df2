//! Both ways to write actions mean the same: every script there is (stages, mistakes, live cases,
//! examples, the words' own) is compiled for the hand-made kernel as it is written and in the
//! other form, and gives the same typed program or the same complaints.

#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/form.rs"]
mod form;
#[path = "support/script.rs"]
mod script;

use cases::Action;
use rbt_compiler::Stage;
use std::fs;

/// Every script, by a name to find it.
fn scripts() -> Vec<(String, String)> {
    let mut scripts = Vec::new();
    for folder in ["tests/stages", "tests/errors", "examples", "stdlib/bt"] {
        for path in script::files(folder, "bt") {
            let text = fs::read_to_string(&path).expect("a readable script");
            scripts.push((format!("{folder}/{}", script::name_of(&path)), text));
        }
    }
    let folder = script::root().join("tests/scripts");
    for case in cases::read_folder(&folder).unwrap_or_else(|e| panic!("{e}")) {
        if let Action::Script(text) = case.action {
            scripts.push((case.name, text));
        }
    }
    for page in rbt_stdlib::pages() {
        for example in page.examples {
            scripts.push((format!("an example of {}", page.name), example));
        }
    }
    scripts
}

/// The typed program, or the codes of what is wrong.
fn meaning(text: &str) -> String {
    let outcome = script::compile_text("script", text, Some(Stage::Hir));
    let mut meaning: String = outcome
        .compiled
        .diagnostics
        .iter()
        .map(|d| format!("{:?}: {}\n", d.code, d.message))
        .collect();
    meaning.push_str(&outcome.compiled.listing.unwrap_or_default());
    meaning
}

/// A `;` before a closing `>` moves what stands behind it.
fn without_places(meaning: &str) -> String {
    let place = regex_lite::Regex::new(r"\b[0-9]+\.\.[0-9]+").expect("a pattern");
    place.replace_all(meaning, "..").into_owned()
}

#[test]
fn both_forms_of_actions_mean_the_same() {
    let (compared, unchanged, wrong) = script::with_stack(|| {
        let (mut compared, mut unchanged, mut wrong) = (0, 0, String::new());
        for (name, text) in scripts() {
            let parameters = text
                .lines()
                .find_map(|line| line.strip_prefix("// parameters: "));
            let parameters: Vec<_> = parameters
                .into_iter()
                .flat_map(str::split_whitespace)
                .map(str::to_owned)
                .collect();
            let other = match form::other(&text, &parameters) {
                Ok(other) => other,
                Err(why) => {
                    println!("{name} has one form: {why}");
                    unchanged += 1;
                    continue;
                }
            };
            compared += 1;
            let (one, two) = (meaning(&text), meaning(&other));
            if one != two && without_places(&one) != without_places(&two) {
                wrong.push_str(&format!("{name}:\n{one}\nbut as\n{other}\n{two}\n\n"));
            }
        }
        (compared, unchanged, wrong)
    });
    println!("{compared} scripts in both forms, {unchanged} in one");
    assert!(wrong.is_empty(), "{wrong}");
    assert!(
        compared > 500 && unchanged < compared / 5,
        "{compared} and {unchanged}"
    );
}

/// And there and back again.
#[test]
fn the_other_form_of_the_other_form_is_the_first() {
    script::with_stack(|| {
        let text =
            "t:a:b, i:s:1 /1 > 2/ { @ = 1 > 2 } // c\nBEGIN { if (1) { print(1); } }\n$1 { f() }";
        let parameters = ["i:s:1".to_owned()];
        let angles = form::other(text, &parameters).unwrap();
        assert_eq!(
            angles,
            "t:a:b, i:s:1 /1 > 2/ < @ = 1 > 2 > // c\nBEGIN < if (1) { print(1); } ;>\n$1 < f() >"
        );
        let braces = form::other(&angles, &parameters).unwrap();
        assert_eq!(braces.replace("} ;}", "} }"), text);
    });
}
