//! `--doc` and `--explain`: the pages of words, settings and diagnostic codes, and their list.
//!
//! Takes a name and gives text for a terminal. Everything it says stands in the tables of the
//! words, the settings and the codes.

use rbt_compiler::{config, nearest};
use rbt_grammar::codes;
use rbt_stdlib::{Kind, Page, pages};
use std::fmt::Write as _;

/// What the words of a kind are called, and their place in the list.
pub(crate) const KINDS: &[(Kind, &str, &str)] = &[
    (Kind::Probe, "probe type", "Probe types"),
    (Kind::Builtin, "builtin", "Builtins"),
    (Kind::Function, "function", "Functions"),
    (Kind::Aggregation, "map aggregation", "Map aggregations"),
    (
        Kind::Macro,
        "word written in the language",
        "Words written in the language",
    ),
];

/// The pages of a name: a probe type or its alias, a builtin, a function, an aggregation, a
/// setting, a code. Several words may share it.
///
/// Errors: there is nothing of that name; with the nearest one.
pub(crate) fn doc(name: &str) -> Result<String, String> {
    let pages = pages();
    let is_it = |page: &&Page| page.name.eq_ignore_ascii_case(name) || page.aliases.contains(&name);
    let mut found: Vec<String> = pages.iter().filter(is_it).map(show).collect();
    let setting = name.to_ascii_lowercase();
    let setting = ["bpftrace_", "rbt_"]
        .iter()
        .find_map(|prefix| setting.strip_prefix(prefix))
        .unwrap_or(&setting);
    let setting = config::TABLE.iter().find(|row| row.name == setting);
    found.extend(setting.map(|row| {
        format!(
            "{} (setting)\n\n    config = {{ {} = VALUE }}\n    RBT_{}=VALUE rbt SCRIPT\n\n{}\n",
            row.name,
            row.name,
            row.name.to_ascii_uppercase(),
            row.doc
        )
    }));
    found.extend(explain(name));
    if !found.is_empty() {
        return Ok(found.join("\n"));
    }
    let words = pages
        .iter()
        .flat_map(|page| page.aliases.iter().copied().chain([page.name]));
    let settings = config::TABLE.iter().map(|row| row.name);
    let near = nearest::nearest(name, words.chain(settings));
    let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Err(format!(
        "there is no word `{name}`{hint}\nHINT: `rbt --doc` lists them"
    ))
}

/// The page of a word.
fn show(page: &Page) -> String {
    let kind = KINDS.iter().find(|(kind, ..)| *kind == page.kind);
    let mut text = format!("{} ({})\n\n", page.name, kind.map_or("", |(_, one, _)| one));
    for usage in &page.usage {
        let _ = writeln!(text, "    {usage}");
    }
    let _ = writeln!(text, "\n{}", page.summary);
    if !page.details.is_empty() {
        let _ = writeln!(text, "\n{}", page.details);
    }
    if !page.aliases.is_empty() {
        let _ = writeln!(text, "\nAliases: {}", page.aliases.join(", "));
    }
    if page.is_unsafe {
        let _ = writeln!(text, "\nNeeds --unsafe.");
    }
    if !page.kernel.is_empty() {
        let _ = writeln!(text, "\nKernel: {}", page.kernel);
    }
    for example in &page.examples {
        let _ = writeln!(text, "\n    {}", example.replace('\n', "\n    "));
    }
    text
}

/// Every word, setting and code with a line about it.
pub(crate) fn list() -> String {
    let pages = pages();
    let mut text = String::new();
    let mut section = |title: &str, mut rows: Vec<(String, String)>| {
        rows.sort();
        let _ = writeln!(text, "{title}:");
        for (name, summary) in rows {
            let _ = writeln!(text, "  {name:<20} {summary}");
        }
        text.push('\n');
    };
    for (kind, _, title) in KINDS {
        let of_kind = pages.iter().filter(|page| page.kind == *kind);
        let row = |page: &Page| (page.name.to_owned(), page.summary.clone());
        section(title, of_kind.map(row).collect());
    }
    let settings = config::TABLE.iter();
    let setting = |row: &config::Row| (row.name.to_owned(), row.doc.to_owned());
    section("Settings", settings.map(setting).collect());
    let codes = codes::TABLE.iter();
    let code = |row: &codes::Row| (row.code.to_string(), row.title.to_owned());
    section("Codes of messages", codes.map(code).collect());
    text.push_str("`rbt --doc NAME` shows the page of any of them.\n");
    text
}

/// What a diagnostic code means; `None` if there is no such code.
pub(crate) fn explain(code: &str) -> Option<String> {
    let wanted = code.to_ascii_uppercase();
    let row = codes::TABLE.iter().find(|r| r.code.to_string() == wanted)?;
    Some(format!(
        "{}: {}\n\n{}\n",
        row.code, row.title, row.explanation
    ))
}
