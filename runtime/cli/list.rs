//! `rbt -l`: probes by pattern, or those of a script.

use crate::args::Args;
use crate::{WRONG, complain, print, run, show_all};
use rbt_compiler::target::{Target, TracedProcess};
use rbt_compiler::vocabulary::{ProbeSpec, Provider};
use rbt_grammar::ast::AttachPart;
use rbt_grammar::{SourceMap, Span, Spanned};
use rbt_runtime::Host;
use rbt_stdlib::VOCABULARY;

/// Lists what the command line asks for.
pub(crate) fn list(args: &Args) -> u8 {
    let host = match run::host(args, TracedProcess::default()) {
        Ok(host) => host,
        Err(why) => {
            complain(&format!("ERROR: {why}\n"));
            return WRONG;
        }
    };
    let is_script = args.program.is_some()
        || args
            .words
            .first()
            .is_some_and(|word| !word.contains([':', '*']) && std::path::Path::new(word).is_file());
    if is_script {
        return list_script(args, &host);
    }
    let patterns: Vec<&str> = match args.words.first() {
        Some(words) => words.split(',').map(str::trim).collect(),
        None => vec![""],
    };
    let mut text = String::new();
    for pattern in patterns {
        match probes(pattern, &host) {
            Ok(found) => {
                for (provider, name) in found {
                    text.push_str(&name);
                    text.push('\n');
                    if args.is_verbose {
                        for line in provider.describe(&name, &host) {
                            text.push_str("    ");
                            text.push_str(&line);
                            text.push('\n');
                        }
                    }
                }
            }
            Err(diagnostic) => {
                show_all(&[*diagnostic], &SourceMap::new(), true);
                return WRONG;
            }
        }
    }
    print(&text)
}

type Found = (&'static dyn Provider, String);

/// The probes a pattern means, by provider.
fn probes(pattern: &str, target: &dyn Target) -> Result<Vec<Found>, Box<rbt_grammar::Diagnostic>> {
    let mut found = Vec::new();
    let (provider, rest) = match pattern.split_once(':') {
        Some((provider, rest)) => (Some(provider), rest),
        None => (None, pattern),
    };
    let parts: Vec<Spanned<AttachPart>> = rest
        .split(':')
        .filter(|_| provider.is_some())
        .map(|text| {
            let part = AttachPart {
                text: text.to_owned(),
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
    if let Some(name) = provider
        && !name.contains('*')
    {
        let Some(provider) = VOCABULARY.provider(name) else {
            complain(&format!("ERROR: Invalid probe type: {name}\n"));
            return Ok(found);
        };
        let names = provider.list(&spec, target).map_err(without_place)?;
        found.extend(names.into_iter().map(|name| (provider, name)));
        return Ok(found);
    }
    for provider in VOCABULARY.providers.iter().copied() {
        let wanted = match provider_pattern(pattern) {
            Some(wanted) => rbt_stdlib::is_match(wanted, provider.name()),
            None => provider.is_listed(),
        };
        if !wanted {
            continue;
        }
        let names = provider.list(&spec, target).map_err(without_place)?;
        found.extend(
            names
                .into_iter()
                .filter(|name| is_named(pattern, name))
                .map(|name| (provider, name)),
        );
    }
    Ok(found)
}

/// The provider's part of a pattern with a colon.
fn provider_pattern(pattern: &str) -> Option<&str> {
    pattern.split_once(':').map(|(provider, _)| provider)
}

/// Whether a pattern without a provider of its own names a probe: its words after the
/// provider, or all of it.
fn is_named(pattern: &str, name: &str) -> bool {
    if pattern.is_empty() || pattern.contains(':') {
        return true;
    }
    let rest = name.split_once(':').map_or(name, |(_, rest)| rest);
    rbt_stdlib::is_match(pattern, rest)
        || rest
            .split(':')
            .any(|part| rbt_stdlib::is_match(pattern, part))
}

fn without_place(diagnostic: rbt_grammar::Diagnostic) -> Box<rbt_grammar::Diagnostic> {
    Box::new(rbt_grammar::Diagnostic {
        labels: Vec::new(),
        ..diagnostic
    })
}

/// What a script would attach to, `begin` and `end` left out.
fn list_script(args: &Args, host: &Host) -> u8 {
    let prepared = run::script(args).and_then(|(sources, script, parameters)| {
        Ok((sources, script, run::options(args, parameters)?))
    });
    let (sources, script, options) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            complain(&format!("ERROR: {why}\n"));
            return WRONG;
        }
    };
    let compiled = rbt_compiler::compile(&sources, script, &VOCABULARY, host, &options);
    show_all(&compiled.diagnostics, &sources, !args.hides_warnings);
    let Some(artifact) = compiled.artifact else {
        return WRONG;
    };
    let mut text = String::new();
    for site in &artifact.manifest.sites {
        if site.text.contains(':') {
            text.push_str(&site.text);
            text.push('\n');
        }
    }
    print(&text)
}
