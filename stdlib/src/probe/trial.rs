//! `bench` and `test`: clauses that run when they are asked for, alone, and are reported on.

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
    /// `bench`
    Bench = "bench" {
        usage: ["bench:name"],
        summary: "Runs many times with --bench, which reports how long one run takes.",
        details: "Without --bench it does nothing. The kernel runs it in a loop, as a program for \
                  network packets: what only tracing programs may do is refused.",
        examples: ["bench:count { @[1] = count(); }"],
        kernel: "",
    }
}

word! {
    /// `test`
    Test = "test" {
        usage: ["test:name"],
        summary: "Runs once with --test, which reports whether it passed.",
        details: "It fails if it returns something other than 0 or ends with a status other than \
                  0. What a test prints is shown if it fails.",
        examples: ["test:sum { if (1 + 1 != 2) { return 1; } }"],
        kernel: "",
    }
}

fn expand(name: &str, spec: &ProbeSpec<'_>) -> Result<Vec<Place>, Diagnostic> {
    let [part] = spec.parts else {
        let found = spec.parts.len();
        let message = format!("{name} probe type requires 1 arguments, found {found}");
        return Err(malformed(spec, message, "").help(format!("write it as `{name}:NAME`")));
    };
    let text = &part.node.text;
    if text.is_empty() {
        return Err(wrong_parts(spec, name, "1", &format!("{name}:NAME")));
    }
    Ok(vec![Place {
        parts: vec![text.clone()],
        text: format!("{name}:{text}"),
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

/// A program for each, since each is reported on.
fn routes(kind: ProgramKind, places: &[Place]) -> Vec<Route> {
    let route = |(index, place): (usize, &Place)| Route {
        kind,
        section: String::new(),
        name: place.parts.first().cloned().unwrap_or_default(),
        places: vec![index],
        attachments: vec![(AttachTarget::TestRun, 0, 0)],
        pid_filter: PidFilter::None,
        arguments: ArgumentAccess::None,
        site: SiteSource::Single,
    };
    places.iter().enumerate().map(route).collect()
}

impl Provider for Bench {
    fn has_space(&self) -> bool {
        false
    }

    fn when(&self) -> When {
        When::Bench
    }

    fn unique_as(&self) -> Option<&'static str> {
        Some("BENCH")
    }

    fn expand(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand("bench", spec)
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Bench, place))
    }

    fn routes(&self, places: &[Place], _: Needs, _: &dyn Target) -> Vec<Route> {
        routes(ProgramKind::Xdp, places)
    }

    fn list(&self, _: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        Ok(vec![String::from("bench::")])
    }

    fn is_listed(&self) -> bool {
        false
    }
}

impl Provider for Test {
    fn has_space(&self) -> bool {
        false
    }

    fn when(&self) -> When {
        When::Test
    }

    fn unique_as(&self) -> Option<&'static str> {
        Some("TEST")
    }

    fn expand(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand("test", spec)
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Test, place))
    }

    fn routes(&self, places: &[Place], _: Needs, _: &dyn Target) -> Vec<Route> {
        routes(ProgramKind::RawTracepoint, places)
    }

    fn list(&self, _: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        Ok(vec![String::from("test::")])
    }

    fn is_listed(&self) -> bool {
        false
    }
}
