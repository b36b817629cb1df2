//! Programs in the kernel, and the ways of attaching them.
//!
//! A [`Program`] owns its descriptor and a [`Link`] what holds it to a probe: dropping them
//! unloads and detaches. Where a program goes is data of the artifact; each way the kernel
//! offers is one function here, and a new way is one more row of the match in `attach`.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rbt_compiler::artifact::{AttachTarget, Attachment, Cpus, FilePoint, ProgramPlan, Sample};
use rbt_compiler::target::TargetError;

use crate::host::{Host, reason};
use crate::sys::{self, LinkTarget, PerfEvent};

/// `PERF_TYPE_BREAKPOINT` of `linux/perf_event.h`.
const PERF_TYPE_BREAKPOINT: u32 = 5;

/// A loaded program.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) plan: &'a ProgramPlan,
    /// Those of the plan's attachments that this copy is for.
    pub(crate) attachments: &'a [Attachment],
    fd: OwnedFd,
}

/// What holds a program to a probe.
///
/// Private fields: closing `link` ends the program's calls at once, but where `is_slow` says
/// so only returns when all CPUs have passed by, after tens of milliseconds; so may closing
/// the event behind it, which is kept apart.
#[derive(Debug)]
pub(crate) struct Link {
    link: Option<OwnedFd>,
    event: Option<OwnedFd>,
    /// The address it watches, for watchpoints.
    watched: Option<u64>,
    /// Whether its program runs when it is read.
    iterates: bool,
    /// Whether the kernel takes long to let go of it.
    is_slow: bool,
}

/// Which processes are traced.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scope {
    /// The process of `-p`.
    pub(crate) pid: Option<u32>,
    /// The child of `-c`.
    pub(crate) child: Option<u32>,
}

/// Why an attachment failed.
#[derive(Debug)]
pub(crate) struct AttachError {
    /// The kernel's or machine's reason.
    pub(crate) reason: String,
    /// What to do; may be empty.
    pub(crate) help: String,
}

impl From<io::Error> for AttachError {
    fn from(error: io::Error) -> Self {
        AttachError {
            reason: reason(&error),
            help: String::new(),
        }
    }
}

impl From<TargetError> for AttachError {
    fn from(error: TargetError) -> Self {
        AttachError {
            reason: error.to_string(),
            help: error.help,
        }
    }
}

/// The kernel's reason not to probe a function, in words where its number says little.
fn kprobe_refusal(function: &str, error: &io::Error) -> AttachError {
    let (reason, help) = match error.raw_os_error() {
        Some(libc::ENOENT) if function.is_empty() => {
            (String::from("no instruction can be probed there"), "")
        }
        Some(libc::ENOENT) => (
            format!("the kernel finds no function `{function}`"),
            "`rbt -l 'kprobe:NAME*'` lists those that can be traced",
        ),
        Some(libc::EINVAL | libc::EILSEQ) => (
            String::from("the kernel does not allow a probe there"),
            "functions marked `notrace`, and offsets inside an instruction, cannot be probed",
        ),
        Some(libc::EADDRNOTAVAIL | libc::EEXIST) => (
            String::from("the name stands for several functions"),
            "name the module: `kprobe:module:function`",
        ),
        _ => (reason(error), ""),
    };
    AttachError {
        reason,
        help: help.to_owned(),
    }
}

/// An instruction of a file.
struct FilePlace<'a> {
    path: &'a str,
    offset: u64,
    counter: u64,
    is_return: bool,
}

/// The kernel's reason not to probe an instruction, in words where its number says little.
fn uprobe_refusal(error: &io::Error) -> AttachError {
    let (reason, help) = match error.raw_os_error() {
        Some(libc::EINVAL) => (
            String::from("the kernel does not allow a probe there"),
            "another tracer may have a probe there already, with or without a counter",
        ),
        Some(libc::EIO | libc::ENOTSUP) => (
            String::from("the kernel cannot step over the instruction there"),
            "",
        ),
        Some(libc::ESRCH) => (String::from("the process has ended"), ""),
        _ => (reason(error), ""),
    };
    AttachError {
        reason,
        help: help.to_owned(),
    }
}

impl<'a> Program<'a> {
    pub(crate) fn new(
        plan: &'a ProgramPlan,
        attachments: &'a [Attachment],
        fd: OwnedFd,
    ) -> Program<'a> {
        Program {
            plan,
            attachments,
            fd,
        }
    }

    /// Runs it once, here and now; gives what it returned.
    pub(crate) fn test_run(&self) -> io::Result<u32> {
        sys::prog_test_run(self.fd.as_fd())
    }

    /// Runs it so many times in the kernel; gives how long one run took.
    pub(crate) fn run_often(&self, runs: u32) -> io::Result<Duration> {
        sys::prog_test_runs(self.fd.as_fd(), runs)
    }

    /// Attaches it to one of its places, restricted to a process where the place allows that.
    pub(crate) fn attach(
        &self,
        attachment: &Attachment,
        host: &Host,
        scope: &Scope,
    ) -> Result<Vec<Link>, AttachError> {
        let mut links = self.link(attachment, host, scope)?;
        for link in &mut links {
            link.is_slow = attachment.target.is_slow_to_detach();
        }
        Ok(links)
    }

    fn link(
        &self,
        attachment: &Attachment,
        host: &Host,
        scope: &Scope,
    ) -> Result<Vec<Link>, AttachError> {
        let cookie = u64::from(attachment.site.0);
        let pid = scope.pid.filter(|_| attachment.follows_pid);
        match &attachment.target {
            AttachTarget::TestRun => Ok(Vec::new()),
            AttachTarget::Tracepoint { category, name } => {
                let id = host.tracepoint_id(category, name)?;
                let id = id.ok_or_else(|| AttachError {
                    reason: String::from("no such tracepoint"),
                    help: String::new(),
                })?;
                Ok(vec![self.tracepoint(id, cookie)?])
            }
            AttachTarget::RawTracepoint { name } => Ok(vec![self.raw_tracepoint(name, cookie)?]),
            AttachTarget::Kprobe {
                function,
                offset,
                is_return,
            } => Ok(vec![self.kprobe(function, *offset, *is_return, cookie)?]),
            AttachTarget::KprobeMulti {
                functions,
                is_return,
            } => self.kprobe_multi(functions, *is_return, attachment.site.0),
            AttachTarget::Function { .. } => {
                Ok(vec![Link::of(sys::tracing_open(self.fd.as_fd())?)])
            }
            AttachTarget::Iterator { pin, .. } => {
                let link = sys::link_create(self.fd.as_fd(), &LinkTarget::Iterator)?;
                if let Some(pin) = pin {
                    pin_link(link.as_fd(), pin)?;
                }
                Ok(vec![Link {
                    iterates: pin.is_none(),
                    ..Link::of(link)
                }])
            }
            AttachTarget::Watchpoint {
                address,
                length,
                mode,
            } => {
                let event = PerfEvent {
                    kind: PERF_TYPE_BREAKPOINT,
                    sample: 1,
                    watch: Some((*address, *length, *mode)),
                    is_disabled: true,
                    ..PerfEvent::default()
                };
                self.watchpoint(event, *address, host, scope, cookie)
            }
            AttachTarget::Uprobe {
                path,
                offset,
                counter,
                is_return,
            } => {
                let place = FilePlace {
                    path,
                    offset: *offset,
                    counter: *counter,
                    is_return: *is_return,
                };
                let process = scope.pid.or(scope.child).filter(|_| attachment.follows_pid);
                Ok(vec![self.uprobe(&place, process, cookie)?])
            }
            AttachTarget::UprobeMulti {
                path,
                points,
                is_return,
            } => {
                let path = CString::new(path.as_str()).map_err(io::Error::from)?;
                let process = scope.pid.or(scope.child).filter(|_| attachment.follows_pid);
                self.uprobe_multi(&path, points, *is_return, process, attachment.site.0)
            }
            AttachTarget::PerfEvent {
                kind,
                config,
                sample,
                cpus,
            } => {
                let (sample, is_frequency) = match sample {
                    Sample::Period(events) => (*events, false),
                    Sample::Frequency(hertz) => (*hertz, true),
                };
                let event = PerfEvent {
                    kind: *kind,
                    config: *config,
                    sample,
                    is_frequency,
                    pid,
                    is_disabled: true,
                    ..PerfEvent::default()
                };
                let online = host.online_cpus()?;
                let count = match cpus {
                    Cpus::First => 1,
                    Cpus::Every => online.len(),
                };
                let links = online.iter().take(count);
                links
                    .map(|cpu| Ok(self.perf_event(event, *cpu, cookie)?))
                    .collect()
            }
        }
    }

    /// A tracepoint through a perf event. It fires on every CPU and for every process,
    /// whatever the event is opened for.
    fn tracepoint(&self, id: u64, cookie: u64) -> io::Result<Link> {
        const PERF_TYPE_TRACEPOINT: u32 = 2;
        let event = sys::perf_event_open(&PerfEvent {
            kind: PERF_TYPE_TRACEPOINT,
            config: id,
            cpu: Some(0),
            ..PerfEvent::default()
        })?;
        self.link_event(event, cookie)
    }

    /// A tracepoint without a perf event: cheaper, and let go of at once.
    fn raw_tracepoint(&self, name: &str, cookie: u64) -> io::Result<Link> {
        let name = CString::new(name)?;
        let with_cookie = sys::raw_tracepoint_open(self.fd.as_fd(), &name, Some(cookie));
        let link = match with_cookie {
            // Before 6.10 there are no cookies here; the compiler knows and does without.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                sys::raw_tracepoint_open(self.fd.as_fd(), &name, None)?
            }
            result => result?,
        };
        Ok(Link::of(link))
    }

    /// An instruction of the kernel, or a function's return.
    fn kprobe(
        &self,
        function: &str,
        offset: u64,
        is_return: bool,
        cookie: u64,
    ) -> Result<Link, AttachError> {
        let kind = fs::read_to_string("/sys/bus/event_source/devices/kprobe/type");
        let kind = kind.ok().and_then(|text| text.trim().parse().ok());
        let kind = kind.ok_or_else(|| AttachError {
            reason: String::from("this kernel has no kprobes"),
            help: String::from("it has to be built with CONFIG_KPROBES=y"),
        })?;
        let text = CString::new(function).map_err(io::Error::from)?;
        let event = sys::perf_event_open(&PerfEvent {
            kind,
            config: u64::from(is_return),
            cpu: Some(0),
            text: (!function.is_empty()).then_some(&text),
            offset,
            ..PerfEvent::default()
        });
        let event = event.map_err(|error| kprobe_refusal(function, &error))?;
        Ok(self.link_event(event, cookie)?)
    }

    /// Many functions by one link. A name that the kernel does not find makes it refuse all:
    /// then each half is tried, so that the others are attached.
    fn kprobe_multi(
        &self,
        functions: &[String],
        is_return: bool,
        first_site: u32,
    ) -> Result<Vec<Link>, AttachError> {
        let names: Result<Vec<CString>, _> =
            functions.iter().map(|f| CString::new(f.as_str())).collect();
        let names = names.map_err(io::Error::from)?;
        let symbols: Vec<*const libc::c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let cookies: Vec<u64> = (u64::from(first_site)..).take(functions.len()).collect();
        let target = LinkTarget::KprobeMulti {
            attach_type: sys::TRACE_KPROBE_MULTI,
            symbols: &symbols,
            cookies: &cookies,
            is_return,
        };
        let error = match sys::link_create(self.fd.as_fd(), &target) {
            Ok(link) => {
                return Ok(vec![Link::of(link)]);
            }
            Err(error) => error,
        };
        if functions.len() < 2 || error.raw_os_error() == Some(libc::EOPNOTSUPP) {
            return Err(error.into());
        }
        let (left, right) = functions.split_at(functions.len() / 2);
        let middle = first_site.saturating_add(u32::try_from(left.len()).unwrap_or(0));
        let left = self.kprobe_multi(left, is_return, first_site);
        let right = self.kprobe_multi(right, is_return, middle);
        match (left, right) {
            (Ok(mut left), Ok(right)) => {
                left.extend(right);
                Ok(left)
            }
            (Ok(links), Err(_)) | (Err(_), Ok(links)) => Ok(links),
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// An instruction of a file, or the return of the function that begins there.
    fn uprobe(
        &self,
        place: &FilePlace<'_>,
        process: Option<u32>,
        cookie: u64,
    ) -> Result<Link, AttachError> {
        let kind = fs::read_to_string("/sys/bus/event_source/devices/uprobe/type");
        let kind = kind.ok().and_then(|text| text.trim().parse().ok());
        let kind = kind.ok_or_else(|| AttachError {
            reason: String::from("this kernel has no uprobes"),
            help: String::from("it has to be built with CONFIG_UPROBE_EVENTS=y"),
        })?;
        let path = CString::new(place.path).map_err(io::Error::from)?;
        let event = sys::perf_event_open(&PerfEvent {
            kind,
            config: u64::from(place.is_return) | place.counter << 32,
            pid: process,
            // With a process the event follows it from CPU to CPU.
            cpu: process.is_none().then_some(0),
            text: Some(&path),
            offset: place.offset,
            ..PerfEvent::default()
        });
        let event = event.map_err(|error| uprobe_refusal(&error))?;
        Ok(self.link_event(event, cookie)?)
    }

    /// Many instructions of a file by one link. One that the kernel does not take makes it
    /// refuse all: then each half is tried, so that the others are attached.
    fn uprobe_multi(
        &self,
        path: &CStr,
        points: &[FilePoint],
        is_return: bool,
        process: Option<u32>,
        first_site: u32,
    ) -> Result<Vec<Link>, AttachError> {
        let offsets: Vec<u64> = points.iter().map(|point| point.offset).collect();
        let counters: Vec<u64> = points.iter().map(|point| point.counter).collect();
        let cookies = points
            .iter()
            .map(|point| first_site.saturating_add(point.site));
        let cookies: Vec<u64> = cookies.map(u64::from).collect();
        let has_counters = counters.iter().any(|counter| *counter > 0);
        let target = LinkTarget::UprobeMulti {
            path,
            offsets: &offsets,
            counters: if has_counters { &counters } else { &[] },
            cookies: &cookies,
            is_return,
            pid: process.unwrap_or(0),
        };
        let error = match sys::link_create(self.fd.as_fd(), &target) {
            Ok(link) => {
                return Ok(vec![Link::of(link)]);
            }
            Err(error) => error,
        };
        let is_about_all = matches!(
            error.raw_os_error(),
            Some(libc::EPERM | libc::ESRCH | libc::ENOENT | libc::EBADF | libc::EOPNOTSUPP)
        );
        if points.len() < 2 || is_about_all {
            return Err(uprobe_refusal(&error));
        }
        let (left, right) = points.split_at(points.len() / 2);
        let left = self.uprobe_multi(path, left, is_return, process, first_site);
        let right = self.uprobe_multi(path, right, is_return, process, first_site);
        match (left, right) {
            (Ok(mut left), Ok(right)) => {
                left.extend(right);
                Ok(left)
            }
            (Ok(links), Err(_)) | (Err(_), Ok(links)) => Ok(links),
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// A counter or clock on one CPU.
    fn perf_event(&self, event: PerfEvent<'_>, cpu: u32, cookie: u64) -> io::Result<Link> {
        let event = sys::perf_event_open(&PerfEvent {
            cpu: Some(cpu),
            ..event
        })?;
        self.link_event(event, cookie)
    }

    /// Memory on every CPU, or for each thread of the process that is traced.
    fn watchpoint(
        &self,
        event: PerfEvent<'_>,
        address: u64,
        host: &Host,
        scope: &Scope,
        cookie: u64,
    ) -> Result<Vec<Link>, AttachError> {
        let mut links = Vec::new();
        let mut add = |pid: Option<u32>, cpu: Option<u32>| -> io::Result<()> {
            let event = sys::perf_event_open(&PerfEvent { pid, cpu, ..event })?;
            let link = self.link_event(event, cookie)?;
            links.push(Link {
                watched: Some(address),
                ..link
            });
            Ok(())
        };
        match scope.pid.or(scope.child) {
            None => {
                for cpu in host.online_cpus()? {
                    add(None, Some(cpu))?;
                }
            }
            Some(process) => {
                for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                    let name = thread?.file_name();
                    if let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) {
                        add(Some(thread), None)?;
                    }
                }
            }
        }
        Ok(links)
    }

    fn link_event(&self, event: OwnedFd, cookie: u64) -> io::Result<Link> {
        let target = LinkTarget::PerfEvent {
            event: Some(event.as_fd()),
            cookie,
        };
        let link = match sys::link_create(self.fd.as_fd(), &target) {
            Ok(link) => Some(link),
            // Before 5.15 there are no links for perf events.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                sys::perf_event_set_bpf(event.as_fd(), self.fd.as_fd())?;
                None
            }
            Err(error) => return Err(error),
        };
        sys::perf_event_enable(event.as_fd())?;
        Ok(Link {
            link,
            event: Some(event),
            watched: None,
            iterates: false,
            is_slow: false,
        })
    }
}

impl AsFd for Program<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Leaves an iterator behind: an absolute path, or a name in the usual folder.
fn pin_link(link: BorrowedFd<'_>, pin: &str) -> Result<(), AttachError> {
    let path = if pin.starts_with('/') {
        pin.to_owned()
    } else {
        format!("/sys/fs/bpf/{pin}")
    };
    let name = CString::new(path.as_str()).map_err(io::Error::from)?;
    sys::object_pin(link, &name).map_err(|error| AttachError {
        reason: format!("pin the iterator to {path}: {}", reason(&error)),
        help: String::from("the folder has to be of a BPF file system, without such a file"),
    })?;
    println!("Program pinned to {path}");
    Ok(())
}

impl Link {
    /// One that is all of what holds the program.
    fn of(link: OwnedFd) -> Link {
        Link {
            link: Some(link),
            event: None,
            watched: None,
            iterates: false,
            is_slow: false,
        }
    }

    /// Whether the kernel takes long to let go of it.
    pub(crate) fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// Lets go of links at the very end of the process: of those that take long through a child.
    pub(crate) fn leave(links: Vec<Link>) {
        let slow = links.into_iter().filter(|link| link.is_slow);
        sys::close_after_end(slow.flat_map(|l| [l.link, l.event]).flatten().collect());
    }

    /// A pass over the objects that its program is run for; none if it is no iterator.
    pub(crate) fn pass(&self) -> Option<io::Result<File>> {
        let link = self.link.as_ref().filter(|_| self.iterates)?;
        Some(sys::iterator_open(link.as_fd()))
    }

    /// Whether it watches that address.
    pub(crate) fn watches(&self, address: u64) -> bool {
        self.watched == Some(address)
    }

    /// Ends the program's calls from here.
    pub(crate) fn detach(&mut self) {
        if self.link.take().is_none() {
            // Without a link the event itself holds the program.
            self.event = None;
        }
    }
}
