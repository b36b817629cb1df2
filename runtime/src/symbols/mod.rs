//! Names of addresses.
//!
//! Kernel symbols come from `/proc/kallsyms`; those of processes from the files they map, the
//! debug files of those, and what processes write down of code they generate.

mod demangle;
mod file;
mod kernel;
mod lines;
mod perf_map;
mod user;

pub use kernel::KernelSymbols;
pub(crate) use user::{Located, UserSymbols};
