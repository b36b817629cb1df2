//! Statements.

use super::Infer;
use super::promote::promote;
use crate::hir::{AggregateUse, Expr, ExprKind, MapIndex, Stmt, StmtKind, VariableId};
use crate::pass::convert::convert;
use crate::target::Feature;
use crate::types::{I64, Origin, Type, U64};
use crate::vocabulary::Aggregation;
use rbt_grammar::ast::{self, StatementKind};
use rbt_grammar::{Diagnostic, Span, codes};
use std::rc::Rc;

/// Loops inside loops: the kernel gives a program eight frames, and the first is its own.
const MOST_LOOPS: u32 = 7;

/// Copies of a body that `unroll` inside `unroll` may make.
const MOST_COPIES: u64 = 10_000;

impl Infer<'_, '_> {
    /// A clause's action: its last expression is a statement like any other.
    pub(super) fn action(&mut self, block: &ast::Block) -> Vec<Stmt> {
        self.block(block)
    }

    /// The statements of a block in a scope of their own.
    pub(super) fn block(&mut self, block: &ast::Block) -> Vec<Stmt> {
        self.in_scope(|infer| {
            let mut statements = infer.statements(&block.statements);
            if let Some(value) = &block.value {
                if statements.last().is_some_and(diverges) {
                    infer.unreachable(value.span);
                } else {
                    statements.extend(infer.expression_statement(value));
                }
            }
            statements
        })
    }

    /// Statements up to the first that leaves the block; what follows has no effect.
    pub(super) fn statements(&mut self, statements: &[ast::Statement]) -> Vec<Stmt> {
        let mut typed = Vec::new();
        for (number, statement) in statements.iter().enumerate() {
            typed.extend(self.statement(statement));
            if typed.last().is_some_and(diverges) {
                if let Some(next) = statements.get(number + 1) {
                    self.unreachable(next.span);
                }
                break;
            }
        }
        typed
    }

    fn unreachable(&mut self, span: Span) {
        self.report(Diagnostic::warning(
            codes::UNREACHABLE,
            "Unreachable statement.",
            span,
            "never reached",
        ));
    }

    fn statement(&mut self, statement: &ast::Statement) -> Option<Stmt> {
        let span = statement.span;
        let kind = match &statement.kind {
            StatementKind::Expression(expr) => return self.expression_statement(expr),
            StatementKind::Discard(expr) => StmtKind::Expr(self.expr(expr)),
            StatementKind::Assign { target, op, value } => {
                return self.assign(target, *op, value, span);
            }
            StatementKind::Let { name, ty, value } => {
                return self.declare(name, ty.as_ref(), value.as_ref(), span);
            }
            StatementKind::If {
                condition,
                then,
                otherwise,
            } => {
                let is_comptime = matches!(condition.kind, ast::ExprKind::Comptime(_));
                let condition = self.condition(condition);
                let constant = condition.as_int().filter(|_| is_comptime);
                let then_dead = constant == Some(0);
                let else_dead = constant.is_some_and(|v| v != 0);
                // A branch that `comptime` rules out does not count, not even for types.
                let then = if then_dead {
                    Vec::new()
                } else {
                    self.block(then)
                };
                let otherwise = match otherwise {
                    Some(block) if !else_dead => self.block(block),
                    _ => Vec::new(),
                };
                StmtKind::If {
                    condition,
                    then,
                    otherwise,
                }
            }
            StatementKind::While { condition, body } => {
                self.report(
                    Diagnostic::warning(
                        codes::DEPRECATED,
                        "While loops are deprecated and may be removed in the future.",
                        span,
                        "a `for` loop can take its place",
                    )
                    .help(
                        "For loops support ranges (e.g. `for ($x : $start..$end) { ... }`), and \
                         can be used in place of while.",
                    ),
                );
                let condition = self.condition(condition);
                self.loops += 1;
                self.check_loops(span);
                let body = self.block(body);
                self.loops -= 1;
                StmtKind::While { condition, body }
            }
            StatementKind::Unroll { count, body } => return self.unroll(count, body, span),
            StatementKind::For {
                variable,
                over,
                body,
            } => return self.for_loop(variable, over, body, span),
            StatementKind::Break | StatementKind::Continue if self.loops == 0 => {
                let word = match statement.kind {
                    StatementKind::Break => "break",
                    _ => "continue",
                };
                self.report(Diagnostic::error(
                    codes::BAD_TARGET,
                    format!("'{word}' statement is not allowed in a probe"),
                    span,
                    "not in a loop",
                ));
                return None;
            }
            StatementKind::Break => StmtKind::Break,
            StatementKind::Continue => StmtKind::Continue,
            StatementKind::Return(None) => StmtKind::Return(None),
            StatementKind::Return(Some(value)) => {
                let value = self.expr(value);
                if !value.ty.is_integer() && value.ty != Type::Bool && !value.ty.is_absorbing() {
                    self.report(Diagnostic::error(
                        codes::BAD_OPERAND,
                        format!(
                            "Probe return values can only be integers. Found {}",
                            value.ty
                        ),
                        value.span,
                        "not an integer",
                    ));
                }
                StmtKind::Return(Some(convert(value, &I64)))
            }
            StatementKind::Block(block) => StmtKind::Block(self.block(block)),
            StatementKind::Import(import) => {
                self.report(Diagnostic::error(
                    codes::BAD_TARGET,
                    "an import stands at the top of a script",
                    import.span,
                    "inside a block",
                ));
                return None;
            }
            StatementKind::Error => return None,
        };
        Some(Stmt { kind, span })
    }

    fn expression_statement(&mut self, expr: &ast::Expr) -> Option<Stmt> {
        // `if` and blocks at a statement's place are statements, whatever their value.
        if let ast::ExprKind::If {
            condition,
            then,
            otherwise,
        } = &expr.kind
        {
            let statement = ast::Statement {
                kind: StatementKind::If {
                    condition: (**condition).clone(),
                    then: (**then).clone(),
                    otherwise: otherwise.as_deref().cloned(),
                },
                span: expr.span,
            };
            return self.statement(&statement);
        }
        let value = self.expr(expr);
        if value.ty != Type::Void && !value.ty.is_absorbing() && !is_for_effect(&value) {
            self.report(
                Diagnostic::warning(
                    codes::DISCARDED,
                    "Return value discarded.",
                    expr.span,
                    format!("a value of type `{}`", value.ty),
                )
                .help("write `_ = …;` if it is meant"),
            );
        }
        Some(Stmt {
            span: expr.span,
            kind: StmtKind::Expr(value),
        })
    }

    fn declare(
        &mut self,
        name: &ast::Name,
        ty: Option<&ast::TypeName>,
        value: Option<&ast::Expr>,
        span: Span,
    ) -> Option<Stmt> {
        let value = value.map(|value| self.expr(value));
        if self.find_variable(&name.node).is_some() {
            self.report(
                Diagnostic::error(
                    codes::SHADOWED_VARIABLE,
                    format!(
                        "Variable ${} was already declared. Variable shadowing is not allowed.",
                        name.node
                    ),
                    name.span,
                    "declared again here",
                )
                .help("assign it without `let`, or choose another name"),
            );
        }
        let id = self.new_variable(&name.node, name.span);
        self.declared.insert(name.node.clone());
        if let Some(ty) = ty {
            let ty = self.declared_type(ty);
            let variable = self.variable(id);
            variable.is_fixed = true;
            variable.ty = ty;
        }
        let kind = match value {
            Some(value) if self.names_arguments(id, &value) => return None,
            Some(value) => self.assign_variable(id, value, name.span),
            None => {
                self.variable(id).is_bare = true;
                StmtKind::Clear(id)
            }
        };
        Some(Stmt { kind, span })
    }

    /// The type of a declaration: one that values have.
    fn declared_type(&mut self, name: &ast::TypeName) -> Type {
        // Messages call the types of aggregations so: `count_t`, `usum_t`.
        let is_aggregate = match &name.base {
            ast::TypeBase::Named(word) => word.strip_suffix("_t").is_some_and(|word| {
                let unsigned = word.strip_prefix('u').unwrap_or(word);
                let vocabulary = self.input.vocabulary;
                [word, unsigned]
                    .iter()
                    .any(|w| vocabulary.aggregation(w).is_some())
            }),
            _ => false,
        };
        let ty = if is_aggregate {
            Type::Void
        } else {
            self.type_name(name)
        };
        if ty != Type::Void {
            return ty;
        }
        let word = match &name.base {
            ast::TypeBase::Named(word) => word.as_str(),
            _ => "void",
        };
        self.report(
            Diagnostic::error(
                codes::UNKNOWN_TYPE,
                format!("Invalid variable declaration type: {word}"),
                name.span,
                "no variable can hold it",
            )
            .help("leave the type out, or name that of an integer, a string or a struct"),
        );
        Type::Error
    }

    pub(super) fn assign(
        &mut self,
        target: &ast::Expr,
        op: Option<ast::BinaryOp>,
        value: &ast::Expr,
        span: Span,
    ) -> Option<Stmt> {
        let kind = match &target.kind {
            ast::ExprKind::Variable(name) => self.assign_named(name, target.span, op, value, span),
            ast::ExprKind::Map(name) => self.assign_map(name, &[], target.span, op, value, span),
            ast::ExprKind::Index { base, indices } => match &base.kind {
                ast::ExprKind::Map(name) => {
                    self.assign_map(name, indices, target.span, op, value, span)
                }
                _ => return self.bad_target(target, value),
            },
            ast::ExprKind::Tuple(targets) if op.is_none() => {
                return self.unpack(targets, value, target.span, span);
            }
            ast::ExprKind::Error => {
                self.expr(value);
                return None;
            }
            _ => return self.bad_target(target, value),
        }?;
        Some(Stmt { kind, span })
    }

    fn bad_target(&mut self, target: &ast::Expr, value: &ast::Expr) -> Option<Stmt> {
        let typed = self.expr(target);
        self.expr(value);
        let is_part = matches!(typed.kind, ExprKind::Part { .. });
        let message = if is_part {
            "Tuples and records are immutable once created. Consider creating a new value and \
             assigning it instead."
        } else {
            "only scratch variables and maps can be assigned"
        };
        self.report(
            Diagnostic::error(codes::BAD_TARGET, message, target.span, "not assignable")
                .help("assign to `$variable`, `@map` or `@map[key]`"),
        );
        None
    }

    pub(super) fn assign_named(
        &mut self,
        name: &str,
        at: Span,
        op: Option<ast::BinaryOp>,
        value: &ast::Expr,
        span: Span,
    ) -> Option<StmtKind> {
        let value = match op {
            None => self.expr(value),
            Some(op) => {
                let old = self.variable_expr(name, at);
                let right = self.expr(value);
                self.binary(op, old, right, span)
            }
        };
        let id = match self.find_variable(name) {
            Some(id) => id,
            None => self.new_variable(name, at),
        };
        if self.names_arguments(id, &value) {
            return None;
        }
        Some(self.assign_variable(id, value, at))
    }

    /// Whether a variable is assigned all of the probe's arguments: it is another name for them,
    /// since not all of their bytes can be read, and what some say depends on where they lie.
    fn names_arguments(&mut self, id: VariableId, value: &Expr) -> bool {
        let is_whole = matches!(value.kind, ExprKind::Argument(_))
            && matches!(&value.ty, Type::Struct(s) if matches!(s.origin, Origin::Probe(_)));
        let variable = self.variable(id);
        if !is_whole || (variable.ty != Type::Unknown && variable.ty != value.ty) {
            return false;
        }
        let is_new = !variable.is_arguments;
        variable.is_arguments = true;
        variable.is_assigned = true;
        variable.ty = value.ty.clone();
        self.changed |= is_new;
        true
    }

    /// Joins a value's type into a variable's and gives the assignment.
    pub(super) fn assign_variable(&mut self, id: VariableId, value: Expr, at: Span) -> StmtKind {
        self.tell(at, &value.ty);
        let flexible = crate::pass::fold::is_flexible(&value);
        let new = match &value.ty {
            Type::Aggregate(aggregate) if aggregate.is_castable => {
                if aggregate.is_signed {
                    I64
                } else {
                    U64
                }
            }
            Type::Aggregate(aggregate) => {
                self.report(
                    Diagnostic::error(
                        codes::AGGREGATE_PLACE,
                        format!(
                            "Value '{}_t' cannot be assigned to a scratch variable.",
                            aggregate.word
                        ),
                        value.span,
                        "it has no single value",
                    )
                    .help("assign it to a map of its own"),
                );
                Type::Error
            }
            Type::Void => {
                self.report(Diagnostic::error(
                    codes::TYPE_MISMATCH,
                    "Value 'void' cannot be assigned to a scratch variable.",
                    value.span,
                    "this has no value",
                ));
                Type::Error
            }
            ty => ty.clone(),
        };
        let variable = self.variable(id);
        variable.is_assigned = true;
        if variable.is_fixed {
            let (name, ty) = (variable.name.clone(), variable.ty.clone());
            return self.assign_fixed(id, &name, &ty, value, new);
        }
        if new.is_absorbing() {
            // What hangs on a mistake is not a mistake of its own.
            if new == Type::Error && variable.ty == Type::Unknown {
                variable.ty = Type::Error;
                self.changed = true;
                return StmtKind::Expr(value);
            }
            let ty = variable.ty.clone();
            return StmtKind::SetVariable(id, convert(value, &ty));
        }
        let old = (variable.ty.clone(), variable.is_flexible);
        let first = variable.span;
        let name = variable.name.clone();
        match promote((&old.0, old.1), (&new, flexible)) {
            Some((ty, is_flexible)) => {
                let variable = self.variable(id);
                let is_new = variable.ty != ty || variable.is_flexible != is_flexible;
                variable.ty = ty.clone();
                variable.is_flexible = is_flexible;
                self.changed |= is_new;
                self.warn_lossy(&value, &ty);
                StmtKind::SetVariable(id, convert(value, &ty))
            }
            None => {
                self.report(
                    Diagnostic::error(
                        codes::TYPE_MISMATCH,
                        format!(
                            "Type mismatch for ${name}: trying to assign value of type '{new}' \
                             when variable already has a type '{}'",
                            old.0
                        ),
                        at,
                        format!("`{new}` here"),
                    )
                    .label(first, format!("`{}` here", old.0))
                    .help("use another variable for the other kind of value"),
                );
                StmtKind::Expr(value)
            }
        }
    }

    fn assign_fixed(
        &mut self,
        id: VariableId,
        name: &str,
        ty: &Type,
        value: Expr,
        new: Type,
    ) -> StmtKind {
        let fits = match (&value.kind, ty) {
            (ExprKind::Int(n), Type::Int(_)) if value.ty.is_integer() => {
                crate::pass::fold::truncate(*n, ty) == *n
            }
            _ => promote((ty, false), (&new, false)).is_some_and(|(joined, _)| {
                joined == *ty
                    || (joined.is_integer() && ty.is_integer())
                    || matches!((&joined, ty), (Type::Array(..), Type::Array(..)))
            }),
        };
        if !fits && !new.is_absorbing() && !ty.is_absorbing() {
            self.report(
                Diagnostic::error(
                    codes::TYPE_MISMATCH,
                    format!(
                        "Type mismatch for ${name}: trying to assign value of type '{new}' when \
                         variable already has a type '{ty}'"
                    ),
                    value.span,
                    format!("does not fit into `{ty}`"),
                )
                .help(format!("declare it wider, or cast: `({ty})…`")),
            );
        }
        if fits {
            self.warn_lossy(&value, ty);
        }
        StmtKind::SetVariable(id, convert(value, ty))
    }

    /// Warns where a value that is no literal may not survive a conversion.
    pub(super) fn warn_lossy(&mut self, value: &Expr, to: &Type) {
        let (Type::Int(from), Type::Int(into)) = (&value.ty, to) else {
            return;
        };
        let is_lossy = from.size > into.size
            || (from.is_signed != into.is_signed && from.size == into.size && !from.is_signed);
        if is_lossy && value.as_int().is_none() {
            self.report(Diagnostic::warning(
                codes::LOSSY,
                format!(
                    "Expression of type: {from} being cast to type: {into}. This may cause \
                     unexpected results. Use an explicit cast to suppress this warning."
                ),
                value.span,
                "may not keep its value",
            ));
        }
    }

    fn assign_map(
        &mut self,
        name: &str,
        indices: &[ast::Expr],
        at: Span,
        op: Option<ast::BinaryOp>,
        value: &ast::Expr,
        span: Span,
    ) -> Option<StmtKind> {
        let map = self.map_number(name, at);
        let key = self.map_key(map, indices, at);
        if op.is_none()
            && let ast::ExprKind::Call {
                name: word,
                arguments,
            } = &value.kind
            && let Some(word) = self.input.vocabulary.aggregation(&word.node)
        {
            return self.aggregate(map, key, word, arguments, value.span);
        }
        let mut value = match op {
            None => self.expr(value),
            Some(op) => {
                let right = self.expr(value);
                return self.update_map(map, key, op, right, span);
            }
        };
        let value_ty = value.ty.clone();
        if let Type::Aggregate(aggregate) = &value_ty {
            let is_int = matches!(self.map_value_type(map), Type::Int(_)) && aggregate.is_castable;
            if !is_int {
                self.map(map).gets_aggregate = true;
                let message = format!(
                    "Map value '{value_ty}' cannot be assigned from one map to another. The \
                     function that returns this type must be called directly e.g. `@{name} = \
                     {}();`.",
                    aggregate.word
                );
                let mut diagnostic = Diagnostic::error(
                    codes::AGGREGATE_PLACE,
                    message,
                    value.span,
                    "an aggregation of another map",
                );
                if aggregate.is_castable {
                    diagnostic = diagnostic.help(format!(
                        "Add a cast to integer if you want the value of the aggregate, e.g. \
                         `@{name} = (int64)…;`."
                    ));
                }
                // In an early round another clause may not have said yet what this map holds.
                self.report(diagnostic);
                return None;
            }
            value = convert(value, if aggregate.is_signed { &I64 } else { &U64 });
        }
        if value.ty == Type::Void {
            self.report(Diagnostic::error(
                codes::TYPE_MISMATCH,
                "Value 'void' cannot be assigned to a map.",
                value.span,
                "this has no value",
            ));
            return None;
        }
        let flexible = crate::pass::fold::is_flexible(&value);
        let ty = self.join_value(map, &value.ty.clone(), flexible, value.span)?;
        self.warn_lossy(&value, &ty);
        Some(StmtKind::SetMap {
            map,
            key,
            value: convert(value, &ty),
        })
    }

    /// Joins a type into what a map holds.
    pub(super) fn join_value(
        &mut self,
        map: MapIndex,
        new: &Type,
        flexible: bool,
        at: Span,
    ) -> Option<Type> {
        let facts = self.map(map);
        if new.is_absorbing() {
            // Nothing is learned from it, in this round.
            return Some(facts.value.clone());
        }
        if facts.aggregate.is_none() {
            let old = (facts.value.clone(), facts.value_is_flexible);
            let joined = promote((&old.0, old.1), (new, flexible));
            if let Some((ty, is_flexible)) = joined {
                if facts.value == Type::Unknown {
                    facts.value_is_flexible = true;
                }
                let is_new = facts.value != ty || facts.value_is_flexible != is_flexible;
                facts.value = ty.clone();
                facts.value_is_flexible = is_flexible;
                self.changed |= is_new;
                return Some(ty);
            }
        }
        let (name, first) = {
            let facts = self.map(map);
            (facts.name.clone(), facts.span)
        };
        let old = self.map_value_type(map);
        self.report(
            Diagnostic::error(
                codes::MAP_VALUE,
                format!(
                    "Type mismatch for @{name}: trying to assign value of type '{new}' when map \
                     already has a type '{old}'"
                ),
                at,
                format!("`{new}` here"),
            )
            .label(first, format!("`{old}` here"))
            .help("use another map for the other kind of value"),
        );
        None
    }

    fn update_map(
        &mut self,
        map: MapIndex,
        key: Option<Expr>,
        op: ast::BinaryOp,
        right: Expr,
        span: Span,
    ) -> Option<StmtKind> {
        let ty = match self.map_value_type(map) {
            Type::Unknown => right.ty.clone(),
            ty => ty,
        };
        let old = Expr::new(
            ExprKind::MapValue {
                map,
                key: key.clone().map(Box::new),
            },
            ty,
            span,
        );
        let whole = self.binary(op, old, right.clone(), span);
        let joined = self.join_value(map, &whole.ty, false, span)?;
        let ExprKind::Binary { op, right, .. } = whole.kind else {
            // Pointers, and operators that compute something else.
            return Some(StmtKind::SetMap {
                map,
                key,
                value: convert(whole, &joined),
            });
        };
        if joined.size() != 8 || !matches!(joined, Type::Int(_)) {
            let old = Expr::new(
                ExprKind::MapValue {
                    map,
                    key: key.clone().map(Box::new),
                },
                joined.clone(),
                span,
            );
            let value = ExprKind::Binary {
                op,
                left: Box::new(old),
                right,
            };
            let value = convert(Expr::new(value, whole.ty, span), &joined);
            return Some(StmtKind::SetMap { map, key, value });
        }
        Some(StmtKind::UpdateMap {
            map,
            key,
            op,
            value: *right,
        })
    }

    fn aggregate(
        &mut self,
        map: MapIndex,
        key: Option<Expr>,
        word: &'static dyn Aggregation,
        arguments: &[ast::Argument],
        span: Span,
    ) -> Option<StmtKind> {
        let (fewest, most) = word.arity();
        let mut call = self.unchecked_call(word.name(), arguments, span, |_| {
            crate::vocabulary::ArgumentKind::Value
        });
        if !self.arity(word.name(), fewest, most, arguments.len(), span) {
            return None;
        }
        let before = self.diagnostics.len();
        let params = self.checking(|cx| word.check(&mut call, cx));
        self.refer_to_page(before, word.name());
        let value = (!call.arguments.is_empty()).then(|| call.arguments.swap_remove(0));
        let is_signed = value.as_ref().is_some_and(|v| v.ty.is_signed());
        let facts = self.map(map);
        let (name, first) = (facts.name.clone(), facts.span);
        match &mut facts.aggregate {
            None if facts.value == Type::Unknown => {
                facts.aggregate = Some(super::AggregateTypes {
                    word,
                    params,
                    is_signed,
                });
                self.changed = true;
            }
            Some(known) if known.word.name() == word.name() => {
                let known_params = known.params.clone();
                let mixed = known.is_signed || is_signed;
                let is_new = known.is_signed != mixed;
                known.is_signed = mixed;
                self.changed |= is_new;
                if known_params != params {
                    self.report(
                        Diagnostic::error(
                            codes::MAP_VALUE,
                            format!(
                                "Different {} bounds in a single map unsupported",
                                word.name()
                            ),
                            span,
                            "other bounds here",
                        )
                        .label(first, "than where the map is first used"),
                    );
                }
            }
            _ => {
                let old = self.map_value_type(map);
                let new = word.name();
                self.report(
                    Diagnostic::error(
                        codes::MAP_VALUE,
                        format!(
                            "Type mismatch for @{name}: trying to assign value of type '{new}_t' \
                             when map already has a type '{old}'"
                        ),
                        span,
                        format!("`{new}_t` here"),
                    )
                    .label(first, format!("`{old}` here"))
                    .help("use another map for the other kind of value"),
                );
                return None;
            }
        }
        Some(StmtKind::Aggregate {
            map,
            key,
            call: AggregateUse { word, value, span },
        })
    }

    /// Each loop in a loop is a call for the kernel, and it allows only so many.
    fn check_loops(&mut self, span: Span) {
        if self.loops == MOST_LOOPS + 1 {
            self.report(
                Diagnostic::error(
                    codes::TOO_LARGE,
                    format!("loops can be nested {MOST_LOOPS} deep"),
                    span,
                    "one loop too deep",
                )
                .help("the kernel gives a program no more calls inside calls; unroll() needs none"),
            );
        }
    }

    /// Counts the copies of a body: those inside copies multiply.
    fn unroll(&mut self, count: &ast::Expr, body: &ast::Block, span: Span) -> Option<Stmt> {
        let times = self.expr(count);
        let message = match times.as_int() {
            None => "invalid unroll value",
            Some(n) if n < 1 => "unroll minimum value is 1",
            Some(n) if n > 100 => "unroll maximum value is 100",
            Some(n) if self.copies.saturating_mul(n.unsigned_abs()) > MOST_COPIES => {
                self.report(
                    Diagnostic::error(
                        codes::TOO_LARGE,
                        format!("unroll() inside unroll() makes more than {MOST_COPIES} copies"),
                        count.span,
                        "too many copies of the body",
                    )
                    .help("use `for ($i : 0..n) { … }` for one of them"),
                );
                return None;
            }
            Some(n) => {
                let outside = self.copies;
                self.copies = outside.saturating_mul(n.unsigned_abs());
                let copies = (0..n)
                    .map(|_| Stmt {
                        kind: StmtKind::Block(self.block(body)),
                        span,
                    })
                    .collect();
                self.copies = outside;
                return Some(Stmt {
                    kind: StmtKind::Block(copies),
                    span,
                });
            }
        };
        self.report(
            Diagnostic::error(codes::TOO_LARGE, message, count.span, "not a count")
                .help("the count is a literal from 1 to 100"),
        );
        None
    }

    fn for_loop(
        &mut self,
        variable: &ast::Name,
        over: &ast::ForOver,
        body: &ast::Block,
        span: Span,
    ) -> Option<Stmt> {
        if self.find_variable(&variable.node).is_some() {
            self.report(Diagnostic::error(
                codes::SHADOWED_VARIABLE,
                format!(
                    "Loop declaration shadows existing variable: ${}",
                    variable.node
                ),
                variable.span,
                "this name is visible already",
            ));
        }
        let kind = match over {
            ast::ForOver::Range(from, to) => {
                let from = self.expr(from);
                let to = self.expr(to);
                for (bound, which) in [(&from, "start"), (&to, "end")] {
                    if !bound.ty.is_integer() && !bound.ty.is_absorbing() {
                        self.report(Diagnostic::error(
                            codes::BAD_OPERAND,
                            format!("Loop range requires an integer for the {which} value"),
                            bound.span,
                            format!("this is `{}`", bound.ty),
                        ));
                    }
                }
                let is_flexible = |e: &Expr| crate::pass::fold::is_flexible(e);
                let joined = promote((&from.ty, is_flexible(&from)), (&to.ty, is_flexible(&to)));
                let ty = joined.map_or(I64, |(ty, _)| ty);
                let is_signed = from.ty.is_signed() || to.ty.is_signed();
                let wide = if is_signed { I64 } else { U64 };
                let (variable, body) = self.loop_body(variable, &ty, body);
                StmtKind::ForRange {
                    variable,
                    from: convert(from, &wide),
                    to: convert(to, &wide),
                    is_signed,
                    body,
                }
            }
            ast::ForOver::Map(map) => {
                let ast::ExprKind::Map(name) = &map.kind else {
                    self.report(
                        Diagnostic::error(
                            codes::BAD_OPERAND,
                            "a `for` goes over a map or a range",
                            map.span,
                            "neither of them",
                        )
                        .help("for ($kv : @map) { … } or for ($i : 0..10) { … }"),
                    );
                    return None;
                };
                if !self.input.target.has(Feature::ForEachMapElement) {
                    self.report(Diagnostic::error(
                        codes::BAD_OPERAND,
                        "Going over a map needs Linux 5.13",
                        map.span,
                        "this kernel cannot",
                    ));
                    return None;
                }
                let index = self.map_number(name, map.span);
                let value = self.map_value_type(index);
                let facts = self.map(index);
                if facts.is_scalar {
                    self.report(Diagnostic::error(
                        codes::MAP_KEY,
                        format!(
                            "@{name} has no explicit keys (scalar map), and cannot be used for \
                             iteration"
                        ),
                        map.span,
                        "a map without keys",
                    ));
                    return None;
                }
                if facts.is_undefined {
                    self.report(
                        Diagnostic::error(
                            codes::UNKNOWN_NAME,
                            format!("Undefined map: @{name}"),
                            map.span,
                            "nothing is ever assigned to it",
                        )
                        .help("assign to it somewhere, in any clause"),
                    );
                    return None;
                }
                facts.is_keyed = true;
                let key = facts.key.clone().unwrap_or(Type::Unknown);
                let value = match value {
                    Type::Aggregate(a) if a.is_castable => {
                        if a.is_signed {
                            I64
                        } else {
                            U64
                        }
                    }
                    Type::Aggregate(a) => {
                        self.report(Diagnostic::error(
                            codes::MAP_VALUE,
                            format!("Loop expression does not support type: {}_t", a.word),
                            map.span,
                            "its values cannot be read one by one",
                        ));
                        return None;
                    }
                    other => other,
                };
                let ty = Type::Tuple(Rc::from([key, value]));
                let (variable, body) = self.loop_body(variable, &ty, body);
                StmtKind::ForMap {
                    variable,
                    map: index,
                    body,
                }
            }
        };
        Some(Stmt { kind, span })
    }

    fn loop_body(
        &mut self,
        variable: &ast::Name,
        ty: &Type,
        body: &ast::Block,
    ) -> (VariableId, Vec<Stmt>) {
        self.in_scope(|infer| {
            let id = infer.new_variable(&variable.node, variable.span);
            infer.declared.insert(variable.node.clone());
            let known = infer.variable(id);
            let is_new = known.ty != *ty;
            known.ty = ty.clone();
            known.is_fixed = true;
            infer.changed |= is_new;
            infer.loops += 1;
            infer.check_loops(variable.span);
            let body = infer.block(body);
            infer.loops -= 1;
            (id, body)
        })
    }

    /// A condition: an integer, a truth value or a pointer.
    pub(super) fn condition(&mut self, expr: &ast::Expr) -> Expr {
        let value = self.expr(expr);
        self.as_condition(value)
    }

    pub(super) fn as_condition(&mut self, value: Expr) -> Expr {
        match &value.ty {
            Type::Int(_) | Type::Bool | Type::Enum(_) | Type::Pointer(..) => value,
            Type::Error | Type::Unknown => value,
            other => {
                let short = match other {
                    Type::Stack(stack) if stack.is_user => String::from("ustack"),
                    Type::Stack(_) => String::from("kstack"),
                    other => other.to_string(),
                };
                let mut diagnostic = Diagnostic::error(
                    codes::BAD_CONDITION,
                    format!("Invalid condition: {short}"),
                    value.span,
                    format!("`{other}` is neither true nor false"),
                );
                if matches!(other, Type::Aggregate(_)) {
                    diagnostic = diagnostic.help("compare it: `@map > 0`");
                }
                self.report(diagnostic);
                Expr {
                    ty: Type::Error,
                    ..value
                }
            }
        }
    }
}

/// Whether nothing after a statement is reached.
fn diverges(statement: &Stmt) -> bool {
    match &statement.kind {
        StmtKind::Return(_) | StmtKind::Break | StmtKind::Continue => true,
        StmtKind::Expr(expr) => match &expr.kind {
            ExprKind::Call(call) => call.word.is_some_and(|w| w.diverges()),
            _ => false,
        },
        StmtKind::Block(statements) => statements.last().is_some_and(diverges),
        _ => false,
    }
}

/// Whether an expression does something, so that its value may be forgotten without a word.
fn is_for_effect(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::StepVariable { .. } | ExprKind::StepMap { .. } => true,
        ExprKind::Call(call) => call.word.is_some_and(|word| word.may_be_ignored()),
        _ => false,
    }
}
