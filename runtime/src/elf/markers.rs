//! The notes in which programs declare their markers (`.note.stapsdt`).
//!
//! Takes the section's bytes; gives what each note says, its addresses corrected for a file
//! that was prelinked after it was made. Never trusts a length.

/// One note.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) provider: String,
    pub(super) name: String,
    /// Of the instruction.
    pub(super) address: u64,
    /// Of the counter; zero if there is none.
    pub(super) semaphore: u64,
    pub(super) arguments: String,
}

/// `NT_STAPSDT`
const KIND: u32 = 3;

/// The notes in order; `None` if the bytes are no notes. `base` is the address of the section
/// that moves with the code, which each note also states as it was.
pub(super) fn parse(bytes: &[u8], is_64: bool, base: u64) -> Option<Vec<Note>> {
    let mut notes = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let name_size = u32_at(rest, 0)? as usize;
        let size = u32_at(rest, 4)? as usize;
        let kind = u32_at(rest, 8)?;
        let owner = rest.get(12..12usize.checked_add(name_size)?)?;
        let start = 12usize.checked_add(name_size.checked_next_multiple_of(4)?)?;
        let content = rest.get(start..start.checked_add(size)?)?;
        if kind == KIND && owner == b"stapsdt\0" {
            notes.push(note(content, is_64, base)?);
        }
        let end = start.checked_add(size.checked_next_multiple_of(4)?)?;
        rest = rest.get(end..).unwrap_or_default();
    }
    Some(notes)
}

fn note(content: &[u8], is_64: bool, base: u64) -> Option<Note> {
    let width = if is_64 { 8 } else { 4 };
    let word = |index: usize| {
        let at = index * width;
        match is_64 {
            true => Some(u64::from_le_bytes(
                content.get(at..at + 8)?.try_into().ok()?,
            )),
            false => u32_at(content, at).map(u64::from),
        }
    };
    let (address, stated_base, semaphore) = (word(0)?, word(1)?, word(2)?);
    let moved = if base == 0 {
        0
    } else {
        base.wrapping_sub(stated_base)
    };
    let mut texts = content.get(3 * width..)?.split(|byte| *byte == 0);
    let mut text = || {
        texts
            .next()
            .map(|t| String::from_utf8_lossy(t).into_owned())
    };
    Some(Note {
        provider: text()?,
        name: text()?,
        arguments: text()?,
        address: address.wrapping_add(moved),
        semaphore: match semaphore {
            0 => 0,
            address => address.wrapping_add(moved),
        },
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(address: u64, base: u64, semaphore: u64, texts: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        for word in [address, base, semaphore] {
            content.extend(word.to_le_bytes());
        }
        content.extend(texts);
        let mut bytes = Vec::new();
        for word in [8, content.len() as u32, 3] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(b"stapsdt\0");
        bytes.extend(&content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn notes_are_read_and_moved() {
        let mut bytes = section(0x1000, 0x2000, 0, b"app\0start\0-4@%edi\0");
        bytes.extend(section(0x1010, 0x2000, 0x3000, b"app\0end\0\0"));
        let notes = parse(&bytes, true, 0x2100).expect("notes");
        assert_eq!(notes[0].name, "start");
        assert_eq!(notes[0].address, 0x1100);
        assert_eq!(notes[0].semaphore, 0);
        assert_eq!(notes[0].arguments, "-4@%edi");
        assert_eq!(notes[1].semaphore, 0x3100);
        assert_eq!(notes[1].arguments, "");
    }

    #[test]
    fn nonsense_is_refused() {
        let bytes = section(1, 2, 3, b"a\0b\0c\0");
        for cut in 1..bytes.len() {
            let _ = parse(&bytes[..cut], true, 0);
        }
        assert_eq!(parse(&[0xff; 40], true, 0), None);
    }
}
