//! A real terminal: keys go in, the screen is read.
//!
//! Takes a command and runs it under tmux; gives the screen as text. Needs root, and says so
//! where it is not given or tmux is not there.

// Not every test presses every key.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long the screen may take to show what a key does; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal with a command in it.
pub struct Terminal {
    socket: String,
    /// The folder that the command runs in.
    pub folder: PathBuf,
}

impl Terminal {
    /// Starts one of so many columns and lines; `None`, with the reason printed, where it cannot
    /// be done. `{{RBT}}` in the command stands for the tracer. Its status is shown when it has
    /// ended, with what of the terminal's usual mode is set.
    pub fn start(name: &str, command: &str, (columns, lines): (u32, u32)) -> Option<Terminal> {
        if Command::new("tmux").arg("-V").output().is_err() {
            println!("skipped: this machine has no command tmux");
            return None;
        }
        let id = Command::new("id").arg("-u").output().unwrap();
        if id.stdout != b"0\n" {
            println!("skipped: tracing needs root");
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("terminal-{name}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let terminal = Terminal {
            socket: format!("rbt-{name}-{}", std::process::id()),
            folder,
        };
        let command = format!(
            "cd {}; export XDG_STATE_HOME=$PWD/state; {}; echo \"status $?\"; \
             echo mode $(stty -a | grep -ow -- '-\\?icanon\\|-\\?echo'); sleep 60",
            terminal.folder.display(),
            command.replace("{{RBT}}", env!("CARGO_BIN_EXE_rbt"))
        );
        let (columns, lines) = (columns.to_string(), lines.to_string());
        let size = ["-x", &columns, "-y", &lines];
        terminal.tmux(&[&["new-session", "-d", "-s", "t"], &size[..], &[&command]].concat());
        Some(terminal)
    }

    pub fn tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.socket, "-f", "/dev/null"]);
        command.args(arguments).output().unwrap()
    }

    /// Types a line and Enter.
    pub fn enter(&self, line: &str) {
        self.tmux(&["send-keys", "-t", "t", "-l", line]);
        self.key("Enter");
    }

    /// Presses a key that tmux knows by name.
    pub fn key(&self, key: &str) {
        self.tmux(&["send-keys", "-t", "t", key]);
    }

    pub fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-J", "-S", "-200", "-t", "t"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the screen has `text`.
    pub fn shows(&self, text: &str) {
        self.until(text, |screen| screen.contains(text));
    }

    pub fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "the screen never shows {what}:\n{}",
                screen.trim_end()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The number that a line of the screen last shows after `before`.
    pub fn number(&self, before: &str) -> Option<u64> {
        let screen = self.screen();
        let line = screen.lines().rev().find(|line| line.starts_with(before))?;
        line.strip_prefix(before)?.trim().parse().ok()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
