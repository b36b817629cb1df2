//! Where a macro, a function, a map or a variable of a script is defined.
//!
//! A map is defined by its declaration, or else where it is first assigned; a variable where it
//! first stands in its clause. Words of the language have no place to go to.

use super::Server;
use super::document::Document;
use crate::imports;
use rbt_grammar::ast::Item;
use rbt_grammar::{Source, SourceMap, Span};
use serde_json::{Value, json};

/// The place where the word at a byte is defined.
pub(super) fn define(_: &Server, document: &Document, byte: usize) -> Value {
    let word = document.text.get(document.word(byte)).unwrap_or_default();
    if word.is_empty() {
        return Value::Null;
    }
    let mut sources = SourceMap::new();
    let script = sources.add(document.name(), document.text.as_str());
    let path = document
        .uri
        .strip_prefix("file://")
        .map(std::path::Path::new);
    // Only their texts are wanted.
    let _ = imports::load(&mut sources, script, path);
    for source in sources.iter() {
        let items = items(source);
        let place = items
            .iter()
            .find_map(|item| defined(item, word))
            .or_else(|| (source.id == script).then(|| first(source, &items, word, byte))?);
        let Some(place) = place else { continue };
        if source.id == script {
            let range = document.range(place.start as usize, place.end as usize);
            return json!({ "uri": document.uri, "range": range });
        }
        let there = Document::new(&format!("file://{}", source.name), &source.text);
        let range = there.range(place.start as usize, place.end as usize);
        return json!({ "uri": there.uri, "range": range });
    }
    Value::Null
}

fn items(source: &Source) -> Vec<Item> {
    rbt_stdlib::VOCABULARY.parse(source, &[]).program.items
}

/// The name in an item's definition, if that is what the word means.
fn defined(item: &Item, word: &str) -> Option<Span> {
    let (name, known) = match item {
        Item::Macro(item) => (&item.name, word),
        Item::Function(item) => (&item.name, word),
        Item::MapDeclaration(item) => (&item.map, word.strip_prefix('@')?),
        Item::Clause(_) | Item::Error(_) => return None,
    };
    (name.node == known).then_some(name.span)
}

/// Where a map is first assigned in the text, or a variable first stands in the item that the
/// byte is in.
fn first(source: &Source, items: &[Item], word: &str, byte: usize) -> Option<Span> {
    let text = &source.text;
    let within = if word.starts_with('$') {
        let spans = items.iter().map(|item| match item {
            Item::Clause(item) => item.span,
            Item::Macro(item) => item.span,
            Item::Function(item) => item.span,
            Item::MapDeclaration(item) => item.span,
            Item::Error(span) => *span,
        });
        spans
            .map(Span::range)
            .find(|range| range.contains(&byte))
            .unwrap_or(0..text.len())
    } else if word.starts_with('@') {
        0..text.len()
    } else {
        return None;
    };
    let places = places(text, word);
    let places: Vec<usize> = places
        .into_iter()
        .filter(|at| within.contains(at))
        .collect();
    let is_assigned = |at: &&usize| {
        let after = text.get(**at + word.len()..).unwrap_or_default();
        let after = skip_keys(after).trim_start();
        after.starts_with('=') && !after.starts_with("==")
            || ["+=", "-=", "++", "--", "|=", "&="]
                .iter()
                .any(|op| after.starts_with(op))
    };
    let at = match word.starts_with('@') {
        true => places.iter().find(is_assigned).or(places.first()),
        false => places.first(),
    };
    at.map(|at| Span::new(source.id, *at, at + word.len()))
}

/// What follows the keys of a map.
fn skip_keys(text: &str) -> &str {
    if !text.starts_with('[') {
        return text;
    }
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return text.get(at + 1..).unwrap_or_default(),
            ']' => depth -= 1,
            _ => {}
        }
    }
    text
}

/// Where a word stands in a text, outside strings and comments.
fn places(text: &str, word: &str) -> Vec<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = match rest.strip_prefix(word) {
            Some(after) if !after.starts_with(is_part) => {
                found.push(at);
                word.len()
            }
            _ if rest.starts_with('"') => crate::repl::string_length(rest),
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        at += length.max(1);
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn words_in_strings_and_comments_do_not_count() {
        assert_eq!(places("// @a\n\"@a\" @ab @a", "@a"), [15]);
        assert_eq!(skip_keys("[a[1], 2] = 3"), " = 3");
    }
}
