//! Where the program runs: CPU, NUMA node, mode; and random numbers.

use crate::probe::has_registers;
use crate::word::word;
use rbt_compiler::ir::{Address, AluOp, Comparison, Operand, Size, helpers};
use rbt_compiler::lower::Builder;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::types::{Type, U8, U64};
use rbt_compiler::vocabulary::{Builtin, Needs, NotHere, ProbeContext, Stability};

word! {
    /// `cpu`
    Cpu = "cpu" {
        usage: ["cpu -> uint64"],
        summary: "The number of the CPU that the program runs on.",
        details: "",
        examples: ["profile:hz:99 { @[cpu] = count(); }"],
        kernel: "",
    }
}

impl Builtin for Cpu {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        Operand::Reg(b.call(helpers::GET_SMP_PROCESSOR_ID, &[]))
    }
}

word! {
    /// `ncpus`
    CpuCount = "ncpus" {
        usage: ["ncpus -> uint64"],
        summary: "How many CPUs the kernel may ever bring up.",
        details: "",
        examples: ["BEGIN { print(ncpus); }"],
        kernel: "",
    }
}

impl Builtin for CpuCount {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        Operand::Imm(i64::from(b.target().possible_cpus()))
    }
}

word! {
    /// `numaid`
    NumaNode = "numaid" {
        usage: ["numaid -> uint64"],
        summary: "The NUMA node of the CPU that the program runs on.",
        details: "",
        examples: ["BEGIN { print(numaid); }"],
        kernel: "",
    }
}

impl Builtin for NumaNode {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        Operand::Reg(b.call(helpers::GET_NUMA_NODE_ID, &[]))
    }
}

word! {
    /// `rand`
    Rand = "rand" {
        usage: ["rand -> uint64"],
        summary: "32 random bits, others at each use.",
        details: "",
        examples: ["BEGIN { print(rand % 10); }"],
        kernel: "",
    }
}

impl Builtin for Rand {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U64)
    }

    fn stability(&self) -> Stability {
        Stability::Varying
    }

    fn lower(&self, _: &str, b: &mut Builder<'_>) -> Operand {
        let bits = b.call(helpers::GET_PRANDOM_U32, &[]);
        b.zero_extend(bits, Size::B4)
    }
}

word! {
    /// `usermode`
    UserMode = "usermode" {
        usage: ["usermode -> uint8"],
        summary: "1 if the CPU was running user code when the probe fired, else 0.",
        details: "Only probes that interrupt something know: profile, interval, software and \
                  hardware. Everywhere else the kernel itself runs, which is 0.",
        examples: ["profile:hz:99 { @[usermode] = count(); }"],
        kernel: "",
    }
}

impl Builtin for UserMode {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        Ok(U8)
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
        let segment = b.target().arch().register("cs");
        match segment.and_then(|offset| i32::try_from(offset).ok()) {
            Some(offset) if has_registers(b.probe()) => {
                let context = b.context();
                let context = b.in_reg(context);
                let segment = b.load(Address::reg(context).plus(offset), Size::B8);
                // The lowest two bits are the ring: 3 is user code.
                let ring = b.alu(AluOp::And, segment, 3);
                b.select(Comparison::Equal, ring, 3, 1, 0)
            }
            _ => Operand::Imm(0),
        }
    }
}
