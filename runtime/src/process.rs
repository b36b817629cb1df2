//! The traced process: one that runs already (`-p`), or a command to be started (`-c`).
//!
//! A command's process is made before anything is compiled, so that its id is known, and
//! waits until the probes are attached. Tracing follows both by a descriptor that tells their
//! end, which cannot be mistaken for another process's.

use std::env;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rbt_grammar::codes;

use crate::error::Error;
use crate::host::reason;
use crate::sys;

/// A running process that is traced.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: OwnedFd,
}

/// A command that waits to be started. Dropped before, it never runs.
#[derive(Debug)]
pub struct Child {
    process: Process,
    /// A byte here starts the command.
    go: Option<OwnedFd>,
    /// Says why the command could not be executed.
    failure: Option<OwnedFd>,
    command: String,
}

impl Process {
    /// The process of that id.
    ///
    /// Errors: `E0902` if there is none.
    pub fn open(pid: u32) -> Result<Process, Error> {
        let pidfd = sys::pidfd_open(pid).map_err(|error| {
            // The kernel calls a number that is no process's id, and 0, invalid.
            let why = match error.raw_os_error() {
                Some(libc::EINVAL) => String::from("No such process"),
                _ => reason(&error),
            };
            let message = format!("Failed to attach to pid: Unable to open pidfd ({why})");
            Error::usage(codes::CHILD, message)
        })?;
        Ok(Process { pid, pidfd })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn watch(&self) -> io::Result<OwnedFd> {
        self.pidfd.try_clone()
    }
}

impl Child {
    /// Creates the process for a command line: words separated by spaces, which single or
    /// double quotes and backslashes keep together.
    ///
    /// Errors: `E0902` if there is no such executable.
    pub fn spawn(command: &str) -> Result<Child, Error> {
        let words = split(command);
        let Some(name) = words.first().filter(|name| !name.is_empty()) else {
            return Err(missing(command, "No such file or directory"));
        };
        let path = find(name)?;
        let failed = |error: io::Error| {
            let why = reason(&error);
            Error::usage(codes::CHILD, format!("Failed to fork child: {why}"))
        };
        let text = |text: &[u8]| CString::new(text).map_err(|error| failed(error.into()));
        let arguments = words.iter().map(|word| text(word.as_bytes()));
        let arguments: Vec<CString> = arguments.collect::<Result<_, _>>()?;
        let path = text(path.as_os_str().as_bytes())?;
        let child = sys::spawn_stopped(&path, &arguments).map_err(failed)?;
        Ok(Child {
            process: Process::open(child.pid)?,
            go: Some(child.go),
            failure: Some(child.failure),
            command: name.clone(),
        })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    pub(crate) fn watch(&self) -> io::Result<OwnedFd> {
        self.process.watch()
    }

    /// Starts the command. `held`, if given, is called with its id while it is held where its
    /// own code begins; not if it cannot be held there, which makes no other difference.
    pub(crate) fn start(&mut self, held: Option<&dyn Fn(u32)>) -> Result<(), Error> {
        let pid = self.pid();
        let held = held.and_then(|held| Some((held, sys::follow(pid).ok()?)));
        let failed = |error| Error::system(format!("start the command {}", self.command), error);
        if let Some(go) = self.go.take() {
            File::from(go).write_all(b"!").map_err(failed)?;
        }
        let mut number = [0; 4];
        if let Some(failure) = self.failure.take() {
            // Nothing comes when the command runs: the other end was closed by executing it.
            if File::from(failure).read_exact(&mut number).is_ok() {
                let error = io::Error::from_raw_os_error(i32::from_ne_bytes(number));
                return Err(missing(&self.command, &reason(&error)));
            }
        }
        if let Some((held, mut followed)) = held
            && followed.run_to_entry().is_ok()
        {
            held(pid);
        }
        Ok(())
    }

    /// Asks it to end; it may have done so already.
    pub(crate) fn terminate(&self) {
        let _ = sys::terminate(self.process.pidfd.as_fd());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        sys::reap(self.process.pid);
    }
}

fn missing(path: &str, why: &str) -> Error {
    let message =
        format!("Failed to fork child: Path '{path}' does not exist or is not executable ({why})");
    Error::usage(codes::CHILD, message)
}

/// The executable a command name means: a path, or the first in `PATH`.
fn find(name: &str) -> Result<PathBuf, Error> {
    let is_executable = |path: &Path| {
        let facts = path.metadata();
        facts.is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    };
    let given = PathBuf::from(name);
    if name.contains('/') {
        return match given.metadata() {
            Err(error) => Err(missing(name, &reason(&error))),
            Ok(_) if is_executable(&given) => Ok(given),
            Ok(_) => Err(missing(name, "Permission denied")),
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|directory| directory.join(name));
    found
        .into_iter()
        .find(|path| is_executable(path))
        .ok_or_else(|| missing(name, "No such file or directory"))
}

/// The words of a command line.
fn split(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(split("  sh -c 'a b'  "), ["sh", "-c", "a b"]);
        assert_eq!(
            split(r#"x "a \" 'b'" c\ d '' "#),
            ["x", "a \" 'b'", "c d", ""]
        );
        assert!(split("   ").is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = Child::spawn("/nonexistent/x y").expect_err("no such file");
        assert_eq!(
            error.to_string(),
            "Failed to fork child: Path '/nonexistent/x' does not exist or is not executable \
             (No such file or directory)"
        );
        assert_eq!(error.status(), 1);
        let error = Child::spawn("/etc/passwd").expect_err("no program");
        assert!(
            error.to_string().ends_with("(Permission denied)"),
            "{error}"
        );
    }

    #[test]
    fn processes_that_do_not_exist() {
        let error = Process::open(u32::MAX >> 2).expect_err("no such process");
        assert_eq!(
            error.to_string(),
            "Failed to attach to pid: Unable to open pidfd (No such process)"
        );
    }
}
