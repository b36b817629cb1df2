//! Macro calls replaced by the macros' bodies.
//!
//! A call becomes a block with the body: `$x` and `@m` parameters take the caller's variable
//! or map by name, bare ones the argument's expression at each use. Variables of the body are
//! renamed, so that they meet none of the caller's; maps must be passed in.

use super::respan;
use super::walk::{self, Rewrite};
use rbt_grammar::ast::{
    Argument, Expr, ExprKind, Item, Macro, MacroParameter, Name, Program, Statement, StatementKind,
    TypeBase, TypeName,
};
use rbt_grammar::{Diagnostic, Diagnostics, Span, Spanned, codes};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Nodes that expansion may make: far more than any script needs, far less than memory.
const MOST_EXPANSIONS: u32 = 20_000;

/// The macros of the library's file that defines a word; none if no file does.
pub type Library<'a> = &'a dyn Fn(&str) -> Vec<Macro>;

/// Expands all macro calls in the clauses of a program. Macros of the library count unless the
/// script defines one of the same signature; it is asked once for each word the script mentions.
pub fn run(
    program: &mut Program,
    functions: &HashSet<String>,
    library: Library<'_>,
) -> Diagnostics {
    let mut diagnostics = Vec::new();
    let own: Vec<Macro> = program
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Macro(definition) => Some(definition.clone()),
            _ => None,
        })
        .collect();
    let mut macros: HashMap<String, Vec<Macro>> = HashMap::new();
    for definition in own {
        let known = macros.entry(definition.name.node.clone()).or_default();
        match known
            .iter()
            .find(|other| is_same_signature(other, &definition))
        {
            None => known.push(definition),
            Some(first) => {
                let message = format!("Redefinition of macro: {}", definition.name.node);
                let span = definition.name.span;
                let diagnostic = Diagnostic::error(codes::MACRO, message, span, "again here");
                diagnostics.push(diagnostic.label(first.name.span, "first here"));
            }
        }
    }
    let macros = macros.into_iter();
    let mut expansion = Expansion {
        macros: macros.map(|(name, all)| (name, Rc::new(all))).collect(),
        asked: HashSet::new(),
        functions,
        library,
        calls: Vec::new(),
        count: 0,
        diagnostics,
    };
    for item in &mut program.items {
        if let Item::Clause(clause) = item {
            if let Some(predicate) = &mut clause.predicate {
                walk::expr(predicate, &mut expansion);
            }
            walk::block(&mut clause.action, &mut expansion);
        }
    }
    expansion.diagnostics
}

fn is_of_library(definition: &Macro) -> bool {
    definition.span == Span::default()
}

fn kind(parameter: &MacroParameter) -> u8 {
    match parameter {
        MacroParameter::Variable(_) => 0,
        MacroParameter::Map(_) => 1,
        MacroParameter::Expression(_) => 2,
    }
}

fn is_same_signature(a: &Macro, b: &Macro) -> bool {
    a.parameters.len() == b.parameters.len()
        && a.parameters
            .iter()
            .zip(&b.parameters)
            .all(|(a, b)| kind(&a.node) == kind(&b.node))
}

struct Expansion<'l> {
    macros: HashMap<String, Rc<Vec<Macro>>>,
    /// Words that the library was asked for.
    asked: HashSet<String>,
    /// Names of those that are functions.
    functions: &'l HashSet<String>,
    library: Library<'l>,
    /// Macros being expanded, outermost first.
    calls: Vec<String>,
    count: u32,
    diagnostics: Diagnostics,
}

impl Rewrite for Expansion<'_> {
    fn expr(&mut self, expr: &mut Expr) {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Call { name, arguments } => {
                // A builtin's name with arguments may be a macro's.
                if !arguments.is_empty() {
                    self.ask(&format!("{}()", name.node));
                }
                if let Some(block) = self.expand(&name.node, arguments, span) {
                    *expr = block;
                }
            }
            ExprKind::Identifier(name) => {
                let overloads = self.overloads(name);
                let has_bare =
                    overloads.is_some_and(|all| all.iter().any(|m| m.parameters.is_empty()));
                if has_bare && let Some(block) = self.expand(name, &[], span) {
                    *expr = block;
                }
            }
            _ => {}
        }
    }
}

impl Expansion<'_> {
    /// The macros of that name, the library's too.
    fn overloads(&mut self, name: &str) -> Option<Rc<Vec<Macro>>> {
        self.ask(name);
        self.macros.get(name).cloned()
    }

    /// Gets what the library has for a word, once.
    fn ask(&mut self, word: &str) {
        if !self.asked.contains(word) {
            self.asked.insert(word.to_owned());
            let found = (self.library)(word);
            for mut definition in found {
                // Its file is none of the script's sources: what it says is said at the call.
                definition.span = Span::default();
                let name = definition.name.node.clone();
                self.asked.insert(name.clone());
                let known = Rc::make_mut(self.macros.entry(name).or_default());
                let mut others = known.iter();
                if !others.any(|other| is_same_signature(other, &definition)) {
                    known.push(definition);
                }
            }
        }
    }

    /// The block a call becomes; `None` if the name is no macro.
    fn expand(&mut self, name: &str, arguments: &[Argument], span: Span) -> Option<Expr> {
        let overloads = self.overloads(name)?;
        let error = Some(Expr::new(ExprKind::Error, span));
        if self.calls.iter().any(|caller| caller == name) {
            let mut chain = self.calls.clone();
            chain.push(name.to_owned());
            let message = format!(
                "Recursive macro call detected. Call chain: {}",
                chain.join(" > ")
            );
            let here = "expands to itself";
            self.complain(message, span, here);
            return error;
        }
        let Some(definition) = choose(&overloads, arguments) else {
            if arguments.is_empty() && overloads.iter().all(is_of_library) {
                // Then it is the builtin that is called.
                return None;
            }
            let message =
                format!("Call to {name}() has arguments that do not match any definition.");
            let mut diagnostic =
                Diagnostic::error(codes::MACRO, message, span, "no definition takes these");
            let own = overloads.iter().filter(|m| !is_of_library(m));
            for overload in own {
                diagnostic = diagnostic.label(overload.name.span, "defined here");
            }
            self.diagnostics.push(diagnostic);
            return error;
        };
        self.count += 1;
        if self.count > MOST_EXPANSIONS {
            if self.count == MOST_EXPANSIONS + 1 {
                let message = String::from("macros expand to too much code");
                self.complain(message, span, "one expansion too many");
            }
            return error;
        }
        let mut body = definition.body.clone();
        if is_of_library(definition) {
            respan::block(&mut body, span);
        }
        let mut values = AssignedValues {
            names: definition
                .parameters
                .iter()
                .filter_map(|parameter| match &parameter.node {
                    MacroParameter::Expression(name) => Some(name.as_str()),
                    _ => None,
                })
                .collect(),
            found: Vec::new(),
        };
        walk::block(&mut body, &mut values);
        for (parameter, at) in values.found {
            let message = format!("`{parameter}` is a value, which cannot be assigned");
            let diagnostic =
                Diagnostic::error(codes::MACRO, message, at, "a parameter without `$`")
                    .label(span, "expanded from here")
                    .help(format!(
                        "name the parameter `${parameter}` to take a variable"
                    ));
            self.diagnostics.push(diagnostic);
        }
        self.calls.push(name.to_owned());
        walk::block(&mut body, self);
        self.calls.pop();
        let mut substitution = Substitution {
            arguments: pair(definition, arguments),
            number: self.count,
            complaints: Vec::new(),
            span,
            seen: HashSet::new(),
            allows_maps: self.functions.contains(name),
        };
        walk::block(&mut body, &mut substitution);
        self.diagnostics.append(&mut substitution.complaints);
        Some(Expr::new(ExprKind::Block(Box::new(body)), span))
    }

    fn complain(&mut self, message: String, span: Span, here: &str) {
        self.diagnostics
            .push(Diagnostic::error(codes::MACRO, message, span, here));
    }
}

/// The definition that takes these arguments; of several, the one with most `$` and `@`.
fn choose<'m>(overloads: &'m [Macro], arguments: &[Argument]) -> Option<&'m Macro> {
    let fits = |definition: &&Macro| {
        definition.parameters.len() == arguments.len()
            && definition
                .parameters
                .iter()
                .zip(arguments)
                .all(|(parameter, argument)| match (&parameter.node, argument) {
                    (MacroParameter::Expression(_), _) => true,
                    (MacroParameter::Variable(_), Argument::Expr(e)) => {
                        matches!(e.kind, ExprKind::Variable(_))
                    }
                    (MacroParameter::Map(_), Argument::Expr(e)) => {
                        matches!(e.kind, ExprKind::Map(_))
                    }
                    (_, Argument::Type(_)) => false,
                })
    };
    overloads.iter().filter(fits).max_by_key(|definition| {
        let all = definition.parameters.iter();
        all.filter(|p| !matches!(p.node, MacroParameter::Expression(_)))
            .count()
    })
}

/// Finds what a body does to parameters that are values as if they were variables.
struct AssignedValues<'m> {
    names: Vec<&'m str>,
    found: Vec<(String, Span)>,
}

impl AssignedValues<'_> {
    fn look(&mut self, target: &Expr) {
        if let ExprKind::Identifier(name) = &target.kind
            && self.names.contains(&name.as_str())
        {
            self.found.push((name.clone(), target.span));
        }
    }
}

impl Rewrite for AssignedValues<'_> {
    fn expr(&mut self, expr: &mut Expr) {
        if let ExprKind::Step { target, .. } = &expr.kind {
            self.look(target);
        }
    }

    fn statement(&mut self, statement: &mut Statement) {
        if let StatementKind::Assign { target, .. } = &statement.kind {
            self.look(target);
        }
    }
}

/// What stands for a name of the body.
enum Given {
    Name(String),
    Value(Argument),
}

fn pair(definition: &Macro, arguments: &[Argument]) -> HashMap<(u8, String), Given> {
    let mut given = HashMap::new();
    for (parameter, argument) in definition.parameters.iter().zip(arguments) {
        let number = kind(&parameter.node);
        let (MacroParameter::Variable(name)
        | MacroParameter::Map(name)
        | MacroParameter::Expression(name)) = &parameter.node;
        let value = match (&parameter.node, argument) {
            (MacroParameter::Variable(_), Argument::Expr(e))
            | (MacroParameter::Map(_), Argument::Expr(e)) => match &e.kind {
                ExprKind::Variable(name) | ExprKind::Map(name) => Given::Name(name.clone()),
                _ => continue,
            },
            (_, argument) => Given::Value(argument.clone()),
        };
        given.insert((number, name.clone()), value);
    }
    given
}

struct Substitution {
    arguments: HashMap<(u8, String), Given>,
    number: u32,
    complaints: Diagnostics,
    /// The call.
    span: Span,
    seen: HashSet<String>,
    /// Functions reach the script's maps, macros only those they are given.
    allows_maps: bool,
}

impl Substitution {
    /// The caller's name of a variable, or a name that no script can write.
    fn variable(&self, name: &str) -> String {
        match self.arguments.get(&(0, name.to_owned())) {
            Some(Given::Name(name)) => name.clone(),
            // Variables of an inner expansion are private already.
            _ if name.contains('#') => name.to_owned(),
            _ => format!("{name}#{}", self.number),
        }
    }
}

impl Substitution {
    /// A path of members that begins with a parameter's name takes the members given.
    fn path(&self, path: &mut Vec<Name>) {
        let Some(first) = path.first() else {
            return;
        };
        let Some(Given::Value(Argument::Expr(given))) =
            self.arguments.get(&(2, first.node.clone()))
        else {
            return;
        };
        let Some(members) = members(given) else {
            return;
        };
        path.splice(..1, members);
    }
}

/// The names of `a.b.c`.
fn members(expr: &Expr) -> Option<Vec<Name>> {
    match &expr.kind {
        ExprKind::Identifier(name) => Some(vec![Spanned::new(name.clone(), expr.span)]),
        ExprKind::Field { base, name } => {
            let mut path = members(base)?;
            path.push(name.clone());
            Some(path)
        }
        _ => None,
    }
}

impl Rewrite for Substitution {
    fn expr(&mut self, expr: &mut Expr) {
        match &mut expr.kind {
            ExprKind::Variable(name) => *name = self.variable(name),
            ExprKind::Map(name) => match self.arguments.get(&(1, name.clone())) {
                Some(Given::Name(given)) => name.clone_from(given),
                _ if !self.allows_maps && self.seen.insert(name.clone()) => {
                    let message = format!(
                        "Unhygienic access to map: @{name}. Maps must be passed into the macro \
                         as arguments."
                    );
                    let diagnostic =
                        Diagnostic::error(codes::MACRO, message, expr.span, "not a parameter")
                            .label(self.span, "expanded from here");
                    self.complaints.push(diagnostic);
                }
                _ => {}
            },
            ExprKind::Identifier(name) => {
                if let Some(Given::Value(Argument::Expr(value))) =
                    self.arguments.get(&(2, name.clone()))
                {
                    *expr = value.clone();
                }
            }
            ExprKind::Offsetof { path, .. } => self.path(path),
            ExprKind::Call { arguments, .. } => {
                for argument in arguments {
                    if let Argument::Expr(inner) = argument
                        && let ExprKind::Identifier(name) = &inner.kind
                        && let Some(Given::Value(given)) = self.arguments.get(&(2, name.clone()))
                    {
                        *argument = given.clone();
                    }
                }
            }
            _ => {}
        }
    }

    fn statement(&mut self, statement: &mut Statement) {
        match &mut statement.kind {
            StatementKind::Let { name, .. } | StatementKind::For { variable: name, .. } => {
                name.node = self.variable(&name.node);
            }
            _ => {}
        }
    }

    fn type_name(&mut self, ty: &mut TypeName) {
        if let TypeBase::Named(name) = &ty.base
            && let Some(Given::Value(given)) = self.arguments.get(&(2, name.clone()))
        {
            match given {
                Argument::Type(given) => {
                    ty.base = given.base.clone();
                    let mut suffixes = given.suffixes.clone();
                    suffixes.append(&mut ty.suffixes);
                    ty.suffixes = suffixes;
                }
                Argument::Expr(value) => {
                    let of = rbt_grammar::ast::TypeOrExpr::Expr(value.clone());
                    ty.base = TypeBase::Typeof(Box::new(of));
                }
            }
        }
    }
}

/// The macros of a parsed script.
pub fn definitions(program: Program) -> impl Iterator<Item = Macro> {
    program.items.into_iter().filter_map(|item| match item {
        Item::Macro(definition) => Some(definition),
        _ => None,
    })
}
