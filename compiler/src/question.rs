//! What an editor asks while a script is compiled: the type of what stands at a place.
//!
//! Takes a place in a text; gives the type of the smallest expression there and its members.
//! Asked through [`crate::Options::question`], answered by the inference of types.

use crate::structs::TypeTable;
use crate::types::{Space, Type};
use rbt_grammar::{SourceId, Span};
use std::cell::RefCell;

/// Which expressions a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Those that end right before this byte: what a `.` or `->` there belongs to.
    End(u32),
    /// Those that this byte is part of.
    Byte(u32),
}

/// A question, and its answer once the script was compiled.
#[derive(Debug)]
pub struct Question {
    source: SourceId,
    at: At,
    answer: RefCell<Option<Answer>>,
}

/// What stands at the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The smallest expression there.
    pub span: Span,
    /// Its type, as messages write it.
    pub ty: String,
    /// Names and types of its members, or of what it points to; empty if it has none.
    pub members: Vec<(String, String)>,
}

impl Question {
    /// What is at that place of that text?
    pub fn new(source: SourceId, at: At) -> Question {
        Question {
            source,
            at,
            answer: RefCell::new(None),
        }
    }

    /// The answer; none if no expression is there.
    pub fn answer(&self) -> Option<Answer> {
        self.answer.borrow().clone()
    }

    /// Hears of an expression. Smaller ones win, and of equal ones the last: types are inferred
    /// in rounds, each better than the one before.
    pub(crate) fn hear(&self, span: Span, ty: &Type, types: &TypeTable<'_>) {
        let is_there = span.source == self.source
            && match self.at {
                At::End(at) => span.end == at,
                At::Byte(at) => span.start <= at && at < span.end,
            };
        if !is_there {
            return;
        }
        let length = |span: Span| span.end - span.start;
        let mut answer = self.answer.borrow_mut();
        if answer
            .as_ref()
            .is_some_and(|known| length(known.span) < length(span))
        {
            return;
        }
        *answer = Some(Answer {
            span,
            ty: ty.to_string(),
            members: members(ty, types),
        });
    }
}

/// The members of a struct or record, or of what a pointer points to; those of anonymous
/// members among them.
fn members(ty: &Type, types: &TypeTable<'_>) -> Vec<(String, String)> {
    match ty {
        Type::Pointer(to, _) => members(to, types),
        Type::Record(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, ty)| (name.to_string(), ty.to_string()))
                .collect()
        }
        Type::Struct(of) => {
            let names = types.field_names(of).into_iter();
            let field = |name: &str| types.find_field(of, name, Space::Kernel);
            names
                .map(|name| {
                    let ty = field(&name).map_or_else(String::new, |found| found.ty.to_string());
                    (name, ty)
                })
                .collect()
        }
        _ => Vec::new(),
    }
}
