//! `software` and `hardware`: the kernel's and the processor's counters, on every CPU.

use super::number::number;
use super::wildcard::{has_pattern, matches};
use super::{malformed, no_wildcards, site_source, wrong_parts};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, Cpus, ProgramKind, Sample};
use rbt_compiler::nearest::nearest;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::{Feature, Target};
use rbt_compiler::types::Space;
use rbt_compiler::vocabulary::{
    ArgumentAccess, Needs, PidFilter, Place, ProbeContext, ProbeSpec, Provider, Route,
};
use rbt_grammar::Diagnostic;

word! {
    /// `software`
    Software = "software" {
        usage: ["software:event:count"],
        summary: "Fires each time the kernel has counted that many of an event, on every CPU.",
        details: "With `-p`, only what that process does is counted. Without a count, a usual \
                  one is used: 1 for rare events.",
        examples: ["software:page-faults:100 { @[comm] = count(); }"],
        kernel: "",
    }
}

word! {
    /// `hardware`
    Hardware = "hardware" {
        usage: ["hardware:event:count"],
        summary: "Fires each time the processor has counted that many of an event, on every CPU.",
        details: "With `-p`, only what that process does is counted. Virtual machines often have \
                  no such counters.",
        examples: ["hardware:cache-misses:1000000 { @[comm] = count(); }"],
        kernel: "",
    }
}

/// A counter: its name, its alias or an empty text, the kernel's number for it, and the usual
/// count.
struct Event {
    name: &'static str,
    alias: &'static str,
    number: u64,
    count: u64,
}

const fn event(name: &'static str, alias: &'static str, number: u64, count: u64) -> Event {
    Event {
        name,
        alias,
        number,
        count,
    }
}

/// One of the two types. Numbers are those of `linux/perf_event.h`.
struct Family {
    name: &'static str,
    /// `PERF_TYPE_*`
    kind: u32,
    /// Sorted by name.
    events: &'static [Event],
}

static SOFTWARE: Family = Family {
    name: "software",
    kind: 1,
    events: &[
        event("alignment-faults", "", 7, 1),
        event("bpf-output", "", 10, 1),
        event("context-switches", "cs", 3, 1000),
        event("cpu-clock", "cpu", 0, 1_000_000),
        event("cpu-migrations", "", 4, 1),
        event("dummy", "", 9, 1),
        event("emulation-faults", "", 8, 1),
        event("major-faults", "", 6, 1),
        event("minor-faults", "", 5, 100),
        event("page-faults", "faults", 2, 100),
        event("task-clock", "", 1, 1),
    ],
};

static HARDWARE: Family = Family {
    name: "hardware",
    kind: 0,
    events: &[
        event("backend-stalls", "", 8, 1_000_000),
        event("branch-instructions", "branches", 4, 100_000),
        event("branch-misses", "", 5, 100_000),
        event("bus-cycles", "", 6, 100_000),
        event("cache-misses", "", 3, 1_000_000),
        event("cache-references", "", 2, 1_000_000),
        event("cpu-cycles", "cycles", 0, 1_000_000),
        event("frontend-stalls", "", 7, 1_000_000),
        event("instructions", "", 1, 1_000_000),
        event("ref-cycles", "", 9, 1_000_000),
    ],
};

impl Family {
    fn find(&self, text: &str) -> Option<&Event> {
        self.events
            .iter()
            .find(|event| event.name == text || (!event.alias.is_empty() && event.alias == text))
    }

    /// Names and aliases, sorted.
    fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = self
            .events
            .iter()
            .flat_map(|event| [event.name, event.alias])
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names
    }

    fn expand(&self, spec: &ProbeSpec<'_>) -> Result<Vec<Place>, Diagnostic> {
        let name = self.name;
        if has_pattern(spec) {
            return Err(no_wildcards(spec, name));
        }
        let form = format!("{name}:{}:1000", self.events.last().map_or("", |e| e.name));
        let (text, count) = match spec.parts {
            [event] => (event.node.text.as_str(), None),
            [event, count] => (event.node.text.as_str(), Some(count.node.text.as_str())),
            _ => return Err(wrong_parts(spec, name, "1 or 2", &form)),
        };
        let Some(event) = self.find(text) else {
            let diagnostic = malformed(spec, format!("{text} is not a {name} probe"), "");
            return Err(match nearest(text, self.names()) {
                Some(near) => diagnostic.help(format!("did you mean `{name}:{near}`?")),
                None => diagnostic.help(format!("list what there is with `rbt -l '{name}:*'`")),
            });
        };
        let count = match count {
            None | Some("") => 0,
            // Zero asks for the usual count.
            Some(count) => match number(count) {
                Some(count) => count,
                None if count.strip_prefix('-').is_some_and(|c| number(c).is_some()) => {
                    let message = format!("{name} count should be a positive integer");
                    return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
                }
                None => {
                    let message =
                        format!("Invalid count for {name} probe: invalid integer: {count}");
                    return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
                }
            },
        };
        let (count, shown) = match count {
            0 => (event.count, String::new()),
            count => (count, format!(":{count}")),
        };
        Ok(vec![Place {
            parts: vec![text.to_owned(), count.to_string()],
            text: format!("{name}:{text}{shown}"),
        }])
    }

    fn attachment(&self, place: &Place) -> AttachTarget {
        let event = place.parts.first().and_then(|name| self.find(name));
        let count = place.parts.get(1).and_then(|n| n.parse().ok());
        AttachTarget::PerfEvent {
            kind: self.kind,
            config: event.map_or(0, |event| event.number),
            sample: Sample::Period(count.unwrap_or(1)),
            cpus: Cpus::Every,
        }
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        let attachments = places.iter().enumerate();
        vec![Route {
            kind: ProgramKind::PerfEvent,
            section: String::from("perf_event"),
            name: self.name.to_owned(),
            places: (0..places.len()).collect(),
            attachments: attachments
                .map(|(index, place)| (self.attachment(place), index, 1))
                .collect(),
            pid_filter: PidFilter::Attach,
            arguments: ArgumentAccess::None,
            site: site_source(places.len(), needs.site, target, Feature::PerfLinkCookie),
        }]
    }

    fn list(&self, spec: &ProbeSpec<'_>) -> Vec<String> {
        let pattern = spec.part(0);
        self.names()
            .into_iter()
            .filter(|name| pattern.is_empty() || matches(pattern, name))
            .map(|name| format!("{}:{name}:", self.name))
            .collect()
    }
}

fn context(provider: &'static dyn Provider, place: &Place) -> ProbeContext {
    ProbeContext {
        provider,
        place: place.clone(),
        space: Space::Kernel,
        arguments: None,
        numbered: 0,
        when: provider.when(),
    }
}

impl Provider for Software {
    fn has_space(&self) -> bool {
        false
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["s"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        SOFTWARE.expand(spec)
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Software, place))
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        SOFTWARE.routes(places, needs, target)
    }

    fn list(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        Ok(SOFTWARE.list(spec))
    }
}

impl Provider for Hardware {
    fn has_space(&self) -> bool {
        false
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["h"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        HARDWARE.expand(spec)
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Hardware, place))
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        HARDWARE.routes(places, needs, target)
    }

    fn list(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        Ok(HARDWARE.list(spec))
    }
}
