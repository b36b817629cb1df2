//! The other way to write a script's actions: `{ }` for `< >`, and back.
//!
//! Takes a script's text and gives it with the outermost delimiters of every clause exchanged,
//! or why it cannot be done. Everything else stays, byte for byte and place for place; only
//! where what follows does not begin an item by itself, a `;` goes before the closing `>`.

use rbt_grammar::SourceMap;
use rbt_grammar::ast::{Clause, Item};
use rbt_stdlib::VOCABULARY;

/// The script in the other form.
///
/// Errors: the script has a mistake in its syntax, or no clause.
pub fn other(text: &str, positional: &[String]) -> Result<String, String> {
    let mut sources = SourceMap::new();
    let id = sources.add("script", text);
    let source = sources.get(id).ok_or("no source")?;
    let parsed = VOCABULARY.parse(source, positional);
    if parsed.diagnostics.iter().any(|d| d.is_fatal()) {
        return Err("its syntax is wrong in either form".to_owned());
    }
    let items = parsed.program.items;
    let clauses: Vec<&Clause> = items
        .iter()
        .filter_map(|item| match item {
            Item::Clause(clause) => Some(clause),
            _ => None,
        })
        .collect();
    if clauses.is_empty() {
        return Err("it has no clause".to_owned());
    }
    let mut changed = String::new();
    let mut done = 0;
    for clause in clauses {
        let span = clause.action.span;
        let (start, end) = (span.start as usize, span.end as usize);
        let inside = text
            .get(start + 1..end - 1)
            .ok_or("a clause without its action")?;
        changed.push_str(&text[done..start]);
        match &text[start..=start] {
            "{" if continues(&text[end..]) => changed.push_str(&format!("<{inside};>")),
            "{" => changed.push_str(&format!("<{inside}>")),
            "<" => changed.push_str(&format!("{{{inside}}}")),
            other => return Err(format!("an action opens with `{other}`")),
        }
        done = end;
    }
    changed.push_str(&text[done..]);
    Ok(changed)
}

/// Whether `rest` would be read as the right side of a comparison after a `>`: attach points
/// that are no plain provider do not end an expression.
fn continues(rest: &str) -> bool {
    let mut rest = rest.trim_start();
    while let Some(comment) = rest.strip_prefix("//") {
        rest = comment
            .split_once('\n')
            .map_or("", |(_, rest)| rest)
            .trim_start();
    }
    let provider = rest.split(':').next().unwrap_or_default();
    rest.starts_with(['$', '"', '*']) || provider.contains('*')
}
