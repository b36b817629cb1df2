//! The programs that live cases trace: `tests/programs/*.c`, built once.
//!
//! Takes the folder of sources and gives a folder of executables, which cases name
//! `{{PROGRAMS}}`. Of `NAME.c` there are `NAME` (at fixed addresses) and `NAME-pie` (at addresses
//! the kernel chooses), both static, so that they run in guests too, with frame pointers and
//! debug information. The folder's name holds a digest of the sources: what is there is what
//! the sources say, whoever built it. Never changes a folder that another run may be using.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How each variant is built: what follows the program's name, and the compiler's options.
const VARIANTS: [(&str, &[&str]); 2] = [
    ("", &["-static", "-no-pie", "-fno-pie"]),
    ("-pie", &["-static-pie", "-fPIE"]),
];

/// What all are built with.
const OPTIONS: [&str; 5] = [
    "-O1",
    "-g",
    "-gdwarf-5",
    "-fno-omit-frame-pointer",
    "-fno-optimize-sibling-calls",
];

/// Why there are no programs.
pub enum Trouble {
    /// This machine has no compiler.
    NoCompiler(String),
    /// Something that should work does not.
    Broken(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Trouble::Broken(why)
    }
}

/// Builds what stands in `sources`, unless that was done before, and gives the folder: below
/// `/tmp`, because bpftrace sees no other folder of this machine.
///
/// Errors: there is no compiler, or it refuses a source.
pub fn build(sources: &Path) -> Result<PathBuf, Trouble> {
    let sources = listed(sources)?;
    let folder = std::env::temp_dir().join(format!("rbt-programs-{:016x}", digest(&sources)?));
    if folder.is_dir() {
        return Ok(folder);
    }
    let draft = folder.with_extension(std::process::id().to_string());
    std::fs::create_dir_all(&draft).map_err(|e| format!("make {}: {e}", draft.display()))?;
    let built = sources
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .try_for_each(|source| compile(source, &draft));
    // Another run may have been quicker: its folder is as good as this one.
    let moved = built.and_then(|()| match std::fs::rename(&draft, &folder) {
        Err(error) if !folder.is_dir() => Err(format!("make {}: {error}", folder.display()).into()),
        _ => Ok(()),
    });
    let _ = std::fs::remove_dir_all(&draft);
    moved.map(|()| folder)
}

fn listed(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error| format!("read {}: {error}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|e| e.path())).collect();
    let mut paths = paths.map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}

/// A number that changes with the sources and with how they are built.
fn digest(sources: &[PathBuf]) -> Result<u64, String> {
    let mut hasher = DefaultHasher::new();
    (OPTIONS, VARIANTS).hash(&mut hasher);
    for path in sources {
        let text = std::fs::read(path).map_err(|e| format!("read {}: {e}", path.display()))?;
        (path.file_name(), text).hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn compile(source: &Path, to: &Path) -> Result<(), Trouble> {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let folder = source.parent().unwrap_or(Path::new("."));
    let name = source.file_name().unwrap_or_default();
    for (suffix, options) in VARIANTS {
        // Sources are named as they stand in their folder, so that debug information is the
        // same wherever the repository lies.
        let output = Command::new("gcc")
            .current_dir(folder)
            .args(OPTIONS)
            .args(options)
            .arg("-o")
            .arg(to.join(format!("{stem}{suffix}")))
            .arg(name)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Trouble::NoCompiler(format!("this machine has no gcc: {error}")))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("gcc refuses {}: {why}", source.display()).into());
        }
    }
    Ok(())
}
