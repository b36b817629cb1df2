//! Reads BTF: find a type, walk a struct, find an offset.

/// The type information of a kernel.
#[derive(Debug)]
pub struct Btf {}
