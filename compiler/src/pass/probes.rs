//! Attach points to places: wildcards expanded, contexts known.

use crate::PlaceFilter;
use crate::artifact::{MissingProbes, When};
use crate::config::Config;
use crate::nearest;
use crate::structs::TypeTable;
use crate::target::Target;
use crate::types::Space;
use crate::vocabulary::{Needs, Place, ProbeContext, ProbeSpec, Provider, Vocabulary};
use rbt_grammar::ast;
use rbt_grammar::{Diagnostic, Diagnostics, Severity, SourceMap, Span, codes};
use std::collections::HashMap;

/// A clause for some of its places: those with the same provider and the same arguments.
pub struct Probed<'a> {
    /// The clause.
    pub clause: &'a ast::Clause,
    /// The provider of all places.
    pub provider: &'static dyn Provider,
    /// Where it attaches.
    pub places: Vec<Place>,
    /// What holds at each of them.
    pub context: ProbeContext,
    /// Whether the attach points are wrong, so that the context is only a guess that lets the
    /// rest of the clause be checked.
    pub is_guess: bool,
}

/// Resolves the attach points of all clauses.
pub fn run<'a>(
    program: &'a ast::Program,
    vocabulary: &Vocabulary,
    types: &TypeTable<'_>,
    target: &dyn Target,
    config: &Config,
    sources: &SourceMap,
    allows_unsafe: bool,
) -> (Vec<Probed<'a>>, Diagnostics) {
    let mut probed = Vec::new();
    let mut diagnostics = Vec::new();
    let has_macros = program
        .items
        .iter()
        .any(|item| matches!(item, ast::Item::Macro(_)));
    for item in &program.items {
        let ast::Item::Clause(clause) = item else {
            continue;
        };
        // A clause whose text has no `args` needs none. What is not read costs nothing: a
        // wildcard stands for hundreds of formats.
        let text = sources.slice(clause.span);
        let needs = Needs {
            arguments: has_macros || text.contains("args"),
            result: has_macros || text.contains("retval"),
            ..Needs::default()
        };
        let before = diagnostics.len();
        let asked = Asked {
            vocabulary,
            target,
            config,
            allows_unsafe,
        };
        let found = places(clause, &asked, &mut diagnostics);
        if found.is_empty() {
            let new = diagnostics.get(before..).unwrap_or_default();
            if new.iter().any(Diagnostic::is_fatal) {
                probed.extend(guess(clause, vocabulary));
            }
            continue;
        }
        group(
            clause,
            found,
            needs,
            (types, target),
            &mut probed,
            &mut diagnostics,
        );
    }
    unique(&probed, &mut diagnostics);
    let sites: usize = probed.iter().map(|p| p.places.len()).sum();
    if sites as u64 > config.max_probes {
        let span = probed
            .iter()
            .max_by_key(|p| p.places.len())
            .map_or(Span::default(), |p| p.clause.span);
        diagnostics.push(
            Diagnostic::error(
                codes::TOO_MANY_PROBES,
                format!(
                    "Your program is trying to attach to {sites} probes, which exceeds the \
                     current limit of {}",
                    config.max_probes
                ),
                span,
                "most of them here",
            )
            .help(format!(
                "config = {{ max_probes = {sites} }} raises the limit; attaching takes longer"
            )),
        );
    }
    (probed, diagnostics)
}

/// Drops the places that `filter` does not keep, and clauses without any.
pub fn keep(probed: &mut Vec<Probed<'_>>, filter: &PlaceFilter) {
    for one in probed.iter_mut() {
        if one.provider.when() == When::Attached {
            one.places.retain(|place| filter.0(&place.text));
        }
        if let Some(first) = one.places.first() {
            one.context.place = first.clone();
        }
    }
    probed.retain(|one| one.is_guess || !one.places.is_empty());
}

/// Complains about names that two clauses have, where each needs one of its own.
fn unique(probed: &[Probed<'_>], diagnostics: &mut Diagnostics) {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    for clause in probed {
        let Some(kind) = clause.provider.unique_as() else {
            continue;
        };
        for place in &clause.places {
            let Some(first) = seen.get(place.text.as_str()) else {
                seen.insert(&place.text, clause.clause.span);
                continue;
            };
            let name = place.parts.first().map_or("", String::as_str);
            let message = format!("\"{name}\" was used as the name for more than one {kind} probe");
            diagnostics.push(
                Diagnostic::error(codes::BAD_PROBE, message, clause.clause.span, "once more")
                    .label(*first, "this is the other instance")
                    .help("reports go by the name: give each another one"),
            );
        }
    }
}

/// A clause whose attach points are wrong, so that its body is checked all the same.
fn guess<'a>(clause: &'a ast::Clause, vocabulary: &Vocabulary) -> Option<Probed<'a>> {
    let name = clause.attach_points.first()?.parts.first()?;
    let provider = vocabulary
        .provider(&name.node.text)
        .or_else(|| vocabulary.providers.first().copied())?;
    let place = Place {
        parts: Vec::new(),
        text: String::new(),
    };
    Some(Probed {
        clause,
        provider,
        places: Vec::new(),
        context: ProbeContext {
            provider,
            place,
            space: Space::Kernel,
            arguments: None,
            numbered: 0,
            when: provider.when(),
        },
        is_guess: true,
    })
}

type Found = (&'static dyn Provider, Place);

/// What attach points are resolved by.
struct Asked<'a> {
    vocabulary: &'a Vocabulary,
    target: &'a dyn Target,
    config: &'a Config,
    allows_unsafe: bool,
}

fn places(clause: &ast::Clause, asked: &Asked<'_>, diagnostics: &mut Diagnostics) -> Vec<Found> {
    let Asked {
        vocabulary,
        target,
        config,
        allows_unsafe,
    } = *asked;
    let mut found: Vec<Found> = Vec::new();
    let mut has_error = false;
    for point in &clause.attach_points {
        let Some((first, parts)) = point.parts.split_first() else {
            continue;
        };
        let name = &first.node.text;
        if name.contains('*') {
            let spec = ProbeSpec {
                parts,
                span: point.span,
                allows_unsafe,
            };
            found.extend(of_any_provider(name, &spec, vocabulary, target));
            continue;
        }
        let Some(provider) = vocabulary.provider(name) else {
            has_error = true;
            diagnostics.push(unknown_provider(name, first.span, vocabulary));
            continue;
        };
        let spec = ProbeSpec {
            parts,
            span: point.span,
            allows_unsafe,
        };
        match provider.expand(&spec, target) {
            Err(diagnostic) => {
                has_error = true;
                diagnostics.push(diagnostic);
            }
            Ok(places) if places.is_empty() => {
                // What is said of a pattern is said of the clause, if nothing else matches.
                if parts.iter().any(|p| p.node.text.contains('*')) {
                    continue;
                }
                let text: Vec<&str> = parts.iter().map(|p| p.node.text.as_str()).collect();
                let message = format!("No matches for {} {}.", provider.name(), text.join(":"));
                if config.missing_probes != MissingProbes::Ignore
                    && let Some(why) = provider.why_missing(&spec, target)
                {
                    diagnostics.push(
                        Diagnostic::new(Severity::Warning, codes::NO_SUCH_PROBE, why)
                            .label(point.span, ""),
                    );
                }
                let severity = match config.missing_probes {
                    MissingProbes::Error => Severity::Error,
                    MissingProbes::Warn => Severity::Warning,
                    MissingProbes::Ignore => continue,
                };
                has_error |= severity == Severity::Error;
                diagnostics.push(missing(severity, message, provider, &spec, target));
            }
            Ok(places) => {
                if let Some(remark) = provider.remark(&spec, target) {
                    diagnostics.push(
                        Diagnostic::new(Severity::Warning, codes::NO_TARGET_FILE, remark)
                            .label(point.span, ""),
                    );
                }
                found.extend(places.into_iter().map(|place| (provider, place)));
            }
        }
    }
    if has_error {
        // The clause cannot be what was meant; its places would only add complaints.
        found.clear();
    } else if found.is_empty() {
        diagnostics.extend(without_points(clause, asked));
    }
    found
}

/// The places of an attach point whose provider is a pattern: of all providers that it names
/// and that can read the rest. What does not fit is left out without a word.
fn of_any_provider(
    name: &str,
    spec: &ProbeSpec<'_>,
    vocabulary: &Vocabulary,
    target: &dyn Target,
) -> Vec<Found> {
    let pattern = name.to_ascii_lowercase();
    let is_wanted = |provider: &&&'static dyn Provider| {
        provider.when() == When::Attached
            // Any name would do for those.
            && provider.unique_as().is_none()
            && is_match(&pattern, provider.name())
    };
    let mut found = Vec::new();
    for provider in vocabulary.providers.iter().filter(is_wanted) {
        let places = provider.expand(spec, target).unwrap_or_default();
        found.extend(places.into_iter().map(|place| (*provider, place)));
    }
    found
}

/// Whether `text` is what a pattern stands for; `*` is any run of characters.
fn is_match(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

/// What to say of a clause whose attach points all match nothing.
fn without_points(clause: &ast::Clause, asked: &Asked<'_>) -> Option<Diagnostic> {
    let (first, last) = (clause.attach_points.first()?, clause.attach_points.last()?);
    let span = first.span.to(last.span);
    let (severity, rest) = match asked.config.missing_probes {
        MissingProbes::Ignore => return None,
        MissingProbes::Warn => (
            Severity::Warning,
            "It is being removed which may cause issues with program behavior.",
        ),
        MissingProbes::Error => (
            Severity::Error,
            "If this is expected, set the 'missing_probes' config variable to 'warn'.",
        ),
    };
    let message = format!("Probe has no valid attach points. {rest}");
    let diagnostic = Diagnostic::new(severity, codes::NO_SUCH_PROBE, message)
        .label(span, "nothing here matches");
    let near = first.parts.split_first().and_then(|(name, parts)| {
        let span = first.span;
        let provider = asked.vocabulary.provider(&name.node.text)?;
        let spec = ProbeSpec {
            parts,
            span,
            allows_unsafe: asked.allows_unsafe,
        };
        provider.nearest(&spec, asked.target)
    });
    Some(match near {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None if severity == Severity::Error => {
            diagnostic.help("write `config = { missing_probes = warn }` before the first clause")
        }
        None => diagnostic,
    })
}

fn unknown_provider(name: &str, span: Span, vocabulary: &Vocabulary) -> Diagnostic {
    let names = vocabulary.providers.iter().map(|p| p.name());
    let lower = name.to_ascii_lowercase();
    let diagnostic = Diagnostic::error(
        codes::UNKNOWN_PROVIDER,
        format!("Invalid probe type: {name}"),
        span,
        "no such probe type",
    );
    match nearest::nearest(&lower, names.clone()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => {
            let names: Vec<&str> = names.collect();
            diagnostic.help(format!("probe types: {}", names.join(", ")))
        }
    }
}

fn missing(
    severity: Severity,
    message: String,
    provider: &dyn Provider,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Diagnostic {
    let suffix = if severity == Severity::Warning {
        " Skipping."
    } else {
        ""
    };
    let mut diagnostic =
        Diagnostic::new(severity, codes::NO_SUCH_PROBE, format!("{message}{suffix}"))
            .label(spec.span, "nothing here matches");
    if let Some(near) = provider.nearest(spec, target) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    } else if severity == Severity::Error {
        diagnostic = diagnostic.help(
            "If this is expected, set the 'missing_probes' config variable to 'warn': config = { \
             missing_probes = warn }",
        );
    }
    diagnostic
}

/// Splits a clause's places into groups that can be compiled as one.
fn group<'a>(
    clause: &'a ast::Clause,
    found: Vec<Found>,
    needs: Needs,
    (types, target): (&TypeTable<'_>, &dyn Target),
    probed: &mut Vec<Probed<'a>>,
    diagnostics: &mut Diagnostics,
) {
    let first = probed.len();
    for (provider, place) in found {
        let is_like = |p: &Probed<'_>| p.provider.name() == provider.name();
        let is_typed = needs.arguments || (needs.result && provider.types_result());
        if !is_typed
            && let Some(last) = probed.get_mut(first..).and_then(|all| {
                // Places without arguments differ in nothing a clause can see.
                all.iter_mut().find(|p| is_like(p))
            })
        {
            last.places.push(place);
            continue;
        }
        match provider.context(&place, needs, types, target) {
            Err(diagnostic) => {
                diagnostics.push(
                    Diagnostic {
                        labels: Vec::new(),
                        ..diagnostic
                    }
                    .label(clause.span, "for this clause"),
                );
                return;
            }
            Ok(context) => {
                let same = probed.get_mut(first..).and_then(|all| {
                    all.iter_mut().find(|p| {
                        is_like(p)
                            && p.context.arguments == context.arguments
                            && p.context.space == context.space
                    })
                });
                match same {
                    Some(same) => same.places.push(place),
                    None => probed.push(Probed {
                        clause,
                        provider,
                        places: vec![place],
                        context,
                        is_guess: false,
                    }),
                }
            }
        }
    }
}
