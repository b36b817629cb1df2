//! Which file a probe's target means.
//!
//! Takes what an attach point says and the process of `-p`; gives paths of executables and
//! libraries as this process can open them. A path is taken as it stands, with `*` for any run
//! of characters inside a folder; a name is looked for among libraries if it begins with `lib`,
//! and in `PATH`. Never opens a file but to see that it is a library.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where libraries are that the linker's cache does not name.
const LIBRARIES: [&str; 6] = [
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu",
    "lib64",
    "usr/lib64",
    "lib",
    "usr/lib",
];

/// Where the linker keeps its list.
const CACHE: &str = "etc/ld.so.cache";

/// Most files that wildcards may give.
const MOST: usize = 1 << 14;

/// The file system as a process sees it: a prefix for its absolute paths, empty if it is ours.
fn root_of(pid: Option<u32>) -> PathBuf {
    let Some(pid) = pid else {
        return PathBuf::new();
    };
    let namespace = |process: &str| {
        let facts = fs::metadata(format!("/proc/{process}/ns/mnt"));
        facts.map(|facts| (facts.dev(), facts.ino())).ok()
    };
    let theirs = namespace(&pid.to_string());
    if theirs.is_none() || theirs == namespace("self") {
        return PathBuf::new();
    }
    PathBuf::from(format!("/proc/{pid}/root"))
}

/// The files a target means, the one that counts first; none if there is no such file that is an
/// executable or a library.
pub(crate) fn find(target: &str, pid: Option<u32>) -> Vec<PathBuf> {
    let root = root_of(pid);
    if target.is_empty() {
        let link = pid.map(|pid| format!("/proc/{pid}/exe"));
        let file = link.and_then(|link| fs::read_link(link).ok());
        return file
            .map(|file| under(&root, &file))
            .filter(|file| is_usable(file))
            .into_iter()
            .collect();
    }
    if target.contains('*') {
        return matching(target, &root);
    }
    if target.contains('/') {
        let path = under(&root, Path::new(target));
        return if is_usable(&path) {
            vec![path]
        } else {
            Vec::new()
        };
    }
    let mut found = in_folders(&root, env_path(), |folder| folder.join(target));
    if target.starts_with("lib") {
        found.splice(..0, library(target, &root, pid));
    }
    found
}

/// A path in a file system. Relative ones are ours.
fn under(root: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix("/") {
        Ok(below) if !root.as_os_str().is_empty() => root.join(below),
        _ => path.to_owned(),
    }
}

fn env_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect()
}

fn in_folders(root: &Path, folders: Vec<PathBuf>, name: impl Fn(&Path) -> PathBuf) -> Vec<PathBuf> {
    let paths = folders.iter().map(|folder| name(&under(root, folder)));
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths.filter(|path| is_usable(path)) {
        // `/bin` is often a link to `/usr/bin`: the same file is no second one.
        let is_known = found.iter().any(|known| is_same(known, &path));
        if !is_known {
            found.push(path);
        }
    }
    found
}

fn is_same(one: &Path, other: &Path) -> bool {
    let number = |path: &Path| fs::metadata(path).map(|facts| (facts.dev(), facts.ino()));
    matches!((number(one), number(other)), (Ok(a), Ok(b)) if a == b)
}

/// Whether it is a file that may be executed, or a library.
fn is_usable(path: &Path) -> bool {
    let Ok(facts) = fs::metadata(path) else {
        return false;
    };
    facts.is_file() && (facts.permissions().mode() & 0o111 != 0 || is_library(path))
}

/// Whether a file says of itself that it is a shared object.
fn is_library(path: &Path) -> bool {
    const SHARED: u8 = 3;
    let mut head = [0; 18];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head.starts_with(b"\x7fELF") && head.get(16) == Some(&SHARED)
}

/// The library of that name: `libc`, `libssl.so.3`.
fn library(name: &str, root: &Path, pid: Option<u32>) -> Option<PathBuf> {
    let is_it = |file: &str| {
        file.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(".so"))
    };
    let mut files = pid.map_or_else(Vec::new, mapped).into_iter();
    let mapped = files.find(|path| is_it(&path.file_name().unwrap_or_default().to_string_lossy()));
    if mapped.is_some() {
        return mapped;
    }
    let cache = fs::read(under(root, &Path::new("/").join(CACHE))).unwrap_or_default();
    let listed = cached(&cache, &is_it).map(|path| under(root, Path::new(&path)));
    if let Some(path) = listed.filter(|path| is_usable(path)) {
        return Some(path);
    }
    let base = if root.as_os_str().is_empty() {
        Path::new("/")
    } else {
        root
    };
    LIBRARIES.iter().find_map(|folder| {
        let entries = fs::read_dir(base.join(folder)).ok()?;
        let mut names: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_it(&path.file_name().unwrap_or_default().to_string_lossy()))
            .collect();
        names.sort();
        names.into_iter().find(|path| is_usable(path))
    })
}

/// The files whose code a process has mapped, its executable first.
pub(crate) fn mapped(pid: u32) -> Vec<PathBuf> {
    let root = root_of(Some(pid));
    let text = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut found = find("", Some(pid));
    for line in text.lines() {
        let is_code = line
            .split(' ')
            .nth(1)
            .is_some_and(|mode| mode.contains('x'));
        let path = line.find('/').and_then(|at| line.get(at..));
        let path = path.map(|path| under(&root, Path::new(path)));
        if let Some(path) = path.filter(|path| is_code && !found.contains(path)) {
            found.push(path);
        }
    }
    found.retain(|path| is_usable(path));
    found
}

/// The path the linker's list gives for a library of this machine's kind.
fn cached(cache: &[u8], is_it: &dyn Fn(&str) -> bool) -> Option<String> {
    const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
    /// `FLAG_ELF_LIBC6` with the mark of 64-bit libraries.
    const X86_64: u32 = 0x0303;
    const ENTRY: usize = 24;
    let start = cache.windows(MAGIC.len()).position(|w| w == MAGIC)?;
    let list = cache.get(start..)?;
    let word = |at: usize| -> Option<u32> {
        let word = list.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(word.try_into().ok()?))
    };
    let text = |at: u32| -> Option<String> {
        let bytes = list.get(at as usize..)?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    let count = word(MAGIC.len())? as usize;
    (0..count).find_map(|index| {
        let at = 48_usize.checked_add(index.checked_mul(ENTRY)?)?;
        let is_ours = word(at)? == X86_64;
        (is_ours && is_it(&text(word(at + 4)?)?)).then(|| text(word(at + 8)?))?
    })
}

/// Files whose paths a pattern describes, sorted; links to one file stay apart.
fn matching(pattern: &str, root: &Path) -> Vec<PathBuf> {
    let patterns: Vec<PathBuf> = if pattern.contains('/') {
        vec![under(root, Path::new(pattern))]
    } else {
        let folders = env_path().into_iter();
        folders
            .map(|folder| under(root, &folder).join(pattern))
            .collect()
    };
    let mut found: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        let mut paths = vec![PathBuf::new()];
        for part in pattern.components() {
            let part = part.as_os_str();
            let text = part.to_string_lossy();
            if !text.contains('*') {
                paths.iter_mut().for_each(|path| path.push(part));
                continue;
            }
            let mut next = Vec::new();
            for folder in paths {
                let here = if folder.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    &folder
                };
                let entries = fs::read_dir(here).into_iter().flatten().flatten();
                let names = entries.map(|entry| entry.file_name());
                // Names with a dot in front are not meant by a star.
                let names = names.filter(|name| {
                    let name = name.to_string_lossy();
                    is_match(&text, &name) && (!name.starts_with('.') || text.starts_with('.'))
                });
                next.extend(names.take(MOST).map(|name| folder.join(name)));
            }
            next.truncate(MOST);
            paths = next;
        }
        found.extend(paths.into_iter().filter(|path| is_usable(path)));
    }
    found.sort();
    found.dedup();
    found
}

/// Whether `text` is what `pattern` describes.
fn is_match(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((first, rest)) => match text.strip_prefix(first) {
            None => false,
            Some(left) => left
                .char_indices()
                .map(|(at, _)| at)
                .chain([left.len()])
                .any(|at| left.get(at..).is_some_and(|left| is_match(rest, left))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_inside_a_folder() {
        assert!(is_match("lib*.so", "libc.so"));
        assert!(is_match("*", ""));
        assert!(!is_match("a*b", "abc"));
        let found = matching("/bin/s*", Path::new(""));
        assert!(found.contains(&PathBuf::from("/bin/sh")), "{found:?}");
        assert!(!found.iter().any(|path| path.components().count() > 3));
    }

    #[test]
    fn names_are_found_where_shells_and_linkers_look() {
        let shell = find("sh", None);
        assert!(
            shell.first().is_some_and(|path| path.ends_with("sh")),
            "{shell:?}"
        );
        assert!(find("no-such-program", None).is_empty());
        assert!(find("/etc/passwd", None).is_empty());
        assert!(find("", None).is_empty());
        let own = find("", Some(std::process::id()));
        assert_eq!(own, [std::env::current_exe().expect("it runs")]);
    }

    #[test]
    fn the_linkers_list_is_read() {
        let mut cache = b"glibc-ld.so.cache1.1".to_vec();
        cache.extend(1_u32.to_le_bytes());
        cache.resize(48, 0);
        for word in [0x0303_u32, 72, 83, 0, 0, 0] {
            cache.extend(word.to_le_bytes());
        }
        cache.extend(b"libx.so.1\0\0/lib/libx.so.1\0");
        let is_it = |name: &str| name == "libx.so.1";
        assert_eq!(cached(&cache, &is_it).as_deref(), Some("/lib/libx.so.1"));
        for cut in 0..cache.len() {
            let _ = cached(&cache[..cut], &is_it);
        }
    }
}
