//! The page of this machine: what its kernel has.

use rbt_compiler::target::{Feature, Target, TracedProcess};
use rbt_runtime::Host;
use std::fmt::Write as _;

/// What this machine and its kernel have.
pub(crate) fn info() -> String {
    let host = Host::new(TracedProcess::default());
    let mut text = String::from("System\n");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = std::fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default();
    let _ = writeln!(text, "  OS: Linux {} {}", release.trim(), version.trim());
    let _ = writeln!(text, "  Arch: {}", host.arch().name);
    let _ = writeln!(text, "\nBuild\n  version: {}", env!("CARGO_PKG_VERSION"));
    let yes = |answer| if answer { "yes" } else { "no" };
    let _ = writeln!(text, "\nKernel features");
    let _ = writeln!(text, "  btf: {}", yes(host.btf().is_ok()));
    for (feature, name) in Feature::ALL {
        let _ = writeln!(text, "  {name}: {}", yes(host.has(*feature)));
    }
    text
}
