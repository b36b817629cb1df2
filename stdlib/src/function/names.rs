//! Numbers shown by name: errors, signals, system calls. Only the number of a text travels;
//! userspace shows the text.

use super::tables::{ERRORS, SIGNALS};
use crate::word::word;
use rbt_compiler::hir;
use rbt_compiler::ir::{AluOp, Comparison, Operand};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::Type;
use rbt_compiler::vocabulary::Function;

word! {
    /// `strerror`
    Strerror = "strerror" {
        usage: ["strerror(number) -> string"],
        summary: "What an error number means: `No such file or directory` for 2.",
        details: "System calls return errors as negative numbers: `strerror(-args.ret)`.",
        examples: ["BEGIN { print(strerror(2)); }"],
        kernel: "",
    }
}

word! {
    /// `syscall_name`
    SyscallName = "syscall_name" {
        usage: ["syscall_name(number) -> string"],
        summary: "The name of a system call: `read` for 0.",
        details: "",
        examples: ["tracepoint:raw_syscalls:sys_enter { @[syscall_name(args.id)] = count(); }"],
        kernel: "",
    }
}

word! {
    /// `signal_name`
    SignalName = "signal_name" {
        usage: ["signal_name(number) -> string"],
        summary: "What a signal means: `Killed` for 9.",
        details: "",
        examples: ["BEGIN { print(signal_name(9)); }"],
        kernel: "",
    }
}

fn check(call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
    if let Some(number) = call.arguments.pop() {
        let number = cx.integer(number, &call.name);
        call.arguments.push(number);
    }
    Type::TextNumber
}

/// The number of the text for the call's argument: those of a block of texts that follow each
/// other, the last one standing for all numbers without a text.
fn lower(call: &hir::Call, texts: &[&str], unknown: &str, b: &mut Builder<'_>) -> Operand {
    let texts: Vec<&str> = texts
        .iter()
        .map(|text| if text.is_empty() { unknown } else { text })
        .chain([unknown])
        .collect();
    let first = b.text_block(&texts);
    let last = i64::try_from(texts.len()).unwrap_or(1) - 1;
    let number = match call.arguments.first() {
        Some(number) => b.value(number),
        None => Operand::Imm(last),
    };
    // Negative numbers are large ones without a sign.
    let index = b.select(Comparison::Less, number, last, number, last);
    b.alu(AluOp::Add, index, first)
}

impl Function for Strerror {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check(call, cx)
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        lower(call, ERRORS, "Unknown error", b)
    }
}

impl Function for SyscallName {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check(call, cx)
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let mut names: Vec<&str> = Vec::new();
        for (number, name) in b.target().arch().syscalls {
            let index = usize::try_from(*number).unwrap_or(usize::MAX);
            // Numbers lie close together; a few below the first new ones are not used.
            if names.len() <= index && index < 4096 {
                names.resize(index + 1, "");
            }
            if let Some(slot) = names.get_mut(index) {
                *slot = name;
            }
        }
        lower(call, &names, "Unknown syscall", b)
    }
}

/// `SIGRTMIN` of the GNU C library, which keeps two for itself, and `SIGRTMAX`.
const FIRST_REAL_TIME: usize = 34;
const MOST_SIGNAL: usize = 64;

/// What the C library calls a signal.
fn signal_text(number: usize) -> String {
    match SIGNALS.get(number) {
        Some(text) if !text.is_empty() => (*text).to_owned(),
        _ if number >= FIRST_REAL_TIME => format!("Real-time signal {}", number - FIRST_REAL_TIME),
        _ => format!("Unknown signal {number}"),
    }
}

impl Function for SignalName {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check(call, cx)
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let names: Vec<String> = (0..=MOST_SIGNAL).map(signal_text).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        lower(call, &names, "N/A", b)
    }
}
