//! Kernel symbols: `/proc/kallsyms` sorted by address.

use std::fs;

use rbt_compiler::target::TargetError;

use crate::host::reason;
use crate::progress::Progress;

/// Bytes of compiled code that no BPF program has more of.
const LARGEST_PROGRAM: u64 = 1 << 22;

const PATH: &str = "/proc/kallsyms";

/// The kernel's symbols.
///
/// Private fields: `entries` is sorted by address; its ranges lie inside `names`.
pub struct KernelSymbols {
    names: String,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    address: u64,
    start: u32,
    end: u32,
}

impl KernelSymbols {
    /// Reads them all: some 100 ms and 10 MB, so only when a script needs it.
    ///
    /// Errors: the file cannot be read, or shows no addresses to this process.
    pub(crate) fn read() -> Result<KernelSymbols, TargetError> {
        let refused = |reason: String, help: &str| TargetError {
            attempted: String::from("read the kernel's symbols from"),
            on: String::from(PATH),
            reason,
            help: String::from(help),
        };
        let _progress = Progress::new(|| String::from("reading the kernel's symbols"), 0);
        let text = fs::read_to_string(PATH).map_err(|error| refused(reason(&error), ""))?;
        let symbols = KernelSymbols::parse(text);
        if symbols.entries.is_empty() {
            return Err(refused(
                String::from("it shows no addresses"),
                "run as root, or set kernel.kptr_restrict to 0",
            ));
        }
        Ok(symbols)
    }

    /// The symbols of a text like `ffffffff81000000 T _stext`, sorted.
    fn parse(names: String) -> KernelSymbols {
        let mut entries = Vec::with_capacity(names.len() / 44);
        let mut offset = 0;
        for line in names.split_inclusive('\n') {
            entries.extend(parse_line(line, offset));
            offset += line.len();
        }
        entries.sort_by_key(|entry: &Entry| entry.address);
        KernelSymbols { names, entries }
    }

    /// The symbol that holds `address` and the distance from its start.
    pub fn at(&self, address: u64) -> Option<(&str, u64)> {
        let after = self
            .entries
            .partition_point(|entry| entry.address <= address);
        let mut index = after.checked_sub(1)?;
        // Of several names of one address the first listed wins, as elsewhere.
        let start = self.entries.get(index)?.address;
        while index > 0
            && self
                .entries
                .get(index - 1)
                .is_some_and(|e| e.address == start)
        {
            index -= 1;
        }
        let name = self.name(self.entries.get(index)?);
        // Past the last symbol there is nothing that could hold it, unless that is a program
        // of rbt's own kind, which the kernel lists last.
        let is_last = after == self.entries.len() && address > start;
        if is_last && !(name.starts_with("bpf_prog_") && address - start < LARGEST_PROGRAM) {
            return None;
        }
        Some((name, address - start))
    }

    /// The address of the symbol of that name.
    pub fn address_of(&self, name: &str) -> Option<u64> {
        let found = self.entries.iter().find(|entry| self.name(entry) == name);
        found.map(|entry| entry.address)
    }

    fn name(&self, entry: &Entry) -> &str {
        let range = entry.start as usize..entry.end as usize;
        self.names.get(range).unwrap_or("")
    }
}

/// The entry of one line that starts at byte `offset` of the text.
fn parse_line(line: &str, offset: usize) -> Option<Entry> {
    let (address, rest) = line.split_once(' ')?;
    let address = u64::from_str_radix(address, 16).ok().filter(|a| *a != 0)?;
    let (_, rest) = rest.split_once(' ')?;
    let length = rest.find([' ', '\t', '\n']).unwrap_or(rest.len());
    let start = offset + line.len() - rest.len();
    Some(Entry {
        address,
        start: u32::try_from(start).ok()?,
        end: u32::try_from(start + length).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_the_symbol_before_them() {
        let text = "ffff8000 T second\nffff7000 t first\t[module]\n0 A nothing\nffff8000 T alias\nffff9000 T end\n";
        let symbols = KernelSymbols::parse(text.to_owned());
        assert_eq!(symbols.at(0xffff_7010), Some(("first", 0x10)));
        assert_eq!(symbols.at(0xffff_8000), Some(("second", 0)));
        assert_eq!(symbols.at(0xffff_6fff), None);
        assert_eq!(symbols.at(0xffff_9001), None);
        let symbols = KernelSymbols::parse(String::from("9000 t bpf_prog_1_begin\t[bpf]\n"));
        assert_eq!(symbols.at(0x9010), Some(("bpf_prog_1_begin", 0x10)));
        let symbols = KernelSymbols::parse(text.to_owned());
        assert_eq!(symbols.address_of("end"), Some(0xffff_9000));
        assert_eq!(symbols.address_of("nothing"), None);
    }
}
