//! The table of one executable or library, made of its `.eh_frame`.
//!
//! Takes a file (or bytes that are one) of x86-64; gives, sorted by address, how the caller's
//! frame is found from there on. Says nothing of where the file is mapped.

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EndianSlice, LittleEndian, Operation, Register, RegisterRule,
    UnwindContext, UnwindSection, X86_64,
};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSegment, ReadRef};
use rbt_compiler::artifact::unwinding::{Step, kind};

type Bytes<'b> = EndianSlice<'b, LittleEndian>;

/// Bytes after the entry of a program that nobody describes: what starts it.
const START: u64 = 64;

/// From that address on, as the file has it, a step as [`Step::encode`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) address: u64,
    pub(super) step: u32,
}

/// What a file says of unwinding.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Sorted by address, each step another than the one before.
    pub(super) rows: Vec<Row>,
    /// Offset in the file, size and address of each part that is loaded.
    segments: Vec<(u64, u64, u64)>,
}

impl Table {
    /// What a file says; nothing if it is none of x86-64.
    pub(super) fn read<'d>(data: impl ReadRef<'d>) -> Table {
        let mut table = Table::default();
        let Ok(file) = ElfFile64::<object::Endianness, _>::parse(data) else {
            return table;
        };
        if file.architecture() != object::Architecture::X86_64 {
            return table;
        }
        table.segments = file
            .segments()
            .map(|segment| {
                let (offset, size) = segment.file_range();
                (offset, size, segment.address())
            })
            .collect();
        let bytes = |name: &str| {
            let section = file.section_by_name(name)?;
            Some((section.uncompressed_data().ok()?, section.address()))
        };
        let Some((frames, at)) = bytes(".eh_frame") else {
            return table;
        };
        let text = file.section_by_name(".text").map_or(0, |s| s.address());
        let bases = BaseAddresses::default().set_eh_frame(at).set_text(text);
        table.add(&EhFrame::new(&frames, LittleEndian), &bases);
        table.finish(file.entry());
        table
    }

    /// The address, as the file has it, of a byte of the file.
    pub(super) fn address_of(&self, offset: u64) -> Option<u64> {
        let holds = |s: &&(u64, u64, u64)| offset >= s.0 && offset - s.0 < s.1;
        let (start, _, address) = self.segments.iter().find(holds)?;
        Some((offset - start).wrapping_add(*address))
    }

    fn add<'b>(&mut self, frames: &EhFrame<Bytes<'b>>, bases: &BaseAddresses) {
        let mut context = UnwindContext::new();
        let mut entries = frames.entries(bases);
        let mut cies = std::collections::HashMap::new();
        // What cannot be read ends the table: what came before is still right.
        while let Ok(Some(entry)) = entries.next() {
            let gimli::CieOrFde::Fde(partial) = entry else {
                continue;
            };
            let known = |frames: &EhFrame<Bytes<'b>>, bases: &_, offset| {
                if let Some(cie) = cies.get(&offset) {
                    return Ok(Clone::clone(cie));
                }
                let cie = EhFrame::cie_from_offset(frames, bases, offset)?;
                cies.insert(offset, cie.clone());
                Ok(cie)
            };
            let Ok(function) = partial.parse(known) else {
                continue;
            };
            let start = function.initial_address();
            let Some(end) = start.checked_add(function.len()).filter(|_| start > 0) else {
                continue;
            };
            let is_signal = function.is_signal_trampoline();
            let Ok(mut steps) = function.rows(frames, bases, &mut context) else {
                continue;
            };
            while let Ok(Some(row)) = steps.next_row() {
                let step = match is_signal {
                    true => Step {
                        kind: kind::SIGNAL,
                        ..Step::LOST
                    },
                    false => step(row, frames),
                };
                self.rows.push(Row {
                    address: row.start_address(),
                    step: step.encode(),
                });
            }
            self.rows.push(Row {
                address: end,
                step: Step::LOST.encode(),
            });
        }
    }

    /// Sorts; adds what starts the program, if nothing describes it.
    fn finish(&mut self, entry: u64) {
        let lost = Step::LOST.encode();
        if self.rows.is_empty() {
            return;
        }
        // Where one function ends and the next begins the next counts.
        self.rows.sort_by_key(|row| (row.address, row.step != lost));
        let after = self.rows.partition_point(|row| row.address <= entry);
        let before = after.checked_sub(1).and_then(|i| self.rows.get(i));
        if entry > 0 && before.is_none_or(|row| row.step == lost) {
            let step = Step {
                kind: kind::OUTERMOST,
                ..Step::LOST
            };
            let next = self.rows.get(after).map_or(u64::MAX, |row| row.address);
            let ends = entry.saturating_add(START).min(next);
            let start = Row {
                address: entry,
                step: step.encode(),
            };
            let end = Row {
                address: ends,
                step: lost,
            };
            let added = if ends < next {
                vec![start, end]
            } else {
                vec![start]
            };
            self.rows.splice(after..after, added);
        }
        let rows = std::mem::take(&mut self.rows);
        self.rows.reserve(rows.len());
        for row in rows {
            if let Some(last) = self.rows.last_mut() {
                if last.address == row.address {
                    last.step = row.step;
                    continue;
                }
                if last.step == row.step {
                    continue;
                }
            }
            self.rows.push(row);
        }
    }
}

/// How the caller's frame is found in a row of `.eh_frame`.
fn step(row: &gimli::UnwindTableRow<usize>, frames: &EhFrame<Bytes<'_>>) -> Step {
    if matches!(row.register(X86_64::RA), Some(RegisterRule::Undefined)) {
        return Step {
            kind: kind::OUTERMOST,
            ..Step::LOST
        };
    }
    let saved = match row.register(X86_64::RBP) {
        Some(RegisterRule::Offset(offset)) => u32::try_from(-offset).ok(),
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => Some(0),
        // Its caller's frame pointer cannot be had; most have no use for it.
        Some(_) => Some(0),
    };
    let found = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => match *register {
            X86_64::RSP => Some((kind::STACK_POINTER, *offset)),
            X86_64::RBP => Some((kind::FRAME_POINTER, *offset)),
            _ => None,
        },
        CfaRule::Expression(expression) => {
            let expression = expression.get(frames).ok();
            expression.and_then(by_expression)
        }
    };
    match (found, saved) {
        (Some((kind, distance)), Some(saved)) => Step {
            kind,
            distance: i32::try_from(distance).unwrap_or(1),
            saved,
        },
        _ => Step::LOST,
    }
}

/// The two expressions that compilers and linkers write: an entry of the table of procedures,
/// and a place that is stored.
fn by_expression(expression: gimli::Expression<Bytes<'_>>) -> Option<(i64, i64)> {
    let encoding = gimli::Encoding {
        address_size: 8,
        format: gimli::Format::Dwarf32,
        version: 5,
    };
    let mut operations = expression.operations(encoding);
    let mut all = Vec::new();
    while let Ok(Some(operation)) = operations.next() {
        all.push(operation);
    }
    let register = |operation: &Operation<Bytes<'_>>, wanted: Register| match operation {
        Operation::RegisterOffset {
            register, offset, ..
        } if *register == wanted => Some(*offset),
        _ => None,
    };
    match all.as_slice() {
        [place, Operation::Deref { .. }] => Some((kind::STORED, register(place, X86_64::RBP)?)),
        [
            top,
            address,
            Operation::UnsignedConstant { value: 15 },
            Operation::And,
            Operation::UnsignedConstant { value },
            Operation::Ge,
            Operation::UnsignedConstant { value: 3 },
            Operation::Shl,
            Operation::Plus,
        ] if register(top, X86_64::RSP) == Some(8) && register(address, X86_64::RA) == Some(0) => {
            Some((kind::LINKAGE, i64::try_from(*value).ok()? * 8))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_has_a_table() {
        let bytes = std::fs::read("/proc/self/exe").expect("this program");
        let table = Table::read(bytes.as_slice());
        assert!(table.rows.len() > 1000, "{}", table.rows.len());
        assert!(table.rows.is_sorted_by_key(|row| row.address));
        let outermost = |row: &&Row| i64::from(row.step & 7) == kind::OUTERMOST;
        assert!(table.rows.iter().any(|row| outermost(&row)));
        // On entry only the return address lies above.
        let entry = Step {
            kind: kind::STACK_POINTER,
            distance: 8,
            saved: 0,
        };
        assert!(table.rows.iter().any(|row| row.step == entry.encode()));
        assert!(Table::read(b"no such file".as_slice()).rows.is_empty());
    }
}
