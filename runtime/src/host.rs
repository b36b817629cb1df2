//! This machine as a [`Target`]: each fact is read when it is first asked for.
//!
//! Takes nothing but the machine; gives answers that stay the same for as long as the value
//! lives. Reaches tracefs without leaving a mount behind. Never guesses a feature from a
//! version number: the kernel is asked by a call that does nothing if it succeeds.

mod features;
mod functions;
mod headers;
mod tracefs;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rbt_compiler::arch::Arch;
use rbt_compiler::artifact::ProgramKind;
use rbt_compiler::binary::Binary;
use rbt_compiler::btf::Btf;
use rbt_compiler::target::{Feature, Header, PidNamespace, Target, TargetError, TracedProcess};
use rbt_grammar::codes;
use rbt_grammar::diagnostic::{Diagnostic, Severity};

use crate::elf::{self, Elf};
use crate::symbols::KernelSymbols;
use crate::sys;
use tracefs::Tracefs;

/// Inode of the initial process-id namespace (`PROC_PID_INIT_INO` in the kernel).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// The architecture that this program was built for, and so runs on.
#[cfg(target_arch = "x86_64")]
const ARCH: &Arch = &rbt_compiler::arch::x86_64::X86_64;
/// The architecture that this program was built for, and so runs on.
#[cfg(target_arch = "aarch64")]
const ARCH: &Arch = &rbt_compiler::arch::aarch64::AARCH64;

/// Where the kernel shows its BTF.
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Where it shows that of its modules too.
const BTF_FOLDER: &str = "/sys/kernel/btf";

/// Files that are read instead of, or besides, the usual ones.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Type information of the kernel.
    pub btf: Option<PathBuf>,
    /// The kernel's own executable, with symbols.
    pub vmlinux: Option<PathBuf>,
    /// Where the kernel's headers are.
    pub kernel_source: Option<PathBuf>,
    /// Where the kernel's generated headers are.
    pub kernel_build: Option<PathBuf>,
    /// Folders in which a script's includes are looked for first.
    pub include_folders: Vec<PathBuf>,
    /// Files that are included before a script.
    pub includes: Vec<PathBuf>,
    /// The list of kernel functions that can be traced.
    pub traceable_functions: Option<PathBuf>,
    /// Folders with debug information of programs.
    pub debug_folders: Vec<PathBuf>,
}

/// The machine rbt runs on.
///
/// Private fields: each is filled once, by the first question that needs it.
#[derive(Default)]
pub struct Host {
    traced: TracedProcess,
    files: Files,
    without: Vec<Feature>,
    /// Whether every other feature is taken to be there, unprobed.
    has_all_features: bool,
    shows_verifier_logs: bool,
    btf: OnceCell<Result<Btf, TargetError>>,
    tracefs: OnceCell<Result<Tracefs, TargetError>>,
    features: RefCell<Vec<(Feature, bool)>>,
    possible_cpus: OnceCell<u32>,
    pid_namespace: OnceCell<Option<PidNamespace>>,
    start_time: OnceCell<u64>,
    symbols: OnceCell<Result<KernelSymbols, TargetError>>,
    binaries: RefCell<HashMap<String, Result<Rc<Elf>, TargetError>>>,
}

impl Host {
    /// This machine, tracing what `-p` and `-c` said.
    pub fn new(traced: TracedProcess) -> Host {
        Host {
            traced,
            ..Host::default()
        }
    }

    /// The same, with files that are read instead of, or besides, the usual ones.
    pub fn with_files(self, files: Files) -> Host {
        Host { files, ..self }
    }

    /// The same, taken to lack some features.
    pub fn without(self, without: Vec<Feature>) -> Host {
        Host { without, ..self }
    }

    /// As if the kernel had every feature: for those who may not probe it.
    pub fn with_all_features(self) -> Host {
        Host {
            has_all_features: true,
            ..self
        }
    }

    /// The same, showing the verifier's words for each program on stderr.
    pub fn with_verifier_logs(self, shows_verifier_logs: bool) -> Host {
        Host {
            shows_verifier_logs,
            ..self
        }
    }

    pub(crate) fn shows_verifier_logs(&self) -> bool {
        self.shows_verifier_logs
    }

    /// The files that are read instead of, or besides, the usual ones.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Whether this process may load and attach programs.
    ///
    /// Errors: `E0900` with what is missing and what to do.
    pub fn check_privileges(&self) -> Result<(), Diagnostic> {
        const NEEDED: [(u32, &str); 4] = [
            (39, "CAP_BPF"),
            (38, "CAP_PERFMON"),
            (2, "CAP_DAC_READ_SEARCH"),
            (1, "CAP_DAC_OVERRIDE"),
        ];
        const SYS_ADMIN: u32 = 21;
        // A kernel that will not say is asked by the loading itself.
        let held = sys::capabilities().unwrap_or(u64::MAX);
        let has = |bit: u32| held >> bit & 1 == 1;
        let missing = NEEDED.iter().find(|(bit, _)| {
            let is_covered = *bit >= 38 && has(SYS_ADMIN);
            !has(*bit) && !is_covered
        });
        match missing {
            None => Ok(()),
            Some((_, name)) => Err(Diagnostic::new(
                Severity::Error,
                codes::PRIVILEGES,
                format!("Missing {name} capability, please run rbt as the root user."),
            )),
        }
    }

    /// The number of a tracepoint, as perf events want it; `None` if there is no such event.
    pub fn tracepoint_id(&self, category: &str, event: &str) -> Result<Option<u64>, TargetError> {
        self.tracefs()?.event_id(category, event)
    }

    /// What `--info` says of the kernel: each section with its entries, `name` and answer.
    pub fn report(&self) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
        let yes = |answer: bool| String::from(if answer { "yes" } else { "no" });
        let feature = |wanted: Feature| {
            let row = Feature::ALL.iter().find(|(feature, _)| *feature == wanted);
            (row.map_or("", |(_, name)| *name), yes(self.has(wanted)))
        };
        let helpers = vec![
            ("dpath", yes(features::has_path_helper(self))),
            feature(Feature::TaiClock),
            feature(Feature::FunctionAddress),
            feature(Feature::LookupPerCpu),
            feature(Feature::Loop),
            feature(Feature::ForEachMapElement),
            feature(Feature::CurrentTaskBtf),
        ];
        let kernel = vec![
            (
                "Instruction limit",
                features::instruction_limit().to_string(),
            ),
            ("btf", yes(self.btf().is_ok())),
            ("module btf", yes(!modules().is_empty())),
            feature(Feature::AtomicFetch),
            feature(Feature::PerfLinkCookie),
            feature(Feature::RawTracepointCookie),
            feature(Feature::SafeHashAllocation),
            feature(Feature::SignedInstructions),
        ];
        let probes = vec![
            feature(Feature::KprobeMulti),
            feature(Feature::UprobeMulti),
            feature(Feature::KprobeSession),
            ("iter", yes(features::loads_iterators(self))),
            feature(Feature::Kprobe),
            feature(Feature::Tracing),
        ];
        vec![
            ("Kernel helpers", helpers),
            ("Kernel features", kernel),
            ("Probe types", probes),
        ]
    }

    /// CPUs that are online, ascending.
    pub fn online_cpus(&self) -> Result<Vec<u32>, TargetError> {
        let path = "/sys/devices/system/cpu/online";
        let text = fs::read_to_string(path)
            .map_err(|error| unreadable("read the list of online CPUs from", path, &error))?;
        let cpus = cpu_list(&text);
        if cpus.is_empty() {
            let error = io::Error::other(format!("`{}` lists none", text.trim()));
            return Err(unreadable(
                "read the list of online CPUs from",
                path,
                &error,
            ));
        }
        Ok(cpus)
    }

    /// Addresses and names of the kernel's symbols. Read when first asked for.
    pub fn kernel_symbols(&self) -> Result<&KernelSymbols, TargetError> {
        self.symbols
            .get_or_init(KernelSymbols::read)
            .as_ref()
            .map_err(Clone::clone)
    }

    /// An executable or library; each is opened once.
    pub(crate) fn elf(&self, path: &str) -> Result<Rc<Elf>, TargetError> {
        if let Some(known) = self.binaries.borrow().get(path) {
            return known.clone();
        }
        let opened = Elf::open(Path::new(path), &self.files.debug_folders).map(Rc::new);
        let mut binaries = self.binaries.borrow_mut();
        binaries.insert(path.to_owned(), opened.clone());
        opened
    }

    fn tracefs(&self) -> Result<&Tracefs, TargetError> {
        self.tracefs
            .get_or_init(Tracefs::open)
            .as_ref()
            .map_err(Clone::clone)
    }

    fn read_btf(&self) -> Result<Btf, TargetError> {
        let path = self.files.btf.as_deref().unwrap_or(Path::new(KERNEL_BTF));
        let bytes = sys::FileBytes::open(path).map_err(|error| TargetError {
            help: String::from(
                "the kernel has to be built with CONFIG_DEBUG_INFO_BTF=y; scripts that use no \
                 kernel type run without it",
            ),
            ..unreadable("read the kernel's type information from", path, &error)
        })?;
        let btf = Btf::new(Box::new(bytes)).map_err(|error| {
            let error = io::Error::other(error.to_string());
            unreadable("read the kernel's type information from", path, &error)
        })?;
        // What another file says of the kernel says nothing of this one's modules.
        if self.files.btf.is_some() {
            return Ok(btf);
        }
        let open = |module: &str| -> Option<Box<dyn AsRef<[u8]>>> {
            let bytes = sys::FileBytes::open(&Path::new(BTF_FOLDER).join(module)).ok()?;
            Some(Box::new(bytes))
        };
        Ok(btf.with_modules(modules(), Box::new(open)))
    }
}

impl Target for Host {
    fn arch(&self) -> &'static Arch {
        ARCH
    }

    fn btf(&self) -> Result<&Btf, TargetError> {
        self.btf
            .get_or_init(|| self.read_btf())
            .as_ref()
            .map_err(Clone::clone)
    }

    fn has(&self, feature: Feature) -> bool {
        if self.without.contains(&feature) {
            return false;
        }
        if self.has_all_features {
            return true;
        }
        let known = self
            .features
            .borrow()
            .iter()
            .find(|(f, _)| *f == feature)
            .copied();
        if let Some((_, answer)) = known {
            return answer;
        }
        let answer = features::probe(feature, self);
        self.features.borrow_mut().push((feature, answer));
        answer
    }

    fn tracepoint_categories(&self) -> Result<Vec<String>, TargetError> {
        self.tracefs()?.categories()
    }

    fn tracepoint_events(&self, category: &str) -> Result<Vec<String>, TargetError> {
        self.tracefs()?.events(category)
    }

    fn tracepoint_format(
        &self,
        category: &str,
        event: &str,
    ) -> Result<Option<String>, TargetError> {
        self.tracefs()?.event_format(category, event)
    }

    fn kernel_symbol(&self, name: &str) -> Result<Option<u64>, TargetError> {
        Ok(self.kernel_symbols()?.address_of(name))
    }

    fn each_function(&self, visit: &mut dyn FnMut(&str, &str) -> bool) -> Result<(), TargetError> {
        let own = self.files.traceable_functions.as_deref();
        functions::each(own, || self.tracefs(), visit)
    }

    fn has_own_functions(&self) -> bool {
        self.files.traceable_functions.is_some()
    }

    fn takes_program(&self, function: u32) -> bool {
        features::takes_program(function)
    }

    fn may_call(&self, kind: ProgramKind, function: &str) -> bool {
        features::may_call(kind, function, self)
    }

    fn has_module(&self, name: &str) -> bool {
        functions::has_module(name)
    }

    fn find_binaries(&self, target: &str) -> Vec<String> {
        paths(elf::find(target, self.traced.pid))
    }

    fn binary(&self, path: &str) -> Result<Rc<dyn Binary>, TargetError> {
        Ok(self.elf(path)?)
    }

    fn mapped_binaries(&self) -> Vec<String> {
        paths(self.traced.pid.map_or_else(Vec::new, elf::mapped))
    }

    fn cgroup_id(&self, path: &str) -> Result<Option<u64>, TargetError> {
        const CGROUP2: u32 = 0x6367_7270;
        let attempted = "find the cgroup";
        match sys::file_system_kind(Path::new(path)) {
            Ok(CGROUP2) => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(attempted, path, &error)),
        }
        // On 64-bit kernels a cgroup's id is its directory's inode number (since 5.5).
        let facts = fs::metadata(path).map_err(|error| unreadable(attempted, path, &error))?;
        Ok(facts.is_dir().then(|| facts.ino()))
    }

    fn possible_cpus(&self) -> u32 {
        *self.possible_cpus.get_or_init(|| {
            let text = fs::read_to_string("/sys/devices/system/cpu/possible");
            // CPU numbers start at 0 and the kernel sizes per-CPU values by the highest one.
            let highest = text.ok().and_then(|text| cpu_list(&text).last().copied());
            highest.map_or(1, |cpu| cpu.saturating_add(1))
        })
    }

    fn pid_namespace(&self) -> Option<PidNamespace> {
        *self.pid_namespace.get_or_init(|| {
            let facts = fs::metadata("/proc/self/ns/pid").ok()?;
            (facts.ino() != INITIAL_PID_NAMESPACE).then(|| PidNamespace {
                device: facts.dev(),
                inode: facts.ino(),
            })
        })
    }

    fn start_time(&self) -> u64 {
        *self.start_time.get_or_init(|| sys::now(sys::ClockId::Boot))
    }

    fn header(&self, name: &str, is_quoted: bool, includer: Option<&str>) -> Option<Header> {
        headers::find(&self.files, name, is_quoted, includer)
    }

    fn includes(&self) -> Vec<String> {
        let includes = self.files.includes.iter();
        includes
            .map(|file| file.to_string_lossy().into_owned())
            .collect()
    }

    fn traced_process(&self) -> TracedProcess {
        self.traced
    }
}

/// Names of the modules that the kernel has type information of, sorted.
fn modules() -> Vec<String> {
    let entries = fs::read_dir(BTF_FOLDER).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .filter(|name| name != rbt_compiler::btf::KERNEL)
        .collect();
    names.sort_unstable();
    names
}

/// Paths as text; the few that are none are passed over.
fn paths(found: Vec<PathBuf>) -> Vec<String> {
    let texts = found.into_iter().map(PathBuf::into_os_string);
    texts.filter_map(|path| path.into_string().ok()).collect()
}

/// The question behind `attempted` that the machine would not answer.
fn unreadable(attempted: &str, on: impl AsRef<Path>, error: &io::Error) -> TargetError {
    TargetError {
        attempted: String::from(attempted),
        on: on.as_ref().display().to_string(),
        reason: reason(error),
        help: String::new(),
    }
}

/// The machine's own words, without Rust's `(os error 2)`.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

/// Numbers of a list like `0-3,8`.
fn cpu_list(text: &str) -> Vec<u32> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            // No kernel has more CPUs than this; a wilder number is not a list of CPUs.
            cpus.extend(first..=last.min(first.saturating_add(1 << 14)));
        }
    }
    cpus
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_have_ranges() {
        assert_eq!(cpu_list("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(cpu_list("0\n"), [0]);
        assert!(cpu_list("\n").is_empty());
    }

    #[test]
    fn reasons_are_the_machines_words() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(reason(&error), "No such file or directory");
    }
}
