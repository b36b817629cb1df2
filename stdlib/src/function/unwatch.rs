//! `unwatch`: ends watchpoints of an address.

use crate::word::word;
use rbt_compiler::hir;
use rbt_compiler::ir::Operand;
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::Type;
use rbt_compiler::vocabulary::Function;
use rbt_compiler::word::Word;
use rbt_runtime::vocabulary::{Action, Context, Flow};
use rbt_runtime::{Error, Record};

word! {
    /// `unwatch`
    Unwatch = "unwatch" {
        usage: ["unwatch(address)"],
        summary: "Ends the watchpoints of an address.",
        details: "",
        examples: ["watchpoint:0x10000000:8:w { unwatch(0x10000000); }"],
        kernel: "",
    }
}

impl Function for Unwatch {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if let Some(address) = call.arguments.pop() {
            let address = match address.ty {
                Type::Pointer(..) => address,
                _ => cx.integer(address, "unwatch"),
            };
            call.arguments.push(address);
        }
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        b.event(self.name(), &call.params, &call.arguments);
        Operand::Imm(0)
    }
}

impl Action for Unwatch {
    fn perform(&self, record: &Record<'_>, _: &mut Context<'_, '_>) -> Result<Flow, Error> {
        Ok(Flow::Unwatch(record.int(0)?.cast_unsigned()))
    }
}
