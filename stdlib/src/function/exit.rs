//! `exit`: ends tracing, and the clause at once.

use crate::word::word;
use rbt_compiler::hir;
use rbt_compiler::ir::Operand;
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::Type;
use rbt_compiler::vocabulary::Function;
use rbt_compiler::word::Word;
use rbt_runtime::Error;
use rbt_runtime::Record;
use rbt_runtime::vocabulary::{Action, Context, Flow};

word! {
    /// `exit`
    Exit = "exit" {
        usage: ["exit()", "exit(status)"],
        summary: "Ends tracing, and leaves the clause at once.",
        details: "What was printed before still appears; `end` clauses still run; maps are still \
                  printed. Nothing else is printed by other clauses from then on, and the end comes \
                  through even if events have filled the buffer. The exit status is `status` \
                  modulo 256, 0 without one.",
        examples: ["BEGIN { exit(); }", "interval:s:5 { exit(3); }"],
        kernel: "",
    }
}

impl Function for Exit {
    fn arity(&self) -> (usize, usize) {
        (0, 1)
    }

    fn diverges(&self) -> bool {
        true
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if let Some(status) = call.arguments.pop() {
            call.arguments.push(cx.integer(status, "exit"));
        }
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let status = call.arguments.first();
        let value = status.map(|status| b.value(status));
        let types: Vec<Type> = status.iter().map(|status| status.ty.clone()).collect();
        b.event_of(self.name(), &call.params, &types, |b, places| {
            if let (Some(value), Some(to), Some(ty)) = (value, places.first(), types.first()) {
                b.put_scalar(*to, value, ty);
            }
        });
        b.end_tracing(value);
        b.leave();
        Operand::Imm(0)
    }
}

impl Action for Exit {
    fn perform(&self, record: &Record<'_>, _: &mut Context<'_, '_>) -> Result<Flow, Error> {
        let status = if record.is_empty() { 0 } else { record.int(0)? };
        Ok(Flow::Exit(status))
    }
}
