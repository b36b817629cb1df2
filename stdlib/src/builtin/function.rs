//! What a traced function is and returns, and the program's context.

use crate::probe::{RESULT, context_struct, has_registers, is_in_user_space, is_return};
use crate::word::word;
use rbt_compiler::artifact::ProgramKind;
use rbt_compiler::ir::{Address, AluOp, Operand, Size, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::Feature;
use rbt_compiler::types::{Field, Space, Type, U64};
use rbt_compiler::vocabulary::{Builtin, Needs, NotHere, ProbeContext, Stability};
use rbt_grammar::ast::TagKind;
use std::rc::Rc;

word! {
    /// `func`
    Func = "func" {
        usage: ["func -> ksym_t, or usym_t in user space"],
        summary: "The function that is traced, shown by name.",
        details: "With a wildcard it tells which of the matches fired. In user space it is the \
                  symbol that the probe is in.",
        examples: [
            "kprobe:vfs_* { @[func] = count(); }",
            "uprobe:/bin/bash:re* { @[func] = count(); }",
        ],
        kernel: "5.15 where functions return",
    }
}

/// What `probe` and messages call a probe's type.
fn kind(probe: &ProbeContext) -> String {
    probe.provider.name().to_ascii_lowercase()
}

/// Whether the probe is about a function of the kernel.
fn is_kernel_function(probe: &ProbeContext) -> bool {
    matches!(
        probe.provider.name(),
        "kprobe" | "kretprobe" | "fentry" | "fexit"
    )
}

impl Builtin for Func {
    fn ty(&self, _: &str, probe: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        if is_kernel_function(probe) {
            return Ok(Type::KernelSymbol);
        }
        if matches!(probe.provider.name(), "uprobe" | "uretprobe") {
            return Ok(Type::SiteFunction);
        }
        Err(NotHere {
            message: format!(
                "The func builtin can not be used with '{}' probes",
                kind(probe)
            ),
            help: String::from("`probe` shows the attach point"),
        })
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn needs(&self) -> Needs {
        Needs {
            function: true,
            ..Needs::default()
        }
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        if is_in_user_space(b.probe()) {
            return b.site();
        }
        let has_address = b.has(Feature::FunctionAddress);
        let is_inside = b.places().any(|place| {
            let offset = place.parts.get(2).map_or("0", String::as_str);
            offset != "0" && place.parts.len() > 2
        });
        let context = b.context();
        if has_address && !is_inside {
            return Operand::Reg(b.call(helpers::GET_FUNC_IP, &[context]));
        }
        let is_return = is_return(b.probe());
        if is_return || b.route().kind == ProgramKind::Tracing {
            // Its program is made for one function only.
            let function = b
                .places()
                .next()
                .and_then(|place| place.parts.get(1).cloned());
            let address = function.and_then(|f| b.target().kernel_symbol(&f).ok().flatten());
            return Operand::Imm(address.unwrap_or(0).cast_signed());
        }
        // The processor stands behind the byte that the trap replaced.
        let ip = b.target().arch().register("ip").unwrap_or(0);
        let context = b.in_reg(context);
        let ip = b.load(
            Address::reg(context).plus(i32::try_from(ip).unwrap_or(0)),
            Size::B8,
        );
        b.alu(AluOp::Sub, ip, 1)
    }
}

word! {
    /// `retval`
    ReturnValue = "retval" {
        usage: ["retval -> uint64, or the function's type in fexit"],
        summary: "What the traced function returns.",
        details: "In kretprobe an unsigned integer of 8 bytes, whatever the function's type: cast \
                  it to compare it with negative numbers.",
        examples: ["kretprobe:vfs_read /(int64)retval < 0/ { @[comm] = count(); }"],
        kernel: "",
    }
}

/// What the function returns, where the probe knows its type.
fn result(probe: &ProbeContext, types: &TypeTable<'_>) -> Option<Field> {
    types.find_field(probe.arguments.as_ref()?, RESULT, Space::Kernel)
}

impl Builtin for ReturnValue {
    fn ty(&self, _: &str, probe: &ProbeContext, types: &TypeTable<'_>) -> Result<Type, NotHere> {
        match probe.provider.name() {
            "kretprobe" | "uretprobe" => Ok(U64),
            "fexit" => match result(probe, types) {
                Some(field) => Ok(field.ty),
                None => Err(NotHere {
                    message: String::from("Can't find a field $retval"),
                    help: String::from("the function returns nothing"),
                }),
            },
            "fentry" => Err(NotHere {
                message: String::from("Can't find a field $retval"),
                help: String::from("fexit runs when the function returns"),
            }),
            other => {
                let hint = if other == "tracepoint" {
                    " (try to use args.ret instead)"
                } else {
                    ""
                };
                Err(NotHere {
                    message: format!(
                        "The retval builtin can only be used with 'kretprobe' and 'uretprobe' and \
                         'fentry' probes{hint}"
                    ),
                    help: String::from("a kretprobe runs when the function returns"),
                })
            }
        }
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn needs(&self) -> Needs {
        Needs {
            result: true,
            ..Needs::default()
        }
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        if let Some(field) = result(b.probe(), b.types()) {
            return b.argument(&field);
        }
        if b.route().kind == ProgramKind::Tracing {
            return b.last_slot();
        }
        let arch = b.target().arch();
        register(b, arch.result)
    }
}

/// A register of those the context holds.
pub(crate) fn register(b: &mut Builder<'_>, name: &str) -> Operand {
    let offset = b.target().arch().register(name).unwrap_or(0);
    let context = b.context();
    let context = b.in_reg(context);
    let at = Address::reg(context).plus(i32::try_from(offset).unwrap_or(0));
    Operand::Reg(b.load(at, Size::B8))
}

word! {
    /// `ctx`
    RawContext = "ctx" {
        usage: ["ctx -> pointer"],
        summary: "The program's context as the kernel hands it over.",
        details: "`struct pt_regs *` where an instruction is probed, `struct \
                  bpf_perf_event_data *` where a counter or clock fires.",
        examples: ["kprobe:vfs_read { print(ctx.ip); }"],
        kernel: "",
    }
}

impl Builtin for RawContext {
    fn ty(&self, _: &str, probe: &ProbeContext, types: &TypeTable<'_>) -> Result<Type, NotHere> {
        if probe.provider.name() == "iter" {
            let to = types.tagged(TagKind::Struct, &context_struct(probe));
            // Its objects may be missing, which only helpers that read memory do not mind.
            return Ok(Type::Pointer(
                Rc::new(to.unwrap_or(Type::Void)),
                Space::Kernel,
            ));
        }
        let name = match probe.provider.name() {
            "kprobe" | "kretprobe" | "uprobe" | "uretprobe" | "usdt" => "pt_regs",
            _ if has_registers(probe) => "bpf_perf_event_data",
            _ => {
                return Err(NotHere {
                    message: format!(
                        "The ctx builtin can not be used with '{}' probes",
                        kind(probe)
                    ),
                    help: String::from("probes of functions, counters and clocks have a context"),
                });
            }
        };
        let to = types.tagged(TagKind::Struct, name).unwrap_or(Type::Void);
        Ok(Type::Pointer(Rc::new(to), Space::Direct))
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn needs(&self) -> Needs {
        Needs {
            context: true,
            ..Needs::default()
        }
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        b.context()
    }
}
