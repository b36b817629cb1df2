//! The page of this machine: what its kernel has.

use rbt_compiler::target::Target;
use rbt_runtime::Host;
use std::fmt::Write as _;

/// What this machine and its kernel have. Entries are `  name: answer`, two on a line.
pub(crate) fn info(host: &Host) -> String {
    let mut text = String::from("System\n");
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = std::fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default();
    let _ = writeln!(text, "  OS: Linux {} {}", release.trim(), version.trim());
    let _ = writeln!(text, "  Arch: {}", host.arch().name);
    let _ = writeln!(text, "\nBuild\n  version: v{}", env!("CARGO_PKG_VERSION"));
    for (section, entries) in host.report() {
        let _ = writeln!(text, "\n{section}");
        for pair in entries.chunks(2) {
            let mut line = String::new();
            for (name, answer) in pair {
                let _ = write!(line, "{:<33}", format!("{name}: {answer}"));
            }
            let _ = writeln!(text, "  {}", line.trim_end());
        }
    }
    text
}
