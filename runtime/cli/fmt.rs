//! `rbt fmt` and `--fmt`: scripts in their usual form.
//!
//! Takes scripts; writes their text to stdout or into files. What cannot be parsed is left as it
//! is and said.

use crate::args::Args;
use crate::{WRONG, complain, print, run, show_all};
use rbt_grammar::{Diagnostic, Diagnostics, ParseOptions, Source};
use std::fs;

/// Lays out what the command line of the subcommand names.
pub(crate) fn run(args: &Args) -> u8 {
    let mut status = 0;
    for one in run::each(args) {
        let done = one.and_then(|one| write(args, &one));
        match done {
            Ok(0) => {}
            Ok(wrong) => status = wrong,
            Err(why) => {
                complain(&format!("ERROR: {why}\n"));
                status = WRONG;
            }
        }
    }
    status
}

/// Lays out one script: to stdout, a file, or only compared.
fn write(args: &Args, one: &Args) -> Result<u8, String> {
    let (sources, script, _) = run::script(one)?;
    let Some(source) = sources.get(script) else {
        return Ok(WRONG);
    };
    let (text, diagnostics) = lay_out(source);
    show_all(&diagnostics, &sources, !args.hides_warnings);
    let Some(text) = text else {
        return Ok(WRONG);
    };
    let is_changed = text != source.text;
    if args.only_compares {
        if is_changed {
            print(&format!("{}\n", source.name));
        }
        return Ok(if is_changed { WRONG } else { 0 });
    }
    let into = match (args.in_place, run::script_file(one)) {
        (false, _) => None,
        (true, Some(file)) => Some(file.to_string_lossy().into_owned()),
        (true, None) => return Err(String::from("`-i` needs a file to write into")),
    };
    match into.as_ref().or(args.output.as_ref()) {
        None => Ok(print(&text)),
        Some(_) if args.in_place && !is_changed => Ok(0),
        Some(file) => fs::write(file, text).map(|()| 0).map_err(|error| {
            let why = run::reason(&error);
            format!("Failed to open output file: \"{file}\": {why}")
        }),
    }
}

/// `--fmt`: the one script of the command line, to stdout or the file of `-o`.
pub(crate) fn one(args: &Args) -> Result<u8, String> {
    write(args, args)
}

/// The usual form of a text, and what is wrong with it; none if that is fatal.
pub(crate) fn lay_out(source: &Source) -> (Option<String>, Diagnostics) {
    let (providers, aliases) = rbt_stdlib::VOCABULARY.provider_names();
    let options = ParseOptions {
        providers: &providers,
        aliases: &aliases,
        positional: &[],
    };
    let parsed = rbt_grammar::parse(source, &options);
    if parsed.diagnostics.iter().any(Diagnostic::is_fatal) {
        return (None, parsed.diagnostics);
    }
    let comments = rbt_grammar::comments(source, &options);
    let text = rbt_grammar::pretty::script(&parsed.program, source, &comments);
    (Some(text), parsed.diagnostics)
}
