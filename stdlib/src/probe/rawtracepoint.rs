//! `rawtracepoint`: tracepoints with the arguments the kernel passes, before any record.

use super::wildcard::{has_pattern, matches};
use super::{site_source, unanswered, wrong_parts};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, ProgramKind};
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::{Feature, Target, TargetError};
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

fn place(module: &str, event: &str) -> Place {
    Place {
        parts: vec![module.to_owned(), event.to_owned()],
        text: format!("rawtracepoint:{module}:{event}"),
    }
}

/// The tracepoints that patterns describe, with their modules, sorted.
fn events(
    module: &str,
    event: &str,
    target: &dyn Target,
) -> Result<Vec<(String, String)>, TargetError> {
    let btf = target.btf()?;
    let mut names: Vec<(String, String)> = btf
        .tracepoints()
        .filter(|(of, name)| {
            (module.is_empty() || matches(module, of)) && (event.is_empty() || matches(event, name))
        })
        .map(|(of, name)| (of.to_owned(), name.to_owned()))
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Module and event as written; an empty module if none is.
fn names<'a>(spec: &'a ProbeSpec<'_>) -> Option<(&'a str, &'a str)> {
    match spec.parts.len() {
        1 => Some(("", spec.part(0))),
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
            let found = events(module, event, target).map_err(|e| unanswered(spec, e))?;
            return Ok(found.iter().map(|(of, name)| place(of, name)).collect());
        }
        let Ok(btf) = target.btf() else {
            // Without type information only attaching tells.
            let module = if module.is_empty() { KERNEL } else { module };
            return Ok(vec![place(module, event)]);
        };
        let mut modules = std::iter::once(KERNEL).chain(btf.modules());
        let found = modules.find(|of| {
            (module.is_empty() || module == *of) && btf.tracepoint_handler(of, event).is_some()
        });
        Ok(found.map(|of| place(of, event)).into_iter().collect())
    }

    fn context(
        &self,
        place: &Place,
        needs: Needs,
        types: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        let part = |index: usize| place.parts.get(index).map_or("", String::as_str);
        let (module, event) = (part(0), part(1));
        let arguments = types.raw_tracepoint_arguments("args", module, event, Space::Kernel);
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
        let (module, event) = names(spec).unwrap_or(("", "*"));
        let found = events(module, event, target).map_err(|e| unanswered(spec, e))?;
        Ok(found
            .iter()
            .map(|(of, name)| place(of, name).text)
            .collect())
    }

    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        let mut parts = name.rsplit(':');
        let (event, module) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let Ok(btf) = target.btf() else {
            return Vec::new();
        };
        let Some(handler) = btf.tracepoint_handler(module, event) else {
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
