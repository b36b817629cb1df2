//! What a compilation gives: an object for the kernel and a manifest for userspace.
//!
//! All of it is plain data that could be written to disk: no reference to the tree, no
//! word's code, no open file. The kernel side is emitted from the manifest and the
//! userspace side decodes by it, so the two cannot disagree.

pub mod unwinding;

use rbt_grammar::Span;

/// An eBPF object and how to run and read it.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// A relocatable eBPF ELF with BTF and line information.
    pub object: Vec<u8>,
    /// The other half.
    pub manifest: Manifest,
}

/// Maps, events, programs and sites of an object, by number.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// Every map of the object, the script's first; a [`MapId`] is an index here.
    pub maps: Vec<MapSchema>,
    /// Every kind of record in the ring buffer; the record begins with this index as `u64`.
    pub events: Vec<EventSchema>,
    /// One for each program of the object.
    pub programs: Vec<ProgramPlan>,
    /// Every attach point; a site's number is an index here.
    pub sites: Vec<Site>,
    /// Texts that values refer to by number (`strftime` formats and the like).
    pub texts: Vec<String>,
    /// Variables that live in the object's one data section.
    pub globals: Globals,
    /// Places where a running program can fail, each with its counter in the globals.
    pub faults: Vec<Fault>,
    /// Settings that userspace must know.
    pub settings: Settings,
}

/// How much of a manifest there was, so that what was added since can be taken back.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    maps: usize,
    events: usize,
    texts: usize,
    faults: usize,
    variables: usize,
    bytes: u32,
}

impl Manifest {
    /// The manifest as it is now.
    pub fn mark(&self) -> Mark {
        Mark {
            maps: self.maps.len(),
            events: self.events.len(),
            texts: self.texts.len(),
            faults: self.faults.len(),
            variables: self.globals.variables.len(),
            bytes: self.globals.size,
        }
    }

    /// Gives the maps of texts room for all texts there are.
    pub fn size_texts(&mut self) {
        let (texts, sites) = (self.texts.len(), self.sites.len());
        for map in &mut self.maps {
            if let (MapRole::Texts { of_sites }, Storage::Map { max_entries, .. }) =
                (&map.role, &mut map.storage)
            {
                let count = if *of_sites { sites } else { texts };
                *max_entries = u32::try_from(count).unwrap_or(u32::MAX).max(1);
            }
        }
    }

    /// Takes back what lowering added since `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        self.maps.truncate(mark.maps);
        self.events.truncate(mark.events);
        self.texts.truncate(mark.texts);
        self.faults.truncate(mark.faults);
        self.globals.variables.truncate(mark.variables);
        self.globals.size = mark.bytes;
    }
}

/// What of the script's `config` matters after compilation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Maps print when tracing ends.
    pub print_maps_on_exit: bool,
    /// Appended to strings that were cut.
    pub truncation_trailer: String,
    /// Most bytes `cat` prints of a file.
    pub max_cat_bytes: u64,
    /// Bytes of the ring buffer; a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// What a failed attach does.
    pub missing_probes: MissingProbes,
    /// Bytes of verifier log that are asked for.
    pub log_size: u32,
    /// The licence that programs declare.
    pub license: String,
    /// Names of C++ and Rust symbols are shown as in the source.
    pub cpp_demangle: bool,
    /// For how long the symbols of a traced program are kept.
    pub cache_user_symbols: SymbolCache,
    /// Stacks show files, lines and inlined functions.
    pub show_debug_info: bool,
    /// Time series are told the time by a map of the script, as if it began at zero.
    pub has_dummy_clock: bool,
}

/// What is done about a probe that does not exist or cannot be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingProbes {
    /// Stop.
    Error,
    /// Say so and go on.
    Warn,
    /// Go on.
    Ignore,
}

/// For how long the symbols of a traced program are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolCache {
    /// As it suits: for each process; for the program where all its processes look alike.
    Automatic,
    /// For each process.
    PerPid,
    /// For all processes of a program.
    PerProgram,
    /// They are read anew each time.
    None,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            print_maps_on_exit: true,
            truncation_trailer: String::from(".."),
            max_cat_bytes: 10240,
            ring_bytes: 1 << 22,
            missing_probes: MissingProbes::Error,
            log_size: 1_000_000,
            license: String::from("GPL"),
            cpp_demangle: true,
            cache_user_symbols: SymbolCache::Automatic,
            show_debug_info: false,
            has_dummy_clock: false,
        }
    }
}

/// Number of a map in [`Manifest::maps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapId(pub u32);

/// Number of an event in [`Manifest::events`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub u32);

/// Number of a site in [`Manifest::sites`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteId(pub u32);

/// A map: how the kernel stores it and how its bytes are read.
#[derive(Clone, Debug)]
pub struct MapSchema {
    /// The script's name for it without `@` (empty for the nameless map), or an internal name.
    pub name: String,
    /// Its symbol in the object: at most 15 characters of `[A-Za-z0-9_.]`, unique.
    pub symbol: String,
    /// How the kernel stores it.
    pub storage: Storage,
    /// What it is for.
    pub role: MapRole,
    /// Whether deleted elements may stay: a value is then followed by 8 bytes, and an element
    /// of zeros counts as absent.
    pub is_kept: bool,
    /// Where the script first names it.
    pub span: Span,
}

/// How a map is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// A kernel map of its own.
    Map {
        /// The kernel's kind of map.
        kind: MapKind,
        /// Bytes of a key.
        key_size: u32,
        /// Bytes of a value (of one CPU's value).
        value_size: u32,
        /// Most entries; bytes for a ring buffer.
        max_entries: u32,
        /// `BPF_F_*` flags of map creation.
        flags: u32,
    },
    /// A variable of the data section: no key, one value.
    Global {
        /// Which: an index in [`Globals::variables`].
        variable: u32,
    },
}

/// The kernel's kinds of map that rbt uses; the number is the kernel's (`enum bpf_map_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MapKind {
    /// `BPF_MAP_TYPE_HASH`
    Hash = 1,
    /// `BPF_MAP_TYPE_ARRAY`
    Array = 2,
    /// `BPF_MAP_TYPE_PERCPU_HASH`
    PerCpuHash = 5,
    /// `BPF_MAP_TYPE_PERCPU_ARRAY`
    PerCpuArray = 6,
    /// `BPF_MAP_TYPE_STACK_TRACE`
    StackTrace = 7,
    /// `BPF_MAP_TYPE_LRU_HASH`
    LruHash = 9,
    /// `BPF_MAP_TYPE_LRU_PERCPU_HASH`
    LruPerCpuHash = 10,
    /// `BPF_MAP_TYPE_RINGBUF`
    RingBuffer = 27,
}

impl MapKind {
    /// Whether each CPU has a value of its own.
    pub fn is_per_cpu(self) -> bool {
        matches!(
            self,
            MapKind::PerCpuHash | MapKind::PerCpuArray | MapKind::LruPerCpuHash
        )
    }
}

/// What a map is for.
#[derive(Clone, Debug, PartialEq)]
pub enum MapRole {
    /// A map of the script: printed at the end, by `print`, cleared by `clear`.
    Script {
        /// What a key holds; `None` for a scalar map.
        key: Option<Shape>,
        /// What a value holds.
        value: MapValue,
    },
    /// The ring buffer that carries events.
    Events,
    /// Scratch memory, one element per CPU.
    Scratch,
    /// Frames of stacks by their value.
    Stacks,
    /// Which parts of which processes were heard of.
    Seen,
    /// Where in the memory of processes which piece of a table counts: see
    /// [`crate::artifact::unwinding`].
    UnwoundProcesses,
    /// Pieces of tables for unwinding.
    UnwindingPieces,
    /// A lookup table that userspace fills before attaching: the values by index.
    Table {
        /// `values[i]` goes to index `i`.
        values: Vec<u32>,
    },
    /// The manifest's texts, or those of its sites, by number, for programs that need their
    /// bytes: filled like a table, each cut to the element's size with a NUL at its end.
    Texts {
        /// The texts are those of sites.
        of_sites: bool,
    },
}

/// What a script map's value holds.
///
/// Shape: a keyless map, in whatever storage, begins with a `u64` that is non-zero once it
/// was written; the value follows at byte 8. A keyed map's value begins at byte 0.
#[derive(Clone, Debug, PartialEq)]
pub enum MapValue {
    /// One value.
    Plain(Shape),
    /// One slot, per CPU where the storage is per CPU, that a word's userspace half folds.
    Aggregate {
        /// The aggregation's name.
        word: String,
        /// Its literal parameters (bucket bits; bounds and step).
        params: Vec<i64>,
        /// Whether the aggregated integers are signed.
        is_signed: bool,
        /// Bytes of the slot.
        slot_size: u32,
    },
}

/// How a value lies in bytes and what it means: all that userspace needs to decode it.
///
/// Byte order is the machine's.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Nothing: zero bytes.
    None,
    /// An integer of 1, 2, 4 or 8 bytes.
    Int {
        /// Bytes.
        size: u8,
        /// Two's complement if so.
        is_signed: bool,
    },
    /// One byte, 0 or not.
    Bool,
    /// An integer whose values have names.
    Enum {
        /// Bytes.
        size: u8,
        /// Values and their names.
        names: Vec<(i64, String)>,
    },
    /// Eight bytes, shown as an address.
    Pointer,
    /// Text up to the first NUL. If there is none in all `capacity` bytes, it was cut.
    Text {
        /// Bytes.
        capacity: u32,
    },
    /// A `u32` length and then as many bytes, of `capacity` at most.
    Buffer {
        /// Most bytes after the length.
        capacity: u32,
    },
    /// Elements of one shape, one after the other.
    Array {
        /// What each is.
        element: Box<Shape>,
        /// Bytes from one to the next.
        stride: u32,
        /// How many.
        count: u32,
    },
    /// Values at offsets.
    Tuple(Vec<(u32, Shape)>),
    /// Named values at offsets: a record or a C struct or union.
    Struct(Vec<FieldShape>),
    /// Eight bytes: an address that kernel symbols name.
    KernelSymbol,
    /// Sixteen bytes: an address and the process (`u32` at byte 8) whose symbols name it.
    UserSymbol,
    /// Twenty bytes: the address family as `u32` (2 or 10), then 4 or 16 address bytes.
    Inet,
    /// Six bytes of a hardware address.
    Mac,
    /// Sixteen bytes: a number of [`Manifest::texts`] (the format) and boot-clock nanoseconds.
    Timestamp,
    /// Sixteen bytes: a number of [`Manifest::texts`] (a filter of hierarchies) and a cgroup's
    /// id, shown as the cgroup's paths.
    CgroupPath,
    /// Eight bytes: a user id that is shown as the user's name.
    Username,
    /// Eight bytes: number of a [`Manifest::sites`] entry, shown as its text.
    Site,
    /// Eight bytes: number of a [`Manifest::sites`] entry, shown as its function.
    SiteFunction,
    /// Eight bytes: number of a [`Manifest::texts`] entry.
    TextNumber,
    /// A stack: a `u64` hash of its frames, `u32` process (0 for kernel frames) and `u32`
    /// number of frames, with [`crate::artifact::unwinding::CUT`] if there was no way on. These 16 bytes are its key in a map; no frames, no element.
    Stack {
        /// The map that holds the frames: an element is `limit` words of 8 bytes, or with
        /// [`StackMode::BuildId`] `limit` of the kernel's `struct bpf_stack_build_id`.
        map: MapId,
        /// User or kernel frames.
        is_user: bool,
        /// How frames are written.
        mode: StackMode,
        /// Most frames.
        limit: u32,
    },
}

/// How stack frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StackMode {
    /// Eight spaces, `symbol+offset`.
    Bpftrace,
    /// Tab, address, `symbol+offset`, module.
    Perf,
    /// Addresses.
    Raw,
    /// Build id and file offset.
    BuildId,
}

impl StackMode {
    /// The mode of that name.
    pub fn of_name(name: &str) -> Option<StackMode> {
        let all = [
            StackMode::Bpftrace,
            StackMode::Perf,
            StackMode::Raw,
            StackMode::BuildId,
        ];
        all.into_iter().find(|mode| mode.name() == name)
    }

    /// Its name in the language.
    pub fn name(self) -> &'static str {
        match self {
            StackMode::Bpftrace => "bpftrace",
            StackMode::Perf => "perf",
            StackMode::Raw => "raw",
            StackMode::BuildId => "build_id",
        }
    }

    /// Whether frames are shown by names.
    pub fn has_names(self) -> bool {
        matches!(self, StackMode::Bpftrace | StackMode::Perf)
    }

    /// Bytes in which the kernel gives one frame.
    pub fn frame_size(self) -> u32 {
        match self {
            StackMode::Bpftrace | StackMode::Perf | StackMode::Raw => 8,
            // `struct bpf_stack_build_id`
            StackMode::BuildId => 32,
        }
    }
}

/// A named value inside a struct.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldShape {
    /// The member's name; empty for anonymous members, whose own members show in its place.
    pub name: String,
    /// Bytes from the start.
    pub offset: u32,
    /// What it holds.
    pub shape: Shape,
    /// For a bit-field: first bit (from the least significant of the integer at `offset`)
    /// and width.
    pub bits: Option<(u8, u8)>,
}

impl Shape {
    /// Bytes the value takes, without padding after it.
    pub fn size(&self) -> u32 {
        match self {
            Shape::None => 0,
            Shape::Int { size, .. } | Shape::Enum { size, .. } => u32::from(*size),
            Shape::Bool => 1,
            Shape::Pointer
            | Shape::KernelSymbol
            | Shape::Username
            | Shape::Site
            | Shape::SiteFunction
            | Shape::TextNumber => 8,
            Shape::Text { capacity } => *capacity,
            Shape::Buffer { capacity } => capacity.saturating_add(4),
            Shape::Array { stride, count, .. } => stride.saturating_mul(*count),
            Shape::Tuple(fields) => fields
                .iter()
                .map(|(offset, shape)| offset.saturating_add(shape.size()))
                .max()
                .unwrap_or(0),
            Shape::Struct(fields) => fields
                .iter()
                .map(|field| field.offset.saturating_add(field.shape.size()))
                .max()
                .unwrap_or(0),
            Shape::UserSymbol | Shape::Timestamp | Shape::CgroupPath | Shape::Stack { .. } => 16,
            Shape::Inet => 20,
            Shape::Mac => 6,
        }
    }
}

/// One kind of record in the ring buffer.
#[derive(Clone, Debug)]
pub struct EventSchema {
    /// The word whose userspace half gets it.
    pub word: String,
    /// What the word was told at compile time: format strings, map numbers, literals.
    pub params: Vec<Param>,
    /// Values in the record, in order; offsets count from the start of the record.
    pub fields: Vec<EventField>,
    /// Bytes of the whole record, its leading number included.
    pub size: u32,
    /// The call that makes it.
    pub span: Span,
}

/// One value of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct EventField {
    /// Bytes from the start of the record.
    pub offset: u32,
    /// What it holds.
    pub shape: Shape,
}

/// A literal that goes with an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// A number.
    Int(i64),
    /// A text: a format, a separator, a file name.
    Text(String),
    /// A map.
    Map(MapId),
    /// A parsed `printf` format.
    Format(Format),
}

/// A format string, parsed and checked at compile time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Format {
    /// Literal texts and conversions in order; conversions take the event's fields in order.
    pub pieces: Vec<FormatPiece>,
}

/// One piece of a format.
#[derive(Clone, Debug, PartialEq)]
pub enum FormatPiece {
    /// Text that is copied; any bytes.
    Text(Vec<u8>),
    /// A conversion that takes the next value.
    Verb(Verb),
}

/// One conversion of a format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verb {
    /// The letter and what it means.
    pub kind: VerbKind,
    /// `-`
    pub is_left: bool,
    /// `+`
    pub has_sign: bool,
    /// `#`
    pub is_alternate: bool,
    /// `0`
    pub is_zero_padded: bool,
    /// Minimum width.
    pub width: Option<u32>,
    /// `.n`
    pub precision: Option<u32>,
    /// Bits the integer is cut to first: 8 for `hh`, 16 for `h`; 0 keeps all of them.
    pub bits: u8,
}

/// The letters of conversions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerbKind {
    /// `d`, `i`
    #[default]
    Signed,
    /// `u`
    Unsigned,
    /// `x`
    LowerHex,
    /// `X`
    UpperHex,
    /// `o`
    Octal,
    /// `c`
    Character,
    /// `p`
    Pointer,
    /// `s`: the value's own text
    Text,
    /// `r`: a buffer, printable bytes kept, others `\xNN`
    Buffer,
    /// `rx`: a buffer, every byte `\xNN`
    BufferEscaped,
    /// `rh`: a buffer, every byte two hex digits, separated by spaces
    BufferHex,
    /// `gr`: kernel allocation flags
    AllocationFlags,
}

/// The bit of [`Globals::ending`] that says that tracing ends; the status is below it.
pub const ENDING: u64 = 1 << 8;

/// The object's one data section (`.bss`): zero at start, shared with userspace by mapping.
#[derive(Clone, Debug, Default)]
pub struct Globals {
    /// Bytes of the section; zero when there is none.
    pub size: u32,
    /// Named pieces of it.
    pub variables: Vec<Variable>,
    /// Where the count of events that found no room lies (`u64`), if there are events.
    pub lost_events: Option<u32>,
    /// Where the count of runs that found no scratch memory lies (`u64`), if any is used.
    pub missed_runs: Option<u32>,
    /// Where the number of waiting bytes lies above which a record wakes userspace (`u64`).
    /// Userspace sets it: high while it looks by itself, 0 (as at the start) while it sleeps.
    pub wake_level: Option<u32>,
    /// Where the word (`u64`) lies that userspace sets to keep attached programs from doing
    /// anything, if there is one: for those of one that takes part in a change of scripts, and
    /// for those that the kernel takes long to detach.
    pub shut: Option<u32>,
    /// Where the word (`u64`) lies that a program sets which ends tracing, if one can: its
    /// status above [`ENDING`]. It holds even if there was no room for the event, and from then
    /// on there are no others.
    pub ending: Option<u32>,
}

/// A named piece of the data section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its symbol in the object.
    pub symbol: String,
    /// Bytes from the start of the section; a multiple of 8.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// A place where a running program can fail. The program counts; userspace reports.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// The expression that fails.
    pub span: Span,
    /// Where its counter lies in the globals: `u64` count, then `i64` last return code.
    pub offset: u32,
    /// The helper that failed, for the report; empty when none did.
    pub helper: String,
}

/// What can go wrong in a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// An update found the map full.
    MapFull,
    /// A read of memory failed (reported with `-k`).
    ReadFailed,
    /// A lookup found no element (reported with `-k`).
    NoElement,
    /// A division or remainder by zero; 1 was used.
    DivisionByZero,
    /// An index past the end of an array.
    OutOfBounds,
    /// `cpid` without a child.
    NoChild,
    /// There was no room for the frames of a new stack.
    StackLost,
}

/// One program of the object: what loads it and where it goes.
#[derive(Clone, Debug)]
pub struct ProgramPlan {
    /// Its function symbol in the object: readable, unique.
    pub symbol: String,
    /// The section that holds it.
    pub section: String,
    /// The kernel's program type it is loaded as.
    pub kind: ProgramKind,
    /// The provider's name, for messages.
    pub provider: String,
    /// When it runs.
    pub when: When,
    /// Where it goes.
    pub attachments: Vec<Attachment>,
    /// Indexes of instructions (`ld_imm64`) whose constant is the site's number: where there
    /// are any, one copy of the program is loaded for each attachment and patched.
    pub site_patches: Vec<u32>,
    /// The clause, for messages.
    pub span: Span,
}

/// The kernel's kinds of program that rbt loads; the number is the kernel's
/// (`enum bpf_prog_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ProgramKind {
    /// `BPF_PROG_TYPE_KPROBE`: kprobes, uprobes, USDT.
    Kprobe = 2,
    /// `BPF_PROG_TYPE_TRACEPOINT`
    Tracepoint = 5,
    /// `BPF_PROG_TYPE_XDP`: benchmarks, which the kernel runs in a loop.
    Xdp = 6,
    /// `BPF_PROG_TYPE_PERF_EVENT`
    PerfEvent = 7,
    /// `BPF_PROG_TYPE_RAW_TRACEPOINT`
    RawTracepoint = 17,
    /// `BPF_PROG_TYPE_TRACING`: fentry, fexit, BTF raw tracepoints, iterators.
    Tracing = 26,
}

/// When a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Once, before anything is attached.
    Begin,
    /// Whenever what it is attached to happens.
    Attached,
    /// Each time the tracer gets SIGUSR1.
    Signal,
    /// Many times, to see how long it takes; only if asked.
    Bench,
    /// Once, to see whether it passes; only if asked.
    Test,
    /// Once, after everything was detached.
    End,
}

/// One way into the kernel for a program.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The place.
    pub target: AttachTarget,
    /// The first of the sites it stands for: the attach cookie.
    pub site: SiteId,
    /// How many attached functions or events the attach notice counts for it.
    pub count: u32,
    /// Whether only the process given by `-p`, where there is one, is to be probed.
    pub follows_pid: bool,
}

/// The places the kernel lets a program be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachTarget {
    /// Not attached: run by the kernel's test-run call.
    TestRun,
    /// A tracepoint through a perf event; its id is in tracefs.
    Tracepoint {
        /// `sched`
        category: String,
        /// `sched_switch`
        name: String,
    },
    /// A tracepoint directly.
    RawTracepoint {
        /// `sched_switch`
        name: String,
    },
    /// An instruction of the kernel.
    Kprobe {
        /// The function it is in, with its module where that was said (`module:function`);
        /// empty: by address.
        function: String,
        /// Bytes from the function's start; or the address.
        offset: u64,
        /// Whether it is the function's return.
        is_return: bool,
    },
    /// The entries or returns of many functions of the kernel, in one. Their sites follow
    /// each other.
    KprobeMulti {
        /// Their names.
        functions: Vec<String>,
        /// Whether it is their returns.
        is_return: bool,
    },
    /// A function of the kernel, by its type; each takes a load of its own.
    Function {
        /// The module it is in; empty: the kernel itself.
        module: String,
        /// Its number in the BTF of the kernel, or of the module.
        type_id: u32,
        /// Its name.
        function: String,
        /// Which end of it.
        side: Side,
    },
    /// The kernel's objects of a kind.
    Iterator {
        /// The number in the kernel's BTF of the function that names the kind.
        type_id: u32,
        /// The name in the BPF file system that the program is left behind under.
        pin: Option<String>,
    },
    /// Memory that is watched by the processor.
    Watchpoint {
        /// Where.
        address: u64,
        /// Bytes: 1, 2, 4 or 8.
        length: u32,
        /// For what: `HW_BREAKPOINT_*`, reads 1, writes 2, running 4.
        mode: u32,
    },
    /// An instruction of a file, wherever it is run from.
    Uprobe {
        /// The file.
        path: String,
        /// Bytes from the file's start.
        offset: u64,
        /// Where in the file the counter lies that the kernel keeps above zero in every process
        /// while the probe is there; zero: none.
        counter: u64,
        /// Whether it is the return of the function that begins there.
        is_return: bool,
    },
    /// Many instructions of a file, in one.
    UprobeMulti {
        /// The file.
        path: String,
        /// The instructions.
        points: Vec<FilePoint>,
        /// Whether it is the returns of the functions that begin there.
        is_return: bool,
    },
    /// A counter or clock.
    PerfEvent {
        /// `PERF_TYPE_*`
        kind: u32,
        /// The event of that type.
        config: u64,
        /// How often.
        sample: Sample,
        /// Where.
        cpus: Cpus,
    },
}

impl AttachTarget {
    /// Whether the kernel waits for all CPUs before it lets go of a program that is attached
    /// there: tens of milliseconds for each.
    pub fn is_slow_to_detach(&self) -> bool {
        match self {
            AttachTarget::Tracepoint { .. }
            | AttachTarget::Kprobe { .. }
            | AttachTarget::KprobeMulti { .. }
            | AttachTarget::Function { .. }
            | AttachTarget::Uprobe { .. }
            | AttachTarget::UprobeMulti { .. } => true,
            AttachTarget::TestRun
            | AttachTarget::RawTracepoint { .. }
            | AttachTarget::Iterator { .. }
            | AttachTarget::Watchpoint { .. }
            | AttachTarget::PerfEvent { .. } => false,
        }
    }
}

/// The ends of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where it is entered.
    Entry,
    /// Where it returns.
    Return,
}

/// One instruction of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePoint {
    /// Bytes from the file's start.
    pub offset: u64,
    /// Where its counter lies in the file; zero: it has none.
    pub counter: u64,
    /// Its site, counted from that of the attachment.
    pub site: u32,
}

/// How often a perf event fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// Every n events (nanoseconds, for clocks).
    Period(u64),
    /// n times a second.
    Frequency(u64),
}

/// Which CPUs a perf event is opened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpus {
    /// The first that is online.
    First,
    /// Every one that is online.
    Every,
}

/// One attach point after wildcards were expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// What `probe` shows: `tracepoint:sched:sched_switch`.
    pub text: String,
    /// What `func` shows; empty where there is no function.
    pub function: String,
}
