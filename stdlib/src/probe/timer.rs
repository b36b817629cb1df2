//! `interval` and `profile`: the software CPU clock, on one CPU or on every one.

use super::number::{duration, number};
use super::wildcard::{has_pattern, matches};
use super::{malformed, no_wildcards, site_source, wrong_parts};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, Cpus, ProgramKind, Sample};
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::{Feature, Target};
use rbt_compiler::types::Space;
use rbt_compiler::vocabulary::{
    ArgumentAccess, Needs, PidFilter, Place, ProbeContext, ProbeSpec, Provider, Route,
};
use rbt_compiler::word::Word;
use rbt_grammar::Diagnostic;

/// `PERF_TYPE_SOFTWARE`, `PERF_COUNT_SW_CPU_CLOCK` of `linux/perf_event.h`.
const SOFTWARE: u32 = 1;
const CPU_CLOCK: u64 = 0;

/// Shortest period, in nanoseconds.
const SHORTEST: u64 = 1000;

/// Units and the nanoseconds of each; `hz` is a frequency.
const UNITS: &[(&str, u64)] = &[
    ("hz", 0),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("us", 1_000),
];

word! {
    /// `interval`
    Interval = "interval" {
        usage: ["interval:unit:n", "interval:duration"],
        summary: "Fires at a steady rate, on one CPU.",
        details: "Units are `s`, `ms`, `us` and `hz`. A duration is a literal: `interval:10ms`.",
        examples: [
            "interval:s:1 { print(nsecs); }",
            "i:10ms { @ = count(); }",
        ],
        kernel: "",
    }
}

word! {
    /// `profile`
    Profile = "profile" {
        usage: ["profile:unit:n", "profile:duration"],
        summary: "Fires at a steady rate, on every CPU.",
        details: "Units are `s`, `ms`, `us` and `hz`. With `-p`, only while that process runs.",
        examples: ["profile:hz:99 { @[comm] = count(); }"],
        kernel: "",
    }
}

fn expand(word: &dyn Word, spec: &ProbeSpec<'_>) -> Result<Vec<Place>, Diagnostic> {
    let name = word.name();
    let form = format!("{name}:s:1");
    if has_pattern(spec) {
        return Err(no_wildcards(spec, name));
    }
    let (unit, rate) = match spec.parts {
        [only] => {
            let text = only.node.text.as_str();
            let Some(nanoseconds) = duration(text) else {
                let message = format!("Invalid rate of {name} probe: invalid integer: {text}");
                return Err(malformed(spec, message, "").help(format!(
                    "write a duration, `{name}:10ms`, or a unit and a number, `{form}`"
                )));
            };
            if nanoseconds < SHORTEST {
                let message = format!(
                    "Invalid rate of {name} probe. Minimum is {SHORTEST} or 1us. Found: \
                     {nanoseconds} nanoseconds"
                );
                return Err(malformed(spec, message, "this is too often"));
            }
            ("us", nanoseconds / 1_000)
        }
        [unit, rate] => {
            let text = unit.node.text.as_str();
            let Some((unit, _)) = UNITS.iter().find(|(name, _)| *name == text) else {
                let message = format!("{text} is not an accepted unit of time");
                return Err(malformed(spec, message, "").help("units are `s`, `ms`, `us` and `hz`"));
            };
            match number(&rate.node.text) {
                Some(rate) if rate > 0 => (*unit, rate),
                None if !rate.node.text.starts_with('-') => {
                    let text = &rate.node.text;
                    let message = format!("Invalid rate of {name} probe: invalid integer: {text}");
                    return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
                }
                _ => {
                    let message = format!("{name} frequency should be a positive integer");
                    return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
                }
            }
        }
        _ => return Err(wrong_parts(spec, name, "1 or 2", &form)),
    };
    Ok(vec![Place {
        parts: vec![unit.to_owned(), rate.to_string()],
        text: format!("{name}:{unit}:{rate}"),
    }])
}

fn sample(place: &Place) -> Sample {
    let unit = place.parts.first().map_or("", String::as_str);
    let rate: u64 = place.parts.get(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    match UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, scale)) if *scale > 0 => Sample::Period(rate.saturating_mul(*scale)),
        _ => Sample::Frequency(rate),
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

fn routes(
    name: &str,
    places: &[Place],
    needs: Needs,
    target: &dyn Target,
    cpus: Cpus,
    pid_filter: PidFilter,
) -> Vec<Route> {
    let attachments = places.iter().enumerate().map(|(index, place)| {
        let target = AttachTarget::PerfEvent {
            kind: SOFTWARE,
            config: CPU_CLOCK,
            sample: sample(place),
            cpus,
        };
        (target, index, 1)
    });
    vec![Route {
        kind: ProgramKind::PerfEvent,
        section: String::from("perf_event"),
        name: name.to_owned(),
        places: (0..places.len()).collect(),
        attachments: attachments.collect(),
        pid_filter,
        arguments: ArgumentAccess::None,
        site: site_source(places.len(), needs.site, target, Feature::PerfLinkCookie),
    }]
}

/// The forms that `-l` shows: one for each unit.
fn list(name: &str, spec: &ProbeSpec<'_>) -> Vec<String> {
    let pattern = spec.part(0);
    UNITS
        .iter()
        .filter(|(unit, _)| pattern.is_empty() || matches(pattern, unit))
        .map(|(unit, _)| format!("{name}:{unit}:"))
        .collect()
}

impl Provider for Interval {
    fn has_space(&self) -> bool {
        false
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["i"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand(self, spec)
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Interval, place))
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        let cpus = Cpus::First;
        routes("interval", places, needs, target, cpus, PidFilter::None)
    }

    fn list(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        Ok(list("interval", spec))
    }

    fn is_listed(&self) -> bool {
        false
    }
}

impl Provider for Profile {
    fn has_space(&self) -> bool {
        false
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["p"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand(self, spec)
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Profile, place))
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        let cpus = Cpus::Every;
        routes("profile", places, needs, target, cpus, PidFilter::Attach)
    }

    fn list(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        Ok(list("profile", spec))
    }

    fn is_listed(&self) -> bool {
        false
    }
}
