//! Types as written.

use super::Infer;
use crate::hir::{Expr, ExprKind};
use crate::types::{Space, Type, U8, U64};
use rbt_grammar::ast::{self, TypeBase, TypeName, TypeOrExpr, TypeSuffix};
use rbt_grammar::{Diagnostic, Span, codes};
use std::rc::Rc;

impl Infer<'_, '_> {
    /// The type a name means; unknown ones are a complaint.
    pub(super) fn type_name(&mut self, name: &TypeName) -> Type {
        let space = self.probe().space;
        let mut suffixes = name.suffixes.iter().peekable();
        let mut ty = match &name.base {
            TypeBase::Named(word) if word == "string" || word == "buffer" => {
                let capacity = match suffixes.peek() {
                    Some(TypeSuffix::Array(Some(length))) => {
                        suffixes.next();
                        self.length(length)
                    }
                    _ => u32::try_from(self.input.config.max_strlen).unwrap_or(1024),
                };
                if word == "string" {
                    Type::Str(capacity)
                } else {
                    Type::Buffer(capacity)
                }
            }
            TypeBase::Named(word) if word == "void" => Type::Void,
            TypeBase::Named(word) => match self.find_named(word, space) {
                Some(ty) => ty,
                None => return self.unknown_type(word, name.span),
            },
            TypeBase::Tagged(keyword, tag) => match self.input.types.tagged(*keyword, tag) {
                Some(ty) => ty,
                None => {
                    let word = match keyword {
                        ast::TagKind::Struct => "struct",
                        ast::TagKind::Union => "union",
                        ast::TagKind::Enum => "enum",
                    };
                    let mut diagnostic = self.unknown(&format!("{word} {tag}"), name.span);
                    if let Some(near) = self.input.types.nearest_tag(*keyword, tag) {
                        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                    }
                    self.report(diagnostic);
                    return Type::Error;
                }
            },
            TypeBase::Typeof(of) => self.type_of(of),
        };
        for suffix in suffixes {
            ty = match suffix {
                TypeSuffix::Pointer => {
                    let to = if ty == Type::Void { U8 } else { ty };
                    Type::Pointer(Rc::new(to), space)
                }
                TypeSuffix::Array(None) => Type::Array(Rc::new(ty), 0),
                TypeSuffix::Array(Some(length)) => {
                    let count = self.length(length);
                    Type::Array(Rc::new(ty), count)
                }
            };
        }
        ty
    }

    /// The type of a type, or of an expression that is not evaluated. A bare word that is no
    /// type is an expression.
    pub(super) fn type_of(&mut self, of: &TypeOrExpr) -> Type {
        match of {
            TypeOrExpr::Expr(expr) => self.expr(expr).ty,
            TypeOrExpr::Type(name) => {
                if let TypeBase::Named(word) = &name.base
                    && name.suffixes.is_empty()
                    && word != "string"
                    && word != "buffer"
                    && self.find_named(word, Space::Kernel).is_none()
                {
                    let kind = ast::ExprKind::Identifier(word.clone());
                    return self.expr(&ast::Expr::new(kind, name.span)).ty;
                }
                self.type_name(name)
            }
        }
    }

    /// `typeinfo(…)`: a record of a type's names. Types here are known by name alone, so the
    /// number in the kernel's table is zero, as bpftrace has it.
    pub(super) fn type_info(&mut self, of: &TypeOrExpr, span: Span) -> Expr {
        if let Some((is_error, message)) = self.input.config.unstable_typeinfo.complaint("typeinfo")
        {
            let help = "config = { unstable_typeinfo=enable }";
            if is_error {
                let error = Diagnostic::error(codes::UNSTABLE, message, span, "not enabled");
                self.report(error.help(help));
                return Expr::new(ExprKind::Zero, Type::Error, span);
            }
            let warning = Diagnostic::warning(codes::UNSTABLE, message, span, "may change");
            self.report(warning.help(help));
        }
        let ty = self.type_of(of);
        if ty.is_absorbing() {
            return Expr::new(ExprKind::Zero, ty, span);
        }
        let full = ty.to_string();
        let base = match &ty {
            Type::Int(_) | Type::Enum(_) => "int",
            Type::Str(_) => "string",
            Type::Buffer(_) => "buffer",
            Type::Pointer(..) => "pointer",
            Type::Array(..) => "array",
            Type::Struct(_) => "c_type",
            Type::Tuple(_) => "tuple",
            Type::Record(_) => "record",
            _ => full.as_str(),
        };
        let parts = vec![
            Expr::int(0, U64, span),
            self.text(base.as_bytes(), span),
            self.text(full.as_bytes(), span),
        ];
        let names = ["btf_id", "base_type", "full_type"];
        let types: Vec<(Rc<str>, Type)> = names
            .into_iter()
            .zip(&parts)
            .map(|(name, part)| (Rc::from(name), part.ty.clone()))
            .collect();
        Expr::new(ExprKind::Tuple(parts), Type::Record(Rc::from(types)), span)
    }

    fn find_named(&self, word: &str, space: Space) -> Option<Type> {
        use crate::types::{Int, Type as T};
        Some(match word {
            "bool" => T::Bool,
            "ksym_t" => T::KernelSymbol,
            "usym_t" => T::UserSymbol,
            "inet" => T::Inet,
            "macaddr_t" => T::Mac,
            "timestamp" => T::Timestamp,
            "cgroup_path_t" => T::CgroupPath,
            "username_t" => T::Username,
            "char" => T::Int(Int {
                size: 1,
                is_signed: true,
            }),
            _ => return self.input.types.named(word, space),
        })
    }

    /// The complaint about a type; about the machine if that keeps its types to itself.
    fn unknown(&self, name: &str, span: Span) -> Diagnostic {
        let message = format!("Cannot resolve unknown type \"{name}\"");
        match self.input.target.btf() {
            Ok(_) => Diagnostic::error(
                codes::UNKNOWN_TYPE,
                message,
                span,
                "neither the script nor the kernel defines it",
            ),
            Err(error) => Diagnostic::error(
                codes::MACHINE,
                message,
                span,
                "the script does not define it, and the kernel's types cannot be read",
            )
            .note(error.to_string())
            .help(error.help),
        }
    }

    fn unknown_type(&mut self, word: &str, span: Span) -> Type {
        let mut diagnostic = self.unknown(word, span);
        let tagged = self.input.types.tagged(ast::TagKind::Struct, word);
        if tagged.is_some() {
            diagnostic = diagnostic.help(format!("write `struct {word}`"));
        }
        self.report(diagnostic);
        Type::Error
    }

    fn length(&mut self, length: &ast::Expr) -> u32 {
        let value = self.expr(length);
        match value.as_int().and_then(|n| u32::try_from(n).ok()) {
            Some(n) => n,
            None => {
                self.report(Diagnostic::error(
                    codes::UNKNOWN_TYPE,
                    "the length of an array must be a non-negative literal",
                    length.span,
                    "not known before the script runs",
                ));
                0
            }
        }
    }
}
