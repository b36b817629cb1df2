//! What a half-typed word could become in an editor.
//!
//! Members come from the type of what stands before the `.` or `->`; everything else is what
//! the prompt offers.

use super::Server;
use super::document::Document;
use rbt_compiler::question::At;
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
        let members = members(server, document, base.trim_end().len(), byte);
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

/// The members of what ends at `end`, where the text from there to `byte` is being typed.
fn members(server: &Server, document: &Document, end: usize, byte: usize) -> Vec<(String, String)> {
    let text = &document.text;
    let before = text.get(..end).unwrap_or_default();
    let after = text.get(byte..).unwrap_or_default();
    let at = At::End(u32::try_from(end).unwrap_or(u32::MAX));
    // Without what is typed the rest may be whole; or else everything behind it is missing. The
    // comparison keeps parentheses around it from being part of the expression.
    let whole = format!("{before} == 0{after}");
    let closed = format!("{before} == 0{}", closers(before));
    let answers = [whole, closed];
    let mut answers = answers.iter().map(|text| document.ask(server, text, at));
    answers
        .find_map(|answer| answer.filter(|a| !a.members.is_empty()))
        .map_or_else(Vec::new, |answer| answer.members)
}

/// What closes the brackets that are open at the end of a text; a predicate gets its action.
fn closers(text: &str) -> String {
    let mut open: Vec<&str> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or(' ');
        let skipped = match first {
            '"' => crate::repl::string_length(rest),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => first.len_utf8(),
        };
        match first {
            '(' => {
                let before = text.get(..at).unwrap_or_default().trim_end();
                let has_block = ["if", "while", "for"].iter().any(|w| before.ends_with(w));
                open.push(if has_block { ") { }" } else { ")" });
            }
            '[' => open.push("]"),
            '{' => open.push("}"),
            ')' | ']' | '}' => {
                open.pop();
            }
            // Only an action can be open where no bracket is.
            '<' if open.is_empty() && !rest.starts_with("<<") && !rest.starts_with("<=") => {
                open.push(";>");
            }
            '>' if open == [";>"] && rest.get(1..).is_none_or(closes) => {
                open.pop();
            }
            _ => {}
        }
        at += skipped.max(1);
    }
    if open.is_empty() {
        return String::from("/ { }");
    }
    open.iter().rev().copied().collect()
}

/// Whether what follows a `>` shows that it closed an action.
fn closes(after: &str) -> bool {
    let after = after.trim_start();
    let word: String = after
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let names = rbt_stdlib::VOCABULARY.provider(&word).is_some();
    after.is_empty() || names || ["macro", "fn", "let"].contains(&word.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_closed() {
        assert_eq!(closers("BEGIN { print(curtask"), ")}");
        assert_eq!(closers("BEGIN < print((curtask"), "));>");
        assert_eq!(closers("BEGIN < $x = 1 > END { a[1"), "]}");
        assert_eq!(closers("BEGIN { \"}\" // }\n"), "}");
        assert_eq!(closers("BEGIN < if ($a > 1) { b"), "};>");
        assert_eq!(closers("BEGIN { if (a[b"), "]) { }}");
        assert_eq!(closers("kprobe:f /curtask"), "/ { }");
    }
}
