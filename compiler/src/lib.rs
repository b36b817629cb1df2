//! From tree to object: types, BTF, passes, BPF IR, instructions, ELF.
//!
//! A pure function: text and answers about a kernel go in, an object or diagnostics come
//! out. It opens no file, makes no system call, and knows no word of the language by name.
#![forbid(unsafe_code)]

pub mod arch;
pub mod artifact;
pub mod backend;
pub mod btf;
pub mod fixture;
pub mod ir;
pub mod nearest;
pub mod object;
pub mod pass;
pub mod structs;
pub mod target;
pub mod types;
