//! One program: its prologue, the clause's body, its exit; and what all programs share.

use super::{Builder, Home, Known, SCRATCH_HEADER};
use crate::artifact::{
    AttachTarget, Fault, FaultKind, Manifest, MapId, MapKind, MapRole, MapSchema, ProgramKind,
    Shape, Storage, Variable, When,
};
use crate::hir;
use crate::ir::builder::FunctionBuilder;
use crate::ir::{
    self, Address, AluOp, AtomicOp, Comparison, End, InstKind, Operand, Reg, Size, helpers,
};
use crate::structs::TypeTable;
use crate::target::{Feature, Target};
use crate::types::{Space, Stack, Type};
use crate::vocabulary::{PidFilter, Route, SiteSource};
use rbt_grammar::Span;
use rbt_grammar::ast::TagKind;
use std::collections::HashMap;

/// Programs that can hold scratch memory on one CPU at a time.
const SCRATCH_CLAIMS: i64 = 4;

/// What was planned for all programs of a script.
#[derive(Debug)]
pub struct Plan {
    /// The script's maps, by [`hir::MapIndex`].
    pub maps: Vec<MapPlan>,
    /// The ring buffer.
    pub ring: MapId,
    /// Byte of the globals that counts lost events.
    pub lost_events: u32,
    /// Byte of the globals that counts runs without scratch memory.
    pub missed_runs: u32,
    /// Byte of the globals that says how much may wait before a record wakes userspace.
    pub wake_level: u32,
    /// By how much a record that wakes userspace raises that level, in bytes.
    pub wake_step: i64,
    /// Byte of `flags` in `struct task_struct`; used where elements stay.
    pub task_flags: u32,
    /// Byte of the globals where zeros are, enough for any map's value.
    pub zero: u32,
    /// The maps of stacks' frames, by the bytes of an element.
    pub stacks: Vec<(u32, MapId)>,
    /// What stacks of processes are unwound by, if they are.
    pub unwinding: Option<super::Unwinding>,
    /// The map of the parts of processes whose addresses were seen, if any are shown by name.
    pub seen_parts: MapId,
    /// Bytes of an object that may lie in the frame.
    pub frame_limit: u32,
    /// Whether failed reads and lookups are reported (`-k`).
    pub reports_reads: bool,
    /// Byte of the globals that is not zero while attached programs are to do nothing.
    pub shut: Option<u32>,
    /// Whether that is for all of them, not only for those that are slow to detach.
    pub shuts_all: bool,
    /// Byte of the globals that is not zero once a program has ended tracing.
    pub ending: Option<u32>,
}

/// How one map of the script is stored.
#[derive(Clone, Debug)]
pub struct MapPlan {
    /// As the manifest has it.
    pub storage: Storage,
    /// Byte of the globals, if it is a variable there.
    pub global: u32,
    /// Bytes of a value, the flag of a keyless map included.
    pub value_size: u32,
    /// Whether elements stay when they are deleted.
    pub is_kept: bool,
}

/// Faults that are looked at for one of the same place: those of a clause lie together.
const MOST_RECENT: usize = 256;

impl Plan {
    /// The shape of a type's values.
    pub fn shape(&self, types: &TypeTable<'_>, ty: &Type) -> Shape {
        types.shape(ty, &|stack| self.stack_map(stack))
    }

    /// The map of the frames of stacks of that kind.
    pub(super) fn stack_map(&self, stack: &Stack) -> MapId {
        let size = stack.stored_size();
        let found = self.stacks.iter().find(|(stored, _)| *stored == size);
        found.map_or(MapId(u32::MAX), |(_, map)| *map)
    }

    /// The counter of a fault: where it lies in the globals.
    pub(super) fn fault(
        &self,
        manifest: &mut Manifest,
        kind: FaultKind,
        span: Span,
        helper: &str,
    ) -> u32 {
        // Another counter for the same place does no harm, so only recent ones are looked at.
        let known = manifest
            .faults
            .iter()
            .rev()
            .take(MOST_RECENT)
            .find(|f| f.kind == kind && f.span == span && f.helper == helper);
        if let Some(fault) = known {
            return fault.offset;
        }
        let offset = manifest.globals.size;
        let number = manifest.faults.len();
        manifest.globals.size += 16;
        manifest.globals.variables.push(Variable {
            symbol: format!("fault_{number}"),
            offset,
            size: 16,
        });
        manifest.faults.push(Fault {
            kind,
            span,
            offset,
            helper: helper.to_owned(),
        });
        offset
    }
}

/// Lowers a clause for one of its routes. `sites` is the number of the route's first site.
#[allow(
    clippy::too_many_arguments,
    reason = "each is one thing lowering reads"
)]
pub fn lower_program(
    program: &hir::Program,
    clause: &hir::Clause,
    route: &Route,
    sites: u32,
    table: Option<MapId>,
    symbol: &str,
    target: &dyn Target,
    types: &TypeTable<'_>,
    manifest: &mut Manifest,
    plan: &Plan,
) -> ir::Program {
    let mut f = FunctionBuilder::new(symbol, 1, clause.span);
    let entry = ir::Label(0);
    let body = f.label();
    let exit = f.label();
    let context = f.param(0).unwrap_or(Reg(0));
    let scratch = f.reg();
    let result = f.reg();
    let mut b = Builder {
        program,
        clause,
        route,
        target,
        types,
        manifest,
        plan,
        f,
        callbacks: Vec::new(),
        begun: 0,
        homes: vec![Home::None; clause.variables.len()],
        known: vec![HashMap::new()],
        loops: Vec::new(),
        exit,
        context,
        scratch,
        scratch_used: 0,
        scratch_most: 0,
        site: None,
        callback: None,
        result,
        symbol: symbol.to_owned(),
        fill: super::Fill::Whole,
    };
    b.f.at(body);
    b.leave_if_shut();
    b.pid_filter();
    b.find_site(sites, table);
    b.statements(&clause.body);
    b.f.jump(exit);
    b.f.at(exit);
    if b.scratch_most > 0 {
        b.put(Address::reg(scratch), 0, Size::B8);
    }
    // The kernel wants nothing but zero of programs that are attached by type.
    b.f.end(End::Return(match route.kind {
        ProgramKind::Tracing => Operand::Imm(0),
        _ => Operand::Reg(result),
    }));
    b.f.at(entry);
    b.f.set(result, Operand::Imm(0));
    if b.scratch_most > 0 {
        b.claim_scratch();
    }
    b.f.jump(body);
    let mut functions = vec![b.f.finish()];
    functions.append(&mut b.callbacks);
    ir::Program { functions }
}

impl Builder<'_> {
    /// The process and thread ids as the tracer sees them: process in the upper half.
    pub fn process_and_thread(&mut self) -> Operand {
        self.once("process and thread ids", |b| {
            let Some(namespace) = b.target.pid_namespace() else {
                return Operand::Reg(b.call(helpers::GET_CURRENT_PID_TGID, &[]));
            };
            // struct bpf_pidns_info: pid, tgid.
            let info = b.temporary(8, "ids in the namespace");
            b.put(info, 0, Size::B8);
            let pointer = b.pointer(info);
            let device = Operand::Imm(namespace.device.cast_signed());
            let inode = Operand::Imm(namespace.inode.cast_signed());
            let args = [device, inode, pointer, Operand::Imm(8)];
            b.call_void(helpers::GET_NS_CURRENT_PID_TGID, &args);
            let thread = b.load(info, Size::B4);
            let process = b.load(info.plus(4), Size::B4);
            let upper = b.alu(AluOp::ShiftLeft, process, 32);
            b.alu(AluOp::Or, upper, thread)
        })
    }

    /// The process as the tracer sees it.
    pub fn process_id(&mut self) -> Operand {
        match self.own_id("tgid") {
            Some(id) => id,
            None => {
                let ids = self.process_and_thread();
                self.alu(AluOp::ShiftRight, ids, 32)
            }
        }
    }

    /// The thread as the tracer sees it.
    pub fn thread_id(&mut self) -> Operand {
        match self.own_id("pid") {
            Some(id) => id,
            None => {
                let ids = self.process_and_thread();
                self.zero_extend(ids, Size::B4)
            }
        }
    }

    /// The kernel's record of the current thread, where it gives programs one with a type.
    pub fn current_task(&mut self) -> Option<Operand> {
        self.has(Feature::CurrentTaskBtf).then(|| {
            self.once("current task, typed", |b| {
                Operand::Reg(b.call(helpers::GET_CURRENT_TASK_BTF, &[]))
            })
        })
    }

    /// An id of the current thread from the record that its name is read from as well: a load
    /// where the helper takes a call.
    fn own_id(&mut self, member: &str) -> Option<Operand> {
        if self.target.pid_namespace().is_some() || !self.has(Feature::CurrentTaskBtf) {
            return None;
        }
        let Some(Type::Struct(task)) = self.types.tagged(TagKind::Struct, "task_struct") else {
            return None;
        };
        let field = self.types.find_field(&task, member, Space::Kernel)?;
        if field.ty.size() != 4 {
            return None;
        }
        let name = format!("current task's {member}");
        if let Some(Known::Scalar(id)) = self.find_known(&name) {
            return Some(id);
        }
        let task = self.current_task()?;
        Some(self.once(&name, |b| {
            let offset = i64::from(field.offset);
            Operand::Reg(b.read_scalar(task, offset, Size::B4, Space::Direct))
        }))
    }

    /// The number of the site that fired.
    pub fn site(&mut self) -> Operand {
        self.site.unwrap_or(Operand::Site)
    }

    /// Whether texts may end at their NUL: what is written now goes to an event's record.
    pub fn fill(&self) -> super::Fill {
        self.fill
    }

    pub(super) fn filling<T>(
        &mut self,
        fill: super::Fill,
        lower: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = std::mem::replace(&mut self.fill, fill);
        let value = lower(self);
        self.fill = before;
        value
    }

    fn leave_if_shut(&mut self) {
        let Some(shut) = self.plan.shut else { return };
        if self.clause.provider.when() != When::Attached {
            return;
        }
        let mut targets = self.route.attachments.iter().map(|(target, ..)| target);
        if !self.plan.shuts_all && !targets.any(AttachTarget::is_slow_to_detach) {
            return;
        }
        let word = self.in_reg(Operand::Global(shut));
        let word = self.load(Address::reg(word), Size::B8);
        self.when(Comparison::NotEqual, word, 0, Self::leave);
    }

    fn pid_filter(&mut self) {
        let Some(pid) = self.target.traced_process().pid else {
            return;
        };
        if self.route.pid_filter != PidFilter::Test {
            return;
        }
        let ids = self.process_and_thread();
        let process = self.alu(AluOp::ShiftRight, ids, 32);
        self.when(Comparison::NotEqual, process, i64::from(pid), Self::leave);
    }

    /// Learns which site fired; an event that is none of the clause's leaves the program.
    fn find_site(&mut self, first: u32, table: Option<MapId>) {
        let first = i64::from(first);
        match &self.route.site {
            SiteSource::Single => self.site = Some(Operand::Imm(first)),
            SiteSource::SingleWith(sources) => {
                for source in sources.clone() {
                    let value = self.source_value(source);
                    self.when(Comparison::Equal, value, 0, Self::leave);
                }
                self.site = Some(Operand::Imm(first));
                self.mark_object();
            }
            SiteSource::Patched => self.site = Some(Operand::Site),
            SiteSource::Cookie => {
                if self.clause.needs.site || self.clause.needs.function {
                    let context = self.context();
                    let cookie = self.call(helpers::GET_ATTACH_COOKIE, &[context]);
                    self.site = Some(Operand::Reg(cookie));
                }
            }
            SiteSource::Table {
                number,
                table: values,
                excluded,
            } => {
                let Some(table) = table else { return };
                let number = self.source_value(*number);
                let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
                self.when(Comparison::GreaterEqual, number, count, Self::leave);
                let key = self.temporary(8, "the number of the event");
                self.put(key, number, Size::B8);
                let key = self.pointer(key);
                let found = self.call(helpers::MAP_LOOKUP_ELEM, &[Operand::Map(table), key]);
                let row = self.or_leave(super::MaybeNull::new(found));
                let place = self.load(row, Size::B4);
                self.when(Comparison::Equal, place, 0, Self::leave);
                if let Some((source, bits)) = excluded {
                    let value = self.source_value(*source);
                    self.when(Comparison::Set, value, *bits, Self::leave);
                }
                self.site = Some(self.alu(AluOp::Add, place, first - 1));
            }
        }
    }

    /// The text that an iterator leaves for whoever reads it: a `struct seq_file`.
    pub fn sequence(&mut self) -> Operand {
        // Both are the first members of theirs.
        let meta = self.load(Address::reg(self.context), Size::B8);
        Operand::Reg(self.load(Address::reg(meta), Size::B8))
    }

    /// The name that an iterator is left behind under, if it is.
    pub fn pin(&self) -> Option<&'_ str> {
        match self.route.attachments.first() {
            Some((AttachTarget::Iterator { pin, .. }, ..)) => pin.as_deref(),
            _ => None,
        }
    }

    /// Leaves one byte for an object, by which userspace reads a few objects at a time.
    fn mark_object(&mut self) {
        if self.pin().is_some() {
            return;
        }
        let sequence = self.sequence();
        let mark = self.temporary(8, "the mark of an object");
        self.put(mark, 0, Size::B8);
        let mark = self.pointer(mark);
        self.call_void(helpers::SEQ_WRITE, &[sequence, mark, Operand::Imm(1)]);
    }

    /// Claims one of this CPU's scratch elements; leaves the program, counted, if all are
    /// held by programs that this one interrupted.
    fn claim_scratch(&mut self) {
        let number = self.manifest.maps.len();
        let id = MapId(u32::try_from(number).unwrap_or(u32::MAX));
        let cpus = self.target.possible_cpus();
        self.manifest.maps.push(MapSchema {
            name: format!("scratch of {}", self.symbol),
            symbol: format!("scratch_{number}"),
            storage: Storage::Map {
                kind: MapKind::Array,
                key_size: 4,
                value_size: SCRATCH_HEADER + self.scratch_most,
                max_entries: cpus.saturating_mul(4),
                flags: 0,
            },
            role: MapRole::Scratch,
            is_kept: false,
            span: self.f.span,
        });
        let cpu = self.call(helpers::GET_SMP_PROCESSOR_ID, &[]);
        let first = self.alu(AluOp::Mul, cpu, SCRATCH_CLAIMS);
        let key = Address::frame(self.f.slot(8, "the number of a scratch element"));
        let got = self.f.label();
        for claim in 0..SCRATCH_CLAIMS {
            let index = self.alu(AluOp::Add, first, claim);
            self.put(key, index, Size::B4);
            let pointer = self.pointer(key);
            let found = self.call(helpers::MAP_LOOKUP_ELEM, &[Operand::Map(id), pointer]);
            let element = self.f.label();
            let none = self.f.label();
            let (left, right) = (Operand::Reg(found), Operand::Imm(0));
            self.f
                .branch(Comparison::NotEqual, left, right, element, none);
            self.f.at(element);
            self.f.set(self.scratch, Operand::Reg(found));
            let held = self.claim(Address::reg(found));
            self.f
                .branch(Comparison::Equal, held, Operand::Imm(0), got, none);
            self.f.at(none);
        }
        let missed = self.in_reg(Operand::Global(self.plan.missed_runs));
        self.atomic_add(Address::reg(missed), 1);
        self.f.end(End::Return(Operand::Imm(0)));
        self.f.at(got);
    }

    /// Marks an element as held; gives whether it was held before.
    fn claim(&mut self, element: Address) -> Operand {
        if self.has(Feature::AtomicFetch) {
            let src = self.copy(1);
            let fetched = self.f.reg();
            self.f.push(InstKind::Atomic {
                op: AtomicOp::Exchange,
                size: Size::B8,
                address: element,
                src,
                fetched: Some(fetched),
            });
            return Operand::Reg(fetched);
        }
        // Kernels without the exchange run these programs with preemption off: what can come
        // between is an interrupt, which is over before this goes on.
        let held = self.load(element, Size::B8);
        self.put(element, 1, Size::B8);
        Operand::Reg(held)
    }
}
