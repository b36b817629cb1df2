//! `rbt -l`: probes by pattern, types by pattern, or the probes of a script.

use crate::args::Args;
use crate::{WRONG, complain, print, run, show_all};
use rbt_compiler::btf::{BtfType, KERNEL, TypeId};
use rbt_compiler::target::{Target, TracedProcess};
use rbt_compiler::vocabulary::{ProbeSpec, Provider};
use rbt_grammar::ast::{AttachPart, AttachPoint, Item};
use rbt_grammar::{Diagnostic, Severity, SourceMap, Span, Spanned, codes};
use rbt_runtime::{Host, Process};
use rbt_stdlib::VOCABULARY;
use std::path::Path;

/// Lists what the command line asks for.
pub(crate) fn list(args: &Args) -> u8 {
    let prepared = host(args).and_then(|host| Ok((list_with(args, &host)?, host)));
    match prepared {
        Ok((status, _)) => status,
        Err(why) => {
            complain(&format!("ERROR: {why}\n"));
            WRONG
        }
    }
}

fn host(args: &Args) -> Result<Host, String> {
    let pid = match &args.pid {
        None => None,
        Some(text) => {
            let process = Process::open(run::pid(text)?).map_err(|error| error.to_string())?;
            Some(process.pid())
        }
    };
    let traced = TracedProcess { pid, child: None };
    run::host(args, traced)
}

fn list_with(args: &Args, host: &Host) -> Result<u8, String> {
    let is_file = |word: &String| !word.contains([':', '*']) && Path::new(word).is_file();
    let is_script = args.program.as_ref().is_some_and(|text| !text.is_empty())
        || args.words.first().is_some_and(is_file)
        || args.words.first().is_some_and(|word| word == "-");
    if is_script {
        return list_script(args, host);
    }
    let patterns: Vec<&str> = match args.words.as_slice() {
        [] => vec![""],
        words => words
            .iter()
            .flat_map(|word| word.split(','))
            .map(str::trim)
            .collect(),
    };
    let mut listing = Listing::new(args, host);
    for pattern in patterns {
        if pattern.contains('.') && !pattern.contains([':', '*', '/']) && !args.hides_warnings {
            complain(&format!(
                "WARNING: It appears that '{pattern}' is a filename but the file does not exist. \
                 Treating '{pattern}' as a search pattern.\n"
            ));
        }
        let kinds = ["struct ", "union ", "enum "];
        let found = if kinds.iter().any(|kind| pattern.starts_with(kind)) {
            listing.types(pattern)
        } else {
            listing.probes(pattern)
        };
        if let Err(diagnostic) = found {
            show_all(&[*diagnostic], &SourceMap::new(), true);
            return Ok(WRONG);
        }
    }
    Ok(listing.show())
}

type Listed = Result<(), Box<Diagnostic>>;

/// A list that is being written.
struct Listing<'a> {
    host: &'a Host,
    text: String,
    describes: bool,
    allows_unsafe: bool,
    warns: bool,
    status: u8,
}

impl<'a> Listing<'a> {
    fn new(args: &Args, host: &'a Host) -> Listing<'a> {
        Listing {
            host,
            text: String::new(),
            describes: args.is_verbose,
            allows_unsafe: args.allows_unsafe,
            warns: !args.hides_warnings,
            status: 0,
        }
    }

    /// The probes a pattern means, by the names of their providers.
    fn probes(&mut self, pattern: &str) -> Listed {
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
        if let Some(name) = provider
            && !name.contains('*')
        {
            // As elsewhere: what there is none of is not listed.
            return match VOCABULARY.provider(name) {
                Some(provider) => self.of(provider, &parts, |_| true),
                None => Ok(()),
            };
        }
        let mut providers = VOCABULARY.providers.to_vec();
        providers.sort_unstable_by_key(|provider| provider.name());
        for provider in providers {
            let is_wanted = match pattern.split_once(':') {
                Some(("*", _)) => provider.is_listed(),
                Some((wanted, _)) => rbt_stdlib::is_match(wanted, provider.name()),
                None => provider.is_listed(),
            };
            if is_wanted {
                // What the machine does not list keeps nobody from seeing the rest.
                if let Err(diagnostic) = self.of(provider, &parts, |name| is_named(pattern, name))
                    && self.warns
                {
                    let warning = Diagnostic {
                        severity: Severity::Warning,
                        ..*diagnostic
                    };
                    show_all(&[warning], &SourceMap::new(), true);
                }
            }
        }
        Ok(())
    }

    /// The probes of one provider that a pattern means.
    fn of(
        &mut self,
        provider: &'static dyn Provider,
        parts: &[Spanned<AttachPart>],
        is_wanted: impl Fn(&str) -> bool,
    ) -> Listed {
        let spec = ProbeSpec {
            parts,
            span: Span::default(),
            allows_unsafe: false,
        };
        let mut names = provider.list(&spec, self.host).map_err(without_place)?;
        // By the bytes of the whole line: `fib6:` comes before `fib:`.
        names.sort_unstable();
        for name in names.iter().filter(|name| is_wanted(name)) {
            self.add(provider, name);
        }
        Ok(())
    }

    fn add(&mut self, provider: &dyn Provider, name: &str) {
        self.text.push_str(name);
        self.text.push('\n');
        if self.describes {
            for line in provider.describe(name, self.host) {
                self.text.push_str("    ");
                self.text.push_str(&line);
                self.text.push('\n');
            }
        }
        if self.text.len() > FULL {
            self.write_out();
        }
    }

    /// Types of the kernel: their names, or what is in them.
    fn types(&mut self, pattern: &str) -> Listed {
        let btf = self.host.btf().map_err(|error| {
            let message = error.to_string();
            Box::new(Diagnostic::new(Severity::Error, codes::MACHINE, message).help(error.help))
        })?;
        let mut found: Vec<(String, TypeId)> = Vec::new();
        for id in btf.ids().chain(btf.module_ids()) {
            let name = match btf.get(id) {
                Some(BtfType::Struct { name, is_union, .. }) if !name.is_empty() => {
                    format!("{} {name}", if is_union { "union" } else { "struct" })
                }
                Some(BtfType::Enum { name, .. }) if !name.is_empty() => format!("enum {name}"),
                _ => continue,
            };
            if rbt_stdlib::is_match(pattern, &name) {
                found.push((name, id));
            }
        }
        found.sort();
        found.dedup_by(|later, first| later.0 == first.0);
        for (name, id) in found {
            match btf.definition(id) {
                Some(definition) if self.describes => {
                    let module = btf.module_of(id).unwrap_or(KERNEL);
                    self.text.push_str(&format!("{module}: {definition};\n\n"));
                }
                _ => {
                    self.text.push_str(&name);
                    self.text.push('\n');
                }
            }
        }
        Ok(())
    }

    fn write_out(&mut self) {
        self.status = self.status.max(print(&self.text));
        self.text.clear();
    }

    fn show(mut self) -> u8 {
        self.write_out();
        self.status
    }
}

/// Bytes of a list that are kept before they are written.
const FULL: usize = 1 << 16;

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

fn without_place(diagnostic: Diagnostic) -> Box<Diagnostic> {
    Box::new(Diagnostic {
        labels: Vec::new(),
        ..diagnostic
    })
}

/// What a script would attach to, what only runs once left out. The actions are not looked
/// into: they may be for another machine.
fn list_script(args: &Args, host: &Host) -> Result<u8, String> {
    let (sources, script, positional) = run::script(args)?;
    let Some(source) = sources.get(script) else {
        return Ok(WRONG);
    };
    let parsed = VOCABULARY.parse(source, &positional);
    let is_broken = parsed.diagnostics.iter().any(Diagnostic::is_fatal);
    show_all(&parsed.diagnostics, &sources, !args.hides_warnings);
    if is_broken {
        return Ok(WRONG);
    }
    let mut listing = Listing::new(args, host);
    let mut mistakes = Vec::new();
    for item in &parsed.program.items {
        let Item::Clause(clause) = item else { continue };
        for point in &clause.attach_points {
            mistakes.extend(listing.point(point));
        }
    }
    show_all(&mistakes, &sources, true);
    if !mistakes.is_empty() {
        return Ok(WRONG);
    }
    Ok(listing.show())
}

impl Listing<'_> {
    /// The probes of an attach point; the complaint if there are none.
    fn point(&mut self, point: &AttachPoint) -> Option<Diagnostic> {
        let (name, parts) = point.parts.split_first()?;
        let Some(provider) = VOCABULARY.provider(&name.node.text) else {
            let message = format!("Invalid probe type: {}", name.node.text);
            let code = codes::UNKNOWN_PROVIDER;
            return Some(Diagnostic::error(code, message, name.span, ""));
        };
        let runs_once = provider.when() != rbt_compiler::artifact::When::Attached;
        let spec = ProbeSpec {
            parts,
            span: point.span,
            allows_unsafe: self.allows_unsafe,
        };
        let places = match provider.expand(&spec, self.host) {
            Ok(places) => places,
            Err(diagnostic) => return Some(diagnostic),
        };
        if places.is_empty() {
            let text: Vec<&str> = parts.iter().map(|p| p.node.text.as_str()).collect();
            let message = format!("No matches for {} {}.", provider.name(), text.join(":"));
            let code = codes::NO_SUCH_PROBE;
            return Some(Diagnostic::error(code, message, point.span, ""));
        }
        if runs_once {
            return None;
        }
        let mut names = match provider.list(&spec, self.host) {
            Ok(names) => names,
            Err(diagnostic) => return Some(diagnostic),
        };
        names.sort_unstable();
        if names.is_empty() {
            // A place that no list has: an offset, an address.
            for place in &places {
                self.add(provider, &place.text);
            }
        }
        for name in &names {
            self.add(provider, name);
        }
        None
    }
}
