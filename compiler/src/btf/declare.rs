//! Types as C writes them, for listings.
//!
//! Takes type numbers; gives text in the style of `bpftool btf dump format c`. Padding between
//! members is not shown.

use super::read::Kind;
use super::{Btf, BtfType, MOST_LINKS, TypeId};
use std::fmt::Write as _;

/// Structs inside structs that are written out.
const MOST_NESTED: usize = 16;

/// Types written for one answer: malformed ones that hold each other end here.
const MOST_TYPES: u32 = 1 << 16;

impl Btf {
    /// The declaration of `name` as something of that type: `struct file *name`,
    /// `char name[16]`, `int (*name)(void *)`. Without a name, the type alone.
    pub fn declaration(&self, id: TypeId, name: &str) -> String {
        self.declare(id, name.to_owned(), 0, MOST_LINKS, &mut MOST_TYPES.clone())
    }

    /// The definition of a struct, union or enum, a member on each line, without a `;` after
    /// the closing brace; `None` for other types.
    pub fn definition(&self, id: TypeId) -> Option<String> {
        match self.get(id)? {
            BtfType::Struct { .. } | BtfType::Enum { .. } => {
                Some(self.body(id, 0, &mut MOST_TYPES.clone()))
            }
            _ => None,
        }
    }

    /// `inner` is what stands where the name does: the name, with what was already applied
    /// to it. Declarations are read from the name outwards and BTF goes the same way.
    fn declare(
        &self,
        id: TypeId,
        inner: String,
        nested: usize,
        links: u32,
        left: &mut u32,
    ) -> String {
        let (Some(links), Some(rest)) = (links.checked_sub(1), left.checked_sub(1)) else {
            return inner;
        };
        *left = rest;
        let qualifier = match self.record(id).map(|record| record.kind) {
            Some(Kind::Const) => "const",
            Some(Kind::Volatile) => "volatile",
            Some(Kind::Restrict) => "restrict",
            _ => "",
        };
        match self.get(id).unwrap_or(BtfType::Void) {
            BtfType::Modifier(to) => match self.get(self.unmodified(to)) {
                // Of the pointer itself, so it stands behind the star.
                Some(BtfType::Pointer(_)) => {
                    self.declare(to, spaced(qualifier, &inner), nested, links, left)
                }
                _ => {
                    let text = self.declare(to, inner, nested, links, left);
                    // A constant array of constants is said once.
                    match text.strip_prefix(qualifier) {
                        Some(rest) if rest.starts_with(' ') => text,
                        _ => format!("{qualifier} {text}"),
                    }
                }
            },
            BtfType::TypeTag { to, .. } => self.declare(to, inner, nested, links, left),
            BtfType::Pointer(to) => {
                // A function that gives a pointer, and a pointer that is constant itself.
                let is_apart = inner.starts_with('(') || is_qualified(&inner);
                let star = if is_apart { "* " } else { "*" };
                self.declare(to, format!("{star}{inner}"), nested, links, left)
            }
            BtfType::Array { element, count } => {
                let inner = format!("{}[{count}]", grouped(inner));
                self.declare(element, inner, nested, links, left)
            }
            BtfType::Prototype { result } => {
                let parameters: Vec<String> = self
                    .parameters(id)
                    .map(|(_, ty)| match ty {
                        TypeId::VOID => String::from("..."),
                        ty => self.declare(ty, String::new(), nested, links, left),
                    })
                    .collect();
                let parameters = match parameters.is_empty() {
                    true => String::from("void"),
                    false => parameters.join(", "),
                };
                let inner = format!("{}({parameters})", grouped(inner));
                self.declare(result, inner, nested, links, left)
            }
            BtfType::Function { prototype, .. } => {
                self.declare(prototype, inner, nested, links, left)
            }
            BtfType::Struct { name: "", .. } | BtfType::Enum { name: "", .. } => {
                spaced(&self.body(id, nested, left), &inner)
            }
            BtfType::Struct { name, is_union, .. } | BtfType::Forward { name, is_union } => {
                spaced(&format!("{} {name}", keyword(is_union)), &inner)
            }
            BtfType::Enum { name, .. } => spaced(&format!("enum {name}"), &inner),
            BtfType::Int { name, .. }
            | BtfType::Float { name, .. }
            | BtfType::Typedef { name, .. } => spaced(name, &inner),
            BtfType::Variable { ty, .. } => self.declare(ty, inner, nested, links, left),
            BtfType::Void | BtfType::Section { .. } | BtfType::DeclarationTag { .. } => {
                spaced("void", &inner)
            }
        }
    }

    /// A struct, union or enum with its members, indented by `nested` tabs.
    fn body(&self, id: TypeId, nested: usize, left: &mut u32) -> String {
        let (head, name) = match self.get(id) {
            Some(BtfType::Struct { name, is_union, .. }) => (keyword(is_union), name),
            Some(BtfType::Enum { name, .. }) => ("enum", name),
            _ => ("", ""),
        };
        let mut text = spaced(head, name);
        if nested >= MOST_NESTED {
            text.push_str(" { ... }");
            return text;
        }
        text.push_str(" {");
        if self.enumerators(id).next().is_none() && self.members(id).next().is_none() {
            text.push('}');
            return text;
        }
        text.push('\n');
        let tabs = "\t".repeat(nested + 1);
        for (name, value) in self.enumerators(id) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{tabs}{name} = {value},");
        }
        for member in self.members(id) {
            let name = member.name.to_owned();
            let declared = self.declare(member.ty, name, nested + 1, MOST_LINKS, left);
            let _ = match member.bit_width {
                Some(width) => writeln!(text, "{tabs}{declared}: {width};"),
                None => writeln!(text, "{tabs}{declared};"),
            };
        }
        text.push_str(&"\t".repeat(nested));
        text.push('}');
        text
    }
}

fn keyword(is_union: bool) -> &'static str {
    if is_union { "union" } else { "struct" }
}

/// Both with a space between them, where both are there.
fn spaced(first: &str, second: &str) -> String {
    match second {
        "" => first.to_owned(),
        second => format!("{first} {second}"),
    }
}

/// In parentheses if it is a pointer: what follows applies to what it points to.
fn grouped(inner: String) -> String {
    if inner.starts_with('*') {
        format!("({inner})")
    } else {
        inner
    }
}

/// Whether it begins with a qualifier.
fn is_qualified(inner: &str) -> bool {
    ["const", "volatile", "restrict"].iter().any(|word| {
        inner
            .strip_prefix(word)
            .is_some_and(|r| r.is_empty() || r.starts_with(' '))
    })
}
