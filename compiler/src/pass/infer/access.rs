//! Fields, elements, maps: how a piece of something is reached.

use super::Infer;
use super::expr::{part, tuple};
use super::promote::promote;
use crate::hir::{BinaryOp, Expr, ExprKind, MapIndex};
use crate::pass::convert::{convert, spelled_out};
use crate::pass::fold;
use crate::types::{Encoding, Field, I8, I64, Space, StructRef, Type, U64};
use crate::vocabulary::Needs;
use rbt_grammar::ast;
use rbt_grammar::{Diagnostic, Span, codes};
use std::rc::Rc;

impl Infer<'_, '_> {
    /// `args`: all of the probe's arguments.
    pub(super) fn arguments(&mut self, span: Span) -> Expr {
        self.needs = self.needs.and(Needs {
            arguments: true,
            ..Needs::default()
        });
        let Some(arguments) = self.probe().arguments.clone() else {
            if self.is_guess {
                return Expr::new(ExprKind::Zero, Type::Error, span);
            }
            let probe = self.probe().provider.name();
            let is_special = self.probe().when != crate::artifact::When::Attached;
            let probe = if is_special { "special" } else { probe };
            self.report(
                Diagnostic::error(
                    codes::NOT_OFFERED,
                    format!(
                        "The args builtin can only be used with tracepoint, rawtracepoint, \
                         fentry/fexit, and uprobe probes ({probe} used here)"
                    ),
                    span,
                    "this probe has no named arguments",
                )
                .help("`rbt -lv PROBE` shows the arguments of a probe"),
            );
            return Expr::new(ExprKind::Zero, Type::Error, span);
        };
        let ty = Type::Struct(arguments);
        let whole = Field {
            name: Rc::from("args"),
            offset: 0,
            ty: ty.clone(),
            bits: None,
            encoding: Encoding::Plain,
        };
        Expr::new(ExprKind::Argument(whole), ty, span)
    }

    pub(super) fn field(&mut self, base: &ast::Expr, name: &ast::Name, span: Span) -> Expr {
        let base = self.expr(base);
        match &base.ty {
            Type::Error | Type::Unknown => Expr::new(ExprKind::Zero, base.ty, span),
            Type::Pointer(to, space) => {
                let Type::Struct(record) = &**to else {
                    return self.no_field(&base, name, span);
                };
                let (record, space) = (record.clone(), *space);
                let Some(field) = self.input.types.find_field(&record, &name.node, space) else {
                    return self.unknown_field(&record, &name.node, name.span);
                };
                Expr::new(
                    ExprKind::Memory {
                        address: Box::new(base),
                        offset: i64::from(field.offset),
                        space,
                        bits: field.bits,
                        encoding: field.encoding,
                    },
                    field.ty,
                    span,
                )
            }
            Type::Struct(record) => {
                let space = match &base.kind {
                    ExprKind::Memory { space, .. } => *space,
                    _ => Space::Kernel,
                };
                let record = record.clone();
                let Some(field) = self.input.types.find_field(&record, &name.node, space) else {
                    return self.unknown_field(&record, &name.node, name.span);
                };
                if let (ExprKind::Argument(whole), false) =
                    (&base.kind, field.encoding == Encoding::Plain)
                {
                    let offset = whole.offset.saturating_add(field.offset);
                    let ty = field.ty.clone();
                    let field = Field { offset, ..field };
                    return Expr::new(ExprKind::Argument(field), ty, span);
                }
                part(base, field.offset, field.bits, field.ty, span)
            }
            Type::Record(fields) => {
                let found = fields.iter().position(|(n, _)| **n == *name.node);
                match found.and_then(|index| u32::try_from(index).ok()) {
                    Some(index) => self.element_of_tuple(base, index, span),
                    None => {
                        let message =
                            format!("Record does not contain a field named '{}'", name.node);
                        let fields: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
                        let near = crate::nearest::nearest(&name.node, fields.iter().copied());
                        let help = match near {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("its fields are {}", fields.join(", ")),
                        };
                        let here = "no such field";
                        self.report(
                            Diagnostic::error(codes::UNKNOWN_FIELD, message, name.span, here)
                                .help(help),
                        );
                        Expr::new(ExprKind::Zero, Type::Error, span)
                    }
                }
            }
            _ => self.no_field(&base, name, span),
        }
    }

    fn no_field(&mut self, base: &Expr, name: &ast::Name, span: Span) -> Expr {
        let mut diagnostic = Diagnostic::error(
            codes::UNKNOWN_FIELD,
            format!(
                "Can not access field '{}' on expression of type '{}'",
                name.node, base.ty
            ),
            name.span,
            "only structs and records have fields",
        );
        if matches!(base.ty, Type::Int(_)) {
            diagnostic =
                diagnostic.help("cast the address first: `((struct task_struct *)x)->pid`");
        }
        self.report(diagnostic);
        Expr::new(ExprKind::Zero, Type::Error, span)
    }

    pub(super) fn unknown_field(&mut self, record: &StructRef, name: &str, span: Span) -> Expr {
        let is_arguments = matches!(record.origin, crate::types::Origin::Probe(_));
        let message = if is_arguments && crate::structs::is_common_field(name) {
            String::from("BPF does not support accessing common tracepoint fields")
        } else if is_arguments {
            format!("Can't find function parameter {name}")
        } else {
            let keyword = if record.is_union { "union" } else { "struct" };
            format!(
                "Struct/union of type '{keyword} {}' does not contain a field named '{name}'",
                record.name
            )
        };
        let mut diagnostic =
            Diagnostic::error(codes::UNKNOWN_FIELD, message, span, "no such member");
        if is_arguments {
            let probe = self.probe().place.text.clone();
            diagnostic = diagnostic.note(format!("the arguments are those of `{probe}`"));
        }
        if let Some(near) = self.input.types.nearest_field(record, name) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if is_arguments {
            let names = self.input.types.field_names(record);
            if !names.is_empty() {
                diagnostic = diagnostic.note(format!("its members: {}", names.join(", ")));
            }
        }
        self.report(diagnostic);
        Expr::new(ExprKind::Zero, Type::Error, span)
    }

    /// `base[i]` for everything but maps.
    pub(super) fn index(&mut self, base: &ast::Expr, indices: &[ast::Expr], span: Span) -> Expr {
        let base = spelled_out(self.expr(base));
        let [index] = indices else {
            self.report(Diagnostic::error(
                codes::BAD_OPERAND,
                "only maps take several keys",
                span,
                "one index is expected",
            ));
            return Expr::new(ExprKind::Zero, Type::Error, span);
        };
        let index = self.expr(index);
        let index = self.as_integer_if_aggregate(index);
        if base.ty.is_absorbing() || index.ty.is_absorbing() {
            let ty = if base.ty == Type::Error || index.ty == Type::Error {
                Type::Error
            } else {
                Type::Unknown
            };
            return Expr::new(ExprKind::Zero, ty, span);
        }
        if !index.ty.is_integer() {
            self.report(Diagnostic::error(
                codes::BAD_OPERAND,
                "The array index operator [] expects an integer index",
                index.span,
                format!("this is `{}`", index.ty),
            ));
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        let constant = index.as_int();
        match base.ty.clone() {
            Type::Tuple(_) | Type::Record(_) => {
                match constant.and_then(|n| u32::try_from(n).ok()) {
                    Some(n) => self.element_of_tuple(base, n, span),
                    None => {
                        self.report(Diagnostic::error(
                            codes::BAD_OPERAND,
                            "the index of a tuple must be a literal",
                            index.span,
                            "only known at run time",
                        ));
                        Expr::new(ExprKind::Zero, Type::Error, span)
                    }
                }
            }
            Type::Array(element, count) => {
                self.array_element(base, index, (*element).clone(), count, span)
            }
            Type::Str(capacity) => {
                if let (Some(text), Some(n)) = (base.as_str(), constant)
                    && (0..i64::from(capacity)).contains(&n)
                {
                    let at = usize::try_from(n).unwrap_or(usize::MAX);
                    let byte = text.get(at).copied().unwrap_or(0);
                    return Expr::int(i64::from(byte.cast_signed()), I8, span);
                }
                self.array_element(base, index, I8, capacity, span)
            }
            Type::Pointer(to, space) => {
                let element = (*to).clone();
                self.behind(base, 0, space, index, element, span)
            }
            other => {
                self.report(Diagnostic::error(
                    codes::BAD_OPERAND,
                    format!(
                        "The array index operator [] can only be used on arrays, pointers, \
                         and tuples, found {other}."
                    ),
                    base.span,
                    "not an array",
                ));
                Expr::new(ExprKind::Zero, Type::Error, span)
            }
        }
    }

    fn array_element(
        &mut self,
        base: Expr,
        index: Expr,
        element: Type,
        count: u32,
        span: Span,
    ) -> Expr {
        let stride = element.size();
        if let Some(n) = index.as_int() {
            let n = u32::try_from(n).unwrap_or(u32::MAX);
            // A flexible array member has no bounds of its own.
            if n >= count && count > 0 {
                self.report(Diagnostic::error(
                    codes::BAD_OPERAND,
                    format!("the index {n} is out of bounds for array of size {count}"),
                    index.span,
                    format!("the last element is number {}", count.saturating_sub(1)),
                ));
                return Expr::new(ExprKind::Zero, Type::Error, span);
            }
            return part(base, n.saturating_mul(stride), None, element, span);
        }
        match base.kind {
            ExprKind::Memory {
                address,
                offset,
                space,
                bits: None,
                encoding: Encoding::Plain,
            } => self.behind(*address, offset, space, index, element, span),
            kind => {
                if matches!(kind, ExprKind::Argument(_)) {
                    self.needs.arguments_in_memory = true;
                }
                if !element.is_scalar() {
                    self.report(Diagnostic::error(
                        codes::BAD_OPERAND,
                        "an element that is no integer needs an index that is a literal",
                        index.span,
                        "only known at run time",
                    ));
                    return Expr::new(ExprKind::Zero, Type::Error, span);
                }
                let of = Expr::new(kind, base.ty, base.span);
                Expr::new(
                    ExprKind::Element {
                        of: Box::new(of),
                        index: Box::new(index),
                        stride,
                        count,
                    },
                    element,
                    span,
                )
            }
        }
    }

    /// The element at `index` of those behind an address.
    fn behind(
        &mut self,
        address: Expr,
        offset: i64,
        space: Space,
        index: Expr,
        element: Type,
        span: Span,
    ) -> Expr {
        let stride = i64::from(element.size().max(1));
        let (address, offset) = match index.as_int() {
            Some(n) => (address, offset.wrapping_add(n.wrapping_mul(stride))),
            None => {
                let wide = if index.ty.is_signed() { I64 } else { U64 };
                let index = convert(index, &wide);
                let at = index.span;
                let distance = ExprKind::Binary {
                    op: BinaryOp::Multiply,
                    left: Box::new(index),
                    right: Box::new(Expr::int(stride, wide.clone(), at)),
                };
                let distance = Expr::new(distance, wide, at);
                let ty = address.ty.clone();
                let sum = ExprKind::Binary {
                    op: BinaryOp::Add,
                    left: Box::new(address),
                    right: Box::new(distance),
                };
                (Expr::new(sum, ty, span), offset)
            }
        };
        Expr::new(
            ExprKind::Memory {
                address: Box::new(address),
                offset,
                space,
                bits: None,
                encoding: Encoding::Plain,
            },
            element,
            span,
        )
    }

    pub(super) fn address_of(&mut self, operand: &ast::Expr, span: Span) -> Expr {
        if let ast::ExprKind::Map(name) = &operand.kind {
            // The address of the map's own object, whatever its keys are.
            let map = self.map_number(name, operand.span);
            if !self.map(map).is_keyed {
                self.map_key(map, &[], operand.span);
            }
            let ty = match self.map_value_type(map) {
                Type::Aggregate(_) => U64,
                ty => ty,
            };
            let ty = Type::Pointer(Rc::new(ty), Space::Kernel);
            return Expr::new(ExprKind::Map(map), ty, span);
        }
        let value = self.expr(operand);
        if value.ty.is_absorbing() {
            return value;
        }
        if let ExprKind::Variable(id) = value.kind {
            let variable = self.variable(id);
            variable.is_addressed = true;
        } else {
            self.report(Diagnostic::error(
                codes::BAD_OPERAND,
                format!(
                    "The & operator can not be used on expressions of type '{}'",
                    value.ty
                ),
                span,
                "only scratch variables and whole maps have an address",
            ));
            return Expr::new(ExprKind::Zero, Type::Error, span);
        }
        let ty = Type::Pointer(Rc::new(value.ty.clone()), Space::Kernel);
        Expr::new(ExprKind::AddressOf(Box::new(value)), ty, span)
    }

    /// A map's value.
    pub(super) fn map_read(&mut self, name: &str, indices: &[ast::Expr], span: Span) -> Expr {
        let map = self.map_number(name, span);
        let key = self.map_key(map, indices, span);
        let ty = self.map_value_type(map);
        let kind = ExprKind::MapValue {
            map,
            key: key.map(Box::new),
        };
        Expr::new(kind, ty, span)
    }

    /// The key of an access, joined into the map's key type.
    pub(super) fn map_key(
        &mut self,
        map: MapIndex,
        indices: &[ast::Expr],
        at: Span,
    ) -> Option<Expr> {
        let mut keys: Vec<Expr> = indices.iter().map(|key| self.key_part(key)).collect();
        let facts = self.map(map);
        let (name, first) = (facts.name.clone(), facts.span);
        if keys.is_empty() {
            if facts.is_keyed {
                self.report(
                    Diagnostic::error(
                        codes::MAP_KEY,
                        format!(
                            "@{name} used as a map without an explicit key (scalar map), \
                             previously used with an explicit key (non-scalar map)"
                        ),
                        at,
                        "no key here",
                    )
                    .label(first, "with a key")
                    .help(format!("write `@{name}[key]`")),
                );
            } else if !facts.is_scalar {
                facts.is_scalar = true;
                self.changed = true;
            }
            return None;
        }
        if facts.is_scalar {
            self.report(
                Diagnostic::error(
                    codes::MAP_KEY,
                    format!(
                        "@{name} used as a map with an explicit key (non-scalar map), previously \
                         used without an explicit key (scalar map)"
                    ),
                    at,
                    "a key here",
                )
                .label(first, "without a key")
                .help("use another map"),
            );
            return None;
        }
        if !facts.is_keyed {
            facts.is_keyed = true;
            self.changed = true;
        }
        let key = if keys.len() == 1 {
            keys.swap_remove(0)
        } else {
            tuple(keys, at)
        };
        self.join_key(map, key)
    }

    /// A key that is an argument of its own, joined into the map's key type.
    pub(super) fn key_of(&mut self, map: MapIndex, key: &ast::Expr) -> Expr {
        let key = self.key_part(key);
        if self.map(map).is_scalar {
            return key;
        }
        let span = key.span;
        self.join_key(map, key)
            .unwrap_or_else(|| Expr::new(ExprKind::Zero, Type::Error, span))
    }

    /// Joins a key's type into the map's; gives the key as that type.
    pub(super) fn join_key(&mut self, map: MapIndex, key: Expr) -> Option<Expr> {
        if key.ty.is_absorbing() {
            return Some(key);
        }
        let flexible = fold::is_flexible(&key);
        let facts = self.map(map);
        let (name, first) = (facts.name.clone(), facts.span);
        let old = facts.key.clone().unwrap_or(Type::Unknown);
        let old_flexible = facts.key_is_flexible || old == Type::Unknown;
        match promote((&old, old_flexible), (&key.ty, flexible)) {
            Some((ty, is_flexible)) => {
                let is_new =
                    facts.key.as_ref() != Some(&ty) || facts.key_is_flexible != is_flexible;
                facts.key = Some(ty.clone());
                facts.key_is_flexible = is_flexible;
                self.changed |= is_new;
                Some(convert(key, &ty))
            }
            None => {
                self.report(
                    Diagnostic::error(
                        codes::MAP_KEY,
                        format!(
                            "Argument mismatch for @{name}: trying to access with arguments: \
                             '{}' when map expects arguments: '{old}'",
                            key.ty
                        ),
                        key.span,
                        format!("`{}` here", key.ty),
                    )
                    .label(first, format!("`{old}` here"))
                    .help("use another map for the other kind of key"),
                );
                None
            }
        }
    }

    fn key_part(&mut self, key: &ast::Expr) -> Expr {
        let value = self.expr(key);
        let value = self.as_integer_if_aggregate(value);
        let is_bad = match &value.ty {
            Type::Aggregate(a) => Some(format!("{}_t cannot be part of a map key", a.word)),
            Type::Void => Some(String::from("a map key must have a value")),
            Type::Struct(s) if matches!(s.origin, crate::types::Origin::Probe(_)) => {
                Some(String::from("context cannot be part of a map key"))
            }
            _ => None,
        };
        if let Some(message) = is_bad {
            self.report(Diagnostic::error(
                codes::MAP_KEY,
                message,
                value.span,
                format!("`{}` here", value.ty),
            ));
            return Expr {
                ty: Type::Error,
                ..value
            };
        }
        value
    }
}
