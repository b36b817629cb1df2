//! `rawtracepoint`: tracepoints with the arguments the kernel passes, before any record.

use super::wildcard::{has_pattern, matches};
use super::{site_source, unanswered, wrong_parts};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, ProgramKind};
use rbt_compiler::btf::BtfType;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::{Feature, Target};
use rbt_compiler::types::Space;
use rbt_compiler::vocabulary::{
    ArgumentAccess, Needs, PidFilter, Place, ProbeContext, ProbeSpec, Provider, Route,
};
use rbt_grammar::Diagnostic;

word! {
    /// `rawtracepoint`
    RawTracepoint = "rawtracepoint" {
        usage: ["rawtracepoint:event", "rawtracepoint:module:event"],
        summary: "Fires at a tracepoint and hands over the kernel's own arguments.",
        details: "`args.name` has the types of the kernel's prototype; `arg0`, `arg1`, … are the \
                  same as plain integers.",
        examples: ["rawtracepoint:sys_enter { @[arg1] = count(); }"],
        kernel: "",
    }
}

/// The kernel itself, as a module's name.
const KERNEL: &str = "vmlinux";

/// Most arguments the kernel passes to a program (`MAX_BPF_FUNC_ARGS`).
const MOST_ARGUMENTS: u32 = 12;

/// What the kernel puts before an event's name to name the type of its handlers.
const HANDLER: &str = "btf_trace_";

fn place(module: &str, event: &str) -> Place {
    Place {
        parts: vec![module.to_owned(), event.to_owned()],
        text: format!("rawtracepoint:{module}:{event}"),
    }
}

/// The tracepoints of the kernel, sorted; those of modules are not among them.
fn events(target: &dyn Target) -> Result<Vec<String>, rbt_compiler::target::TargetError> {
    let btf = target.btf()?;
    let mut names: Vec<String> = btf
        .ids()
        .filter_map(|id| match btf.get(id)? {
            BtfType::Typedef { name, .. } => Some(name.strip_prefix(HANDLER)?.to_owned()),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Module and event as written; the kernel itself if no module is.
fn names<'a>(spec: &'a ProbeSpec<'_>) -> Option<(&'a str, &'a str)> {
    match spec.parts.len() {
        1 => Some((KERNEL, spec.part(0))),
        2 => Some((spec.part(0), spec.part(1))),
        _ => None,
    }
}

impl Provider for RawTracepoint {
    fn aliases(&self) -> &'static [&'static str] {
        &["rt"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        let Some((module, event)) = names(spec) else {
            let form = "rawtracepoint:event";
            return Err(wrong_parts(spec, "rawtracepoint", "1 or 2", form));
        };
        if has_pattern(spec) {
            if !matches(module, KERNEL) {
                return Ok(Vec::new());
            }
            let all = events(target).map_err(|e| unanswered(spec, e))?;
            let found = all.iter().filter(|name| matches(event, name));
            return Ok(found.map(|name| place(KERNEL, name)).collect());
        }
        // Without type information, and for modules, only attaching tells.
        let is_there = match target.btf() {
            Ok(btf) if module == KERNEL => btf.find_typedef(&format!("{HANDLER}{event}")).is_some(),
            _ => true,
        };
        Ok(if is_there {
            vec![place(module, event)]
        } else {
            Vec::new()
        })
    }

    fn context(
        &self,
        place: &Place,
        needs: Needs,
        types: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        let event = place.parts.get(1).map_or("", String::as_str);
        let arguments = types.raw_tracepoint_arguments("args", event, Space::Kernel);
        let numbered = arguments
            .as_ref()
            .map_or(MOST_ARGUMENTS, |found| found.size / 8);
        Ok(ProbeContext {
            provider: &RawTracepoint,
            place: place.clone(),
            space: Space::Kernel,
            arguments: arguments.filter(|_| needs.arguments),
            numbered,
            when: self.when(),
        })
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        let event = |place: &Place| place.parts.get(1).cloned().unwrap_or_default();
        let attachments = places.iter().enumerate();
        let first = places.first().map(event).unwrap_or_default();
        let cookie = Feature::RawTracepointCookie;
        vec![Route {
            kind: ProgramKind::RawTracepoint,
            section: format!("raw_tp/{first}"),
            name: first,
            places: (0..places.len()).collect(),
            attachments: attachments
                .map(|(at, place)| (AttachTarget::RawTracepoint { name: event(place) }, at, 1))
                .collect(),
            pid_filter: PidFilter::Test,
            arguments: if needs.arguments {
                ArgumentAccess::InContext
            } else {
                ArgumentAccess::None
            },
            site: site_source(places.len(), needs.site, target, cookie),
        }]
    }

    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        let (module, event) = names(spec).unwrap_or((KERNEL, "*"));
        if !matches(module, KERNEL) {
            return Ok(Vec::new());
        }
        let all = events(target).map_err(|e| unanswered(spec, e))?;
        let found = all
            .iter()
            .filter(|name| event.is_empty() || matches(event, name));
        Ok(found.map(|name| place(KERNEL, name).text).collect())
    }

    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        let event = name.rsplit(':').next().unwrap_or("");
        let Ok(btf) = target.btf() else {
            return Vec::new();
        };
        let Some(handler) = btf.tracepoint_handler(event) else {
            return Vec::new();
        };
        // The first parameter is the handler's own.
        btf.parameters(handler)
            .skip(1)
            .map(|(name, ty)| super::described(btf, ty, name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rbt_compiler::fixture::Fixture;
    use rbt_grammar::Span;

    #[test]
    fn events_are_found_by_the_types_of_their_handlers() {
        let target = Fixture::new();
        let spec = ProbeSpec {
            parts: &[],
            span: Span::default(),
            allows_unsafe: false,
        };
        let all = RawTracepoint.list(&spec, &target).expect("told");
        assert!(all.contains(&String::from("rawtracepoint:vmlinux:sched_switch")));
        let lines = RawTracepoint.describe("rawtracepoint:vmlinux:sched_switch", &target);
        assert!(
            lines.iter().any(|line| line.contains("struct task_struct")),
            "{lines:?}"
        );
    }
}
