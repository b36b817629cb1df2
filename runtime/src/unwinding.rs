//! Tells programs how stacks of processes are unwound.
//!
//! Takes the ids of processes; puts into the maps of a script what their files say of
//! unwinding ([`rbt_compiler::artifact::unwinding`]), each file once however many processes map it.
//! Never looks at a stack itself.

mod rows;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use object::ReadCache;
use rbt_compiler::artifact::unwinding::{
    FIRST_PIECE, NO_CODE, NO_TABLE, PIECES, ROW, ROWS, SEGMENT, SEGMENTS, UNUSED_ROW,
    UNUSED_SEGMENT,
};
use rbt_compiler::artifact::{Manifest, MapId, MapRole};

use crate::load::KernelMaps;
use crate::symbols::{Mapping, open_mapped, vdso};
use rows::{Row, Table};

/// What programs were told.
#[derive(Debug)]
pub(crate) struct Unwinding {
    processes: MapId,
    pieces: MapId,
    known: RefCell<Known>,
}

/// Mapped code: where it begins and ends, and its file's device and inode.
type Code = (u64, u64, (u64, u64));

#[derive(Debug, Default)]
struct Known {
    /// What each process had mapped when programs were told of it.
    processes: HashMap<u32, Vec<Code>>,
    /// Files by device and inode; the code that the kernel maps by zeros.
    files: HashMap<(u64, u64), Rc<File>>,
    /// The number of the next piece.
    next: u32,
}

/// A file's table as it lies in the map.
#[derive(Debug, Default)]
struct File {
    table: Table,
    /// Where each piece begins, as the file has it, and its number.
    pieces: Vec<(u64, u32)>,
}

impl Unwinding {
    /// Of a script whose stacks are unwound.
    pub(crate) fn of(manifest: &Manifest) -> Option<Unwinding> {
        let find = |role: MapRole| {
            let at = manifest.maps.iter().position(|map| map.role == role)?;
            u32::try_from(at).ok().map(MapId)
        };
        Some(Unwinding {
            processes: find(MapRole::UnwoundProcesses)?,
            pieces: find(MapRole::UnwindingPieces)?,
            known: RefCell::new(Known {
                next: FIRST_PIECE,
                ..Known::default()
            }),
        })
    }

    /// Tells programs of a process, unless nothing changed since that was last done. One that
    /// is gone, or whose files cannot be read, stays unknown: its stacks are followed by frame
    /// pointers.
    pub(crate) fn learn(&self, pid: u32, maps: &KernelMaps) {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/maps")) else {
            return;
        };
        let lines = text.lines().filter_map(crate::symbols::mapping);
        // What lies above belongs to the kernel.
        let is_code = |(m, is_code, _): &(Mapping, bool, _)| *is_code && m.end < UNUSED_SEGMENT;
        let code: Vec<_> = lines.filter(is_code).collect();
        if code.is_empty() {
            return;
        }
        let mut known = self.known.borrow_mut();
        let seen: Vec<_> = code
            .iter()
            .map(|(m, _, id)| (m.start, m.end, *id))
            .collect();
        if known.processes.get(&pid) == Some(&seen) {
            return;
        }
        let mut segments = vec![(0, NO_CODE)];
        for (mapping, _, identity) in &code {
            let file = known.file(pid, mapping, *identity, |number, rows| {
                maps.put(self.pieces, u64::from(number), &piece(rows))
            });
            add_segments(&mut segments, mapping, &file);
        }
        drop(known.processes.insert(pid, seen));
        // What is added later counts where two begin at the same place.
        segments.sort_by_key(|(start, piece)| (*start, *piece != NO_CODE));
        segments.dedup_by(|next, last| {
            let is_same = next.0 == last.0;
            if is_same {
                last.1 = next.1;
            }
            is_same
        });
        maps.put(self.processes, u64::from(pid), &encoded(&segments));
    }
}

impl Known {
    fn file(
        &mut self,
        pid: u32,
        mapping: &Mapping,
        identity: (u64, u64),
        mut store: impl FnMut(u32, &[Row]) -> bool,
    ) -> Rc<File> {
        if identity.1 == 0 && !mapping.is_vdso() {
            // Code that a process made: it has no tables, and no identity.
            return Rc::default();
        }
        if let Some(known) = self.files.get(&identity) {
            return Rc::clone(known);
        }
        let mut file = File::default();
        if identity.1 != 0 {
            let opened = open_mapped(pid, mapping, &PathBuf::from(&mapping.path));
            file.table = opened.map_or_else(Table::default, |f| Table::read(&ReadCache::new(f)));
        } else {
            file.table = vdso().map_or_else(Table::default, |b| Table::read(b.as_slice()));
        }
        for rows in file.table.rows.chunks(ROWS as usize) {
            let Some(first) = rows.first() else { break };
            // A table that does not fit is cut: its end is code without a way on.
            if self.next >= PIECES || !store(self.next, rows) {
                file.pieces.push((first.address, NO_CODE));
                break;
            }
            file.pieces.push((first.address, self.next));
            self.next += 1;
        }
        let file = Rc::new(file);
        self.files.insert(identity, Rc::clone(&file));
        file
    }
}

/// Adds where the pieces of a file count that is mapped so.
fn add_segments(segments: &mut Vec<(u64, u32)>, mapping: &Mapping, file: &File) {
    segments.push((mapping.end, NO_CODE));
    let start = file.table.address_of(mapping.offset);
    let (Some(address), false) = (start, file.pieces.is_empty()) else {
        segments.push((mapping.start, NO_TABLE));
        return;
    };
    let shift = mapping.start.wrapping_sub(address);
    let end = mapping.end.wrapping_sub(shift);
    let before = file.pieces.partition_point(|piece| piece.0 <= address);
    let within = file.pieces.iter().skip(before.saturating_sub(1));
    for (from, number) in within.take_while(|piece| piece.0 < end) {
        segments.push((from.wrapping_add(shift), *number));
    }
}

/// A piece as its map holds it.
fn piece(rows: &[Row]) -> Vec<u8> {
    let first = rows.first().map_or(0, |row| row.address);
    let mut bytes = Vec::with_capacity((ROWS * ROW) as usize);
    for row in rows {
        let distance = u32::try_from(row.address - first).unwrap_or(UNUSED_ROW);
        bytes.extend_from_slice(&distance.to_ne_bytes());
        bytes.extend_from_slice(&row.step.to_ne_bytes());
    }
    while bytes.len() < (ROWS * ROW) as usize {
        bytes.extend_from_slice(&UNUSED_ROW.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes
}

/// A process as its map holds it.
fn encoded(segments: &[(u64, u32)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((SEGMENTS * SEGMENT) as usize);
    let unused = std::iter::repeat((UNUSED_SEGMENT, NO_CODE));
    let all = segments.iter().copied().chain(unused);
    for (start, piece) in all.take(SEGMENTS as usize) {
        bytes.extend_from_slice(&start.to_ne_bytes());
        bytes.extend_from_slice(&piece.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
    }
    bytes
}
