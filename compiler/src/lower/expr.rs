//! Expressions: scalars to registers, all else to memory.
//!
//! A scalar in a register is always extended to 64 bits by the sign of its type. A text in
//! memory is followed by zeros up to its capacity, except in records of events.

use super::{Builder, Fill, Home, Known};
use crate::hir::{self, BinaryOp, Expr, ExprKind, UnaryOp};
use crate::ir::{Address, AluOp, Comparison, Label, Operand, Size, helpers};
use crate::target::Feature;
use crate::types::{Encoding, Field, Space, Type, layout};
use crate::vocabulary::{ArgumentAccess, ArgumentSource, Stability};

impl Builder<'_> {
    /// The value of a scalar expression.
    pub fn value(&mut self, expr: &Expr) -> Operand {
        self.with_span(expr.span, |b| b.scalar(expr))
    }

    /// Writes the whole value of an expression to `to`: all of its type's bytes.
    pub fn store(&mut self, expr: &Expr, to: Address) {
        self.store_as(expr, to, Fill::Whole);
    }

    /// Writes the value of an expression; texts as `fill` says.
    pub fn store_as(&mut self, expr: &Expr, to: Address, fill: Fill) {
        self.with_span(expr.span, |b| {
            if expr.ty.is_scalar() {
                let value = b.scalar(expr);
                b.put_scalar(to, value, &expr.ty);
            } else {
                b.store_memory(expr, to, fill);
            }
        });
    }

    /// Puts a scalar of that type at `to`.
    pub fn put_scalar(&mut self, to: Address, value: Operand, ty: &Type) {
        let size = Size::from_bytes(ty.size()).unwrap_or(Size::B8);
        self.put(to, value, size);
    }

    /// The scalar of that type at `from`.
    pub fn load_scalar(&mut self, from: Address, ty: &Type) -> Operand {
        let size = Size::from_bytes(ty.size()).unwrap_or(Size::B8);
        let value = self.load(from, size);
        if ty.is_signed() {
            self.sign_extend(value, size)
        } else {
            Operand::Reg(value)
        }
    }

    /// Where the value of an expression lies that is no scalar: its own place if it has one,
    /// which must not be written, or a temporary.
    pub fn address(&mut self, expr: &Expr) -> Address {
        match &expr.kind {
            ExprKind::Variable(id) => {
                if let Home::Memory(address) = self.home(*id) {
                    return address;
                }
            }
            ExprKind::Part {
                of,
                offset,
                bits: None,
            } => {
                let whole = self.address(of);
                return whole.plus(i32::try_from(*offset).unwrap_or(i32::MAX));
            }
            ExprKind::Builtin { word, name } if word.0.stability() == Stability::Fixed => {
                if let Some(Known::Memory(address)) = self.find_known(name) {
                    return address;
                }
            }
            _ => {}
        }
        let to = self.temporary(expr.ty.size(), "a value");
        self.store(expr, to);
        to
    }

    fn scalar(&mut self, expr: &Expr) -> Operand {
        match &expr.kind {
            ExprKind::Int(value) => Operand::Imm(*value),
            ExprKind::Str(bytes) if expr.ty == Type::TextNumber => {
                let text = String::from_utf8_lossy(bytes).into_owned();
                Operand::Imm(self.text_number(&text))
            }
            ExprKind::Zero | ExprKind::Str(_) | ExprKind::Tuple(_) => Operand::Imm(0),
            ExprKind::Map(map) => self.map_address(*map),
            ExprKind::Variable(id) => self.variable(*id),
            ExprKind::MapValue { map, key } => self.map_scalar(*map, key.as_deref(), &expr.ty),
            ExprKind::ReadAggregate { map, key } => self.read_aggregate(*map, key.as_deref()),
            ExprKind::Builtin { word, name } => match word.0.stability() {
                Stability::Fixed => self.once(name, |b| word.0.lower(name, b)),
                Stability::Varying => word.0.lower(name, self),
            },
            ExprKind::Call(call) => match call.word {
                Some(word) => word.lower(call, self),
                None => Operand::Imm(0),
            },
            ExprKind::Argument(field) => self.argument(field),
            ExprKind::Memory {
                address,
                offset,
                space,
                bits,
                encoding,
            } => {
                let field = Access {
                    ty: &expr.ty,
                    bits: *bits,
                };
                let is_plain = bits.is_none() && *encoding == Encoding::Plain;
                if let Some(base) = self.typed_pointer(address) {
                    // A pointer that was loaded so could not be computed with.
                    let is_number = is_plain && !matches!(expr.ty, Type::Pointer(..));
                    let space = if is_number { Space::Direct } else { *space };
                    return self.memory_scalar(base, *offset, space, field, *encoding);
                }
                let base = self.value(address);
                self.memory_scalar(base, *offset, *space, field, *encoding)
            }
            ExprKind::Part { of, offset, bits } => {
                let at = self
                    .address(of)
                    .plus(i32::try_from(*offset).unwrap_or(i32::MAX));
                match bits {
                    None => self.load_scalar(at, &expr.ty),
                    Some(bits) => {
                        let size = Size::from_bytes(expr.ty.size()).unwrap_or(Size::B8);
                        let whole = self.load(at, size);
                        self.bit_field(whole.into(), *bits)
                    }
                }
            }
            ExprKind::Element {
                of,
                index,
                stride,
                count,
            } => self.element(of, index, *stride, *count, &expr.ty),
            ExprKind::AddressOf(of) => {
                let at = self.address(of);
                self.pointer(at)
            }
            ExprKind::Unary(op, operand) => self.unary(*op, operand),
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right, expr),
            ExprKind::And(..) | ExprKind::Or(..) => {
                let yes = self.f.label();
                let no = self.f.label();
                let done = self.f.label();
                let result = self.f.reg();
                self.condition(expr, yes, no);
                self.f.at(yes);
                self.f.set(result, Operand::Imm(1));
                self.f.jump(done);
                self.f.at(no);
                self.f.set(result, Operand::Imm(0));
                self.f.jump(done);
                self.f.at(done);
                Operand::Reg(result)
            }
            ExprKind::Select {
                condition,
                then,
                otherwise,
            } => {
                let result = self.f.reg();
                self.either(
                    condition,
                    |b| {
                        let value = b.value(then);
                        b.f.set(result, value);
                    },
                    |b| {
                        let value = b.value(otherwise);
                        b.f.set(result, value);
                    },
                );
                Operand::Reg(result)
            }
            ExprKind::Convert(from) => self.convert_scalar(from, &expr.ty),
            ExprKind::StepVariable {
                variable,
                by,
                is_prefix,
            } => {
                let old = self.variable(*variable);
                let old = Operand::Reg(self.copy(old));
                let new = self.alu(AluOp::Add, old, *by);
                self.set_variable_scalar(*variable, new);
                if *is_prefix { new } else { old }
            }
            ExprKind::StepMap {
                map,
                key,
                by,
                is_prefix,
            } => self.step_map(*map, key.as_deref(), *by, *is_prefix),
            ExprKind::Block(statements, value) => {
                self.statements(statements);
                self.value(value)
            }
        }
    }

    fn store_memory(&mut self, expr: &Expr, to: Address, fill: Fill) {
        let size = expr.ty.size();
        match &expr.kind {
            ExprKind::Str(bytes) => {
                let written = match fill {
                    Fill::Whole => size,
                    Fill::ToNul => u32::try_from(bytes.len() + 1).unwrap_or(size).min(size),
                };
                self.put_bytes(to, bytes, written);
            }
            ExprKind::Zero | ExprKind::Int(_) => self.zero(to, size),
            ExprKind::Variable(_) | ExprKind::Part { .. } => {
                let from = self.address(expr);
                self.copy_value(to, from, &expr.ty, fill);
            }
            ExprKind::MapValue { map, key } => {
                self.map_memory(*map, key.as_deref(), &expr.ty, to, fill);
            }
            ExprKind::Builtin { word, name } => {
                if let Some(Known::Memory(from)) = self.find_known(name) {
                    self.copy_bytes(to, from, size);
                    return;
                }
                word.0.lower_into(name, to, self);
                // A frame slot keeps its bytes as long as anything reads them.
                if word.0.stability() == Stability::Fixed
                    && matches!(to.base, crate::ir::Base::Frame(_))
                {
                    self.remember(name, Known::Memory(to));
                }
            }
            ExprKind::Call(call) => {
                if let Some(word) = call.word {
                    self.filling(fill, |b| word.lower_into(call, to, b));
                }
            }
            ExprKind::Argument(field) => self.argument_memory(field, to),
            ExprKind::Memory {
                address,
                offset,
                space,
                ..
            } => {
                let base = match self.typed_pointer(address) {
                    Some(base) => base,
                    None => self.value(address),
                };
                let from = match offset {
                    0 => base,
                    offset => self.alu(AluOp::Add, base, *offset),
                };
                self.read_memory(to, size, from, *space);
            }
            ExprKind::Select {
                condition,
                then,
                otherwise,
            } => self.either(
                condition,
                |b| b.store_as(then, to, fill),
                |b| b.store_as(otherwise, to, fill),
            ),
            ExprKind::Tuple(elements) => self.tuple(elements, &expr.ty, to),
            ExprKind::Convert(from) => self.convert_memory(from, &expr.ty, to, fill),
            ExprKind::Block(statements, value) => {
                self.statements(statements);
                self.store_as(value, to, fill);
            }
            ExprKind::Element { of, index, .. } => {
                // Only scalars are indexed at run time; a constant index was made a part.
                let _ = (of, index);
                self.zero(to, size);
            }
            ExprKind::Map(_)
            | ExprKind::ReadAggregate { .. }
            | ExprKind::AddressOf(_)
            | ExprKind::Unary(..)
            | ExprKind::Binary { .. }
            | ExprKind::And(..)
            | ExprKind::Or(..)
            | ExprKind::StepVariable { .. }
            | ExprKind::StepMap { .. } => {
                let value = self.scalar(expr);
                self.put_scalar(to, value, &expr.ty);
            }
        }
    }

    /// Elements side by side, zeros between them.
    fn tuple(&mut self, elements: &[Expr], ty: &Type, to: Address) {
        let types = ty.elements().unwrap_or_default();
        let places = layout(types.into_iter());
        let mut end = 0;
        for (element, offset) in elements.iter().zip(&places.offsets) {
            let gap = offset.saturating_sub(end);
            self.zero(to.plus(i32::try_from(end).unwrap_or(i32::MAX)), gap);
            self.store(element, to.plus(i32::try_from(*offset).unwrap_or(i32::MAX)));
            end = offset.saturating_add(element.ty.size());
        }
        let gap = places.size.saturating_sub(end);
        self.zero(to.plus(i32::try_from(end).unwrap_or(i32::MAX)), gap);
    }

    pub(super) fn copy_value(&mut self, to: Address, from: Address, ty: &Type, _fill: Fill) {
        self.copy_bytes(to, from, ty.size());
    }

    /// Runs one of two, by a scalar condition.
    pub(super) fn either(
        &mut self,
        condition: &Expr,
        then: impl FnOnce(&mut Self),
        otherwise: impl FnOnce(&mut Self),
    ) {
        let yes = self.f.label();
        let no = self.f.label();
        let done = self.f.label();
        self.condition(condition, yes, no);
        self.f.at(yes);
        self.in_scope(then);
        self.f.jump(done);
        self.f.at(no);
        self.in_scope(otherwise);
        self.f.jump(done);
        self.f.at(done);
    }

    /// Goes to `yes` if the scalar is not zero, else to `no`.
    pub(super) fn condition(&mut self, expr: &Expr, yes: Label, no: Label) {
        match &expr.kind {
            ExprKind::And(left, right) => {
                let middle = self.f.label();
                self.condition(left, middle, no);
                self.f.at(middle);
                self.in_scope(|b| b.condition(right, yes, no));
            }
            ExprKind::Or(left, right) => {
                let middle = self.f.label();
                self.condition(left, yes, middle);
                self.f.at(middle);
                self.in_scope(|b| b.condition(right, yes, no));
            }
            ExprKind::Unary(UnaryOp::Not, operand) => self.condition(operand, no, yes),
            ExprKind::Convert(from) if expr.ty == Type::Bool && from.ty.is_scalar() => {
                self.condition(from, yes, no);
            }
            ExprKind::Binary { op, left, right }
                if op.is_comparison() && left.ty.is_scalar() && right.ty.is_scalar() =>
            {
                let (left_value, right_value) = self.both(left, right);
                let span = std::mem::replace(&mut self.f.span, expr.span);
                self.f
                    .branch(comparison(*op), left_value, right_value, yes, no);
                self.f.span = span;
            }
            _ => {
                let value = self.value(expr);
                self.f
                    .branch(Comparison::NotEqual, value, Operand::Imm(0), yes, no);
            }
        }
    }

    /// Both sides of an operator; the left one is kept safe from what the right one changes.
    fn both(&mut self, left: &Expr, right: &Expr) -> (Operand, Operand) {
        let mut first = self.value(left);
        if changes_variables(right) {
            first = Operand::Reg(self.copy(first));
        }
        (first, self.value(right))
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr) -> Operand {
        let value = self.value(operand);
        match op {
            UnaryOp::Negate => self.alu(AluOp::Sub, 0, value),
            UnaryOp::Complement => self.alu(AluOp::Xor, value, -1),
            UnaryOp::Not => self.select(Comparison::Equal, value, 0, 1, 0),
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, expr: &Expr) -> Operand {
        if op.is_comparison() {
            if let (Type::Site | Type::TextNumber, Some(text)) = (&left.ty, right.as_str()) {
                return self.is_numbered(op == BinaryOp::Equal, left, text);
            }
            if !left.ty.is_scalar() {
                return self.compare_memory(op == BinaryOp::Equal, left, right);
            }
            let (left, right) = self.both(left, right);
            return self.select(comparison(op), left, right, 1, 0);
        }
        let (left, right) = self.both(left, right);
        self.with_span(expr.span, |b| b.arithmetic(op, left, right))
    }

    /// `left op right` for an arithmetic operator, 64 bits.
    pub(super) fn arithmetic(&mut self, op: BinaryOp, left: Operand, right: Operand) -> Operand {
        let alu = match op {
            BinaryOp::Add => AluOp::Add,
            BinaryOp::Subtract => AluOp::Sub,
            BinaryOp::Multiply => AluOp::Mul,
            BinaryOp::And => AluOp::And,
            BinaryOp::Or => AluOp::Or,
            BinaryOp::Xor => AluOp::Xor,
            BinaryOp::ShiftLeft => AluOp::ShiftLeft,
            BinaryOp::ShiftRight => AluOp::ShiftRight,
            BinaryOp::ArithmeticShiftRight => AluOp::ArithmeticShiftRight,
            _ => return self.divide(op, left, right),
        };
        let is_shift = matches!(
            alu,
            AluOp::ShiftLeft | AluOp::ShiftRight | AluOp::ArithmeticShiftRight
        );
        let right = match right {
            // The machine masks shift counts; a constant out of range the verifier refuses.
            Operand::Imm(count) if is_shift => Operand::Imm(count & 63),
            other => other,
        };
        self.alu(alu, left, right)
    }

    /// Division and remainder: by zero gives 1 and is counted; signed ones round toward zero.
    fn divide(&mut self, op: BinaryOp, left: Operand, right: Operand) -> Operand {
        if let Operand::Imm(divisor) = right
            && divisor != 0
        {
            return self.quotient(op, left, right);
        }
        let result = self.copy(1);
        self.when_else(
            Comparison::NotEqual,
            right,
            0,
            |b| {
                let value = b.quotient(op, left, right);
                b.f.set(result, value);
            },
            |b| b.fault(crate::artifact::FaultKind::DivisionByZero, "", 0),
        );
        Operand::Reg(result)
    }

    /// The quotient or remainder by a divisor that is not zero.
    fn quotient(&mut self, op: BinaryOp, left: Operand, right: Operand) -> Operand {
        let (signed, unsigned) = match op {
            BinaryOp::SignedDivide => (Some(AluOp::SignedDiv), AluOp::Div),
            BinaryOp::SignedRemainder => (Some(AluOp::SignedMod), AluOp::Mod),
            BinaryOp::Remainder => (None, AluOp::Mod),
            _ => (None, AluOp::Div),
        };
        let Some(signed) = signed else {
            return self.alu(unsigned, left, right);
        };
        if self.has(crate::target::Feature::SignedInstructions) {
            return self.alu(signed, left, right);
        }
        // Divide the magnitudes and give the result its sign: that of the dividend for a
        // remainder, that of both for a quotient.
        let sign = match signed {
            AluOp::SignedMod => left,
            _ => self.alu(AluOp::Xor, left, right),
        };
        let left = self.magnitude(left);
        let right = self.magnitude(right);
        let value = self.alu(unsigned, left, right);
        let result = self.copy(value);
        self.when(Comparison::SignedLess, sign, 0, |b| {
            let negated = b.alu(AluOp::Sub, 0, value);
            b.f.set(result, negated);
        });
        Operand::Reg(result)
    }

    fn magnitude(&mut self, value: Operand) -> Operand {
        let result = self.copy(value);
        self.when(Comparison::SignedLess, value, 0, |b| {
            let negated = b.alu(AluOp::Sub, 0, value);
            b.f.set(result, negated);
        });
        Operand::Reg(result)
    }

    fn convert_scalar(&mut self, from: &Expr, to: &Type) -> Operand {
        if !from.ty.is_scalar() {
            // An array of bytes read as an integer: it lies in memory as the integer does.
            let at = self.address(from);
            return self.load_scalar(at, to);
        }
        let value = self.value(from);
        if *to == Type::Bool && from.ty != Type::Bool {
            return self.select(Comparison::NotEqual, value, 0, 1, 0);
        }
        if let Operand::Imm(constant) = value {
            return Operand::Imm(crate::pass::fold::truncate(constant, to));
        }
        let narrower = to.size() < from.ty.size();
        let same_size = to.size() == from.ty.size() && to.is_signed() != from.ty.is_signed();
        // A wider type keeps a value that is extended already, unless an unsigned type of less
        // than 64 bits gets a negative one.
        let negative = to.size() < 8 && from.ty.is_signed() && !to.is_signed();
        if narrower || (same_size && to.size() < 8) || negative {
            self.normalize(value, to)
        } else {
            value
        }
    }

    fn convert_memory(&mut self, from: &Expr, ty: &Type, to: Address, fill: Fill) {
        let size = ty.size();
        if matches!(from.ty, Type::TextNumber | Type::Site) {
            let number = self.value(from);
            self.spell_out(number, &from.ty, to, size);
            return;
        }
        if from.ty.is_scalar() {
            // An integer as an array of bytes.
            self.zero(to, size);
            let value = self.value(from);
            self.put_scalar(to, value, &from.ty);
            return;
        }
        if let (Some(sources), Some(targets)) = (from.ty.elements(), ty.elements()) {
            let base = self.address(from);
            let from_places = layout(sources.iter().copied());
            let order = source_order(&from.ty, ty);
            let parts: Vec<Expr> = targets
                .iter()
                .zip(order)
                .filter_map(|(target, n)| {
                    let source = sources.get(n)?;
                    Some((source, target, from_places.offsets.get(n)?))
                })
                .map(|(source, target, offset)| {
                    let part = Expr::new(
                        ExprKind::Part {
                            of: Box::new(from.clone()),
                            offset: *offset,
                            bits: None,
                        },
                        (*source).clone(),
                        from.span,
                    );
                    crate::pass::convert::convert(part, target)
                })
                .collect();
            self.parts_at(base, &parts, ty, to);
            return;
        }
        let kept = from.ty.size().min(size);
        if kept == size {
            // A shorter text: its first bytes. What is cut has no NUL, and shows as cut.
            let at = self.address(from);
            self.copy_bytes(to, at, size);
        } else {
            self.store_as(from, to, fill);
            if fill == Fill::Whole || !matches!(from.kind, ExprKind::Str(_)) {
                let rest = to.plus(i32::try_from(kept).unwrap_or(i32::MAX));
                self.zero(rest, if fill == Fill::Whole { size - kept } else { 1 });
            }
        }
    }

    /// Stores a tuple's converted parts; the source stands at `base` already, so it is not
    /// computed again for each part.
    fn parts_at(&mut self, base: Address, parts: &[Expr], ty: &Type, to: Address) {
        let types = ty.elements().unwrap_or_default();
        let places = layout(types.into_iter());
        self.zero(to, places.size);
        for (part, offset) in parts.iter().zip(&places.offsets) {
            let at = to.plus(i32::try_from(*offset).unwrap_or(i32::MAX));
            self.part_at(base, part, at);
        }
    }

    fn part_at(&mut self, base: Address, part: &Expr, to: Address) {
        match &part.kind {
            ExprKind::Part { offset, .. } => {
                let from = base.plus(i32::try_from(*offset).unwrap_or(i32::MAX));
                self.copy_bytes(to, from, part.ty.size());
            }
            ExprKind::Convert(inner) if inner.ty.is_scalar() && part.ty.is_scalar() => {
                if let ExprKind::Part { offset, .. } = inner.kind {
                    let from = base.plus(i32::try_from(offset).unwrap_or(i32::MAX));
                    let value = self.load_scalar(from, &inner.ty);
                    let value = self.normalize(value, &part.ty);
                    self.put_scalar(to, value, &part.ty);
                }
            }
            ExprKind::Convert(inner) => {
                if let ExprKind::Part { offset, .. } = inner.kind {
                    let from = base.plus(i32::try_from(offset).unwrap_or(i32::MAX));
                    if matches!(inner.ty, Type::TextNumber | Type::Site) {
                        let number = self.load_scalar(from, &inner.ty);
                        self.spell_out(number, &inner.ty, to, part.ty.size());
                        return;
                    }
                    let kept = inner.ty.size().min(part.ty.size());
                    self.copy_bytes(to, from, kept);
                }
            }
            _ => self.store(part, to),
        }
    }

    /// A scalar argument of the probe.
    pub fn argument(&mut self, field: &Field) -> Operand {
        let access = Access {
            ty: &field.ty,
            bits: field.bits,
        };
        let context = self.context();
        let mapped = match &self.route.arguments {
            ArgumentAccess::Mapped(all) => {
                let start = field.offset & !7;
                all.iter().find(|m| m.at == start).copied()
            }
            ArgumentAccess::None | ArgumentAccess::InContext | ArgumentAccess::Operands(_) => None,
        };
        let Some(mapped) = mapped else {
            let offset = i64::from(field.offset);
            return self.memory_scalar(context, offset, Space::Direct, access, field.encoding);
        };
        let value = self.source_value(mapped.from);
        let shift = i64::from(field.offset & 7) * 8;
        let value = match shift {
            0 => value,
            bits => self.alu(AluOp::ShiftRight, value, bits),
        };
        match field.bits {
            None => self.normalize(value, &field.ty),
            Some(bits) => self.bit_field(value, bits),
        }
    }

    /// The 8 bytes of the arguments that begin at byte `at`, as the route has them; zero if it
    /// has none there.
    pub fn slot(&mut self, at: u32) -> Operand {
        let source = match &self.route.arguments {
            ArgumentAccess::Mapped(all) => all.iter().find(|m| m.at == at).map(|m| m.from),
            ArgumentAccess::InContext => Some(ArgumentSource::Context(at)),
            ArgumentAccess::Operands(_) | ArgumentAccess::None => None,
        };
        source.map_or(Operand::Imm(0), |source| self.source_value(source))
    }

    /// The last 8 bytes of the arguments: where functions return, the result.
    pub fn last_slot(&mut self) -> Operand {
        let at = match &self.route.arguments {
            ArgumentAccess::Mapped(all) => all.last().map_or(0, |m| m.at),
            _ => 0,
        };
        self.slot(at)
    }

    /// The 8 bytes of a source.
    pub(super) fn source_value(&mut self, source: ArgumentSource) -> Operand {
        let base = self.context;
        let at = |byte: u32| Address::reg(base).plus(i32::try_from(byte).unwrap_or(i32::MAX));
        match source {
            ArgumentSource::Context(byte) => Operand::Reg(self.load(at(byte), Size::B8)),
            ArgumentSource::Behind { pointer, offset } => {
                let pointer = self.load(at(pointer), Size::B8);
                let offset = i64::from(offset);
                Operand::Reg(self.read_scalar(pointer, offset, Size::B8, Space::Kernel))
            }
            ArgumentSource::Task(byte) => {
                let (helper, space) = if self.has(Feature::CurrentTaskBtf) {
                    (helpers::GET_CURRENT_TASK_BTF, Space::Direct)
                } else {
                    (helpers::GET_CURRENT_TASK, Space::Kernel)
                };
                let task = self.call(helper, &[]);
                Operand::Reg(self.read_scalar(task, i64::from(byte), Size::B4, space))
            }
            ArgumentSource::Helper(number) => {
                let number = Operand::Imm(i64::from(number));
                self.function_value(helpers::GET_FUNC_ARG, &[number])
            }
            ArgumentSource::HelperForResult => self.function_value(helpers::GET_FUNC_RET, &[]),
        }
    }

    /// What a helper says of the traced function.
    fn function_value(&mut self, helper: crate::ir::Helper, of: &[Operand]) -> Operand {
        let to = self.temporary(8, "a value of the function");
        self.put(to, 0, Size::B8);
        let mut args = vec![self.context()];
        args.extend_from_slice(of);
        args.push(self.pointer(to));
        self.call_void(helper, &args);
        Operand::Reg(self.load(to, Size::B8))
    }

    fn argument_memory(&mut self, field: &Field, to: Address) {
        if let ArgumentAccess::Mapped(all) = &self.route.arguments
            && all.iter().any(|m| m.from != ArgumentSource::Context(m.at))
        {
            let end = field.offset.saturating_add(field.ty.size());
            let inside = |at: u32| at >= field.offset && at < end;
            for mapped in all.clone().into_iter().filter(|m| inside(m.at)) {
                let value = self.source_value(mapped.from);
                let at = mapped.at - field.offset;
                let size = match end - mapped.at {
                    rest if rest >= 8 => Size::B8,
                    rest => Size::from_bytes(rest).unwrap_or(Size::B1),
                };
                self.put(to.plus(i32::try_from(at).unwrap_or(i32::MAX)), value, size);
            }
            return;
        }
        let from = Address::reg(self.context).plus(i32::try_from(field.offset).unwrap_or(i32::MAX));
        self.copy_bytes(to, from, field.ty.size());
    }

    /// A scalar in memory at `base + offset`.
    fn memory_scalar(
        &mut self,
        base: Operand,
        offset: i64,
        space: Space,
        access: Access<'_>,
        encoding: Encoding,
    ) -> Operand {
        if encoding != Encoding::Plain {
            let word = self.read_scalar(base, offset, Size::B4, space);
            let distance = self.alu(AluOp::And, word, 0xffff);
            let start = match encoding {
                Encoding::RelativeLocation => self.alu(AluOp::Add, base, offset + 4),
                Encoding::Plain | Encoding::DataLocation => base,
            };
            return self.alu(AluOp::Add, start, distance);
        }
        let size = Size::from_bytes(access.ty.size()).unwrap_or(Size::B8);
        let value = self.read_scalar(base, offset, size, space);
        match access.bits {
            Some(bits) => self.bit_field(value.into(), bits),
            None if access.ty.is_signed() => self.sign_extend(value, size),
            None => value.into(),
        }
    }

    /// The bits of a field, from the integer that holds them: shifted and masked, without a
    /// sign, whatever their type.
    fn bit_field(&mut self, whole: Operand, (first, width): (u8, u8)) -> Operand {
        let left = 64_i64 - i64::from(first) - i64::from(width);
        let raised = self.alu(AluOp::ShiftLeft, whole, left.clamp(0, 63));
        let down = (64 - i64::from(width)).clamp(0, 63);
        self.alu(AluOp::ShiftRight, raised, down)
    }

    /// An element by a computed index: zero outside.
    fn element(&mut self, of: &Expr, index: &Expr, stride: u32, count: u32, ty: &Type) -> Operand {
        let from = self.address(of);
        let index = self.value(index);
        // Loads at a computed distance are only allowed from map memory on every kernel; the
        // helper reads any.
        let result = self.copy(0);
        self.when_else(
            Comparison::Less,
            index,
            i64::from(count),
            |b| {
                let distance = b.alu(AluOp::Mul, index, i64::from(stride));
                let base = b.pointer(from);
                let at = b.alu(AluOp::Add, base, distance);
                let size = Size::from_bytes(ty.size()).unwrap_or(Size::B8);
                let value = b.read_scalar(at, 0, size, Space::Kernel);
                let value = b.normalize(value.into(), ty);
                b.f.set(result, value);
            },
            |b| b.fault(crate::artifact::FaultKind::OutOfBounds, "", 0),
        );
        Operand::Reg(result)
    }

    fn home(&self, id: hir::VariableId) -> Home {
        self.homes.get(id.0 as usize).copied().unwrap_or(Home::None)
    }

    fn variable(&mut self, id: hir::VariableId) -> Operand {
        match self.home(id) {
            Home::Reg(reg) => Operand::Reg(reg),
            Home::Memory(address) => {
                let ty = self.variable_type(id);
                self.load_scalar(address, &ty)
            }
            Home::None => Operand::Imm(0),
        }
    }

    pub(super) fn variable_type(&self, id: hir::VariableId) -> Type {
        let variable = self.clause.variables.get(id.0 as usize);
        variable.map_or(crate::types::U64, |v| v.ty.clone())
    }

    pub(super) fn set_variable_scalar(&mut self, id: hir::VariableId, value: Operand) {
        match self.home_or_new(id) {
            Home::Reg(reg) => self.f.set(reg, value),
            Home::Memory(address) => {
                let ty = self.variable_type(id);
                self.put_scalar(address, value, &ty);
            }
            Home::None => {}
        }
    }

    /// Where a variable lives; if it has no home yet, it gets one.
    pub(super) fn home_or_new(&mut self, id: hir::VariableId) -> Home {
        if let Home::None = self.home(id) {
            let ty = self.variable_type(id);
            let is_addressed = self
                .clause
                .variables
                .get(id.0 as usize)
                .is_some_and(|v| v.is_addressed);
            let home = if ty.is_scalar() && !is_addressed {
                Home::Reg(self.f.reg())
            } else {
                let name = self
                    .clause
                    .variables
                    .get(id.0 as usize)
                    .map_or_else(String::new, |v| format!("${}", v.name));
                Home::Memory(self.temporary(ty.size(), &name))
            };
            if let Some(slot) = self.homes.get_mut(id.0 as usize) {
                *slot = home;
            }
        }
        self.home(id)
    }
}

/// How a scalar in memory is to be read.
#[derive(Clone, Copy)]
struct Access<'a> {
    ty: &'a Type,
    bits: Option<(u8, u8)>,
}

/// For each part of `to` the number of the part of `from` that it is made of: records match
/// by name, tuples by place.
fn source_order(from: &Type, to: &Type) -> Vec<usize> {
    match (from, to) {
        (Type::Record(from), Type::Record(to)) => to
            .iter()
            .map(|(name, _)| from.iter().position(|(n, _)| n == name).unwrap_or(0))
            .collect(),
        _ => (0..to.elements().map_or(0, |parts| parts.len())).collect(),
    }
}

/// The machine's comparison of an operator.
pub(super) fn comparison(op: BinaryOp) -> Comparison {
    match op {
        BinaryOp::NotEqual => Comparison::NotEqual,
        BinaryOp::Less => Comparison::Less,
        BinaryOp::LessEqual => Comparison::LessEqual,
        BinaryOp::Greater => Comparison::Greater,
        BinaryOp::GreaterEqual => Comparison::GreaterEqual,
        BinaryOp::SignedLess => Comparison::SignedLess,
        BinaryOp::SignedLessEqual => Comparison::SignedLessEqual,
        BinaryOp::SignedGreater => Comparison::SignedGreater,
        BinaryOp::SignedGreaterEqual => Comparison::SignedGreaterEqual,
        _ => Comparison::Equal,
    }
}

/// Whether evaluating an expression may change a scratch variable.
fn changes_variables(expr: &Expr) -> bool {
    hir::any(expr, &mut |e| {
        matches!(e.kind, ExprKind::StepVariable { .. } | ExprKind::Block(..))
    })
}

/// Whether evaluating an expression may leave the program or call back into it.
pub(super) fn may_leave(expr: &Expr) -> bool {
    hir::any(expr, &mut |e| matches!(e.kind, ExprKind::Block(..)))
}
