//! `kptr` and `uptr`: which memory a pointer points into, where rbt cannot know. Also how an
//! address's space travels from a check to the lowering.

use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir::{self, ExprKind};
use rbt_compiler::pass::check::{Check, kind_name};
use rbt_compiler::types::{Space, Type};
use rbt_compiler::vocabulary::Function;
use std::rc::Rc;

word! {
    /// `kptr`
    Kptr = "kptr" {
        usage: ["kptr(pointer) -> pointer"],
        summary: "The same pointer, into the kernel's memory.",
        details: "",
        examples: ["BEGIN { print(str(kptr(curtask.comm))); }"],
        kernel: "",
    }
}

word! {
    /// `uptr`
    Uptr = "uptr" {
        usage: ["uptr(pointer) -> pointer"],
        summary: "The same pointer, into the current process's memory.",
        details: "",
        examples: ["rawtracepoint:sys_enter { print(str(uptr(arg0))); }"],
        kernel: "",
    }
}

fn check(call: &mut hir::Call, space: Space, cx: &mut Check<'_, '_>) -> Type {
    let Some(argument) = call.arguments.first() else {
        return Type::Error;
    };
    match &argument.ty {
        Type::Pointer(to, _) => Type::Pointer(to.clone(), space),
        Type::Int(int) if int.size == 8 => Type::Pointer(Rc::new(Type::Void), space),
        Type::Int(_) => {
            if let Some(argument) = call.arguments.pop() {
                let argument = cx.integer(argument, &call.name);
                call.arguments.push(argument);
            }
            Type::Pointer(Rc::new(Type::Void), space)
        }
        // Memory that is read already has nowhere to point.
        Type::Str(_) | Type::Array(..) => argument.ty.clone(),
        other => {
            if !other.is_absorbing() {
                let kind = kind_name(other);
                let message = format!(
                    "{}() only supports int and pointer arguments ({kind} provided)",
                    call.name
                );
                let span = argument.span;
                cx.complain(message, span, "not an address", "");
            }
            Type::Error
        }
    }
}

impl Function for Kptr {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check(call, Space::Kernel, cx)
    }

    fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        call.arguments.first().map(|argument| argument.kind.clone())
    }
}

impl Function for Uptr {
    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        check(call, Space::User, cx)
    }

    fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        call.arguments.first().map(|argument| argument.kind.clone())
    }
}

/// A space as a call's parameter.
pub(super) fn param(space: Space) -> Param {
    Param::Int(match space {
        Space::Kernel => 0,
        Space::User => 1,
        Space::Direct => 2,
    })
}

/// The space that [`param`] made.
pub(super) fn from_param(param: Option<&Param>) -> Space {
    match param {
        Some(Param::Int(1)) => Space::User,
        Some(Param::Int(2)) => Space::Direct,
        _ => Space::Kernel,
    }
}
