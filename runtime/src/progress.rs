//! What takes long, said while it takes long.
//!
//! Takes a sentence and work; shows the sentence, and how far the work is, on stderr once it
//! has taken a second, and takes it away at the end. Says nothing where stderr is no terminal,
//! or where somebody else draws on it. Costs a thread while the work is done, so it is for work
//! that is done a few times in a run.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long work may take before it is worth a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the line is written anew.
const RHYTHM: Duration = Duration::from_millis(200);

/// Somebody draws on the terminal.
static IS_HUSHED: AtomicBool = AtomicBool::new(false);

/// Says nothing from now on, or says what takes long again.
pub fn hush(is_hushed: bool) {
    IS_HUSHED.store(is_hushed, Ordering::Relaxed);
}

/// Work under way. Dropped, its line is taken away.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    done: Arc<AtomicU64>,
    teller: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Work of `total` steps, or of an unknown number for 0.
    pub(crate) fn new(what: impl FnOnce() -> String, total: u64) -> Progress {
        static IS_TERMINAL: OnceLock<bool> = OnceLock::new();
        let done = Arc::new(AtomicU64::new(0));
        let is_wanted = !IS_HUSHED.load(Ordering::Relaxed)
            && *IS_TERMINAL.get_or_init(|| io::stderr().is_terminal());
        if !is_wanted {
            return Progress { done, teller: None };
        }
        let (stop, stopped) = mpsc::channel();
        let what = what();
        let counter = Arc::clone(&done);
        let tell = move || {
            let mut pause = PATIENCE;
            let mut is_shown = false;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                pause = RHYTHM;
                is_shown = true;
                put(&line(&what, counter.load(Ordering::Relaxed), total));
            }
            if is_shown {
                put("\r\x1b[K");
            }
        };
        // Without a thread the work is done in silence.
        let thread = std::thread::Builder::new().spawn(tell).ok();
        Progress {
            done,
            teller: thread.map(|thread| (stop, thread)),
        }
    }

    /// So many steps more are done.
    pub(crate) fn step(&self, steps: u64) {
        self.done.fetch_add(steps, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.teller.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

/// The line in the place of the one before it.
fn line(what: &str, done: u64, total: u64) -> String {
    let mut line = format!("\r{what} ...");
    if total > 0 {
        let _ = write!(line, " {done} of {total}");
    }
    line.push_str("\x1b[K");
    line
}

fn put(text: &str) {
    let mut out = io::stderr().lock();
    // Nobody is there to read it.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_far_it_is() {
        assert_eq!(line("attaching", 3, 9), "\rattaching ... 3 of 9\x1b[K");
        assert_eq!(line("reading", 0, 0), "\rreading ...\x1b[K");
    }

    #[test]
    fn nothing_is_said_of_what_is_no_terminal() {
        let progress = Progress::new(|| String::from("testing"), 0);
        progress.step(2);
        assert_eq!(progress.done.load(Ordering::Relaxed), 2);
    }
}
