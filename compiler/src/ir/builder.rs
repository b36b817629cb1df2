//! Builds one function of the IR, block by block.
//!
//! Takes instructions in order; gives a [`Function`] that `ir::verify` accepts. After an
//! end, what follows goes to a block nothing reaches, which the back end drops: callers
//! need not ask whether they can still be reached.

use super::inst::{
    Address, AluOp, Base, Block, Comparison, End, Function, Inst, InstKind, Label, Operand, Reg,
    Size, Slot, SlotId, Width,
};
use rbt_grammar::Span;

/// A function under construction.
#[derive(Debug)]
pub struct FunctionBuilder {
    function: Function,
    current: Label,
    /// The source of what comes next.
    pub span: Span,
}

impl FunctionBuilder {
    /// A function of that name and number of parameters; its first block is current.
    pub fn new(name: impl Into<String>, params: u32, span: Span) -> Self {
        let mut builder = FunctionBuilder {
            function: Function {
                name: name.into(),
                params: Vec::new(),
                blocks: Vec::new(),
                registers: 0,
                slots: Vec::new(),
                span,
            },
            current: Label(0),
            span,
        };
        for _ in 0..params {
            let reg = builder.reg();
            builder.function.params.push(reg);
        }
        builder.current = builder.label();
        builder
    }

    /// The finished function; blocks without an end return 0.
    pub fn finish(mut self) -> Function {
        for block in &mut self.function.blocks {
            block.end.get_or_insert(End::Return(Operand::Imm(0)));
        }
        self.function
    }

    /// The register of parameter `index`.
    pub fn param(&self, index: usize) -> Option<Reg> {
        self.function.params.get(index).copied()
    }

    /// A new register.
    pub fn reg(&mut self) -> Reg {
        let reg = Reg(self.function.registers);
        self.function.registers += 1;
        reg
    }

    /// A new block, not current.
    pub fn label(&mut self) -> Label {
        let label = Label(u32::try_from(self.function.blocks.len()).unwrap_or(u32::MAX));
        self.function.blocks.push(Block {
            insts: Vec::new(),
            end: None,
            end_span: self.span,
        });
        label
    }

    /// A piece of the frame.
    pub fn slot(&mut self, size: u32, name: impl Into<String>) -> SlotId {
        let slot = SlotId(u32::try_from(self.function.slots.len()).unwrap_or(u32::MAX));
        self.function.slots.push(Slot {
            size: size.max(1).next_multiple_of(8),
            name: name.into(),
            span: self.span,
        });
        slot
    }

    /// Goes on in another block.
    pub fn at(&mut self, label: Label) {
        self.current = label;
    }

    /// Adds an instruction.
    pub fn push(&mut self, kind: InstKind) {
        let span = self.span;
        if self.block().end.is_some() {
            let dead = self.label();
            self.at(dead);
        }
        self.block().insts.push(Inst { kind, span });
    }

    /// Ends the current block, unless it has an end.
    pub fn end(&mut self, end: End) {
        let span = self.span;
        let block = self.block();
        if block.end.is_none() {
            block.end = Some(end);
            block.end_span = span;
        }
    }

    /// Ends the current block by going to `label`.
    pub fn jump(&mut self, label: Label) {
        self.end(End::Jump(label));
    }

    /// Ends the current block by going to `then` or `otherwise`.
    pub fn branch(
        &mut self,
        comparison: Comparison,
        left: Operand,
        right: Operand,
        then: Label,
        otherwise: Label,
    ) {
        self.end(End::Branch {
            comparison,
            width: Width::W64,
            left,
            right,
            then,
            otherwise,
        });
    }

    /// Whether the current block has an end, so that what follows cannot be reached.
    pub fn is_ended(&mut self) -> bool {
        self.block().end.is_some()
    }

    /// `dst = src`
    pub fn set(&mut self, dst: Reg, src: Operand) {
        self.push(InstKind::Move { dst, src });
    }

    /// A register that holds `value`.
    pub fn in_reg(&mut self, value: Operand) -> Reg {
        match value {
            Operand::Reg(reg) => reg,
            other => {
                let dst = self.reg();
                self.set(dst, other);
                dst
            }
        }
    }

    /// `left op right`, 64 bits.
    pub fn alu(&mut self, op: AluOp, left: Operand, right: Operand) -> Operand {
        let dst = self.reg();
        self.push(InstKind::Alu {
            op,
            width: Width::W64,
            dst,
            left,
            right,
        });
        Operand::Reg(dst)
    }

    /// The bytes at `address`, zero-extended.
    pub fn load(&mut self, address: Address, size: Size) -> Reg {
        let dst = self.reg();
        self.push(InstKind::Load { dst, address, size });
        dst
    }

    /// Puts the low bytes of `src` at `address`.
    pub fn store(&mut self, address: Address, src: Operand, size: Size) {
        self.push(InstKind::Store { address, src, size });
    }

    /// The address itself, as a value.
    pub fn address(&mut self, address: Address) -> Operand {
        match address.base {
            Base::Frame(slot) => Operand::Frame(slot, address.offset),
            Base::Reg(reg) if address.offset == 0 => Operand::Reg(reg),
            Base::Reg(reg) => self.alu(
                AluOp::Add,
                Operand::Reg(reg),
                Operand::Imm(i64::from(address.offset)),
            ),
        }
    }

    fn block(&mut self) -> &mut Block {
        let index = self.current.0 as usize;
        self.function
            .blocks
            .get_mut(index)
            .expect("a label is the index of a block of this function")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_an_end_is_not_reached() {
        let mut f = FunctionBuilder::new("f", 1, Span::default());
        f.end(End::Return(Operand::Imm(1)));
        let reg = f.reg();
        f.set(reg, Operand::Imm(2));
        let function = f.finish();
        assert_eq!(function.blocks.len(), 2);
        assert_eq!(function.blocks[0].end, Some(End::Return(Operand::Imm(1))));
    }
}
