//! What time it is: nanoseconds since boot, since tracing began, and the kernel's ticks.

use crate::word::word;
use rbt_compiler::ir::{AluOp, Operand, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::types::{Type, U64};
use rbt_compiler::vocabulary::{Builtin, NotHere, ProbeContext, Stability};

word! {
    /// `nsecs`
    Nsecs = "nsecs" {
        usage: ["nsecs -> uint64"],
        summary: "Nanoseconds since boot, time asleep included.",
        details: "`nsecs(monotonic)`, `nsecs(tai)` and others read another clock.",
        examples: [
            "BEGIN { print(nsecs); }",
            "tracepoint:syscalls:sys_enter_read { @start[tid] = nsecs; }",
        ],
        kernel: "5.8 (bpf_ktime_get_boot_ns)",
    }
}

impl Builtin for Nsecs {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Varying
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        Operand::Reg(b.call(helpers::KTIME_GET_BOOT_NS, &[]))
    }
}

word! {
    /// `elapsed`
    Elapsed = "elapsed" {
        usage: ["elapsed -> uint64"],
        summary: "Nanoseconds since tracing began.",
        details: "",
        examples: ["interval:s:1 { print(elapsed); }"],
        kernel: "",
    }
}

impl Builtin for Elapsed {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Varying
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        let now = b.call(helpers::KTIME_GET_BOOT_NS, &[]);
        let start = b.target().start_time().cast_signed();
        b.alu(AluOp::Sub, now, start)
    }
}

word! {
    /// `jiffies`
    Jiffies = "jiffies" {
        usage: ["jiffies -> uint64"],
        summary: "The kernel's count of ticks.",
        details: "",
        examples: ["BEGIN { print(jiffies); }"],
        kernel: "5.9 (bpf_jiffies64)",
    }
}

impl Builtin for Jiffies {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Varying
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        Operand::Reg(b.call(helpers::JIFFIES64, &[]))
    }
}
