//! Symbols that a running program writes down for its own generated code:
//! `/tmp/perf-PID.map`, a line `START SIZE NAME` for each function.

/// The functions of such a file.
///
/// Private fields: `entries` is sorted by start.
#[derive(Debug, Default)]
pub(crate) struct PerfMap {
    entries: Vec<(u64, u64, String)>,
}

impl PerfMap {
    /// Reads what can be understood. Where code was replaced, the later line holds.
    pub(crate) fn parse(text: &str) -> PerfMap {
        let number = |text: &str| {
            let digits = text.trim_start_matches("0x");
            u64::from_str_radix(digits, 16).ok()
        };
        let entry = |line: &str| {
            let (start, rest) = line.split_once(' ')?;
            let (size, name) = rest.split_once(' ')?;
            Some((number(start)?, number(size)?, name.trim().to_owned()))
        };
        let mut entries: Vec<_> = text.lines().filter_map(entry).collect();
        entries.sort_by_key(|(start, ..)| *start);
        PerfMap { entries }
    }

    /// The function that holds an address and the distance from its start.
    pub(crate) fn at(&self, address: u64) -> Option<(&str, u64)> {
        let after = self
            .entries
            .partition_point(|(start, ..)| *start <= address);
        let (start, size, name) = self.entries.get(after.checked_sub(1)?)?;
        (address - start < *size).then_some((name.as_str(), address - start))
    }
}

#[cfg(test)]
mod tests {
    use super::PerfMap;

    #[test]
    fn lines_are_read() {
        let map = PerfMap::parse("1000 10 old\nnonsense\n2000 20 a b\n0x1000 10 new\n");
        assert_eq!(map.at(0x1005), Some(("new", 5)));
        assert_eq!(map.at(0x201f), Some(("a b", 0x1f)));
        assert_eq!(map.at(0x2020), None);
        assert_eq!(map.at(0xfff), None);
    }
}
