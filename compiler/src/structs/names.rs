//! The names of integers that every kernel agrees on, so that no BTF is read for them.
//!
//! Takes a name as written; gives its type on 64-bit Linux. `char` is unsigned, as the kernel
//! is compiled since 6.2; definitions of the script have C's own `char` ([`define`]).
//!
//! [`define`]: super::define

use crate::types::{I8, I32, I64, Int, Type, U8, U32, U64};

const I16: Type = Type::Int(Int {
    size: 2,
    is_signed: true,
});
const U16: Type = Type::Int(Int {
    size: 2,
    is_signed: false,
});

/// The type of a name that needs no definition.
pub(super) fn well_known(name: &str) -> Option<Type> {
    Some(match name {
        "void" => Type::Void,
        "bool" | "_Bool" => Type::Bool,
        "int8" | "s8" | "__s8" | "int8_t" => I8,
        "int16" | "s16" | "__s16" | "int16_t" => I16,
        "int32" | "s32" | "__s32" | "int32_t" | "pid_t" | "__kernel_pid_t" | "clockid_t" => I32,
        "int64" | "s64" | "__s64" | "int64_t" | "ssize_t" | "loff_t" | "off_t" | "intptr_t"
        | "ptrdiff_t" | "time64_t" | "ktime_t" => I64,
        "uint8" | "u8" | "__u8" | "uint8_t" => U8,
        "uint16" | "u16" | "__u16" | "uint16_t" | "umode_t" | "__be16" | "__le16"
        | "sa_family_t" => U16,
        "uint32" | "u32" | "__u32" | "uint32_t" | "uid_t" | "gid_t" | "dev_t" | "mode_t"
        | "__be32" | "__le32" | "gfp_t" => U32,
        "uint64" | "u64" | "__u64" | "uint64_t" | "size_t" | "uintptr_t" | "__be64" | "__le64"
        | "sector_t" | "ino_t" => U64,
        _ => return c_words(name),
    })
}

/// `unsigned long long`, in any order of words.
fn c_words(name: &str) -> Option<Type> {
    let (mut chars, mut shorts, mut longs, mut ints) = (0, 0, 0, 0);
    let (mut signed, mut unsigned) = (0, 0);
    for word in name.split(' ') {
        *match word {
            "char" => &mut chars,
            "short" => &mut shorts,
            "long" => &mut longs,
            "int" => &mut ints,
            "signed" | "__signed__" => &mut signed,
            "unsigned" => &mut unsigned,
            _ => return None,
        } += 1;
    }
    if ints > 1 || signed + unsigned > 1 {
        return None;
    }
    let size = match (chars, shorts, longs) {
        (1, 0, 0) if ints == 0 => 1,
        (0, 1, 0) => 2,
        (0, 0, 1 | 2) => 8,
        (0, 0, 0) => 4,
        _ => return None,
    };
    let is_signed = if chars == 1 {
        signed == 1
    } else {
        unsigned == 0
    };
    Some(Type::Int(Int { size, is_signed }))
}
