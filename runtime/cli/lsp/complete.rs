//! What a half-typed word could become in an editor.
//!
//! Members come from the type of what stands before the `.` or `->`; everything else is what
//! the prompt offers.

use super::Server;
use super::document::Document;
use crate::members;
use rbt_grammar::KEYWORDS;
use rbt_stdlib::{Kind, pages};
use serde_json::{Value, json};

/// Kinds of the protocol.
const FUNCTION: u32 = 3;
const FIELD: u32 = 5;
const VARIABLE: u32 = 6;
const KEYWORD: u32 = 14;
const EVENT: u32 = 23;
const CONSTANT: u32 = 21;
const STRUCT: u32 = 22;

/// The words that fit at a byte.
pub(super) fn complete(server: &Server, document: &Document, byte: usize) -> Value {
    let before = document.text.get(..byte).unwrap_or_default();
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let start = before.trim_end_matches(is_part).len();
    let head = before.get(..start).unwrap_or_default();
    let access = ["->", "."].iter().find_map(|sign| head.strip_suffix(sign));
    if let Some(base) = access
        && !base.ends_with(|c: char| c.is_ascii_digit())
    {
        let end = base.trim_end();
        let after = document.text.get(byte..).unwrap_or_default();
        let members = members::of(end, after, &|text, at| document.ask(server, text, at));
        if !members.is_empty() {
            let word = before.get(start..).unwrap_or_default();
            let fits = members.iter().filter(|(name, _)| name.starts_with(word));
            let items = fits.map(|(name, ty)| item(document, (start, byte), name, FIELD, ty));
            return list(items.collect());
        }
    }
    let own = document
        .text
        .match_indices(['@', '$'])
        .filter_map(|(at, _)| {
            let name = document.text.get(document.word(at))?;
            // Not the one that is being typed.
            (name.len() > 1 && at != start.saturating_sub(1)).then(|| name.to_owned())
        });
    let mut own: Vec<String> = own.collect();
    own.sort_unstable();
    own.dedup();
    let (from, mut found) = server.known.complete(before);
    let word = before.get(from..).unwrap_or_default();
    if !head.ends_with('.') && !head.ends_with("->") {
        found.extend(own.into_iter().filter(|name| name.starts_with(word)));
    }
    let all = pages();
    let items = found.iter().map(|name| {
        let page = all.iter().find(|page| page.name == *name);
        let kind = match page.map(|page| page.kind) {
            Some(Kind::Probe) => EVENT,
            Some(Kind::Builtin) => CONSTANT,
            Some(Kind::Function | Kind::Aggregation | Kind::Macro) => FUNCTION,
            None if KEYWORDS.contains(&name.as_str()) => KEYWORD,
            None if name.starts_with(['@', '$']) => VARIABLE,
            None if name.contains(':') => EVENT,
            None => STRUCT,
        };
        let about = page.map_or("", |page| page.summary.as_str());
        item(document, (from, byte), name, kind, about)
    });
    list(items.collect())
}

fn item(
    document: &Document,
    (start, end): (usize, usize),
    name: &str,
    kind: u32,
    about: &str,
) -> Value {
    json!({
        "label": name,
        "kind": kind,
        "detail": about,
        "filterText": name,
        "textEdit": { "range": document.range(start, end), "newText": name },
    })
}

fn list(items: Vec<Value>) -> Value {
    json!({ "isIncomplete": true, "items": items })
}
