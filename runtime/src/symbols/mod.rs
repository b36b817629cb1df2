//! Names of addresses.
//!
//! Kernel symbols come from `/proc/kallsyms`. There are no user symbols yet: those need the
//! mapped files of each process.

mod kernel;

pub use kernel::KernelSymbols;
