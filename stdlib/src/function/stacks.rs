//! Stacks of the kernel and of the current process.
//!
//! The frames are stored once in the kernel, the value is a hash of them; frames are named
//! when they are shown.

use crate::word::word;
use rbt_compiler::artifact::StackMode;
use rbt_compiler::hir::{self, Expr};
use rbt_compiler::ir::Address;
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::{Stack, Type};
use rbt_compiler::vocabulary::{ArgumentKind, Function, Needs};
use rbt_grammar::codes;
use rbt_runtime::vocabulary::{Action, Context, Flow};
use rbt_runtime::{Error, Record};

/// Frames of a stack whose limit is not given.
const DEFAULT_LIMIT: u32 = 127;

/// Most frames that may be asked for.
const MOST_FRAMES: i64 = 1024;

word! {
    /// `kstack`
    Kstack = "kstack" {
        usage: ["kstack -> kstack", "kstack(limit) -> kstack", "kstack(mode) -> kstack",
            "kstack(mode, limit) -> kstack"],
        summary: "The stack of the kernel, from where the probe fired outwards.",
        details: "At most `limit` frames, 127 unless said. The mode says how frames are \
                  written: `bpftrace` (symbol and offset), `perf` (address too), `raw` \
                  (address alone); the setting `stack_mode` is what holds where none is given.",
        examples: [
            "profile:hz:99 { @[kstack] = count(); }",
            "BEGIN { print(kstack(perf, 3)); }",
        ],
        kernel: "",
    }
}

word! {
    /// `ustack`
    Ustack = "ustack" {
        usage: ["ustack -> ustack", "ustack(limit) -> ustack", "ustack(mode) -> ustack",
            "ustack(mode, limit) -> ustack"],
        summary: "The stack of the current process, from where it runs outwards.",
        details: "As `kstack`, with one more mode: `build_id` writes the build id of the file \
                  and the offset in it. With `-p` or `-c`, and in scripts with probes of \
                  programs, stacks are unwound by the tables in `.eh_frame` (on x86-64, from Linux 6.1 on), so that \
                  they are whole however a program was built; where there is no way on, the \
                  stack ends in `<unwind failure>`. Elsewhere the kernel follows frame pointers: \
                  a program built without them shows few frames. `dw_ustack` unwinds everywhere.",
        examples: [
            "profile:hz:99 { @[ustack, comm] = count(); }",
            "BEGIN { print(ustack(raw, 3)); }",
        ],
        kernel: "",
    }
}

word! {
    /// `dw_ustack`
    DwUstack = "dw_ustack" {
        usage: ["dw_ustack -> ustack", "dw_ustack(mode) -> ustack", "dw_ustack(mode, limit) -> ustack"],
        summary: "The stack of the current process, unwound by the tables in `.eh_frame`.",
        details: "As `ustack`, but of every process, and callers are shown by the address of the \
                  call instead of the one behind it. The tables of a process are read when its \
                  first stack is seen, those of `-p` and `-c` before: that first stack is \
                  followed by frame pointers. Where there is no way on, the stack ends in \
                  `<unwind failure>`. On x86-64 from Linux 6.1 on; elsewhere it is `ustack`. It may still change: \
                  unstable_dw_ustack=enable takes away the warning.",
        examples: ["config = { unstable_dw_ustack = enable } \
                    profile:hz:99 { @[dw_ustack, comm] = count(); }"],
        kernel: "",
    }
}

impl Action for DwUstack {
    fn perform(&self, record: &Record<'_>, _: &mut Context<'_, '_>) -> Result<Flow, Error> {
        record.note_process(0)?;
        Ok(Flow::Continue)
    }
}

impl Function for DwUstack {
    fn sends_little(&self) -> bool {
        true
    }

    fn arity(&self) -> (usize, usize) {
        (0, 2)
    }

    fn argument(&self, _: usize) -> ArgumentKind {
        ArgumentKind::Name
    }

    fn is_value(&self) -> bool {
        true
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let feature = "dw_ustack (DWARF stack unwinding)";
        cx.unstable(feature, cx.config.unstable_dw_ustack, call.span);
        let checked = check(call, true, cx);
        let Type::Stack(mut stack) = checked else {
            return checked;
        };
        if stack.mode == StackMode::BuildId {
            let message = String::from("dw_ustack() gives addresses, not build ids");
            let help = "use `ustack(build_id)`, which follows frame pointers, or `dw_ustack(raw)`";
            let here = "the kernel has build ids only for stacks that it follows itself";
            cx.complain_as(codes::UNWINDING, message, call.span, here, help);
            return Type::Error;
        }
        stack.is_unwound = cx.target.can_unwind();
        Type::Stack(stack)
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        lower(call, to, b);
    }
}

/// The kind of stack a call asks for.
fn check(call: &mut hir::Call, is_user: bool, cx: &mut Check<'_, '_>) -> Type {
    let name = call.name.clone();
    let mut stack = Stack {
        is_user,
        mode: cx.config.stack_mode,
        limit: DEFAULT_LIMIT,
        is_unwound: false,
    };
    let mut arguments = std::mem::take(&mut call.arguments).into_iter();
    match (arguments.next(), arguments.next()) {
        (Some(mode), Some(limit)) => {
            if mode.as_str().is_none() && !mode.ty.is_absorbing() {
                let message = String::from("Expected stack mode as first argument");
                let help = format!("write it first: `{name}(perf, 3)`");
                cx.complain(message, call.span, "two arguments", &help);
                return Type::Error;
            }
            set_mode(&mut stack, &mode, &name, cx);
            set_limit(&mut stack, &limit, call, cx);
        }
        (Some(only), None) if only.as_str().is_some() => set_mode(&mut stack, &only, &name, cx),
        (Some(only), None) => set_limit(&mut stack, &only, call, cx),
        (None, _) => {}
    }
    if stack.mode == StackMode::BuildId && !is_user {
        let message = String::from("'build_id' stack mode can only be used for ustack");
        let help = "the kernel's own code has no build ids here: use `raw`";
        cx.complain(message, call.span, "a stack of the kernel", help);
    }
    Type::Stack(stack)
}

fn set_mode(stack: &mut Stack, mode: &Expr, name: &str, cx: &mut Check<'_, '_>) {
    let text = mode.as_str().map(String::from_utf8_lossy);
    match text.as_deref().and_then(StackMode::of_name) {
        Some(mode) => stack.mode = mode,
        None => {
            let message = format!(
                "Error parsing stack mode: {name}: Invalid value for stack_mode: valid values \
                 are bpftrace, raw, perf, and build_id."
            );
            let help = "write one of bpftrace, perf, raw, build_id";
            cx.complain(message, mode.span, "no such mode", help);
        }
    }
}

fn set_limit(stack: &mut Stack, limit: &Expr, call: &hir::Call, cx: &mut Check<'_, '_>) {
    if limit.ty.is_absorbing() {
        return;
    }
    let name = &call.name;
    let literal = limit.as_int().filter(|_| limit.ty.is_integer());
    match literal.map(|n| (n, u32::try_from(n))) {
        Some((n, _)) if n > MOST_FRAMES => {
            let message =
                format!("{name}([int limit]): limit shouldn't exceed {MOST_FRAMES}, {n} given");
            let help = format!("`{name}` without a limit takes {DEFAULT_LIMIT} frames");
            cx.complain(message, call.span, "too many frames", &help);
        }
        Some((_, Ok(n))) => stack.limit = n,
        _ => {
            let message = format!("{name}: invalid limit value");
            let help = format!("write a number: `{name}(5)`");
            cx.complain(
                message,
                call.span,
                "its limit is no number that is known",
                &help,
            );
        }
    }
}

fn lower(call: &hir::Call, to: Address, b: &mut Builder<'_>) {
    if let Type::Stack(stack) = call.ty {
        b.stack(&call.name, stack, to);
    }
}

impl Function for Kstack {
    fn arity(&self) -> (usize, usize) {
        (0, 2)
    }

    fn argument(&self, _: usize) -> ArgumentKind {
        ArgumentKind::Name
    }

    fn is_value(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs {
        Needs {
            kernel_stack: true,
            ..Needs::default()
        }
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check(call, false, cx)
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        lower(call, to, b);
    }
}

/// A new stack of a process: what the process has mapped is remembered.
impl Action for Ustack {
    fn perform(&self, record: &Record<'_>, _: &mut Context<'_, '_>) -> Result<Flow, Error> {
        record.note_process(0)?;
        Ok(Flow::Continue)
    }
}

impl Function for Ustack {
    fn sends_little(&self) -> bool {
        true
    }

    fn arity(&self) -> (usize, usize) {
        (0, 2)
    }

    fn argument(&self, _: usize) -> ArgumentKind {
        ArgumentKind::Name
    }

    fn is_value(&self) -> bool {
        true
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check(call, true, cx)
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        lower(call, to, b);
    }
}
