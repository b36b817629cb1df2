//! Numbers for maps, events, programs and sites; how each map is stored; which way each
//! clause reaches its places.
//!
//! Storage follows from how the script uses a map: without keys it is a variable of the data
//! section or, for an aggregation, one row for each CPU; an aggregation whose value the
//! script reads back is shared by all CPUs, so that one lookup reads it.

use super::kept::Kept;
use crate::Options;
use crate::artifact::{
    Attachment, Globals, Manifest, MapId, MapKind, MapRole, MapSchema, MapValue, ProgramPlan,
    Settings, Site, SiteId, StackMode, Storage, Variable,
};
use crate::artifact::{ProgramKind, When};
use crate::hir::{self, DeclaredKind, ExprKind, MapContent, StmtKind};
use crate::lower::{KEPT_BYTES, MapPlan, Plan, Unwinding};
use crate::structs::TypeTable;
use crate::target::{Feature, Target};
use crate::types::Type;
use crate::vocabulary::{Needs, PidFilter, Route, SiteSource};
use std::collections::{BTreeSet, HashMap, HashSet};

/// `BPF_F_NO_PREALLOC` of `linux/bpf.h`.
const NO_PREALLOC: u32 = 1;

/// Bytes of the ring buffer unless the script sets them.
const RING_BYTES: u32 = 1 << 22;

/// Bytes of the ring buffer of a script that only ever says that it ends: thousands of such
/// records, as userspace needs a moment to detach what goes on sending them.
const ENDS_RING_BYTES: u32 = 1 << 18;

/// Bytes of a keyless aggregation's slot above which all CPUs share one: the kernel gives a
/// CPU's value less than a page of pages.
const LARGE_ROW: u32 = 16 << 10;

/// Parts of processes that are remembered as heard of.
const SEEN_PARTS: u32 = 1 << 14;

/// Bytes of a keyed aggregation's slot above which all CPUs share one: `max_map_keys` of them
/// for each CPU would be too much memory to set aside.
const LARGE_SLOT: u32 = 64;

/// One program to make: a clause, one of its routes, and what it got.
#[derive(Debug)]
pub struct PlannedProgram {
    /// Index of the clause.
    pub clause: usize,
    /// The route.
    pub route: Route,
    /// Number of the route's first site.
    pub first_site: u32,
    /// The map of event numbers, if the route needs one.
    pub table: Option<MapId>,
    /// Index in [`Manifest::programs`].
    pub plan: usize,
}

/// Plans a typed script.
pub fn run(
    program: &hir::Program,
    target: &dyn Target,
    types: &TypeTable<'_>,
    options: &Options,
) -> (Manifest, Plan, Vec<PlannedProgram>) {
    let config = &program.config;
    let ring_bytes = match u32::try_from(config.perf_rb_pages) {
        Ok(0) | Err(_) => RING_BYTES,
        Ok(pages) => pages
            .clamp(1, 1 << 16)
            .next_power_of_two()
            .saturating_mul(4096),
    };
    let mut manifest = Manifest {
        settings: Settings {
            print_maps_on_exit: config.print_maps_on_exit,
            truncation_trailer: config.str_trunc_trailer.clone(),
            max_cat_bytes: config.max_cat_bytes,
            ring_bytes,
            missing_probes: config.missing_probes,
            log_size: u32::try_from(config.log_size).unwrap_or(u32::MAX),
            license: config.license.to_owned(),
            cpp_demangle: config.cpp_demangle,
            cache_user_symbols: config.cache_user_symbols,
            show_debug_info: config.show_debug_info,
            has_dummy_clock: config.dummy_ts_map.is_some(),
        },
        ..Manifest::default()
    };
    let mut usage = usage(program, options.carried.is_some());
    // Clauses that can still come may do anything with a map.
    if !options.reports_reads && options.carried.is_none() {
        usage.kept = super::kept::find(program, target, types);
    }
    let lost_events = global(&mut manifest.globals, "lost_events", 8);
    let missed_runs = global(&mut manifest.globals, "missed_runs", 8);
    manifest.globals.lost_events = Some(lost_events);
    manifest.globals.missed_runs = Some(missed_runs);
    let wake_level = global(&mut manifest.globals, "wake_level", 8);
    manifest.globals.wake_level = Some(wake_level);
    let mut plan = Plan {
        maps: Vec::new(),
        ring: MapId(0),
        lost_events,
        missed_runs,
        wake_level,
        wake_step: i64::from(ring_bytes / 4),
        task_flags: usage.kept.task_flags,
        zero: 0,
        stacks: Vec::new(),
        seen_parts: MapId(u32::MAX),
        unwinding: None,
        frame_limit: u32::try_from(config.on_stack_limit).unwrap_or(128).min(256),
        reports_reads: options.reports_reads,
        shut: None,
        shuts_all: false,
        ending: None,
    };
    // Shapes of the script's maps name those of stacks, which come after all of them.
    let next = u32::try_from(program.maps.len()).unwrap_or(u32::MAX);
    let numbers = (next..).map(MapId);
    plan.stacks = usage.stacks.iter().copied().zip(numbers).collect();
    if let Some(carried) = &options.carried {
        manifest.sites.clone_from(&carried.sites);
        manifest.texts.clone_from(&carried.texts);
        plan.shut = Some(global(&mut manifest.globals, "shut", 8));
        plan.shuts_all = true;
    } else if usage.may_end {
        plan.ending = Some(global(&mut manifest.globals, "ending", 8));
        manifest.globals.ending = plan.ending;
    }
    let mut largest = 8_u32;
    for (index, map) in program.maps.iter().enumerate() {
        let (schema, planned) = script_map(
            index,
            map,
            program,
            &usage,
            target,
            (types, &plan),
            &mut manifest.globals,
        );
        if map.key.is_some() {
            largest = largest.max(planned.value_size);
        }
        manifest.maps.push(schema);
        plan.maps.push(planned);
    }
    let (max_entries, flags) = stack_entries(config.max_map_keys, target);
    for (size, _) in &plan.stacks {
        let storage = Storage::Map {
            kind: MapKind::Hash,
            key_size: 16,
            value_size: *size,
            max_entries,
            flags,
        };
        let name = format!("stacks_{size}");
        internal(&mut manifest, &name, storage, MapRole::Stacks);
    }
    let wants_tables = usage.unwinds || follows_process(program, target);
    if usage.has_user_stacks && wants_tables && target.can_unwind() {
        plan.unwinding = Some(unwinding(&mut manifest));
    }
    if usage.has_user_symbols {
        let storage = Storage::Map {
            kind: MapKind::Hash,
            key_size: 16,
            value_size: 8,
            max_entries: SEEN_PARTS,
            flags,
        };
        plan.seen_parts = internal(&mut manifest, "seen_parts", storage, MapRole::Seen);
    }
    plan.zero = global(&mut manifest.globals, "zeros", largest.next_multiple_of(8));
    plan.ring = internal(
        &mut manifest,
        "events",
        Storage::Map {
            kind: MapKind::RingBuffer,
            key_size: 0,
            value_size: 0,
            max_entries: ring_bytes,
            flags: 0,
        },
        MapRole::Events,
    );
    let programs = programs(program, target, &mut manifest);
    let mut attachments = manifest.programs.iter().flat_map(|p| &p.attachments);
    if plan.shut.is_none() && attachments.any(|a| a.target.is_slow_to_detach()) {
        plan.shut = Some(global(&mut manifest.globals, "shut", 8));
    }
    manifest.globals.shut = plan.shut;
    (manifest, plan, programs)
}

/// Makes the ring buffer small where every event ends tracing: making and mapping a large one
/// takes longer than all else such a script does at its start. `ends` says it of a word.
pub fn fit_ring(manifest: &mut Manifest, ends: &dyn Fn(&str) -> bool) {
    let mut events = manifest.events.iter();
    if manifest.events.is_empty() || !events.all(|event| ends(&event.word)) {
        return;
    }
    manifest.settings.ring_bytes = ENDS_RING_BYTES;
    for map in &mut manifest.maps {
        if let (MapRole::Events, Storage::Map { max_entries, .. }) = (&map.role, &mut map.storage) {
            *max_entries = ENDS_RING_BYTES;
        }
    }
}

fn programs(
    program: &hir::Program,
    target: &dyn Target,
    manifest: &mut Manifest,
) -> Vec<PlannedProgram> {
    let mut planned = Vec::new();
    let mut symbols = HashMap::new();
    let carried = manifest.sites.len();
    // Places that are written alike are one key of a map, so they share a number.
    let mut known = HashMap::new();
    for (site, number) in manifest.sites.iter().zip(0..) {
        known.entry(site.text.clone()).or_insert(number);
    }
    for (index, clause) in program.clauses.iter().enumerate() {
        let needs = Needs {
            own_kind: clause.needs.own_kind || !program.config.cheaper_probes,
            ..clause.needs
        };
        for route in clause.provider.routes(&clause.places, needs, target) {
            let places = route.places.iter();
            let sites: Vec<Site> = places
                .map(|place| match clause.places.get(*place) {
                    Some(place) => Site {
                        text: place.text.clone(),
                        function: clause.provider.function(place),
                    },
                    None => Site::default(),
                })
                .collect();
            let is_apart = !clause.needs.site || matches!(route.site, SiteSource::Table { .. });
            let numbers: Vec<u32> = if is_apart {
                let texts: Vec<String> = sites.iter().map(|site| site.text.clone()).collect();
                let first = site_numbers(&mut manifest.sites, sites, carried);
                for (text, number) in texts.into_iter().zip(first..) {
                    known.entry(text).or_insert(number);
                }
                (first..).take(route.places.len()).collect()
            } else {
                sites
                    .into_iter()
                    .map(|site| shared_number(&mut manifest.sites, &mut known, site))
                    .collect()
            };
            let first_site = numbers.first().copied().unwrap_or(0);
            let attachments: Vec<Attachment> = route
                .attachments
                .iter()
                .map(|(target, place, count)| Attachment {
                    target: target.clone(),
                    site: SiteId(numbers.get(*place).copied().unwrap_or(first_site)),
                    count: *count,
                    follows_pid: route.pid_filter == PidFilter::Attach,
                })
                .collect();
            let table = match &route.site {
                SiteSource::Table { table, .. } => {
                    let entries = u32::try_from(table.len()).unwrap_or(u32::MAX);
                    let name = format!("table_{}", manifest.maps.len());
                    let storage = Storage::Map {
                        kind: MapKind::Array,
                        key_size: 4,
                        value_size: 4,
                        max_entries: entries.max(1),
                        flags: 0,
                    };
                    let role = MapRole::Table {
                        values: table.clone(),
                    };
                    Some(internal(manifest, &name, storage, role))
                }
                _ => None,
            };
            let symbol = unique_symbol(&route.name, &mut symbols);
            planned.push(PlannedProgram {
                clause: index,
                first_site,
                table,
                plan: manifest.programs.len(),
                route: route.clone(),
            });
            manifest.programs.push(ProgramPlan {
                section: section(&route, &symbol),
                symbol,
                kind: route.kind,
                provider: clause.provider.name().to_owned(),
                when: clause.provider.when(),
                attachments,
                site_patches: Vec::new(),
                span: clause.span,
            });
        }
    }
    planned
}

/// The number of the site that is written like this one, or a new one.
fn shared_number(all: &mut Vec<Site>, known: &mut HashMap<String, u32>, site: Site) -> u32 {
    *known.entry(site.text.clone()).or_insert_with(|| {
        let number = u32::try_from(all.len()).unwrap_or(u32::MAX);
        all.push(site);
        number
    })
}

/// The number of the first of some sites, which follow each other: the numbers they have
/// among the first `carried`, or new ones.
fn site_numbers(all: &mut Vec<Site>, sites: Vec<Site>, carried: usize) -> u32 {
    let known = all.get(..carried).unwrap_or(&[]);
    let found = known.windows(sites.len().max(1)).position(|w| w == sites);
    let first = found.unwrap_or(all.len());
    if found.is_none() {
        all.extend(sites);
    }
    u32::try_from(first).unwrap_or(u32::MAX)
}

/// Adds the program that removes elements of threads that exit, if there are elements that
/// stay; gives its index in [`Manifest::programs`].
pub fn add_exit_program(
    manifest: &mut Manifest,
    plan: &Plan,
    span: rbt_grammar::Span,
) -> Option<usize> {
    if !plan.maps.iter().any(|map| map.is_kept) {
        return None;
    }
    let symbol = String::from("elements_of_exiting_threads");
    let kind = ProgramKind::RawTracepoint;
    manifest.programs.push(ProgramPlan {
        section: crate::object::section_name(kind, &symbol),
        symbol,
        kind,
        provider: String::from("rawtracepoint"),
        when: crate::artifact::When::Attached,
        attachments: vec![Attachment {
            target: crate::artifact::AttachTarget::RawTracepoint {
                name: String::from("sched_process_exit"),
            },
            site: SiteId(u32::MAX),
            count: 0,
            follows_pid: false,
        }],
        site_patches: Vec::new(),
        span,
    });
    Some(manifest.programs.len() - 1)
}

fn section(route: &Route, symbol: &str) -> String {
    if route.section.is_empty() || route.kind == ProgramKind::PerfEvent {
        crate::object::section_name(route.kind, symbol)
    } else {
        route.section.clone()
    }
}

/// A C identifier that no other program has.
fn unique_symbol(name: &str, taken: &mut HashMap<String, u32>) -> String {
    let mut base: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if !base.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        base.insert(0, '_');
    }
    base.truncate(100);
    // How often a name was wanted says where to go on looking.
    let mut number = taken.get(&base).map_or(1, |often| often + 1);
    let mut symbol = base.clone();
    while number > 1 {
        symbol = format!("{base}_{number}");
        if !taken.contains_key(&symbol) {
            break;
        }
        number += 1;
    }
    if number > 1 {
        taken.insert(symbol.clone(), 1);
    }
    taken.insert(base, number);
    symbol
}

/// How the script uses its maps.
struct Usage {
    /// Aggregations whose value is read back, or that are iterated.
    read: HashSet<u32>,
    /// Bytes of the frames of the stacks that are taken.
    stacks: BTreeSet<u32>,
    /// Whether there are stacks of processes, and such as are to be unwound in any case.
    has_user_stacks: bool,
    unwinds: bool,
    /// Whether addresses of processes are shown by name.
    has_user_symbols: bool,
    /// Whether something that happens while others do can end tracing.
    may_end: bool,
    /// Those whose elements stay when they are deleted.
    kept: Kept,
}

/// `may_all_be_read` if clauses that read maps can still come.
fn usage(program: &hir::Program, may_all_be_read: bool) -> Usage {
    let mut usage = Usage {
        read: if may_all_be_read {
            (0..).take(program.maps.len()).collect()
        } else {
            HashSet::new()
        },
        stacks: BTreeSet::new(),
        has_user_stacks: false,
        unwinds: false,
        has_user_symbols: false,
        may_end: false,
        kept: Kept::default(),
    };
    for clause in &program.clauses {
        let runs_meanwhile = matches!(clause.provider.when(), When::Attached | When::Signal);
        hir::each_statement(&clause.body, &mut |statement| {
            if let StmtKind::ForMap { map, .. } = &statement.kind {
                usage.read.insert(map.0);
            }
        });
        hir::any_in(&clause.body, &mut |expr| {
            if let ExprKind::ReadAggregate { map, .. } = &expr.kind {
                usage.read.insert(map.0);
            }
            usage.has_user_symbols |= expr.ty == Type::UserSymbol;
            if let ExprKind::Call(call) = &expr.kind {
                usage.may_end |= runs_meanwhile && call.word.is_some_and(|word| word.diverges());
            }
            if let Type::Stack(stack) = &expr.ty
                && stack.limit > 0
            {
                usage.stacks.insert(stack.stored_size());
                if stack.is_user && stack.mode != StackMode::BuildId {
                    usage.has_user_stacks = true;
                    usage.unwinds |= stack.is_unwound;
                }
            }
            false
        });
    }
    usage
}

/// Whether the script is about a process, or places of a program: then its stacks are worth
/// the instructions that unwind them.
fn follows_process(program: &hir::Program, target: &dyn Target) -> bool {
    let traced = target.traced_process();
    let is_of_program = |clause: &hir::Clause| clause.provider.is_of_program();
    traced.pid.is_some() || traced.child.is_some() || program.clauses.iter().any(is_of_program)
}

/// The maps that unwinding goes by.
fn unwinding(manifest: &mut Manifest) -> Unwinding {
    use crate::artifact::unwinding::{PIECES, PROCESSES, ROW, ROWS, SEGMENT, SEGMENTS};
    let mut hash = |name: &str, value_size, max_entries, role| {
        let storage = Storage::Map {
            kind: MapKind::Hash,
            key_size: 8,
            value_size,
            max_entries,
            flags: NO_PREALLOC,
        };
        internal(manifest, name, storage, role)
    };
    let segments = SEGMENTS * SEGMENT;
    let processes = MapRole::UnwoundProcesses;
    Unwinding {
        processes: hash("processes", segments, PROCESSES, processes),
        pieces: hash("pieces", ROWS * ROW, PIECES, MapRole::UnwindingPieces),
    }
}

/// How many different stacks are kept, and the flags of their map: as many as two maps of the
/// script can hold, and room for those that only events carry. Where the kernel allocates
/// safely it costs nothing until it is used.
fn stack_entries(max_map_keys: u64, target: &dyn Target) -> (u32, u32) {
    let wanted = u32::try_from(max_map_keys.saturating_mul(2)).unwrap_or(u32::MAX);
    if target.has(Feature::SafeHashAllocation) {
        (wanted.clamp(1 << 15, 1 << 24), NO_PREALLOC)
    } else {
        (wanted.clamp(1 << 10, 1 << 16), 0)
    }
}

fn global(globals: &mut Globals, symbol: &str, size: u32) -> u32 {
    let offset = globals.size;
    globals.size = offset.saturating_add(size.next_multiple_of(8));
    globals.variables.push(Variable {
        symbol: symbol.to_owned(),
        offset,
        size,
    });
    offset
}

fn internal(manifest: &mut Manifest, name: &str, storage: Storage, role: MapRole) -> MapId {
    let id = MapId(u32::try_from(manifest.maps.len()).unwrap_or(u32::MAX));
    manifest.maps.push(MapSchema {
        name: name.to_owned(),
        symbol: name.to_owned(),
        storage,
        role,
        is_kept: false,
        span: rbt_grammar::Span::default(),
    });
    id
}

/// The symbol of a script's map: `@start` is `AT_start`; long names keep their number.
fn map_symbol(index: usize, name: &str) -> String {
    let symbol = format!("AT_{name}");
    if symbol.len() <= 15 {
        return symbol;
    }
    let number = index.to_string();
    let kept: String = symbol.chars().take(14 - number.len()).collect();
    format!("{kept}_{number}")
}

fn script_map(
    index: usize,
    map: &hir::Map,
    program: &hir::Program,
    usage: &Usage,
    target: &dyn Target,
    (types, plan): (&TypeTable<'_>, &Plan),
    globals: &mut Globals,
) -> (MapSchema, MapPlan) {
    let number = u32::try_from(index).unwrap_or(u32::MAX);
    let symbol = map_symbol(index, &map.name);
    let (value, size, is_aggregate) = match &map.value {
        MapContent::Plain(ty) => {
            let size = ty.size().max(1);
            (MapValue::Plain(plan.shape(types, ty)), size, false)
        }
        MapContent::Aggregate {
            word,
            params,
            is_signed,
        } => {
            let slot_size = word.slot_size(params, *is_signed);
            let value = MapValue::Aggregate {
                word: word.name().to_owned(),
                params: params.clone(),
                is_signed: *is_signed,
                slot_size,
            };
            (value, slot_size, true)
        }
    };
    let is_large = size
        > if map.key.is_some() {
            LARGE_SLOT
        } else {
            LARGE_ROW
        };
    let is_shared = usage.read.contains(&number) || is_large;
    let is_per_cpu = is_aggregate && !is_shared;
    let Some(key) = &map.key else {
        let value_size = size.next_multiple_of(8).saturating_add(8);
        let role = MapRole::Script { key: None, value };
        let (storage, global) = if is_per_cpu {
            let storage = Storage::Map {
                kind: MapKind::PerCpuArray,
                key_size: 4,
                value_size,
                max_entries: 1,
                flags: 0,
            };
            (storage, 0)
        } else {
            let variable = u32::try_from(globals.variables.len()).unwrap_or(u32::MAX);
            let at = global(globals, &symbol, value_size);
            (Storage::Global { variable }, at)
        };
        let schema = MapSchema {
            name: map.name.clone(),
            symbol,
            storage: storage.clone(),
            role,
            is_kept: false,
            span: map.span,
        };
        let plan = MapPlan {
            storage,
            global,
            value_size,
            is_kept: false,
        };
        return (schema, plan);
    };
    let is_kept = usage.kept.maps.contains(&number);
    let size = if is_kept { KEPT_BYTES } else { size };
    let declared = map.declared;
    let is_lru = declared
        .is_some_and(|d| matches!(d.kind, DeclaredKind::LruHash | DeclaredKind::PerCpuLruHash));
    let kind = match (is_lru, is_per_cpu) {
        (false, false) => MapKind::Hash,
        (false, true) => MapKind::PerCpuHash,
        (true, false) => MapKind::LruHash,
        (true, true) => MapKind::LruPerCpuHash,
    };
    let default = u32::try_from(program.config.max_map_keys).unwrap_or(u32::MAX);
    let entries = declared.map_or(default, |d| d.entries).max(1);
    // Without preallocation a map costs nothing until it is used; older kernels cannot
    // allocate safely wherever a program may run. Elements with a value for each CPU are
    // allocated before: the kernel keeps only three spare ones, and an interrupt that meets
    // four new keys would lose one.
    let flags = if !is_lru && !is_per_cpu && target.has(Feature::SafeHashAllocation) {
        NO_PREALLOC
    } else {
        0
    };
    let storage = Storage::Map {
        kind,
        key_size: key.size().max(1),
        value_size: size,
        max_entries: entries,
        flags,
    };
    let schema = MapSchema {
        name: map.name.clone(),
        symbol,
        storage: storage.clone(),
        role: MapRole::Script {
            key: Some(plan.shape(types, key)),
            value,
        },
        is_kept,
        span: map.span,
    };
    let plan = MapPlan {
        storage,
        global: 0,
        value_size: size,
        is_kept,
    };
    (schema, plan)
}
