//! The kernel's functions that can be traced, one line at a time.
//!
//! Takes the list of tracefs, or a file of the same form; gives names as they come, so that a
//! search may end early and nothing is held. Never sorts: the kernel needs some ten
//! milliseconds to write the list, and who wants it sorted has few of them left.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use rbt_compiler::target::TargetError;

use super::tracefs::Tracefs;
use super::unreadable;

/// Calls `visit` with names and modules (empty: the kernel itself) until it gives `false`.
pub(super) fn each<'a>(
    own: Option<&Path>,
    tracefs: impl FnOnce() -> Result<&'a Tracefs, TargetError>,
    visit: &mut dyn FnMut(&str, &str) -> bool,
) -> Result<(), TargetError> {
    let path: PathBuf = match own {
        Some(path) => path.to_owned(),
        None => tracefs()?.function_list(),
    };
    let shown = own.unwrap_or(Path::new("available_filter_functions"));
    let failed = |error: &std::io::Error| TargetError {
        help: String::from(
            "name the functions that can be traced in a file of your own: \
             --traceable-functions FILE",
        ),
        ..unreadable("read the list of traceable functions from", shown, error)
    };
    let file = File::open(&path).map_err(|error| failed(&error))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::with_capacity(128);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line);
        if read.map_err(|error| failed(&error))? == 0 {
            return Ok(());
        }
        let text = std::str::from_utf8(&line).unwrap_or("").trim_end();
        let (name, module) = entry(text);
        if !name.is_empty() && !visit(name, module) {
            return Ok(());
        }
    }
}

/// Name and module of a line: `vfs_read` or `xfs_file_open [xfs]`.
fn entry(line: &str) -> (&str, &str) {
    let (name, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let module = rest
        .trim()
        .strip_prefix('[')
        .and_then(|m| m.strip_suffix(']'));
    // What was freed after start-up, and what has no name of its own.
    if name.starts_with("__ftrace_invalid_address__") {
        return ("", "");
    }
    (name, module.unwrap_or(""))
}

/// Whether a module is loaded.
pub(super) fn has_module(name: &str) -> bool {
    let is_name = |line: &str| line.split(' ').next() == Some(name);
    fs::read_to_string("/proc/modules").is_ok_and(|text| text.lines().any(is_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_functions_and_modules() {
        assert_eq!(entry("vfs_read"), ("vfs_read", ""));
        assert_eq!(entry("xfs_file_open [xfs]"), ("xfs_file_open", "xfs"));
        assert_eq!(entry("__ftrace_invalid_address___48"), ("", ""));
    }
}
