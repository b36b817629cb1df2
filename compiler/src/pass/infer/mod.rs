//! Names resolved, types assigned, conversions made explicit: from the tree to the HIR.
//!
//! Types are inferred over the whole script: a variable or map has the type that all its
//! assignments promote to. So the walk is made in rounds, each with what the one before
//! learned, until nothing changes; complaints count only in the last.

mod access;
mod call;
mod expr;
mod operator;
mod promote;
mod statement;
mod typename;
mod unpack;

use super::check::Check;
use super::preamble::Macros;
use super::probes::Probed;
use crate::config::Config;
use crate::hir::{self, Declared, MapContent, MapIndex, VariableId};
use crate::nearest;
use crate::structs::TypeTable;
use crate::target::Target;
use crate::types::{Aggregate, I64, Type};
use crate::vocabulary::{Aggregation, Needs, ProbeContext, Vocabulary};
use crate::{Options, Parameter};
use rbt_grammar::ast;
use rbt_grammar::{Diagnostic, Diagnostics, Span, codes};
use std::collections::{HashMap, HashSet};

/// What inference reads.
pub struct Input<'a, 't> {
    /// The words.
    pub vocabulary: &'a Vocabulary,
    /// The types of the kernel and the script.
    pub types: &'a TypeTable<'t>,
    /// The kernel.
    pub target: &'t dyn Target,
    /// The settings.
    pub config: &'a Config,
    /// `#define`d names.
    pub macros: &'a Macros,
    /// The caller's options.
    pub options: &'a Options,
    /// Whether something of the text could not be understood: what it may have assigned is
    /// then not missed.
    pub has_holes: bool,
    /// Whether a probe could not be looked up: what its action assigns may have any type.
    pub has_lost_probes: bool,
}

/// What inference gives.
pub struct Inferred {
    /// The typed script; none with complaints that are fatal.
    pub program: Option<hir::Program>,
    /// Complaints.
    pub diagnostics: Diagnostics,
    /// The named parameters it takes.
    pub parameters: Vec<Parameter>,
}

/// Rounds after which types must have settled: each round can only widen.
const MOST_ROUNDS: usize = 24;

/// `#define`s inside `#define`s.
const MOST_DEFINES: u32 = 32;

/// Types the clauses of a script. With complaints that are fatal there is no program.
pub fn run(program: &ast::Program, clauses: &[Probed<'_>], input: &Input<'_, '_>) -> Inferred {
    let mut infer = Infer {
        input,
        maps: Vec::new(),
        map_numbers: HashMap::new(),
        variables: vec![Vec::new(); clauses.len()],
        clause: 0,
        next_variable: 0,
        scopes: Vec::new(),
        probe: None,
        is_guess: false,
        needs: Needs::default(),
        changed: false,
        diagnostics: Vec::new(),
        parameters: Vec::new(),
        defines: 0,
        gone: HashSet::new(),
        declared: HashSet::new(),
        outliving: vec![Vec::new(); clauses.len()],
        loops: 0,
        copies: 1,
        macro_spans: program
            .items
            .iter()
            .filter_map(|item| match item {
                ast::Item::Macro(definition) => Some(definition.span),
                _ => None,
            })
            .collect(),
    };
    let mut typed = Vec::new();
    let mut settled = false;
    for _ in 0..MOST_ROUNDS {
        infer.changed = false;
        infer.diagnostics.clear();
        infer.declare_maps(program);
        typed = clauses
            .iter()
            .enumerate()
            .map(|(number, probed)| infer.clause(number, probed))
            .collect();
        if !infer.changed {
            if settled {
                break;
            }
            settled = true;
            infer.settle();
        }
    }
    let mut diagnostics = std::mem::take(&mut infer.diagnostics);
    infer.check_declarations(&mut diagnostics);
    dedupe(&mut diagnostics);
    let parameters = std::mem::take(&mut infer.parameters);
    if diagnostics.iter().any(Diagnostic::is_fatal) {
        return Inferred {
            program: None,
            diagnostics,
            parameters,
        };
    }
    let maps = infer.maps.iter().map(MapTypes::finish).collect();
    let program = hir::Program {
        clauses: typed,
        maps,
        config: input.config.clone(),
    };
    Inferred {
        program: Some(program),
        diagnostics,
        parameters,
    }
}

/// A clause that was typed for several groups of places says the same thing only once.
fn dedupe(diagnostics: &mut Diagnostics) {
    let mut seen: HashSet<(Option<Span>, String)> = HashSet::new();
    diagnostics.retain(|d| {
        let place = d.labels.first().map(|label| label.span);
        seen.insert((place, d.message.clone()))
    });
}

/// What is known of a map.
#[derive(Clone)]
pub struct MapTypes {
    /// Its name without `@`.
    pub(in crate::pass) name: String,
    /// Its key type.
    pub(in crate::pass) key: Option<Type>,
    key_is_flexible: bool,
    /// Whether it was used without a key.
    pub(in crate::pass) is_scalar: bool,
    is_keyed: bool,
    /// What it holds.
    pub(in crate::pass) value: Type,
    value_is_flexible: bool,
    /// Whether nothing in the script decides what it holds.
    pub(in crate::pass) is_undefined: bool,
    aggregate: Option<AggregateTypes>,
    declared: Option<(Declared, Span)>,
    /// Whether another map's aggregation is assigned to it, which only an integer map allows.
    gets_aggregate: bool,
    span: Span,
}

#[derive(Clone)]
struct AggregateTypes {
    word: &'static dyn Aggregation,
    params: Vec<i64>,
    is_signed: bool,
}

impl MapTypes {
    fn new(name: &str, span: Span) -> Self {
        MapTypes {
            name: name.to_owned(),
            key: None,
            key_is_flexible: false,
            is_scalar: false,
            is_keyed: false,
            value: Type::Unknown,
            value_is_flexible: false,
            is_undefined: false,
            aggregate: None,
            declared: None,
            gets_aggregate: false,
            span,
        }
    }

    /// Makes integers as large as they can get: what is assigned later then fits. Says whether
    /// any was smaller.
    fn make_room(&mut self) -> bool {
        let mut has_changed = false;
        for ty in self.key.iter_mut().chain([&mut self.value]) {
            if let Type::Int(int) = ty
                && int.size < 8
            {
                int.size = 8;
                has_changed = true;
            }
        }
        has_changed
    }

    /// What an earlier compilation found.
    fn carried(map: &hir::Map, span: Span) -> Self {
        let mut types = MapTypes {
            key: map.key.clone(),
            is_keyed: map.key.is_some(),
            is_scalar: map.key.is_none(),
            ..MapTypes::new(&map.name, span)
        };
        match &map.value {
            MapContent::Plain(ty) => types.value = ty.clone(),
            MapContent::Aggregate {
                word,
                params,
                is_signed,
            } => {
                types.aggregate = Some(AggregateTypes {
                    word: *word,
                    params: params.clone(),
                    is_signed: *is_signed,
                });
            }
        }
        types
    }

    fn finish(&self) -> hir::Map {
        let value = match &self.aggregate {
            Some(aggregate) => MapContent::Aggregate {
                word: aggregate.word,
                params: aggregate.params.clone(),
                is_signed: aggregate.is_signed,
            },
            None => MapContent::Plain(self.value.clone()),
        };
        hir::Map {
            name: self.name.clone(),
            key: if self.is_keyed {
                self.key.clone()
            } else {
                None
            },
            value,
            declared: self.declared.map(|(declared, _)| declared),
            span: self.span,
        }
    }
}

/// What is known of a scratch variable.
#[derive(Clone, Debug)]
struct VariableTypes {
    name: String,
    ty: Type,
    is_flexible: bool,
    /// Declared with a type, which stays.
    is_fixed: bool,
    /// Its address is taken, so that it must have one.
    is_addressed: bool,
    /// It is another name for the probe's arguments.
    is_arguments: bool,
    /// Whether something was assigned to it so far in this round's walk.
    is_assigned: bool,
    /// Whether it was declared without a value.
    is_bare: bool,
    span: Span,
}

struct Infer<'a, 't> {
    input: &'a Input<'a, 't>,
    maps: Vec<MapTypes>,
    map_numbers: HashMap<String, u32>,
    /// By clause and number.
    variables: Vec<Vec<VariableTypes>>,
    clause: usize,
    next_variable: usize,
    scopes: Vec<HashMap<String, VariableId>>,
    probe: Option<ProbeContext>,
    is_guess: bool,
    needs: Needs,
    changed: bool,
    diagnostics: Diagnostics,
    parameters: Vec<Parameter>,
    defines: u32,
    /// Names of variables of blocks that have ended, in this clause.
    gone: HashSet<String>,
    /// Names that a `let` or a loop of this clause declared, which belong to their block.
    declared: HashSet<String>,
    /// By clause: variables that are used behind the block that assigned them first, and where.
    /// They are the whole clause's, as all variables of older versions were.
    outliving: Vec<Vec<(String, Span)>>,
    loops: u32,
    /// How often the statement that is walked will stand in the program.
    copies: u64,
    /// Where macros are defined.
    macro_spans: Vec<Span>,
}

impl<'a, 't> Infer<'a, 't> {
    fn clause(&mut self, number: usize, probed: &Probed<'_>) -> hir::Clause {
        self.clause = number;
        self.next_variable = 0;
        self.scopes = vec![HashMap::new()];
        self.gone.clear();
        self.declared.clear();
        let outliving = self.outliving.get(number).cloned().unwrap_or_default();
        self.probe = Some(probed.context.clone());
        self.is_guess = probed.is_guess;
        self.needs = Needs::default();
        let clause = probed.clause;
        let mut body = Vec::new();
        for (name, span) in &outliving {
            let id = self.new_variable(name, *span);
            let kind = hir::StmtKind::Clear(id);
            body.push(hir::Stmt { kind, span: *span });
            self.report(
                Diagnostic::warning(
                    codes::UNDEFINED_VARIABLE,
                    format!("Variable ${name} is used behind the block that assigns it"),
                    *span,
                    "its block has ended",
                )
                .help(format!("declare it in front of the block: `let ${name};`")),
            );
        }
        if let Some(predicate) = &clause.predicate {
            let condition = self.condition(predicate);
            let span = predicate.span;
            body.push(hir::Stmt {
                kind: hir::StmtKind::If {
                    condition: operator::not(condition),
                    then: vec![hir::Stmt {
                        kind: hir::StmtKind::Return(None),
                        span,
                    }],
                    otherwise: Vec::new(),
                },
                span,
            });
        }
        body.append(&mut self.action(&clause.action));
        self.warn_never_assigned(number);
        if self.outliving.get(number).map_or(0, Vec::len) > outliving.len()
            && let Some(variables) = self.variables.get_mut(number)
        {
            // They get other numbers.
            variables.clear();
            self.changed = true;
        }
        let variables = self
            .variables
            .get(number)
            .into_iter()
            .flatten()
            .map(|v| hir::Variable {
                name: v.name.clone(),
                ty: v.ty.clone(),
                is_addressed: v.is_addressed,
                span: v.span,
            })
            .collect();
        hir::Clause {
            provider: probed.provider,
            places: probed.places.clone(),
            context: probed.context.clone(),
            needs: self.needs,
            variables,
            body,
            span: clause.span,
        }
    }

    /// Warns of the variables of a clause that were declared and never assigned.
    fn warn_never_assigned(&mut self, number: usize) {
        let variables = self.variables.get(number).into_iter().flatten();
        let never: Vec<(String, Span)> = variables
            .filter(|v| v.is_bare && !v.is_assigned)
            .map(|v| (v.name.clone(), v.span))
            .collect();
        for (name, span) in never {
            self.report(
                Diagnostic::warning(
                    codes::NEVER_ASSIGNED,
                    format!("Variable ${name} was never assigned to."),
                    span,
                    "declared here",
                )
                .help("assign it, or leave the declaration out"),
            );
        }
    }

    /// Whether something stands in the body of a macro, which is written for several uses.
    fn is_expanded(&self, span: Span) -> bool {
        self.macro_spans.iter().any(|body| {
            body.source == span.source && body.start <= span.start && span.end <= body.end
        })
    }

    /// Types of variables and maps that nothing decides: integers.
    fn settle(&mut self) {
        let ty = if self.input.has_holes || self.input.has_lost_probes {
            Type::Error
        } else {
            I64
        };
        if self.input.options.carried.is_some() {
            for map in &mut self.maps {
                self.changed |= map.make_room();
            }
        }
        for map in &mut self.maps {
            if map.value == Type::Unknown && map.aggregate.is_none() && !map.gets_aggregate {
                map.value = ty.clone();
                map.is_undefined = true;
                self.changed = true;
            }
            if map.key.is_some() && !map.is_keyed && !map.is_scalar {
                // Only functions name its keys.
                map.is_keyed = true;
                self.changed = true;
            }
            if map.is_keyed && map.key.as_ref().is_none_or(|key| *key == Type::Unknown) {
                map.key = Some(ty.clone());
                self.changed = true;
            }
        }
        for variable in self.variables.iter_mut().flatten() {
            if variable.ty == Type::Unknown {
                variable.ty = ty.clone();
                self.changed = true;
            }
        }
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn probe(&self) -> &ProbeContext {
        self.probe
            .as_ref()
            .expect("a clause sets its probe before its body is walked")
    }

    /// Runs a word's check.
    fn checking<T>(&mut self, check: impl FnOnce(&mut Check<'_, '_>) -> T) -> T {
        let probe = self
            .probe
            .as_ref()
            .expect("a clause sets its probe before its body is walked");
        let mut surroundings = Check {
            types: self.input.types,
            target: self.input.target,
            config: self.input.config,
            probe,
            allows_unsafe: self.input.options.allows_unsafe,
            maps: &self.maps,
            diagnostics: &mut self.diagnostics,
            named: &self.input.options.named,
            parameters: &mut self.parameters,
        };
        check(&mut surroundings)
    }

    fn map_number(&mut self, name: &str, span: Span) -> MapIndex {
        if let Some(number) = self.map_numbers.get(name) {
            return MapIndex(*number);
        }
        let number = u32::try_from(self.maps.len()).unwrap_or(u32::MAX);
        let carried = self.input.options.carried.iter();
        let mut carried = carried.flat_map(|carried| &carried.maps);
        let known = carried.find(|map| map.name == name);
        self.maps.push(match known {
            Some(map) => MapTypes::carried(map, span),
            None => MapTypes::new(name, span),
        });
        self.map_numbers.insert(name.to_owned(), number);
        self.changed = true;
        MapIndex(number)
    }

    fn map(&mut self, index: MapIndex) -> &mut MapTypes {
        self.maps
            .get_mut(index.0 as usize)
            .expect("map numbers are given by map_number")
    }

    /// The type of a map's value as an expression has it.
    fn map_value_type(&self, index: MapIndex) -> Type {
        let Some(map) = self.maps.get(index.0 as usize) else {
            return Type::Error;
        };
        match &map.aggregate {
            Some(aggregate) => Type::Aggregate(Aggregate {
                word: aggregate.word.name(),
                is_castable: aggregate.word.is_castable(),
                is_signed: aggregate.is_signed,
            }),
            None => map.value.clone(),
        }
    }

    fn in_scope<T>(&mut self, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.scopes.push(HashMap::new());
        let value = walk(self);
        if let Some(scope) = self.scopes.pop() {
            self.gone.extend(scope.into_keys());
        }
        value
    }

    fn find_variable(&self, name: &str) -> Option<VariableId> {
        self.scopes.iter().rev().find_map(|s| s.get(name)).copied()
    }

    /// A new variable in the innermost scope. The walk is the same in every round, so the
    /// same variable gets the same number and its type so far.
    fn new_variable(&mut self, name: &str, span: Span) -> VariableId {
        let number = self.next_variable;
        self.next_variable += 1;
        let id = VariableId(u32::try_from(number).unwrap_or(u32::MAX));
        if let Some(variables) = self.variables.get_mut(self.clause)
            && variables.len() <= number
        {
            variables.push(VariableTypes {
                name: name.to_owned(),
                ty: Type::Unknown,
                is_flexible: true,
                is_fixed: false,
                is_addressed: false,
                is_arguments: false,
                is_assigned: false,
                is_bare: false,
                span,
            });
            self.changed = true;
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned(), id);
        }
        let variable = self.variable(id);
        variable.is_assigned = false;
        variable.is_bare = false;
        id
    }

    fn variable(&mut self, id: VariableId) -> &mut VariableTypes {
        self.variables
            .get_mut(self.clause)
            .and_then(|variables| variables.get_mut(id.0 as usize))
            .expect("variable numbers are given by new_variable")
    }

    /// Every name that may stand as a bare word or a call, for suggestions.
    fn nearest_word(&self, name: &str) -> Option<&'static str> {
        let vocabulary = self.input.vocabulary;
        let builtins = vocabulary.builtins.iter().map(|w| w.name());
        let functions = vocabulary.functions.iter().map(|w| w.name());
        let aggregations = vocabulary.aggregations.iter().map(|w| w.name());
        nearest::nearest(name, builtins.chain(functions).chain(aggregations))
    }

    fn declare_maps(&mut self, program: &ast::Program) {
        for item in &program.items {
            let ast::Item::MapDeclaration(declaration) = item else {
                continue;
            };
            let span = declaration.map.span;
            let kind = match declaration.kind.node.as_str() {
                "hash" => hir::DeclaredKind::Hash,
                "lruhash" => hir::DeclaredKind::LruHash,
                "percpuhash" => hir::DeclaredKind::PerCpuHash,
                "percpulruhash" => hir::DeclaredKind::PerCpuLruHash,
                other => {
                    self.report(
                        Diagnostic::error(
                            codes::MAP_DECLARATION,
                            format!("Invalid bpf map type: {other}"),
                            declaration.kind.span,
                            "not a kind of map",
                        )
                        .help("Valid map types: percpulruhash, percpuhash, lruhash, hash"),
                    );
                    continue;
                }
            };
            let entries = match declaration.arguments.as_slice() {
                [
                    ast::Expr {
                        kind: ast::ExprKind::Int(n),
                        ..
                    },
                ] if *n > 0 && u32::try_from(*n).is_ok() => u32::try_from(*n).unwrap_or(1),
                _ => {
                    self.report(
                        Diagnostic::error(
                            codes::MAP_DECLARATION,
                            "a map declaration takes the number of entries",
                            declaration.span,
                            "one positive integer literal is expected",
                        )
                        .help(format!(
                            "let @{} = {}(1024);",
                            declaration.map.node, declaration.kind.node
                        )),
                    );
                    continue;
                }
            };
            let index = self.map_number(&declaration.map.node, span);
            self.map(index).declared = Some((Declared { kind, entries }, declaration.span));
        }
    }

    fn check_declarations(&self, diagnostics: &mut Diagnostics) {
        for map in &self.maps {
            let Some((declared, span)) = map.declared else {
                continue;
            };
            if !map.is_scalar && !map.is_keyed {
                diagnostics.push(Diagnostic::warning(
                    codes::MAP_DECLARATION,
                    format!("Unused map: @{}", map.name),
                    span,
                    "declared here",
                ));
                continue;
            }
            let is_per_cpu = matches!(
                declared.kind,
                hir::DeclaredKind::PerCpuHash | hir::DeclaredKind::PerCpuLruHash
            );
            let holds_slots = map.aggregate.is_some();
            if is_per_cpu != holds_slots {
                let (used, here, other) = if holds_slots {
                    let here = "aggregations need a map for each CPU";
                    ("percpuhash", here, "percpuhash")
                } else {
                    let here = "a map for each CPU holds aggregations only";
                    ("hash", here, "hash")
                };
                let message = format!(
                    "Incompatible map types. Type from declaration: {}. Type from value/key \
                     type: {used}",
                    declared.kind.name()
                );
                diagnostics.push(
                    Diagnostic::error(codes::MAP_DECLARATION, message, span, here).help(format!(
                        "let @{} = {other}({});",
                        map.name, declared.entries
                    )),
                );
            }
        }
    }
}
