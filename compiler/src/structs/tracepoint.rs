//! The arguments of a tracepoint, from the text that describes its records.
//!
//! Takes the text of a `format` file; gives a struct whose members lie where the text says.
//! Names of plain integers are not looked up: size and sign are in the text. The four
//! `common_*` fields every event has are left out; programs may not read them.
//!
//! Source: the kernel's `Documentation/trace/events.rst`, section 2.2 (event formats).

use super::{TypeTable, kernel, names};
use crate::types::{Encoding, Field, I64, Origin, Space, StructRef, Type, U8};
use rbt_grammar::ast::TagKind;
use std::rc::Rc;

/// Whether the name is one of those the kernel keeps to itself, so that a message can say why
/// it is not there.
pub fn is_common_field(name: &str) -> bool {
    name.starts_with("common_")
}

/// The declarations of an event's own fields, as its `format` text has them: `pid_t pid`.
pub fn declarations(format: &str) -> impl Iterator<Item = &str> {
    lines(format).map(|line| line.declaration).filter(|text| {
        let name = text.rsplit(' ').next().unwrap_or("");
        !is_common_field(name)
    })
}

/// One line of the text.
struct Line<'a> {
    declaration: &'a str,
    offset: u32,
    size: u32,
    is_signed: bool,
}

impl TypeTable<'_> {
    /// The arguments that `format` describes, as a struct of that name. Pointers point into
    /// `space`. Lines that are not understood are left out, as are fields of no size.
    pub fn tracepoint_arguments(&self, name: &str, format: &str, space: Space) -> StructRef {
        let lines: Vec<Line<'_>> = lines(format).collect();
        let ends = lines.iter().map(|l| l.offset.saturating_add(l.size));
        let size = ends.max().unwrap_or(0);
        let fields = lines
            .iter()
            .filter_map(|line| self.argument(line, space))
            .filter(|field| !is_common_field(&field.name))
            .collect();
        StructRef {
            is_union: false,
            name: Rc::from(name),
            size,
            origin: Origin::Probe(fields),
        }
    }

    fn argument(&self, line: &Line<'_>, space: Space) -> Option<Field> {
        let text = line.declaration;
        let (encoding, text) = if let Some(rest) = text.strip_prefix("__data_loc ") {
            (Encoding::DataLocation, rest)
        } else if let Some(rest) = text.strip_prefix("__rel_loc ") {
            (Encoding::RelativeLocation, rest)
        } else {
            (Encoding::Plain, text)
        };
        let (text, is_array) = match text.split_once('[') {
            // `char comm[16]`, but `char[] name` for data that is elsewhere.
            Some((before, after)) => match after.split_once(']') {
                Some((_, name)) if !name.trim().is_empty() => {
                    let is_located = encoding != Encoding::Plain;
                    return is_located.then(|| located(name.trim(), line, encoding));
                }
                _ => (before, true),
            },
            None => (text, false),
        };
        let text = text.trim_end();
        let start = text
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(0, |at| at + 1);
        let (base, name) = text.split_at_checked(start)?;
        if name.is_empty() {
            return None;
        }
        if encoding != Encoding::Plain {
            return Some(located(name, line, encoding));
        }
        let ty = if is_array {
            self.array_type(base, line, space)
        } else {
            self.plain_type(base, line.size, line.is_signed, space)
        };
        (line.size > 0 || is_array).then(|| Field {
            name: Rc::from(name),
            offset: line.offset,
            ty,
            bits: None,
            encoding,
        })
    }

    fn array_type(&self, base: &str, line: &Line<'_>, space: Space) -> Type {
        let words = words(base);
        if words == "char" || words == "signed char" {
            return Type::Str(line.size);
        }
        let element = match names::well_known(&words) {
            Some(Type::Int(int)) => Type::Int(int),
            Some(other) if other.size() > 0 => other,
            _ => self.declared(&words, space).unwrap_or(U8),
        };
        let size = element.size();
        match line.size.checked_div(size) {
            Some(count) if line.size.is_multiple_of(size) => Type::Array(Rc::new(element), count),
            _ => kernel::bytes(line.size),
        }
    }

    fn plain_type(&self, base: &str, size: u32, is_signed: bool, space: Space) -> Type {
        let plain = kernel::int_type(size, is_signed, false);
        let stars = base.bytes().filter(|b| *b == b'*').count();
        let words = words(base);
        if stars > 0 && size == 8 {
            let to = match words.as_str() {
                // The kernel's char is unsigned.
                "char" => U8,
                words => names::well_known(words)
                    .or_else(|| self.declared(words, space))
                    .unwrap_or(Type::Void),
            };
            return (0..stars.min(8)).fold(to, |to, _| Type::Pointer(Rc::new(to), space));
        }
        if words == "bool" && size == 1 {
            return Type::Bool;
        }
        let has_tag = words.contains(' ');
        match has_tag.then(|| self.declared(&words, space)).flatten() {
            Some(declared) if declared.size() == size => declared,
            _ => plain,
        }
    }

    /// The type of `struct S`, `enum E` or a typedef.
    fn declared(&self, words: &str, space: Space) -> Option<Type> {
        match words.split_once(' ') {
            Some(("struct", tag)) => self.tagged(TagKind::Struct, tag),
            Some(("union", tag)) => self.tagged(TagKind::Union, tag),
            Some(("enum", tag)) => self.tagged(TagKind::Enum, tag),
            _ => self.named(words, space),
        }
    }
}

/// Data elsewhere in the record: its address is the value.
fn located(name: &str, line: &Line<'_>, encoding: Encoding) -> Field {
    Field {
        name: Rc::from(name),
        offset: line.offset,
        ty: I64,
        bits: None,
        encoding,
    }
}

/// The fields of the text: what follows them says how the kernel itself prints records.
fn lines(format: &str) -> impl Iterator<Item = Line<'_>> {
    let body = format.split("print fmt:").next().unwrap_or("");
    body.lines().filter_map(line)
}

/// `field:unsigned char prev_comm[16]; offset:8; size:16; signed:0;`
fn line(text: &str) -> Option<Line<'_>> {
    let rest = text.trim().strip_prefix("field:")?;
    let (declaration, rest) = rest.split_once(';')?;
    let mut line = Line {
        declaration: declaration.trim(),
        offset: 0,
        size: 0,
        is_signed: false,
    };
    for part in rest.split(';') {
        match part.trim().split_once(':') {
            Some(("offset", n)) => line.offset = n.parse().ok()?,
            Some(("size", n)) => line.size = n.parse().ok()?,
            Some(("signed", n)) => line.is_signed = n == "1",
            _ => {}
        }
    }
    Some(line)
}

/// A type's words without qualifiers and stars, one space between them.
fn words(base: &str) -> String {
    let words = base.split(|c: char| c.is_whitespace() || c == '*');
    let kept = words.filter(|word| {
        !word.is_empty()
            && !matches!(
                *word,
                "const" | "volatile" | "restrict" | "__user" | "__rcu" | "__percpu" | "__iomem"
            )
    });
    kept.collect::<Vec<_>>().join(" ")
}
