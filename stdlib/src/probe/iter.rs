//! `iter`: runs once for each object of a kind that the kernel holds.

use super::kprobe::spaced;
use super::wildcard::{has_pattern, matches};
use super::{malformed, no_wildcards, unanswered, wrong_parts};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, ProgramKind};
use rbt_compiler::btf::{Btf, BtfType, TypeId};
use rbt_compiler::nearest::nearest;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::Target;
use rbt_compiler::types::Space;
use rbt_compiler::vocabulary::{
    ArgumentAccess, ArgumentSource, Needs, PidFilter, Place, ProbeContext, ProbeSpec, Provider,
    Route, SiteSource,
};
use rbt_grammar::Diagnostic;

word! {
    /// `iter`
    Iter = "iter" {
        usage: ["iter:name", "iter:name:pin"],
        summary: "Runs once for each object that the kernel holds of a kind, then tracing ends.",
        details: "`ctx` has what `struct bpf_iter__NAME` has; `rbt -lv 'iter:*'` lists the kinds. \
                  With a pin the program stays behind as a file of the BPF file system, which \
                  shows what it prints whenever it is read.",
        examples: ["iter:task { printf(\"%s %d\\n\", ctx.task.comm, ctx.task.pid); }"],
        kernel: "5.8",
    }
}

/// What the kernel puts before a kind to name the context of its programs, and the function
/// they are attached to.
const CONTEXT: &str = "bpf_iter__";
const FUNCTION: &str = "bpf_iter_";

/// The member that every context has.
const META: &str = "meta";

/// Anonymous members inside each other that are looked into.
const MOST_NESTED: u32 = 4;

/// The kinds there are, sorted.
fn kinds(btf: &Btf) -> Vec<&str> {
    let names = btf.struct_names();
    let names = names.filter_map(|(name, _)| name.strip_prefix(CONTEXT));
    let is_there = |name: &&str| btf.find_function(&format!("{FUNCTION}{name}")).is_some();
    let mut found: Vec<&str> = names.filter(is_there).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Named members of a context: name, type, bytes from the start.
fn members(btf: &Btf, of: TypeId, start: u32, nested: u32) -> Vec<(&str, TypeId, u32)> {
    let mut found = Vec::new();
    for member in btf.members(of) {
        let at = start + member.bit_offset / 8;
        if !member.name.is_empty() {
            found.push((member.name, member.ty, at));
        } else if nested > 0 {
            found.extend(members(btf, btf.resolve(member.ty), at, nested - 1));
        }
    }
    found
}

fn kind(place: &Place) -> &str {
    place.parts.first().map_or("", String::as_str)
}

/// The name of the struct behind `ctx`.
pub(crate) fn context_struct(probe: &ProbeContext) -> String {
    format!("{CONTEXT}{}", kind(&probe.place))
}

impl Provider for Iter {
    fn aliases(&self) -> &'static [&'static str] {
        &["it"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        if has_pattern(spec) {
            return Err(no_wildcards(spec, "iter"));
        }
        if !matches!(spec.parts.len(), 1 | 2) {
            return Err(wrong_parts(spec, "iter", "1 or 2", "iter:task"));
        }
        let (name, pin) = (spec.part(0), spec.part(1));
        let btf = target.btf().map_err(|e| unanswered(spec, e))?;
        let is_there = btf.find_struct(&format!("{CONTEXT}{name}")).is_some()
            && btf.find_function(&format!("{FUNCTION}{name}")).is_some();
        if !is_there {
            let message = format!("iter {name} not available for your kernel version.");
            let complaint = malformed(spec, message, "no such iterator");
            return Err(match nearest(name, kinds(btf)) {
                Some(near) => complaint.help(format!("did you mean `iter:{near}`?")),
                None => complaint.help("list what there is with `rbt -l 'iter:*'`"),
            });
        }
        let text = match pin {
            "" => format!("iter:{name}"),
            pin => format!("iter:{name}:{pin}"),
        };
        Ok(vec![Place {
            parts: vec![name.to_owned(), pin.to_owned()],
            text,
        }])
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(ProbeContext {
            provider: &Iter,
            place: place.clone(),
            space: Space::Kernel,
            arguments: None,
            numbered: 0,
            when: self.when(),
        })
    }

    fn routes(&self, places: &[Place], _: Needs, target: &dyn Target) -> Vec<Route> {
        let Ok(btf) = target.btf() else {
            return Vec::new();
        };
        let route = |(index, place): (usize, &Place)| -> Option<Route> {
            let name = kind(place);
            let function = btf.find_function(&format!("{FUNCTION}{name}"))?;
            let context = btf.find_struct(&format!("{CONTEXT}{name}"))?;
            let pin = place.parts.get(1).filter(|pin| !pin.is_empty());
            let target = AttachTarget::Iterator {
                type_id: btf.raw(function),
                pin: pin.cloned(),
            };
            // The kernel runs it once more at the end, without an object.
            let is_object = |(name, ty, _): &(&str, TypeId, u32)| {
                *name != META && matches!(btf.resolved(*ty), BtfType::Pointer(_))
            };
            let objects = members(btf, context, 0, MOST_NESTED).into_iter();
            let objects = objects.filter(is_object);
            Some(Route {
                kind: ProgramKind::Tracing,
                section: format!("iter/{name}"),
                name: format!("iter_{name}"),
                places: vec![index],
                attachments: vec![(target, 0, 1)],
                pid_filter: PidFilter::None,
                arguments: ArgumentAccess::None,
                site: SiteSource::SingleWith(
                    objects
                        .map(|(_, _, at)| ArgumentSource::Context(at))
                        .collect(),
                ),
            })
        };
        places.iter().enumerate().filter_map(route).collect()
    }

    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        let pattern = spec.part(0);
        let btf = target.btf().map_err(|e| unanswered(spec, e))?;
        let wanted = |name: &&str| pattern.is_empty() || matches(pattern, name);
        let found = kinds(btf).into_iter().filter(wanted);
        Ok(found.map(|name| format!("iter:{name}")).collect())
    }

    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        let kind = name.rsplit(':').next().unwrap_or("");
        let Ok(btf) = target.btf() else {
            return Vec::new();
        };
        let Some(context) = btf.find_struct(&format!("{CONTEXT}{kind}")) else {
            return Vec::new();
        };
        members(btf, context, 0, MOST_NESTED)
            .into_iter()
            .map(|(name, ty, _)| format!("{} {name}", spaced(&btf.declaration(ty, ""))))
            .collect()
    }
}
