//! `tracepoint`: the events the kernel announces, by category and name.

use super::syscalls::{self, Side};
use super::wildcard::{has_pattern, matches};
use super::{site_source, unanswered, wrong_parts};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, ProgramKind};
use rbt_compiler::nearest::nearest;
use rbt_compiler::structs::{TypeTable, is_common_field};
use rbt_compiler::target::{Feature, Target};
use rbt_compiler::types::Space;
use rbt_compiler::vocabulary::{
    ArgumentAccess, Needs, PidFilter, Place, ProbeContext, ProbeSpec, Provider, Route,
};
use rbt_grammar::Diagnostic;

word! {
    /// `tracepoint`
    Tracepoint = "tracepoint" {
        usage: ["tracepoint:category:event"],
        summary: "Fires at an event that the kernel announces.",
        details: "`args` holds the event's own fields; `rbt -lv 'tracepoint:sched:*'` lists \
                  them. `*` in either part stands for any run of characters; the action is \
                  compiled once for all events it means.",
        examples: [
            "tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }",
            "tracepoint:sched:sched_switch { @[args.next_comm] = count(); }",
            "t:syscalls:sys_enter_openat { printf(\"%s\\n\", str(args.filename)); }",
        ],
        kernel: "",
    }
}

/// The function tracer's own records, which are no events a program can be attached to.
const NOT_EVENTS: &str = "ftrace";

/// Events of the kernel's own source, each made from a tracepoint of the same name: attached
/// directly, programs run sooner and are detached at once. All other categories (`syscalls`,
/// made from two tracepoints; events that people define on a running kernel) go through perf
/// events, as do categories this list does not know.
const DIRECT: &[&str] = &[
    "alarmtimer",
    "block",
    "bridge",
    "btrfs",
    "capability",
    "cgroup",
    "compaction",
    "cpuhp",
    "dma_fence",
    "ext4",
    "fib",
    "fib6",
    "filelock",
    "filemap",
    "huge_memory",
    "icmp",
    "io_uring",
    "iomap",
    "iommu",
    "irq",
    "jbd2",
    "kmem",
    "kvm",
    "migrate",
    "mmap",
    "mmap_lock",
    "napi",
    "neigh",
    "net",
    "netlink",
    "nfs",
    "nfsd",
    "nvme",
    "oom",
    "page_pool",
    "percpu",
    "power",
    "qdisc",
    "ras",
    "rpm",
    "sched",
    "scsi",
    "signal",
    "skb",
    "sock",
    "sunrpc",
    "task",
    "tcp",
    "thermal",
    "timer",
    "tls",
    "udp",
    "vmscan",
    "workqueue",
    "writeback",
    "xfs",
];

/// What a place's category and event are.
fn names(place: &Place) -> (&str, &str) {
    let part = |index: usize| place.parts.get(index).map_or("", String::as_str);
    (part(0), part(1))
}

fn place(category: &str, event: &str) -> Place {
    Place {
        parts: vec![category.to_owned(), event.to_owned()],
        text: format!("tracepoint:{category}:{event}"),
    }
}

/// Memory that an event's pointers point into.
fn space(category: &str) -> Space {
    if category == "syscalls" {
        Space::User
    } else {
        Space::Kernel
    }
}

/// All events whose category and name are what the patterns describe, sorted.
fn matching(
    category: &str,
    event: &str,
    target: &dyn Target,
) -> Result<Vec<Place>, rbt_compiler::target::TargetError> {
    let categories = if category.contains('*') {
        target.tracepoint_categories()?
    } else {
        vec![category.to_owned()]
    };
    let mut places = Vec::new();
    for found in &categories {
        if found == NOT_EVENTS || !matches(category, found) {
            continue;
        }
        let events = target.tracepoint_events(found)?;
        let events = events.iter().filter(|name| matches(event, name));
        places.extend(events.map(|name| place(found, name)));
    }
    Ok(places)
}

/// The routes of places that go one way, one program for all of them.
fn plain(
    kind: ProgramKind,
    indexes: Vec<usize>,
    all: &[Place],
    needs: Needs,
    target: &dyn Target,
) -> Option<Route> {
    let first = names(all.get(*indexes.first()?)?);
    let is_raw = kind == ProgramKind::RawTracepoint;
    let section = match (is_raw, indexes.len()) {
        (true, _) => format!("raw_tp/{}", first.1),
        (false, 1) => format!("tracepoint/{}/{}", first.0, first.1),
        (false, _) => String::from("tracepoint"),
    };
    let attachments = indexes.iter().enumerate().filter_map(|(at, index)| {
        let (category, event) = names(all.get(*index)?);
        let name = event.to_owned();
        let target = if is_raw {
            AttachTarget::RawTracepoint { name }
        } else {
            AttachTarget::Tracepoint {
                category: category.to_owned(),
                name,
            }
        };
        Some((target, at, 1))
    });
    let cookie = if is_raw {
        Feature::RawTracepointCookie
    } else {
        Feature::PerfLinkCookie
    };
    Some(Route {
        kind,
        section,
        name: first.1.to_owned(),
        attachments: attachments.collect(),
        pid_filter: PidFilter::Test,
        arguments: if needs.arguments && !is_raw {
            ArgumentAccess::InContext
        } else {
            ArgumentAccess::None
        },
        site: site_source(indexes.len(), needs.site, target, cookie),
        places: indexes,
    })
}

/// Which ways lead to which places.
#[derive(Default)]
struct Ways {
    raw_enter: Vec<usize>,
    raw_exit: Vec<usize>,
    enter: Vec<usize>,
    exit: Vec<usize>,
    direct: Vec<usize>,
    perf: Vec<usize>,
}

impl Ways {
    fn of(places: &[Place], needs: Needs) -> Ways {
        let mut ways = Ways::default();
        // Only a perf event has all of a record in memory, or a context of its kind.
        let is_perf_only = needs.arguments_in_memory || needs.context || needs.own_kind;
        for (index, place) in places.iter().enumerate() {
            let (category, event) = names(place);
            let is_syscall = category == "syscalls";
            let way = if is_perf_only || (needs.kernel_stack && !is_syscall) {
                &mut ways.perf
            } else if category == "raw_syscalls" {
                match event {
                    "sys_enter" => &mut ways.raw_enter,
                    "sys_exit" => &mut ways.raw_exit,
                    _ => &mut ways.perf,
                }
            } else if is_syscall {
                match syscalls::side(event) {
                    Some((Side::Enter, _)) => &mut ways.enter,
                    Some((Side::Exit, _)) => &mut ways.exit,
                    None => &mut ways.perf,
                }
            } else if !needs.arguments && DIRECT.contains(&category) {
                &mut ways.direct
            } else {
                &mut ways.perf
            };
            way.push(index);
        }
        ways
    }
}

/// So many system calls at most are traced by a perf event each, which adds 33 ns to every other
/// call of the machine (46 with their exits), where a program that turns the others away adds 84
/// (179). It takes 56 ns less for the calls it is for, so it is the cheaper way where these are
/// about half of all.
const FEW_CALLS: usize = 8;

fn routes(places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
    let mut ways = Ways::of(places, needs);
    let mut routes = Vec::new();
    for (side, indexes) in [(Side::Enter, ways.raw_enter), (Side::Exit, ways.raw_exit)] {
        if indexes.is_empty() {
            continue;
        }
        let cookie = Feature::RawTracepointCookie;
        let site = site_source(indexes.len(), needs.site, target, cookie);
        match syscalls::raw(side, indexes.clone(), needs, site, target) {
            Some(route) => routes.push(route),
            None => ways.perf.extend(indexes),
        }
    }
    for (side, indexes) in [(Side::Enter, ways.enter), (Side::Exit, ways.exit)] {
        if indexes.len() <= FEW_CALLS {
            ways.perf.extend(indexes);
            continue;
        }
        let (route, left) = syscalls::by_number(side, indexes, places, needs, target);
        routes.extend(route);
        ways.perf.extend(left);
    }
    ways.perf.sort_unstable();
    routes.extend(plain(
        ProgramKind::RawTracepoint,
        ways.direct,
        places,
        needs,
        target,
    ));
    routes.extend(plain(
        ProgramKind::Tracepoint,
        ways.perf,
        places,
        needs,
        target,
    ));
    routes.sort_by_key(|route| route.places.first().copied());
    routes
}

impl Provider for Tracepoint {
    fn aliases(&self) -> &'static [&'static str] {
        &["t"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        if spec.parts.len() != 2 {
            let form = "tracepoint:category:event";
            return Err(wrong_parts(spec, "tracepoint", "2", form));
        }
        let (category, event) = (spec.part(0), spec.part(1));
        if has_pattern(spec) {
            return matching(category, event, target).map_err(|e| unanswered(spec, e));
        }
        let format = target.tracepoint_format(category, event);
        match format.map_err(|e| unanswered(spec, e))? {
            Some(_) if category != NOT_EVENTS => Ok(vec![place(category, event)]),
            _ => Ok(Vec::new()),
        }
    }

    fn context(
        &self,
        place: &Place,
        needs: Needs,
        types: &TypeTable<'_>,
        target: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        let (category, event) = names(place);
        let mut arguments = None;
        if needs.arguments {
            let format = target.tracepoint_format(category, event);
            let format = format.map_err(|error| {
                Diagnostic::error(
                    rbt_grammar::codes::MACHINE,
                    error.to_string(),
                    rbt_grammar::Span::default(),
                    "",
                )
                .help(error.help)
            })?;
            // One name for all, so that events with the same fields share a program.
            let format = format.unwrap_or_default();
            arguments = Some(types.tracepoint_arguments("args", &format, space(category)));
        }
        Ok(ProbeContext {
            provider: &Tracepoint,
            place: place.clone(),
            space: space(category),
            arguments,
            numbered: 0,
            when: self.when(),
        })
    }

    fn nearest(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        let categories = target.tracepoint_categories().ok()?;
        let (category, event) = (spec.part(0), spec.part(1));
        let category = if categories.iter().any(|known| known == category) {
            category
        } else {
            nearest(category, categories.iter().map(String::as_str))?
        };
        let events = target.tracepoint_events(category).ok()?;
        let event = nearest(event, events.iter().map(String::as_str))?;
        Some(format!("tracepoint:{category}:{event}"))
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        routes(places, needs, target)
    }

    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        let (category, event) = match spec.parts.len() {
            // A word without a colon is looked for in the names of events.
            0 => ("*", "*"),
            1 => ("*", spec.part(0)),
            _ => (spec.part(0), spec.part(1)),
        };
        let category = if category.is_empty() { "*" } else { category };
        let event = if event.is_empty() { "*" } else { event };
        let found = matching(category, event, target).map_err(|e| unanswered(spec, e))?;
        Ok(found.into_iter().map(|place| place.text).collect())
    }

    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        let mut parts = name.splitn(3, ':').skip(1);
        let (Some(category), Some(event)) = (parts.next(), parts.next()) else {
            return Vec::new();
        };
        let Ok(Some(format)) = target.tracepoint_format(category, event) else {
            return Vec::new();
        };
        declarations(&format)
    }
}

/// The declarations of an event's own fields, as its text has them.
fn declarations(format: &str) -> Vec<String> {
    let lines = format.lines().filter_map(|line| {
        let rest = line.trim().strip_prefix("field:")?;
        let (declaration, _) = rest.split_once(';')?;
        Some(declaration.trim())
    });
    let is_own = |declaration: &str| {
        let name = declaration.split('[').next().unwrap_or(declaration);
        let name = name.rsplit([' ', '*']).next().unwrap_or(name);
        !is_common_field(name)
    };
    lines
        .filter(|declaration| is_own(declaration))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rbt_compiler::fixture::Fixture;
    use rbt_compiler::vocabulary::SiteSource;
    use rbt_grammar::ast::AttachPart;
    use rbt_grammar::{Span, Spanned};

    fn parts(texts: &[&str]) -> Vec<Spanned<AttachPart>> {
        let part = |text: &&str| AttachPart {
            text: (*text).to_owned(),
            is_quoted: false,
        };
        let span = Span::default();
        texts
            .iter()
            .map(|t| Spanned {
                node: part(t),
                span,
            })
            .collect()
    }

    fn expand(texts: &[&str]) -> Result<Vec<String>, String> {
        let parts = parts(texts);
        let spec = ProbeSpec {
            parts: &parts,
            span: Span::default(),
            allows_unsafe: false,
        };
        let places = Tracepoint.expand(&spec, &Fixture::new());
        places
            .map(|places| places.into_iter().map(|p| p.text).collect())
            .map_err(|e| e.message)
    }

    #[test]
    fn wildcards_are_expanded_in_order() {
        let found = expand(&["sched", "sched_wak*"]).expect("well-formed");
        let names = [
            "tracepoint:sched:sched_wakeup",
            "tracepoint:sched:sched_wakeup_new",
        ];
        assert_eq!(found, names);
        let found = expand(&["*", "sys_enter*"]).expect("well-formed");
        assert_eq!(found.len(), 11);
        assert_eq!(expand(&["sched", "nothing"]), Ok(Vec::new()));
        let few = "tracepoint probe type requires 2 arguments, found 1";
        assert_eq!(expand(&["sched"]), Err(String::from(few)));
    }

    #[test]
    fn the_cheapest_way_is_chosen() {
        let target = Fixture::new();
        let places = |names: &[(&str, &str)]| -> Vec<Place> {
            names.iter().map(|(c, e)| place(c, e)).collect()
        };
        let kinds = |names: &[(&str, &str)], needs: Needs| -> Vec<(ProgramKind, usize)> {
            let routes = routes(&places(names), needs, &target);
            routes.iter().map(|r| (r.kind, r.places.len())).collect()
        };
        let none = Needs::default();
        let arguments = Needs {
            arguments: true,
            ..none
        };
        let in_memory = Needs {
            arguments_in_memory: true,
            ..arguments
        };
        let raw = ProgramKind::RawTracepoint;
        let perf = ProgramKind::Tracepoint;
        let main = [("raw_syscalls", "sys_enter")];
        assert_eq!(kinds(&main, none), [(raw, 1)]);
        assert_eq!(kinds(&main, arguments), [(raw, 1)]);
        assert_eq!(kinds(&main, in_memory), [(perf, 1)]);
        let one = [("syscalls", "sys_enter_read")];
        assert_eq!(kinds(&one, none), [(perf, 1)]);
        let events = target.tracepoint_events("syscalls").expect("told");
        let entries = events
            .iter()
            .filter(|event| event.starts_with("sys_enter_"));
        let all: Vec<(&str, &str)> = entries.map(|event| ("syscalls", event.as_str())).collect();
        assert_eq!(kinds(&all, arguments), [(raw, all.len())]);
        assert_eq!(kinds(&all[..FEW_CALLS], arguments), [(perf, FEW_CALLS)]);
        let switch = [("sched", "sched_switch"), ("synthetic", "mine")];
        assert_eq!(kinds(&switch, none), [(raw, 1), (perf, 1)]);
        assert_eq!(kinds(&switch, arguments), [(perf, 2)]);
    }

    #[test]
    fn sites_are_told_apart_only_if_asked_for() {
        let target = Fixture::new();
        let places = [
            place("sched", "sched_wakeup"),
            place("sched", "sched_switch"),
        ];
        let needs = Needs {
            site: true,
            ..Needs::default()
        };
        let site = |needs| routes(&places, needs, &target)[0].site.clone();
        assert_eq!(site(needs), SiteSource::Cookie);
        assert_eq!(site(Needs::default()), SiteSource::Single);
    }

    #[test]
    fn fields_are_listed_as_the_kernel_declares_them() {
        let lines = Tracepoint.describe("tracepoint:sched:sched_wakeup", &Fixture::new());
        assert_eq!(
            lines,
            ["char comm[16]", "pid_t pid", "int prio", "int target_cpu"]
        );
    }
}
