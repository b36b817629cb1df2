//! `write_user`: memory of the traced process changed.

use super::space;
use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir;
use rbt_compiler::ir::{Address, Comparison, Operand, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::{Check, kind_name};
use rbt_compiler::types::{Space, Type};
use rbt_compiler::vocabulary::Function;
use rbt_grammar::codes;

word! {
    /// `write_user`
    WriteUser = "write_user" {
        usage: ["write_user(to, from, length) -> bool"],
        summary: "Writes to the memory of the process that runs.",
        details: "Needs `--unsafe`. `from` is a text, an array, or a pointer to what is copied. \
                  At most as many bytes as the value has, or as the configuration variable \
                  `max_strlen` says. Whether it was written: memory that is not there, or not in \
                  memory now, is not.",
        examples: ["tracepoint:syscalls:sys_enter_openat /comm == \"blind\"/ { write_user(args.filename, \"/dev/null\", 10); }"],
        kernel: "",
    }
}

impl Function for WriteUser {
    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn is_unsafe(&self) -> bool {
        true
    }

    fn may_be_ignored(&self) -> bool {
        true
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let (Some(length), Some(from), Some(to)) = (
            call.arguments.pop(),
            call.arguments.pop(),
            call.arguments.pop(),
        ) else {
            return Type::Bool;
        };
        let (to, _) = cx.address(to, "write_user");
        let most = u32::try_from(cx.config.max_strlen).unwrap_or(u32::MAX);
        let (from, memory, room) = match &from.ty {
            Type::Pointer(..) => {
                let (from, memory) = cx.address(from, "write_user");
                (from, memory, most)
            }
            Type::Void | Type::Aggregate(_) => {
                let kind = kind_name(&from.ty);
                let message = format!("write_user() can not write a value of type {kind}");
                cx.complain(message, from.span, "this has no bytes", "");
                return Type::Bool;
            }
            ty => {
                let room = ty.size();
                (from, Space::Kernel, room)
            }
        };
        if let Some(count) = length.as_int()
            && !(0..=i64::from(room)).contains(&count)
        {
            let message = format!("write_user() can not write {count} bytes of this value");
            let here = format!("there are {room}");
            let code = codes::OUT_OF_RANGE;
            cx.complain_as(code, message, length.span, &here, "give 0 to that many");
        }
        call.params.push(space::param(memory));
        call.params.push(Param::Int(i64::from(room)));
        let length = cx.integer(length, "write_user");
        call.arguments = vec![to, from, length];
        Type::Bool
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let ([to, from, length], Some(Param::Int(room))) =
            (call.arguments.as_slice(), call.params.get(1))
        else {
            return Operand::Imm(0);
        };
        let memory = space::from_param(call.params.first());
        let target = b.value(to);
        let length = b.value(length);
        let length = match length {
            Operand::Imm(_) => length,
            other => {
                // The verifier must see that it fits.
                let bounded = b.copy(other);
                b.when(Comparison::Greater, bounded, *room, |b| {
                    b.set(bounded, *room)
                });
                bounded.into()
            }
        };
        let result = b.copy(1);
        let write = |b: &mut Builder<'_>| {
            let from = source(from, length, *room, memory, b);
            let from = b.pointer(from);
            let code = b.call(helpers::PROBE_WRITE_USER, &[target, from, length]);
            let done = b.select(Comparison::Equal, code, 0, 1, 0);
            b.set(result, done);
        };
        match length {
            // The kernel takes no empty pieces.
            Operand::Imm(0) => {}
            Operand::Imm(_) => write(b),
            _ => b.when(Comparison::Greater, length, 0, write),
        }
        result.into()
    }
}

/// The bytes to write, in rbt's own memory.
fn source(
    from: &hir::Expr,
    length: Operand,
    room: i64,
    memory: Space,
    b: &mut Builder<'_>,
) -> Address {
    if !matches!(from.ty, Type::Pointer(..)) && !from.ty.is_scalar() {
        return b.address(from);
    }
    let size = match length {
        Operand::Imm(length) => length,
        _ => room,
    };
    let size = u32::try_from(size).unwrap_or(0).max(8);
    let copy = b.temporary(size, "what is written");
    if matches!(from.ty, Type::Pointer(..)) {
        let pointer = b.value(from);
        if !matches!(length, Operand::Imm(_)) {
            b.zero(copy, size);
        }
        b.read_bytes(copy, length, pointer, memory);
    } else {
        b.store(from, copy);
    }
    copy
}
