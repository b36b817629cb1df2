//! The table of configuration variables: name, default, what values they take, what they mean.
//!
//! Set by `config = { … }` in a script and by the environment (`RBT_` or `BPFTRACE_` and the
//! upper-case name), which wins. Reads no environment itself: the caller hands it over.

use crate::artifact::{MissingProbes, StackMode};

/// The settings that hold for a compilation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Capacity in bytes of `str`, `buf` and `path`.
    pub max_strlen: u64,
    /// Entries of a map that is not declared.
    pub max_map_keys: u64,
    /// Most sites a script may attach to.
    pub max_probes: u64,
    /// Most programs a script may make.
    pub max_bpf_progs: u64,
    /// Most bytes `cat` prints of a file.
    pub max_cat_bytes: u64,
    /// What a missing probe does.
    pub missing_probes: MissingProbes,
    /// Maps print when tracing ends.
    pub print_maps_on_exit: bool,
    /// How stacks are written.
    pub stack_mode: StackMode,
    /// Appended to strings that were cut.
    pub str_trunc_trailer: String,
    /// Pages of the ring buffer; 0 chooses.
    pub perf_rb_pages: u64,
    /// Bytes of an object that may lie in the frame.
    pub on_stack_limit: u64,
    /// Bytes of verifier log.
    pub log_size: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_strlen: 1024,
            max_map_keys: 4096,
            max_probes: 1024,
            max_bpf_progs: 1024,
            max_cat_bytes: 10240,
            missing_probes: MissingProbes::Error,
            print_maps_on_exit: true,
            stack_mode: StackMode::Bpftrace,
            str_trunc_trailer: String::from(".."),
            perf_rb_pages: 0,
            on_stack_limit: 128,
            log_size: 1_000_000,
        }
    }
}

/// A value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// A number.
    Int(u64),
    /// A truth value.
    Bool(bool),
    /// Quoted text or a bare word.
    Text(String),
}

/// What setting a variable did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds now.
    Set,
    /// It holds, under a newer name.
    Renamed(&'static str),
    /// The name is accepted and means nothing any more.
    Obsolete,
    /// The value is not one of those it takes.
    BadValue(String),
    /// It can only be set by the environment.
    EnvironmentOnly,
    /// There is no such variable.
    Unknown,
}

/// How a variable's value gets into a [`Config`].
type Setter = fn(&mut Config, &Written) -> Result<(), String>;

/// A configuration variable.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What it means, with its default.
    pub doc: &'static str,
    set: Setter,
}

fn number(name: &str, value: &Written) -> Result<u64, String> {
    match value {
        Written::Int(n) => Ok(*n),
        Written::Bool(b) => Err(format!("{name}: expecting a number, got {b}")),
        Written::Text(text) => text
            .parse()
            .map_err(|_| format!("{name}: expecting a number, got {text}")),
    }
}

fn boolean(value: &Written) -> Result<bool, String> {
    let text = match value {
        Written::Bool(b) => return Ok(*b),
        Written::Int(n) => n.to_string(),
        Written::Text(text) => text.to_ascii_lowercase(),
    };
    match text.as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(String::from(
            "Invalid bool value: valid values are true, false, 1 or 0.",
        )),
    }
}

fn text(value: &Written) -> String {
    match value {
        Written::Int(n) => n.to_string(),
        Written::Bool(b) => b.to_string(),
        Written::Text(text) => text.clone(),
    }
}

/// Every variable.
pub const TABLE: &[Row] = &[
    Row {
        name: "missing_probes",
        doc: "what a missing probe does: error (default), warn, ignore",
        set: |c, v| {
            c.missing_probes = match text(v).to_ascii_lowercase().as_str() {
                "error" => MissingProbes::Error,
                "warn" => MissingProbes::Warn,
                "ignore" => MissingProbes::Ignore,
                _ => {
                    return Err(String::from(
                        "Invalid value for missing_probes: valid values are ignore, warn, and error.",
                    ));
                }
            };
            Ok(())
        },
    },
    Row {
        name: "print_maps_on_exit",
        doc: "print all maps when tracing ends (default true)",
        set: |c, v| {
            c.print_maps_on_exit = boolean(v)?;
            Ok(())
        },
    },
    Row {
        name: "stack_mode",
        doc: "how stacks are written: bpftrace (default), perf, raw, build_id",
        set: |c, v| {
            c.stack_mode = match text(v).as_str() {
                "bpftrace" => StackMode::Bpftrace,
                "perf" => StackMode::Perf,
                "raw" => StackMode::Raw,
                "build_id" => StackMode::BuildId,
                _ => {
                    return Err(String::from(
                        "stack_mode: Invalid value for stack_mode: valid values are bpftrace, raw, perf, and build_id.",
                    ));
                }
            };
            Ok(())
        },
    },
    Row {
        name: "str_trunc_trailer",
        doc: "appended to strings that were cut (default ..)",
        set: |c, v| {
            c.str_trunc_trailer = text(v);
            Ok(())
        },
    },
    Row {
        name: "max_strlen",
        doc: "bytes str(), buf() and path() keep at most (default 1024)",
        set: |c, v| {
            c.max_strlen = number("max_strlen", v)?;
            Ok(())
        },
    },
    Row {
        name: "max_map_keys",
        doc: "entries of a map that is not declared (default 4096)",
        set: |c, v| {
            c.max_map_keys = number("max_map_keys", v)?;
            Ok(())
        },
    },
    Row {
        name: "max_probes",
        doc: "most sites a script may attach to (default 1024)",
        set: |c, v| {
            c.max_probes = number("max_probes", v)?;
            Ok(())
        },
    },
    Row {
        name: "max_bpf_progs",
        doc: "most programs a script may make (default 1024)",
        set: |c, v| {
            c.max_bpf_progs = number("max_bpf_progs", v)?;
            Ok(())
        },
    },
    Row {
        name: "max_cat_bytes",
        doc: "most bytes cat() prints of a file (default 10240)",
        set: |c, v| {
            c.max_cat_bytes = number("max_cat_bytes", v)?;
            Ok(())
        },
    },
    Row {
        name: "perf_rb_pages",
        doc: "pages of the ring buffer; 0 (default) chooses",
        set: |c, v| {
            c.perf_rb_pages = number("perf_rb_pages", v)?;
            Ok(())
        },
    },
    Row {
        name: "on_stack_limit",
        doc: "bytes of an object that may lie in the frame (default 128; advisory)",
        set: |c, v| {
            c.on_stack_limit = number("on_stack_limit", v)?;
            Ok(())
        },
    },
    Row {
        name: "log_size",
        doc: "bytes of verifier log (default 1000000)",
        set: |c, v| {
            c.log_size = number("log_size", v)?;
            Ok(())
        },
    },
];

/// Accepted names that mean nothing to rbt: settings of other compilers and symbolisers.
const WITHOUT_EFFECT: &[&str] = &[
    "cpp_demangle",
    "cache_user_symbols",
    "lazy_symbolication",
    "use_blazesym",
    "show_debug_info",
    "license",
    "unstable_tseries",
    "unstable_dw_ustack",
    "unstable_typeinfo",
    "unstable_import_statement",
];

const OBSOLETE: &[&str] = &[
    "unstable_macro",
    "unstable_map_decl",
    "unstable_import",
    "unstable_addr",
    "symbol_source",
    "max_type_res_iterations",
];

const RENAMED: &[(&str, &str)] = &[
    ("strlen", "max_strlen"),
    ("map_keys_max", "max_map_keys"),
    ("cat_bytes_max", "max_cat_bytes"),
    ("no_cpp_demangle", "cpp_demangle"),
];

const ENVIRONMENT_ONLY: &[&str] = &["btf", "kernel_build", "kernel_source", "vmlinux"];

impl Config {
    /// Sets the variable `name` (any letter case, perhaps with the prefix `BPFTRACE_`).
    pub fn set(&mut self, name: &str, value: &Written) -> Outcome {
        let lower = name.to_ascii_lowercase();
        let name = lower.strip_prefix("bpftrace_").unwrap_or(&lower);
        if let Some(row) = TABLE.iter().find(|row| row.name == name) {
            return match (row.set)(self, value) {
                Ok(()) => Outcome::Set,
                Err(why) => Outcome::BadValue(why),
            };
        }
        if let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == name) {
            return match self.set(new, value) {
                Outcome::Set => Outcome::Renamed(new),
                other => other,
            };
        }
        if WITHOUT_EFFECT.contains(&name) {
            return Outcome::Set;
        }
        if OBSOLETE.contains(&name) {
            return Outcome::Obsolete;
        }
        if ENVIRONMENT_ONLY.contains(&name) {
            return Outcome::EnvironmentOnly;
        }
        Outcome::Unknown
    }

    /// Takes settings from environment variables: `RBT_NAME` wins over `BPFTRACE_NAME`.
    /// Gives the names whose values were refused, with the reason.
    pub fn set_from_environment(
        &mut self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Vec<(String, String)> {
        let mut refused = Vec::new();
        for row in TABLE {
            for prefix in ["BPFTRACE_", "RBT_"] {
                let name = format!("{prefix}{}", row.name.to_ascii_uppercase());
                if let Some(value) = variable(&name)
                    && let Outcome::BadValue(why) = self.set(row.name, &Written::Text(value))
                {
                    refused.push((name, why));
                }
            }
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_under_old_names() {
        let mut config = Config::default();
        assert_eq!(config.set("MAX_STRLEN", &Written::Int(64)), Outcome::Set);
        assert_eq!(config.max_strlen, 64);
        let renamed = config.set("bpftrace_strlen", &Written::Int(32));
        assert_eq!(renamed, Outcome::Renamed("max_strlen"));
        assert_eq!(config.max_strlen, 32);
        assert_eq!(config.set("foo", &Written::Int(1)), Outcome::Unknown);
        let bad = config.set("max_strlen", &Written::Text(String::from("hello")));
        let why = String::from("max_strlen: expecting a number, got hello");
        assert_eq!(bad, Outcome::BadValue(why));
    }

    #[test]
    fn the_environment_wins_by_its_own_prefix() {
        let mut config = Config::default();
        let refused = config.set_from_environment(&|name| match name {
            "BPFTRACE_MAX_STRLEN" => Some(String::from("100")),
            "RBT_MAX_STRLEN" => Some(String::from("200")),
            "RBT_MAX_PROBES" => Some(String::from("x")),
            _ => None,
        });
        assert_eq!(config.max_strlen, 200);
        assert_eq!(refused.len(), 1);
    }
}
