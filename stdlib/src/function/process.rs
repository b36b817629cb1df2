//! Processes: ids in a chosen namespace, cgroups by path, signals.

use super::tables::SIGNAL_NAMES;
use crate::probe::type_name;
use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir::{self, ExprKind};
use rbt_compiler::ir::{Address, AluOp, Helper, Operand, Size, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::{Type, U32, U64};
use rbt_compiler::vocabulary::{ArgumentKind, Function};

word! {
    /// `pid(namespace)`
    Pid = "pid" {
        usage: ["pid(namespace) -> uint32"],
        summary: "The process that runs, in the tracer's namespace or the initial one.",
        details: "`curr_ns` is the tracer's namespace of process ids, `init` the initial one.",
        examples: ["BEGIN { print(pid(init)); }"],
        kernel: "",
    }
}

word! {
    /// `tid(namespace)`
    Tid = "tid" {
        usage: ["tid(namespace) -> uint32"],
        summary: "The thread that runs, in the tracer's namespace or the initial one.",
        details: "`curr_ns` is the tracer's namespace of process ids, `init` the initial one.",
        examples: ["BEGIN { print(tid(init)); }"],
        kernel: "",
    }
}

/// Whether the ids are asked for in the initial namespace, as a parameter of the call.
fn check_namespace(call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
    let mut is_initial = false;
    if let Some(mode) = call.arguments.pop() {
        let text = mode.as_str().map(String::from_utf8_lossy);
        let help = format!("{}(curr_ns) or {}(init)", call.name, call.name);
        match text.as_deref() {
            Some("init") => is_initial = true,
            Some("curr_ns") => {}
            Some(other) => {
                let message =
                    format!("Invalid PID namespace mode: {other} (expects: curr_ns or init)");
                cx.complain(message, mode.span, "no such mode", &help);
            }
            None => {
                let message = format!(
                    "{}() only supports curr_ns and init as the argument",
                    call.name
                );
                cx.complain(message, mode.span, "no mode", &help);
            }
        }
    }
    call.params.push(Param::Int(i64::from(is_initial)));
    U32
}

/// Both ids, the process in the upper half.
fn ids(call: &hir::Call, b: &mut Builder<'_>) -> Operand {
    if call.params.first() == Some(&Param::Int(1)) {
        return b.once("ids in the initial namespace", |b| {
            Operand::Reg(b.call(helpers::GET_CURRENT_PID_TGID, &[]))
        });
    }
    b.process_and_thread()
}

impl Function for Pid {
    fn arity(&self) -> (usize, usize) {
        (0, 1)
    }

    fn argument(&self, _: usize) -> ArgumentKind {
        ArgumentKind::Name
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check_namespace(call, cx)
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let ids = ids(call, b);
        b.alu(AluOp::ShiftRight, ids, 32)
    }
}

impl Function for Tid {
    fn arity(&self) -> (usize, usize) {
        (0, 1)
    }

    fn argument(&self, _: usize) -> ArgumentKind {
        ArgumentKind::Name
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check_namespace(call, cx)
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let ids = ids(call, b);
        b.zero_extend(ids, Size::B4)
    }
}

word! {
    /// `cgroupid`
    Cgroupid = "cgroupid" {
        usage: ["cgroupid(\"path\") -> uint64"],
        summary: "The id of a cgroup (version 2), by the path of its directory.",
        details: "Looked up when the script is compiled.",
        examples: [r#"interval:s:1 /cgroup == cgroupid("/sys/fs/cgroup/test")/ { print(comm); }"#],
        kernel: "",
    }
}

impl Function for Cgroupid {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if let Some(path) = call.arguments.first().cloned() {
            cx.literal_text(&path, "cgroupid");
        }
        U64
    }

    fn fold(&self, call: &hir::Call, cx: &mut Check<'_, '_>) -> Option<ExprKind> {
        let path = call.arguments.first()?;
        let name = String::from_utf8_lossy(path.as_str()?).into_owned();
        let reason = match cx.target.cgroup_id(&name) {
            Ok(Some(id)) => return Some(ExprKind::Int(id.cast_signed())),
            Ok(None) => String::from("No such file or directory"),
            Err(error) => error.reason,
        };
        let message = format!("Failed to get `cgroupid` for path: \"{name}\": {reason}");
        let help = "give the path of a directory below the cgroup2 file system";
        cx.complain(message, path.span, "no cgroup here", help);
        Some(ExprKind::Int(0))
    }
}

word! {
    /// `cgroup_path`
    CgroupPath = "cgroup_path" {
        usage: ["cgroup_path(id [, filter]) -> cgroup_path_t"],
        summary: "The paths of a cgroup by its id, as `hierarchy:path`, with commas between.",
        details: "The id travels; it is looked up when it is shown. The hierarchy of version 2 \
                  is called `unified`, others by their controllers. The filter is a pattern of \
                  hierarchies' names, with `*` for any text.",
        examples: ["BEGIN { print(cgroup_path(cgroup)); print(cgroup_path(cgroup, \"uni*\")); }"],
        kernel: "",
    }
}

impl Function for CgroupPath {
    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let filter = match call.arguments.len() {
            0 | 1 => Some(String::from("*")),
            _ => {
                let filter = call.arguments.pop();
                filter.and_then(|filter| cx.literal_text(&filter, "cgroup_path"))
            }
        };
        call.params.push(Param::Text(filter.unwrap_or_default()));
        if let Some(id) = call.arguments.pop() {
            let id = cx.integer(id, "cgroup_path");
            call.arguments.push(id);
        }
        Type::CgroupPath
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        let (Some(Param::Text(filter)), Some(id)) = (call.params.first(), call.arguments.first())
        else {
            return;
        };
        let filter = b.text_number(filter);
        let id = b.value(id);
        b.put(to, filter, Size::B8);
        b.put(to.plus(8), id, Size::B8);
    }
}

word! {
    /// `signal`
    Signal = "signal" {
        usage: ["signal(number)", "signal(\"NAME\")"],
        summary: "Sends a signal to the process that runs.",
        details: "Needs `--unsafe`. Names are those of signal(7), with or without `SIG`, in any \
                  case.",
        examples: [r#"tracepoint:syscalls:sys_enter_openat /comm == "stuck"/ { signal("TERM"); }"#],
        kernel: "",
    }
}

word! {
    /// `signal_thread`
    SignalThread = "signal_thread" {
        usage: ["signal_thread(number)", "signal_thread(\"NAME\")"],
        summary: "Sends a signal to the thread that runs.",
        details: "Needs `--unsafe`. Names are those of signal(7), with or without `SIG`, in any \
                  case.",
        examples: [r#"tracepoint:syscalls:sys_enter_openat /comm == "stuck"/ { signal_thread("TERM"); }"#],
        kernel: "",
    }
}

/// The number of a signal's name.
fn signal_number(name: &str) -> Option<i64> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = SIGNAL_NAMES.iter().find(|(known, _)| *known == bare);
    found.map(|(_, number)| *number)
}

fn check_signal(call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
    let word = call.name.clone();
    let kind = type_name(cx.probe);
    if matches!(kind, "special" | "interval") {
        let message = format!("{word}() can not be used for this probetype {kind}");
        let help = "signals go to the process that runs when the probe fires";
        cx.complain(message, call.span, "no process of interest runs here", help);
    }
    let Some(signal) = call.arguments.pop() else {
        return Type::Void;
    };
    if let Some(name) = signal.as_str() {
        let name = String::from_utf8_lossy(name).into_owned();
        match signal_number(&name) {
            Some(number) => call.params.push(Param::Int(number)),
            None => {
                let message = format!("Invalid string for signal: {name}");
                let help = "names are those of signal(7), such as \"TERM\" or \"SIGTERM\"";
                cx.complain(message, signal.span, "no such signal", help);
            }
        }
        return Type::Void;
    }
    if signal.as_int().is_some_and(|n| !(1..=64).contains(&n)) {
        let message =
            format!("{word}() accepts a string literal or an integer between 1 and 64 (inclusive)");
        cx.complain(
            message,
            signal.span,
            "no such signal",
            "15 is SIGTERM, 9 is SIGKILL",
        );
        return Type::Void;
    }
    if !signal.ty.is_integer() && !signal.ty.is_absorbing() {
        let message = format!("{word}() accepts a string literal or an integer");
        let here = format!("this is `{}`", signal.ty);
        cx.complain(message, signal.span, &here, "name it in quotes: \"TERM\"");
        return Type::Void;
    }
    let signal = cx.integer(signal, &word);
    call.arguments.push(signal);
    Type::Void
}

fn send(helper: Helper, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
    let number = match (call.params.first(), call.arguments.first()) {
        (Some(Param::Int(number)), _) => Operand::Imm(*number),
        (_, Some(number)) => b.value(number),
        _ => return Operand::Imm(0),
    };
    b.call_void(helper, &[number]);
    Operand::Imm(0)
}

impl Function for Signal {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn is_unsafe(&self) -> bool {
        true
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check_signal(call, cx)
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        send(helpers::SEND_SIGNAL, call, b)
    }
}

impl Function for SignalThread {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn is_unsafe(&self) -> bool {
        true
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check_signal(call, cx)
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        send(helpers::SEND_SIGNAL_THREAD, call, b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_in_any_spelling() {
        assert_eq!(signal_number("KILL"), Some(9));
        assert_eq!(signal_number("sigterm"), Some(15));
        assert_eq!(signal_number("foo"), None);
    }
}
