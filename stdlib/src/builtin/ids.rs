//! Who runs: process, thread, user, group, cgroup, and the child given by `-c`.
//!
//! Process and thread ids are those of the tracer's own namespace; one helper call gives
//! both, another one user and group.

use crate::word::word;
use rbt_compiler::artifact::FaultKind;
use rbt_compiler::ir::{AluOp, Operand, Size, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::types::{Type, U32, U64};
use rbt_compiler::vocabulary::{Builtin, NotHere, ProbeContext, Stability};

word! {
    /// `pid`
    Pid = "pid" {
        usage: ["pid -> uint32"],
        summary: "The process that runs: the id of its thread group.",
        details: "As the tracer's own namespace of process ids sees it. `pid(init)` is the id in \
                  the initial namespace.",
        examples: [
            "BEGIN { print(pid); }",
            "tracepoint:raw_syscalls:sys_enter { @[pid, comm] = count(); }",
        ],
        kernel: "",
    }
}

impl Builtin for Pid {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U32)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        b.process_id()
    }
}

word! {
    /// `tid`
    Tid = "tid" {
        usage: ["tid -> uint32"],
        summary: "The thread that runs.",
        details: "As the tracer's own namespace of process ids sees it. `tid(init)` is the id in \
                  the initial namespace.",
        examples: [
            "BEGIN { print(tid); }",
            "tracepoint:syscalls:sys_enter_read { @start[tid] = nsecs; }",
        ],
        kernel: "",
    }
}

impl Builtin for Tid {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U32)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn is_thread_id(&self) -> bool {
        true
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        b.thread_id()
    }
}

/// The user in the lower half, the group in the upper.
fn user_and_group(b: &mut Builder<'_>) -> Operand {
    b.once("user and group ids", |b| {
        Operand::Reg(b.call(helpers::GET_CURRENT_UID_GID, &[]))
    })
}

word! {
    /// `uid`
    Uid = "uid" {
        usage: ["uid -> uint64"],
        summary: "The user that the current task runs as.",
        details: "In the initial user namespace.",
        examples: ["BEGIN { print(uid); }"],
        kernel: "",
    }
}

impl Builtin for Uid {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        let ids = user_and_group(b);
        b.zero_extend(ids, Size::B4)
    }
}

word! {
    /// `gid`
    Gid = "gid" {
        usage: ["gid -> uint64"],
        summary: "The group that the current task runs as.",
        details: "In the initial user namespace.",
        examples: ["BEGIN { print(gid); }"],
        kernel: "",
    }
}

impl Builtin for Gid {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        let ids = user_and_group(b);
        b.alu(AluOp::ShiftRight, ids, 32)
    }
}

word! {
    /// `username`
    Username = "username" {
        usage: ["username -> username_t"],
        summary: "The name of the user that the current task runs as.",
        details: "The id travels; its name is looked up when it is shown. Empty if the id has \
                  none.",
        examples: ["BEGIN { printf(\"%s\\n\", username); }"],
        kernel: "",
    }
}

impl Builtin for Username {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(Type::Username)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        let ids = user_and_group(b);
        b.zero_extend(ids, Size::B4)
    }
}

word! {
    /// `cgroup`
    Cgroup = "cgroup" {
        usage: ["cgroup -> uint64"],
        summary: "The id of the current task's cgroup (version 2).",
        details: "`cgroupid(\"/sys/fs/cgroup/…\")` gives the id of a directory, to compare with.",
        examples: ["BEGIN { print(cgroup); }"],
        kernel: "",
    }
}

impl Builtin for Cgroup {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        Operand::Reg(b.call(helpers::GET_CURRENT_CGROUP_ID, &[]))
    }
}

word! {
    /// `cpid`
    ChildPid = "cpid" {
        usage: ["cpid -> uint64"],
        summary: "The process that `-c` started; 0, and a warning, if there is none.",
        details: "",
        examples: ["tracepoint:raw_syscalls:sys_enter /pid == cpid/ { @ = count(); }"],
        kernel: "",
    }
}

impl Builtin for ChildPid {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        match b.target().traced_process().child {
            Some(child) => Operand::Imm(i64::from(child)),
            None => {
                b.fault(FaultKind::NoChild, "", 0);
                Operand::Imm(0)
            }
        }
    }
}

word! {
    /// `has_cpid`
    HasChild = "has_cpid" {
        usage: ["has_cpid -> bool"],
        summary: "Whether `-c` started a process.",
        details: "",
        examples: ["BEGIN { if (has_cpid) { print(cpid); } }"],
        kernel: "",
    }
}

impl Builtin for HasChild {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(Type::Bool)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        Operand::Imm(i64::from(b.target().traced_process().child.is_some()))
    }
}
