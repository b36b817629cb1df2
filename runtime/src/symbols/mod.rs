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

pub(crate) use file::vdso;
pub use kernel::KernelSymbols;
pub(crate) use user::{Located, Mapping, UserSymbols, mapping, open_mapped};

/// A symbol's name as its source writes it, if it is one of C++ or Rust; without the hash that
/// Rust puts behind it.
pub fn demangled(symbol: &str) -> Option<String> {
    let mut name = demangle::demangle(symbol.as_bytes());
    if name == symbol {
        return None;
    }
    let hash = name.rfind("::h").filter(|at| {
        let digits = name.get(at + 3..).unwrap_or("");
        digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    });
    if let Some(at) = hash {
        name.truncate(at);
    }
    Some(name)
}
