//! The paths of a cgroup by its id, in every hierarchy that is mounted.
//!
//! Takes ids as the kernel gives them, which are the inode numbers of cgroups' directories;
//! gives `hierarchy:path` for each directory that has the number. A hierarchy is called by
//! its controllers, that of version 2 `unified`. Reads `/proc/self/mounts` once, when first
//! asked, and walks the directories once for each id. Never fails: what cannot be read has
//! no paths.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The mounted hierarchies and the paths found so far.
#[derive(Default)]
pub(crate) struct Cgroups {
    hierarchies: OnceCell<Vec<Hierarchy>>,
    known: RefCell<HashMap<u64, Vec<(String, String)>>>,
}

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    /// `unified`, or the controllers.
    name: String,
    /// Where it is mounted.
    root: PathBuf,
}

impl Cgroups {
    /// `name:path` of each hierarchy whose name matches `filter`, joined by commas.
    pub(crate) fn paths(&self, id: u64, filter: &str) -> String {
        let mut known = self.known.borrow_mut();
        let paths = known.entry(id).or_insert_with(|| {
            let hierarchies = self.hierarchies.get_or_init(|| {
                hierarchies(&fs::read_to_string("/proc/self/mounts").unwrap_or_default())
            });
            let path = |h: &Hierarchy| Some((h.name.clone(), find(&h.root, id)?));
            hierarchies.iter().filter_map(path).collect()
        });
        let matching = paths.iter().filter(|(name, _)| is_match(filter, name));
        let shown: Vec<String> = matching
            .map(|(name, path)| format!("{name}:{path}"))
            .collect();
        shown.join(",")
    }
}

/// The hierarchies in a list of mounts: the unified one first, then by name.
fn hierarchies(mounts: &str) -> Vec<Hierarchy> {
    let mut all: Vec<Hierarchy> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (root, kind, options) = (fields.nth(1)?, fields.next()?, fields.next()?);
            let name = match kind {
                "cgroup2" => String::from("unified"),
                "cgroup" => controllers(options),
                _ => return None,
            };
            let root = PathBuf::from(root.replace("\\040", " "));
            Some(Hierarchy { name, root })
        })
        .collect();
    all.sort_by(|a, b| (a.name != "unified", &a.name).cmp(&(b.name != "unified", &b.name)));
    // One that is mounted twice is one.
    all.dedup_by(|a, b| a.name == b.name);
    all
}

/// The controllers among the options of a mount.
fn controllers(options: &str) -> String {
    const OTHERS: &[&str] = &[
        "rw",
        "ro",
        "nosuid",
        "nodev",
        "noexec",
        "relatime",
        "noatime",
        "nodiratime",
        "xattr",
        "clone_children",
        "noprefix",
        "cpuset_v2_mode",
        "favordynmods",
        "seclabel",
    ];
    let names = options.split(',').filter(|option| !OTHERS.contains(option));
    let names = names.filter(|option| !option.starts_with("release_agent="));
    let names = names.map(|option| option.strip_prefix("name=").unwrap_or(option));
    names.collect::<Vec<_>>().join(",")
}

/// The directory of that number at or below `root`, as a path from there.
fn find(root: &Path, id: u64) -> Option<String> {
    if fs::metadata(root).ok()?.ino() == id {
        return Some(String::from("/"));
    }
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let path = entry.path();
            if entry.ino() == id {
                let below = path.strip_prefix(root).ok()?;
                return Some(format!("/{}", below.display()));
            }
            waiting.push(path);
        }
    }
    None
}

/// Whether a name matches a pattern in which `*` stands for any text and `?` for any byte.
fn is_match(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut next) = (0, 0);
    // Where to go on after the last star if what follows it does not match.
    let mut star: Option<(usize, usize)> = None;
    while next < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, next));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || name.get(next) == Some(wanted) => {
                at += 1;
                next += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    at = place + 1;
                    next = taken + 1;
                    star = Some((place, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern
        .get(at..)
        .unwrap_or_default()
        .iter()
        .all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_named_and_sorted() {
        let mounts = "cgroup /sys/fs/cgroup/systemd cgroup rw,nosuid,xattr,name=systemd 0 0\n\
                      proc /proc proc rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu,cpuacct 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let named: Vec<String> = hierarchies(mounts).into_iter().map(|h| h.name).collect();
        assert_eq!(named, ["unified", "cpu,cpuacct", "systemd"]);
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("*", "unified", true),
            ("cpu*", "cpuset", true),
            ("cpu*", "cpu", true),
            ("*set", "cpuset", true),
            ("c*u*t", "cpuset", true),
            ("cpu", "cpuset", false),
            ("?pu", "cpu", true),
            ("", "cpu", false),
            ("", "", true),
        ] {
            assert_eq!(is_match(pattern, name), expected, "{pattern} {name}");
        }
    }
}
