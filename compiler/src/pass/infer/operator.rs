//! Operators: the types they take and give, and folding of constants.

use super::Infer;
use super::promote::promote;
use crate::hir::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::pass::convert::{convert, spelled_out};
use crate::pass::fold;
use crate::types::{Encoding, I64, Type, U64};
use rbt_grammar::ast;
use rbt_grammar::{Diagnostic, Span, codes};

/// `!expr`
pub(super) fn not(expr: Expr) -> Expr {
    let span = expr.span;
    if let Some(value) = expr.as_int() {
        return Expr::int(fold::unary(UnaryOp::Not, value), Type::Bool, span);
    }
    Expr::new(
        ExprKind::Unary(UnaryOp::Not, Box::new(expr)),
        Type::Bool,
        span,
    )
}

impl Infer<'_, '_> {
    pub(super) fn unary(&mut self, op: ast::UnaryOp, operand: &ast::Expr, span: Span) -> Expr {
        let value = match op {
            ast::UnaryOp::AddressOf => return self.address_of(operand, span),
            _ => self.expr(operand),
        };
        let value = self.as_integer_if_aggregate(value);
        if value.ty.is_absorbing() {
            return Expr { span, ..value };
        }
        match op {
            ast::UnaryOp::Not => {
                let condition = self.as_condition(value);
                not(condition)
            }
            ast::UnaryOp::Dereference => self.dereference(value, span),
            ast::UnaryOp::Negate | ast::UnaryOp::Complement
                if value.ty.is_integer() || value.ty == Type::Bool =>
            {
                let op = if op == ast::UnaryOp::Negate {
                    UnaryOp::Negate
                } else {
                    UnaryOp::Complement
                };
                self.negate(op, value, span)
            }
            _ => {
                self.report(Diagnostic::error(
                    codes::BAD_OPERAND,
                    format!(
                        "The {} operator can not be used on expressions of type '{}'",
                        op.symbol(),
                        value.ty
                    ),
                    span,
                    format!("`{}` here", value.ty),
                ));
                Expr::new(ExprKind::Zero, Type::Error, span)
            }
        }
    }

    fn negate(&mut self, op: UnaryOp, value: Expr, span: Span) -> Expr {
        if let Some(constant) = value.as_int() {
            let folded = fold::unary(op, constant);
            let is_cast = !fold::is_flexible(&value) && value.ty.is_integer();
            if is_cast && !value.ty.is_signed() && value.ty.size() < 8 {
                let narrow = fold::truncate(folded, &value.ty);
                return Expr::int(narrow, U64, span);
            }
            let ty = match op {
                UnaryOp::Negate => fold::signed_type(folded).unwrap_or(I64),
                _ if fold::is_flexible(&value) => U64,
                _ if value.ty.is_signed() => I64,
                _ => U64,
            };
            return Expr::int(folded, ty, span);
        }
        let ty = if value.ty.is_signed() { I64 } else { U64 };
        // An unsigned integer keeps its width: `~(uint8)5` is 250.
        let narrow = (value.ty.is_integer() && !value.ty.is_signed() && value.ty.size() < 8)
            .then(|| value.ty.clone());
        let value = convert(value, &ty);
        let result = Expr::new(ExprKind::Unary(op, Box::new(value)), ty.clone(), span);
        match narrow {
            Some(narrow) => convert(convert(result, &narrow), &ty),
            None => result,
        }
    }

    fn dereference(&mut self, value: Expr, span: Span) -> Expr {
        // `*args` means `args`.
        if matches!(value.kind, ExprKind::Argument(_)) && matches!(value.ty, Type::Struct(_)) {
            return value;
        }
        let (ty, space) = match &value.ty {
            Type::Pointer(to, space) => ((**to).clone(), *space),
            Type::Int(_) => (U64, self.probe().space),
            other => {
                self.report(Diagnostic::error(
                    codes::BAD_OPERAND,
                    format!("The * operator can not be used on expressions of type '{other}'"),
                    span,
                    "not an address",
                ));
                return Expr::new(ExprKind::Zero, Type::Error, span);
            }
        };
        Expr::new(
            ExprKind::Memory {
                address: Box::new(value),
                offset: 0,
                space,
                bits: None,
                encoding: Encoding::Plain,
            },
            ty,
            span,
        )
    }

    /// A castable aggregation read as an integer; anything else as it is.
    pub(super) fn as_integer_if_aggregate(&mut self, value: Expr) -> Expr {
        match &value.ty {
            Type::Aggregate(a) if a.is_castable => {
                let ty = if a.is_signed { I64 } else { U64 };
                convert(value, &ty)
            }
            _ => value,
        }
    }

    pub(super) fn logical(&mut self, is_and: bool, left: Expr, right: Expr, span: Span) -> Expr {
        let left = self.as_condition(left);
        let right = self.as_condition(right);
        if left.ty == Type::Error || right.ty == Type::Error {
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        match (left.as_int(), right.as_int()) {
            (Some(a), Some(b)) => {
                let value = if is_and {
                    a != 0 && b != 0
                } else {
                    a != 0 || b != 0
                };
                Expr::int(i64::from(value), Type::Bool, span)
            }
            _ => {
                let (left, right) = (Box::new(left), Box::new(right));
                let kind = if is_and {
                    ExprKind::And(left, right)
                } else {
                    ExprKind::Or(left, right)
                };
                Expr::new(kind, Type::Bool, span)
            }
        }
    }

    /// `left op right` on typed sides, for all but `&&` and `||`.
    pub(super) fn binary(
        &mut self,
        op: ast::BinaryOp,
        left: Expr,
        right: Expr,
        span: Span,
    ) -> Expr {
        let left = self.as_integer_if_aggregate(left);
        let right = self.as_integer_if_aggregate(right);
        if left.ty == Type::Error || right.ty == Type::Error {
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        if left.ty == Type::Unknown || right.ty == Type::Unknown {
            let ty = if op.is_comparison() {
                Type::Bool
            } else {
                Type::Unknown
            };
            return Expr::new(ExprKind::Zero, ty, span);
        }
        let is_number = |ty: &Type| matches!(ty, Type::Int(_) | Type::Bool | Type::Enum(_));
        match (&left.ty, &right.ty) {
            (a, b) if is_number(a) && is_number(b) => self.numbers(op, left, right, span),
            (Type::Pointer(..), _) | (_, Type::Pointer(..)) => self.pointers(op, left, right, span),
            (Type::Str(_), Type::Int(_)) if op == ast::BinaryOp::Add => {
                match (left.as_str(), right.as_int()) {
                    (Some(text), Some(n)) => {
                        let skip = usize::try_from(n).unwrap_or(usize::MAX);
                        let rest: Vec<u8> = text.iter().copied().skip(skip).collect();
                        if rest.is_empty() {
                            self.report(Diagnostic::warning(
                                codes::UNNECESSARY,
                                "literal string will always be empty",
                                span,
                                format!("skips all {} characters", text.len()),
                            ));
                        }
                        let size = u32::try_from(rest.len() + 1).unwrap_or(u32::MAX);
                        Expr::new(ExprKind::Str(rest), Type::Str(size), span)
                    }
                    _ => self.misuse(op, &left, &right, span),
                }
            }
            _ => self.others(op, left, right, span),
        }
    }

    fn numbers(&mut self, op: ast::BinaryOp, left: Expr, right: Expr, span: Span) -> Expr {
        let (a_flexible, b_flexible) = (fold::is_flexible(&left), fold::is_flexible(&right));
        let (a, b) = (left.ty.is_signed(), right.ty.is_signed());
        // A literal's sign follows its neighbour.
        let is_signed = match (a_flexible, b_flexible) {
            (true, false) => b,
            (false, true) => a,
            (true, true) => true,
            (false, false) => a || b,
        };
        let is_shift = matches!(op, ast::BinaryOp::ShiftLeft | ast::BinaryOp::ShiftRight);
        let is_signed = if is_shift {
            a && !(a_flexible && !b && !b_flexible)
        } else {
            is_signed
        };
        let operator = machine_operator(op, is_signed);
        let ty = if op.is_comparison() {
            Type::Bool
        } else if is_signed || op == ast::BinaryOp::Subtract {
            I64
        } else {
            U64
        };
        if let (Some(x), Some(y)) = (left.as_int(), right.as_int()) {
            return self.fold_numbers(op, operator, (x, y), (a_flexible && b_flexible, ty), span);
        }
        if matches!(op, ast::BinaryOp::Divide | ast::BinaryOp::Remainder)
            && right.as_int() == Some(0)
        {
            return self.literal_zero_divisor(right.span);
        }
        let wide = |e: Expr| {
            let ty = if e.ty.is_signed() { I64 } else { U64 };
            convert(e, &ty)
        };
        let (left, right) = (Box::new(wide(left)), Box::new(wide(right)));
        let kind = ExprKind::Binary {
            op: operator,
            left,
            right,
        };
        Expr::new(kind, ty, span)
    }

    fn literal_zero_divisor(&mut self, span: Span) -> Expr {
        self.report(
            Diagnostic::error(
                codes::BAD_OPERAND,
                "unable to fold literals due to overflow or underflow",
                span,
                "always zero",
            )
            .help("divide by something that can be other than zero"),
        );
        Expr::new(ExprKind::Zero, Type::Error, span)
    }

    fn fold_numbers(
        &mut self,
        op: ast::BinaryOp,
        operator: BinaryOp,
        (x, y): (i64, i64),
        (both_flexible, ty): (bool, Type),
        span: Span,
    ) -> Expr {
        let Some(value) = fold::binary(operator, x, y) else {
            return self.literal_zero_divisor(span);
        };
        if op.is_comparison() {
            return Expr::int(value, Type::Bool, span);
        }
        if overflows(op, x, y, &ty) {
            // Literals that only fit unsigned are still right there.
            let unsigned = x >= 0 && y >= 0 && !overflows(op, x, y, &U64);
            if unsigned {
                return Expr::int(value, U64, span);
            }
            self.report(Diagnostic::error(
                codes::BAD_OPERAND,
                "unable to fold literals due to overflow or underflow",
                span,
                "does not fit into 64 bits",
            ));
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        let ty = if both_flexible && op == ast::BinaryOp::ShiftLeft && x >= 0 {
            fold::literal_type(value.cast_unsigned())
        } else if both_flexible || ty == I64 {
            fold::signed_type(value).unwrap_or(I64)
        } else {
            ty
        };
        Expr::int(value, ty, span)
    }

    fn pointers(&mut self, op: ast::BinaryOp, left: Expr, right: Expr, span: Span) -> Expr {
        if op.is_comparison() {
            let is_fine = |ty: &Type| {
                matches!(
                    ty,
                    Type::Pointer(..) | Type::Int(_) | Type::Bool | Type::KernelSymbol
                )
            };
            if !is_fine(&left.ty) || !is_fine(&right.ty) {
                return self.mismatch(op, &left, &right, span);
            }
            self.warn_pointers(&left, &right, span);
            let kind = ExprKind::Binary {
                op: machine_operator(op, false),
                left: Box::new(left),
                right: Box::new(right),
            };
            return Expr::new(kind, Type::Bool, span);
        }
        let (pointer, offset) = match (&left.ty, &right.ty, op) {
            (Type::Pointer(..), Type::Int(_), ast::BinaryOp::Add | ast::BinaryOp::Subtract) => {
                (left, right)
            }
            (Type::Int(_), Type::Pointer(..), ast::BinaryOp::Add) => (right, left),
            _ => return self.misuse(op, &left, &right, span),
        };
        let Type::Pointer(to, _) = &pointer.ty else {
            return self.misuse(op, &pointer, &offset, span);
        };
        let scale = i64::from(to.size().max(1));
        let wide = if offset.ty.is_signed() { I64 } else { U64 };
        let offset = convert(offset, &wide);
        let at = offset.span;
        let scaled = match offset.as_int() {
            Some(n) => Expr::int(n.wrapping_mul(scale), wide, at),
            None if scale == 1 => offset,
            None => Expr::new(
                ExprKind::Binary {
                    op: BinaryOp::Multiply,
                    left: Box::new(offset),
                    right: Box::new(Expr::int(scale, wide.clone(), at)),
                },
                wide,
                at,
            ),
        };
        let ty = pointer.ty.clone();
        let kind = ExprKind::Binary {
            op: machine_operator(op, false),
            left: Box::new(pointer),
            right: Box::new(scaled),
        };
        Expr::new(kind, ty, span)
    }

    /// Warns of a comparison of pointers to different things, or into different memories.
    fn warn_pointers(&mut self, left: &Expr, right: &Expr, span: Span) {
        let (Type::Pointer(a, one), Type::Pointer(b, other)) = (&left.ty, &right.ty) else {
            return;
        };
        if a != b {
            self.report(
                Diagnostic::warning(
                    codes::UNNECESSARY,
                    format!("comparison of distinct pointer types: {a}, {b}"),
                    span,
                    "addresses of different things",
                )
                .label(left.span, format!("left ({a})"))
                .label(right.span, format!("right ({b})")),
            );
        }
        if (*one == crate::types::Space::User) != (*other == crate::types::Space::User) {
            self.report(
                Diagnostic::warning(
                    codes::SPACES,
                    "Addrspace mismatch",
                    span,
                    "one is a kernel address, the other a user address",
                )
                .help("`kptr()` and `uptr()` say which memory an address is of"),
            );
        }
    }

    /// Texts, arrays, tuples, symbols: equal or not.
    fn others(&mut self, op: ast::BinaryOp, left: Expr, right: Expr, span: Span) -> Expr {
        if !op.is_comparison() {
            return self.misuse(op, &left, &right, span);
        }
        let is_equality = matches!(op, ast::BinaryOp::Equal | ast::BinaryOp::NotEqual);
        if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
            let cut = |t: &[u8]| {
                t.iter()
                    .copied()
                    .take_while(|c| *c != 0)
                    .collect::<Vec<u8>>()
            };
            let order = cut(a).cmp(&cut(b));
            let value = match op {
                ast::BinaryOp::Equal => order.is_eq(),
                ast::BinaryOp::NotEqual => order.is_ne(),
                ast::BinaryOp::Less => order.is_lt(),
                ast::BinaryOp::LessEqual => order.is_le(),
                ast::BinaryOp::Greater => order.is_gt(),
                _ => order.is_ge(),
            };
            return Expr::int(i64::from(value), Type::Bool, span);
        }
        // Of a text that travels as a number only a literal can be found among the numbers.
        let is_numbered = |e: &Expr| matches!(e.ty, Type::Site | Type::TextNumber);
        let (left, right) = if is_numbered(&right) && left.as_str().is_some() {
            (right, left)
        } else {
            (left, right)
        };
        let is_among_numbers = is_numbered(&left) && right.as_str().is_some();
        let (left, right) = if is_among_numbers {
            (left, right)
        } else {
            (spelled_out(left), spelled_out(right))
        };
        let is_scalar = |ty: &Type| {
            matches!(
                ty,
                Type::KernelSymbol | Type::Username | Type::Int(_) | Type::Bool | Type::Enum(_)
            )
        };
        let fits = match (&left.ty, &right.ty) {
            (Type::Str(_), Type::Str(_)) => true,
            (Type::Array(a, n), Type::Array(b, m)) => a == b && n == m,
            (Type::Tuple(_), Type::Tuple(_)) | (Type::Record(_), Type::Record(_)) => {
                promote((&left.ty, false), (&right.ty, false)).is_some()
            }
            (Type::Inet, Type::Inet) | (Type::Mac, Type::Mac) => true,
            (Type::Buffer(a), Type::Buffer(b)) => a == b,
            (Type::Stack(a), Type::Stack(b)) => a == b,
            (Type::UserSymbol, Type::UserSymbol) => true,
            _ if is_among_numbers => true,
            (a, b) => is_scalar(a) && is_scalar(b),
        };
        // Records are compared by name, whatever their order.
        let (left, right) = match (&left.ty, &right.ty) {
            (Type::Record(_), Type::Record(_)) if left.ty != right.ty && fits => {
                let joined = promote((&left.ty, false), (&right.ty, false));
                let ty = joined.map_or(Type::Error, |(ty, _)| ty);
                (convert(left, &ty), convert(right, &ty))
            }
            _ => (left, right),
        };
        if !fits || !is_equality {
            let kinds_differ =
                std::mem::discriminant(&left.ty) != std::mem::discriminant(&right.ty);
            if let (Type::Array(..), Type::Array(..)) = (&left.ty, &right.ty)
                && !fits
            {
                let message = "Only arrays of same size support comparison operators.";
                let here = "their elements or their numbers of elements differ";
                self.report(
                    Diagnostic::error(codes::BAD_OPERAND, message, span, here)
                        .label(left.span, format!("`{}`", left.ty))
                        .label(right.span, format!("`{}`", right.ty))
                        .help("compare element by element, or `memcmp()` as many bytes"),
                );
                return Expr::new(ExprKind::Zero, Type::Error, span);
            }
            if kinds_differ || !fits {
                return self.mismatch(op, &left, &right, span);
            }
            return self.misuse(op, &left, &right, span);
        }
        let kind = ExprKind::Binary {
            op: machine_operator(op, false),
            left: Box::new(left),
            right: Box::new(right),
        };
        Expr::new(kind, Type::Bool, span)
    }

    fn mismatch(&mut self, op: ast::BinaryOp, left: &Expr, right: &Expr, span: Span) -> Expr {
        self.report(
            Diagnostic::error(
                codes::BAD_OPERAND,
                format!(
                    "Type mismatch for '{}': comparing {} with {}",
                    op.symbol(),
                    left.ty,
                    right.ty
                ),
                span,
                "these cannot be compared",
            )
            .label(left.span, format!("`{}`", left.ty))
            .label(right.span, format!("`{}`", right.ty)),
        );
        Expr::new(ExprKind::Zero, Type::Error, span)
    }

    fn misuse(&mut self, op: ast::BinaryOp, left: &Expr, right: &Expr, span: Span) -> Expr {
        self.report(
            Diagnostic::error(
                codes::BAD_OPERAND,
                format!(
                    "The {} operator can not be used on expressions of types {}, {}",
                    op.symbol(),
                    left.ty,
                    right.ty
                ),
                span,
                "not defined for these",
            )
            .label(left.span, format!("`{}`", left.ty))
            .label(right.span, format!("`{}`", right.ty)),
        );
        Expr::new(ExprKind::Zero, Type::Error, span)
    }
}

/// Whether the exact result of literals does not fit into the type it is computed in.
fn overflows(op: ast::BinaryOp, x: i64, y: i64, ty: &Type) -> bool {
    let exact = |x: i128, y: i128| match op {
        ast::BinaryOp::Add => Some(x + y),
        ast::BinaryOp::Subtract => Some(x - y),
        ast::BinaryOp::Multiply => x.checked_mul(y),
        // Only counts that are too large are mistakes: bits may be shifted out.
        ast::BinaryOp::ShiftLeft | ast::BinaryOp::ShiftRight => (0..64).contains(&y).then_some(0),
        _ => Some(0),
    };
    if ty.is_signed() {
        let value = exact(i128::from(x), i128::from(y));
        value.is_none_or(|v| i64::try_from(v).is_err())
    } else {
        let value = exact(i128::from(x.cast_unsigned()), i128::from(y.cast_unsigned()));
        value.is_none_or(|v| u64::try_from(v).is_err())
    }
}

fn machine_operator(op: ast::BinaryOp, is_signed: bool) -> BinaryOp {
    use ast::BinaryOp as A;
    let pick = |signed, unsigned| if is_signed { signed } else { unsigned };
    match op {
        A::Add => BinaryOp::Add,
        A::Subtract => BinaryOp::Subtract,
        A::Multiply => BinaryOp::Multiply,
        A::Divide => pick(BinaryOp::SignedDivide, BinaryOp::Divide),
        A::Remainder => pick(BinaryOp::SignedRemainder, BinaryOp::Remainder),
        A::ShiftLeft => BinaryOp::ShiftLeft,
        A::ShiftRight => pick(BinaryOp::ArithmeticShiftRight, BinaryOp::ShiftRight),
        A::Less => pick(BinaryOp::SignedLess, BinaryOp::Less),
        A::LessEqual => pick(BinaryOp::SignedLessEqual, BinaryOp::LessEqual),
        A::Greater => pick(BinaryOp::SignedGreater, BinaryOp::Greater),
        A::GreaterEqual => pick(BinaryOp::SignedGreaterEqual, BinaryOp::GreaterEqual),
        A::Equal => BinaryOp::Equal,
        A::NotEqual => BinaryOp::NotEqual,
        A::BitAnd | A::And => BinaryOp::And,
        A::BitXor => BinaryOp::Xor,
        A::BitOr | A::Or => BinaryOp::Or,
    }
}
