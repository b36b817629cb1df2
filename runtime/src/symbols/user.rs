//! Names of addresses in processes.
//!
//! Takes a process and an address; gives the symbol and the file that hold it. A process may
//! end before its addresses are shown, so what is mapped where is remembered when a process
//! is first heard of, and files are held open from then on; their symbols are read when an
//! address in them is first shown. Files are opened through the process's own mappings, so
//! that other mount namespaces and deleted files make no difference.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rbt_compiler::artifact::{Settings, SymbolCache};

use super::demangle::demangle;
use super::file::{FileSymbols, Places, vdso};
use super::lines::Lines;
use super::perf_map::PerfMap;
use crate::progress::Progress;

/// Where debug files are unless the user says otherwise.
const DEBUG_FOLDER: &str = "/usr/lib/debug";

/// The file that the kernel maps into every process.
const VDSO: &str = "[vdso]";

/// Addresses of processes begin after the first page and end here.
const PAGE: u64 = 4096;
const USER_END: u64 = 1 << 56;

/// Symbols of processes, kept for a whole run.
pub(crate) struct UserSymbols {
    keeps: bool,
    demangles: bool,
    shows_lines: bool,
    folders: Vec<PathBuf>,
    processes: RefCell<HashMap<u32, Process>>,
    /// Files by device and inode: many processes map the same.
    files: RefCell<HashMap<(u64, u64), Rc<Mapped>>>,
    found: RefCell<HashMap<(u32, u64), Rc<Located>>>,
}

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Located {
    /// The symbol that holds it and the distance from its start.
    pub symbol: Option<(String, u64)>,
    /// The file that holds it.
    pub module: Option<String>,
    /// `folder/file:line`, where lines are wanted and known.
    pub line: Option<String>,
    /// Functions that were inlined there, the innermost first, each with its line.
    pub inlined: Vec<(String, Option<String>)>,
}

/// What a process has mapped, or had.
#[derive(Debug, Default)]
struct Process {
    /// Sorted by address.
    mappings: Vec<Mapping>,
    /// Its own names for code that it generates.
    generated: Option<Generated>,
    /// Addresses that were looked for in vain.
    absent: HashSet<u64>,
}

/// A part of a process's memory that is mapped.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Where it begins in its file.
    pub(crate) offset: u64,
    /// The file, as the process sees it, or what the kernel calls it.
    pub(crate) path: String,
    file: Option<Rc<Mapped>>,
}

impl Mapping {
    /// Whether it is the code that the kernel maps into every process.
    pub(crate) fn is_vdso(&self) -> bool {
        self.path == VDSO
    }
}

/// The file that a process has mapped there, by any way that leads to it; `path` as the
/// process sees it.
pub(crate) fn open_mapped(pid: u32, mapping: &Mapping, path: &Path) -> Option<File> {
    let through = format!(
        "/proc/{pid}/map_files/{:x}-{:x}",
        mapping.start, mapping.end
    );
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let beneath = root.join(path.strip_prefix("/").unwrap_or(path));
    File::open(through).or_else(|_| File::open(beneath)).ok()
}

/// A perf map: read when it is needed, and again when there is more of it.
#[derive(Debug)]
struct Generated {
    path: String,
    file: File,
    read: RefCell<(u64, PerfMap)>,
}

impl Generated {
    fn at(&self, address: u64) -> Option<(String, u64)> {
        let size = self.file.metadata().ok()?.len();
        if self.read.borrow().0 != size {
            let mut bytes = vec![0; usize::try_from(size).ok()?];
            self.file.read_exact_at(&mut bytes, 0).ok()?;
            let map = PerfMap::parse(&String::from_utf8_lossy(&bytes));
            *self.read.borrow_mut() = (size, map);
        }
        let read = self.read.borrow();
        let (name, distance) = read.1.at(address)?;
        Some((name.to_owned(), distance))
    }
}

/// A file that is mapped somewhere.
#[derive(Debug)]
struct Mapped {
    contents: Contents,
    places: Places,
    symbols: OnceCell<FileSymbols>,
    lines: OnceCell<Option<Lines>>,
}

#[derive(Debug)]
enum Contents {
    File(File),
    Bytes(Vec<u8>),
}

impl Mapped {
    fn symbols(&self) -> &FileSymbols {
        self.symbols.get_or_init(|| match &self.contents {
            Contents::File(file) => {
                let _progress = Progress::new(|| self.places.reading("symbols"), 0);
                FileSymbols::read(file, &self.places)
            }
            Contents::Bytes(bytes) => FileSymbols::parse(bytes),
        })
    }

    fn lines(&self) -> Option<&Lines> {
        let read = || match &self.contents {
            Contents::File(file) => {
                let _progress = Progress::new(|| self.places.reading("lines"), 0);
                Lines::read(file, &self.places)
            }
            Contents::Bytes(_) => None,
        };
        self.lines.get_or_init(read).as_ref()
    }
}

impl Process {
    fn mapping(&self, address: u64) -> Option<&Mapping> {
        let after = self.mappings.partition_point(|m| m.start <= address);
        let mapping = self.mappings.get(after.checked_sub(1)?)?;
        (address < mapping.end).then_some(mapping)
    }

    /// Whether nothing new could be learnt of an address.
    fn is_known(&self, address: u64) -> bool {
        !(PAGE..USER_END).contains(&address)
            || self.mapping(address).is_some()
            || self.absent.contains(&address)
    }

    /// Keeps what an older look at the process saw where nothing else is now: it may have
    /// loaded another program since.
    fn keep(&mut self, older: Process) {
        let is_gone = |old: &Mapping| {
            let after = self.mappings.partition_point(|m| m.start < old.end);
            let before = after.checked_sub(1).and_then(|i| self.mappings.get(i));
            before.is_none_or(|m| m.end <= old.start)
        };
        let kept: Vec<Mapping> = older.mappings.into_iter().filter(is_gone).collect();
        self.mappings.extend(kept);
        self.mappings.sort_by_key(|m| m.start);
        self.absent.extend(older.absent);
        if self.generated.is_none() {
            self.generated = older.generated;
        }
    }
}

impl UserSymbols {
    /// Nothing yet. `folders` are asked for debug files before the usual one.
    pub(crate) fn new(settings: &Settings, folders: &[PathBuf]) -> UserSymbols {
        let mut folders = folders.to_vec();
        folders.push(PathBuf::from(DEBUG_FOLDER));
        UserSymbols {
            keeps: settings.cache_user_symbols != SymbolCache::None,
            demangles: settings.cpp_demangle,
            shows_lines: settings.show_debug_info,
            folders,
            processes: RefCell::default(),
            files: RefCell::default(),
            found: RefCell::default(),
        }
    }

    /// Remembers what a process has mapped at these addresses, while it lives.
    pub(crate) fn note(&self, pid: u32, addresses: &[u64]) {
        if self.keeps {
            self.learn(pid, addresses);
        }
    }

    /// What is known of an address of a process. Lines are those of the call where the
    /// address is where a call returns to.
    pub(crate) fn at(&self, pid: u32, address: u64) -> Rc<Located> {
        if let Some(found) = self.found.borrow().get(&(pid, address)) {
            return Rc::clone(found);
        }
        self.learn(pid, &[address]);
        let processes = self.processes.borrow();
        let located = processes.get(&pid).map(|p| self.locate(p, address));
        let located = Rc::new(located.unwrap_or_default());
        if self.keeps {
            let mut found = self.found.borrow_mut();
            found.insert((pid, address), Rc::clone(&located));
        }
        located
    }

    /// Looks at a process unless all of these addresses are known. One that is gone has no
    /// mappings any more: what is known of it stays.
    fn learn(&self, pid: u32, addresses: &[u64]) {
        let mut processes = self.processes.borrow_mut();
        if self.keeps
            && let Some(known) = processes.get(&pid)
            && addresses.iter().all(|address| known.is_known(*address))
        {
            return;
        }
        if let Some(mut now) = self.look(pid) {
            if let Some(older) = processes.remove(&pid)
                && self.keeps
            {
                now.keep(older);
            }
            processes.insert(pid, now);
        }
        let process = processes.entry(pid).or_default();
        for address in addresses {
            if process.mapping(*address).is_none() {
                process.absent.insert(*address);
            }
        }
    }

    /// What a process has mapped now.
    fn look(&self, pid: u32) -> Option<Process> {
        let text = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        let mut process = Process::default();
        let mut generates = false;
        for line in text.lines() {
            let Some((mapping, is_code, identity)) = mapping(line) else {
                continue;
            };
            let is_file = identity.1 != 0 && !mapping.path.starts_with("/memfd:");
            generates |= is_code && !is_file;
            let file = match (is_file, is_code) {
                (true, true) => self.mapped(pid, &mapping, identity),
                _ if mapping.path == VDSO => self.vdso(),
                // Its symbols are data: opened when something asks for them.
                _ => None,
            };
            process.mappings.push(Mapping { file, ..mapping });
        }
        // A task that has no memory of its own: of the kernel, or ending.
        if process.mappings.is_empty() {
            return None;
        }
        if generates {
            process.generated = generated(pid);
        }
        Some(process)
    }

    fn mapped(&self, pid: u32, mapping: &Mapping, identity: (u64, u64)) -> Option<Rc<Mapped>> {
        let mut files = self.files.borrow_mut();
        if let Some(known) = files.get(&identity) {
            return Some(Rc::clone(known));
        }
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let path = PathBuf::from(mapping.path.trim_end_matches(" (deleted)"));
        let file = open_mapped(pid, mapping, &path)?;
        let mapped = Rc::new(Mapped {
            contents: Contents::File(file),
            places: Places {
                path,
                root,
                folders: self.folders.clone(),
            },
            symbols: OnceCell::new(),
            lines: OnceCell::new(),
        });
        files.insert(identity, Rc::clone(&mapped));
        Some(mapped)
    }

    fn vdso(&self) -> Option<Rc<Mapped>> {
        let mut files = self.files.borrow_mut();
        if let Some(known) = files.get(&(0, 0)) {
            return Some(Rc::clone(known));
        }
        let mapped = Rc::new(Mapped {
            contents: Contents::Bytes(vdso()?),
            places: Places {
                path: PathBuf::from(VDSO),
                root: PathBuf::from("/"),
                folders: Vec::new(),
            },
            symbols: OnceCell::new(),
            lines: OnceCell::new(),
        });
        files.insert((0, 0), Rc::clone(&mapped));
        Some(mapped)
    }

    fn locate(&self, process: &Process, address: u64) -> Located {
        let mut located = Located::default();
        let Some(mapping) = process.mapping(address) else {
            return located;
        };
        let Some(file) = &mapping.file else {
            if let Some(generated) = &process.generated {
                located.symbol = generated.at(address);
                located.module = located.symbol.is_some().then(|| generated.path.clone());
            }
            return located;
        };
        let symbols = file.symbols();
        let offset = address - mapping.start + mapping.offset;
        let Some(place) = symbols.address_of(offset) else {
            return located;
        };
        if let Some((name, distance)) = symbols.at(place) {
            located.symbol = Some((self.readable(name), distance));
            located.module = Some(mapping.path.clone());
        }
        if self.shows_lines
            && let Some(lines) = file.lines()
        {
            let frames = lines.at(place);
            located.inlined = frames.inlined;
            for (name, _) in &mut located.inlined {
                *name = self.readable(name.as_bytes());
            }
            located.line = frames.line;
        }
        located
    }

    fn readable(&self, name: &[u8]) -> String {
        match self.demangles {
            true => demangle(name),
            false => String::from_utf8_lossy(name).into_owned(),
        }
    }
}

/// A line of `/proc/PID/maps`: the mapping, whether it is code, and the file's device and
/// inode.
pub(crate) fn mapping(line: &str) -> Option<(Mapping, bool, (u64, u64))> {
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let mut parts = line.splitn(6, ' ');
    let (start, end) = parts.next()?.split_once('-')?;
    let is_code = parts.next()?.contains('x');
    let offset = hex(parts.next()?)?;
    let (major, minor) = parts.next()?.split_once(':')?;
    let device = hex(major)? << 32 | hex(minor)?;
    let inode = parts.next()?.parse().ok()?;
    let mapping = Mapping {
        start: hex(start)?,
        end: hex(end)?,
        offset,
        path: parts.next().unwrap_or("").trim_start().to_owned(),
        file: None,
    };
    Some((mapping, is_code, (device, inode)))
}

/// The names a process wrote down for code that it generated: the file is named by the id the
/// process has for itself, and stands in its own `/tmp`.
fn generated(pid: u32) -> Option<Generated> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let own = ids.and_then(|ids| ids.split_whitespace().last());
    let own = own.map_or_else(|| pid.to_string(), str::to_owned);
    let path = format!("/tmp/perf-{own}.map");
    let file = File::open(format!("/proc/{pid}/root{path}")).ok()?;
    Some(Generated {
        path,
        file,
        read: RefCell::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols() -> UserSymbols {
        UserSymbols::new(&Settings::default(), &[])
    }

    #[test]
    fn lines_of_maps_are_read() {
        let line = "7f00-7f80 r-xp 00001000 fd:01 42    /lib/a b.so (deleted)";
        let (mapping, is_code, identity) = mapping(line).expect("a mapping");
        assert_eq!(
            (mapping.start, mapping.end, mapping.offset),
            (0x7f00, 0x7f80, 0x1000)
        );
        assert_eq!(mapping.path, "/lib/a b.so (deleted)");
        assert!(is_code);
        assert_eq!(identity, (0xfd << 32 | 1, 42));
        assert!(super::mapping("nonsense").is_none());
    }

    #[test]
    fn this_process_has_symbols() {
        let symbols = symbols();
        let pid = std::process::id();
        let here = generated as fn(u32) -> Option<Generated> as usize as u64;
        let located = symbols.at(pid, here);
        let (name, distance) = located.symbol.clone().expect("a symbol");
        assert!(name.contains("symbols::user::generated"), "{name}");
        assert_eq!(distance, 0);
        assert!(
            located
                .module
                .as_ref()
                .is_some_and(|m| m.contains("rbt_runtime"))
        );
        assert_eq!(*symbols.at(pid, 1), Located::default());
    }

    #[test]
    fn a_process_that_ended_is_remembered() {
        let symbols = symbols();
        let mut child = std::process::Command::new("sleep")
            .arg("9")
            .spawn()
            .expect("sleep");
        let pid = child.id();
        let address = || {
            let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
            let lines = maps.lines().filter_map(mapping);
            let mut code = lines.filter(|(m, is_code, _)| *is_code && m.path.contains("libc"));
            Some(code.next()?.0.start + 0x100)
        };
        let address = (0..1000).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            address()
        });
        let address = address.expect("a C library");
        symbols.note(pid, &[address]);
        child.kill().expect("our own child");
        child.wait().expect("our own child");
        let known = symbols.processes.borrow();
        assert!(
            known
                .get(&pid)
                .is_some_and(|p| p.mapping(address).is_some())
        );
    }
}
