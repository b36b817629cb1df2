//! What only programs attached to the kernel's functions can do: paths of files, cookies of
//! sockets, other return values; and whether a function of the kernel is there.

use super::typed::typed_pointer;
use crate::word::word;
use rbt_compiler::artifact::{Param, ProgramKind};
use rbt_compiler::hir::{self, ExprKind};
use rbt_compiler::ir::{Address, Operand, Size, helpers};
use rbt_compiler::lower::{Builder, Fill};
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::{Type, U64};
use rbt_compiler::vocabulary::{Function, Needs};
use rbt_grammar::{Diagnostic, codes};

word! {
    /// `path`
    Path = "path" {
        usage: ["path(p [, bytes]) -> string"],
        summary: "The whole path of a file, from a `struct path` or a pointer to one.",
        details: "In fentry, fexit and iter, where the kernel allows it: in functions such as \
                  vfs_truncate, filp_close, security_file_open. Of a path that is too long the \
                  front is lost.",
        examples: ["fentry:filp_close { printf(\"%s\\n\", path(args.filp.f_path)); }"],
        kernel: "5.10",
    }
}

word! {
    /// `socket_cookie`
    SocketCookie = "socket_cookie" {
        usage: ["socket_cookie(sk) -> uint64"],
        summary: "A number that stays with a socket, from a `struct sock *`.",
        details: "In fentry, fexit and iter.",
        examples: ["fentry:tcp_sendmsg { @[socket_cookie(args.sk)] = count(); }"],
        kernel: "5.12",
    }
}

word! {
    /// `override`
    Override = "override" {
        usage: ["override(value)"],
        summary: "Makes the traced function return that value without running it.",
        details: "In kprobe, of functions that the kernel marks for this: those in the list \
                  `error_injection/list` of debugfs. Unsafe.",
        examples: ["kprobe:do_sys_openat2 { override(-2); }"],
        kernel: "built with CONFIG_BPF_KPROBE_OVERRIDE",
    }
}

word! {
    /// `kfunc_exist`
    KfuncExist = "kfunc_exist" {
        usage: ["kfunc_exist(\"name\") -> bool"],
        summary: "Whether the kernel has a function of that name.",
        details: "Known when the script is compiled.",
        examples: ["BEGIN { print(kfunc_exist(\"vfs_read\")); }"],
        kernel: "",
    }
}

/// Whether the probe is of a type whose programs see the kernel's types.
fn sees_types(cx: &Check<'_, '_>) -> bool {
    matches!(cx.probe.provider.name(), "fentry" | "fexit" | "iter")
}

/// Whether a type is a struct of that tag, or a pointer to one.
fn is_struct(ty: &Type, tag: &str) -> bool {
    match ty {
        Type::Struct(found) => &*found.name == tag,
        Type::Pointer(to, _) => matches!(&**to, Type::Struct(found) if &*found.name == tag),
        _ => false,
    }
}

const ARGUMENTS: Needs = Needs {
    arguments: true,
    arguments_in_memory: false,
    site: false,
    context: false,
    kernel_stack: false,
    numbered: 0,
    result: false,
    function: false,
    own_kind: false,
    one_place: false,
};

impl Function for Path {
    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn needs(&self) -> Needs {
        ARGUMENTS
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let default = u32::try_from(cx.config.max_strlen).unwrap_or(1024);
        let size = match call.arguments.get(1).cloned() {
            None => Some(default),
            Some(size) => {
                let bytes = cx.literal_int(&size, "path");
                bytes.and_then(|bytes| u32::try_from(bytes).ok())
            }
        };
        call.arguments.truncate(1);
        let ty = Type::Str(size.filter(|bytes| *bytes > 0).unwrap_or(default));
        if !sees_types(cx) {
            let message =
                "The path function can only be used with 'fentry', 'fexit', 'iter' probes";
            let here = "this probe does not know the kernel's types";
            cx.report(
                Diagnostic::error(codes::NOT_OFFERED, message, call.span, here)
                    .help("write `fentry:` or `fexit:` and the function"),
            );
            return ty;
        }
        if let Some(argument) = call.arguments.first()
            && !is_struct(&argument.ty, "path")
            && !argument.ty.is_absorbing()
        {
            let message = format!(
                "path() only supports pointer argument or 'struct path' ({} provided)",
                argument.ty
            );
            let span = argument.span;
            cx.complain(
                message,
                span,
                "not a `struct path`",
                "of a file: `f.f_path`",
            );
        }
        ty
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        let Some(argument) = call.arguments.first() else {
            return;
        };
        let size = call.ty.size();
        b.zero(to, size);
        let is_whole = b.fill() == Fill::Whole;
        typed_pointer(argument, b, |b, path| {
            let bytes = Operand::Imm(i64::from(size));
            if !is_whole {
                let pointer = b.pointer(to);
                b.call_void(helpers::D_PATH, &[path, pointer, bytes]);
                return;
            }
            // The helper leaves something behind the text, where zeros are wanted.
            let text = b.temporary(size, "a path");
            b.zero(text, size);
            let pointer = b.pointer(text);
            b.call_void(helpers::D_PATH, &[path, pointer, bytes]);
            let from = b.pointer(text);
            let pointer = b.pointer(to);
            b.call_void(helpers::PROBE_READ_KERNEL_STR, &[pointer, bytes, from]);
        });
    }
}

impl Function for SocketCookie {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn needs(&self) -> Needs {
        ARGUMENTS
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if !sees_types(cx) {
            let probe = cx.probe.provider.name();
            let message = format!("socket_cookie can not be used with \"{probe}\" probes");
            let here = "this probe does not know the kernel's types";
            cx.report(
                Diagnostic::error(codes::NOT_OFFERED, message, call.span, here)
                    .help("write `fentry:` or `fexit:` and the function"),
            );
            return U64;
        }
        if let Some(argument) = call.arguments.first()
            && !(is_struct(&argument.ty, "sock") && argument.ty.is_scalar())
            && !argument.ty.is_absorbing()
        {
            let message = format!(
                "socket_cookie() only supports 'struct sock *' as the argument ('{}' provided)",
                argument.ty
            );
            cx.complain(message, argument.span, "not a socket", "");
        }
        U64
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let result = b.copy(0);
        if let Some(argument) = call.arguments.first() {
            typed_pointer(argument, b, |b, socket| {
                let cookie = b.call(helpers::GET_SOCKET_COOKIE, &[socket]);
                b.set(result, cookie);
            });
        }
        Operand::Reg(result)
    }
}

impl Function for Override {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn is_unsafe(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs {
        Needs {
            context: true,
            ..Needs::default()
        }
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if cx.probe.provider.name() != "kprobe" {
            let message = "override() can only be used inside kprobes";
            let here = "this probe comes too late, or to no function";
            cx.report(
                Diagnostic::error(codes::NOT_OFFERED, message, call.span, here)
                    .help("write `kprobe:` and the function"),
            );
        }
        if let Some(value) = call.arguments.pop() {
            call.arguments.push(cx.integer(value, "override"));
        }
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        if let Some(value) = call.arguments.first() {
            let value = b.value(value);
            let context = b.context();
            b.call_void(helpers::OVERRIDE_RETURN, &[context, value]);
        }
        Operand::Imm(0)
    }
}

impl Function for KfuncExist {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if let Some(name) = call.arguments.first().cloned() {
            cx.literal_text(&name, "kfunc_exist");
        }
        Type::Bool
    }

    fn fold(&self, call: &hir::Call, cx: &mut Check<'_, '_>) -> Option<ExprKind> {
        let name = call.arguments.first()?.as_str()?;
        let name = String::from_utf8_lossy(name);
        let btf = cx.types.btf();
        let is_there = btf.is_some_and(|btf| btf.find_function(&name).is_some());
        Some(ExprKind::Int(i64::from(is_there)))
    }
}

word! {
    /// `kfunc_allowed`
    KfuncAllowed = "kfunc_allowed" {
        usage: ["kfunc_allowed(\"name\") -> bool"],
        summary: "Whether a program of this probe may call a function of the kernel.",
        details: "Known when the script is compiled: the kernel is asked.",
        examples: ["BEGIN { print(kfunc_allowed(\"bpf_rdonly_cast\")); }"],
        kernel: "",
    }
}

/// The kind of the programs of a probe.
fn program_kind(cx: &Check<'_, '_>) -> ProgramKind {
    match cx.probe.provider.name() {
        "kprobe" | "kretprobe" | "uprobe" | "uretprobe" | "usdt" => ProgramKind::Kprobe,
        "tracepoint" => ProgramKind::Tracepoint,
        "fentry" | "fexit" | "iter" => ProgramKind::Tracing,
        "bench" => ProgramKind::Xdp,
        "begin" | "end" | "self" | "test" | "rawtracepoint" => ProgramKind::RawTracepoint,
        _ => ProgramKind::PerfEvent,
    }
}

impl Function for KfuncAllowed {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if let Some(name) = call.arguments.first().cloned() {
            cx.literal_text(&name, "kfunc_allowed");
        }
        Type::Bool
    }

    fn fold(&self, call: &hir::Call, cx: &mut Check<'_, '_>) -> Option<ExprKind> {
        let name = call.arguments.first()?.as_str()?;
        let name = String::from_utf8_lossy(name);
        let may = cx.target.may_call(program_kind(cx), &name);
        Some(ExprKind::Int(i64::from(may)))
    }
}

word! {
    /// `percpu_kaddr`
    PerCpuAddress = "percpu_kaddr" {
        usage: ["percpu_kaddr(\"variable\" [, cpu]) -> uint64"],
        summary: "The address of a per-CPU variable of the kernel, on this CPU or another.",
        details: "0 for a CPU that does not exist.",
        examples: ["BEGIN { print(percpu_kaddr(\"process_counts\") != 0); }"],
        kernel: "5.10",
    }
}

impl Function for PerCpuAddress {
    fn arity(&self) -> (usize, usize) {
        (1, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if call.arguments.len() > 1
            && let Some(cpu) = call.arguments.pop()
        {
            call.arguments.push(cx.integer(cpu, "percpu_kaddr"));
        }
        let Some(symbol) = call.arguments.first().cloned() else {
            return U64;
        };
        let Some(name) = cx.literal_text(&symbol, "percpu_kaddr") else {
            return U64;
        };
        let found = cx.types.btf().and_then(|btf| btf.find_variable(&name));
        match found {
            Some(id) => call.params = vec![Param::Int(i64::from(id.0))],
            None => {
                let message = format!("Could not resolve variable \"{name}\" from BTF");
                let here = "the kernel describes no such variable";
                cx.complain(
                    message,
                    symbol.span,
                    here,
                    "only per-CPU variables are described",
                );
            }
        }
        U64
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let Some(Param::Int(id)) = call.params.first() else {
            return Operand::Imm(0);
        };
        let variable = Operand::Variable(u32::try_from(*id).unwrap_or(0));
        let address = match call.arguments.get(1) {
            Some(cpu) => {
                let cpu = b.value(cpu);
                b.call(helpers::PER_CPU_PTR, &[variable, cpu])
            }
            None => b.call(helpers::THIS_CPU_PTR, &[variable]),
        };
        // As a plain number, which scripts may compute with.
        let typed = b.temporary(8, "a typed address");
        let plain = b.temporary(8, "an address");
        b.put(typed, address, Size::B8);
        b.put(plain, 0, Size::B8);
        let (from, to) = (b.pointer(typed), b.pointer(plain));
        b.call_void(helpers::PROBE_READ_KERNEL, &[to, Operand::Imm(8), from]);
        Operand::Reg(b.load(plain, Size::B8))
    }
}
