//! `fentry` and `fexit`: entries and returns of the kernel's functions, with their types.

use super::kprobe::{self, matching, names, spaced};
use super::wildcard::has_pattern;
use super::{malformed, unanswered, wrong_parts};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, ProgramKind, Side};
use rbt_compiler::btf::{Btf, BtfType, TypeId};
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::{Feature, Target};
use rbt_compiler::types::{Encoding, Field, Origin, Space, StructRef};
use rbt_compiler::vocabulary::{
    ArgumentAccess, ArgumentSource, MappedArgument, Needs, PidFilter, Place, ProbeContext,
    ProbeSpec, Provider, Route, SiteSource,
};
use rbt_grammar::Diagnostic;
use std::rc::Rc;

word! {
    /// `fentry`
    Fentry = "fentry" {
        usage: ["fentry:function", "fentry:module:function"],
        summary: "Fires when a function of the kernel is entered.",
        details: "`args.name` are the function's arguments with their types; `rbt -lv \
                  'fentry:vfs_read'` lists them. It costs less than a kprobe, and needs a kernel \
                  that describes its functions.",
        examples: [
            "fentry:vfs_read { @bytes = hist(args.count); }",
            "fentry:vfs_read { printf(\"%s\\n\", str(args.file.f_path.dentry.d_name.name)); }",
        ],
        kernel: "5.5",
    }
}

word! {
    /// `fexit`
    Fexit = "fexit" {
        usage: ["fexit:function", "fexit:module:function"],
        summary: "Fires when a function of the kernel returns.",
        details: "`retval` is what it returns, with its type; `args.name` are the arguments as \
                  they were at the entry.",
        examples: ["fexit:vfs_read /retval > 0/ { @bytes[args.file] = sum(retval); }"],
        kernel: "5.5",
    }
}

/// The kernel itself, as a module's name.
const KERNEL: &str = "vmlinux";

/// Slots that a program can be handed (`MAX_BPF_FUNC_ARGS`).
const MOST_SLOTS: u32 = 12;

/// Bytes of a slot.
const SLOT: u32 = 8;

/// The member that stands for what the function returns. No parameter can have this name.
pub(crate) const RESULT: &str = "$retval";

fn place(provider: &str, module: &str, function: &str) -> Place {
    Place {
        parts: vec![module.to_owned(), function.to_owned()],
        text: format!("{provider}:{module}:{function}"),
    }
}

fn function_of(place: &Place) -> &str {
    place.parts.get(1).map_or("", String::as_str)
}

fn module_of(place: &Place) -> &str {
    place.parts.first().map_or("", String::as_str)
}

/// The function of a place.
fn found(place: &Place, btf: &Btf) -> Option<TypeId> {
    btf.find_function_in(module_of(place), function_of(place))
}

/// The function of that name of a module (empty: the kernel itself), if a program can be attached to it: how many slots its
/// arguments take.
pub(super) fn attachable(btf: &Btf, module: &str, name: &str) -> Option<(TypeId, u32)> {
    let function = btf.find_function_in(module, name)?;
    let mut slots = 0;
    for (_, ty) in btf.parameters(function) {
        // What a variadic function is called with is not known.
        let size = btf.size_of(ty).filter(|_| ty != TypeId::VOID)?;
        if size > 2 * SLOT {
            return None;
        }
        slots += size.div_ceil(SLOT);
    }
    let result = btf.result(function)?;
    let is_plain = !matches!(btf.resolved(result), BtfType::Struct { .. });
    (slots <= MOST_SLOTS && is_plain).then_some((function, slots))
}

/// Whether a program can be attached to a function by type without running inside itself: what
/// guards against that came in Linux 5.12, with the atomic instructions.
fn is_safe(function: &str, target: &dyn Target) -> bool {
    target.has(Feature::AtomicFetch) || !is_used_by_programs(function)
}

/// Whether programs themselves go through a function: by the locks, memory and buffers that
/// their maps need.
pub(super) fn is_used_by_programs(function: &str) -> bool {
    const PREFIXES: [&str; 24] = [
        "_raw_",
        "__raw_",
        "__bpf",
        "__htab",
        "__lock",
        "__pcpu",
        "__perf",
        "__rcu",
        "__srcu",
        "alloc_htab",
        "array_map",
        "bpf_",
        "copy_from_kernel",
        "do_raw_",
        "htab_",
        "irq_work",
        "lookup_",
        "lru_",
        "migrate_",
        "native_queued",
        "pcpu_",
        "percpu_",
        "queued_",
        "rcu_",
    ];
    PREFIXES.iter().any(|prefix| function.starts_with(prefix))
}

fn expand(
    provider: &str,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Vec<Place>, Diagnostic> {
    let form = format!("{provider}:vfs_read");
    let Some((module, written)) = names(spec) else {
        return Err(wrong_parts(spec, provider, "1 or 2", &form));
    };
    let btf = target.btf().map_err(|e| unanswered(spec, e))?;
    if has_pattern(spec) {
        let found = matching(module, written, target).map_err(|e| unanswered(spec, e))?;
        // One that holds a lock of the maps or of the buffer when its program runs would wait for
        // itself: such a function has to be named to be meant.
        let own = found.iter().filter(|(function, of)| {
            attachable(btf, of, function).is_some() && !is_used_by_programs(function)
        });
        let mut places: Vec<Place> = own
            .map(|(function, of)| place(provider, named(of), function))
            .collect();
        places.dedup();
        return Ok(places);
    }
    if !is_safe(written, target) {
        return Ok(Vec::new());
    }
    if !module.is_empty() {
        let is_there = btf.find_function_in(module, written).is_some();
        let place = is_there.then(|| place(provider, module, written));
        return Ok(place.into_iter().collect());
    }
    match btf.modules_with_function(written).as_slice() {
        [] => Ok(Vec::new()),
        [only] => Ok(vec![place(provider, only, written)]),
        [first, .., last] => {
            let message = format!(
                "ambiguous attach point, please specify module containing the function \
                 '{written}'"
            );
            Err(
                malformed(spec, message, &format!("in `{first}` and in `{last}`"))
                    .help(format!("write `{provider}:{first}:{written}`")),
            )
        }
    }
}

/// A module as places name it.
fn named(module: &str) -> &str {
    if module.is_empty() { KERNEL } else { module }
}

/// The arguments and, behind them, the result.
fn arguments(place: &Place, types: &TypeTable<'_>, is_return: bool) -> Option<StructRef> {
    let btf = types.btf()?;
    let function = found(place, btf)?;
    let found = types.function_arguments("args", function, Space::Kernel)?;
    if !is_return {
        return Some(found);
    }
    let slots: u32 = btf
        .parameters(function)
        .map(|(_, ty)| btf.size_of(ty).unwrap_or(0).div_ceil(SLOT))
        .sum();
    let result = types.function_result(function, Space::Kernel)?;
    let Origin::Probe(fields) = &found.origin else {
        return Some(found);
    };
    let mut fields = fields.to_vec();
    if result.size() > 0 {
        fields.push(Field {
            name: Rc::from(RESULT),
            offset: slots * SLOT,
            ty: result,
            bits: None,
            encoding: Encoding::Plain,
        });
    }
    Some(StructRef {
        size: (slots + 1) * SLOT,
        origin: Origin::Probe(fields.into()),
        ..found
    })
}

fn context(
    provider: &'static dyn Provider,
    place: &Place,
    needs: Needs,
    types: &TypeTable<'_>,
    is_return: bool,
) -> ProbeContext {
    let is_asked = needs.arguments || (needs.result && is_return);
    ProbeContext {
        provider,
        place: place.clone(),
        space: Space::Kernel,
        arguments: is_asked
            .then(|| arguments(place, types, is_return))
            .flatten(),
        numbered: 0,
        when: provider.when(),
    }
}

/// Whether the kernel refuses to let a program load a parameter of that type from its
/// context: a pointer to something that is neither a struct nor a number.
fn is_refused(btf: &Btf, ty: TypeId) -> bool {
    let BtfType::Pointer(to) = btf.resolved(ty) else {
        return false;
    };
    !matches!(
        btf.resolved(to),
        BtfType::Void | BtfType::Int { .. } | BtfType::Struct { .. } | BtfType::Forward { .. }
    )
}

/// Functions that programs themselves call, or that run while they hold something: a program
/// there, unlike a kprobe's, would be run by programs.
const USED_BY_PROGRAMS: &[&str] = &[
    "alloc", "atomic", "bpf", "clock", "copy_", "free", "htab", "irq", "kmem", "ktime", "lock",
    "mem", "nmi", "percpu", "perf_", "preempt", "probe", "rand", "rcu", "ring", "seq_", "slab",
    "softirq", "strncpy", "trace", "trap", "wake", "work",
];

/// The same places reached by type instead of by kprobes, where that gives the same: for
/// each, all that is needed of a function is its arguments and its result as plain numbers.
pub(super) fn instead_of_kprobes(
    side: Side,
    places: &[&str],
    needs: Needs,
    target: &dyn Target,
) -> Option<Vec<Route>> {
    let btf = target.btf().ok()?;
    if !target.has(Feature::Tracing) || !target.has(Feature::FunctionArguments) {
        return None;
    }
    let route = |(index, name): (usize, &&str)| -> Option<Route> {
        if USED_BY_PROGRAMS.iter().any(|word| name.contains(word)) {
            return None;
        }
        let (function, slots) = attachable(btf, KERNEL, name)?;
        let is_void = btf.result(function)? == TypeId::VOID;
        let lacks = u32::from(needs.numbered) > slots || (needs.result && is_void);
        if lacks || !target.takes_program(function.0) {
            return None;
        }
        let word = match side {
            Side::Entry => "fentry",
            Side::Return => "fexit",
        };
        let target = AttachTarget::Function {
            module: String::new(),
            type_id: btf.raw(function),
            function: (*name).to_owned(),
            side,
        };
        Some(Route {
            kind: ProgramKind::Tracing,
            section: format!("{word}/{name}"),
            name: (*name).to_owned(),
            places: vec![index],
            attachments: vec![(target, 0, 1)],
            pid_filter: PidFilter::Test,
            arguments: ArgumentAccess::Mapped(mapped(function, btf, true, true)),
            site: SiteSource::Single,
        })
    };
    places.iter().enumerate().map(route).collect()
}

/// Where the slots of a function's arguments are: in the context, or had by a helper where
/// the kernel would refuse the load.
fn slots(function: TypeId, btf: &Btf, target: &dyn Target) -> Vec<MappedArgument> {
    mapped(function, btf, target.has(Feature::FunctionArguments), false)
}

/// The same. As plain numbers, pointers are had by the helper too: what is loaded from the
/// context the kernel does not let be computed with.
fn mapped(function: TypeId, btf: &Btf, has_helper: bool, is_plain: bool) -> Vec<MappedArgument> {
    let is_refused = |ty| {
        let is_pointer = matches!(btf.resolved(ty), BtfType::Pointer(_));
        (is_plain && is_pointer) || is_refused(btf, ty)
    };
    let mut slots = Vec::new();
    let mut number = 0;
    for (_, ty) in btf.parameters(function) {
        let count = btf.size_of(ty).unwrap_or(0).div_ceil(SLOT);
        for _ in 0..count {
            let at = number * SLOT;
            let from = if has_helper && is_refused(ty) {
                ArgumentSource::Helper(number)
            } else {
                ArgumentSource::Context(at)
            };
            slots.push(MappedArgument { at, from });
            number += 1;
        }
    }
    let result = btf.result(function);
    let at = number * SLOT;
    let from = match result {
        Some(ty) if has_helper && is_refused(ty) => ArgumentSource::HelperForResult,
        _ => ArgumentSource::Context(at),
    };
    slots.push(MappedArgument { at, from });
    slots
}

fn routes(side: Side, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
    let Ok(btf) = target.btf() else {
        return Vec::new();
    };
    let reads = needs.arguments || needs.result;
    // A program that must know its function without being told is made for it alone.
    let is_alone = needs.function && !target.has(Feature::FunctionAddress);
    let all: Vec<usize> = (0..places.len()).collect();
    let size = if is_alone { 1 } else { places.len().max(1) };
    let route = |indexes: &[usize]| -> Option<Route> {
        let place = places.get(*indexes.first()?)?;
        let first = function_of(place);
        let function = found(place, btf)?;
        let attachments = indexes.iter().enumerate().filter_map(|(at, index)| {
            let place = places.get(*index)?;
            let function = found(place, btf)?;
            let target = AttachTarget::Function {
                module: btf.module_of(function).unwrap_or("").to_owned(),
                type_id: btf.raw(function),
                function: function_of(place).to_owned(),
                side,
            };
            Some((target, at, 1))
        });
        let word = match side {
            Side::Entry => "fentry",
            Side::Return => "fexit",
        };
        Some(Route {
            kind: ProgramKind::Tracing,
            section: format!("{word}/{first}"),
            name: first.to_owned(),
            places: indexes.to_vec(),
            attachments: attachments.collect(),
            pid_filter: PidFilter::Test,
            arguments: if reads {
                ArgumentAccess::Mapped(slots(function, btf, target))
            } else {
                ArgumentAccess::None
            },
            // Each function has a copy of the program, which may as well know its number.
            site: if needs.site && indexes.len() > 1 {
                SiteSource::Patched
            } else {
                SiteSource::Single
            },
        })
    };
    all.chunks(size).filter_map(route).collect()
}

fn list(
    provider: &str,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Vec<String>, Diagnostic> {
    let (module, function) = names(spec).unwrap_or(("", "*"));
    let function = if function.is_empty() { "*" } else { function };
    let btf = target.btf().map_err(|e| unanswered(spec, e))?;
    let found = matching(module, function, target).map_err(|e| unanswered(spec, e))?;
    let mut lines: Vec<String> = found
        .into_iter()
        .filter(|(function, of)| btf.find_function_in(of, function).is_some())
        .map(|(function, of)| format!("{provider}:{}:{function}", named(&of)))
        .collect();
    lines.dedup();
    Ok(lines)
}

/// The function that a line of a list names, of the kernel itself if it names no module.
pub(super) fn listed(name: &str, btf: &Btf) -> Option<TypeId> {
    let mut parts = name.rsplit(':');
    let function = parts.next()?;
    let module = parts.next().filter(|_| name.matches(':').count() > 1);
    if let Some(module) = module {
        return btf.find_function_in(module, function);
    }
    let module = *btf.modules_with_function(function).first()?;
    btf.find_function_in(module, function)
}

fn describe(name: &str, target: &dyn Target, is_return: bool) -> Vec<String> {
    let Ok(btf) = target.btf() else {
        return Vec::new();
    };
    let Some(found) = listed(name, btf) else {
        return Vec::new();
    };
    let parameters = btf.parameters(found).filter(|(name, _)| !name.is_empty());
    let mut lines: Vec<String> = parameters
        .map(|(name, ty)| format!("{} {name}", spaced(&btf.declaration(ty, ""))))
        .collect();
    if let Some(result) = btf.result(found).filter(|_| is_return) {
        lines.push(format!("{} retval", spaced(&btf.declaration(result, ""))));
    }
    lines
}

impl Provider for Fentry {
    fn aliases(&self) -> &'static [&'static str] {
        &["f", "kfunc"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand("fentry", spec, target)
    }

    fn context(
        &self,
        place: &Place,
        needs: Needs,
        types: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Fentry, place, needs, types, false))
    }

    fn nearest(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        kprobe::nearest("fentry", spec, target)
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        routes(Side::Entry, places, needs, target)
    }

    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        list("fentry", spec, target)
    }

    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        describe(name, target, false)
    }
}

impl Provider for Fexit {
    fn aliases(&self) -> &'static [&'static str] {
        &["fr", "kretfunc"]
    }

    fn types_result(&self) -> bool {
        true
    }

    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        expand("fexit", spec, target)
    }

    fn context(
        &self,
        place: &Place,
        needs: Needs,
        types: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(context(&Fexit, place, needs, types, true))
    }

    fn nearest(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        kprobe::nearest("fexit", spec, target)
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        routes(Side::Return, places, needs, target)
    }

    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        list("fexit", spec, target)
    }

    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        describe(name, target, true)
    }

    fn is_listed(&self) -> bool {
        false
    }
}
