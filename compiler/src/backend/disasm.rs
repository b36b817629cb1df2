//! Instructions as text, in the manner of `llvm-objdump`.
//!
//! Takes encoded functions or raw bytes; gives what `rbt -d asm` shows and what stands beside
//! a rejection by the kernel. Never fails: what is no instruction is shown as its bytes.

use super::opcode as op;
use super::{Code, Insn, RelocationTarget};
use crate::artifact::MapId;
use crate::ir::{Lines, helpers};
use rbt_grammar::SourceMap;
use std::fmt::Write;

/// The listing of a program's functions.
///
/// `map_name` names a map; with the sources at hand, the line that caused a group of
/// instructions stands above it.
pub fn listing(
    codes: &[Code],
    map_name: &dyn Fn(MapId) -> Option<String>,
    sources: Option<&SourceMap>,
) -> String {
    let mut out = String::new();
    for (i, code) in codes.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        // Writing to a string does not fail.
        let _ = writeln!(out, "{}:", code.name);
        let mut lines = Lines::new(sources);
        let mut at = 0;
        while let Some(insn) = code.insns.get(at) {
            if let Some(span) = code.spans.get(at) {
                lines.at(*span, "", &mut out);
            }
            let text = match target(code, at) {
                Some(target) => relocated(*insn, target, codes, map_name),
                None if is_site(code, at) => format!("r{} = site ll", insn.dst),
                None => insn_text(*insn, code.insns.get(at + 1).copied()),
            };
            let _ = writeln!(out, "{at:8}: {text}");
            at += insn.slots();
        }
    }
    out
}

fn target(code: &Code, at: usize) -> Option<RelocationTarget> {
    // Relocations stand in order.
    let found = code
        .relocations
        .binary_search_by_key(&at, |relocation| relocation.insn as usize);
    let index = found.ok()?;
    Some(code.relocations.get(index)?.target)
}

fn is_site(code: &Code, at: usize) -> bool {
    code.site_patches.iter().any(|patch| *patch as usize == at)
}

fn relocated(
    insn: Insn,
    target: RelocationTarget,
    codes: &[Code],
    map_name: &dyn Fn(MapId) -> Option<String>,
) -> String {
    let dst = insn.dst;
    let function = |number: u32| {
        let code = codes.get(number as usize);
        code.map_or_else(|| format!("function {number}"), |code| code.name.clone())
    };
    match target {
        RelocationTarget::Map(map) => {
            let name = map_name(map).unwrap_or_else(|| map.0.to_string());
            format!("r{dst} = map[{name}] ll")
        }
        RelocationTarget::Global(offset) => format!("r{dst} = global[{offset}] ll"),
        RelocationTarget::FunctionAddress(number) => {
            format!("r{dst} = function[{}] ll", function(number))
        }
        RelocationTarget::Call(number) => format!("call {}", function(number)),
    }
}

/// Raw instructions, one line each, numbered.
pub fn raw(bytes: &[u8]) -> String {
    let insns: Vec<Insn> = bytes
        .chunks_exact(8)
        .filter_map(|chunk| <[u8; 8]>::try_from(chunk).ok())
        .map(Insn::from_bytes)
        .collect();
    let mut out = String::new();
    let mut at = 0;
    while let Some(insn) = insns.get(at) {
        let text = insn_text(*insn, insns.get(at + 1).copied());
        let _ = writeln!(out, "{at:8}: {text}");
        at += insn.slots();
    }
    out
}

/// One instruction; `next` is the second half of an `ld_imm64`.
pub fn insn_text(insn: Insn, next: Option<Insn>) -> String {
    let known = match insn.code & op::CLASS {
        op::ALU | op::ALU64 => arithmetic(insn),
        op::JMP | op::JMP32 => jump(insn),
        op::LDX => load(insn),
        op::ST | op::STX => store(insn),
        _ if insn.code == op::LD_IMM64 => next.map(|next| wide(insn, next)),
        _ => None,
    };
    known.unwrap_or_else(|| {
        let bytes: Vec<String> = insn.to_bytes().iter().map(|b| format!("{b:02x}")).collect();
        format!("<unknown> {}", bytes.join(" "))
    })
}

fn wide(insn: Insn, next: Insn) -> String {
    let value = u64::from(next.imm.cast_unsigned()) << 32 | u64::from(insn.imm.cast_unsigned());
    match insn.src {
        0 => format!("r{} = {value:#x} ll", insn.dst),
        1 => format!("r{} = map_fd[{}] ll", insn.dst, insn.imm),
        2 => format!("r{} = map_fd[{}] + {} ll", insn.dst, insn.imm, next.imm),
        4 => format!("r{} = function[{:+}] ll", insn.dst, insn.imm),
        src => format!("r{} = {value:#x} ll ({src})", insn.dst),
    }
}

fn arithmetic(insn: Insn) -> Option<String> {
    let is_wide = insn.code & op::CLASS == op::ALU64;
    let letter = if is_wide { 'r' } else { 'w' };
    let dst = format!("{letter}{}", insn.dst);
    let right = if insn.code & op::X != 0 {
        format!("{letter}{}", insn.src)
    } else {
        insn.imm.to_string()
    };
    let sign = match (insn.code & op::OP, insn.off) {
        (op::DIV | op::MOD, 1) => "s",
        (op::MOV, 8 | 16 | 32) => return Some(format!("{dst} = (s{}){right}", insn.off)),
        (_, 0) => "",
        _ => return None,
    };
    let symbol = match insn.code & op::OP {
        op::ADD => "+=",
        op::SUB => "-=",
        op::MUL => "*=",
        op::DIV => "/=",
        op::OR => "|=",
        op::AND => "&=",
        op::LSH => "<<=",
        op::RSH => ">>=",
        op::MOD => "%=",
        op::XOR => "^=",
        op::MOV => "=",
        op::ARSH => "s>>=",
        op::NEG => return Some(format!("{dst} = -{dst}")),
        op::END => return swap(insn, is_wide),
        _ => return None,
    };
    Some(format!("{dst} {sign}{symbol} {right}"))
}

fn swap(insn: Insn, is_wide: bool) -> Option<String> {
    let kind = match (is_wide, insn.code & op::X) {
        (true, _) => "bswap",
        (false, 0) => "le",
        (false, _) => "be",
    };
    let is_size = matches!(insn.imm, 16 | 32 | 64);
    is_size.then(|| format!("r{0} = {kind}{1} r{0}", insn.dst, insn.imm))
}

fn jump(insn: Insn) -> Option<String> {
    let is_wide = insn.code & op::CLASS == op::JMP;
    let symbol = match insn.code & op::OP {
        op::JA if is_wide => return Some(format!("goto {:+}", insn.off)),
        op::JA => return Some(format!("gotol {:+}", insn.imm)),
        op::CALL => return call(insn),
        op::EXIT => return Some(String::from("exit")),
        op::JEQ => "==",
        op::JGT => ">",
        op::JGE => ">=",
        op::JSET => "&",
        op::JNE => "!=",
        op::JSGT => "s>",
        op::JSGE => "s>=",
        op::JLT => "<",
        op::JLE => "<=",
        op::JSLT => "s<",
        op::JSLE => "s<=",
        _ => return None,
    };
    let letter = if is_wide { 'r' } else { 'w' };
    let right = if insn.code & op::X != 0 {
        format!("{letter}{}", insn.src)
    } else {
        insn.imm.to_string()
    };
    let dst = insn.dst;
    Some(format!(
        "if {letter}{dst} {symbol} {right} goto {:+}",
        insn.off
    ))
}

fn call(insn: Insn) -> Option<String> {
    match insn.src {
        0 => {
            let number = insn.imm.cast_unsigned();
            let found = helpers::TABLE.iter().find(|helper| helper.number == number);
            let name = found.map_or("helper", |helper| helper.name);
            Some(format!("call bpf_{name}#{number}"))
        }
        op::PSEUDO_CALL => Some(format!("call {:+}", insn.imm)),
        2 => Some(format!("call kernel-function#{}", insn.imm)),
        _ => None,
    }
}

fn type_name(insn: Insn, letter: char) -> String {
    let bits = match insn.code & op::SIZE {
        op::W => 32,
        op::H => 16,
        op::B => 8,
        _ => 64,
    };
    format!("{letter}{bits}")
}

fn address(insn: Insn, base: u8, letter: char) -> String {
    let sign = if insn.off < 0 { '-' } else { '+' };
    let distance = insn.off.unsigned_abs();
    format!("({} *)(r{base} {sign} {distance})", type_name(insn, letter))
}

fn load(insn: Insn) -> Option<String> {
    let letter = match insn.code & op::MODE {
        op::MEM => 'u',
        op::MEMSX => 's',
        _ => return None,
    };
    Some(format!(
        "r{} = *{}",
        insn.dst,
        address(insn, insn.src, letter)
    ))
}

fn store(insn: Insn) -> Option<String> {
    let at = address(insn, insn.dst, 'u');
    let is_reg = insn.code & op::CLASS == op::STX;
    match insn.code & op::MODE {
        op::MEM if is_reg => Some(format!("*{at} = r{}", insn.src)),
        op::MEM => Some(format!("*{at} = {}", insn.imm)),
        op::ATOMIC if is_reg => atomic(insn, &at),
        _ => None,
    }
}

fn atomic(insn: Insn, at: &str) -> Option<String> {
    let src = insn.src;
    match insn.imm {
        op::XCHG => return Some(format!("r{src} = xchg({at}, r{src})")),
        op::CMPXCHG => return Some(format!("r0 = cmpxchg({at}, r0, r{src})")),
        _ => {}
    }
    let bits = u8::try_from(insn.imm & !op::FETCH).ok()?;
    let (symbol, name) = match bits {
        op::ADD => ("+=", "add"),
        op::OR => ("|=", "or"),
        op::AND => ("&=", "and"),
        op::XOR => ("^=", "xor"),
        _ => return None,
    };
    Some(if insn.imm & op::FETCH == 0 {
        format!("lock *{at} {symbol} r{src}")
    } else {
        format!("r{src} = atomic_fetch_{name}({at}, r{src})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Relocation;

    fn text(bytes: [u8; 8]) -> String {
        insn_text(Insn::from_bytes(bytes), None)
    }

    /// Bytes as `llvm-mc` and the kernel's headers give them.
    #[test]
    fn each_kind_of_instruction_has_its_text() {
        let known: [([u8; 8], &str); 26] = [
            ([0xbf, 0x16, 0, 0, 0, 0, 0, 0], "r6 = r1"),
            ([0xb7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], "r0 = -1"),
            ([0xbc, 0x21, 0, 0, 0, 0, 0, 0], "w1 = w2"),
            ([0xbf, 0x21, 8, 0, 0, 0, 0, 0], "r1 = (s8)r2"),
            ([0x07, 0x02, 0, 0, 0xf8, 0xff, 0xff, 0xff], "r2 += -8"),
            ([0x3f, 0x21, 0, 0, 0, 0, 0, 0], "r1 /= r2"),
            ([0x3f, 0x21, 1, 0, 0, 0, 0, 0], "r1 s/= r2"),
            ([0xc7, 0x03, 0, 0, 0x20, 0, 0, 0], "r3 s>>= 32"),
            ([0x87, 0x01, 0, 0, 0, 0, 0, 0], "r1 = -r1"),
            ([0xdc, 0x01, 0, 0, 0x10, 0, 0, 0], "r1 = be16 r1"),
            ([0x79, 0x21, 8, 0, 0, 0, 0, 0], "r1 = *(u64 *)(r2 + 8)"),
            ([0x71, 0x21, 0xff, 0xff, 0, 0, 0, 0], "r1 = *(u8 *)(r2 - 1)"),
            (
                [0x7b, 0x1a, 0xf8, 0xff, 0, 0, 0, 0],
                "*(u64 *)(r10 - 8) = r1",
            ),
            (
                [0x62, 0x0a, 0xfc, 0xff, 7, 0, 0, 0],
                "*(u32 *)(r10 - 4) = 7",
            ),
            (
                [0xdb, 0x21, 0, 0, 0, 0, 0, 0],
                "lock *(u64 *)(r1 + 0) += r2",
            ),
            (
                [0xdb, 0x21, 0, 0, 1, 0, 0, 0],
                "r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)",
            ),
            (
                [0xc3, 0x21, 0, 0, 0xe1, 0, 0, 0],
                "r2 = xchg((u32 *)(r1 + 0), r2)",
            ),
            (
                [0xdb, 0x21, 0, 0, 0xf1, 0, 0, 0],
                "r0 = cmpxchg((u64 *)(r1 + 0), r0, r2)",
            ),
            ([0x15, 0x01, 5, 0, 0, 0, 0, 0], "if r1 == 0 goto +5"),
            ([0x2d, 0x21, 0xfe, 0xff, 0, 0, 0, 0], "if r1 > r2 goto -2"),
            ([0xc6, 0x01, 1, 0, 9, 0, 0, 0], "if w1 s< 9 goto +1"),
            ([0x05, 0, 3, 0, 0, 0, 0, 0], "goto +3"),
            ([0x06, 0, 0, 0, 0, 0, 1, 0], "gotol +65536"),
            ([0x85, 0, 0, 0, 1, 0, 0, 0], "call bpf_map_lookup_elem#1"),
            ([0x95, 0, 0, 0, 0, 0, 0, 0], "exit"),
            (
                [0xff, 1, 2, 3, 4, 5, 6, 7],
                "<unknown> ff 01 02 03 04 05 06 07",
            ),
        ];
        for (bytes, expected) in known {
            assert_eq!(text(bytes), expected);
            assert_eq!(Insn::from_bytes(bytes).to_bytes(), bytes);
        }
    }

    #[test]
    fn a_listing_names_maps_and_quotes_the_source() {
        let mut sources = SourceMap::new();
        let id = sources.add("a.bt", "BEGIN\n{ @++ }\n");
        let span = rbt_grammar::Span::new(id, 8, 11);
        let insns = [
            [0x18, 0x01, 0, 0, 0, 0, 0, 0],
            [0; 8],
            [0x85, 0, 0, 0, 1, 0, 0, 0],
            [0x18, 0x02, 0, 0, 0, 0, 0, 0],
            [0; 8],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
        ];
        let code = Code {
            name: String::from("BEGIN_1"),
            insns: insns.map(Insn::from_bytes).to_vec(),
            relocations: vec![Relocation {
                insn: 0,
                target: RelocationTarget::Map(MapId(3)),
            }],
            spans: vec![span; 6],
            site_patches: vec![3],
            frame: 0,
        };
        let name = |map: MapId| Some(format!("AT_{}", map.0));
        let expected = "\
BEGIN_1:
; { @++ }
       0: r1 = map[AT_3] ll
       2: call bpf_map_lookup_elem#1
       3: r2 = site ll
       5: exit
";
        assert_eq!(listing(&[code], &name, Some(&sources)), expected);
    }

    #[test]
    fn raw_bytes_are_numbered_by_slot() {
        let bytes: Vec<u8> = [
            [0x18, 0x01, 0, 0, 2, 0, 0, 0],
            [0, 0, 0, 0, 1, 0, 0, 0],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(
            raw(&bytes),
            "       0: r1 = 0x100000002 ll\n       2: exit\n"
        );
    }
}
