//! The IR as a listing: what `rbt -d ir` shows.
//!
//! Takes any program, correct or not; never fails. With the sources at hand, the line that
//! caused a group of instructions stands above it as a comment.

use super::inst::{
    Address, AluOp, AtomicOp, Base, Comparison, End, Function, InstKind, Operand, Program, Reg,
    Size, Width,
};
use rbt_grammar::{SourceMap, Span};
use std::fmt::Write;

/// The text of a program.
pub fn print(program: &Program, sources: Option<&SourceMap>) -> String {
    let mut out = String::new();
    for (i, function) in program.functions.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        print_function(function, sources, &mut out);
    }
    out
}

fn print_function(function: &Function, sources: Option<&SourceMap>, out: &mut String) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}({}):", function.name, list(&function.params, reg));
    for (i, slot) in function.slots.iter().enumerate() {
        let _ = writeln!(out, "    s{i}: {} bytes  ; {}", slot.size, slot.name);
    }
    let mut lines = Lines::new(sources);
    for (i, block) in function.blocks.iter().enumerate() {
        let _ = writeln!(out, "  b{i}:");
        for inst in &block.insts {
            lines.at(inst.span, "    ", out);
            let _ = writeln!(out, "    {}", inst_text(&inst.kind));
        }
        match &block.end {
            Some(end) => {
                lines.at(block.end_span, "    ", out);
                let _ = writeln!(out, "    {}", end_text(end));
            }
            None => out.push_str("    (not ended)\n"),
        }
    }
}

/// Writes the source line above the first instruction of each group that comes from it.
pub(crate) struct Lines<'a> {
    sources: Option<&'a SourceMap>,
    last: Option<(rbt_grammar::SourceId, u32)>,
}

impl<'a> Lines<'a> {
    /// Nothing written yet.
    pub(crate) fn new(sources: Option<&'a SourceMap>) -> Self {
        Lines {
            sources,
            last: None,
        }
    }

    /// The line of `span`, unless it was the last one written.
    pub(crate) fn at(&mut self, span: Span, indent: &str, out: &mut String) {
        let Some(source) = self.sources.and_then(|sources| sources.get(span.source)) else {
            return;
        };
        let line = source.position(span.start).line;
        if self.last == Some((span.source, line)) {
            return;
        }
        self.last = Some((span.source, line));
        let _ = writeln!(out, "{indent}; {}", source.line(line).trim());
    }
}

fn list<T: Copy>(items: &[T], text: fn(T) -> String) -> String {
    let texts: Vec<String> = items.iter().map(|item| text(*item)).collect();
    texts.join(", ")
}

fn reg(reg: Reg) -> String {
    format!("v{}", reg.0)
}

fn operand(operand: Operand) -> String {
    match operand {
        Operand::Reg(r) => reg(r),
        Operand::Imm(value) => number(value),
        Operand::Frame(slot, 0) => format!("&s{}", slot.0),
        Operand::Frame(slot, offset) => format!("&s{} + {offset}", slot.0),
        Operand::Map(map) => format!("map{}", map.0),
        Operand::Global(offset) => format!("&global + {offset}"),
        Operand::Function(function) => format!("&f{}", function.0),
        Operand::Site => String::from("site"),
        Operand::Variable(id) => format!("variable {id}"),
    }
}

/// Small numbers in decimal, others as addresses and masks are read.
fn number(value: i64) -> String {
    if (-65536..=65536).contains(&value) {
        value.to_string()
    } else {
        format!("{value:#x}")
    }
}

fn address(address: Address) -> String {
    let base = match address.base {
        Base::Reg(r) => reg(r),
        Base::Frame(slot) => format!("&s{}", slot.0),
    };
    match address.offset {
        0 => base,
        offset if offset < 0 => format!("{base} - {}", offset.unsigned_abs()),
        offset => format!("{base} + {offset}"),
    }
}

fn bits(size: Size) -> String {
    format!("u{}", 8 * size.bytes())
}

fn inst_text(kind: &InstKind) -> String {
    match kind {
        InstKind::Move { dst, src } => format!("{} = {}", reg(*dst), operand(*src)),
        InstKind::Truncate32 { dst, src } => format!("{} = (u32){}", reg(*dst), reg(*src)),
        InstKind::Alu {
            op,
            width,
            dst,
            left,
            right,
        } => format!(
            "{} = {} {}{} {}",
            reg(*dst),
            operand(*left),
            alu_text(*op),
            width_text(*width),
            operand(*right)
        ),
        InstKind::Negate { dst, src } => format!("{} = -{}", reg(*dst), reg(*src)),
        InstKind::SignExtend { dst, src, size } => {
            format!("{} = (i{}){}", reg(*dst), 8 * size.bytes(), reg(*src))
        }
        InstKind::ByteSwap { dst, src, size } => {
            format!("{} = swap{}({})", reg(*dst), 8 * size.bytes(), reg(*src))
        }
        InstKind::Load {
            dst,
            address: at,
            size,
        } => format!("{} = {}[{}]", reg(*dst), bits(*size), address(*at)),
        InstKind::Store {
            address: at,
            src,
            size,
        } => format!("{}[{}] = {}", bits(*size), address(*at), operand(*src)),
        InstKind::Atomic {
            op,
            size,
            address: at,
            src,
            fetched,
        } => format!(
            "{}atomic {}[{}] {} {}",
            result(*fetched),
            bits(*size),
            address(*at),
            atomic_text(*op),
            reg(*src)
        ),
        InstKind::CompareExchange {
            address: at,
            expected,
            src,
            fetched,
        } => format!(
            "{} = atomic u64[{}] if {} = {}",
            reg(*fetched),
            address(*at),
            reg(*expected),
            reg(*src)
        ),
        InstKind::Call {
            helper,
            args,
            result: to,
        } => format!("{}{}({})", result(*to), helper.name, list(args, operand)),
        InstKind::CallFunction {
            function,
            args,
            result: to,
        } => format!("{}f{}({})", result(*to), function.0, list(args, operand)),
        InstKind::Comment(text) => format!("; {text}"),
    }
}

fn result(to: Option<Reg>) -> String {
    to.map_or_else(String::new, |to| format!("{} = ", reg(to)))
}

fn end_text(end: &End) -> String {
    match end {
        End::Jump(label) => format!("goto b{}", label.0),
        End::Return(value) => format!("return {}", operand(*value)),
        End::Branch {
            comparison,
            width,
            left,
            right,
            then,
            otherwise,
        } => format!(
            "if {} {}{} {} goto b{} else b{}",
            operand(*left),
            comparison_text(*comparison),
            width_text(*width),
            operand(*right),
            then.0,
            otherwise.0
        ),
    }
}

fn width_text(width: Width) -> &'static str {
    match width {
        Width::W32 => ".32",
        Width::W64 => "",
    }
}

fn alu_text(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+",
        AluOp::Sub => "-",
        AluOp::Mul => "*",
        AluOp::Div => "/",
        AluOp::Mod => "%",
        AluOp::SignedDiv => "s/",
        AluOp::SignedMod => "s%",
        AluOp::And => "&",
        AluOp::Or => "|",
        AluOp::Xor => "^",
        AluOp::ShiftLeft => "<<",
        AluOp::ShiftRight => ">>",
        AluOp::ArithmeticShiftRight => "s>>",
    }
}

fn atomic_text(op: AtomicOp) -> &'static str {
    match op {
        AtomicOp::Add => "+=",
        AtomicOp::And => "&=",
        AtomicOp::Or => "|=",
        AtomicOp::Xor => "^=",
        AtomicOp::Exchange => "=",
    }
}

fn comparison_text(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "==",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterEqual => ">=",
        Comparison::SignedLess => "s<",
        Comparison::SignedLessEqual => "s<=",
        Comparison::SignedGreater => "s>",
        Comparison::SignedGreaterEqual => "s>=",
        Comparison::Set => "&",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::MapId;
    use crate::ir::{Block, Inst, Label, Slot, SlotId, helpers};

    #[test]
    fn a_listing_names_everything_and_quotes_the_source() {
        let mut sources = SourceMap::new();
        let id = sources.add("a.bt", "BEGIN {\n  @x = pid;\n}\n");
        let (first, second) = (Span::new(id, 0, 5), Span::new(id, 10, 18));
        let inst = |kind| Inst { kind, span: second };
        let slot = Slot {
            size: 8,
            name: String::from("key"),
            span: second,
        };
        let program = Program {
            functions: vec![Function {
                name: String::from("BEGIN_1"),
                params: vec![Reg(0)],
                blocks: vec![
                    Block {
                        insts: vec![
                            inst(InstKind::Comment(String::from("the key"))),
                            inst(InstKind::Store {
                                address: Address::frame(SlotId(0)),
                                src: Operand::Imm(-1),
                                size: Size::B8,
                            }),
                            inst(InstKind::Call {
                                helper: helpers::MAP_LOOKUP_ELEM,
                                args: vec![Operand::Map(MapId(2)), Operand::Frame(SlotId(0), 0)],
                                result: Some(Reg(1)),
                            }),
                            inst(InstKind::Alu {
                                op: AluOp::Add,
                                width: Width::W32,
                                dst: Reg(2),
                                left: Operand::Reg(Reg(1)),
                                right: Operand::Imm(0x1_0000_0000),
                            }),
                            inst(InstKind::Load {
                                dst: Reg(1),
                                address: Address::reg(Reg(0)).plus(-8),
                                size: Size::B2,
                            }),
                        ],
                        end: Some(End::Branch {
                            comparison: Comparison::SignedLess,
                            width: Width::W64,
                            left: Operand::Reg(Reg(2)),
                            right: Operand::Imm(3),
                            then: Label(0),
                            otherwise: Label(1),
                        }),
                        end_span: second,
                    },
                    Block {
                        insts: vec![],
                        end: Some(End::Return(Operand::Imm(0))),
                        end_span: first,
                    },
                ],
                registers: 3,
                slots: vec![slot],
                span: first,
            }],
        };
        let expected = "\
BEGIN_1(v0):
    s0: 8 bytes  ; key
  b0:
    ; @x = pid;
    ; the key
    u64[&s0] = -1
    v1 = map_lookup_elem(map2, &s0)
    v2 = v1 +.32 0x100000000
    v1 = u16[v0 - 8]
    if v2 s< 3 goto b0 else b1
  b1:
    ; BEGIN {
    return 0
";
        assert_eq!(print(&program, Some(&sources)), expected);
    }
}
