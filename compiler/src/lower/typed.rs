//! Pointers whose type the verifier knows: members behind them are plain loads.
//!
//! A builtin may offer its value as such a pointer, and a pointer to a kernel struct that is
//! loaded from behind one is one again: `curtask.real_parent.tgid` is three loads where the
//! probe-read helper would be called twice. The verifier allows little else with them, so they
//! are never the value of an expression; and what it may refuse to load, bit-fields and what
//! tags put elsewhere, is read by the helper as ever.

use super::Builder;
use crate::hir::{Expr, ExprKind};
use crate::ir::{Operand, Size};
use crate::types::{Encoding, Origin, Space, Type};

impl Builder<'_> {
    /// The pointer that an expression is, if the verifier can know its type.
    pub(super) fn typed_pointer(&mut self, expr: &Expr) -> Option<Operand> {
        // A load that fails gives zero and tells nobody; `-k` wants to be told.
        if self.plan.reports_reads || !points_to_kernel_struct(&expr.ty) {
            return None;
        }
        match &expr.kind {
            ExprKind::Builtin { word, .. } => word.0.lower_typed(self),
            ExprKind::Block(statements, value) if statements.is_empty() => {
                self.typed_pointer(value)
            }
            ExprKind::Convert(inner) if pointee(&inner.ty) == pointee(&expr.ty) => {
                self.typed_pointer(inner)
            }
            ExprKind::Memory {
                address,
                offset,
                space: Space::Kernel,
                bits: None,
                encoding: Encoding::Plain,
            } => {
                let base = self.typed_pointer(address)?;
                let value = self.read_scalar(base, *offset, Size::B8, Space::Direct);
                Some(Operand::Reg(value))
            }
            _ => None,
        }
    }
}

fn pointee(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Pointer(to, Space::Kernel) => Some(to),
        _ => None,
    }
}

/// Of the kernel's own definition: a script's may lay it out otherwise.
fn points_to_kernel_struct(ty: &Type) -> bool {
    let Some(Type::Struct(record)) = pointee(ty) else {
        return false;
    };
    matches!(record.origin, Origin::Kernel(_)) && record.size > 0
}
