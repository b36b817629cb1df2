//! `kprobe` and `kretprobe`: instructions and returns of the kernel's functions.

use super::number::number;
use super::wildcard::{has_pattern, matches};
use super::{malformed, unanswered, wrong_parts};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, ProgramKind, Side};
use rbt_compiler::btf::Btf;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::{Feature, Target, TargetError};
use rbt_compiler::types::Space;
use rbt_compiler::vocabulary::{
    ArgumentAccess, ArgumentSource, MappedArgument, Needs, PidFilter, Place, ProbeContext,
    ProbeSpec, Provider, Route, SiteSource,
};
use rbt_compiler::word::Word;
use rbt_grammar::{Diagnostic, codes};

word! {
    /// `kprobe`
    Kprobe = "kprobe" {
        usage: ["kprobe:function", "kprobe:module:function", "kprobe:function+offset", "kprobe:0xADDRESS"],
        summary: "Fires when a function of the kernel is entered.",
        details: "`arg0` to `arg5` are the function's arguments as plain integers; where the \
                  kernel describes the function, `args.name` has their types. `*` stands for any \
                  run of characters: all matches share one program. `rbt -l 'kprobe:tcp_*'` \
                  lists what can be traced. An address needs --unsafe.",
        examples: [
            "kprobe:vfs_read { @[comm] = count(); }",
            "kprobe:vfs_* { @[func] = count(); }",
            "kprobe:vfs_read { @bytes = hist(arg2); }",
        ],
        kernel: "many functions in one link: 5.18",
    }
}

word! {
    /// `kretprobe`
    Kretprobe = "kretprobe" {
        usage: ["kretprobe:function", "kretprobe:module:function"],
        summary: "Fires when a function of the kernel returns.",
        details: "`retval` is what it returns, as an unsigned integer of 8 bytes: cast it to \
                  compare it with negative numbers.",
        examples: ["kretprobe:vfs_read { @bytes = hist(retval); }"],
        kernel: "",
    }
}

/// The parts of a place: module (empty if none was said), function (empty: by address), and
/// the distance from its start, or the address.
pub(super) struct Point<'a> {
    pub(super) module: &'a str,
    pub(super) function: &'a str,
    pub(super) offset: u64,
}

impl Point<'_> {
    pub(super) fn of(place: &Place) -> Point<'_> {
        let part = |index: usize| place.parts.get(index).map_or("", String::as_str);
        Point {
            module: part(0),
            function: part(1),
            offset: part(2).parse().unwrap_or(0),
        }
    }

    /// Whether it is the start of a function that needs no module to be found.
    fn is_plain(&self) -> bool {
        self.module.is_empty() && !self.function.is_empty() && self.offset == 0
    }
}

fn place(provider: &str, point: &Point<'_>) -> Place {
    let Point {
        module,
        function,
        offset,
    } = point;
    let mut text = format!("{provider}:");
    if !module.is_empty() {
        text.push_str(module);
        text.push(':');
    }
    if function.is_empty() {
        text.push_str(&offset.to_string());
    } else {
        text.push_str(function);
        if *offset > 0 {
            text.push_str(&format!("+{offset}"));
        }
    }
    Place {
        parts: vec![
            (*module).to_owned(),
            (*function).to_owned(),
            offset.to_string(),
        ],
        text,
    }
}

/// The kernel itself, as a module's name.
const KERNEL: &str = "vmlinux";

/// Module and function as written.
pub(super) fn names<'a>(spec: &'a ProbeSpec<'_>) -> Option<(&'a str, &'a str)> {
    match spec.parts.len() {
        1 => Some(("", spec.part(0))),
        2 => Some((spec.part(0), spec.part(1))),
        _ => None,
    }
}

/// A module as written against a module of the list.
pub(super) fn is_module(pattern: &str, module: &str) -> bool {
    let module = if module.is_empty() { KERNEL } else { module };
    pattern.is_empty() || matches(pattern, module)
}

/// Functions and modules that patterns describe, sorted by function. Pieces that the compiler
/// cut off a function (`.part.0`) are none.
pub(super) fn matching(
    module: &str,
    function: &str,
    target: &dyn Target,
) -> Result<Vec<(String, String)>, TargetError> {
    let mut found = Vec::new();
    target.each_function(&mut |name, of| {
        if matches(function, name) && is_module(module, of) && !name.contains(".part.") {
            found.push((name.to_owned(), of.to_owned()));
        }
        true
    })?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Whether a function can be traced, as far as anything says so.
pub(super) fn is_traceable(
    module: &str,
    function: &str,
    target: &dyn Target,
) -> Result<bool, TargetError> {
    // The kernel's types name most functions and are read in a fraction of the time that the
    // kernel needs to write its list.
    let is_described = |btf: &Btf| btf.find_function(function).is_some();
    let is_own = target.has_own_functions();
    if module.is_empty() && !is_own && target.btf().is_ok_and(is_described) {
        return Ok(true);
    }
    let mut is_listed = false;
    let read = target.each_function(&mut |name, of| {
        is_listed = name == function && is_module(module, of);
        !is_listed
    });
    match read {
        Ok(()) => Ok(is_listed),
        Err(error) if is_own => Err(error),
        // Attaching will tell.
        Err(_) => Ok(true),
    }
}

/// Whether a module named in an attach point exists.
pub(super) fn check_module(
    module: &str,
    provider: &str,
    function: &str,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<(), Diagnostic> {
    let is_there = module.is_empty() || module == KERNEL || target.has_module(module);
    if is_there {
        return Ok(());
    }
    let message =
        format!("specified module {module} in probe {provider}:{module}:{function} is not loaded.");
    Err(
        Diagnostic::error(codes::NO_SUCH_PROBE, message, spec.span, "no such module")
            .help("the modules that are loaded are listed in /proc/modules"),
    )
}

/// Why a function may be missing.
pub(super) fn untraceable(function: &str) -> String {
    format!(
        "{function} is not traceable (either non-existing, inlined, or marked as \"notrace\"); \
         attaching to it will likely fail"
    )
}

fn expand(
    word: &dyn Word,
    is_return: bool,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Vec<Place>, Diagnostic> {
    let provider = word.name();
    let form = format!("{provider}:vfs_read");
    let Some((module, written)) = names(spec) else {
        return Err(wrong_parts(spec, provider, "1 or 2", &form));
    };
    if has_pattern(spec) {
        let found = matching(module, written, target).map_err(|e| unanswered(spec, e))?;
        let is_module_said = !module.is_empty() && module != KERNEL;
        let point = |(function, module): &(String, String)| {
            let module = if is_module_said { module } else { "" };
            place(
                provider,
                &Point {
                    module,
                    function,
                    offset: 0,
                },
            )
        };
        return Ok(found.iter().map(point).collect());
    }
    if written.starts_with(|c: char| c.is_ascii_digit()) {
        let Some(address) = number(written) else {
            let message = format!("Invalid address: invalid integer: {written}");
            return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
        };
        if !spec.allows_unsafe {
            let message = "Probing by address requires --unsafe";
            return Err(malformed(spec, message, "nothing checks what lies there")
                .help("run with --unsafe, or name the function"));
        }
        let point = Point {
            module: "",
            function: "",
            offset: address,
        };
        return Ok(vec![place(provider, &point)]);
    }
    let (function, offset) = match written.split_once('+') {
        None => (written, 0),
        Some((function, offset)) => match number(offset) {
            _ if is_return => {
                return Err(
                    malformed(spec, "Offset not allowed", "a return has no offset")
                        .help("leave the offset out, or write `kprobe`"),
                );
            }
            Some(offset) => (function, offset),
            None => {
                let message = format!("Invalid offset: invalid integer: {offset}");
                return Err(malformed(spec, message, "")
                    .help("write it as `kprobe:vfs_read+4` or `kprobe:vfs_read+0x4`"));
            }
        },
    };
    check_module(module, provider, function, spec, target)?;
    let is_there = spec.allows_unsafe
        || is_traceable(module, function, target).map_err(|e| unanswered(spec, e))?;
    let module = if module == KERNEL { "" } else { module };
    let point = Point {
        module,
        function,
        offset,
    };
    Ok(if is_there {
        vec![place(provider, &point)]
    } else {
        Vec::new()
    })
}

/// Why an attach point without wildcards is missing.
pub(super) fn why_missing(spec: &ProbeSpec<'_>) -> Option<String> {
    let (_, written) = names(spec)?;
    let function = written.split('+').next().unwrap_or(written);
    (!has_pattern(spec)).then(|| untraceable(function))
}

/// The function nearest to one that does not exist.
pub(super) fn nearest(provider: &str, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
    if has_pattern(spec) {
        return None;
    }
    let (_, written) = names(spec)?;
    let near = target.btf().ok()?.nearest_function(written)?;
    Some(format!("{provider}:{near}"))
}

/// The named arguments of a function, each in the register it is passed in.
fn arguments(place: &Place, types: &TypeTable<'_>) -> Option<rbt_compiler::types::StructRef> {
    let point = Point::of(place);
    if point.offset > 0 {
        return None;
    }
    let btf = types.btf()?;
    let module = match point.module {
        "" => *btf.modules_with_function(point.function).first()?,
        module => module,
    };
    let function = btf.find_function_in(module, point.function)?;
    types.function_arguments("args", function, Space::Kernel)
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
    let arguments = (needs.arguments && !is_return)
        .then(|| arguments(place, types))
        .flatten()
        .filter(|found| found.size <= registers * 8);
    ProbeContext {
        provider,
        place: place.clone(),
        space: Space::Kernel,
        arguments,
        numbered: if is_return { 0 } else { registers },
        when: provider.when(),
    }
}

/// Where the slots of a function's arguments are in `struct pt_regs`.
pub(super) fn slots(target: &dyn Target) -> Vec<MappedArgument> {
    let arch = target.arch();
    let registers = arch.arguments.iter().filter_map(|name| arch.register(name));
    let slots = (0..).step_by(8).zip(registers);
    slots
        .map(|(at, register)| MappedArgument {
            at,
            from: ArgumentSource::Context(register),
        })
        .collect()
}

/// Fewest functions that are worth one link for all.
const WORTH_A_LINK: usize = 2;

fn routes(
    name: &str,
    is_return: bool,
    places: &[Place],
    needs: Needs,
    target: &dyn Target,
) -> Vec<Route> {
    // What a return does not know, and the kernel cannot say, its program has to be made for.
    if is_return && needs.function && places.len() > 1 && !target.has(Feature::FunctionAddress) {
        return (0..places.len())
            .filter_map(|index| singly(name, is_return, vec![index], places, needs, target))
            .collect();
    }
    if let Some(routes) = cheaper(is_return, places, needs, target) {
        return routes;
    }
    let all = 0..places.len();
    let mut plain: Vec<usize> = all
        .clone()
        .filter(|index| places.get(*index).is_some_and(|p| Point::of(p).is_plain()))
        .collect();
    // Through one link programs do not see all registers.
    let is_one_link =
        plain.len() >= WORTH_A_LINK && !needs.context && target.has(Feature::KprobeMulti);
    if !is_one_link {
        plain.clear();
    }
    let others: Vec<usize> = all.filter(|index| !plain.contains(index)).collect();
    let mut routes = Vec::new();
    routes.extend(in_one(name, is_return, plain, places, needs));
    routes.extend(singly(name, is_return, others, places, needs, target));
    routes.sort_by_key(|route| route.places.first().copied());
    routes
}

/// Most places that are each worth a load of their own.
const WORTH_LOADS: usize = 4;

/// The places by type, which costs less per event, where nothing else is needed of a kprobe.
fn cheaper(
    is_return: bool,
    places: &[Place],
    needs: Needs,
    target: &dyn Target,
) -> Option<Vec<Route>> {
    let is_kprobe_only = needs.context || needs.kernel_stack || needs.own_kind;
    if is_kprobe_only || places.len() > WORTH_LOADS || target.has_own_functions() {
        return None;
    }
    let points: Vec<Point<'_>> = places.iter().map(Point::of).collect();
    if !points.iter().all(Point::is_plain) {
        return None;
    }
    // A kprobe that a program meets in its own doings is passed over; a program attached by type
    // would run inside itself, on kernels before 5.12 without end. The atomic instructions came
    // with the guard.
    let is_own = |point: &Point<'_>| super::fentry::is_used_by_programs(point.function);
    if points.iter().any(is_own) || !target.has(Feature::AtomicFetch) {
        return None;
    }
    let side = if is_return { Side::Return } else { Side::Entry };
    let names: Vec<&str> = points.iter().map(|point| point.function).collect();
    super::fentry::instead_of_kprobes(side, &names, needs, target)
}

fn access(needs: Needs, is_return: bool, target: &dyn Target) -> ArgumentAccess {
    if needs.arguments && !is_return {
        ArgumentAccess::Mapped(slots(target))
    } else {
        ArgumentAccess::None
    }
}

/// One link for all.
fn in_one(
    name: &str,
    is_return: bool,
    indexes: Vec<usize>,
    places: &[Place],
    needs: Needs,
) -> Option<Route> {
    let functions: Vec<String> = indexes
        .iter()
        .filter_map(|index| Some(Point::of(places.get(*index)?).function.to_owned()))
        .collect();
    let first = functions.first()?.clone();
    let count = u32::try_from(functions.len()).unwrap_or(u32::MAX);
    let site = if needs.site {
        SiteSource::Cookie
    } else {
        SiteSource::Single
    };
    let target = AttachTarget::KprobeMulti {
        functions,
        is_return,
    };
    let _ = name;
    Some(Route {
        kind: ProgramKind::Kprobe,
        section: String::new(),
        name: first,
        places: indexes,
        attachments: vec![(target, 0, count)],
        pid_filter: PidFilter::Test,
        arguments: ArgumentAccess::None,
        site,
    })
}

/// A perf event for each.
fn singly(
    name: &str,
    is_return: bool,
    indexes: Vec<usize>,
    places: &[Place],
    needs: Needs,
    target: &dyn Target,
) -> Option<Route> {
    let _ = name;
    let first = Point::of(places.get(*indexes.first()?)?);
    let readable = if first.function.is_empty() {
        String::from("address")
    } else {
        first.function.to_owned()
    };
    let attachments = indexes.iter().enumerate().filter_map(|(at, index)| {
        let point = Point::of(places.get(*index)?);
        let function = if point.module.is_empty() {
            point.function.to_owned()
        } else {
            format!("{}:{}", point.module, point.function)
        };
        let target = AttachTarget::Kprobe {
            function,
            offset: point.offset,
            is_return,
        };
        Some((target, at, 1))
    });
    let cookie = Feature::PerfLinkCookie;
    Some(Route {
        kind: ProgramKind::Kprobe,
        section: String::new(),
        name: readable,
        attachments: attachments.collect(),
        pid_filter: PidFilter::Test,
        arguments: access(needs, is_return, target),
        site: super::site_source(indexes.len(), needs.site, target, cookie),
        places: indexes,
    })
}

fn list(
    provider: &str,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Vec<String>, Diagnostic> {
    let (module, function) = names(spec).unwrap_or(("", "*"));
    let function = if function.is_empty() { "*" } else { function };
    let found = matching(module, function, target).map_err(|e| unanswered(spec, e))?;
    let line = |(function, of): (String, String)| {
        let module = if of.is_empty() { KERNEL } else { &of };
        match spec.parts.len() {
            2 => format!("{provider}:{module}:{function}"),
            _ => format!("{provider}:{function}"),
        }
    };
    let mut lines: Vec<String> = found.into_iter().map(line).collect();
    lines.dedup();
    Ok(lines)
}

/// What a function is called with, or returns, as `-lv` shows it.
fn describe(name: &str, target: &dyn Target, is_return: bool) -> Vec<String> {
    let Ok(btf) = target.btf() else {
        return Vec::new();
    };
    let Some(found) = super::fentry::listed(name, btf) else {
        return Vec::new();
    };
    let line = |ty, name: &str| format!("{} {name}", spaced(&btf.declaration(ty, "")));
    if is_return {
        let result = btf.result(found).into_iter();
        return result.map(|ty| line(ty, "retval")).collect();
    }
    let parameters = btf.parameters(found).filter(|(name, _)| !name.is_empty());
    let numbered = parameters.enumerate();
    numbered
        .map(|(number, (_, ty))| line(ty, &format!("arg{number}")))
        .collect()
}

/// A type as listings write it: a space before the star.
pub(super) fn spaced(ty: &str) -> String {
    match ty.find('*') {
        Some(at) if !ty.contains('(') => {
            let (base, stars) = ty.split_at(at);
            format!("{} {stars}", base.trim_end())
        }
        _ => ty.to_owned(),
    }
}

impl Provider for Kprobe {
    fn aliases(&self) -> &'static [&'static str] {
        &["k"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand(self, false, spec, target)
    }

    fn context(
        &self,
        place: &Place,
        needs: Needs,
        types: &TypeTable<'_>,
        target: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Kprobe, place, needs, types, target, false))
    }

    fn nearest(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        nearest("kprobe", spec, target)
    }

    fn why_missing(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Option<String> {
        why_missing(spec)
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        routes("kprobe", false, places, needs, target)
    }

    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        list("kprobe", spec, target)
    }

    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        describe(name, target, false)
    }
}

impl Provider for Kretprobe {
    fn aliases(&self) -> &'static [&'static str] {
        &["kr"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand(self, true, spec, target)
    }

    fn context(
        &self,
        place: &Place,
        needs: Needs,
        types: &TypeTable<'_>,
        target: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Kretprobe, place, needs, types, target, true))
    }

    fn nearest(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        nearest("kretprobe", spec, target)
    }

    fn why_missing(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Option<String> {
        why_missing(spec)
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        routes("kretprobe", true, places, needs, target)
    }

    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        list("kretprobe", spec, target)
    }

    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        describe(name, target, true)
    }

    fn is_listed(&self) -> bool {
        false
    }
}
