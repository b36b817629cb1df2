//! Probe types: how attach points are written, what they mean on this kernel, what a clause
//! can know there, and the cheapest way to reach them. One file for each family.

mod counter;
mod fentry;
mod iter;
mod kprobe;
mod number;
mod operand;
mod rawtracepoint;
mod special;
mod syscalls;
mod timer;
mod tracepoint;
mod trial;
mod uprobe;
mod usdt;
mod user;
mod watchpoint;
mod wildcard;

pub(crate) use fentry::RESULT;
pub(crate) use iter::context_struct;
pub use wildcard::matches as is_match;

use rbt_compiler::artifact::When;
use rbt_compiler::btf::{Btf, TypeId};
use rbt_compiler::target::{Feature, Target, TargetError};
use rbt_compiler::vocabulary::{ProbeContext, ProbeSpec, Provider, SiteSource};
use rbt_grammar::{Diagnostic, codes};

/// Every probe type.
pub(crate) static ALL: &[&dyn Provider] = &[
    &special::Begin,
    &special::End,
    &special::Own,
    &tracepoint::Tracepoint,
    &rawtracepoint::RawTracepoint,
    &kprobe::Kprobe,
    &kprobe::Kretprobe,
    &fentry::Fentry,
    &fentry::Fexit,
    &uprobe::Uprobe,
    &uprobe::Uretprobe,
    &usdt::Usdt,
    &timer::Profile,
    &timer::Interval,
    &counter::Software,
    &counter::Hardware,
    &watchpoint::Watchpoint,
    &iter::Iter,
    &trial::Bench,
    &trial::Test,
];

/// Whether the probe's context starts with the registers of what it interrupted.
pub(crate) fn has_registers(probe: &ProbeContext) -> bool {
    matches!(
        probe.provider.name(),
        "profile" | "interval" | "software" | "hardware" | "kprobe" | "kretprobe" | "watchpoint"
    ) || is_in_user_space(probe)
}

/// Whether the probe is a place of a program or library.
pub(crate) fn is_in_user_space(probe: &ProbeContext) -> bool {
    matches!(probe.provider.name(), "uprobe" | "uretprobe" | "usdt")
}

/// Whether the probe is the return of a function.
pub(crate) fn is_return(probe: &ProbeContext) -> bool {
    matches!(probe.provider.name(), "kretprobe" | "uretprobe" | "fexit")
}

/// What `probetype` shows.
pub(crate) fn type_name(probe: &ProbeContext) -> &'static str {
    match probe.when {
        When::Attached | When::Bench | When::Test => probe.provider.name(),
        When::Begin | When::Signal | When::End => "special",
    }
}

/// An argument as `-lv` shows it: its type, a space, its name.
fn described(btf: &Btf, ty: TypeId, name: &str) -> String {
    format!("{} {name}", btf.declaration(ty, ""))
}

/// The complaint that an attach point does not say what its type needs.
fn malformed(spec: &ProbeSpec<'_>, message: impl Into<String>, here: &str) -> Diagnostic {
    Diagnostic::error(codes::BAD_PROBE, message, spec.span, here)
}

/// The complaint that an attach point has the wrong number of parts. `required` is in words:
/// `1 or 2`.
fn wrong_parts(spec: &ProbeSpec<'_>, word: &str, required: &str, form: &str) -> Diagnostic {
    let found = spec.parts.len();
    let noun = if required == "1" {
        "argument"
    } else {
        "arguments"
    };
    let message = format!("{word} probe type requires {required} {noun}, found {found}");
    malformed(spec, message, "").help(format!("write it as `{form}`"))
}

/// The complaint that wildcards mean nothing here.
fn no_wildcards(spec: &ProbeSpec<'_>, word: &str) -> Diagnostic {
    let message = format!("wildcards are not allowed for {word} probe type");
    malformed(spec, message, "").help(format!("list what there is with `rbt -l '{word}:*'`"))
}

/// The complaint that the machine does not answer.
fn unanswered(spec: &ProbeSpec<'_>, error: TargetError) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        codes::MACHINE,
        error.to_string(),
        spec.span,
        "this cannot be looked up",
    );
    if error.help.is_empty() {
        diagnostic
    } else {
        diagnostic.help(error.help)
    }
}

/// How a program that serves several places learns which one fired, where attachments carry
/// a number if the kernel has `cookie`.
fn site_source(places: usize, is_needed: bool, target: &dyn Target, cookie: Feature) -> SiteSource {
    if places <= 1 || !is_needed {
        SiteSource::Single
    } else if target.has(cookie) {
        SiteSource::Cookie
    } else {
        SiteSource::Patched
    }
}
