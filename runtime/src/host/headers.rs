//! Where C headers are: the folders of `-I`, the kernel's, the system's.
//!
//! Takes the name that a script or a header includes; gives the file's path and text. Reads
//! nothing before a script includes something.

use std::fs;
use std::path::{Path, PathBuf};

use rbt_compiler::target::Header;

use super::Files;

/// Headers larger than this are none.
const MOST_BYTES: u64 = 16 << 20;

/// Folders of the system's headers.
const SYSTEM: &[&str] = &["/usr/local/include", "/usr/include"];

/// Below a folder of the system: where the kernel's interface is described.
const KERNEL_INTERFACE: &[&str] = &["linux", "asm", "asm-generic"];

/// The header that `name` means in the file `includer`, or in the script.
pub(super) fn find(
    files: &Files,
    name: &str,
    is_quoted: bool,
    includer: Option<&str>,
) -> Option<Header> {
    let arch = std::env::consts::ARCH;
    if is_quoted || name.starts_with('/') {
        let beside = includer
            .and_then(|path| Path::new(path).parent())
            .unwrap_or(Path::new(""));
        let is_kernel = includer.is_some_and(|path| {
            let mut folders = kernel_folders(files, arch).into_iter();
            folders.any(|folder| Path::new(path).starts_with(folder))
        });
        if let Some(header) = read(&beside.join(name), is_kernel) {
            return Some(header);
        }
    }
    let given = files.include_folders.iter();
    if let Some(header) = given.map(|f| read(&f.join(name), false)).find_map(|h| h) {
        return Some(header);
    }
    let mut kernel = kernel_folders(files, arch).into_iter();
    if let Some(header) = kernel.find_map(|folder| read(&folder.join(name), true)) {
        return Some(header);
    }
    let is_interface = KERNEL_INTERFACE
        .iter()
        .any(|folder| Path::new(name).starts_with(folder));
    SYSTEM.iter().find_map(|folder| {
        let folder = Path::new(folder);
        let triplet = folder.join(format!("{arch}-linux-gnu"));
        read(&folder.join(name), is_interface).or_else(|| read(&triplet.join(name), is_interface))
    })
}

/// The folders of the kernel's own headers, if they are installed.
fn kernel_folders(files: &Files, arch: &str) -> Vec<PathBuf> {
    let arch = match arch {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        other => other,
    };
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = Path::new("/lib/modules").join(release.trim());
    let source = files
        .kernel_source
        .clone()
        .unwrap_or_else(|| modules.join("source"));
    let build = files
        .kernel_build
        .clone()
        .unwrap_or_else(|| modules.join("build"));
    let mut folders = Vec::new();
    for root in [source, build] {
        if !root.is_dir() {
            continue;
        }
        for below in [
            format!("arch/{arch}/include"),
            format!("arch/{arch}/include/generated"),
            String::from("include"),
            format!("arch/{arch}/include/uapi"),
            format!("arch/{arch}/include/generated/uapi"),
            String::from("include/uapi"),
            String::from("include/generated/uapi"),
        ] {
            folders.push(root.join(below));
        }
    }
    folders
}

fn read(path: &Path, is_kernel: bool) -> Option<Header> {
    let about = fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > MOST_BYTES {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    Some(Header {
        path: path.to_string_lossy().into_owned(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
        is_kernel,
    })
}
