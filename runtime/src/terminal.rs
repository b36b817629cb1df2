//! A terminal that somebody draws on: keys as they are pressed, a screen of its own.
//!
//! Takes stdin and stdout, which have to be one; gives keys, the size, and a place to write
//! pictures to. Dropped, the terminal is as it was. Knows nothing of what is drawn.

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::sys;

/// To a screen of its own without a cursor, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// A terminal that reports keys at once and echoes none.
///
/// Private fields: what it was before.
pub struct Terminal {
    keys: AsyncFd<OwnedFd>,
    resized: Signal,
    before: sys::TerminalMode,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Terminal {
    /// Whether there is one.
    pub fn is_there() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Takes it. Has to be called inside a tokio runtime.
    ///
    /// Errors: stdin or stdout is no terminal.
    pub fn take() -> io::Result<Terminal> {
        let keys = sys::watch(io::stdin().as_fd().try_clone_to_owned()?)?;
        let resized = signal(SignalKind::window_change())?;
        let before = sys::TerminalMode::set_raw(keys.get_ref().as_fd())?;
        let terminal = Terminal {
            keys,
            resized,
            before,
        };
        terminal.write(ENTER)?;
        Ok(terminal)
    }

    /// Columns and rows; 80 and 24 where it does not say.
    pub fn size(&self) -> (usize, usize) {
        match sys::terminal_size(io::stdout().as_fd()) {
            Ok((columns, rows)) if columns > 0 && rows > 0 => (columns.into(), rows.into()),
            _ => (80, 24),
        }
    }

    /// Comes when a key was pressed or the size has changed.
    pub async fn changed(&mut self) {
        tokio::select! {
            _ = self.resized.recv() => {}
            ready = self.keys.readable() => if let Ok(mut ready) = ready {
                ready.clear_ready();
            }
        }
    }

    /// The bytes of the keys that were pressed; empty if none was. `None` once it is gone.
    pub fn keys(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 64];
        let mut file = std::fs::File::from(self.keys.get_ref().try_clone().ok()?);
        loop {
            match file.read(&mut chunk) {
                // Nothing more for now: in this mode that is no end.
                Ok(0) => return Some(bytes),
                Ok(count) => bytes.extend_from_slice(chunk.get(..count)?),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(bytes),
                Err(_) => return None,
            }
        }
    }

    /// Writes at once.
    ///
    /// Errors: the terminal is gone.
    pub fn write(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If it is gone there is nothing to give back.
        let _ = self.write(LEAVE);
        let _ = self.before.restore(self.keys.get_ref().as_fd());
    }
}

/// A file in memory that grows at its end.
///
/// Errors: the kernel has no memory for it.
pub fn memory_file() -> io::Result<std::fs::File> {
    sys::memory_file(c"output")
}
