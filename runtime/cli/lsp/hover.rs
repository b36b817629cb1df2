//! What an editor shows of the word under the pointer: its page, or a type.

use super::Server;
use super::document::Document;
use crate::doc;
use rbt_compiler::hir::{Map, MapContent};
use rbt_compiler::question::At;
use rbt_stdlib::VOCABULARY;
use serde_json::{Value, json};

/// The page of a word of the language, the arguments of a probe, or the type of an expression.
pub(super) fn hover(server: &Server, document: &Document, byte: usize) -> Value {
    if let Some((range, text)) = probe(server, document, byte) {
        return shown(document, range, &text);
    }
    let range = document.word(byte);
    let word = document.text.get(range.clone()).unwrap_or_default();
    if word.is_empty() {
        return Value::Null;
    }
    let before = document.text.get(..range.start).unwrap_or_default();
    let is_member = before.ends_with('.') || before.ends_with("->");
    let mut parts = Vec::new();
    if let Some(name) = word.strip_prefix('@') {
        let (compiled, _) = document.compile(server, &document.text, None);
        let map = compiled.maps.iter().find(|map| map.name == name);
        parts.extend(map.map(of_map));
    }
    if parts.is_empty() {
        let at = At::Byte(u32::try_from(range.start).unwrap_or(u32::MAX));
        let answer = document.ask(server, &document.text, at);
        let is_known = |ty: &str| !["error", "none", "void"].contains(&ty);
        let answer = answer.filter(|answer| is_known(&answer.ty));
        // A word without a value (`printf`) has a page, but no type of its own.
        parts.extend(answer.map(|answer| {
            let text = document.text.get(answer.span.range()).unwrap_or(word);
            let text = text.lines().next().unwrap_or_default();
            format!("{text}: {}", answer.ty)
        }));
    }
    if !is_member && !word.starts_with(['@', '$']) {
        let page = doc::doc(word).ok();
        if page.is_some() {
            // The page says what a call gives; the type of the whole call would hide it.
            parts.retain(|part| part.starts_with(&format!("{word}:")));
        }
        parts.extend(page);
    }
    if parts.is_empty() {
        return Value::Null;
    }
    shown(document, range, &parts.join("\n\n"))
}

fn shown(document: &Document, range: std::ops::Range<usize>, text: &str) -> Value {
    json!({
        "contents": { "kind": "markdown", "value": format!("```text\n{}\n```", text.trim_end()) },
        "range": document.range(range.start, range.end),
    })
}

/// The probe that a byte is part of: its place, its type's page and its arguments.
fn probe(
    server: &Server,
    document: &Document,
    byte: usize,
) -> Option<(std::ops::Range<usize>, String)> {
    let is_part = |c: char| !c.is_whitespace() && !"{}<>,;()\"".contains(c);
    let before = document.text.get(..byte)?;
    let after = document.text.get(byte..)?;
    let start = before.trim_end_matches(is_part).len();
    let length = after.find(|c| !is_part(c)).unwrap_or(after.len());
    let text = document.text.get(start..byte + length)?;
    let (name, rest) = text.split_once(':')?;
    let provider = VOCABULARY.provider(name)?;
    let mut parts = Vec::new();
    if byte > start + name.len() {
        let full = format!("{}:{rest}", provider.name());
        let lines = provider.describe(&full, &*server.host);
        if !lines.is_empty() {
            parts.push(format!("{full}\n    {}", lines.join("\n    ")));
        }
    }
    if parts.is_empty() {
        parts.extend(doc::doc(provider.name()).ok());
    }
    Some((start..byte + length, parts.join("\n")))
}

/// A map as a declaration would write it.
fn of_map(map: &Map) -> String {
    let key = match &map.key {
        Some(key) => format!("[{key}]"),
        None => String::new(),
    };
    let value = match &map.value {
        MapContent::Plain(ty) => ty.to_string(),
        MapContent::Aggregate { word, .. } => format!("{}()", word.name()),
    };
    format!("@{}{key}: {value}", map.name)
}
