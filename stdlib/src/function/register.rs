//! `reg`: a register of what the probe interrupted.

use crate::builtin::register;
use crate::probe::has_registers;
use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir;
use rbt_compiler::ir::Operand;
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::{Type, U64};
use rbt_compiler::vocabulary::{Function, Needs};
use rbt_grammar::{Diagnostic, codes};

word! {
    /// `reg`
    Register = "reg" {
        usage: ["reg(\"name\") -> uint64"],
        summary: "A register of what the probe interrupted.",
        details: "On x86-64: r8 to r15, ax, bx, cx, dx, si, di, bp, sp, ip, pc, flags, cs, ss and \
                  orig_rax.",
        examples: ["profile:hz:99 { @[reg(\"ip\")] = count(); }"],
        kernel: "",
    }
}

impl Function for Register {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn needs(&self) -> Needs {
        Needs {
            context: true,
            ..Needs::default()
        }
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let Some(argument) = call.arguments.pop() else {
            return U64;
        };
        let Some(name) = cx.literal_text(&argument, "reg") else {
            return U64;
        };
        if !has_registers(cx.probe) {
            let probe = cx.probe.provider.name();
            let message = format!("reg can not be used with \"{probe}\" probes");
            let here = "this probe has no registers";
            let complaint = Diagnostic::error(codes::NOT_OFFERED, message, call.span, here)
                .help("probes of functions, counters and clocks have registers");
            cx.report(complaint);
            return U64;
        }
        let arch = cx.target.arch();
        if arch.register(&name).is_none() {
            let message = format!(
                "'{name}' is not a valid register on this architecture ({})",
                arch.name
            );
            let known: Vec<&str> = arch.registers.iter().map(|(name, _)| *name).collect();
            let help = format!("registers: {}", known.join(", "));
            cx.complain(message, call.span, "no such register", &help);
            return U64;
        }
        call.params.push(Param::Text(name));
        U64
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        match call.params.first() {
            Some(Param::Text(name)) => register(b, name),
            _ => Operand::Imm(0),
        }
    }
}
