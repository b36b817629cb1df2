//! The questions the compiler may ask about a kernel.
//!
//! The host answers lazily, from the running machine; a fixture answers from text. An
//! answer never changes during a compilation. The compiler asks nothing else of the world.

use crate::arch::Arch;
use crate::artifact::ProgramKind;
use crate::binary::Binary;
use crate::btf::Btf;
use std::fmt;
use std::rc::Rc;

/// A kernel to compile for.
pub trait Target {
    /// Its architecture.
    fn arch(&self) -> &'static Arch;

    /// Its type information. Read when first asked for.
    ///
    /// Errors: there is none, or it cannot be read.
    fn btf(&self) -> Result<&Btf, TargetError>;

    /// Whether the kernel can do something. Probed when first asked, never guessed from a
    /// version number.
    fn has(&self, feature: Feature) -> bool;

    /// Tracepoint categories, sorted.
    fn tracepoint_categories(&self) -> Result<Vec<String>, TargetError>;

    /// Events of one category, sorted; empty if there is no such category.
    fn tracepoint_events(&self, category: &str) -> Result<Vec<String>, TargetError>;

    /// The text of an event's `format` file; `None` if there is no such event.
    fn tracepoint_format(&self, category: &str, event: &str)
    -> Result<Option<String>, TargetError>;

    /// Address of a kernel symbol; `None` if there is no such symbol.
    fn kernel_symbol(&self, name: &str) -> Result<Option<u64>, TargetError>;

    /// Calls `visit` with each function of the kernel that can be traced and the module it is
    /// in (empty: the kernel itself), in no order, until it gives `false`.
    ///
    /// Errors: the machine does not list them.
    fn each_function(&self, visit: &mut dyn FnMut(&str, &str) -> bool) -> Result<(), TargetError>;

    /// Whether the list of [`Target::each_function`] was given by the user, who then means
    /// that nothing else can be traced.
    fn has_own_functions(&self) -> bool;

    /// Whether a function, by its number in the kernel's BTF, takes a program at its entry.
    fn takes_program(&self, function: u32) -> bool;

    /// Whether programs of a kind may call a function of the kernel.
    fn may_call(&self, kind: ProgramKind, function: &str) -> bool;

    /// Whether a module is loaded.
    fn has_module(&self, name: &str) -> bool;

    /// Id of the cgroup2 directory at `path`; `None` if there is none.
    fn cgroup_id(&self, path: &str) -> Result<Option<u64>, TargetError>;

    /// The executables and libraries that the target of a user-space probe means, as paths:
    /// the one that counts first, others of the same name after it; all matches, if there is a
    /// `*` in it. None if there is no such file. Empty means the process of `-p`.
    fn find_binaries(&self, target: &str) -> Vec<String>;

    /// An executable or library.
    ///
    /// Errors: it cannot be read.
    fn binary(&self, path: &str) -> Result<Rc<dyn Binary>, TargetError>;

    /// The files the process of `-p` runs: its executable and its libraries.
    fn mapped_binaries(&self) -> Vec<String>;

    /// CPUs the kernel may ever bring up.
    fn possible_cpus(&self) -> u32;

    /// The process-id namespace that ids are to be shown in; `None` for the initial one.
    fn pid_namespace(&self) -> Option<PidNamespace>;

    /// Boot-clock nanoseconds at which tracing starts: what `elapsed` counts from.
    fn start_time(&self) -> u64;

    /// The text of a header that a script, or the header at the path `includer`, includes by
    /// `"name"` or `<name>`; `None` if there is none.
    fn header(&self, _name: &str, _is_quoted: bool, _includer: Option<&str>) -> Option<Header> {
        None
    }

    /// Headers that are included in front of every script.
    fn includes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether programs can unwind stacks of processes by tables: on an architecture that rbt
    /// knows, and where the tables take no room until they are used, which is since 6.1.
    fn can_unwind(&self) -> bool {
        let needs = [
            Feature::SafeHashAllocation,
            Feature::Loop,
            Feature::TaskRegisters,
        ];
        self.arch().unwinds && needs.iter().all(|feature| self.has(*feature))
    }

    /// The process given with `-p`, and whether a child was given with `-c`.
    fn traced_process(&self) -> TracedProcess;
}

/// A C header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where it was found.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Whether it is one of the kernel's own, so that the kernel's type information knows
    /// better what it defines.
    pub is_kernel: bool,
}

/// A process-id namespace, as `bpf_get_ns_current_pid_tgid` wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidNamespace {
    /// Device of `/proc/self/ns/pid`.
    pub device: u64,
    /// Inode of it.
    pub inode: u64,
}

/// What `-p` and `-c` said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracedProcess {
    /// `-p PID`: programs run for that process alone.
    pub pid: Option<u32>,
    /// `-c CMD`: the child, created and stopped.
    pub child: Option<u32>,
}

/// Things some kernels can do and others cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Perf events take a program through a link that carries a cookie (5.15).
    PerfLinkCookie,
    /// Raw tracepoint links carry a cookie (6.10).
    RawTracepointCookie,
    /// Atomic instructions that give the old value, exchange, compare-and-exchange (5.12).
    AtomicFetch,
    /// `bpf_loop` (5.17).
    Loop,
    /// `bpf_for_each_map_elem` (5.13).
    ForEachMapElement,
    /// Hash maps without preallocation are safe in every context (6.1).
    SafeHashAllocation,
    /// Signed division, sign-extending moves and loads (6.6).
    SignedInstructions,
    /// `bpf_get_current_task_btf` (5.11) and direct loads through what it gives.
    CurrentTaskBtf,
    /// `bpf_ktime_get_tai_ns` (6.1).
    TaiClock,
    /// `bpf_map_lookup_percpu_elem` (5.19).
    LookupPerCpu,
    /// `bpf_get_func_ip` for kprobes (5.15).
    FunctionAddress,
    /// `bpf_get_func_arg` and `bpf_get_func_ret` (5.17).
    FunctionArguments,
    /// Programs of type tracing load (fentry, fexit, iterators, BTF raw tracepoints).
    Tracing,
    /// Kprobes.
    Kprobe,
    /// Many kprobes through one link (5.18, `CONFIG_FPROBE`).
    KprobeMulti,
    /// Entry and return of a kprobe in one link (6.10).
    KprobeSession,
    /// Many uprobes through one link (6.6).
    UprobeMulti,
    /// `bpf_task_pt_regs` (5.15).
    TaskRegisters,
}

impl Feature {
    /// Every feature with its name in `--info`.
    pub const ALL: &'static [(Feature, &'static str)] = &[
        (Feature::PerfLinkCookie, "perf_link_cookie"),
        (Feature::RawTracepointCookie, "raw_tracepoint_cookie"),
        (Feature::AtomicFetch, "atomic_fetch"),
        (Feature::Loop, "loop"),
        (Feature::ForEachMapElement, "for_each_map_elem"),
        (Feature::SafeHashAllocation, "safe_hash_allocation"),
        (Feature::SignedInstructions, "signed_instructions"),
        (Feature::CurrentTaskBtf, "current_task_btf"),
        (Feature::TaiClock, "get_tai_ns"),
        (Feature::LookupPerCpu, "lookup_percpu_elem"),
        (Feature::FunctionAddress, "get_func_ip"),
        (Feature::FunctionArguments, "get_func_arg"),
        (Feature::Tracing, "tracing"),
        (Feature::Kprobe, "kprobe"),
        (Feature::KprobeMulti, "kprobe_multi"),
        (Feature::KprobeSession, "kprobe_session"),
        (Feature::UprobeMulti, "uprobe_multi"),
        (Feature::TaskRegisters, "task_pt_regs"),
    ];
}

/// A question the machine would not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError {
    /// What was attempted: `read the kernel's type information`.
    pub attempted: String,
    /// On what: a path.
    pub on: String,
    /// The machine's reason: `No such file or directory`.
    pub reason: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.attempted, self.on, self.reason)
    }
}

impl std::error::Error for TargetError {}
