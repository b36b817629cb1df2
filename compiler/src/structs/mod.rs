//! What the types of C are to a script: the kernel's, by BTF, and the script's own.
//!
//! Takes a [`Target`], asked for its BTF only when a name is neither the script's nor one
//! every C programmer knows; gives [`Type`]s, members of structs, enumerators, and the shape
//! in which a value reaches userspace. A definition of the script wins over the kernel's of
//! the same name. Knows nothing of probes: the caller says which memory a struct lies in.

mod arguments;
mod define;
mod kernel;
mod names;
mod shape;
#[cfg(test)]
mod tests;
mod tracepoint;

pub use tracepoint::{declarations, is_common_field};

pub(crate) use define::apply;

use crate::binary::Signature;
use crate::btf::{Btf, TypeId};
use crate::nearest;
use crate::target::Target;
use crate::types::{EnumRef, Field, Origin, Space, StructRef, Type};
use define::Definition;
use rbt_grammar::ast::TagKind;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Structs inside structs that are looked into. C programmers stop at four or five.
const MOST_NESTED: u32 = 32;

/// Members that are looked at for one question; the kernel's largest struct has a thousand.
const MOST_MEMBERS: usize = 1 << 16;

/// The types of a compilation.
///
/// Private fields: `script_tags` and `members` of `script` refer to existing definitions.
pub struct TypeTable<'t> {
    target: &'t dyn Target,
    /// Structs and unions of the script, nested ones included; [`Origin::Script`] counts here.
    script: Vec<Definition>,
    /// Their tags.
    script_tags: HashMap<String, u32>,
    /// Enums of the script, by tag.
    script_enums: HashMap<String, EnumRef>,
    /// Typedefs of the script.
    script_typedefs: HashMap<String, define::CType>,
    /// Enumerators of the script.
    script_enumerators: HashMap<String, (Type, i64)>,
    /// Tags that headers defined, so that the script may define them again.
    header_names: HashSet<String>,
    /// Enums of the kernel that were asked for.
    kernel_enums: RefCell<HashMap<TypeId, EnumRef>>,
    /// Members of the kernel's structs that were asked for by name: the same few, over and over.
    kernel_members: RefCell<HashMap<(TypeId, Space), Vec<Field>>>,
    /// Functions of programs whose types are in use; [`Origin::Program`] counts here.
    programs: RefCell<Vec<Rc<Signature>>>,
}

impl<'t> TypeTable<'t> {
    /// The types of a kernel; the script has defined none yet.
    pub fn new(target: &'t dyn Target) -> Self {
        TypeTable {
            target,
            script: Vec::new(),
            script_tags: HashMap::new(),
            script_enums: HashMap::new(),
            script_typedefs: HashMap::new(),
            script_enumerators: HashMap::new(),
            header_names: HashSet::new(),
            kernel_enums: RefCell::new(HashMap::new()),
            kernel_members: RefCell::new(HashMap::new()),
            programs: RefCell::default(),
        }
    }

    /// The kernel's type information, if it has any.
    pub fn btf(&self) -> Option<&'t Btf> {
        self.target.btf().ok()
    }

    /// The type a bare name means in a cast, a `let` or a `sizeof`: `uint64`, `unsigned
    /// long`, `pid_t`, a typedef. Not `string` and `buffer`, whose length is written apart.
    /// Pointers behind a typedef point into `space`.
    pub fn named(&self, name: &str, space: Space) -> Option<Type> {
        if let Some(ty) = self.script_typedefs.get(name) {
            return Some(self.script_type(ty, space));
        }
        if let Some(ty) = names::well_known(name) {
            return Some(ty);
        }
        let btf = self.btf()?;
        let id = btf.find_typedef(name).or_else(|| btf.find_int(name))?;
        Some(self.kernel_type(id, space))
    }

    /// The type of `struct S`, `union U` or `enum E`.
    pub fn tagged(&self, keyword: TagKind, name: &str) -> Option<Type> {
        if keyword == TagKind::Enum {
            if let Some(found) = self.script_enums.get(name) {
                return Some(Type::Enum(found.clone()));
            }
            let id = self.btf()?.find_enum(name)?;
            return Some(self.kernel_type(id, Space::Kernel));
        }
        let is_union = keyword == TagKind::Union;
        let script = self.script_tags.get(name).copied();
        if let Some(found) = script.and_then(|number| self.script_struct(number)) {
            return (found.is_union == is_union).then_some(Type::Struct(found));
        }
        let btf = self.btf()?;
        let id = if is_union {
            btf.find_union(name)
        } else {
            btf.find_struct(name)
        };
        Some(self.kernel_type(id?, Space::Kernel))
    }

    /// The tag nearest to a misspelt one, with its keyword: `struct task_struct`.
    pub fn nearest_tag(&self, keyword: TagKind, name: &str) -> Option<String> {
        let script = self.script_tags.keys().map(String::as_str);
        let mut script: Vec<&str> = script.collect();
        script.sort_unstable();
        let found = nearest::nearest(name, script)
            .or_else(|| self.btf().and_then(|btf| btf.nearest_struct(name)))?;
        [keyword, TagKind::Struct, TagKind::Union]
            .into_iter()
            .find_map(|keyword| self.tagged(keyword, found))
            .map(|ty| ty.to_string())
    }

    /// The value of an enumerator and its enum.
    pub fn enumerator(&self, name: &str) -> Option<(Type, i64)> {
        if let Some(found) = self.script_enumerators.get(name) {
            return Some(found.clone());
        }
        let (id, value) = self.btf()?.enumerator(name)?;
        Some((self.kernel_type(id, Space::Kernel), value))
    }

    /// The members of a struct in order, anonymous ones as they stand. Pointers among them
    /// point into `space`, where the struct itself lies, unless their type says otherwise; those
    /// of a probe's arguments were given their space by the probe.
    pub fn fields(&self, of: &StructRef, space: Space) -> Vec<Field> {
        match &of.origin {
            Origin::Kernel(id) => self.kernel_fields(TypeId(*id), space),
            Origin::Program(number, id) => self.program_fields(*number, TypeId(*id), space),
            Origin::Script(number) => self.script_fields(*number, space),
            Origin::Probe(fields) => fields.to_vec(),
        }
    }

    /// The member of that name, looked for in anonymous members too; its offset counts from
    /// the start of `of`.
    pub fn find_field(&self, of: &StructRef, name: &str, space: Space) -> Option<Field> {
        if name.is_empty() {
            return None;
        }
        let mut budget = MOST_MEMBERS;
        self.find_within(of, name, space, MOST_NESTED, &mut budget)
    }

    fn find_within(
        &self,
        of: &StructRef,
        name: &str,
        space: Space,
        nested: u32,
        budget: &mut usize,
    ) -> Option<Field> {
        if let Origin::Kernel(id) = of.origin {
            // The usual case, without making types of the members that are not meant.
            if let Some(field) = self.kernel_field(TypeId(id), name, space) {
                return Some(field);
            }
        }
        let fields = match of.origin {
            Origin::Kernel(id) => self.kernel_anonymous(TypeId(id), space),
            _ => self.fields(of, space),
        };
        for mut field in fields {
            *budget = budget.checked_sub(1)?;
            if *field.name == *name {
                return Some(field);
            }
            let Type::Struct(inner) = &field.ty else {
                continue;
            };
            if !field.name.is_empty() {
                continue;
            }
            let found = self.find_within(inner, name, space, nested.checked_sub(1)?, budget);
            if let Some(found) = found {
                let offset = field.offset.saturating_add(found.offset);
                field = Field { offset, ..found };
                return Some(field);
            }
        }
        None
    }

    /// The names of all members, those of anonymous members included.
    pub fn field_names(&self, of: &StructRef) -> Vec<String> {
        let mut names = Vec::new();
        let mut budget = MOST_MEMBERS;
        self.collect_names(of, MOST_NESTED, &mut budget, &mut names);
        names
    }

    fn collect_names(
        &self,
        of: &StructRef,
        nested: u32,
        budget: &mut usize,
        names: &mut Vec<String>,
    ) {
        for field in self.fields(of, Space::Kernel) {
            if *budget == 0 {
                return;
            }
            *budget -= 1;
            match &field.ty {
                Type::Struct(inner) if field.name.is_empty() && nested > 0 => {
                    self.collect_names(inner, nested - 1, budget, names);
                }
                _ if field.name.is_empty() => {}
                _ => names.push(field.name.to_string()),
            }
        }
    }

    /// The member nearest to a misspelt name.
    pub fn nearest_field(&self, of: &StructRef, name: &str) -> Option<String> {
        let names = self.field_names(of);
        nearest::nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
    }

    fn script_struct(&self, number: u32) -> Option<StructRef> {
        let definition = self.script.get(number as usize)?;
        Some(definition.reference(number))
    }
}
