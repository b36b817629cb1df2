//! `uprobe` and `uretprobe`: instructions and returns of functions in user space.

use super::kprobe::slots;
use super::number::number;
use super::wildcard::{has_pattern, is_pattern, matches};
use super::{described, malformed, unanswered, user, wrong_parts};
use crate::word::word;
use rbt_compiler::binary::{Binary, Place as Bytes, Signature, SymbolKind};
use rbt_compiler::nearest;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::Target;
use rbt_compiler::types::Space;
use rbt_compiler::vocabulary::{
    ArgumentAccess, Needs, Place, ProbeContext, ProbeSpec, Provider, Route,
};
use rbt_compiler::word::Word;
use rbt_grammar::{Diagnostic, codes};
use std::rc::Rc;

word! {
    /// `uprobe`
    Uprobe = "uprobe" {
        usage: [
            "uprobe:target:function",
            "uprobe:target:function+offset",
            "uprobe:target:0xADDRESS",
            "uprobe:target@file.c:line",
        ],
        summary: "Fires when a function of a program or library is entered.",
        details: "The target is a path, a name in PATH, or a library's name as linkers know it \
                  (`libc`); with `-p` it may be left out and means the process's own program. \
                  `*` stands for any run of characters in either part. `arg0` to `arg5` are the \
                  arguments as plain integers; where the file has debug information, `args.name` has \
                  their types. With an offset or an address it fires at that \
                  instruction, if one begins there; --unsafe allows any.",
        examples: [
            "uprobe:/bin/bash:readline { @[comm] = count(); }",
            "uprobe:/bin/bash:re* { @[func] = count(); }",
        ],
        kernel: "many functions in one link: 6.6",
    }
}

word! {
    /// `uretprobe`
    Uretprobe = "uretprobe" {
        usage: ["uretprobe:target:function"],
        summary: "Fires when a function of a program or library returns.",
        details: "`retval` is what it returns, as an unsigned integer of 8 bytes: a C `int` of -3 \
                  is 4294967293 until it is cast.",
        examples: ["uretprobe:/bin/bash:readline { print(str(retval)); }"],
        kernel: "many functions in one link: 6.6",
    }
}

/// What goes before a function's name that is written as its source has it.
const LANGUAGE: &str = "cpp";

/// A place's parts: the file, the offset in it, the function there.
pub(super) fn parts_of(place: &Place) -> (&str, u64, &str) {
    let part = |index: usize| place.parts.get(index).map_or("", String::as_str);
    (part(0), part(1).parse().unwrap_or(0), part(2))
}

fn place(provider: &str, path: &str, what: &str, offset: u64, function: &str) -> Place {
    Place {
        parts: vec![path.to_owned(), offset.to_string(), function.to_owned()],
        text: format!("{provider}:{path}:{what}"),
    }
}

/// What an attach point says.
struct Written<'a> {
    target: &'a str,
    /// Whether the function is written as its source has it.
    is_source: bool,
    function: &'a str,
}

fn written<'a>(
    word: &dyn Word,
    spec: &'a ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Written<'a>, Diagnostic> {
    let provider = word.name();
    let form = format!("{provider}:/bin/bash:readline");
    let has_process = target.traced_process().pid.is_some();
    let (at, language, function) = match spec.parts.len() {
        1 if has_process => ("", "", spec.part(0)),
        2 => (spec.part(0), "", spec.part(1)),
        3 => (spec.part(0), spec.part(1), spec.part(2)),
        _ => return Err(wrong_parts(spec, provider, "2 or 3", &form)),
    };
    if at.is_empty() && !has_process {
        let message = format!("{provider} should have a target");
        return Err(malformed(spec, message, "")
            .help(format!("write it as `{form}`, or choose a process with -p")));
    }
    if function.is_empty() {
        let message = format!("{provider} should be attached to a function and/or address");
        return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
    }
    if !matches!(language, "" | LANGUAGE) {
        let message = format!("{language} is not a language whose names can be matched");
        return Err(malformed(spec, message, "").help(format!(
            "write it as `{provider}:/bin/program:cpp:\"space::function\"`"
        )));
    }
    Ok(Written {
        target: at,
        is_source: !language.is_empty(),
        function,
    })
}

/// Whether the function is a pattern.
fn is_wild(spec: &ProbeSpec<'_>, written: &Written<'_>) -> bool {
    let last = spec.parts.len().saturating_sub(1);
    written.is_source || is_pattern(spec, last)
}

/// The functions of a binary that a pattern describes, sorted by name.
fn matching(binary: &dyn Binary, written: &Written<'_>) -> Vec<(String, Bytes)> {
    let mut found: Vec<(String, Bytes)> = Vec::new();
    binary.each_symbol(&mut |symbol| {
        // Pieces that the compiler cut off a function are none.
        let is_it = symbol.kind == SymbolKind::Function
            && !symbol.name.contains(".part.")
            && if written.is_source {
                is_named(written.function, symbol.name)
            } else {
                matches(written.function, symbol.name)
            };
        if is_it {
            found.push((symbol.name.to_owned(), symbol.place));
        }
        true
    });
    found.sort_unstable_by(|a, b| (&a.0, a.1.address).cmp(&(&b.0, b.1.address)));
    // The dynamic table repeats what the full one has.
    found.dedup_by(|a, b| a.0 == b.0);
    found
}

/// Whether a symbol is what a pattern describes in the source's own terms. A pattern without
/// parameters means every function of that name.
fn is_named(pattern: &str, symbol: &str) -> bool {
    let Some(name) = rbt_runtime::symbols::demangled(symbol) else {
        return false;
    };
    let name = match pattern.contains('(') {
        true => name.as_str(),
        false => name.split('(').next().unwrap_or(&name),
    };
    matches(pattern, name)
}

/// The complaint about a place that must not be probed.
fn misplaced(spec: &ProbeSpec<'_>, message: String) -> Diagnostic {
    Diagnostic::error(
        codes::BAD_PLACE,
        message,
        spec.span,
        "a trap here would break the program",
    )
    .help("--unsafe attaches all the same, which may corrupt data of the traced process")
}

/// The file offset of an instruction that may be probed, given where a function is and the
/// distance from its start. `shown` is how messages name it.
fn checked(
    spec: &ProbeSpec<'_>,
    binary: &dyn Binary,
    (name, function): (&str, Bytes),
    offset: u64,
    shown: &str,
) -> Result<Option<u64>, Diagnostic> {
    let address = function.address.saturating_add(offset);
    let found = binary.offset_of(address);
    if spec.allows_unsafe {
        return Ok(found);
    }
    let size = function.size;
    if offset > 0 && offset >= size {
        return Err(misplaced(
            spec,
            format!("Offset outside the function bounds ('{name}' size is {size})"),
        ));
    }
    if size == 0 {
        let message = format!("Could not determine boundary for {name} (symbol has size 0).");
        return Err(misplaced(spec, message));
    }
    let message = match binary.is_instruction(function.address, offset) {
        _ if offset == 0 => return Ok(found),
        Some(true) => return Ok(found),
        Some(false) => format!("Could not add uprobe into middle of instruction: {shown}"),
        None => format!("Could not determine instruction boundary for {shown}."),
    };
    Err(misplaced(spec, message))
}

/// The place of an address.
fn at_address(
    provider: &str,
    spec: &ProbeSpec<'_>,
    path: &str,
    binary: &dyn Binary,
    address: u64,
) -> Result<Option<Place>, Diagnostic> {
    let inside = binary.function_at(address);
    let offset = match &inside {
        Some((name, function)) => {
            let offset = address - function.address;
            let shown = format!("{path}:{name}+{offset}");
            checked(spec, binary, (name, *function), offset, &shown)?
        }
        None if spec.allows_unsafe => binary.offset_of(address),
        None => {
            return Err(misplaced(
                spec,
                format!(
                    "Could not determine instruction boundary for {provider}:{path}:{address} \
                     (binary appears stripped)."
                ),
            ));
        }
    };
    let function = inside.map_or_else(|| format!("{address:#x}"), |(name, _)| name);
    Ok(offset.map(|offset| place(provider, path, &address.to_string(), offset, &function)))
}

/// The places in one binary.
fn places_in(
    provider: &str,
    spec: &ProbeSpec<'_>,
    written: &Written<'_>,
    path: &str,
    binary: &dyn Binary,
) -> Result<Vec<Place>, Diagnostic> {
    if is_wild(spec, written) {
        let language = if written.is_source { "cpp:" } else { "" };
        let found = matching(binary, written).into_iter();
        let places = found.filter_map(|(name, bytes)| {
            let offset = binary.offset_of(bytes.address)?;
            let what = format!("{language}{name}");
            Some(place(provider, path, &what, offset, &name))
        });
        return Ok(places.collect());
    }
    let text = written.function;
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let Some(address) = number(text) else {
            let message = format!("Invalid address: invalid integer: {text}");
            return Err(malformed(spec, message, "")
                .help(format!("write it as `{provider}:{path}:0x401136`")));
        };
        let found = at_address(provider, spec, path, binary, address)?;
        return Ok(found.into_iter().collect());
    }
    let (name, offset) = match text.split_once('+') {
        None => (text, 0),
        Some(_) if provider == Uretprobe.name() => {
            return Err(
                malformed(spec, "Offset not allowed", "a return has no offset")
                    .help("a uprobe may have one: `uprobe:/bin/bash:readline+4`"),
            );
        }
        Some((name, offset)) => match number(offset) {
            Some(offset) => (name, offset),
            None => {
                let message = format!("Invalid offset: invalid integer: {offset}");
                return Err(malformed(spec, message, "")
                    .help(format!("write it as `{provider}:{path}:{name}+4`")));
            }
        },
    };
    let Some(function) = binary.symbol(name, SymbolKind::Function) else {
        return Ok(Vec::new());
    };
    let what = match offset {
        0 => name.to_owned(),
        offset => format!("{name}+{offset}"),
    };
    let shown = format!("{path}:{what}");
    let found = checked(spec, binary, (name, function), offset, &shown)?;
    let found = found.map(|offset| place(provider, path, &what, offset, name));
    Ok(found.into_iter().collect())
}

/// The place of a line of source: `target@file.c:12`, `target@file.c:12:5`.
fn at_line(
    provider: &str,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Vec<Place>, Diagnostic> {
    let form = format!("{provider}:/bin/program@file.c:12");
    let (at, file) = (spec.part(0), spec.part(2));
    let (line, column) = match spec.parts.len() {
        4 => (number(spec.part(3)), None),
        5 => (number(spec.part(3)), Some(number(spec.part(4)))),
        _ => return Err(wrong_parts(spec, provider, "2 or 3", &form)),
    };
    let (Some(line), true) = (line, column.is_none_or(|column| column.is_some())) else {
        let message = "a line and a column of source are numbers";
        return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
    };
    let mut places = Vec::new();
    for (path, binary) in user::binaries(provider, at, spec, target)? {
        if let Some(address) = binary.line(file, line, column.flatten()) {
            places.extend(at_address(provider, spec, &path, binary.as_ref(), address)?);
        }
    }
    Ok(places)
}

fn expand(
    word: &dyn Word,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Vec<Place>, Diagnostic> {
    let provider = word.name();
    // The sign is a part of its own.
    if spec.part(1) == "@" {
        return at_line(provider, spec, target);
    }
    let written = written(word, spec, target)?;
    let mut places = Vec::new();
    for (path, binary) in user::binaries(provider, written.target, spec, target)? {
        places.extend(places_in(provider, spec, &written, &path, binary.as_ref())?);
    }
    Ok(places)
}

/// What the debug information says of the function that a place is the start of.
fn signature(place: &Place, target: &dyn Target) -> Option<Rc<Signature>> {
    let (path, offset, _) = parts_of(place);
    let binary = target.binary(path).ok()?;
    binary.signature(binary.address_of(offset)?)
}

/// The parameters of a function as `-lv` shows them, given a complete probe name.
fn describe(name: &str, target: &dyn Target) -> Vec<String> {
    let mut parts = name.splitn(2, ':').skip(1);
    let Some((path, function)) = parts.next().and_then(|rest| rest.rsplit_once(':')) else {
        return Vec::new();
    };
    let path = path.strip_suffix(":cpp").unwrap_or(path);
    let found = target.binary(path).ok().and_then(|binary| {
        let place = binary.symbol(function, SymbolKind::Function)?;
        binary.signature(place.address)
    });
    let Some(found) = found else {
        return Vec::new();
    };
    found
        .types
        .parameters(found.prototype)
        // Debug information is listed with the star at the type.
        .map(|(name, ty)| described(&found.types, ty, name).replace(" *", "*"))
        .collect()
}

fn context(
    provider: &'static dyn Provider,
    place: &Place,
    needs: Needs,
    types: &TypeTable<'_>,
    target: &dyn Target,
    is_return: bool,
) -> ProbeContext {
    let registers = u32::try_from(target.arch().arguments.len()).unwrap_or(0);
    let described = (needs.arguments && !is_return).then(|| signature(place, target));
    let arguments = described
        .flatten()
        .map(|function| types.program_arguments("args", &function, registers, Space::User));
    ProbeContext {
        provider,
        place: place.clone(),
        space: Space::User,
        arguments,
        numbered: if is_return { 0 } else { registers },
        when: provider.when(),
    }
}

fn routes(is_return: bool, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
    let point = |place: &Place| {
        let (path, offset, _) = parts_of(place);
        vec![user::Point {
            path: path.to_owned(),
            offset,
            counter: 0,
            count: 1,
        }]
    };
    let points: Vec<Vec<user::Point>> = places.iter().map(point).collect();
    let section = if is_return { "uretprobe" } else { "uprobe" };
    let route = |indexes: Vec<usize>| {
        let points: Vec<Vec<user::Point>> = indexes
            .iter()
            .filter_map(|index| points.get(*index).cloned())
            .collect();
        let first = indexes.first().and_then(|index| places.get(*index));
        let name = first.map_or("", |place| parts_of(place).2);
        Route {
            places: indexes,
            arguments: if needs.arguments && !is_return {
                ArgumentAccess::Mapped(slots(target))
            } else {
                ArgumentAccess::None
            },
            ..user::route(name, section, is_return, &points, needs, target)
        }
    };
    if needs.one_place {
        return (0..places.len()).map(|index| route(vec![index])).collect();
    }
    vec![route((0..places.len()).collect())]
}

fn nearest(word: &dyn Word, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
    let written = written(word, spec, target).ok()?;
    if has_pattern(spec) || written.is_source {
        return None;
    }
    let path = target.find_binaries(written.target).into_iter().next()?;
    let binary = target.binary(&path).ok()?;
    let mut names = Vec::new();
    binary.each_symbol(&mut |symbol| {
        if symbol.kind == SymbolKind::Function {
            names.push(symbol.name.to_owned());
        }
        true
    });
    let near = nearest::nearest(written.function, names.iter().map(String::as_str))?;
    Some(format!("{}:{path}:{near}", word.name()))
}

fn list(
    word: &dyn Word,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Vec<String>, Diagnostic> {
    let (at, language, function) = match spec.parts.len() {
        0 => ("", "", "*"),
        1 if target.traced_process().pid.is_some() => ("", "", spec.part(0)),
        1 => (spec.part(0), "", "*"),
        2 => (spec.part(0), "", spec.part(1)),
        _ => (spec.part(0), spec.part(1), spec.part(2)),
    };
    // A pattern of the command line has no quotes around the colons of a name.
    let rest: Vec<&str> = spec
        .parts
        .iter()
        .skip(2)
        .map(|p| p.node.text.as_str())
        .collect();
    let rest = rest.join(":");
    let is_source = language == LANGUAGE;
    let function = if is_source {
        rest.trim_matches('"')
    } else {
        function
    };
    let written = Written {
        target: at,
        is_source,
        function: if function.is_empty() { "*" } else { function },
    };
    let language = if written.is_source { "cpp:" } else { "" };
    let mut lines = Vec::new();
    for path in target.find_binaries(at) {
        let binary = target.binary(&path).map_err(|e| unanswered(spec, e))?;
        let found = matching(binary.as_ref(), &written).into_iter();
        lines.extend(found.map(|(name, _)| format!("{}:{path}:{language}{name}", word.name())));
    }
    lines.sort_unstable();
    lines.dedup();
    Ok(lines)
}

impl Provider for Uprobe {
    fn is_of_program(&self) -> bool {
        true
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["u"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand(self, spec, target)
    }

    fn context(
        &self,
        place: &Place,
        needs: Needs,
        types: &TypeTable<'_>,
        target: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Uprobe, place, needs, types, target, false))
    }

    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        describe(name, target)
    }

    fn function(&self, place: &Place) -> String {
        parts_of(place).2.to_owned()
    }

    fn nearest(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        nearest(self, spec, target)
    }

    fn remark(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        user::remark("uprobe", spec, target)
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        routes(false, places, needs, target)
    }

    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        list(self, spec, target)
    }

    fn is_listed(&self) -> bool {
        false
    }
}

impl Provider for Uretprobe {
    fn is_of_program(&self) -> bool {
        true
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["ur"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand(self, spec, target)
    }

    fn context(
        &self,
        place: &Place,
        needs: Needs,
        types: &TypeTable<'_>,
        target: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Uretprobe, place, needs, types, target, true))
    }

    fn function(&self, place: &Place) -> String {
        parts_of(place).2.to_owned()
    }

    fn nearest(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        nearest(self, spec, target)
    }

    fn remark(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        user::remark("uretprobe", spec, target)
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        routes(true, places, needs, target)
    }

    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        list(self, spec, target)
    }

    fn is_listed(&self) -> bool {
        false
    }
}
