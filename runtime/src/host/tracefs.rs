//! Reads tracefs: which tracepoints there are, their numbers and formats.
//!
//! Uses the mount that is there, or else one of its own that is part of no directory tree and
//! ends with the process: nothing is left behind. Never writes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rbt_compiler::target::TargetError;

use super::{reason, unreadable};
use crate::sys;

/// Where distributions mount it.
const MOUNTS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Formats that are kept: clauses of one script tend to name the same few tracepoints, and the
/// kernel writes a format anew whenever it is read.
const KEPT_FORMATS: usize = 8;

/// Bytes that hold most files, so that one call reads them.
const USUAL_SIZE: usize = 4096;

/// A category and an event, and the event's format.
type Format = ([String; 2], Option<String>);

/// An open tracefs.
pub(super) struct Tracefs {
    events: PathBuf,
    /// The last ones that were read.
    formats: RefCell<VecDeque<Format>>,
    /// The detached mount that `events` leads through, if it is our own.
    _mount: Option<OwnedFd>,
}

impl Tracefs {
    /// Finds the mount or makes one.
    ///
    /// Errors: there is no mount and none can be made.
    pub(super) fn open() -> Result<Tracefs, TargetError> {
        for mount in MOUNTS {
            let events = PathBuf::from(mount).join("events");
            if events.is_dir() {
                return Ok(Tracefs {
                    events,
                    formats: RefCell::default(),
                    _mount: None,
                });
            }
        }
        let mount = sys::detached_mount(c"tracefs").map_err(|error| TargetError {
            attempted: String::from("reach the kernel's tracepoints in"),
            on: String::from("tracefs"),
            reason: reason(&error),
            help: String::from("run as root, or `mount -t tracefs tracefs /sys/kernel/tracing`"),
        })?;
        let events = PathBuf::from(format!("/proc/self/fd/{}/events", mount.as_raw_fd()));
        Ok(Tracefs {
            events,
            formats: RefCell::default(),
            _mount: Some(mount),
        })
    }

    /// The file that lists the functions which can be traced.
    pub(super) fn function_list(&self) -> PathBuf {
        self.events.with_file_name("available_filter_functions")
    }

    /// Names of categories, sorted.
    pub(super) fn categories(&self) -> Result<Vec<String>, TargetError> {
        self.directories(&[])
    }

    /// Names of a category's events, sorted; none if there is no such category.
    pub(super) fn events(&self, category: &str) -> Result<Vec<String>, TargetError> {
        if !is_name(category) {
            return Ok(Vec::new());
        }
        self.directories(&[category])
    }

    /// The number of an event, if it exists.
    pub(super) fn event_id(&self, category: &str, event: &str) -> Result<Option<u64>, TargetError> {
        let Some(text) = self.event_file(category, event, "id")? else {
            return Ok(None);
        };
        Ok(text.trim().parse().ok())
    }

    /// The format of an event, if it exists.
    pub(super) fn event_format(
        &self,
        category: &str,
        event: &str,
    ) -> Result<Option<String>, TargetError> {
        let mut formats = self.formats.borrow_mut();
        if let Some((_, format)) = formats.iter().find(|(of, _)| of == &[category, event]) {
            return Ok(format.clone());
        }
        let format = self.event_file(category, event, "format")?;
        if formats.len() >= KEPT_FORMATS {
            formats.pop_front();
        }
        let of = [category.to_owned(), event.to_owned()];
        formats.push_back((of, format.clone()));
        Ok(format)
    }

    fn event_file(
        &self,
        category: &str,
        event: &str,
        file: &str,
    ) -> Result<Option<String>, TargetError> {
        if !is_name(category) || !is_name(event) {
            return Ok(None);
        }
        let path: PathBuf = self.events.join(category).join(event).join(file);
        let read = || -> io::Result<String> {
            let mut text = String::with_capacity(USUAL_SIZE);
            File::open(&path)?.read_to_string(&mut text)?;
            text.shrink_to_fit();
            Ok(text)
        };
        match read() {
            Ok(text) => Ok(Some(text)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => {
                let shown = PathBuf::from("events")
                    .join(category)
                    .join(event)
                    .join(file);
                Err(unreadable("read the tracepoint's file", shown, &error))
            }
        }
    }

    fn directories(&self, under: &[&str]) -> Result<Vec<String>, TargetError> {
        let mut path = self.events.clone();
        path.extend(under);
        let shown = || PathBuf::from("events").join(under.concat());
        let failed = |error: &io::Error| unreadable("list the tracepoints of", shown(), error);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) && !under.is_empty() => return Ok(Vec::new()),
            Err(error) => return Err(failed(&error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(&error))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Whether a text can be the name of one directory.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\0'])
}
