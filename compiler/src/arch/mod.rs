//! What differs between architectures: registers, calling convention, syscall names.
//!
//! One small file for each; the rest of the compiler asks here.

pub mod aarch64;
pub mod x86_64;

/// Every architecture.
pub const ALL: &[&Arch] = &[&x86_64::X86_64, &aarch64::AARCH64];

/// The architecture of that name, as `uname -m` says it.
pub fn named(name: &str) -> Option<&'static Arch> {
    ALL.iter().copied().find(|arch| arch.name == name)
}

/// An architecture.
#[derive(Debug)]
pub struct Arch {
    /// As `uname -m` says it.
    pub name: &'static str,
    /// Whether no address means something in the kernel and in a process: the kernel then has
    /// helpers that read either.
    pub has_disjoint_spaces: bool,
    /// Registers of the kernel's `struct pt_regs` by their short names, with byte offsets.
    pub registers: &'static [(&'static str, u32)],
    /// Names of the registers that carry the arguments of a function call, in order.
    pub arguments: &'static [&'static str],
    /// Names of the registers that carry the arguments of a system call, in order.
    pub syscall_arguments: &'static [&'static str],
    /// The register that carries a function's result.
    pub result: &'static str,
    /// The register that carries the number of the system call at its entry and its exit.
    pub syscall_number: &'static str,
    /// Whether programs can unwind stacks of processes by tables.
    pub unwinds: bool,
    /// System calls: number and name, sorted by number.
    pub syscalls: &'static [(u32, &'static str)],
}

impl Arch {
    /// Byte offset of a register in `struct pt_regs`.
    pub fn register(&self, name: &str) -> Option<u32> {
        self.registers
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, offset)| *offset)
    }

    /// Number of a system call.
    pub fn syscall(&self, name: &str) -> Option<u32> {
        self.syscalls
            .iter()
            .find(|(_, n)| *n == name)
            .map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_whole() {
        for arch in ALL {
            let registers = arch.arguments.iter().chain(arch.syscall_arguments);
            for name in registers.chain([&arch.result, &arch.syscall_number]) {
                assert!(arch.register(name).is_some(), "{}: {name}", arch.name);
            }
            let numbers: Vec<u32> = arch.syscalls.iter().map(|(number, _)| *number).collect();
            assert!(numbers.is_sorted(), "{}", arch.name);
        }
    }

    /// Source: `arch/arm64/include/asm/ptrace.h`, `include/uapi/asm-generic/unistd.h`.
    #[test]
    fn arm_is_as_its_headers_say() {
        let arm = named("aarch64").expect("there is one");
        assert_eq!(arm.register("sp"), Some(31 * 8));
        assert_eq!(arm.register("pc"), Some(32 * 8));
        assert_eq!(arm.syscall("openat"), Some(56));
        assert_eq!(arm.syscall("execve"), Some(221));
        assert_eq!(arm.syscall("open"), None);
    }
}
