//! `system` and `cat`: a shell's command, a file's content, when the event is processed.

use super::format;
use super::printf::text;
use crate::word::word;
use rbt_compiler::hir;
use rbt_compiler::ir::Operand;
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::Type;
use rbt_compiler::vocabulary::{ArgumentKind, Function};
use rbt_compiler::word::Word;
use rbt_runtime::Error;
use rbt_runtime::Record;
use rbt_runtime::output::OutputFormat;
use rbt_runtime::vocabulary::{Action, Context, Flow};
use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

/// Most arguments, the format included.
const MOST: usize = 128;

word! {
    /// `system`
    System = "system" {
        usage: ["system(format, values…)"],
        summary: "Runs a shell command and prints what it prints.",
        details: "Needs `--unsafe`. Tracing waits for the command. If it fails, its output is \
                  dropped and an error is shown.",
        examples: [r#"interval:s:10 { system("uptime"); }"#],
        kernel: "",
    }
}

impl Function for System {
    fn argument(&self, index: usize) -> ArgumentKind {
        match index {
            0 => ArgumentKind::Format,
            _ => ArgumentKind::Value,
        }
    }

    fn arity(&self) -> (usize, usize) {
        (1, MOST)
    }

    fn is_unsafe(&self) -> bool {
        true
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        format::check(call, cx);
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        b.event(self.name(), &call.params, &call.arguments);
        Operand::Imm(0)
    }
}

impl Action for System {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        let command = text(record)?;
        if !cx.is_unsafe_allowed {
            cx.complain("ERROR: system() is an unsafe function being used in safe mode")?;
            return Ok(Flow::Continue);
        }
        // Standard error goes where standard output goes, in the order it is written.
        let joined = format!("exec 2>&1\n{command}");
        let ran = Command::new("/bin/sh")
            .args(["-c", &joined])
            .stdin(Stdio::null())
            .output();
        match ran {
            Ok(output) if output.status.success() => {
                let mut body = output.stdout;
                if cx.format() == OutputFormat::Text {
                    body.push(b'\n');
                }
                cx.printer.text("syscall", &body)?;
            }
            Ok(output) => {
                let how = match output.status.code() {
                    Some(code) => format!("exited with code {code}"),
                    None => String::from("was ended by a signal"),
                };
                cx.complain(&format!("ERROR: command {how} ({command})"))?;
            }
            Err(error) => {
                cx.complain(&format!("ERROR: failed to run /bin/sh ({error})"))?;
            }
        }
        Ok(Flow::Continue)
    }
}

word! {
    /// `cat`
    Cat = "cat" {
        usage: ["cat(format, values…)"],
        summary: "Prints a file.",
        details: "The name is formatted as by printf. At most as many bytes as the configuration \
                  variable `max_cat_bytes` says. A file that cannot be read is an error message, \
                  and tracing goes on.",
        examples: ["BEGIN { cat(\"/proc/loadavg\"); }", "BEGIN { cat(\"/proc/%d/comm\", pid); }"],
        kernel: "",
    }
}

impl Function for Cat {
    fn argument(&self, index: usize) -> ArgumentKind {
        match index {
            0 => ArgumentKind::Format,
            _ => ArgumentKind::Value,
        }
    }

    fn arity(&self) -> (usize, usize) {
        (1, MOST)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        format::check(call, cx);
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        b.event(self.name(), &call.params, &call.arguments);
        Operand::Imm(0)
    }
}

impl Action for Cat {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        let name = text(record)?;
        let mut body = Vec::new();
        let read = File::open(&name).and_then(|file| {
            file.take(cx.settings().max_cat_bytes)
                .read_to_end(&mut body)
        });
        match read {
            Ok(_) => cx.printer.text("cat", &body)?,
            Err(error) => {
                // Rust adds the number of an error to its text.
                let reason = error.to_string();
                let reason = reason.split(" (os error").next().unwrap_or("");
                cx.complain(&format!("ERROR: failed to open file '{name}' ({reason})"))?;
            }
        }
        Ok(Flow::Continue)
    }
}
