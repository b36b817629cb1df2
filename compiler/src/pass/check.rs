//! What a word may ask and do while a call of it is checked.
//!
//! Types are inferred in rounds until none changes; complaints count only in the last.

use crate::config::Config;
use crate::hir::{Expr, ExprKind};
use crate::structs::TypeTable;
use crate::target::Target;
use crate::types::{I64, Int, Space, Type, U64};
use crate::vocabulary::ProbeContext;
use crate::{Parameter, ParameterValue};
use rbt_grammar::codes::Code;
use rbt_grammar::{Diagnostic, Span, codes};

/// The surroundings of a call.
pub struct Check<'a, 't> {
    /// The types of the kernel and the script.
    pub types: &'a TypeTable<'t>,
    /// The kernel.
    pub target: &'t dyn Target,
    /// The settings.
    pub config: &'a Config,
    /// The probe the call stands in.
    pub probe: &'a ProbeContext,
    /// Whether `--unsafe` was given.
    pub allows_unsafe: bool,
    /// The maps so far: name, key type, content type; see [`Check::map_types`].
    pub(super) maps: &'a [super::infer::MapTypes],
    /// Complaints.
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
    /// Named parameters as given.
    pub(super) named: &'a [(String, Option<String>)],
    /// Named parameters the script takes.
    pub(super) parameters: &'a mut Vec<Parameter>,
}

/// What is known of a map while types are inferred.
#[derive(Clone, Debug)]
pub struct MapFacts<'a> {
    /// Its name without `@`.
    pub name: &'a str,
    /// Its key type; `None` for a scalar map, or one that was not used yet.
    pub key: Option<&'a Type>,
    /// Whether it is known to have no key.
    pub is_scalar: bool,
    /// What it holds: a value's type or an aggregate's.
    pub value: &'a Type,
}

impl Check<'_, '_> {
    /// Adds a complaint.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The value of a named parameter, given or not; the script takes it from now on. A value
    /// that does not fit its default's kind, or another default than elsewhere, is a complaint.
    pub fn parameter(&mut self, wanted: Parameter, span: Span) -> ParameterValue {
        let name = wanted.name.clone();
        match self.parameters.iter().find(|known| known.name == name) {
            None => self.parameters.push(wanted.clone()),
            Some(known) if known.default == wanted.default => {}
            Some(_) => {
                let message = format!("--{name} has another default elsewhere");
                self.complain(message, span, "every use must have the same", "");
            }
        }
        let given = self.named.iter().rev().find(|(given, _)| *given == name);
        let Some((_, given)) = given else {
            return wanted.default;
        };
        let complaint = match (&wanted.default, given.as_deref()) {
            (ParameterValue::Bool(_), None) => return ParameterValue::Bool(true),
            (ParameterValue::Bool(_), Some(text)) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "on" | "yes" => return ParameterValue::Bool(true),
                "false" | "0" | "off" | "no" => return ParameterValue::Bool(false),
                _ => format!("expects a boolean (e.g. 'true') (value: {text})"),
            },
            (ParameterValue::Int(_), None) => String::from("expects an integer (value: true)"),
            (ParameterValue::Int(_), Some(text)) => match super::parameter::integer(text) {
                Some((value, _)) => return ParameterValue::Int(value),
                None => format!("invalid integer (value: {text})"),
            },
            (ParameterValue::Text(_), text) => {
                let text = text.unwrap_or("true");
                return ParameterValue::Text(text.as_bytes().to_vec());
            }
        };
        let message = format!("program command line option --{name} {complaint}");
        self.complain(message, span, "this parameter", "");
        wanted.default
    }

    /// Says what the settings have it to say of the use of a feature that may still change;
    /// once for a script if it is a warning.
    pub fn unstable(&mut self, name: &str, policy: crate::config::Unstable, span: Span) {
        let Some((is_error, message)) = policy.complaint(name) else {
            return;
        };
        let setting = name.split(' ').next().unwrap_or(name);
        let help = format!("config = {{ unstable_{setting}=enable }}");
        if is_error {
            let error = Diagnostic::error(codes::UNSTABLE, message, span, "not enabled");
            self.report(error.help(help));
        } else if !self.diagnostics.iter().any(|d| d.message == message) {
            let warning = Diagnostic::warning(codes::UNSTABLE, message, span, "may change");
            self.report(warning.help(help));
        }
    }

    /// Complains about an argument, labelled `here`, with what to write instead.
    pub fn complain(&mut self, message: String, span: Span, here: &str, help: &str) {
        self.complain_as(codes::BAD_ARGUMENT, message, span, here, help);
    }

    /// The same under another code.
    pub fn complain_as(&mut self, code: Code, message: String, span: Span, here: &str, help: &str) {
        let mut diagnostic = Diagnostic::error(code, message, span, here);
        if !help.is_empty() {
            diagnostic = diagnostic.help(help);
        }
        self.report(diagnostic);
    }

    /// What is known of the map an argument names, if it names one.
    pub fn map_facts(&self, argument: &Expr) -> Option<MapFacts<'_>> {
        let index = match &argument.kind {
            ExprKind::Map(map) | ExprKind::MapValue { map, .. } => *map,
            _ => return None,
        };
        let map = self.maps.get(index.0 as usize)?;
        Some(MapFacts {
            name: &map.name,
            key: map.key.as_ref(),
            is_scalar: map.is_scalar,
            value: &map.value,
        })
    }

    /// The text of a string literal; anything else is a complaint.
    pub fn literal_text(&mut self, argument: &Expr, word: &str) -> Option<String> {
        if let Some(bytes) = argument.as_str() {
            return Some(String::from_utf8_lossy(bytes).into_owned());
        }
        if !argument.ty.is_absorbing() {
            let kind = kind_name(&argument.ty);
            let message = format!("{word}() expects a string literal ({kind} provided)");
            let help = match argument.kind {
                ExprKind::Int(_) => "a positional parameter as a text is `str($1)`",
                _ => "write the text itself, between quotes",
            };
            let code = codes::NOT_A_LITERAL;
            self.complain_as(code, message, argument.span, "not a string literal", help);
        }
        None
    }

    /// The value of an integer literal; anything else is a complaint.
    pub fn literal_int(&mut self, argument: &Expr, word: &str) -> Option<i64> {
        if argument.ty.is_integer()
            && let Some(value) = argument.as_int()
        {
            return Some(value);
        }
        if !argument.ty.is_absorbing() {
            let kind = kind_name(&argument.ty);
            let message = format!("{word}() expects an integer literal ({kind} provided)");
            let here = "its value must be known before the script runs";
            let help = "write the number itself, or give it as a parameter: `$1`";
            self.complain_as(codes::NOT_A_LITERAL, message, argument.span, here, help);
        }
        None
    }

    /// `argument` converted to an integer of 8 bytes that keeps its sign; anything but an
    /// integer, a truth value, an enumerator or a castable aggregate is a complaint.
    pub fn integer(&mut self, argument: Expr, word: &str) -> Expr {
        let ty = match &argument.ty {
            Type::Int(int) if int.is_signed => I64,
            Type::Int(_) | Type::Bool => U64,
            Type::Enum(_) => I64,
            Type::Aggregate(a) if a.is_castable => {
                if a.is_signed {
                    I64
                } else {
                    U64
                }
            }
            Type::Error | Type::Unknown => return argument,
            other => {
                let kind = kind_name(other);
                let message = format!("{word}() only supports int arguments ({kind} provided)");
                self.complain(message, argument.span, &format!("this is `{other}`"), "");
                return Expr {
                    ty: Type::Error,
                    ..argument
                };
            }
        };
        super::convert::convert(argument, &ty)
    }

    /// `argument` as an address: pointers as they are, integers in the probe's memory.
    pub fn address(&mut self, argument: Expr, word: &str) -> (Expr, Space) {
        match &argument.ty {
            Type::Pointer(_, space) => {
                let space = *space;
                (argument, space)
            }
            Type::Int(_) => {
                let space = self.probe.space;
                let int = Type::Int(Int {
                    size: 8,
                    is_signed: false,
                });
                (super::convert::convert(argument, &int), space)
            }
            _ => {
                let space = self.probe.space;
                (self.integer(argument, word), space)
            }
        }
    }
}

/// A type's kind in a few letters, as complaints about arguments say it.
pub fn kind_name(ty: &Type) -> String {
    match ty {
        Type::Int(_) => String::from("int"),
        Type::Str(_) => String::from("string"),
        Type::Pointer(..) => String::from("pointer"),
        Type::Struct(_) => String::from("struct"),
        Type::Tuple(_) => String::from("tuple"),
        Type::Array(..) => String::from("array"),
        Type::Buffer(_) => String::from("buffer"),
        other => other.to_string(),
    }
}
