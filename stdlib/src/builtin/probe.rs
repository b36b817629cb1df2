//! The probe that fired: its text, its type, its arguments by number.

use super::register;
use crate::word::word;
use rbt_compiler::artifact::ProgramKind;
use rbt_compiler::hir::Expr;
use rbt_compiler::ir::{Address, AluOp, Operand, Size};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::types::{I64, Space, Type, U64};
use rbt_compiler::vocabulary::{
    ArgumentAccess, Builtin, Needs, NotHere, ProbeContext, Stability, UserArgument, UserSource,
};
use rbt_grammar::Span;

word! {
    /// `probe`
    ProbeText = "probe" {
        usage: ["probe -> string"],
        summary: "The attach point that fired, in full: `tracepoint:sched:sched_switch`.",
        details: "Only a number travels; it is shown as the text.",
        examples: [
            "BEGIN { print(probe); }",
            "tracepoint:sched:sched_wak* { @[probe] = count(); }",
        ],
        kernel: "",
    }
}

impl Builtin for ProbeText {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(Type::Site)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn needs(&self) -> Needs {
        Needs {
            site: true,
            ..Needs::default()
        }
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        b.site()
    }
}

word! {
    /// `probetype`
    ProbeType = "probetype" {
        usage: ["probetype -> string"],
        summary: "The type of the attach point that fired: `tracepoint`, `interval`.",
        details: "`special` for those that are not attached to anything: begin and end.",
        examples: ["BEGIN { print(probetype); }"],
        kernel: "",
    }
}

impl Builtin for ProbeType {
    fn ty(&self, _: &str, probe: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        let text = crate::probe::type_name(probe);
        Ok(Type::Str(u32::try_from(text.len() + 1).unwrap_or(1)))
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn fold(&self, span: Span, cx: &Check<'_, '_>) -> Option<Expr> {
        Some(Expr::text(crate::probe::type_name(cx.probe), span))
    }
}

word! {
    /// `arg0`, `arg1`, …
    Numbered = "arg0" {
        usage: ["arg0, arg1, … -> uint64, int64 in usdt"],
        summary: "An argument of the probe by its number.",
        details: "As the kernel passes it: 8 bytes. Where arguments have names, `args.name` \
                  knows their types.",
        examples: ["rawtracepoint:sys_enter { @[arg1] = count(); }"],
        kernel: "",
    }
}

/// The number in `argN`.
fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("arg")?;
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() <= 3;
    if is_plain { digits.parse().ok() } else { None }
}

/// An argument from where a marker says it is, widened by its sign.
fn user_argument(argument: UserArgument, b: &mut Builder<'_>) -> Operand {
    let size = Size::from_bytes(u32::from(argument.size)).unwrap_or(Size::B8);
    let value = match argument.source {
        UserSource::Unknown => Operand::Imm(0),
        UserSource::Constant(number) => Operand::Imm(number),
        UserSource::Register { register, shift } => {
            let value = saved(register, b);
            match shift {
                0 => value,
                shift => b.alu(AluOp::ShiftRight, value, i64::from(shift)),
            }
        }
        UserSource::Memory {
            base,
            index,
            displacement,
        } => {
            let mut address = match base {
                Some(register) => saved(register, b),
                None => Operand::Imm(0),
            };
            if let Some((register, scale)) = index {
                let index = saved(register, b);
                let index = b.alu(AluOp::Mul, index, i64::from(scale));
                address = b.alu(AluOp::Add, index, address);
            }
            Operand::Reg(b.read_scalar(address, displacement, size, Space::User))
        }
    };
    if argument.is_signed {
        b.sign_extend(value, size)
    } else {
        b.zero_extend(value, size)
    }
}

/// A saved register, by its place among them.
fn saved(register: u32, b: &mut Builder<'_>) -> Operand {
    let context = b.context();
    let context = b.in_reg(context);
    let at = Address::reg(context).plus(i32::try_from(register).unwrap_or(0));
    Operand::Reg(b.load(at, Size::B8))
}

impl Builtin for Numbered {
    fn answers_to(&self, name: &str) -> bool {
        number(name).is_some()
    }

    fn ty(&self, name: &str, probe: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        if number(name).is_some_and(|n| n < probe.numbered) {
            // A marker says of each whether it is signed.
            return Ok(match probe.provider.name() {
                "usdt" => I64,
                _ => U64,
            });
        }
        if probe.numbered > 0 {
            return Err(NotHere {
                message: format!("{} has no {name}", probe.place.text),
                help: format!("its last one is `arg{}`", probe.numbered - 1),
            });
        }
        let has_names = probe.arguments.is_some() || probe.provider.name() == "tracepoint";
        let help = if has_names {
            "name the argument: `args.name`; `rbt -lv PROBE` lists the names"
        } else {
            ""
        };
        Err(NotHere {
            message: format!(
                "The {name} builtin can only be used with 'kprobes', 'uprobes' and 'usdt' probes"
            ),
            help: String::from(help),
        })
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn needs_as(&self, name: &str) -> Needs {
        let most = number(name).map_or(0, |n| n.saturating_add(1));
        Needs {
            numbered: u8::try_from(most).unwrap_or(u8::MAX),
            ..Needs::default()
        }
    }

    fn lower(&self, name: &str, b: &mut Builder<'_>) -> Operand {
        if let ArgumentAccess::Operands(all) = &b.route().arguments {
            let index = number(name).and_then(|n| usize::try_from(n).ok());
            return match index.and_then(|index| all.get(index)) {
                Some(argument) => user_argument(*argument, b),
                None => Operand::Imm(0),
            };
        }
        if b.route().kind == ProgramKind::Kprobe {
            let number = number(name).and_then(|n| usize::try_from(n).ok());
            let names = b.target().arch().arguments;
            return match number.and_then(|n| names.get(n)) {
                Some(name) => register(b, name),
                None => Operand::Imm(0),
            };
        }
        if b.route().kind == ProgramKind::Tracing {
            let at = number(name).map_or(0, |n| n.saturating_mul(8));
            return b.slot(at);
        }
        let at = number(name).and_then(|n| i32::try_from(n * 8).ok());
        let context = b.context();
        let context = b.in_reg(context);
        Operand::Reg(b.load(Address::reg(context).plus(at.unwrap_or(0)), Size::B8))
    }
}
