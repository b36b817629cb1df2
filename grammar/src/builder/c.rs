//! Nodes of C definitions.

use super::{Builder, TallExpr};
use crate::ast::*;
use crate::source::{Span, Spanned};

/// `struct` or `union` with the attributes behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordHead {
    start: usize,
    kind: RecordKind,
    attributes: Attributes,
}

/// What one C declarator adds to the type in front of it.
#[derive(Clone, Debug)]
pub(crate) struct Declarator {
    name: Option<Name>,
    pointers: u32,
    dimensions: Vec<Expr>,
    is_function_pointer: bool,
    bits: Option<Expr>,
    attributes: Attributes,
    span: Span,
}

impl Builder<'_> {
    pub(crate) fn c_record(
        &mut self,
        head: RecordHead,
        name: Option<Name>,
        fields: Vec<CField>,
        attributes: Attributes,
        r: usize,
    ) -> CRecord {
        CRecord {
            kind: head.kind,
            name,
            fields,
            attributes: head.attributes.and(attributes),
            span: self.span(head.start, r),
        }
    }

    pub(crate) fn c_enum(
        &mut self,
        l: usize,
        name: Option<Name>,
        variants: Vec<(Name, Option<TallExpr>)>,
        r: usize,
    ) -> CEnum {
        let variants = variants.into_iter();
        CEnum {
            name,
            variants: variants.map(|(n, e)| (n, e.map(|e| e.node))).collect(),
            span: self.span(l, r),
        }
    }

    pub(crate) fn c_named(&mut self, l: usize, words: String, r: usize) -> Spanned<CBase> {
        let name = self.spanned(l, words, r);
        let span = name.span;
        Spanned::new(CBase::Named(name), span)
    }

    pub(crate) fn c_tagged(&mut self, head: RecordHead, name: Name) -> Spanned<CBase> {
        let span = self.span(head.start, name.span.end as usize);
        let kind = match head.kind {
            RecordKind::Struct => TagKind::Struct,
            RecordKind::Union => TagKind::Union,
        };
        Spanned::new(CBase::Tagged(kind, name), span)
    }

    pub(crate) fn c_enum_tagged(&mut self, l: usize, name: Name) -> Spanned<CBase> {
        let span = self.span(l, name.span.end as usize);
        Spanned::new(CBase::Tagged(TagKind::Enum, name), span)
    }

    pub(crate) fn c_fields(&mut self, base: Spanned<CBase>, all: Vec<Declarator>) -> Vec<CField> {
        let field = |d: Declarator| CField {
            name: d.name,
            base: base.node.clone(),
            pointers: d.pointers,
            dimensions: d.dimensions,
            is_function_pointer: d.is_function_pointer,
            bits: d.bits,
            attributes: d.attributes,
            span: base.span.to(d.span),
        };
        all.into_iter().map(field).collect()
    }

    /// A member without a declarator: an anonymous struct or union.
    pub(crate) fn c_anonymous(&mut self, base: Spanned<CBase>) -> Vec<CField> {
        let nothing = Declarator {
            name: None,
            pointers: 0,
            dimensions: Vec::new(),
            is_function_pointer: false,
            bits: None,
            attributes: Attributes::default(),
            span: base.span,
        };
        self.c_fields(base, vec![nothing])
    }

    pub(crate) fn typedefs(&mut self, base: Spanned<CBase>, all: Vec<Declarator>) -> Vec<CItem> {
        let fields = self.c_fields(base, all).into_iter();
        let typedef = |field: CField| {
            let name = field.name.clone()?;
            Some(CItem::Typedef { name, field })
        };
        fields.filter_map(typedef).collect()
    }

    pub(crate) fn declarator(
        &mut self,
        l: usize,
        pointers: u32,
        name: Name,
        dimensions: Vec<Expr>,
        (bits, attributes): (Option<TallExpr>, Attributes),
        r: usize,
    ) -> Declarator {
        Declarator {
            name: Some(name),
            pointers,
            dimensions,
            is_function_pointer: false,
            bits: bits.map(|e| e.node),
            attributes,
            span: self.span(l, r),
        }
    }

    pub(crate) fn function_pointer(
        &mut self,
        l: usize,
        pointers: u32,
        name: Name,
        r: usize,
    ) -> Declarator {
        Declarator {
            name: Some(name),
            pointers,
            dimensions: Vec::new(),
            is_function_pointer: true,
            bits: None,
            attributes: Attributes::default(),
            span: self.span(l, r),
        }
    }

    /// `int : 3`: bits without a name.
    pub(crate) fn padding_bits(&mut self, l: usize, bits: TallExpr, r: usize) -> Declarator {
        Declarator {
            name: None,
            pointers: 0,
            dimensions: Vec::new(),
            is_function_pointer: false,
            bits: Some(bits.node),
            attributes: Attributes::default(),
            span: self.span(l, r),
        }
    }

    /// The length of `[]`.
    pub(crate) fn no_length(&mut self, l: usize, r: usize) -> Expr {
        Expr::new(ExprKind::Int(0), self.span(l, r))
    }
}

pub(crate) fn record_head(start: usize, kind: RecordKind, attributes: Attributes) -> RecordHead {
    RecordHead {
        start,
        kind,
        attributes,
    }
}

pub(crate) fn c_record_base(record: CRecord) -> Spanned<CBase> {
    let span = record.span;
    Spanned::new(CBase::Record(Box::new(record)), span)
}

pub(crate) fn c_enum_base(definition: CEnum) -> Spanned<CBase> {
    let span = definition.span;
    Spanned::new(CBase::Enum(Box::new(definition)), span)
}
