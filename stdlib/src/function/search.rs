//! Texts looked into and put together; memory compared byte by byte.

use super::text::all_as_texts;
use crate::word::word;
use rbt_compiler::artifact::Param;
use rbt_compiler::hir::{self, ExprKind};
use rbt_compiler::ir::{Address, AluOp, Comparison, Operand, Size};
use rbt_compiler::lower::Builder;
use rbt_compiler::pass::check::Check;
use rbt_compiler::types::{I32, Type};
use rbt_compiler::vocabulary::Function;

word! {
    /// `strstr`
    Strstr = "strstr" {
        usage: ["strstr(text, part) -> int32"],
        summary: "Where a text first stands in another; negative if it does not.",
        details: "Indexes start at 0; an empty text stands at the start of every one. On kernels \
                  before 5.17, which have no bpf_loop, 1024 steps of the search are made.",
        examples: ["BEGIN { if (strstr(comm, \"sh\") >= 0) { print(\"a shell\"); } }"],
        kernel: "",
    }
}

word! {
    /// `strcontains`
    Strcontains = "strcontains" {
        usage: ["strcontains(text, part) -> bool"],
        summary: "Whether a text stands anywhere in another.",
        details: "Every text contains the empty one. On kernels before 5.17, which have no \
                  bpf_loop, 1024 steps of the search are made.",
        examples: ["tracepoint:syscalls:sys_enter_openat { if (strcontains(str(args.filename), \"etc\")) { print(comm); } }"],
        kernel: "",
    }
}

/// Where `part` first stands in `text`, both known.
fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    let text = until_nul(text);
    let part = until_nul(part);
    (0..=text.len()).find(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(part)))
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or(text)
}

fn find(call: &hir::Call, b: &mut Builder<'_>) -> Operand {
    match call.arguments.as_slice() {
        [text, part] => b.find_text(text, part),
        _ => Operand::Imm(0),
    }
}

fn fold_position(call: &hir::Call) -> Option<Option<usize>> {
    match call.arguments.as_slice() {
        [text, part] => Some(position(text.as_str()?, part.as_str()?)),
        _ => None,
    }
}

impl Function for Strstr {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        all_as_texts(call, cx);
        I32
    }

    fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        let at = match fold_position(call)? {
            Some(at) => i64::try_from(at).ok()?,
            None => rbt_compiler::lower::NOT_FOUND,
        };
        Some(ExprKind::Int(at))
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        find(call, b)
    }
}

impl Function for Strcontains {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        all_as_texts(call, cx);
        Type::Bool
    }

    fn fold(&self, call: &hir::Call, _: &mut Check<'_, '_>) -> Option<ExprKind> {
        let found = fold_position(call)?;
        Some(ExprKind::Int(i64::from(found.is_some())))
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let at = find(call, b);
        b.select(Comparison::SignedGreaterEqual, at, 0, 1, 0)
    }
}

word! {
    /// `str_concat`
    StrConcat = "str_concat" {
        usage: ["str_concat(first, second) -> string"],
        summary: "One text after another.",
        details: "Cut to as many bytes as the configuration variable `max_strlen` says.",
        examples: ["BEGIN { print(str_concat(\"I am \", comm)); }"],
        kernel: "",
    }
}

impl Function for StrConcat {
    fn arity(&self) -> (usize, usize) {
        (2, 2)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        all_as_texts(call, cx);
        let most = u32::try_from(cx.config.max_strlen).unwrap_or(u32::MAX);
        Type::Str(most.max(1))
    }

    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        if let [first, second] = call.arguments.as_slice() {
            b.join_texts(to, call.ty.size(), first, second);
        }
    }
}

word! {
    /// `memcmp`
    Memcmp = "memcmp" {
        usage: ["memcmp(a, b, count) -> int32"],
        summary: "How the first bytes of two values differ: negative, 0 or positive.",
        details: "The first byte that differs decides: the result is the difference of the two. \
                  The count is a literal no larger than either value. Pointers are compared \
                  themselves, not what they point to: that is `buf(p, count)`.",
        examples: ["BEGIN { print(memcmp(\"abc\", \"abd\", 3)); }"],
        kernel: "",
    }
}

impl Function for Memcmp {
    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type {
        let Some(count) = call.arguments.pop() else {
            return I32;
        };
        for value in &call.arguments {
            if matches!(value.ty, Type::Void | Type::Aggregate(_)) {
                let message = format!("memcmp() can not compare values of type '{}'", value.ty);
                cx.complain(message, value.span, "this has no bytes of its own", "");
            }
        }
        let Some(bytes) = cx.literal_int(&count, "memcmp") else {
            return I32;
        };
        let is_absorbing = call.arguments.iter().any(|a| a.ty.is_absorbing());
        let room = call
            .arguments
            .iter()
            .map(|a| a.ty.size())
            .min()
            .unwrap_or(0);
        if !is_absorbing && !(0..=i64::from(room)).contains(&bytes) {
            let message = format!("memcmp() can not compare {bytes} bytes of these values");
            let here = format!("the smaller one has {room} bytes");
            cx.complain(message, count.span, &here, "give a literal from 0 to that");
        }
        call.params.push(Param::Int(bytes));
        I32
    }

    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let [left, right] = call.arguments.as_slice() else {
            return Operand::Imm(0);
        };
        let count = match call.params.first() {
            Some(Param::Int(count)) => i32::try_from(*count).unwrap_or(0),
            _ => 0,
        };
        let left = place(left, b);
        let right = place(right, b);
        let difference = b.copy(0);
        compare(b, (left, right), difference.into(), 0, count);
        difference.into()
    }
}

/// Where a value's bytes are.
fn place(value: &hir::Expr, b: &mut Builder<'_>) -> Address {
    if value.ty.is_scalar() {
        let to = b.temporary(8, "a value that is compared");
        b.store(value, to);
        return to;
    }
    b.address(value)
}

/// Sets `difference` by the first byte from `at` on that differs.
fn compare(
    b: &mut Builder<'_>,
    places: (Address, Address),
    difference: Operand,
    at: i32,
    count: i32,
) {
    let Operand::Reg(result) = difference else {
        return;
    };
    // The last difference that is found is the first one of the texts.
    for at in (at..count).rev() {
        let left = b.load(places.0.plus(at), Size::B1);
        let right = b.load(places.1.plus(at), Size::B1);
        b.when(Comparison::NotEqual, left, right, |b| {
            let value = b.alu(AluOp::Sub, left, right);
            b.set(result, value);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_up_to_their_nul() {
        assert_eq!(position(b"hello", b"lo"), Some(3));
        assert_eq!(position(b"hello", b""), Some(0));
        assert_eq!(position(b"", b""), Some(0));
        assert_eq!(position(b"he\0llo", b"l"), None);
        assert_eq!(position(b"aab", b"ab\0c"), Some(1));
    }
}
