//! Explains why the kernel refused a program: the script's line, and the verifier's words.
//!
//! Takes the log and the program's line information; gives a diagnostic. Never shows the
//! whole log: it is long and speaks of registers.

use std::io;

use aya_obj::generated::bpf_line_info;
use rbt_compiler::artifact::ProgramPlan;
use rbt_grammar::codes;
use rbt_grammar::diagnostic::{Diagnostic, Severity};
use rbt_grammar::source::{SourceMap, Span};

use crate::host::reason;

/// A refused program.
pub(super) struct Rejection<'r> {
    pub(super) error: &'r io::Error,
    /// What the verifier said; may be empty.
    pub(super) log: &'r str,
    pub(super) plan: &'r ProgramPlan,
    pub(super) lines: &'r [bpf_line_info],
    /// The object's BTF: its strings name the sources.
    pub(super) btf: &'r [u8],
}

/// What the log says in the end.
#[derive(Debug, PartialEq, Eq)]
struct Verdict<'l> {
    /// The complaint.
    words: &'l str,
    /// The instruction it is about.
    insn: Option<u32>,
    /// That instruction as the verifier writes it.
    listing: Option<&'l str>,
}

/// The diagnostic for a refused program.
pub(super) fn explain(rejection: &Rejection<'_>, sources: &SourceMap) -> Diagnostic {
    let plan = rejection.plan;
    let why = reason(rejection.error);
    let message = format!("the kernel refuses a {} program: {why}", plan.provider);
    let mut diagnostic = Diagnostic::new(Severity::Error, codes::VERIFIER, message);
    let verdict = verdict(rejection.log);
    let place = verdict
        .as_ref()
        .and_then(|verdict| verdict.insn)
        .and_then(|insn| span_of(insn, rejection, sources));
    let words = verdict.as_ref().map_or("", |verdict| verdict.words);
    diagnostic = match place {
        Some(span) => diagnostic
            .label(span, "the verifier stopped at the code for this")
            .label(plan.span, "in this clause"),
        None => diagnostic.label(plan.span, "the program of this clause"),
    };
    if let Some(verdict) = &verdict {
        diagnostic = diagnostic.note(format!("the verifier says: {words}"));
        if let Some(listing) = verdict.listing {
            diagnostic = diagnostic.note(format!("at instruction {listing}"));
        }
    }
    match rejection.error.raw_os_error() {
        Some(libc::EPERM) => diagnostic.help(
            "run rbt as the root user; some kernels are locked down so that this kind of \
             program cannot be loaded at all",
        ),
        Some(libc::E2BIG) => diagnostic.help("the program is too large: split the clause"),
        _ if words.contains("too large") || words.contains("too many") => {
            diagnostic.help("it is a limit of the kernel: make strings smaller or split the clause")
        }
        _ => diagnostic.help(
            "if the script does nothing unusual here, this is a defect of rbt: please report it",
        ),
    }
}

/// Finds the complaint: the last line before the statistics, and the last instruction shown.
fn verdict(log: &str) -> Option<Verdict<'_>> {
    let lines = || {
        log.lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
    };
    let is_statistics = |line: &str| {
        line.starts_with("processed ")
            || line.starts_with("verification time ")
            || line.starts_with("stack depth ")
            || line.starts_with("mark_precise")
    };
    let words = lines().rfind(|line| !is_statistics(line))?;
    let listing = lines().rfind(|line| instruction(line).is_some());
    let named = words.split("insn ").nth(1).and_then(leading_number);
    Some(Verdict {
        words,
        insn: named.or_else(|| listing.and_then(instruction)),
        listing: listing.filter(|_| named.is_none()),
    })
}

/// The index of a line like `12: (79) r1 = *(u64 *)(r1 +0)`.
fn instruction(line: &str) -> Option<u32> {
    let (index, rest) = line.split_once(": ")?;
    if !rest.starts_with('(') {
        return None;
    }
    index.parse().ok()
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// The place in the script that an instruction was made for.
fn span_of(insn: u32, rejection: &Rejection<'_>, sources: &SourceMap) -> Option<Span> {
    let before = rejection.lines.iter().filter(|line| line.insn_off <= insn);
    let line = before.max_by_key(|line| line.insn_off)?;
    let (row, column) = (line.line_col >> 10, line.line_col & 0x3ff);
    let name = string(rejection.btf, line.file_name_off);
    let source = sources
        .iter()
        .find(|source| Some(source.name.as_str()) == name)
        .or_else(|| sources.get(rejection.plan.span.source))?;
    let bytes = source.line_range(row.checked_sub(1)? as usize)?;
    let start = bytes.start + column.saturating_sub(1) as usize;
    let rest = source.text.get(start..bytes.end)?;
    // Line information has starts only: the word that starts here is shown.
    let word = rest.find(|c: char| !c.is_alphanumeric() && !"_@$".contains(c));
    let length = word.unwrap_or(rest.len()).max(1);
    Some(Span::new(source.id, start, start + length))
}

/// A string of BTF by its offset.
fn string(btf: &[u8], offset: u32) -> Option<&str> {
    let number = |at: usize| -> Option<usize> {
        let bytes = btf.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    // The header: magic, version, flags, its length, then offset and length of types and of
    // strings, both from the header's end.
    let start = number(4)?
        .checked_add(number(16)?)?
        .checked_add(offset as usize)?;
    let bytes = btf.get(start..)?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(bytes.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complaint_comes_before_the_statistics() {
        let log = "func#0 @0\n0: R1=ctx() R10=fp0\n; @x = 1 @ a.bt:1\n0: (79) r0 = *(u64 *)(r1 +8)\n\
                   1: (61) r0 = *(u32 *)(r0 +0)\nR0 invalid mem access 'scalar'\n\
                   processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0\n";
        assert_eq!(
            verdict(log),
            Some(Verdict {
                words: "R0 invalid mem access 'scalar'",
                insn: Some(1),
                listing: Some("1: (61) r0 = *(u32 *)(r0 +0)"),
            })
        );
    }

    #[test]
    fn complaints_may_name_their_instruction() {
        let found = verdict("unreachable insn 7\nprocessed 0 insns\n").expect("a complaint");
        assert_eq!((found.words, found.insn), ("unreachable insn 7", Some(7)));
        assert_eq!(verdict(""), None);
    }
}
