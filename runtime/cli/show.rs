//! Pages: of words, of diagnostic codes, of this machine.

use rbt_compiler::nearest;
use rbt_compiler::target::{Feature, Target, TracedProcess};
use rbt_compiler::word::Word;
use rbt_grammar::codes;
use rbt_runtime::Host;
use rbt_stdlib::VOCABULARY;
use std::fmt::Write as _;

/// Every word with its page.
fn words() -> Vec<&'static dyn Word> {
    let mut words: Vec<&'static dyn Word> = Vec::new();
    words.extend(VOCABULARY.providers.iter().map(|w| *w as &dyn Word));
    words.extend(VOCABULARY.builtins.iter().map(|w| *w as &dyn Word));
    words.extend(VOCABULARY.functions.iter().map(|w| *w as &dyn Word));
    words.extend(VOCABULARY.aggregations.iter().map(|w| *w as &dyn Word));
    words
}

/// The page of a word; a name may be a function and a builtin.
pub(crate) fn doc(name: &str) -> Result<String, String> {
    let words = words();
    let mut text = String::new();
    for word in words.iter().filter(|w| w.name().eq_ignore_ascii_case(name)) {
        let doc = word.doc();
        for usage in doc.usage {
            let _ = writeln!(text, "    {usage}");
        }
        let _ = writeln!(text, "\n{}", doc.summary);
        if !doc.details.is_empty() {
            let _ = writeln!(text, "\n{}", doc.details);
        }
        if !doc.kernel.is_empty() {
            let _ = writeln!(text, "\nKernel: {}", doc.kernel);
        }
        for example in doc.examples {
            let _ = writeln!(text, "\n    {example}");
        }
    }
    if text.is_empty() {
        let near = nearest::nearest(name, words.iter().map(|w| w.name()));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(format!("there is no word `{name}`{hint}"));
    }
    Ok(text)
}

/// What a diagnostic code means.
pub(crate) fn explain(code: &str) -> Result<String, String> {
    let wanted = code.to_ascii_uppercase();
    let row = codes::TABLE.iter().find(|r| r.code.to_string() == wanted);
    let row = row.ok_or_else(|| format!("there is no code `{code}`; codes look like E0402"))?;
    Ok(format!(
        "{}: {}\n\n{}\n",
        row.code, row.title, row.explanation
    ))
}

/// What this machine and its kernel have.
pub(crate) fn info() -> String {
    let host = Host::new(TracedProcess::default());
    let mut text = String::from("System\n");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = std::fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default();
    let _ = writeln!(text, "  OS: Linux {} {}", release.trim(), version.trim());
    let _ = writeln!(text, "  Arch: {}", host.arch().name);
    let _ = writeln!(text, "\nBuild\n  version: {}", env!("CARGO_PKG_VERSION"));
    let yes = |answer| if answer { "yes" } else { "no" };
    let _ = writeln!(text, "\nKernel features");
    let _ = writeln!(text, "  btf: {}", yes(host.btf().is_ok()));
    for (feature, name) in Feature::ALL {
        let _ = writeln!(text, "  {name}: {}", yes(host.has(*feature)));
    }
    text
}
