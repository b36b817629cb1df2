//! Finds types by number and by name.
//!
//! Takes the bytes of types and strings; gives each type's place and a hash table of names.
//! Four bytes a type for its place, four for its link in the table, and one table of heads
//! (2^16 for the kernel, fewer for a module): no name is copied. The index grows as far as questions need it: what scripts ask
//! for most, the kernel's compiler met first, so that most of the types are never looked at.
//! It ends for good at the first record that cannot be read.

use super::TypeId;
use super::read::{self, Kind, Record, Strings};

/// Most buckets of the table of names. The kernel's 126,000 types have about as many distinct
/// names as this, so chains stay short.
const BUCKETS: usize = 1 << 16;

/// Fewest.
const FEWEST_BUCKETS: usize = 1 << 4;

/// Places and names of the types up to some number.
#[derive(Debug)]
pub(super) struct Index {
    /// Byte offset of each type's record; the entry of `void` is not used.
    offsets: Vec<u32>,
    /// The last type of each bucket; 0 ends a chain.
    heads: Vec<u32>,
    /// The type before each type in its bucket.
    links: Vec<u32>,
    /// Enums, whose values have names of their own.
    enums: Vec<u32>,
    /// Where the next record starts.
    next: usize,
}

impl Index {
    /// An index of nothing but `void`, for types that take so many bytes.
    pub(super) fn new(types_size: usize) -> Index {
        // The kernel's types take 24 to 28 bytes on average; a wrong guess costs a copy. What
        // is never written to costs no memory.
        let guess = types_size / 26 + 1;
        let mut index = Index {
            offsets: Vec::with_capacity(guess),
            heads: vec![0; guess.next_power_of_two().clamp(FEWEST_BUCKETS, BUCKETS)],
            links: Vec::with_capacity(guess),
            enums: Vec::new(),
            next: 0,
        };
        index.offsets.push(0);
        index.links.push(0);
        index
    }

    /// Takes the next record in; `None` at the end.
    pub(super) fn advance<'a>(
        &mut self,
        types: &'a [u8],
        strings: Strings<'_>,
    ) -> Option<(TypeId, Record<'a>)> {
        let place = u32::try_from(self.next).ok()?;
        let id = u32::try_from(self.offsets.len()).ok()?;
        let (record, next) = read::record(types, self.next)?;
        let mut link = 0;
        if record.name != 0
            && is_found_by_name(record.kind)
            && let Some(head) = {
                let bucket = bucket_at(strings.from(record.name)) & (self.heads.len() - 1);
                self.heads.get_mut(bucket)
            }
        {
            link = std::mem::replace(head, id);
        }
        if matches!(record.kind, Kind::Enum | Kind::Enum64) {
            self.enums.push(id);
        }
        self.offsets.push(place);
        self.links.push(link);
        self.next = next;
        Some((TypeId(id), record))
    }

    /// Types taken in, `void` included.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.offsets.len()).unwrap_or(u32::MAX)
    }

    /// Where the type's record starts; `None` for `void` and what was not taken in.
    pub(super) fn offset(&self, id: TypeId) -> Option<u32> {
        if id == TypeId::VOID {
            return None;
        }
        self.offsets.get(id.0 as usize).copied()
    }

    /// Types taken in whose name may be `name`, the highest number first.
    pub(super) fn candidates(&self, name: &[u8]) -> impl Iterator<Item = TypeId> {
        let bucket = bucket_of(name) & (self.heads.len() - 1);
        let first = self.heads.get(bucket).copied().unwrap_or(0);
        // Links only lead to lower numbers, so that no chain is endless.
        std::iter::successors(Some(first), |at| self.links.get(*at as usize).copied())
            .take_while(|at| *at != 0)
            .map(TypeId)
    }

    /// Enums taken in.
    pub(super) fn enums(&self) -> impl Iterator<Item = TypeId> {
        self.enums.iter().copied().map(TypeId)
    }
}

/// Whether a script or a provider asks for such types by name.
fn is_found_by_name(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Int
            | Kind::Struct
            | Kind::Union
            | Kind::Enum
            | Kind::Enum64
            | Kind::Typedef
            | Kind::Function
            | Kind::Variable
            | Kind::Float
    )
}

/// The bucket of a name that stands alone.
fn bucket_of(name: &[u8]) -> usize {
    let mut hash = 0;
    let mut chunks = name.chunks_exact(8);
    for chunk in chunks.by_ref() {
        hash = mix(hash, word_of(chunk));
    }
    fold(mix(hash, word_of(chunks.remainder())))
}

/// The bucket of the name that `rest` begins with: the same number as [`bucket_of`], found
/// eight bytes at a time without looking for the end first. This loop is what indexing costs.
fn bucket_at(mut rest: &[u8]) -> usize {
    let mut hash = 0;
    while let Some((chunk, after)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        // The lowest bit set here is the top bit of the first zero byte.
        let zeros = word.wrapping_sub(0x0101_0101_0101_0101) & !word & 0x8080_8080_8080_8080;
        if zeros != 0 {
            let kept = zeros.trailing_zeros() & !7;
            return fold(mix(hash, word & !(u64::MAX << kept)));
        }
        hash = mix(hash, word);
        rest = after;
    }
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
    fold(mix(hash, word_of(rest.get(..end).unwrap_or(&[]))))
}

fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn fold(hash: u64) -> usize {
    (hash >> 48) as usize
}

/// At most eight bytes as a number, missing ones zero.
fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}
