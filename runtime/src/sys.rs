//! The system calls that nothing else offers: bpf(2), perf_event_open(2), shared memory, the
//! detached tracefs, a stopped child, local time. All of the project's `unsafe` is here, and
//! in `sys/` what serves no caller: the allocator.
//!
//! Takes slices, numbers and descriptors; gives owned descriptors and plain data. Every
//! length the kernel will use is checked here first, so the functions are safe to call.
//! Never decides anything: what a failure means is the caller's to say. The file is longer
//! than others so that one look at one file answers what the project does unsafely.

mod entry;
mod memory;

pub(crate) use entry::follow;

use std::ffi::{CStr, CString, c_int, c_long, c_void};
use std::fs::File;
use std::io::{self, Read};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aya_obj::generated::{bpf_func_info, bpf_insn, bpf_line_info};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

// ---- bpf(2) --------------------------------------------------------------------------------

/// `enum bpf_cmd`
#[derive(Clone, Copy)]
#[repr(u32)]
enum Command {
    MapCreate = 0,
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    MapNextKey = 4,
    ProgLoad = 5,
    ProgTestRun = 10,
    RawTracepointOpen = 17,
    BtfLoad = 18,
    MapLookupBatch = 24,
    LinkCreate = 28,
    IteratorCreate = 33,
    ObjectPin = 6,
    ObjectInfo = 15,
    BtfById = 19,
    BtfNextId = 23,
}

/// Calls bpf(2). `T` is one of the attribute structs below: `repr(C)`, without padding.
fn bpf<T>(command: Command, attr: &mut T) -> io::Result<c_long> {
    // SAFETY: `attr` is valid for reads and writes of its own size, which is the size the
    // kernel is told. The addresses inside it come from live slices of the callers below, with
    // the lengths the kernel is told or knows from the map's creation.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as c_int,
            ptr::from_mut(attr).cast::<c_void>(),
            mem::size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// The descriptor a bpf command gave.
fn bpf_fd<T>(command: Command, attr: &mut T) -> io::Result<OwnedFd> {
    owned(bpf(command, attr)?)
}

/// Takes ownership of a descriptor number that a system call has just given.
fn owned(result: c_long) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(result).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened this descriptor for us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A name as the kernel takes it for maps and programs: at most 15 characters of
/// `[A-Za-z0-9_.]`; others become `_`.
fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        let is_allowed = from.is_ascii_alphanumeric() || from == b'_' || from == b'.';
        *to = if is_allowed { from } else { b'_' };
    }
    bytes
}

fn address<T>(slice: &[T]) -> u64 {
    slice.as_ptr() as u64
}

fn address_mut<T>(slice: &mut [T]) -> u64 {
    slice.as_mut_ptr() as u64
}

fn fd_number(fd: BorrowedFd<'_>) -> u32 {
    // A live descriptor is never negative.
    fd.as_raw_fd() as u32
}

fn length<T>(slice: &[T]) -> u32 {
    u32::try_from(slice.len()).unwrap_or(u32::MAX)
}

// ---- maps ----------------------------------------------------------------------------------

/// What a map is created as.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MapSpec<'a> {
    /// `enum bpf_map_type`
    pub(crate) kind: u32,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
    /// Each CPU has a value of its own.
    pub(crate) is_per_cpu: bool,
    /// CPUs the kernel may ever bring up: how many values a per-CPU element has.
    pub(crate) possible_cpus: u32,
    pub(crate) name: &'a str,
    /// The object's BTF and the ids of key and value in it.
    pub(crate) btf: Option<(BorrowedFd<'a>, u32, u32)>,
}

#[repr(C)]
#[derive(Default)]
struct MapCreateAttr {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
    map_ifindex: u32,
    btf_fd: u32,
    btf_key_type_id: u32,
    btf_value_type_id: u32,
    btf_vmlinux_value_type_id: u32,
}

/// A map of the kernel.
///
/// Private fields: the sizes are those the kernel uses when it copies keys and values; the
/// methods hold every slice against them.
#[derive(Debug)]
pub(crate) struct Map {
    fd: OwnedFd,
    key_size: usize,
    /// Bytes of an element as the kernel copies it: all CPUs' values.
    element_size: usize,
    /// Bytes from one CPU's value to the next (the value's size where there is one value).
    stride: usize,
    max_entries: u32,
}

#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Where a walk over a map by [`Map::lookup_batch`] stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchCursor {
    token: [u64; 2],
    has_started: bool,
}

impl Map {
    /// Creates a map.
    pub(crate) fn create(spec: &MapSpec<'_>) -> io::Result<Map> {
        let (btf_fd, btf_key, btf_value) = match spec.btf {
            Some((fd, key, value)) => (fd_number(fd), key, value),
            None => (0, 0, 0),
        };
        let mut attr = MapCreateAttr {
            map_type: spec.kind,
            key_size: spec.key_size,
            value_size: spec.value_size,
            max_entries: spec.max_entries,
            map_flags: spec.flags,
            map_name: object_name(spec.name),
            btf_fd,
            btf_key_type_id: btf_key,
            btf_value_type_id: btf_value,
            ..MapCreateAttr::default()
        };
        let fd = bpf_fd(Command::MapCreate, &mut attr)?;
        let value_size = spec.value_size as usize;
        let (stride, count) = if spec.is_per_cpu {
            (value_size.next_multiple_of(8), spec.possible_cpus as usize)
        } else {
            (value_size, 1)
        };
        Ok(Map {
            fd,
            key_size: spec.key_size as usize,
            element_size: stride.saturating_mul(count),
            stride,
            max_entries: spec.max_entries,
        })
    }

    /// Another handle of the same map.
    pub(crate) fn try_clone(&self) -> io::Result<Map> {
        Ok(Map {
            fd: self.fd.try_clone()?,
            ..*self
        })
    }

    /// Bytes of an element as userspace sees it: all CPUs' values, each at a multiple of
    /// [`Map::stride`].
    pub(crate) fn element_size(&self) -> usize {
        self.element_size
    }

    /// Bytes from one CPU's value to the next.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Bytes of a key.
    pub(crate) fn key_size(&self) -> usize {
        self.key_size
    }

    /// Most elements.
    pub(crate) fn max_entries(&self) -> u32 {
        self.max_entries
    }

    fn check(&self, key: &[u8], value: Option<usize>) -> io::Result<()> {
        if key.len() != self.key_size || value.is_some_and(|size| size != self.element_size) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        Ok(())
    }

    fn element(&self, key: &[u8], value: u64, flags: u64) -> ElementAttr {
        ElementAttr {
            map_fd: fd_number(self.fd.as_fd()),
            pad: 0,
            key: address(key),
            value,
            flags,
        }
    }

    /// Copies the element at `key` into `value`; `false` if there is none.
    ///
    /// Errors: `EINVAL` if a slice has not the map's size; the kernel's.
    pub(crate) fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        self.check(key, Some(value.len()))?;
        let mut attr = self.element(key, address_mut(value), 0);
        match bpf(Command::MapLookup, &mut attr) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stores `value` at `key`.
    pub(crate) fn update(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.check(key, Some(value.len()))?;
        let mut attr = self.element(key, address(value), 0);
        bpf(Command::MapUpdate, &mut attr).map(drop)
    }

    /// Removes the element at `key`; `false` if there was none.
    pub(crate) fn delete(&self, key: &[u8]) -> io::Result<bool> {
        self.check(key, None)?;
        let mut attr = self.element(key, 0, 0);
        match bpf(Command::MapDelete, &mut attr) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes the key that follows `after` (the first one for `None`) into `next`; `false`
    /// at the end.
    pub(crate) fn next_key(&self, after: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
        self.check(next, None)?;
        if let Some(after) = after {
            self.check(after, None)?;
        }
        let mut attr = ElementAttr {
            map_fd: fd_number(self.fd.as_fd()),
            pad: 0,
            key: after.map_or(0, address),
            value: address_mut(next),
            flags: 0,
        };
        match bpf(Command::MapNextKey, &mut attr) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Copies the next elements into `keys` and `values` (as many as both hold) and gives how
    /// many, and whether there are more.
    ///
    /// Errors: `ENOSPC` if they are too short for one bucket of a hash; `ENOTSUPP` (524) or
    /// `EINVAL` where the kernel has no such call for the map.
    pub(crate) fn lookup_batch(
        &self,
        cursor: &mut BatchCursor,
        keys: &mut [u8],
        values: &mut [u8],
    ) -> io::Result<(usize, bool)> {
        let most = |bytes: usize, size: usize| bytes.checked_div(size).unwrap_or(0);
        let count = most(keys.len(), self.key_size).min(most(values.len(), self.element_size));
        let mut next = [0_u64; 2];
        let mut attr = BatchAttr {
            in_batch: if cursor.has_started {
                address(&cursor.token)
            } else {
                0
            },
            out_batch: address_mut(&mut next),
            keys: address_mut(keys),
            values: address_mut(values),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            map_fd: fd_number(self.fd.as_fd()),
            elem_flags: 0,
            flags: 0,
        };
        let result = bpf(Command::MapLookupBatch, &mut attr);
        let got = (attr.count as usize).min(count);
        match result {
            Ok(_) => {
                cursor.token = next;
                cursor.has_started = true;
                Ok((got, true))
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok((got, false)),
            Err(error) => Err(error),
        }
    }

    /// A second descriptor of the map.
    pub(crate) fn try_clone_fd(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

// ---- programs and links --------------------------------------------------------------------

/// What a program is loaded as.
#[derive(Clone, Copy, Default)]
pub(crate) struct ProgramSpec<'a> {
    /// `enum bpf_prog_type`
    pub(crate) kind: u32,
    pub(crate) name: &'a str,
    pub(crate) insns: &'a [bpf_insn],
    pub(crate) license: &'a CStr,
    /// `enum bpf_attach_type`; 0 where the type needs none.
    pub(crate) expected_attach_type: u32,
    /// For tracing programs: the kernel function's BTF id.
    pub(crate) attach_btf_id: u32,
    /// For those at a function of a module: the module's BTF; at one of a program: the program.
    pub(crate) attach_to: Option<BorrowedFd<'a>>,
    /// The object's BTF with what it says about the instructions.
    pub(crate) btf: Option<(BorrowedFd<'a>, &'a [bpf_func_info], &'a [bpf_line_info])>,
}

#[repr(C)]
#[derive(Default)]
struct ProgLoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
    /// Or, since 5.11, the descriptor of a module's BTF.
    attach_prog_fd: u32,
    core_relo_cnt: u32,
}

/// Loads a program. `log` receives the verifier's words, level 1, as much as it holds, and
/// is cut to what came.
pub(crate) fn prog_load(spec: &ProgramSpec<'_>, log: Option<&mut Vec<u8>>) -> io::Result<OwnedFd> {
    let mut attr = ProgLoadAttr {
        prog_type: spec.kind,
        insn_cnt: length(spec.insns),
        insns: address(spec.insns),
        license: spec.license.as_ptr() as u64,
        prog_name: object_name(spec.name),
        expected_attach_type: spec.expected_attach_type,
        attach_btf_id: spec.attach_btf_id,
        attach_prog_fd: spec.attach_to.map_or(0, fd_number),
        ..ProgLoadAttr::default()
    };
    if let Some((fd, funcs, lines)) = spec.btf {
        attr.prog_btf_fd = fd_number(fd);
        attr.func_info_rec_size = mem::size_of::<bpf_func_info>() as u32;
        attr.func_info = address(funcs);
        attr.func_info_cnt = length(funcs);
        attr.line_info_rec_size = mem::size_of::<bpf_line_info>() as u32;
        attr.line_info = address(lines);
        attr.line_info_cnt = length(lines);
    }
    let Some(log) = log else {
        return bpf_fd(Command::ProgLoad, &mut attr);
    };
    if log.len() >= 128 {
        attr.log_level = 1;
        attr.log_size = length(log);
        attr.log_buf = address_mut(log);
    }
    let result = bpf_fd(Command::ProgLoad, &mut attr);
    let used = log.iter().position(|byte| *byte == 0);
    log.truncate(used.unwrap_or(log.len()));
    result
}

#[repr(C)]
struct BtfLoadAttr {
    btf: u64,
    btf_log_buf: u64,
    btf_size: u32,
    btf_log_size: u32,
    btf_log_level: u32,
    pad: u32,
}

#[repr(C)]
#[derive(Default)]
struct NextIdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

#[repr(C)]
struct InfoAttr {
    fd: u32,
    length: u32,
    info: u64,
}

/// `struct bpf_btf_info`
#[repr(C)]
#[derive(Default)]
struct BtfInfo {
    btf: u64,
    btf_size: u32,
    id: u32,
    name: u64,
    name_len: u32,
    kernel_btf: u32,
}

/// The type information of a module of the kernel (5.11).
///
/// Errors: `ENOENT` if there is no such module or it has none.
pub(crate) fn module_btf(module: &str) -> io::Result<OwnedFd> {
    let mut id = 0;
    loop {
        let mut next = NextIdAttr {
            id,
            ..NextIdAttr::default()
        };
        bpf(Command::BtfNextId, &mut next)?;
        id = next.next_id;
        let mut by_id = NextIdAttr {
            id,
            ..NextIdAttr::default()
        };
        let fd = match bpf_fd(Command::BtfById, &mut by_id) {
            Ok(fd) => fd,
            // Gone meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
            Err(error) => return Err(error),
        };
        // Names of modules are at most 55 bytes and a NUL.
        let mut name = [0_u8; 64];
        let mut info = BtfInfo {
            name: address_mut(&mut name),
            name_len: length(&name),
            ..BtfInfo::default()
        };
        let mut attr = InfoAttr {
            fd: fd_number(fd.as_fd()),
            length: mem::size_of::<BtfInfo>() as u32,
            info: ptr::from_mut(&mut info) as u64,
        };
        bpf(Command::ObjectInfo, &mut attr)?;
        let is_it = name.starts_with(module.as_bytes()) && name.get(module.len()) == Some(&0);
        if info.kernel_btf != 0 && is_it {
            return Ok(fd);
        }
    }
}

/// Loads BTF; for a refusal, the kernel's words are in the error's text.
pub(crate) fn btf_load(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = BtfLoadAttr {
        btf: address(bytes),
        btf_log_buf: 0,
        btf_size: length(bytes),
        btf_log_size: 0,
        btf_log_level: 0,
        pad: 0,
    };
    bpf_fd(Command::BtfLoad, &mut attr)
}

#[repr(C)]
#[derive(Default)]
struct TestRunAttr {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
}

/// Runs a raw tracepoint program once, here and now, and gives what it returned.
pub(crate) fn prog_test_run(program: BorrowedFd<'_>) -> io::Result<u32> {
    let mut attr = TestRunAttr {
        prog_fd: fd_number(program),
        ..TestRunAttr::default()
    };
    bpf(Command::ProgTestRun, &mut attr)?;
    Ok(attr.retval)
}

/// Runs a program for packets `runs` times; gives how long one run took on average.
pub(crate) fn prog_test_runs(program: BorrowedFd<'_>, runs: u32) -> io::Result<Duration> {
    let packet = [0_u8; 64];
    let mut attr = TestRunAttr {
        prog_fd: fd_number(program),
        data_size_in: length(&packet),
        data_in: address(&packet),
        repeat: runs,
        ..TestRunAttr::default()
    };
    bpf(Command::ProgTestRun, &mut attr)?;
    Ok(Duration::from_nanos(u64::from(attr.duration)))
}

#[repr(C)]
struct RawTracepointAttr {
    name: u64,
    prog_fd: u32,
    pad: u32,
}

#[repr(C)]
struct RawTracepointCookieAttr {
    name: u64,
    prog_fd: u32,
    pad: u32,
    cookie: u64,
}

/// Attaches a program to a raw tracepoint. A cookie needs 6.10 (`EINVAL` before).
pub(crate) fn raw_tracepoint_open(
    program: BorrowedFd<'_>,
    name: &CStr,
    cookie: Option<u64>,
) -> io::Result<OwnedFd> {
    raw_tracepoint_attr(fd_number(program), name.as_ptr() as u64, cookie)
}

/// Attaches a program to what it was loaded for: a function of the kernel.
pub(crate) fn tracing_open(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    raw_tracepoint_attr(fd_number(program), 0, None)
}

fn raw_tracepoint_attr(prog_fd: u32, name: u64, cookie: Option<u64>) -> io::Result<OwnedFd> {
    let Some(cookie) = cookie else {
        let mut attr = RawTracepointAttr {
            name,
            prog_fd,
            pad: 0,
        };
        return bpf_fd(Command::RawTracepointOpen, &mut attr);
    };
    let mut attr = RawTracepointCookieAttr {
        name,
        prog_fd,
        pad: 0,
        cookie,
    };
    bpf_fd(Command::RawTracepointOpen, &mut attr)
}

/// What the kernel says to a raw tracepoint with a cookie and without a program: `EBADF`
/// where it knows cookies, `EINVAL` where it does not.
pub(crate) fn probe_raw_tracepoint_cookie() -> io::Error {
    match raw_tracepoint_attr(u32::MAX, 0, Some(1)) {
        Ok(_) => io::Error::from_raw_os_error(0),
        Err(error) => error,
    }
}

/// `BPF_TRACE_FENTRY` and `BPF_TRACE_FEXIT` of `enum bpf_attach_type`.
pub(crate) const TRACE_FENTRY: u32 = 24;
pub(crate) const TRACE_FEXIT: u32 = 25;
/// `BPF_TRACE_ITER`
pub(crate) const TRACE_ITER: u32 = 28;

/// `BPF_TRACE_KPROBE_MULTI` of `enum bpf_attach_type`.
pub(crate) const TRACE_KPROBE_MULTI: u32 = 42;

/// `BPF_TRACE_UPROBE_MULTI` of the same.
pub(crate) const TRACE_UPROBE_MULTI: u32 = 48;

/// What a link attaches a program to.
pub(crate) enum LinkTarget<'a> {
    /// An open perf event. `None` stands for a descriptor that is not open: a probe.
    PerfEvent {
        event: Option<BorrowedFd<'a>>,
        cookie: u64,
    },
    /// The kernel's objects of the kind the program was loaded for.
    Iterator,
    /// Kernel functions by name (`BPF_TRACE_KPROBE_MULTI`, or a session by `attach_type`).
    KprobeMulti {
        attach_type: u32,
        symbols: &'a [*const libc::c_char],
        cookies: &'a [u64],
        is_return: bool,
    },
    /// Places in an executable.
    UprobeMulti {
        path: &'a CStr,
        offsets: &'a [u64],
        /// Offsets of reference counters; none, or one each.
        counters: &'a [u64],
        cookies: &'a [u64],
        is_return: bool,
        pid: u32,
    },
}

#[repr(C)]
#[derive(Default)]
struct LinkCreateAttr {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    /// The rest differs by kind: six words, zero where unused.
    rest: [u64; 6],
}

/// Attaches a program by a link; closing it detaches.
pub(crate) fn link_create(program: BorrowedFd<'_>, target: &LinkTarget<'_>) -> io::Result<OwnedFd> {
    const PERF_EVENT: u32 = 41;
    let mut attr = LinkCreateAttr {
        prog_fd: fd_number(program),
        ..LinkCreateAttr::default()
    };
    match target {
        LinkTarget::PerfEvent { event, cookie } => {
            attr.attach_type = PERF_EVENT;
            attr.target_fd = event.map_or(u32::MAX, fd_number);
            attr.rest[0] = *cookie;
        }
        LinkTarget::Iterator => attr.attach_type = TRACE_ITER,
        LinkTarget::KprobeMulti {
            attach_type,
            symbols,
            cookies,
            is_return,
        } => {
            if !cookies.is_empty() && cookies.len() != symbols.len() {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            attr.attach_type = *attach_type;
            // flags and count, symbols, addresses, cookies
            attr.rest[0] = u64::from(*is_return) | u64::from(length(symbols)) << 32;
            attr.rest[1] = address(symbols);
            attr.rest[3] = if cookies.is_empty() {
                0
            } else {
                address(cookies)
            };
        }
        LinkTarget::UprobeMulti {
            path,
            offsets,
            counters,
            cookies,
            is_return,
            pid,
        } => {
            let is_none_or_each = |list: &[u64]| list.is_empty() || list.len() == offsets.len();
            if !is_none_or_each(cookies) || !is_none_or_each(counters) {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            attr.attach_type = TRACE_UPROBE_MULTI;
            // path, offsets, reference counters, cookies, count and flags, pid
            attr.rest[0] = path.as_ptr() as u64;
            attr.rest[1] = address(offsets);
            attr.rest[2] = if counters.is_empty() {
                0
            } else {
                address(counters)
            };
            attr.rest[3] = if cookies.is_empty() {
                0
            } else {
                address(cookies)
            };
            attr.rest[4] = u64::from(length(offsets)) | u64::from(*is_return) << 32;
            attr.rest[5] = u64::from(*pid);
        }
    }
    bpf_fd(Command::LinkCreate, &mut attr)
}

#[repr(C)]
struct IteratorAttr {
    link_fd: u32,
    flags: u32,
}

/// Opens one pass of an iterator: reading it runs the program.
pub(crate) fn iterator_open(link: BorrowedFd<'_>) -> io::Result<File> {
    let mut attr = IteratorAttr {
        link_fd: fd_number(link),
        flags: 0,
    };
    bpf_fd(Command::IteratorCreate, &mut attr).map(File::from)
}

#[repr(C)]
struct PinAttr {
    path: u64,
    bpf_fd: u32,
    file_flags: u32,
}

/// Gives an object of the kernel a name in the BPF file system.
pub(crate) fn object_pin(object: BorrowedFd<'_>, path: &CStr) -> io::Result<()> {
    let mut attr = PinAttr {
        path: path.as_ptr() as u64,
        bpf_fd: fd_number(object),
        file_flags: 0,
    };
    bpf(Command::ObjectPin, &mut attr).map(drop)
}

// ---- perf events ---------------------------------------------------------------------------

/// A perf event to open.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PerfEvent<'a> {
    /// `PERF_TYPE_*`, or a dynamic type from sysfs.
    pub(crate) kind: u32,
    pub(crate) config: u64,
    /// Every n events, or n times a second.
    pub(crate) sample: u64,
    pub(crate) is_frequency: bool,
    /// A process; `None` for all.
    pub(crate) pid: Option<u32>,
    /// A CPU; `None` for all (with a process only).
    pub(crate) cpu: Option<u32>,
    /// Starts by [`perf_event_enable`].
    pub(crate) is_disabled: bool,
    /// A function or a file, for probes.
    pub(crate) text: Option<&'a CStr>,
    /// An offset from there, or an address.
    pub(crate) offset: u64,
    /// Memory that is watched: where, how many bytes, for what (`HW_BREAKPOINT_*`).
    pub(crate) watch: Option<(u64, u32, u32)>,
}

/// `struct perf_event_attr` as of its second version (72 bytes), which says all we need.
#[repr(C)]
#[derive(Default)]
struct PerfEventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
    config2: u64,
}

/// Opens a perf event.
pub(crate) fn perf_event_open(event: &PerfEvent<'_>) -> io::Result<OwnedFd> {
    const DISABLED: u64 = 1;
    const FREQUENCY: u64 = 1 << 10;
    const CLOSE_ON_EXEC: c_long = 8;
    let flags = if event.is_disabled { DISABLED } else { 0 }
        | if event.is_frequency { FREQUENCY } else { 0 };
    let (bp_type, config1, config2) = match event.watch {
        Some((address, length, mode)) => {
            // Instructions are watched whatever their length.
            let length = if mode == 4 { 8 } else { length };
            (mode, address, u64::from(length))
        }
        None => {
            let text = event.text.map_or(0, |text| text.as_ptr() as u64);
            (0, text, event.offset)
        }
    };
    let attr = PerfEventAttr {
        kind: event.kind,
        size: mem::size_of::<PerfEventAttr>() as u32,
        config: event.config,
        sample: event.sample,
        flags,
        wakeup_events: 1,
        bp_type,
        config1,
        config2,
        ..PerfEventAttr::default()
    };
    let number = |value: Option<u32>| value.map_or(-1, c_long::from);
    // SAFETY: `attr` is valid for reads of the size it states, and a text it points to ends
    // with a NUL; the rest are numbers.
    let result = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            ptr::from_ref(&attr),
            number(event.pid),
            number(event.cpu),
            -1 as c_long,
            CLOSE_ON_EXEC,
        )
    };
    owned(result)
}

/// Gives a perf event its program the way kernels before 5.15 know (no cookie).
pub(crate) fn perf_event_set_bpf(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    const PERF_EVENT_IOC_SET_BPF: libc::Ioctl = 0x4004_2408;
    // SAFETY: this request takes a descriptor number, not an address.
    let result = unsafe {
        libc::ioctl(
            event.as_raw_fd(),
            PERF_EVENT_IOC_SET_BPF,
            program.as_raw_fd(),
        )
    };
    check(result)
}

/// Starts a perf event.
pub(crate) fn perf_event_enable(event: BorrowedFd<'_>) -> io::Result<()> {
    const PERF_EVENT_IOC_ENABLE: libc::Ioctl = 0x2400;
    // SAFETY: this request takes a number, not an address.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_ENABLE, 0) };
    check(result)
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

// ---- shared memory -------------------------------------------------------------------------

/// A mapping that is undone when dropped.
#[derive(Debug)]
struct Mapping {
    start: *mut c_void,
    size: usize,
}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, size: usize, protection: c_int, flags: c_int) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping { start, size })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no slice of it outlives `self`.
        unsafe { libc::munmap(self.start, self.size) };
    }
}

/// The memory of an array map that was created `BPF_F_MMAPABLE`, shared with programs.
///
/// Shape: 8-byte words; each read and write is atomic, so that it never meets a half-written
/// one of a running program.
#[derive(Debug)]
pub(crate) struct SharedBytes {
    mapping: Mapping,
    size: usize,
}

impl SharedBytes {
    /// Maps the one element of an array map.
    pub(crate) fn of(map: &Map) -> io::Result<SharedBytes> {
        let size = map.element_size;
        let mapping = Mapping::new(
            map.as_fd(),
            size.max(1),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
        )?;
        Ok(SharedBytes { mapping, size })
    }

    /// The word at byte `offset`; `None` if it is not aligned or not inside.
    fn word(&self, offset: usize) -> Option<&AtomicU64> {
        if !offset.is_multiple_of(8) || offset.checked_add(8)? > self.size {
            return None;
        }
        // SAFETY: the word lies inside the mapping (the kernel refuses to map more than the
        // element's pages), is aligned since mappings start at a page, and is only ever
        // reached through atomics on our side; the reference does not outlive the mapping.
        Some(unsafe {
            &*self
                .mapping
                .start
                .cast::<u8>()
                .add(offset)
                .cast::<AtomicU64>()
        })
    }

    /// Reads the word at byte `offset`; zero if there is none.
    pub(crate) fn load(&self, offset: u32) -> u64 {
        let word = self.word(offset as usize);
        word.map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Writes the word at byte `offset`, if there is one.
    pub(crate) fn store(&self, offset: u32, value: u64) {
        if let Some(word) = self.word(offset as usize) {
            // Seen by programs before anything that is read here afterwards: see `Events`.
            word.store(value, Ordering::SeqCst);
        }
    }

    /// Copies `size` bytes from `offset` (a multiple of 8), word by word; bytes that are not
    /// there are zero.
    pub(crate) fn copy(&self, offset: u32, size: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size as usize + 8);
        for at in (offset..offset.saturating_add(size)).step_by(8) {
            bytes.extend_from_slice(&self.load(at).to_ne_bytes());
        }
        bytes.truncate(size as usize);
        bytes
    }
}

/// A file's bytes: mapped where the kernel can, read where it cannot.
#[derive(Debug)]
pub(crate) enum FileBytes {
    Mapped(MappedFile),
    Read(Vec<u8>),
}

/// A file mapped read-only.
#[derive(Debug)]
pub(crate) struct MappedFile(Mapping);

impl FileBytes {
    /// The bytes of the file at `path`, whose content must never change: one made by the kernel
    /// (sysfs), or an executable, which is replaced but not rewritten.
    pub(crate) fn open(path: &Path) -> io::Result<FileBytes> {
        let mut file = File::open(path)?;
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        if size > 0 {
            let mapping = Mapping::new(file.as_fd(), size, libc::PROT_READ, libc::MAP_PRIVATE);
            if let Ok(mapping) = mapping {
                return Ok(FileBytes::Mapped(MappedFile(mapping)));
            }
        }
        let mut bytes = Vec::with_capacity(size);
        file.read_to_end(&mut bytes)?;
        Ok(FileBytes::Read(bytes))
    }
}

impl AsRef<[u8]> for FileBytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            // SAFETY: the mapping is that long, readable, and lives as long as `self`. It is
            // the kernel's own constant data (a sysfs file), or an executable, which whoever
            // installs a new one replaces by another file: nobody writes or truncates it.
            FileBytes::Mapped(MappedFile(mapping)) => unsafe {
                slice::from_raw_parts(mapping.start.cast::<u8>(), mapping.size)
            },
            FileBytes::Read(bytes) => bytes,
        }
    }
}

// ---- file systems --------------------------------------------------------------------------

/// Mounts a file system without a place in the tree; it goes when the descriptor is closed.
pub(crate) fn detached_mount(kind: &CStr) -> io::Result<OwnedFd> {
    const CLOSE_ON_EXEC: c_long = 1;
    const CREATE: c_long = 6;
    let no_text = ptr::null::<libc::c_char>();
    // SAFETY: `kind` ends with a NUL; the rest are numbers.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), CLOSE_ON_EXEC) })?;
    // SAFETY: this command takes neither key nor value.
    let created = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            c_long::from(context.as_raw_fd()),
            CREATE,
            no_text,
            no_text,
            0 as c_long,
        )
    };
    if created < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: only numbers.
    owned(unsafe {
        libc::syscall(
            libc::SYS_fsmount,
            c_long::from(context.as_raw_fd()),
            CLOSE_ON_EXEC,
            0 as c_long,
        )
    })
}

/// The number that tells what kind of file system holds `path` (`man 2 statfs`). C libraries
/// differ in its sign; all numbers in use have 32 bits.
pub(crate) fn file_system_kind(path: &Path) -> io::Result<u32> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut facts = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `path` ends with a NUL and `facts` has room for the answer.
    check(unsafe { libc::statfs(path.as_ptr(), facts.as_mut_ptr()) })?;
    // SAFETY: all-zero bytes are a valid value of this plain struct, and the kernel filled it.
    let kind = unsafe { facts.assume_init() }.f_type;
    Ok(u32::try_from(kind).unwrap_or(0))
}

// ---- processes -----------------------------------------------------------------------------

/// The effective capabilities of this process, one bit each.
pub(crate) fn capabilities() -> io::Result<u64> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let mut header = Header {
        version: 0x2008_0522,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 of the call writes two such records and perhaps the version.
    let result = unsafe {
        libc::syscall(
            libc::SYS_capget,
            ptr::from_mut(&mut header),
            data.as_mut_ptr(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let [low, high] = data;
    Ok(u64::from(low.effective) | u64::from(high.effective) << 32)
}

/// Lifts the limit of locked memory, which kernels before 5.11 charge maps against.
pub(crate) fn lift_memory_limit() -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is valid for reads.
    check(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) })
}

/// A descriptor that becomes readable when the process ends.
pub(crate) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: only numbers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, c_long::from(pid), 0 as c_long) })
}

/// Lets the event loop tell when a descriptor becomes readable. Has to be called inside a
/// tokio runtime.
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` stays open and the same for as long as it lives, which is as long
    // as the value that takes it here.
    let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(watched?)
}

/// Whether a descriptor is readable now.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    loop {
        // SAFETY: one record, valid for reads and writes; without waiting.
        match check(unsafe { libc::poll(&raw mut poll, 1, 0) }) {
            Ok(_) => return Ok(poll.revents & libc::POLLIN != 0),
            // A signal that came just now is taken before the next call.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How a terminal passes on what is typed.
pub(crate) struct TerminalMode(libc::termios);

impl TerminalMode {
    /// Has keys passed on as they are pressed, without an echo or signals, and reading never
    /// wait. Gives the mode before.
    pub(crate) fn set_raw(terminal: BorrowedFd<'_>) -> io::Result<TerminalMode> {
        let mut mode = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the call fills the record if it succeeds.
        let before = unsafe {
            check(libc::tcgetattr(terminal.as_raw_fd(), mode.as_mut_ptr()))?;
            mode.assume_init()
        };
        let mut raw = before;
        // SAFETY: the call changes the record alone.
        unsafe { libc::cfmakeraw(&raw mut raw) };
        // Lines that are written still begin at the left.
        raw.c_oflag |= libc::OPOST | libc::ONLCR;
        raw.c_cc[libc::VMIN] = 0;
        raw.c_cc[libc::VTIME] = 0;
        TerminalMode(raw).restore(terminal)?;
        Ok(TerminalMode(before))
    }

    /// Has the terminal use this mode.
    pub(crate) fn restore(&self, terminal: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: one record, valid for reads.
        check(unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &raw const self.0) })
            .map(drop)
    }
}

/// A terminal's columns and rows.
pub(crate) fn terminal_size(terminal: BorrowedFd<'_>) -> io::Result<(u16, u16)> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the call fills the record.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) })?;
    Ok((size.ws_col, size.ws_row))
}

/// A file without a path, whose writes all go to its end.
pub(crate) fn memory_file(name: &CStr) -> io::Result<File> {
    // SAFETY: a text and numbers.
    let file = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    check(file)?;
    let file = File::from(owned(c_long::from(file))?);
    // SAFETY: only numbers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_APPEND) })?;
    Ok(file)
}

/// Asks a process to end.
pub(crate) fn terminate(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a null pointer asks for the default signal information; the rest are numbers.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            c_long::from(pidfd.as_raw_fd()),
            c_long::from(libc::SIGTERM),
            ptr::null::<libc::siginfo_t>(),
            0 as c_long,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A child that waits to be told to execute its command.
#[derive(Debug)]
pub(crate) struct StoppedChild {
    pub(crate) pid: u32,
    /// A byte here lets it go on; closing it without makes it end.
    pub(crate) go: OwnedFd,
    /// Carries the error number if the command cannot be executed; else just closes.
    pub(crate) failure: OwnedFd,
}

/// Creates a child that will execute `path` with `arguments` and this process's environment.
pub(crate) fn spawn_stopped(path: &CStr, arguments: &[CString]) -> io::Result<StoppedChild> {
    let (go_read, go_write) = pipe()?;
    let (failure_read, failure_write) = pipe()?;
    let mut argv: Vec<*const libc::c_char> = arguments.iter().map(|a| a.as_ptr()).collect();
    argv.push(ptr::null());
    // SAFETY: the child calls only functions that are safe after `fork` in any process
    // (prctl, close, read, signal, execve, write, _exit): no allocation, no lock. All memory
    // it reads was made before. `environ` is not changed by anybody meanwhile: at this time
    // the process has one thread.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    if pid == 0 {
        unsafe extern "C" {
            static environ: *const *const libc::c_char;
        }
        // SAFETY: as above; every pointer is to memory that `fork` has copied.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            libc::close(go_write.as_raw_fd());
            let mut byte = 0_u8;
            let told = libc::read(go_read.as_raw_fd(), (&raw mut byte).cast(), 1);
            if told != 1 {
                libc::_exit(0);
            }
            // Rust ignores SIGPIPE; commands expect the default.
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::execve(path.as_ptr(), argv.as_ptr(), environ);
            let error = *libc::__errno_location();
            libc::write(failure_write.as_raw_fd(), (&raw const error).cast(), 4);
            libc::_exit(127);
        }
    }
    Ok(StoppedChild {
        pid: pid.unsigned_abs(),
        go: go_write,
        failure: failure_read,
    })
}

/// A pipe: its reading and its writing end, both closed on exec.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the call writes two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [read, write] = ends;
    Ok((owned(c_long::from(read))?, owned(c_long::from(write))?))
}

/// Closes descriptors when this process has ended, as the kernel takes long to do it: a child
/// holds them until then, and closes them then. Without such a child they are closed here.
pub(crate) fn close_after_end(descriptors: Vec<OwnedFd>) {
    if descriptors.is_empty() {
        return;
    }
    let Ok(end) = pidfd_open(std::process::id()) else {
        return;
    };
    let numbers = descriptors.iter().chain([&end]).map(AsRawFd::as_raw_fd);
    let mut kept: Vec<u32> = numbers.map(i32::cast_unsigned).collect();
    kept.sort_unstable();
    // SAFETY: the child calls only functions that are safe after `fork` in any process
    // (close_range, poll, _exit): no allocation, no lock. All memory it reads was made before.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let close = |first: u32, last: u32| {
            // SAFETY: only numbers; nothing of the child uses a descriptor that it closes.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
        };
        // Above all the output, whose reader waits for its end.
        let mut first = 0;
        for number in &kept {
            if *number > first {
                close(first, number - 1);
            }
            first = number + 1;
        }
        close(first, u32::MAX);
        let mut poll = libc::pollfd {
            fd: end.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one record, valid for reads and writes. What interrupts the wait ends it too:
        // the descriptors are then closed by whoever is the last.
        unsafe {
            libc::poll(&raw mut poll, 1, -1);
            libc::_exit(0);
        }
    }
    if pid > 0 {
        for descriptor in descriptors {
            // The child has it: that this process has it as well ends with the process.
            let _ = descriptor.into_raw_fd();
        }
    }
}

/// Takes note of a child that has ended, so that it does not stay as a zombie.
pub(crate) fn reap(pid: u32) {
    let mut status = 0;
    // SAFETY: `status` has room for the answer. A failure means it was reaped already.
    unsafe { libc::waitpid(pid as libc::pid_t, &raw mut status, libc::WNOHANG) };
}

// ---- time ----------------------------------------------------------------------------------

/// The kernel's clocks that matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClockId {
    /// Since boot, sleep included: what `nsecs` counts.
    Boot,
    /// Since 1970.
    Real,
    /// CPU time of the calling thread.
    Thread,
}

/// Nanoseconds a clock shows; zero for a clock the kernel lacks.
pub(crate) fn now(clock: ClockId) -> u64 {
    let id = match clock {
        ClockId::Boot => libc::CLOCK_BOOTTIME,
        ClockId::Real => libc::CLOCK_REALTIME,
        ClockId::Thread => libc::CLOCK_THREAD_CPUTIME_ID,
    };
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` has room for the answer.
    if unsafe { libc::clock_gettime(id, &raw mut time) } != 0 {
        return 0;
    }
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// `strftime(3)` of seconds since 1970 in the local time zone.
pub(crate) fn strftime(format: &str, seconds: i64) -> String {
    // The mark keeps an empty result apart from one that found no room.
    let Ok(marked) = CString::new(format!("{format}.")) else {
        return String::new();
    };
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both point to live values; null is checked.
    if unsafe { libc::localtime_r(&raw const seconds, parts.as_mut_ptr()) }.is_null() {
        return String::new();
    }
    let mut buffer = vec![0_u8; 128];
    while buffer.len() <= 1 << 16 {
        // SAFETY: the buffer has the length that is told, the format ends with a NUL, and
        // `localtime_r` has filled `parts`.
        let used = unsafe {
            libc::strftime(
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                marked.as_ptr(),
                parts.as_ptr(),
            )
        };
        if used > 0 {
            buffer.truncate(used - 1);
            return String::from_utf8_lossy(&buffer).into_owned();
        }
        buffer = vec![0; buffer.len() * 2];
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_kernel_takes() {
        assert_eq!(&object_name("a/b.c_d"), b"a_b.c_d\0\0\0\0\0\0\0\0\0");
        assert_eq!(&object_name("0123456789abcdefg"), b"0123456789abcde\0");
    }

    #[test]
    fn attributes_have_no_padding() {
        assert_eq!(mem::size_of::<MapCreateAttr>(), 64);
        assert_eq!(mem::size_of::<ProgLoadAttr>(), 120);
        assert_eq!(mem::size_of::<TestRunAttr>(), 72);
        assert_eq!(mem::size_of::<LinkCreateAttr>(), 64);
        assert_eq!(mem::size_of::<PerfEventAttr>(), 72);
        assert_eq!(mem::size_of::<BatchAttr>(), 56);
    }

    #[test]
    fn times_may_be_empty_or_long() {
        assert_eq!(strftime("", 0), "");
        assert_eq!(strftime(&"%%".repeat(300), 0), "%".repeat(300));
        assert_eq!(strftime("%Y", 86400 * 10), "1970");
    }

    #[test]
    fn a_stopped_child_runs_only_when_told() {
        let path = CString::new("/bin/true").expect("no NUL");
        let child = spawn_stopped(&path, std::slice::from_ref(&path)).expect("fork");
        let pidfd = pidfd_open(child.pid).expect("it lives");
        drop(child.go);
        drop(child.failure);
        let mut poll = libc::pollfd {
            fd: pidfd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid record.
        assert_eq!(unsafe { libc::poll(&raw mut poll, 1, 5000) }, 1);
        reap(child.pid);
    }
}
