//! Where a marker's arguments are, as the assembler wrote it down.
//!
//! Takes a note's text: `-4@%edi 8@-16(%rbp)` on x86-64, `-4@w0 8@[sp, 16]` on 64-bit Arm; gives
//! sizes, signs and places of the arguments. What it does not know (registers for floating-point
//! numbers) is a place that holds nothing.

use rbt_compiler::arch::Arch;
use rbt_compiler::vocabulary::{UserArgument, UserSource};

/// Where a symbol lies, counted from the marker: `None` if there is no such symbol.
pub(super) type Distance<'a> = &'a dyn Fn(&str) -> Option<i64>;

/// The arguments of a note.
pub(super) fn arguments(text: &str, arch: &Arch, distance: Distance<'_>) -> Vec<UserArgument> {
    split(text)
        .into_iter()
        .map(|text| argument(text, arch, distance))
        .collect()
}

/// Cuts the text where arguments part: at spaces, but not at those inside brackets.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(move |c: char| {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            _ => {}
        }
        depth <= 0 && c.is_ascii_whitespace()
    })
    .filter(|text| !text.is_empty())
    .collect()
}

fn argument(text: &str, arch: &Arch, distance: Distance<'_>) -> UserArgument {
    let (size, operand) = text.split_once('@').unwrap_or(("8", text));
    let (is_signed, digits) = match size.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, size),
    };
    let is_known = matches!(digits, "1" | "2" | "4" | "8");
    let source = match arch.name {
        _ if !is_known => None,
        "aarch64" => arm(operand, arch),
        _ => intel(operand, arch, distance),
    };
    UserArgument {
        size: digits.parse().ok().filter(|_| is_known).unwrap_or(8),
        is_signed,
        source: source.unwrap_or(UserSource::Unknown),
    }
}

/// An operand of x86-64: `%rax`, `$5`, `-8(%rbp)`, `name+4(%rip)`, `(%rax,%rbx,8)`.
fn intel(operand: &str, arch: &Arch, distance: Distance<'_>) -> Option<UserSource> {
    if let Some(number) = operand.strip_prefix('$') {
        return integer(number).map(UserSource::Constant);
    }
    if operand.starts_with('%') {
        let (register, shift) = intel_register(operand, arch)?;
        return Some(UserSource::Register { register, shift });
    }
    let Some((front, rest)) = operand.split_once('(') else {
        // Bare numbers are addresses.
        return Some(UserSource::Memory {
            base: None,
            index: None,
            displacement: integer(operand)?,
        });
    };
    let mut parts = rest.strip_suffix(')')?.split(',').map(str::trim);
    let mut register = || -> Option<Option<u32>> {
        match parts.next() {
            None | Some("") => Some(None),
            Some(name) => Some(Some(intel_register(name, arch)?.0)),
        }
    };
    let (base, index) = (register()?, register()?);
    let scale = match parts.next() {
        None | Some("") => 1,
        Some(scale) => scale.parse().ok()?,
    };
    let displacement = match (front, base) {
        ("", _) => 0,
        (front, base) if base == arch.register("ip") => from_here(front, distance)?,
        (front, _) => integer(front)?,
    };
    Some(UserSource::Memory {
        base,
        index: index.map(|register| (register, scale)),
        displacement,
    })
}

/// The distance of `name`, `name+4`, `4+name` or `4` from the marker.
fn from_here(text: &str, distance: Distance<'_>) -> Option<i64> {
    if let Some(number) = integer(text) {
        return Some(number);
    }
    let Some((at, sign)) = text
        .rfind(['+', '-'])
        .map(|at| (at, text.as_bytes().get(at)))
    else {
        return distance(text);
    };
    let (front, back) = (text.get(..at)?, text.get(at + 1..)?);
    match (integer(front), integer(back)) {
        (_, Some(offset)) if sign == Some(&b'-') => distance(front)?.checked_sub(offset),
        (_, Some(offset)) => distance(front)?.checked_add(offset),
        (Some(offset), None) => distance(back)?.checked_add(offset),
        (None, None) => distance(text),
    }
}

/// A register of x86-64 by any of its names: its place in the saved registers, and how far its
/// value has to be moved down (`%ah`).
fn intel_register(text: &str, arch: &Arch) -> Option<(u32, u8)> {
    let name = text.strip_prefix('%')?;
    if let Some(register) = arch.register(name) {
        return Some((register, 0));
    }
    if let Some(number) = name
        .strip_prefix('r')
        .map(|n| n.trim_end_matches(['d', 'w', 'b']))
        && number.bytes().all(|b| b.is_ascii_digit())
    {
        return Some((arch.register(&format!("r{number}"))?, 0));
    }
    let (short, shift) = match name {
        "ah" | "bh" | "ch" | "dh" => (format!("{}x", name.get(..1)?), 8),
        "al" | "bl" | "cl" | "dl" => (format!("{}x", name.get(..1)?), 0),
        "sil" | "dil" | "bpl" | "spl" => (name.get(..2)?.to_owned(), 0),
        _ => (name.strip_prefix(['r', 'e'])?.to_owned(), 0),
    };
    Some((arch.register(&short)?, shift))
}

/// An operand of 64-bit Arm: `x0`, `w0`, `5`, `[sp]`, `[x0, 16]`, `[x0, x1]`.
fn arm(operand: &str, arch: &Arch) -> Option<UserSource> {
    if let Some(number) = integer(operand.trim_start_matches('#')) {
        return Some(UserSource::Constant(number));
    }
    if let Some(inside) = operand.strip_prefix('[') {
        let mut parts = inside.strip_suffix(']')?.split(',').map(str::trim);
        let base = Some(arm_register(parts.next()?, arch)?);
        let (index, displacement) = match parts.next() {
            None => (None, 0),
            Some(text) => match integer(text.trim_start_matches('#')) {
                Some(number) => (None, number),
                None => (Some((arm_register(text, arch)?, 1)), 0),
            },
        };
        return Some(UserSource::Memory {
            base,
            index,
            displacement,
        });
    }
    let register = arm_register(operand, arch)?;
    Some(UserSource::Register { register, shift: 0 })
}

fn arm_register(name: &str, arch: &Arch) -> Option<u32> {
    match name.strip_prefix('w') {
        Some(number) => arch.register(&format!("x{number}")),
        None => arch.register(name),
    }
}

/// A number with an optional sign, decimal or hexadecimal.
fn integer(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()?,
        None => digits.parse::<u64>().ok()?,
    };
    let value = value.cast_signed();
    Some(if is_negative {
        value.wrapping_neg()
    } else {
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rbt_compiler::arch::{aarch64, x86_64};

    fn register(arch: &Arch, name: &str) -> u32 {
        arch.register(name).expect("a register")
    }

    #[test]
    fn operands_of_x86() {
        let arch = &x86_64::X86_64;
        let distance = |name: &str| (name == "table").then_some(0x100);
        let text = "-4@%edi 8@$-5 -2@-8(%rbp) 1@%ah 4@table+4(%rip) 8@8(%rax,%rbx,8) 8@%r10d \
                    8@(,%rcx,4) 4f@%xmm0";
        let found = arguments(text, arch, &distance);
        let memory =
            |base: Option<&str>, index: Option<(&str, u8)>, displacement| UserSource::Memory {
                base: base.map(|name| register(arch, name)),
                index: index.map(|(name, scale)| (register(arch, name), scale)),
                displacement,
            };
        let plain = |name: &str, shift| UserSource::Register {
            register: register(arch, name),
            shift,
        };
        let sources: Vec<UserSource> = found.iter().map(|a| a.source).collect();
        assert_eq!(
            sources,
            [
                plain("di", 0),
                UserSource::Constant(-5),
                memory(Some("bp"), None, -8),
                plain("ax", 8),
                memory(Some("ip"), None, 0x104),
                memory(Some("ax"), Some(("bx", 8)), 8),
                plain("r10", 0),
                memory(None, Some(("cx", 4)), 0),
                UserSource::Unknown,
            ]
        );
        let sizes: Vec<(u8, bool)> = found.iter().map(|a| (a.size, a.is_signed)).collect();
        assert_eq!(sizes[..4], [(4, true), (8, false), (2, true), (1, false)]);
    }

    #[test]
    fn operands_of_arm() {
        let arch = &aarch64::AARCH64;
        let found = arguments("-4@w0 8@[sp, 16] 8@x19 4@5 8@[x1]", arch, &|_| None);
        let sources: Vec<UserSource> = found.iter().map(|a| a.source).collect();
        let memory = |base: &str, displacement| UserSource::Memory {
            base: Some(register(arch, base)),
            index: None,
            displacement,
        };
        let plain = |name: &str| UserSource::Register {
            register: register(arch, name),
            shift: 0,
        };
        assert_eq!(
            sources,
            [
                plain("x0"),
                memory("sp", 16),
                plain("x19"),
                UserSource::Constant(5),
                memory("x1", 0),
            ]
        );
    }
}
