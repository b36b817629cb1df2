//! Times: printed now, formatted for later, read from another clock.

use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir::{self, ExprKind};
use rbt_compiler::ir::{Address, Operand, Size, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::{Check, kind_name};
use rbt_compiler::target::Feature;
use rbt_compiler::types::{Type, U64};
use rbt_compiler::vocabulary::{ArgumentKind, Function};
use rbt_compiler::word::Word;
use rbt_runtime::Error;
use rbt_runtime::Record;
use rbt_runtime::time::format_now;
use rbt_runtime::vocabulary::{Action, Context, Flow};

/// What to write instead of a mode that does not exist.
const MODES: &str = "modes are boot, monotonic, tai and sw_tai";

/// What `time` prints without a format.
const DEFAULT: &str = "%H:%M:%S\n";

word! {
    /// `time`
    Time = "time" {
        usage: ["time()", "time(format)"],
        summary: "Prints the time of day when the event is processed.",
        details: "The format is that of strftime(3); nothing is added to it. Without one it is \
                  `%H:%M:%S\\n`.",
        examples: ["BEGIN { time(); }", "interval:s:1 { time(\"%H:%M:%S  \"); }"],
        kernel: "",
    }
}

impl Function for Time {
    fn argument(&self, index: usize) -> ArgumentKind {
        match index {
            0 => ArgumentKind::Format,
            _ => ArgumentKind::Value,
        }
    }

    fn arity(&self) -> (usize, usize) {
        (0, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let format = match call.arguments.pop() {
            Some(format) => cx.literal_text(&format, "time").unwrap_or_default(),
            None => String::from(DEFAULT),
        };
        call.params.push(Param::Text(format));
        Type::Void
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        b.event(self.name(), &call.params, &[]);
        Operand::Imm(0)
    }
}

impl Action for Time {
    fn perform(&self, record: &Record<'_>, cx: &mut Context<'_, '_>) -> Result<Flow, Error> {
        let text = format_now(record.text_param(0)?);
        cx.printer.text("time", text.as_bytes())?;
        Ok(Flow::Continue)
    }
}

word! {
    /// `strftime`
    Strftime = "strftime" {
        usage: ["strftime(format, nsecs) -> timestamp"],
        summary: "A moment as text: what `nsecs` was, as local wall time.",
        details: "The moment travels as a number and is written when it is shown. Besides the \
                  conversions of strftime(3) there are `%f`, `%l` and `%k`: microseconds, \
                  milliseconds and nanoseconds of the second.",
        examples: ["BEGIN { printf(\"%s\\n\", strftime(\"%H:%M:%S.%f\", nsecs)); }"],
        kernel: "",
    }
}

impl Function for Strftime {
    fn argument(&self, index: usize) -> ArgumentKind {
        match index {
            0 => ArgumentKind::Format,
            _ => ArgumentKind::Value,
        }
    }

    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let moment = call.arguments.pop();
        let format = call.arguments.pop();
        if let Some(format) = format {
            let format = cx.literal_text(&format, "strftime").unwrap_or_default();
            call.params.push(Param::Text(format));
        }
        if let Some(moment) = moment {
            if moment.ty.is_signed() && moment.as_int().is_some_and(|value| value < 0) {
                let message = String::from("strftime() does not accept negative timestamps");
                cx.complain(
                    message,
                    moment.span,
                    "this is negative",
                    "pass a value of `nsecs`",
                );
            }
            if is_monotonic(&moment) {
                cx.complain(
                    String::from("strftime() can not take a monotonic timestamp"),
                    moment.span,
                    "this clock stops while the machine sleeps",
                    "pass `nsecs` without a mode",
                );
            }
            let moment = cx.integer(moment, "strftime");
            call.arguments.push(moment);
        }
        Type::Timestamp
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        let format = match call.params.first() {
            Some(Param::Text(format)) => b.text_number(format),
            _ => 0,
        };
        let moment = match call.arguments.first() {
            Some(moment) => b.value(moment),
            None => Operand::Imm(0),
        };
        b.put(to, format, Size::B8);
        b.put(to.plus(8), moment, Size::B8);
    }
}

/// Whether an expression is a reading of the clock that stops in sleep.
fn is_monotonic(expr: &hir::Expr) -> bool {
    match &expr.kind {
        ExprKind::Call(call) => {
            let mode = call.params.first();
            call.name == Nsecs.name()
                && matches!(mode, Some(Param::Text(mode)) if mode == "monotonic")
        }
        ExprKind::Convert(inner) => is_monotonic(inner),
        _ => false,
    }
}

word! {
    /// `nsecs(mode)`
    Nsecs = "nsecs" {
        usage: ["nsecs(mode) -> uint64"],
        summary: "Nanoseconds of a clock: boot, monotonic, tai or sw_tai.",
        details: "`boot` counts from the start of the machine; `monotonic` too, but not in \
                  sleep; `tai` and `sw_tai` are international atomic time.",
        examples: ["BEGIN { print(nsecs(monotonic)); }"],
        kernel: "6.1 for tai (bpf_ktime_get_tai_ns)",
    }
}

impl Function for Nsecs {
    fn arity(&self) -> (usize, usize) {
        (0, 1)
    }

    fn argument(&self, _: usize) -> ArgumentKind {
        ArgumentKind::Name
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let mode = match call.arguments.pop() {
            None => String::from("boot"),
            Some(mode) if mode.as_str().is_none() => {
                let kind = kind_name(&mode.ty);
                let message =
                    format!("nsecs() only supports timestamp_mode arguments ({kind} provided)");
                cx.complain(message, mode.span, "no clock", MODES);
                String::from("boot")
            }
            Some(mode) => {
                let text = mode.as_str().map(String::from_utf8_lossy);
                let text = text.unwrap_or_default().into_owned();
                match text.as_str() {
                    "boot" | "monotonic" => {}
                    "tai" | "sw_tai" if cx.target.has(Feature::TaiClock) => {}
                    "tai" | "sw_tai" => {
                        let message = format!("Timestamp mode {text} needs Linux 6.1");
                        cx.complain(message, mode.span, "this kernel cannot", "");
                    }
                    _ => {
                        let message = format!("Invalid timestamp mode: {text}");
                        cx.complain(message, mode.span, "no such clock", MODES);
                    }
                }
                text
            }
        };
        call.params.push(Param::Text(mode));
        U64
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let helper = match call.params.first() {
            Some(Param::Text(mode)) if mode == "monotonic" => helpers::KTIME_GET_NS,
            Some(Param::Text(mode)) if mode == "tai" || mode == "sw_tai" => {
                helpers::KTIME_GET_TAI_NS
            }
            _ => helpers::KTIME_GET_BOOT_NS,
        };
        Operand::Reg(b.call(helper, &[]))
    }
}
