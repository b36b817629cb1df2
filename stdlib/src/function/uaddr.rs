//! `uaddr`: where a symbol of the traced program lies in the process that the probe fired in.

use crate::probe::{is_in_user_space, is_return};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, Param};
use rbt_compiler::binary::{Binary, Place, SymbolKind};
use rbt_compiler::hir;
use rbt_compiler::ir::{Address, AluOp, Operand, Size, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::target::Feature;
use rbt_compiler::types::{Int, Space, Type};
use rbt_compiler::vocabulary::{Function, Needs};
use rbt_grammar::{Diagnostic, codes};
use std::rc::Rc;

word! {
    /// `uaddr`
    Uaddr = "uaddr" {
        usage: ["uaddr(\"symbol\") -> int8 *, int16 *, int32 * or int64 *"],
        summary: "The address of a symbol of the program or library that the probe is in.",
        details: "It points to an integer of the symbol's size. Where the program was loaded at \
                  an address that the kernel chose, that is allowed for when the probe fires.",
        examples: ["uprobe:/usr/bin/program:main { print(*uaddr(\"counter\")); }"],
        kernel: "6.6 where functions return, if the program was moved",
    }
}

/// The symbol in a binary: data, or else code.
fn symbol(binary: &dyn Binary, name: &str) -> Option<Place> {
    let data = binary.symbol(name, SymbolKind::Object);
    data.or_else(|| binary.symbol(name, SymbolKind::Function))
}

fn pointer_to(bytes: u64) -> Type {
    let size = match bytes {
        1 | 2 | 4 => u8::try_from(bytes).unwrap_or(8),
        _ => 8,
    };
    let integer = Int {
        size,
        is_signed: true,
    };
    Type::Pointer(Rc::new(Type::Int(integer)), Space::User)
}

impl Function for Uaddr {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn needs(&self) -> Needs {
        Needs {
            context: true,
            one_place: true,
            ..Needs::default()
        }
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let other = pointer_to(8);
        let Some(argument) = call.arguments.pop() else {
            return other;
        };
        let Some(name) = cx.literal_text(&argument, "uaddr") else {
            return other;
        };
        if !is_in_user_space(cx.probe) {
            let probe = cx.probe.provider.name();
            let message = format!("uaddr can not be used with \"{probe}\" probes");
            let here = "this probe is in no program";
            cx.report(
                Diagnostic::error(codes::NOT_OFFERED, message, call.span, here)
                    .help("it works in uprobe, uretprobe and usdt"),
            );
            return other;
        }
        let path = cx.probe.place.parts.first().cloned().unwrap_or_default();
        let binary = match cx.target.binary(&path) {
            Ok(binary) => binary,
            Err(error) => {
                let here = "this cannot be looked up";
                cx.complain(error.to_string(), argument.span, here, &error.help);
                return other;
            }
        };
        let Some(found) = symbol(binary.as_ref(), &name) else {
            let message = format!("Could not resolve symbol: {path}:{name}");
            let here = "the file has no such symbol";
            cx.complain(
                message,
                argument.span,
                here,
                "`nm FILE` lists the symbols of a file",
            );
            return other;
        };
        let is_moved_return = is_return(cx.probe) && binary.is_relocated();
        if is_moved_return && !cx.target.has(Feature::UprobeMulti) {
            let message = "this kernel does not say where a function that returns was";
            let help = "take the address in a uprobe and keep it in a map, or use Linux 6.6";
            cx.complain(
                String::from(message),
                call.span,
                "it is needed to find the symbol",
                help,
            );
            return other;
        }
        call.params.push(Param::Text(name));
        pointer_to(found.size)
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let Some(Param::Text(name)) = call.params.first() else {
            return Operand::Imm(0);
        };
        // The program is made for one place only.
        let place = match b.route().attachments.first() {
            Some((AttachTarget::Uprobe { path, offset, .. }, ..)) => Some((path, *offset)),
            Some((AttachTarget::UprobeMulti { path, points, .. }, ..)) => {
                points.first().map(|point| (path, point.offset))
            }
            _ => None,
        };
        let target = b.target();
        let found = place.and_then(|(path, offset)| {
            let binary = target.binary(path).ok()?;
            let symbol = symbol(binary.as_ref(), name)?.address;
            let here = binary.address_of(offset)?;
            Some((symbol, binary.is_relocated().then_some(here)))
        });
        let Some((symbol, moved)) = found else {
            return Operand::Imm(0);
        };
        let Some(here) = moved else {
            return Operand::Imm(symbol.cast_signed());
        };
        let context = b.context();
        let now = if is_return(b.probe()) {
            Operand::Reg(b.call(helpers::GET_FUNC_IP, &[context]))
        } else {
            let ip = b.target().arch().register("ip").unwrap_or(0);
            let context = b.in_reg(context);
            let at = Address::reg(context).plus(i32::try_from(ip).unwrap_or(0));
            Operand::Reg(b.load(at, Size::B8))
        };
        b.alu(AluOp::Add, now, symbol.wrapping_sub(here).cast_signed())
    }
}
