//! The current task: its name and its `struct task_struct`.
//!
//! Where the kernel hands programs its task with a type, members are loaded directly;
//! elsewhere they are read through the probe-read helper.

use crate::word::word;
use rbt_compiler::ir::{Address, AluOp, Operand, Size, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::Feature;
use rbt_compiler::types::{Field, Space, StructRef, Type};
use rbt_compiler::vocabulary::{Builtin, NotHere, ProbeContext, Stability};
use rbt_grammar::ast::TagKind;
use std::rc::Rc;

/// Bytes of a task's name in the kernel (`TASK_COMM_LEN`).
const NAME_BYTES: u32 = 16;

/// `struct task_struct`.
fn task_struct(types: &TypeTable<'_>) -> Option<StructRef> {
    match types.tagged(TagKind::Struct, "task_struct") {
        Some(Type::Struct(found)) => Some(found),
        _ => None,
    }
}

fn task_field(types: &TypeTable<'_>, name: &str) -> Option<Field> {
    types.find_field(&task_struct(types)?, name, Space::Kernel)
}

/// The complaint about a kernel that does not describe its tasks.
fn untyped(word: &str) -> NotHere {
    NotHere {
        message: format!("The {word} builtin needs the kernel's type information"),
        help: String::from("use a kernel built with CONFIG_DEBUG_INFO_BTF"),
    }
}

/// The current task as a pointer whose type the verifier knows, on kernels that have it.
fn typed(b: &mut Builder<'_>) -> Operand {
    b.once("current task, typed", |b| {
        Operand::Reg(b.call(helpers::GET_CURRENT_TASK_BTF, &[]))
    })
}

/// Copies the current task's name to `to` by two loads, which takes a quarter of the helper's
/// time. Since 5.17 (which brought `bpf_loop`) the kernel fills names with zeros; before, bytes
/// after the NUL may be left of a longer name. Gives false where that cannot be done.
fn copy_own_name(b: &mut Builder<'_>, to: Address) -> bool {
    // In a tuple behind a text the name may lie at any byte; the helper does not mind.
    if !b.has(Feature::CurrentTaskBtf) || !b.has(Feature::Loop) || to.offset % 4 != 0 {
        return false;
    }
    let field = task_field(b.types(), "comm");
    let is_aligned = |offset: u32| offset.is_multiple_of(8);
    let Some(field) = field.filter(|f| is_aligned(f.offset) && f.ty.size() == NAME_BYTES) else {
        return false;
    };
    let task = typed(b);
    for at in [0, 8] {
        let offset = i64::from(field.offset) + i64::from(at);
        let half = b.read_scalar(task, offset, Size::B8, Space::Direct);
        if to.offset % 8 == 0 {
            b.put(to.plus(at), half, Size::B8);
        } else {
            b.put(to.plus(at), half, Size::B4);
            let upper = b.alu(AluOp::ShiftRight, half, 32);
            b.put(to.plus(at + 4), upper, Size::B4);
        }
    }
    true
}

word! {
    /// `comm`
    Comm = "comm" {
        usage: ["comm -> string[16]", "comm(pid) -> string[64]"],
        summary: "The name of the thread that runs, or of a process.",
        details: "At most 15 characters; a program sets it, usually to the start of its own \
                  name. That of another process is looked up in the kernel's list of processes, \
                  by its number in the initial namespace; `N/A` if there is none.",
        examples: [
            "BEGIN { print(comm); }",
            "tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }",
        ],
        kernel: "",
    }
}

impl Builtin for Comm {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(Type::Str(NAME_BYTES))
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower_into(&self, _: &str, to: Address, b: &mut Builder<'_>) {
        if copy_own_name(b, to) {
            return;
        }
        // Some kernels write no further than the NUL, and keys are compared whole.
        b.zero(to, NAME_BYTES);
        let to = b.pointer(to);
        let bytes = Operand::Imm(i64::from(NAME_BYTES));
        b.call_void(helpers::GET_CURRENT_COMM, &[to, bytes]);
    }
}

word! {
    /// `curtask`
    CurrentTask = "curtask" {
        usage: ["curtask -> struct task_struct *"],
        summary: "The kernel's record of the thread that runs.",
        details: "Its members can be read without a cast.",
        examples: ["BEGIN { print(curtask.real_parent.comm); }"],
        kernel: "",
    }
}

impl Builtin for CurrentTask {
    fn ty(&self, _: &str, _: &ProbeContext, types: &TypeTable<'_>) -> Result<Type, NotHere> {
        match task_struct(types) {
            Some(task) => Ok(Type::Pointer(Rc::new(Type::Struct(task)), Space::Kernel)),
            None => Err(untyped("curtask")),
        }
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        Operand::Reg(b.call(helpers::GET_CURRENT_TASK, &[]))
    }

    fn lower_typed(&self, b: &mut Builder<'_>) -> Option<Operand> {
        b.has(Feature::CurrentTaskBtf).then(|| typed(b))
    }
}
