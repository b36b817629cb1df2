//! What differs between architectures: registers, calling convention, syscall names.
//!
//! One small file for each; the rest of the compiler asks here.

pub mod x86_64;

/// An architecture.
#[derive(Debug)]
pub struct Arch {
    /// As `uname -m` says it.
    pub name: &'static str,
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
