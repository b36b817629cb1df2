//! Keeps the command's only shared library the C library's: the unwinder comes from the
//! compiler's static archive, not from `libgcc_s.so`.
//!
//! The standard library asks the linker for `gcc_s` by name. A linker script of that name,
//! found first, answers with the archive.

use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_gnu = std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    let Some(folder) = std::env::var_os("OUT_DIR").map(PathBuf::from) else {
        return;
    };
    let script = "GROUP ( -lgcc_eh -lgcc )\n";
    if is_gnu && std::fs::write(folder.join("libgcc_s.so"), script).is_ok() {
        println!("cargo::rustc-link-search=native={}", folder.display());
    }
    let tables = folder.join("no-unwinding.ld");
    let is_released = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if is_gnu && is_released && std::fs::write(&tables, NO_UNWINDING).is_ok() {
        let tables = format!("-Wl,-T,{}", tables.display());
        for argument in ["-no-pie", "-Wl,--no-eh-frame-hdr", &tables] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}

/// Drops the sections that only unwinding reads.
const NO_UNWINDING: &str = "SECTIONS {
    /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) *(.gcc_except_table .gcc_except_table.*) }
} INSERT BEFORE .text;
";
