//! Maps whose elements stay when they are deleted.
//!
//! Making an element of a hash and deleting it takes the kernel several times as long as all
//! else a program does, and scripts that measure how long something takes do both each time:
//! `@start[tid] = nsecs`, then `delete(@start, tid)`. Where no other thread can have the same
//! key, the element of a deleted key may stay for as long as its thread lives: deleting stores
//! zeros, userspace passes such elements over, and the next use of the key finds its element.
//! When the thread exits, a program of rbt's own removes it, so there are never more of them
//! than threads.
//!
//! Takes a typed script; gives the maps of which all this holds. Everything else that a script
//! does with a map makes it an ordinary one.

use crate::hir::{self, Clause, Expr, ExprKind, MapContent, MapIndex, StmtKind};
use crate::structs::TypeTable;
use crate::target::{Feature, Target};
use rbt_grammar::ast::TagKind;
use std::collections::HashSet;

use crate::artifact::When;
use crate::types::{Space, Type};

/// Maps kept so, and where the kernel's record of a thread says that it exits.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) maps: HashSet<u32>,
    /// Byte of `flags` in `struct task_struct`.
    pub(crate) task_flags: u32,
}

/// Finds the maps of a script that are kept so.
pub(crate) fn find(program: &hir::Program, target: &dyn Target, types: &TypeTable<'_>) -> Kept {
    // In a namespace, threads from outside of it share the id zero.
    if target.pid_namespace().is_some() || !target.has(Feature::CurrentTaskBtf) {
        return Kept::default();
    }
    let Some(task_flags) = task_flags(types) else {
        return Kept::default();
    };
    let mut uses = Uses::default();
    for clause in &program.clauses {
        uses.clause(clause);
    }
    let maps = (0..).zip(&program.maps).filter(|(index, map)| {
        let is_fit = match &map.value {
            MapContent::Plain(ty) => ty.is_scalar() && ty.size() <= 8,
            MapContent::Aggregate { .. } => false,
        };
        is_fit
            && map.declared.is_none()
            && map.key.is_some()
            && uses.deleted.contains(index)
            && !uses.others.contains(index)
    });
    Kept {
        maps: maps.map(|(index, _)| index).collect(),
        task_flags,
    }
}

fn task_flags(types: &TypeTable<'_>) -> Option<u32> {
    let Some(Type::Struct(task)) = types.tagged(TagKind::Struct, "task_struct") else {
        return None;
    };
    let field = types.find_field(&task, "flags", Space::Kernel)?;
    (field.ty.size() == 4).then_some(field.offset)
}

/// What clauses do with maps.
#[derive(Default)]
struct Uses {
    /// Keys of these are deleted while tracing goes on.
    deleted: HashSet<u32>,
    /// Something is done with these that elements which stay do not serve.
    others: HashSet<u32>,
}

impl Uses {
    fn clause(&mut self, clause: &Clause) {
        hir::each_statement(&clause.body, &mut |statement| {
            self.statement(&statement.kind)
        });
        let mut blocks = Vec::new();
        let mut whole = Vec::new();
        let mut in_deletes = Vec::new();
        hir::any_in(&clause.body, &mut |expr| {
            match &expr.kind {
                ExprKind::MapValue { map, key } => self.key(*map, key.as_deref()),
                ExprKind::StepMap { map, .. } | ExprKind::ReadAggregate { map, .. } => {
                    self.others.insert(map.0);
                }
                ExprKind::AddressOf(of) => {
                    if let ExprKind::MapValue { map, .. } = &of.kind {
                        self.others.insert(map.0);
                    }
                }
                ExprKind::Map(map) => whole.push(map.0),
                ExprKind::Call(call) if call.word.is_some_and(|word| word.removes_key()) => {
                    let is_attached = clause.provider.when() == When::Attached;
                    match (
                        call.arguments.first().map(|first| &first.kind),
                        call.arguments.get(1),
                    ) {
                        (Some(ExprKind::Map(map)), Some(key)) => {
                            in_deletes.push(map.0);
                            self.key(*map, Some(key));
                            self.deleted.extend(is_attached.then_some(map.0));
                        }
                        (Some(ExprKind::MapValue { map, .. }), None) => {
                            self.deleted.extend(is_attached.then_some(map.0));
                        }
                        _ => {}
                    }
                }
                ExprKind::Block(statements, _) => blocks.extend(statements.iter().cloned()),
                _ => {}
            }
            false
        });
        hir::each_statement(&blocks, &mut |statement| self.statement(&statement.kind));
        // A map as such may only be the first argument of a deletion.
        for map in in_deletes {
            if let Some(at) = whole.iter().position(|other| *other == map) {
                whole.swap_remove(at);
            }
        }
        self.others.extend(whole);
    }

    fn statement(&mut self, statement: &StmtKind) {
        match statement {
            StmtKind::SetMap { map, key, .. } => self.key(*map, key.as_ref()),
            StmtKind::UpdateMap { map, .. }
            | StmtKind::Aggregate { map, .. }
            | StmtKind::ForMap { map, .. } => {
                self.others.insert(map.0);
            }
            _ => {}
        }
    }

    fn key(&mut self, map: MapIndex, key: Option<&Expr>) {
        let is_own = key.is_some_and(|key| match &key.kind {
            ExprKind::Builtin { word, .. } => word.0.is_thread_id(),
            _ => false,
        });
        if !is_own {
            self.others.insert(map.0);
        }
    }
}
