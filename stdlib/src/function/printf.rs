//! `printf`, and the same as an error or a warning.

use super::format;
use super::sequence;
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
use rbt_runtime::format::format as render;
use rbt_runtime::vocabulary::{Action, Context, Flow};

/// Most arguments, the format included.
const MOST: usize = 128;

word! {
    /// `printf`
    Printf = "printf" {
        usage: ["printf(format, values…)"],
        summary: "Prints values as a format says.",
        details: "The format is a literal; it is read when the script is compiled and never \
                  enters the kernel. Conversions are those of C's printf for integers (d i u x X \
                  o c p), `%s` for any value at all, `%r` for buffers. Integers are printed \
                  whole; the lengths `h` and `hh` cut them.",
        examples: [
            "BEGIN { printf(\"hello\\n\"); }",
            "BEGIN { printf(\"%-16s %6d\\n\", comm, pid); }",
        ],
        kernel: "",
    }
}

word! {
    /// `errorf`
    Errorf = "errorf" {
        usage: ["errorf(format, values…)"],
        summary: "Prints to the standard error, with the place in the script and `ERROR`.",
        details: "Tracing goes on; the exit status stays as it is.",
        examples: ["BEGIN { errorf(\"odd: %d\", 3); }"],
        kernel: "",
    }
}

word! {
    /// `warnf`
    Warnf = "warnf" {
        usage: ["warnf(format, values…)"],
        summary: "Prints to the standard error, with the place in the script and `WARNING`.",
        details: "Silent with `--no-warnings`.",
        examples: ["BEGIN { warnf(\"slow: %d\", 3); }"],
        kernel: "",
    }
}

impl Function for Printf {
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
        sequence::check(call, cx);
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        if b.pin().is_some() {
            sequence::lower(call, b);
            return Operand::Imm(0);
        }
        b.event(self.name(), &call.params, &call.arguments);
        Operand::Imm(0)
    }
}

impl Action for Printf {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        let format = record.format_param(0)?;
        cx.printer.text_with("printf", |out| {
            render(format, record.values(0), out).map_err(Error::from)
        })?;
        Ok(Flow::Continue)
    }
}

impl Function for Errorf {
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

impl Action for Errorf {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        let text = text(record)?;
        cx.error(self.name(), &text, record.schema.span)?;
        Ok(Flow::Continue)
    }
}

impl Function for Warnf {
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

impl Action for Warnf {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        let text = text(record)?;
        cx.warning(self.name(), &text, record.schema.span)?;
        Ok(Flow::Continue)
    }
}

/// The whole text of a formatted event.
pub(super) fn text(record: &Record<'_>) -> Result<String, Error> {
    let mut out = Vec::new();
    render(record.format_param(0)?, record.values(0), &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}
