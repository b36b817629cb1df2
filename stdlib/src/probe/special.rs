//! `begin` and `end`: clauses that run once, before anything is attached and after everything
//! was detached; `self`: those that run when the tracer gets a signal. The kernel's test-run call runs them; they are attached to nothing.

use super::{malformed, wrong_parts};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, ProgramKind, When};
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::Target;
use rbt_compiler::types::Space;
use rbt_compiler::vocabulary::{
    ArgumentAccess, Needs, PidFilter, Place, ProbeContext, ProbeSpec, Provider, Route, SiteSource,
};
use rbt_grammar::Diagnostic;

word! {
    /// `begin`
    Begin = "begin" {
        usage: ["begin"],
        summary: "Runs once, before anything is attached.",
        details: "There may be several; they run in the order of the script. A script with \
                  nothing but begin and end ends by itself.",
        examples: ["BEGIN { printf(\"hello\\n\"); }"],
        kernel: "5.10 (test runs of raw tracepoints)",
    }
}

word! {
    /// `end`
    End = "end" {
        usage: ["end"],
        summary: "Runs once, after everything was detached.",
        details: "There may be several; they run in the order of the script.",
        examples: ["END { printf(\"done\\n\"); }"],
        kernel: "5.10 (test runs of raw tracepoints)",
    }
}

word! {
    /// `self`
    Own = "self" {
        usage: ["self:signal:SIGUSR1"],
        summary: "Runs each time the tracer itself gets a signal.",
        details: "SIGUSR1 is the one signal it may be.",
        examples: ["self:signal:SIGUSR1 { print(@); clear(@); } i:s:1 { @ = count(); }"],
        kernel: "5.10 (test runs of raw tracepoints)",
    }
}

/// What `self` listens to.
const SIGNAL: &str = "SIGUSR1";

impl Provider for Own {
    fn has_space(&self) -> bool {
        false
    }

    fn when(&self) -> When {
        When::Signal
    }

    fn expand(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        let form = "self:signal:SIGUSR1";
        if spec.parts.len() != 2 {
            return Err(wrong_parts(spec, "self", "2", form));
        }
        let help = format!("write it as `{form}`");
        let (trigger, signal) = (spec.part(0), spec.part(1));
        if trigger != "signal" {
            let message = format!("{trigger} is not a supported trigger");
            return Err(malformed(spec, message, "").help(help));
        }
        if signal != SIGNAL {
            let message = format!("{signal} is not a supported signal");
            return Err(malformed(spec, message, "").help(help));
        }
        Ok(vec![Place {
            parts: vec![trigger.to_owned(), signal.to_owned()],
            text: form.to_owned(),
        }])
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Own, place))
    }

    fn routes(&self, places: &[Place], _: Needs, _: &dyn Target) -> Vec<Route> {
        routes("self", places)
    }

    fn list(&self, _: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        Ok(vec![String::from("self:signal:SIGUSR1")])
    }

    fn is_listed(&self) -> bool {
        false
    }
}

fn expand(name: &str, spec: &ProbeSpec<'_>) -> Result<Vec<Place>, Diagnostic> {
    match spec.parts {
        [] => {}
        [part] if part.node.text == "*" || part.node.text.is_empty() => {}
        [_] => return Err(wrong_parts(spec, name, "0", name)),
        _ => {
            let found = spec.parts.len();
            let message = format!("{name} probe type requires 0 arguments, found {found}");
            return Err(malformed(spec, message, "").help(format!("write it as `{name}`")));
        }
    }
    Ok(vec![Place {
        parts: Vec::new(),
        text: name.to_owned(),
    }])
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

fn routes(name: &str, places: &[Place]) -> Vec<Route> {
    vec![Route {
        kind: ProgramKind::RawTracepoint,
        section: format!("raw_tp/{name}"),
        name: name.to_owned(),
        places: (0..places.len()).collect(),
        attachments: (0..places.len())
            .map(|place| (AttachTarget::TestRun, place, 1))
            .collect(),
        pid_filter: PidFilter::None,
        arguments: ArgumentAccess::None,
        // All of its places are written alike.
        site: SiteSource::Single,
    }]
}

impl Provider for Begin {
    fn has_space(&self) -> bool {
        false
    }

    fn when(&self) -> When {
        When::Begin
    }

    fn expand(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand("begin", spec)
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Begin, place))
    }

    fn routes(&self, places: &[Place], _: Needs, _: &dyn Target) -> Vec<Route> {
        routes("begin", places)
    }

    fn list(&self, _: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        Ok(vec![String::from("begin")])
    }

    fn is_listed(&self) -> bool {
        false
    }
}

impl Provider for End {
    fn has_space(&self) -> bool {
        false
    }

    fn when(&self) -> When {
        When::End
    }

    fn expand(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand("end", spec)
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&End, place))
    }

    fn routes(&self, places: &[Place], _: Needs, _: &dyn Target) -> Vec<Route> {
        routes("end", places)
    }

    fn list(&self, _: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        Ok(vec![String::from("end")])
    }

    fn is_listed(&self) -> bool {
        false
    }
}
