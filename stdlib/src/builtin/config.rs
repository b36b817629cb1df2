//! The settings, as a script sees them.

use crate::word::word;
use rbt_compiler::artifact::MissingProbes;
use rbt_compiler::config::{Config, Unstable};
use rbt_compiler::hir::{Expr, ExprKind};
use rbt_compiler::pass::check::Check;
use rbt_compiler::structs::TypeTable;
use rbt_compiler::types::{Type, U64};
use rbt_compiler::vocabulary::{Builtin, NotHere, ProbeContext, Stability};
use rbt_grammar::Span;
use std::rc::Rc;

word! {
    /// `config`
    Settings = "config" {
        usage: ["config -> record"],
        summary: "The settings that hold: those of the script, of the environment, and defaults.",
        details: "Each is a field, known when the script is compiled: `config.max_strlen`. \
                  Choices are texts.",
        examples: ["BEGIN { print(config.max_strlen); print(config.stack_mode); }"],
        kernel: "",
    }
}

/// A setting's value.
enum Value<'c> {
    Number(u64),
    Bool(bool),
    Text(&'c str),
}

impl Value<'_> {
    fn ty(&self) -> Type {
        match self {
            Value::Number(_) => U64,
            Value::Bool(_) => Type::Bool,
            Value::Text(text) => Type::Str(u32::try_from(text.len() + 1).unwrap_or(u32::MAX)),
        }
    }

    fn literal(&self, span: Span) -> Expr {
        match self {
            Value::Number(number) => Expr::int(number.cast_signed(), U64, span),
            Value::Bool(is_set) => Expr::int(i64::from(*is_set), Type::Bool, span),
            Value::Text(text) => Expr::text(text, span),
        }
    }
}

fn unstable(choice: Unstable) -> Value<'static> {
    Value::Text(match choice {
        Unstable::Error => "error",
        Unstable::Warn => "warn",
        Unstable::Enable => "enable",
    })
}

/// The settings in the order they are shown.
fn fields(config: &Config) -> Vec<(&'static str, Value<'_>)> {
    use Value::{Bool, Number, Text};
    vec![
        ("cpp_demangle", Bool(config.cpp_demangle)),
        ("lazy_symbolication", Bool(config.lazy_symbolication)),
        ("print_maps_on_exit", Bool(config.print_maps_on_exit)),
        ("use_blazesym", Bool(false)),
        ("show_debug_info", Bool(config.show_debug_info)),
        ("log_size", Number(config.log_size)),
        ("max_bpf_progs", Number(config.max_bpf_progs)),
        ("max_cat_bytes", Number(config.max_cat_bytes)),
        ("max_map_keys", Number(config.max_map_keys)),
        ("max_probes", Number(config.max_probes)),
        ("max_strlen", Number(config.max_strlen)),
        ("on_stack_limit", Number(config.on_stack_limit)),
        ("perf_rb_pages", Number(config.perf_rb_pages)),
        ("str_trunc_trailer", Text(&config.str_trunc_trailer)),
        (
            "unstable_import_statement",
            unstable(config.unstable_import_statement),
        ),
        ("unstable_tseries", unstable(config.unstable_tseries)),
        ("unstable_typeinfo", unstable(config.unstable_typeinfo)),
        ("unstable_dw_ustack", unstable(config.unstable_dw_ustack)),
        (
            "missing_probes",
            Text(match config.missing_probes {
                MissingProbes::Error => "error",
                MissingProbes::Warn => "warn",
                MissingProbes::Ignore => "ignore",
            }),
        ),
        ("stack_mode", Text(config.stack_mode.name())),
        ("license", Text(config.license)),
    ]
}

impl Builtin for Settings {
    fn ty(&self, _: &str, _: &ProbeContext, _: &TypeTable<'_>) -> Result<Type, NotHere> {
        // The settings' own types come with their values.
        Ok(Type::Record(Rc::from(Vec::new())))
    }

    fn stability(&self) -> Stability {
        Stability::Fixed
    }

    fn fold(&self, span: Span, cx: &Check<'_, '_>) -> Option<Expr> {
        let fields = fields(cx.config);
        let types: Vec<(Rc<str>, Type)> = fields
            .iter()
            .map(|(name, value)| (Rc::from(*name), value.ty()))
            .collect();
        let values = fields
            .iter()
            .map(|(_, value)| value.literal(span))
            .collect();
        let ty = Type::Record(Rc::from(types));
        Some(Expr::new(ExprKind::Tuple(values), ty, span))
    }
}
