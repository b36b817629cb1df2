//! Asks the kernel whether it can do something, by trying it on nothing.
//!
//! Each probe loads a program of a few instructions or makes a call that cannot succeed, and
//! reads the answer from the kind of refusal. Never consults a version number. Nothing stays
//! loaded: the descriptors are closed at once.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use aya_obj::generated::bpf_insn;
use rbt_compiler::artifact::ProgramKind;
use rbt_compiler::target::{Feature, Target};

use super::Host;
use crate::sys::{self, LinkTarget, MapSpec, ProgramSpec};

const KPROBE: u32 = 2;
const TRACEPOINT: u32 = 5;
const PERF_EVENT: u32 = 7;
const TRACING: u32 = 26;

const TRACE_ITER: u32 = 28;
const TRACE_KPROBE_SESSION: u32 = 56;

/// Whether the kernel has `feature`.
pub(super) fn probe(feature: Feature, host: &Host) -> bool {
    match feature {
        Feature::PerfLinkCookie => has_perf_links(),
        Feature::RawTracepointCookie => {
            sys::probe_raw_tracepoint_cookie().raw_os_error() == Some(libc::EBADF)
        }
        // *(u64 *)(r10 - 8) = 0; r1 = 1; r1 = atomic_fetch_add(r10 - 8, r1)
        Feature::AtomicFetch => loads(&[
            insn(0x7a, 10, 0, -8, 0),
            insn(0xb7, 1, 0, 0, 1),
            insn(0xdb, 10, 1, -8, 1),
        ]),
        Feature::Loop => knows_helper(181),
        Feature::ForEachMapElement => knows_helper(164),
        Feature::SafeHashAllocation => takes_lazy_hash(host),
        // r0 = 6; r0 s/= 2: the offset field makes it signed
        Feature::SignedInstructions => loads(&[insn(0xb7, 0, 0, 0, 6), insn(0x37, 0, 0, 1, 2)]),
        Feature::CurrentTaskBtf => knows_helper(158),
        Feature::FunctionAddress => load(KPROBE, 0, &[insn(0x85, 0, 0, 0, 173)]).is_ok(),
        Feature::FunctionArguments => tries_helper(host, &["bpf_fentry_test1", "vfs_read"], 184),
        Feature::TaiClock => knows_helper(208),
        Feature::LookupPerCpu => knows_helper(195),
        Feature::Tracing => loads_tracing(host),
        Feature::Kprobe => Path::new("/sys/bus/event_source/devices/kprobe/type").exists(),
        Feature::KprobeMulti => has_kprobe_multi(sys::TRACE_KPROBE_MULTI),
        Feature::KprobeSession => has_kprobe_multi(TRACE_KPROBE_SESSION),
        Feature::UprobeMulti => has_uprobe_multi(),
        Feature::TaskRegisters => knows_helper(175),
    }
}

/// Whether kernel paths can be asked for (`bpf_d_path`).
pub(super) fn has_path_helper(host: &Host) -> bool {
    // Only functions of a list may ask: this is the first of it.
    tries_helper(host, &["security_file_permission", "vfs_truncate"], 147)
}

/// Whether programs can iterate over the kernel's objects.
pub(super) fn loads_iterators(host: &Host) -> bool {
    let function = host
        .btf()
        .ok()
        .and_then(|btf| btf.find_function("bpf_iter_task"));
    let insns = [insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)];
    function.is_some_and(|function| load_tracing(TRACE_ITER, function.0, &insns, None).is_ok())
}

/// Most instructions of a program.
pub(super) fn instruction_limit() -> u32 {
    const OLD: u32 = 4096;
    let body = vec![insn(0xb7, 0, 0, 0, 0); OLD as usize];
    // Kernels that take more take a million (since 5.2).
    if loads(&body) { 1_000_000 } else { OLD }
}

/// Whether a tracing program for one of the functions may call a helper: the kernel knows it
/// if it complains about the arguments.
fn tries_helper(host: &Host, functions: &[&str], helper: i32) -> bool {
    let Ok(btf) = host.btf() else { return false };
    let Some(function) = functions.iter().find_map(|name| btf.find_function(name)) else {
        return false;
    };
    let insns = [
        insn(0x85, 0, 0, 0, helper),
        insn(0xb7, 0, 0, 0, 0),
        insn(0x95, 0, 0, 0, 0),
    ];
    let mut log = vec![0; 4096];
    // Where functions return programs may call all that they may at the entry, and more.
    if load_tracing(sys::TRACE_FEXIT, function.0, &insns, Some(&mut log)).is_ok() {
        return true;
    }
    log.retain(|byte| *byte != 0);
    let log = String::from_utf8_lossy(&log);
    let is_unknown = log.contains(" func ") || log.contains("cannot use helper");
    !log.is_empty() && !is_unknown
}

/// Whether a function takes a program at its entry, as far as loading tells.
pub(super) fn takes_program(function: u32) -> bool {
    let insns = [insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)];
    load_tracing(sys::TRACE_FENTRY, function, &insns, None).is_ok()
}

/// Whether a program of that kind may call a function of the kernel: its verifier has another
/// complaint about a call without arguments than that.
pub(super) fn may_call(kind: ProgramKind, function: &str, host: &Host) -> bool {
    const KERNEL_FUNCTION: u8 = 2;
    let Ok(btf) = host.btf() else { return false };
    let find = |name: &str| btf.find_function(name);
    let Some(function) = find(function) else {
        return false;
    };
    let insns = [
        insn(0x85, 0, KERNEL_FUNCTION, 0, function.0.cast_signed()),
        insn(0xb7, 0, 0, 0, 0),
        insn(0x95, 0, 0, 0, 0),
    ];
    let is_tracing = kind == ProgramKind::Tracing;
    let place = ["bpf_fentry_test1", "vfs_read"]
        .iter()
        .find_map(|n| find(n));
    let spec = ProgramSpec {
        kind: kind as u32,
        name: "rbt_probe",
        insns: &insns,
        license: c"GPL",
        expected_attach_type: if is_tracing { sys::TRACE_FENTRY } else { 0 },
        attach_btf_id: place.filter(|_| is_tracing).map_or(0, |place| place.0),
        ..ProgramSpec::default()
    };
    let mut log = vec![0; 4096];
    if sys::prog_load(&spec, Some(&mut log)).is_ok() {
        return true;
    }
    log.retain(|byte| *byte != 0);
    let log = String::from_utf8_lossy(&log);
    let refusals = [
        "not allowed",
        "reserved field",
        "invalid func",
        "unknown opcode",
        "not supported",
    ];
    !log.is_empty() && !refusals.iter().any(|words| log.contains(words))
}

/// Loads a program of type tracing.
fn load_tracing(
    attach_type: u32,
    function: u32,
    insns: &[bpf_insn],
    log: Option<&mut Vec<u8>>,
) -> io::Result<OwnedFd> {
    let spec = ProgramSpec {
        kind: TRACING,
        name: "rbt_probe",
        insns,
        license: c"GPL",
        expected_attach_type: attach_type,
        attach_btf_id: function,
        ..ProgramSpec::default()
    };
    sys::prog_load(&spec, log)
}

fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> bpf_insn {
    let mut insn = bpf_insn {
        code,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(0, 0),
        off,
        imm,
    };
    insn.set_dst_reg(dst);
    insn.set_src_reg(src);
    insn
}

/// Loads `body` and an exit with zero.
fn load(kind: u32, attach_type: u32, body: &[bpf_insn]) -> io::Result<OwnedFd> {
    let mut insns = body.to_vec();
    insns.extend([insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)]);
    let spec = ProgramSpec {
        kind,
        name: "rbt_probe",
        insns: &insns,
        license: c"GPL",
        expected_attach_type: attach_type,
        ..ProgramSpec::default()
    };
    sys::prog_load(&spec, None)
}

fn loads(body: &[bpf_insn]) -> bool {
    load(TRACEPOINT, 0, body).is_ok()
}

/// Calls a helper without arguments. The verifier says so if it does not know the helper;
/// any other complaint is about the arguments.
fn knows_helper(number: i32) -> bool {
    let insns = [
        insn(0x85, 0, 0, 0, number),
        insn(0xb7, 0, 0, 0, 0),
        insn(0x95, 0, 0, 0, 0),
    ];
    let spec = ProgramSpec {
        kind: TRACEPOINT,
        name: "rbt_probe",
        insns: &insns,
        license: c"GPL",
        ..ProgramSpec::default()
    };
    let mut log = vec![0; 4096];
    if sys::prog_load(&spec, Some(&mut log)).is_ok() {
        return true;
    }
    let log = String::from_utf8_lossy(&log);
    let is_unknown = log.contains("invalid func ")
        || log.contains("unknown func ")
        || log.contains("cannot use helper");
    !log.is_empty() && !is_unknown
}

/// Tries to link a program to a perf event that is not open: a kernel with such links looks
/// for the event (`EBADF`), one without never gets so far (`EINVAL`).
fn has_perf_links() -> bool {
    let Ok(program) = load(TRACEPOINT, 0, &[]) else {
        return false;
    };
    let target = LinkTarget::PerfEvent {
        event: None,
        cookie: 0,
    };
    refusal(sys::link_create(program.as_fd(), &target)) == Some(libc::EBADF)
}

/// Loads a program for perf events (which run in any context) that looks into a hash without
/// preallocation.
fn takes_lazy_hash(host: &Host) -> bool {
    const HASH: u32 = 1;
    const NO_PREALLOC: u32 = 1;
    let spec = MapSpec {
        kind: HASH,
        key_size: 8,
        value_size: 8,
        max_entries: 1,
        flags: NO_PREALLOC,
        possible_cpus: host.possible_cpus(),
        name: "rbt_probe",
        ..MapSpec::default()
    };
    let Ok(map) = sys::Map::create(&spec) else {
        return false;
    };
    use std::os::fd::AsRawFd;
    let number = map.as_fd().as_raw_fd();
    // *(u64 *)(r10 - 8) = 0; r2 = r10 - 8; r1 = map; lookup
    let body = [
        insn(0x7a, 10, 0, -8, 0),
        insn(0xbf, 2, 10, 0, 0),
        insn(0x07, 2, 0, 0, -8),
        insn(0x18, 1, 1, 0, number),
        insn(0x00, 0, 0, 0, 0),
        insn(0x85, 0, 0, 0, 1),
    ];
    load(PERF_EVENT, 0, &body).is_ok()
}

/// Loads an empty program for the entry of a function that exists for such trials.
fn loads_tracing(host: &Host) -> bool {
    let Ok(btf) = host.btf() else { return false };
    let function = ["bpf_fentry_test1", "vfs_read"]
        .iter()
        .find_map(|name| btf.find_function(name));
    let Some(function) = function else {
        return false;
    };
    let insns = [insn(0xb7, 0, 0, 0, 0), insn(0x95, 0, 0, 0, 0)];
    load_tracing(sys::TRACE_FENTRY, function.0, &insns, None).is_ok()
}

/// Tries to attach to a function that does not exist: a kernel with such links looks for it.
fn has_kprobe_multi(attach_type: u32) -> bool {
    let Ok(program) = load(KPROBE, attach_type, &[]) else {
        return false;
    };
    let symbols = [c"rbt_no_such_function".as_ptr()];
    let target = LinkTarget::KprobeMulti {
        attach_type,
        symbols: &symbols,
        cookies: &[],
        is_return: false,
    };
    let refusal = refusal(sys::link_create(program.as_fd(), &target));
    matches!(refusal, Some(libc::ESRCH | libc::ENOENT))
}

/// Tries to attach inside a directory: a kernel with such links notices that it is no file.
fn has_uprobe_multi() -> bool {
    let Ok(program) = load(KPROBE, sys::TRACE_UPROBE_MULTI, &[]) else {
        return false;
    };
    let target = LinkTarget::UprobeMulti {
        path: c"/",
        offsets: &[0],
        counters: &[],
        cookies: &[],
        is_return: false,
        pid: 0,
    };
    refusal(sys::link_create(program.as_fd(), &target)) == Some(libc::EBADF)
}

fn refusal(result: io::Result<OwnedFd>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}
