//! What the machine does with instructions: a small interpreter, written from RFC 9669 and
//! knowing nothing of the encoder. It is strict: what the kernel's verifier would refuse
//! (misaligned frame accesses, constant shifts too far, writes to `r10`) is a failed test.

use super::memory::{self, World};
use crate::backend::{Code, Insn, RelocationTarget};

pub(super) struct Machine<'a> {
    codes: &'a [Code],
    pub(super) world: World,
    junk: u64,
}

impl<'a> Machine<'a> {
    pub(super) fn new(codes: &'a [Code]) -> Self {
        Machine {
            codes,
            world: World::new(),
            junk: 0xbad0_0000_0000_0000,
        }
    }

    fn junk(&mut self) -> u64 {
        self.junk = self.junk.wrapping_add(0x0000_1357_9bdf_2468);
        self.junk
    }

    /// Runs a function with those arguments.
    pub(super) fn run(&mut self, function: usize, args: &[u64]) -> u64 {
        let code = &self.codes[function];
        let mut regs = [0u64; 11];
        for reg in &mut regs {
            *reg = self.junk();
        }
        regs[1..=args.len()].copy_from_slice(args);
        let frame = self.world.memory.add(512);
        regs[10] = frame + 512;
        let mut pc = 0usize;
        loop {
            self.world.fuel = self.world.fuel.checked_sub(1).expect("the program ends");
            let insn = code.insns[pc];
            assert!(insn.dst <= 10 && insn.src <= 10);
            let class = insn.code & 7;
            let is_write = matches!(class, 0 | 1 | 4 | 7);
            assert!(!(is_write && insn.dst == 10), "r10 is read-only: {insn:?}");
            pc += 1;
            match class {
                4 | 7 => {
                    let old = regs[insn.dst as usize];
                    regs[insn.dst as usize] = arithmetic(insn, old, regs[insn.src as usize]);
                }
                0 => {
                    assert_eq!(insn.code, 0x18, "{insn:?}");
                    let high = code.insns[pc];
                    assert_eq!((high.code, high.dst, high.src, high.off), (0, 0, 0, 0));
                    let value = u64::from(insn.imm as u32) | u64::from(high.imm as u32) << 32;
                    regs[insn.dst as usize] = value + relocated(code, pc - 1);
                    pc += 1;
                }
                1 => {
                    assert_eq!(insn.code & 0xe0, 0x60, "{insn:?}");
                    let at = address(regs[insn.src as usize], insn, insn.src);
                    regs[insn.dst as usize] = self.world.memory.read(at, width(insn));
                }
                2 => {
                    let at = address(regs[insn.dst as usize], insn, insn.dst);
                    let value = i64::from(insn.imm).cast_unsigned();
                    self.world.memory.write(at, width(insn), value);
                }
                3 if insn.code & 0xe0 == 0xc0 => self.atomic(insn, &mut regs),
                3 => {
                    let at = address(regs[insn.dst as usize], insn, insn.dst);
                    let value = regs[insn.src as usize];
                    self.world.memory.write(at, width(insn), value);
                }
                _ => match insn.code {
                    0x05 => pc = jump(pc, i64::from(insn.off)),
                    0x06 => pc = jump(pc, i64::from(insn.imm)),
                    0x95 => return regs[0],
                    0x85 => {
                        let args = [regs[1], regs[2], regs[3], regs[4], regs[5]];
                        regs[0] = match insn.src {
                            0 => self.world.call(insn.imm as u32, args),
                            1 => self.run(callee(code, pc - 1), &args),
                            other => panic!("call of kind {other}"),
                        };
                        for reg in &mut regs[1..6] {
                            *reg = self.junk();
                        }
                    }
                    _ => {
                        if holds(insn, regs[insn.dst as usize], regs[insn.src as usize]) {
                            pc = jump(pc, i64::from(insn.off));
                        }
                    }
                },
            }
        }
    }

    fn atomic(&mut self, insn: Insn, regs: &mut [u64; 11]) {
        let at = address(regs[insn.dst as usize], insn, insn.dst);
        let size = width(insn);
        assert!(size == 4 || size == 8, "{insn:?}");
        let old = self.world.memory.read(at, size);
        let value = regs[insn.src as usize];
        let new = match insn.imm & !1 {
            0x00 => old.wrapping_add(value),
            0x40 => old | value,
            0x50 => old & value,
            0xa0 => old ^ value,
            0xe0 if insn.imm == 0xe1 => value,
            0xf0 if insn.imm == 0xf1 => {
                if regs[0] == old {
                    self.world.memory.write(at, size, value);
                }
                regs[0] = old;
                return;
            }
            _ => panic!("{insn:?}"),
        };
        self.world.memory.write(at, size, new);
        if insn.imm & 1 != 0 {
            regs[insn.src as usize] = old;
        }
    }
}

fn jump(pc: usize, distance: i64) -> usize {
    usize::try_from(i64::try_from(pc).expect("small") + distance).expect("inside the program")
}

fn relocation(code: &Code, at: usize) -> Option<RelocationTarget> {
    let found = code.relocations.iter().find(|r| r.insn as usize == at);
    found.map(|r| r.target)
}

fn relocated(code: &Code, at: usize) -> u64 {
    match relocation(code, at) {
        Some(RelocationTarget::Map(map)) => memory::MAP + u64::from(map.0),
        Some(RelocationTarget::Global(offset)) => (1 << 32) + u64::from(offset),
        Some(RelocationTarget::FunctionAddress(f)) => memory::FUNCTION + u64::from(f),
        Some(RelocationTarget::Call(_)) => panic!("a call's relocation on a constant"),
        None if code.site_patches.iter().any(|p| *p as usize == at) => memory::SITE,
        None => 0,
    }
}

fn callee(code: &Code, at: usize) -> usize {
    match relocation(code, at) {
        Some(RelocationTarget::Call(function)) => function as usize,
        other => panic!("a call without its relocation: {other:?}"),
    }
}

fn width(insn: Insn) -> usize {
    match insn.code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

fn address(base: u64, insn: Insn, base_reg: u8) -> u64 {
    let at = base.wrapping_add_signed(i64::from(insn.off));
    if base_reg == 10 {
        assert_eq!(at % width(insn) as u64, 0, "misaligned: {insn:?}");
    }
    at
}

fn arithmetic(insn: Insn, dst: u64, src: u64) -> u64 {
    let is_wide = insn.code & 7 == 7;
    let is_reg = insn.code & 8 != 0;
    let op = insn.code & 0xf0;
    if op == 0xd0 {
        assert!(is_reg && !is_wide, "{insn:?}");
        return match insn.imm {
            16 => u64::from((dst as u16).swap_bytes()),
            32 => u64::from((dst as u32).swap_bytes()),
            64 => dst.swap_bytes(),
            _ => panic!("{insn:?}"),
        };
    }
    let right = if is_reg {
        src
    } else {
        i64::from(insn.imm).cast_unsigned()
    };
    if is_reg {
        assert_eq!(insn.imm, 0, "{insn:?}");
    }
    let is_offset_used = matches!(op, 0x30 | 0x90 | 0xb0);
    assert!(insn.off == 0 || is_offset_used, "{insn:?}");
    if matches!(op, 0x60 | 0x70 | 0xc0) && !is_reg {
        let limit = if is_wide { 64 } else { 32 };
        assert!((0..limit).contains(&insn.imm), "{insn:?}");
    }
    if matches!(op, 0x30 | 0x90) && !is_reg {
        assert_ne!(insn.imm, 0, "{insn:?}");
    }
    if is_wide {
        wide(op, insn.off, dst, right)
    } else {
        u64::from(narrow(op, insn.off, dst as u32, right as u32))
    }
}

fn wide(op: u8, off: i16, a: u64, b: u64) -> u64 {
    let (sa, sb) = (a as i64, b as i64);
    match (op, off) {
        (0x00, _) => a.wrapping_add(b),
        (0x10, _) => a.wrapping_sub(b),
        (0x20, _) => a.wrapping_mul(b),
        (0x30, 0) => a.checked_div(b).unwrap_or(0),
        (0x30, 1) => {
            if b == 0 {
                0
            } else {
                sa.wrapping_div(sb) as u64
            }
        }
        (0x40, _) => a | b,
        (0x50, _) => a & b,
        (0x60, _) => a << (b & 63),
        (0x70, _) => a >> (b & 63),
        (0x80, _) => a.wrapping_neg(),
        (0x90, 0) => a.checked_rem(b).unwrap_or(a),
        (0x90, 1) => {
            if b == 0 {
                a
            } else {
                sa.wrapping_rem(sb) as u64
            }
        }
        (0xa0, _) => a ^ b,
        (0xb0, 0) => b,
        (0xb0, 8) => i64::from(b as i8) as u64,
        (0xb0, 16) => i64::from(b as i16) as u64,
        (0xb0, 32) => i64::from(b as i32) as u64,
        (0xc0, _) => (sa >> (b & 63)) as u64,
        _ => panic!("arithmetic {op:#x} {off}"),
    }
}

fn narrow(op: u8, off: i16, a: u32, b: u32) -> u32 {
    let (sa, sb) = (a as i32, b as i32);
    match (op, off) {
        (0x00, _) => a.wrapping_add(b),
        (0x10, _) => a.wrapping_sub(b),
        (0x20, _) => a.wrapping_mul(b),
        (0x30, 0) => a.checked_div(b).unwrap_or(0),
        (0x30, 1) => {
            if b == 0 {
                0
            } else {
                sa.wrapping_div(sb) as u32
            }
        }
        (0x40, _) => a | b,
        (0x50, _) => a & b,
        (0x60, _) => a << (b & 31),
        (0x70, _) => a >> (b & 31),
        (0x80, _) => a.wrapping_neg(),
        (0x90, 0) => a.checked_rem(b).unwrap_or(a),
        (0x90, 1) => {
            if b == 0 {
                a
            } else {
                sa.wrapping_rem(sb) as u32
            }
        }
        (0xa0, _) => a ^ b,
        (0xb0, 0) => b,
        (0xc0, _) => (sa >> (b & 31)) as u32,
        _ => panic!("arithmetic {op:#x} {off}"),
    }
}

fn holds(insn: Insn, dst: u64, src: u64) -> bool {
    let right = if insn.code & 8 != 0 {
        src
    } else {
        i64::from(insn.imm) as u64
    };
    let (a, b) = match insn.code & 7 {
        5 => (dst, right),
        _ => (dst & 0xffff_ffff, right & 0xffff_ffff),
    };
    let (sa, sb) = match insn.code & 7 {
        5 => (a as i64, b as i64),
        _ => (i64::from(a as i32), i64::from(b as i32)),
    };
    match insn.code & 0xf0 {
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        0x50 => a != b,
        0x60 => sa > sb,
        0x70 => sa >= sb,
        0xa0 => a < b,
        0xb0 => a <= b,
        0xc0 => sa < sb,
        0xd0 => sa <= sb,
        _ => panic!("jump {insn:?}"),
    }
}
