//! The script's `config = { … }` on top of the caller's settings.

use crate::config::{Config, Outcome, Written};
use rbt_grammar::ast::{Program, SettingValue};
use rbt_grammar::{Diagnostic, Diagnostics, codes};

/// Applies the settings of a script. `is_set_outside` says which names the environment set:
/// those win.
pub fn run(
    program: &Program,
    mut config: Config,
    is_set_outside: &dyn Fn(&str) -> bool,
) -> (Config, Diagnostics) {
    let mut diagnostics = Vec::new();
    for setting in &program.config {
        let name = &setting.name.node;
        if is_set_outside(name) {
            continue;
        }
        let value = match &setting.value.node {
            SettingValue::Int(n) => Written::Int(*n),
            SettingValue::Bool(b) => Written::Bool(*b),
            SettingValue::Text(text) => Written::Text(text.clone()),
        };
        let outcome = config.set(name, &value);
        let (name_span, value_span) = (setting.name.span, setting.value.span);
        let code = codes::CONFIG;
        diagnostics.push(match outcome {
            Outcome::Set => continue,
            Outcome::Renamed(new) => Diagnostic::warning(
                code,
                format!("{name} has been renamed, please use {new}"),
                name_span,
                format!("now called {new}"),
            ),
            Outcome::Obsolete => Diagnostic::warning(
                code,
                format!("{name} is deprecated and has no effect"),
                name_span,
                "has no effect",
            ),
            Outcome::BadValue(why) => {
                let diagnostic = Diagnostic::error(code, why, value_span, "not a value it takes");
                let modern = crate::config::modern_name(name);
                match crate::config::TABLE.iter().find(|row| row.name == modern) {
                    Some(row) => diagnostic.help(format!("{modern}: {}", row.doc)),
                    None => diagnostic,
                }
            }
            Outcome::EnvironmentOnly => Diagnostic::error(
                code,
                format!("{name}: can only be set as an environment variable"),
                name_span,
                "not a setting of a script",
            )
            .help(format!(
                "set BPFTRACE_{} in the environment",
                crate::config::modern_name(name).to_ascii_uppercase()
            )),
            Outcome::Unknown => {
                let names = crate::config::TABLE.iter().map(|row| row.name);
                let diagnostic = Diagnostic::error(
                    code,
                    format!("{name}: not a known configuration option"),
                    name_span,
                    "no such setting",
                );
                match crate::nearest::nearest(name, names) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None => diagnostic,
                }
            }
        });
    }
    (config, diagnostics)
}
