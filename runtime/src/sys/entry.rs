//! Holds a program where its own code begins: its libraries are mapped, none of it has run.
//!
//! Takes a process that waits to execute a command, follows it as a debugger does, and lets go
//! of it again. Whatever happens on the way, the process goes on as if nobody had looked.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::ptr;
use std::time::{Duration, Instant};

use libc::{c_int, c_long, c_void, pid_t};

/// How long a program's libraries may take to start before it is let go.
const PATIENCE: Duration = Duration::from_secs(1);

/// What stops x86-64 at an instruction.
const BREAKPOINT: [u8; 1] = [0xcc];

/// `AT_ENTRY` of `linux/auxvec.h`.
const ENTRY: u64 = 9;

/// A process that is followed. Dropped, it is let go as it stands.
#[derive(Debug)]
pub(crate) struct Followed {
    pid: pid_t,
    is_stopped: bool,
}

/// Follows a process that has not executed its command yet.
///
/// Errors: it may not be followed, or this architecture is none that rbt knows to stop.
pub(crate) fn follow(pid: u32) -> io::Result<Followed> {
    if !cfg!(target_arch = "x86_64") {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    let pid = pid_t::try_from(pid).map_err(io::Error::other)?;
    let options = c_long::from(libc::PTRACE_O_TRACEEXEC);
    request(libc::PTRACE_SEIZE, pid, options)?;
    Ok(Followed {
        pid,
        is_stopped: false,
    })
}

impl Followed {
    /// Waits until the command is executed and stands at its entry.
    ///
    /// Errors: it came to no stop there.
    pub(crate) fn run_to_entry(&mut self) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        let executed = |status: c_int| status >> 16 == libc::PTRACE_EVENT_EXEC;
        self.wait(until, executed)?;
        let entry = entry(self.pid)?;
        let path = format!("/proc/{}/mem", self.pid);
        let memory = OpenOptions::new().read(true).write(true).open(path)?;
        let mut there = [0];
        memory.read_exact_at(&mut there, entry)?;
        if there == BREAKPOINT {
            // A probe is there already, which would answer for this one.
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        memory.write_all_at(&BREAKPOINT, entry)?;
        let came = self.go_on(0).and_then(|()| {
            let trapped =
                |status: c_int| status >> 16 == 0 && libc::WSTOPSIG(status) == libc::SIGTRAP;
            self.wait(until, trapped)
        });
        if came.is_err() && !self.is_stopped {
            self.interrupt()?;
        }
        let restored = memory.write_all_at(&there, entry);
        came.and(restored)?;
        self.stand_at(entry)
    }

    /// Waits for a stop that is `wanted`; goes on after every other.
    fn wait(&mut self, until: Instant, wanted: impl Fn(c_int) -> bool) -> io::Result<()> {
        const MOMENT: Duration = Duration::from_micros(50);
        loop {
            let mut status = 0;
            // SAFETY: `status` has room for the answer.
            let pid =
                unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG | libc::__WALL) };
            if pid < 0 {
                return Err(io::Error::last_os_error());
            }
            if pid == 0 {
                if Instant::now() > until {
                    return Err(io::Error::from(io::ErrorKind::TimedOut));
                }
                std::thread::sleep(MOMENT);
                continue;
            }
            if !libc::WIFSTOPPED(status) {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            self.is_stopped = true;
            if wanted(status) {
                return Ok(());
            }
            let signal = match status >> 16 {
                0 => libc::WSTOPSIG(status),
                _ => 0,
            };
            self.go_on(signal)?;
        }
    }

    fn go_on(&mut self, signal: c_int) -> io::Result<()> {
        request(libc::PTRACE_CONT, self.pid, c_long::from(signal))?;
        self.is_stopped = false;
        Ok(())
    }

    fn interrupt(&mut self) -> io::Result<()> {
        request(libc::PTRACE_INTERRUPT, self.pid, 0)?;
        self.wait(Instant::now() + PATIENCE, |_| true)
    }

    /// Goes back to the instruction that was stopped at.
    #[cfg(target_arch = "x86_64")]
    fn stand_at(&mut self, entry: u64) -> io::Result<()> {
        // SAFETY: all bytes of the record may be zero.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        self.registers(libc::PTRACE_GETREGS, &mut registers)?;
        if registers.rip != entry + 1 {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        registers.rip = entry;
        self.registers(libc::PTRACE_SETREGS, &mut registers)
    }

    /// Reads all registers of the process, or sets them: `what` says which.
    #[cfg(target_arch = "x86_64")]
    fn registers(&self, what: Request, registers: &mut libc::user_regs_struct) -> io::Result<()> {
        let record = ptr::from_mut(registers).cast::<c_void>();
        // SAFETY: the kernel fills in a record of that layout, or reads it; it is ours alone.
        let code = unsafe { libc::ptrace(what, self.pid, ptr::null_mut::<c_void>(), record) };
        if code < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn stand_at(&mut self, _: u64) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        // Only one that is stopped can be let go.
        if self.is_stopped || self.interrupt().is_ok() {
            let _ = request(libc::PTRACE_DETACH, self.pid, 0);
        }
    }
}

/// Where the code of a program begins, from what the kernel told the program.
fn entry(pid: pid_t) -> io::Result<u64> {
    let told = fs::read(format!("/proc/{pid}/auxv"))?;
    let mut words = told.chunks_exact(8).map(|bytes| {
        let mut word = [0; 8];
        word.copy_from_slice(bytes);
        u64::from_ne_bytes(word)
    });
    while let (Some(kind), Some(value)) = (words.next(), words.next()) {
        if kind == ENTRY {
            return Ok(value);
        }
    }
    Err(io::Error::from(io::ErrorKind::NotFound))
}

/// A request's number, as the C library declares it.
#[cfg(target_env = "gnu")]
type Request = libc::c_uint;
#[cfg(not(target_env = "gnu"))]
type Request = c_int;

fn request(what: Request, pid: pid_t, data: c_long) -> io::Result<()> {
    // SAFETY: none of these requests takes a pointer: their data are a number.
    let code = unsafe { libc::ptrace(what, pid, ptr::null_mut::<c_void>(), data) };
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{reap, spawn_stopped};
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_program_is_held_at_its_entry() {
        let path = c"/bin/true".to_owned();
        let child = spawn_stopped(&path, std::slice::from_ref(&path)).expect("fork");
        let mut followed = follow(child.pid).expect("our own child");
        File::from(child.go).write_all(b"!").expect("it waits");
        let mut failure = Vec::new();
        let mut said = File::from(child.failure);
        said.read_to_end(&mut failure).expect("a pipe");
        assert!(failure.is_empty());
        followed.run_to_entry().expect("it comes there");
        let maps = fs::read_to_string(format!("/proc/{}/maps", child.pid)).expect("its maps");
        assert!(maps.contains("libc"), "{maps}");
        drop(followed);
        let mut status = 0;
        // SAFETY: `status` has room for the answer.
        unsafe { libc::waitpid(child.pid.cast_signed(), &raw mut status, 0) };
        assert!(
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
            "{status:x}"
        );
        reap(child.pid);
    }
}
