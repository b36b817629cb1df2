//! Programs in the kernel, and the ways of attaching them.
//!
//! A [`Program`] owns its descriptor and a [`Link`] what holds it to a probe: dropping them
//! unloads and detaches. Where a program goes is data of the artifact; each way the kernel
//! offers is one function here, and a new way is one more row of the match in `attach`.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rbt_compiler::artifact::{AttachTarget, Attachment, Cpus, ProgramPlan, Sample};
use rbt_compiler::target::TargetError;

use crate::host::{Host, reason};
use crate::sys::{self, LinkTarget, PerfEvent};

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
/// Private fields: closing `link` ends the program's calls at once; closing the event behind
/// it may wait for the kernel (tens of milliseconds for a tracepoint), so it is kept apart.
#[derive(Debug)]
pub(crate) struct Link {
    link: Option<OwnedFd>,
    event: Option<OwnedFd>,
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

    /// Runs it once, here and now.
    pub(crate) fn test_run(&self) -> io::Result<()> {
        sys::prog_test_run(self.fd.as_fd()).map(drop)
    }

    /// Attaches it to one of its places, restricted to a process where the place allows that.
    pub(crate) fn attach(
        &self,
        attachment: &Attachment,
        host: &Host,
        pid: Option<u32>,
    ) -> Result<Vec<Link>, AttachError> {
        let cookie = u64::from(attachment.site.0);
        let pid = pid.filter(|_| attachment.follows_pid);
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
                    cpu: None,
                    is_disabled: true,
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
        Ok(Link {
            link: Some(link),
            event: None,
        })
    }

    /// A counter or clock on one CPU.
    fn perf_event(&self, event: PerfEvent, cpu: u32, cookie: u64) -> io::Result<Link> {
        let event = sys::perf_event_open(&PerfEvent {
            cpu: Some(cpu),
            ..event
        })?;
        self.link_event(event, cookie)
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
        })
    }
}

impl AsFd for Program<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Link {
    /// Ends the program's calls from here. What may take the kernel long is left for the drop.
    pub(crate) fn detach(&mut self) {
        if self.link.take().is_none() {
            // Without a link the event itself holds the program.
            self.event = None;
        }
    }
}
