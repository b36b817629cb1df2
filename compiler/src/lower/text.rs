//! Texts: those that travel as numbers spelled out; comparing values in memory.

use super::memory::{common_pieces, pieces};
use super::{Builder, MaybeNull};
use crate::artifact::{MapId, MapKind, MapRole, MapSchema, Storage};
use crate::hir::Expr;
use crate::ir::{Address, AluOp, Comparison, Label, Operand, Size, helpers};
use crate::types::{Type, layout};
use rbt_grammar::Span;

impl Builder<'_> {
    /// Writes the text of a number, zeros behind it, `size` bytes in all.
    pub(super) fn spell_out(
        &mut self,
        number: impl Into<Operand>,
        ty: &Type,
        to: Address,
        size: u32,
    ) {
        let width = ty.spelled_out().map_or(0, |ty| ty.size());
        let map = self.texts_by_number(*ty == Type::Site, width);
        let key = self.temporary(8, "the number of a text");
        self.put(key, number, Size::B8);
        let key = self.pointer(key);
        let found = self.call(helpers::MAP_LOOKUP_ELEM, &[Operand::Map(map), key]);
        let kept = width.min(size);
        self.if_some_else(
            MaybeNull::new(found),
            |b, from| b.copy_bytes(to, from, kept),
            |b| b.zero(to, kept),
        );
        let rest = to.plus(i32::try_from(kept).unwrap_or(i32::MAX));
        self.zero(rest, size - kept);
    }

    /// The map of the texts that programs need the bytes of; made when first asked for.
    fn texts_by_number(&mut self, of_sites: bool, width: u32) -> MapId {
        let role = MapRole::Texts { of_sites };
        let mut known = (0..).map(MapId).zip(&self.manifest.maps);
        if let Some((id, _)) = known.find(|(_, map)| map.role == role) {
            return id;
        }
        let id = MapId(u32::try_from(self.manifest.maps.len()).unwrap_or(u32::MAX));
        let name = if of_sites { "site_texts" } else { "texts" };
        self.manifest.maps.push(MapSchema {
            name: name.to_owned(),
            symbol: name.to_owned(),
            storage: Storage::Map {
                kind: MapKind::Array,
                key_size: 4,
                value_size: width,
                // As many as there are in the end.
                max_entries: 1,
                flags: 0,
            },
            role,
            is_kept: false,
            span: Span::default(),
        });
        id
    }

    /// 1 if two values in memory are equal (or are not, if `is_equal` is false), else 0.
    pub(super) fn compare_memory(&mut self, is_equal: bool, left: &Expr, right: &Expr) -> Operand {
        let differ = self.f.label();
        let done = self.f.label();
        let result = self.copy(i64::from(!is_equal));
        let verdict = i64::from(is_equal);
        match (left.as_str(), right.as_str()) {
            (None, Some(text)) => self.text_differs(left, text, differ),
            (Some(text), None) => self.text_differs(right, text, differ),
            _ => {
                let first = self.address(left);
                let second = self.address(right);
                self.differs(first, &left.ty, second, &right.ty, differ);
            }
        }
        self.f.set(result, Operand::Imm(verdict));
        self.f.jump(done);
        self.f.at(differ);
        self.f.jump(done);
        self.f.at(done);
        Operand::Reg(result)
    }

    /// 1 if the text that a number of the manifest stands for is the literal (or is not, if
    /// `is_equal` is false), else 0: whether the number is one of those with that text.
    pub(super) fn is_numbered(&mut self, is_equal: bool, number: &Expr, text: &[u8]) -> Operand {
        let value = self.value(number);
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let matching: Vec<bool> = match number.ty {
            Type::Site => {
                let sites = self.manifest.sites.iter();
                sites.map(|site| site.text.as_bytes() == text).collect()
            }
            _ => {
                let texts = self.manifest.texts.iter();
                texts.map(|known| known.as_bytes() == text).collect()
            }
        };
        let result = self.copy(i64::from(!is_equal));
        let mut at = 0;
        for run in matching.chunk_by(|a, b| a == b) {
            let count = i64::try_from(run.len()).unwrap_or(i64::MAX);
            if run.first() == Some(&true) {
                let distance = self.alu(AluOp::Sub, value, at);
                self.when(Comparison::Less, distance, count, |b| {
                    b.set(result, i64::from(is_equal));
                });
            }
            at += count;
        }
        Operand::Reg(result)
    }

    /// Goes to `differ` if the text of `expr` is not the literal.
    fn text_differs(&mut self, expr: &Expr, text: &[u8], differ: Label) {
        let text: Vec<u8> = text.iter().copied().take_while(|b| *b != 0).collect();
        let capacity = expr.ty.size() as usize;
        if text.len() > capacity {
            self.f.jump(differ);
            let after = self.f.label();
            self.f.at(after);
            return;
        }
        let from = self.address(expr);
        // With its NUL, unless the text fills all there is.
        let mut bytes = text;
        if bytes.len() < capacity {
            bytes.push(0);
        }
        let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        for (at, size) in pieces(from.offset, count) {
            let start = usize::try_from(at).unwrap_or(usize::MAX);
            let mut word = [0; 8];
            let part = bytes.iter().skip(start).take(size.bytes() as usize);
            for (to, from) in word.iter_mut().zip(part) {
                *to = *from;
            }
            let value = self.load(from.plus(at), size);
            self.differ_if_not_equal(value.into(), Operand::Imm(i64::from_le_bytes(word)), differ);
        }
    }

    fn differ_if_not_equal(&mut self, left: Operand, right: Operand, differ: Label) {
        let same = self.f.label();
        self.f
            .branch(Comparison::NotEqual, left, right, differ, same);
        self.f.at(same);
    }

    /// Goes to `differ` if two values are not equal; they have one shape, but texts may
    /// differ in capacity.
    fn differs(
        &mut self,
        first: Address,
        first_ty: &Type,
        second: Address,
        second_ty: &Type,
        differ: Label,
    ) {
        if let (Some(lefts), Some(rights)) = (first_ty.elements(), second_ty.elements()) {
            let left_places = layout(lefts.iter().copied());
            let right_places = layout(rights.iter().copied());
            let places = left_places.offsets.iter().zip(&right_places.offsets);
            for ((left, right), (at, other)) in lefts.iter().zip(&rights).zip(places) {
                let at = first.plus(i32::try_from(*at).unwrap_or(i32::MAX));
                let other = second.plus(i32::try_from(*other).unwrap_or(i32::MAX));
                self.differs(at, left, other, right, differ);
            }
            return;
        }
        if first_ty.is_scalar() && second_ty.is_scalar() {
            let left = self.load_scalar(first, first_ty);
            let right = self.load_scalar(second, second_ty);
            self.differ_if_not_equal(left, right, differ);
            return;
        }
        let common = first_ty.size().min(second_ty.size());
        let longer = match first_ty.size().cmp(&second_ty.size()) {
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Less => Some(second),
            std::cmp::Ordering::Greater => Some(first),
        };
        for (at, size) in common_pieces(first.offset, second.offset, common) {
            let left = self.load(first.plus(at), size);
            let right = self.load(second.plus(at), size);
            self.differ_if_not_equal(left.into(), right.into(), differ);
        }
        if let Some(longer) = longer {
            // Zeros follow a text, so this is zero unless the longer one goes on.
            let offset = i32::try_from(common).unwrap_or(i32::MAX);
            let next = self.load(longer.plus(offset), Size::B1);
            self.differ_if_not_equal(next.into(), Operand::Imm(0), differ);
        }
    }
}
