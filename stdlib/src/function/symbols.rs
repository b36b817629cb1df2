//! Symbols: addresses shown by name, and names turned to addresses.

use crate::word::word;
use rbt_compiler::hir::{self, ExprKind};
use rbt_compiler::ir::{Address, Operand};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::{Type, U64};
use rbt_compiler::vocabulary::Function;
use rbt_runtime::vocabulary::{Action, Context, Flow};
use rbt_runtime::{Error, Record};

word! {
    /// `ksym`
    Ksym = "ksym" {
        usage: ["ksym(address) -> ksym_t"],
        summary: "The kernel's symbol at an address.",
        details: "The address travels; it is looked up when it is shown. An address without a \
                  symbol is shown as it is.",
        examples: ["BEGIN { print(ksym(kaddr(\"avenrun\"))); }"],
        kernel: "",
    }
}

word! {
    /// `usym`
    Usym = "usym" {
        usage: ["usym(address) -> usym_t"],
        summary: "The current process's symbol at an address.",
        details: "The address and the process travel; they are looked up when they are shown.",
        examples: ["BEGIN { print(usym(0)); }"],
        kernel: "",
    }
}

word! {
    /// `kaddr`
    Kaddr = "kaddr" {
        usage: ["kaddr(\"symbol\") -> uint64"],
        summary: "The address of a kernel symbol.",
        details: "Looked up when the script is compiled.",
        examples: ["BEGIN { print(*kaddr(\"avenrun\")); }"],
        kernel: "",
    }
}

/// Checks that the argument is an address.
fn check_address(call: &mut hir::Call, cx: &mut Check<'_, '_>) {
    let Some(argument) = call.arguments.pop() else {
        return;
    };
    let is_address = matches!(argument.ty, Type::Int(_) | Type::Pointer(..));
    if !is_address && !argument.ty.is_absorbing() {
        let message = format!("{}() expects an integer or pointer argument", call.name);
        let here = format!("this is `{}`", argument.ty);
        cx.complain(message, argument.span, &here, "");
        return;
    }
    let (argument, _) = cx.address(argument, &call.name);
    call.arguments.push(argument);
}

fn address(call: &hir::Call, b: &mut Builder<'_>) -> Operand {
    match call.arguments.first() {
        Some(address) => b.value(address),
        None => Operand::Imm(0),
    }
}

impl Function for Ksym {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check_address(call, cx);
        Type::KernelSymbol
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        address(call, b)
    }
}

impl Function for Usym {
    fn sends_little(&self) -> bool {
        true
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check_address(call, cx);
        Type::UserSymbol
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        let address = address(call, b);
        b.user_symbol(&call.name, address, to);
    }
}

/// An address of a part of a process that is new: what the process has mapped is remembered.
impl Action for Usym {
    fn perform(&self, record: &Record<'_>, _: &mut Context<'_, '_>) -> Result<Flow, Error> {
        record.note_process(0)?;
        Ok(Flow::Continue)
    }
}

impl Function for Kaddr {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        if let Some(symbol) = call.arguments.first().cloned() {
            cx.literal_text(&symbol, "kaddr");
        }
        U64
    }

    fn fold(&self, call: &hir::Call, cx: &mut Check<'_, '_>) -> Option<ExprKind> {
        let symbol = call.arguments.first()?;
        let name = String::from_utf8_lossy(symbol.as_str()?).into_owned();
        match cx.target.kernel_symbol(&name) {
            Ok(Some(address)) => return Some(ExprKind::Int(address.cast_signed())),
            Ok(None) => {
                let message = format!("Failed to resolve kernel symbol: {name}");
                cx.complain(message, symbol.span, "the kernel has no such symbol", "");
            }
            Err(error) => {
                let help = error.help.clone();
                cx.complain(
                    error.to_string(),
                    symbol.span,
                    "this cannot be looked up",
                    &help,
                );
            }
        }
        Some(ExprKind::Int(0))
    }
}
