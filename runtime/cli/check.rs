//! `rbt check`: what is wrong with scripts, for people or for other programs. Runs nothing.
//!
//! Takes files; gives findings on stderr, or on stdout as JSON, one object to a line.

use crate::args::Args;
use crate::{WRONG, complain, print, run, show_all};
use rbt_compiler::target::TracedProcess;
use rbt_grammar::{Diagnostic, Severity, SourceMap, codes};
use rbt_runtime::Host;
use serde_json::{Value, json};

/// Checks what the command line names.
pub(crate) fn run(args: &Args) -> u8 {
    let is_json = match args.format.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            complain(&format!(
                "ERROR: Invalid output format \"{other}\"\nValid formats: 'text', 'json'\n"
            ));
            return WRONG;
        }
    };
    let host = match host(args) {
        Ok(host) => host,
        Err(why) => {
            complain(&format!("ERROR: {why}\n"));
            return WRONG;
        }
    };
    let mut status = 0;
    for script in run::each(args) {
        let script = match script {
            Ok(script) => script,
            Err(why) => {
                complain(&format!("ERROR: {why}\n"));
                status = WRONG;
                continue;
            }
        };
        let (diagnostics, sources) = match findings(&script, &host) {
            Ok(found) => found,
            Err(why) => {
                complain(&format!("ERROR: {why}\n"));
                return WRONG;
            }
        };
        if diagnostics.iter().any(Diagnostic::is_fatal) {
            status = WRONG;
        }
        if is_json {
            for diagnostic in &diagnostics {
                print(&format!("{}\n", as_json(diagnostic, &sources)));
            }
        } else {
            show_all(&diagnostics, &sources, !args.hides_warnings);
        }
    }
    status
}

/// This machine, as far as the one who asks may look at it.
///
/// Errors: the command line is wrong.
pub(crate) fn host(args: &Args) -> Result<Host, String> {
    let host = run::host(args, TracedProcess::default())?;
    Ok(match host.check_privileges() {
        Ok(()) => host,
        // What cannot be probed is taken to be there: the script is judged, not the machine.
        Err(_) => host.with_all_features(),
    })
}

/// What there is to say about a script that one word of the command line names.
fn findings(args: &Args, host: &Host) -> Result<(Vec<Diagnostic>, SourceMap), String> {
    let (mut sources, script, positional) = run::script(args)?;
    let mut options = run::options(args, positional)?;
    let file = run::script_file(args);
    options.imports = crate::imports::load(&mut sources, script, file.as_deref());
    let vocabulary = &rbt_stdlib::VOCABULARY;
    let compiled = rbt_compiler::compile(&sources, script, vocabulary, host, &options);
    Ok((judged(compiled.diagnostics, host), sources))
}

/// Findings, with what may not be looked up as notes: that is no mistake of the script.
pub(crate) fn judged(found: Vec<Diagnostic>, host: &Host) -> Vec<Diagnostic> {
    if host.check_privileges().is_ok() {
        return found;
    }
    let judged = found.into_iter().map(|diagnostic| {
        if diagnostic.code != codes::MACHINE {
            return diagnostic;
        }
        Diagnostic {
            severity: Severity::Note,
            message: format!("not checked: {}", diagnostic.message),
            ..diagnostic
        }
    });
    judged.collect()
}

/// A finding as an object.
fn as_json(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    let spans = diagnostic.labels.iter().filter_map(|label| {
        let source = sources.get(label.span.source)?;
        let (first, last) = (
            source.position(label.span.start),
            source.position(label.span.end),
        );
        Some(json!({
            "file": source.name,
            "line": first.line,
            "column": first.column,
            "end_line": last.line,
            "end_column": last.column,
            "start": label.span.start,
            "end": label.span.end,
            "label": label.text,
        }))
    });
    json!({
        "severity": severity(diagnostic.severity),
        "code": diagnostic.code.to_string(),
        "message": diagnostic.message,
        "spans": spans.collect::<Vec<_>>(),
        "notes": diagnostic.notes,
        "help": diagnostic.help,
    })
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Bug => "bug",
    }
}
