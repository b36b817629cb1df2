//! What a half-typed word could become.
//!
//! Takes the line up to the cursor; gives where the word begins and what would fit there:
//! probes after a provider, fields after `args.`, members of whatever type stands before a dot or
//! an arrow, kernel types after `struct`, else words of the language. Lists of probes are asked for once and kept.

use super::command;
use crate::members;
use rbt_compiler::btf::BtfType;
use rbt_compiler::question::Question;
use rbt_compiler::target::Target;
use rbt_compiler::vocabulary::{ProbeSpec, Provider};
use rbt_grammar::ast::AttachPart;
use rbt_grammar::{SourceMap, Span, Spanned};
use rbt_runtime::Host;
use rbt_stdlib::VOCABULARY;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::OnceLock;

/// Most words that are offered at once.
const MOST: usize = 200;

/// What has been asked of this machine.
#[derive(Default)]
pub(crate) struct Known {
    host: Rc<Host>,
    /// All probes of a provider, sorted.
    probes: RefCell<HashMap<&'static str, Vec<String>>>,
    /// The session's maps and macros.
    pub names: Vec<String>,
}

impl Known {
    /// Nothing yet, of a machine that others ask as well.
    pub(crate) fn of(host: Rc<Host>) -> Known {
        Known {
            host,
            ..Known::default()
        }
    }

    /// Where the word at the end of `line` begins, and what it could become.
    pub(crate) fn complete(&self, line: &str) -> (usize, Vec<String>) {
        if line.starts_with(':') && !line.contains(' ') {
            let commands = command::TABLE.iter().map(|row| row.name.to_owned());
            return (0, starting(line, commands));
        }
        let line_start = line.rfind('\n').map_or(0, |at| at + 1);
        let is_command = line.starts_with(":list ") || line.starts_with(":doc ");
        let header_start = if is_command {
            line.find(' ').map_or(0, |at| at + 1)
        } else {
            header(line).unwrap_or(line.len())
        };
        if let Some(text) = line.get(header_start..)
            && (is_command || header(line).is_some())
        {
            let start = text.rfind([',', ' ']).map_or(0, |at| at + 1);
            let start = header_start.max(line_start).max(header_start + start);
            let word = line.get(start..).unwrap_or_default();
            if line.starts_with(":doc ") {
                return (start, starting(word, words()));
            }
            return (start, self.probes(word));
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_@$.>-".contains(c);
        let start = line
            .char_indices()
            .rev()
            .take_while(|(_, c)| is_part(*c))
            .last()
            .map_or(line.len(), |(at, _)| at);
        let word = line.get(start..).unwrap_or_default();
        for access in ["args.", "args->"] {
            if let Some(field) = word.strip_prefix(access) {
                let fields = self.fields(line);
                return (start + access.len(), starting(field, fields.into_iter()));
            }
        }
        if let Some(found) = self.members(line) {
            return found;
        }
        let before = line.get(..start).unwrap_or_default().trim_end();
        for tag in ["struct", "union", "enum"] {
            if before.ends_with(tag) && !word.is_empty() {
                return (start, self.types(tag, word));
            }
        }
        let names = self.names.iter().cloned();
        (start, starting(word, words().chain(names)))
    }

    fn probes(&self, word: &str) -> Vec<String> {
        let Some((provider, _)) = word.split_once(':') else {
            let names = VOCABULARY.providers.iter().map(|p| p.name().to_owned());
            let definitions = ["macro", "struct", "let", "config"].map(str::to_owned);
            return starting(word, names.chain(definitions));
        };
        let Some(found) = VOCABULARY.provider(provider) else {
            return Vec::new();
        };
        // With the full name; the alias stays as typed.
        let full = word.replacen(provider, found.name(), 1);
        if !self.probes.borrow().contains_key(found.name()) {
            let all = self.list(found, &full);
            self.probes.borrow_mut().insert(found.name(), all);
        }
        let known = self.probes.borrow();
        let all = known.get(found.name()).map_or(&[][..], Vec::as_slice);
        let from = all.partition_point(|name| name.as_str() < full.as_str());
        let range = all.get(from..).unwrap_or(&[]);
        range
            .iter()
            .take_while(|name| name.starts_with(&full))
            .take(MOST)
            .map(|name| name.replacen(found.name(), provider, 1))
            .collect()
    }

    /// All probes of a provider; of those that have to be told a file, none.
    fn list(&self, provider: &dyn Provider, full: &str) -> Vec<String> {
        let parts = if full.matches(':').count() > 1 && !provider.is_listed() {
            let inner = full.split(':').skip(1);
            inner.map(|part| format!("{part}*")).collect()
        } else {
            vec![String::from("*"), String::from("*")]
        };
        let attempt = |count: usize| {
            let parts: Vec<Spanned<AttachPart>> = parts
                .iter()
                .take(count)
                .map(|text| {
                    let part = AttachPart {
                        text: text.clone(),
                        is_quoted: false,
                    };
                    Spanned::new(part, Span::default())
                })
                .collect();
            let spec = ProbeSpec {
                parts: &parts,
                span: Span::default(),
                allows_unsafe: false,
            };
            provider.list(&spec, &*self.host).unwrap_or_default()
        };
        let mut names = attempt(2);
        if names.is_empty() {
            names = attempt(1);
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The names of the arguments of the probe that the last clause of the line is for.
    fn fields(&self, line: &str) -> Vec<String> {
        let end = line.rfind(['{', '<', '/']).unwrap_or(line.len());
        let before = line.get(..end).unwrap_or_default();
        // The probe is the last word with a colon that a provider begins.
        let mut words = before.split([' ', '\n', '\t', ',', '{', '}', '/', '<', '>', ';']);
        let probe = words
            .by_ref()
            .filter(|word| {
                word.split_once(':')
                    .is_some_and(|(name, _)| VOCABULARY.provider(name).is_some())
            })
            .last();
        let Some((name, rest)) = probe.and_then(|probe| probe.split_once(':')) else {
            return Vec::new();
        };
        let Some(provider) = VOCABULARY.provider(name) else {
            return Vec::new();
        };
        let full = format!("{}:{rest}", provider.name());
        let lines = provider.describe(&full, &*self.host);
        let names = lines.iter().filter_map(|line| {
            let declared = line.split('[').next()?.trim_end_matches(';');
            let name = declared.rsplit([' ', '*']).next()?.trim();
            (!name.is_empty()).then(|| name.to_owned())
        });
        names.collect()
    }

    /// The members of what stands before the `.` or arrow that the line ends with, apart from a
    /// part of a name.
    fn members(&self, line: &str) -> Option<(usize, Vec<String>)> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let start = line.trim_end_matches(is_part).len();
        let word = line.get(start..)?;
        let head = line.get(..start)?;
        let base = head.strip_suffix("->").or_else(|| head.strip_suffix('.'))?;
        if base.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        // A statement stands in no clause yet.
        let before = match super::desk::begins_item(base.trim_start()) {
            true => base.to_owned(),
            false => format!("begin {{ {base}"),
        };
        let found = members::of(&before, "", &|text, at| {
            let mut sources = SourceMap::new();
            let script = sources.add("prompt", text);
            let question = Rc::new(Question::new(script, at));
            let options = rbt_compiler::Options {
                question: Some(Rc::clone(&question)),
                allows_unsafe: true,
                ..rbt_compiler::Options::default()
            };
            rbt_compiler::compile(&sources, script, &VOCABULARY, &*self.host, &options);
            question.answer()
        });
        let names = found.into_iter().map(|(name, _)| name);
        Some((start, starting(word, names)))
    }

    fn types(&self, tag: &str, word: &str) -> Vec<String> {
        let Ok(btf) = self.host.btf() else {
            return Vec::new();
        };
        let found = btf.ids().filter_map(|id| match btf.get(id)? {
            BtfType::Struct { name, is_union, .. } if is_union == (tag == "union") => Some(name),
            BtfType::Enum { name, .. } if tag == "enum" => Some(name),
            _ => None,
        });
        let fits = found.filter(|name| tag_fits(name, word));
        let mut names: Vec<String> = fits.map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(MOST);
        names
    }
}

fn tag_fits(name: &str, word: &str) -> bool {
    !name.is_empty() && name.starts_with(word)
}

/// Where the header of the clause begins that the end of `line` is in; `None` inside an action
/// or where no clause has begun.
fn header(line: &str) -> Option<usize> {
    let (depth, start) = open_brackets(line);
    let text = line.get(start..).unwrap_or_default();
    let indent = text.len() - text.trim_start().len();
    let text = text.trim_start();
    // Behind an action in angle brackets, only a type of probes with its colon tells.
    let last = text.rfind([' ', '\n', '\t', ',']).map_or(0, |at| at + 1);
    let names_probe = text
        .get(last..)
        .and_then(|word| word.split_once(':'))
        .is_some_and(|(name, _)| VOCABULARY.provider(name).is_some());
    let is_header =
        depth == 0 && !text.contains([' ', '<', '=']) && !text.starts_with(['@', '$', '/', ':'])
            || (depth == 0 && text.ends_with(", "))
            || (depth == 0 && names_probe);
    is_header.then_some(start + indent)
}

/// How many braces and parentheses are open at the end of a text, outside strings and comments,
/// and where the text behind the last one that was closed begins.
fn open_brackets(text: &str) -> (usize, usize) {
    let (mut depth, mut start, mut at) = (0_usize, 0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let skipped = if rest.starts_with('"') {
            super::desk::string_length(rest)
        } else if rest.starts_with("//") || rest.starts_with('#') {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            match rest.as_bytes().first() {
                Some(b'{' | b'(') => depth += 1,
                Some(b'}' | b')') => {
                    depth = depth.saturating_sub(1);
                    start = at + 1;
                }
                _ => {}
            }
            rest.chars().next().map_or(1, char::len_utf8)
        };
        if depth == 0 && (rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#'))
        {
            start = at + skipped;
        }
        at += skipped.max(1);
    }
    (depth, start.min(text.len()))
}

fn words() -> impl Iterator<Item = String> {
    let builtins = VOCABULARY.builtins.iter().map(|w| w.name());
    let functions = VOCABULARY.functions.iter().map(|w| w.name());
    let aggregations = VOCABULARY.aggregations.iter().map(|w| w.name());
    let words = builtins.chain(functions).chain(aggregations);
    let keywords = rbt_grammar::KEYWORDS.iter().copied();
    let library = library().iter().copied();
    words.chain(keywords).chain(library).map(str::to_owned)
}

/// The words that the library says in the language itself, found once.
fn library() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let pages = rbt_stdlib::pages().into_iter();
        let of_library = pages.filter(|page| page.kind == rbt_stdlib::Kind::Macro);
        of_library.map(|page| page.name).collect()
    })
}

fn starting(word: &str, from: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = from.filter(|name| name.starts_with(word)).collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(MOST);
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn completed(line: &str) -> (usize, Vec<String>) {
        Known::default().complete(line)
    }

    #[test]
    fn words_and_commands() {
        assert_eq!(completed(":pro"), (0, vec![String::from(":probes")]));
        let (start, found) = completed("BEGIN { printf(\"%d\", nse");
        assert_eq!((start, found), (21, vec![String::from("nsecs")]));
        let (start, found) = completed("trac");
        assert_eq!((start, found), (0, vec![String::from("tracepoint")]));
        let (_, found) = completed("interval:s:1 { } soft");
        assert_eq!(found, ["software"]);
    }

    #[test]
    fn names_of_the_session() {
        let known = Known {
            names: vec![String::from("@reads"), String::from("@writes")],
            ..Known::default()
        };
        assert_eq!(
            known.complete("print(@re"),
            (6, vec![String::from("@reads")])
        );
    }

    #[test]
    fn members_of_kernel_types() {
        let (start, found) = completed("print(curtask->real_par");
        assert_eq!((start, found), (15, vec![String::from("real_parent")]));
        let (_, found) = completed("kprobe:vfs_read /curtask->mm->total_v");
        assert_eq!(found, ["total_vm"]);
        assert_eq!(completed("print(1.").1, Vec::<String>::new());
    }

    #[test]
    fn a_hundred_thousand_probes_are_no_wait() {
        let known = Known::default();
        let all = (0..100_000).map(|n| format!("kprobe:function_{n:06}"));
        known.probes.borrow_mut().insert("kprobe", all.collect());
        let start = std::time::Instant::now();
        for n in 0..100 {
            let (_, found) = known.complete(&format!("k:function_0{n:04}"));
            assert_eq!(found.len(), 10);
        }
        // A hundredth of a second for each key would be felt.
        assert!(start.elapsed().as_millis() < 1000, "{:?}", start.elapsed());
        let (_, found) = known.complete("kprobe:");
        assert_eq!(found.len(), MOST);
    }

    #[test]
    fn probes_of_a_provider() {
        let (start, found) = completed("software:page");
        assert_eq!(start, 0);
        assert!(
            found
                .iter()
                .any(|name| name.starts_with("software:page-faults"))
        );
        let (_, found) = completed("tracepoint:sched:sched_swi");
        assert_eq!(
            found.first().map(String::as_str),
            Some("tracepoint:sched:sched_switch")
        );
        let (start, found) = completed("tracepoint:sched:sched_switch { @[args.next_c");
        assert_eq!((start, found), (39, vec![String::from("next_comm")]));
        let (start, found) = completed("interval:s:1 { } s:cpu-c");
        assert_eq!(start, 17);
        assert!(found.iter().any(|name| name.starts_with("s:cpu-clock")));
    }
}
