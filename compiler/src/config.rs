//! The table of configuration variables: name, default, what values they take, what they mean.
//!
//! Set by `config = { … }` in a script and by the environment (`RBT_` or `BPFTRACE_` and the
//! upper-case name), which wins. Reads no environment itself: the caller hands it over.

use crate::artifact::{MissingProbes, StackMode, SymbolCache};

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
    /// Whether a probe may be reached by a cheaper way of another kind.
    pub cheaper_probes: bool,
    /// The licence that programs declare; some helpers are only for `GPL` and the like.
    pub license: &'static str,
    /// Names of C++ and Rust symbols are shown as in the source.
    pub cpp_demangle: bool,
    /// For how long the symbols of a traced program are kept.
    pub cache_user_symbols: SymbolCache,
    /// User symbols are looked up when they are shown, not when the process is first seen.
    pub lazy_symbolication: bool,
    /// Stacks show files, lines and inlined functions.
    pub show_debug_info: bool,
    /// The map, without `@`, that tells time series the time; set by the environment alone.
    pub dummy_ts_map: Option<String>,
    /// Whether `tseries` may be used.
    pub unstable_tseries: Unstable,
    /// Whether `dw_ustack` may be used.
    pub unstable_dw_ustack: Unstable,
    /// Whether `typeinfo` may be used.
    pub unstable_typeinfo: Unstable,
    /// Whether `import` may be used.
    pub unstable_import_statement: Unstable,
}

/// What the use of a feature that may still change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unstable {
    /// It is refused.
    Error,
    /// It is allowed, with a warning.
    Warn,
    /// It is allowed.
    Enable,
}

impl Unstable {
    /// What to say of a use of the feature `name`, set by `unstable_NAME` of its first word: a
    /// sentence, and whether it is an error. Nothing if it is enabled.
    pub fn complaint(self, name: &str) -> Option<(bool, String)> {
        let setting = name.split(' ').next().unwrap_or(name);
        match self {
            Unstable::Enable => None,
            Unstable::Warn => Some((
                false,
                format!(
                    "Script is using an unstable feature: {name}. To prevent this warning you \
                     must explicitly enable it in the config e.g. unstable_{setting}=enable"
                ),
            )),
            Unstable::Error => Some((
                true,
                format!(
                    "{name} feature is not enabled by default. To enable this unstable feature, \
                     set the config flag to enable. unstable_{setting}=enable"
                ),
            )),
        }
    }
}

/// Licences that a program may declare. The first is the usual one.
pub const LICENSES: &[&str] = &[
    "GPL",
    "GPL v2",
    "GPL and additional rights",
    "Dual BSD/GPL",
    "Dual MIT/GPL",
    "Dual MPL/GPL",
];

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
            cheaper_probes: true,
            license: "GPL",
            cpp_demangle: true,
            cache_user_symbols: SymbolCache::Automatic,
            lazy_symbolication: true,
            show_debug_info: false,
            dummy_ts_map: None,
            unstable_tseries: Unstable::Warn,
            unstable_dw_ustack: Unstable::Warn,
            unstable_typeinfo: Unstable::Error,
            unstable_import_statement: Unstable::Error,
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

fn boolean(name: &str, value: &Written) -> Result<bool, String> {
    let text = match value {
        Written::Bool(b) => return Ok(*b),
        Written::Int(n) => return Ok(*n != 0),
        Written::Text(text) => text.to_ascii_lowercase(),
    };
    match text.as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" => Ok(false),
        digits => match digits.parse::<u64>() {
            Ok(number) => Ok(number != 0),
            Err(_) => Err(format!(
                "{name}: Invalid bool value: valid values are true, false, 1 or 0."
            )),
        },
    }
}

fn unstable(name: &str, value: &Written) -> Result<Unstable, String> {
    match text(value).to_ascii_lowercase().as_str() {
        "error" | "false" | "0" => Ok(Unstable::Error),
        "warn" => Ok(Unstable::Warn),
        "enable" | "true" | "1" => Ok(Unstable::Enable),
        _ => Err(format!(
            "{name}: Invalid value for unstable config: valid values are enable, warn, and error."
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
                        "missing_probes: Invalid value for missing_probes: valid values are ignore, warn, and error.",
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
            c.print_maps_on_exit = boolean("print_maps_on_exit", v)?;
            Ok(())
        },
    },
    Row {
        name: "stack_mode",
        doc: "how stacks are written: bpftrace (default), perf, raw, build_id",
        set: |c, v| {
            c.stack_mode = StackMode::of_name(&text(v)).ok_or(
                "stack_mode: Invalid value for stack_mode: valid values are bpftrace, raw, perf, and build_id.",
            )?;
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
        name: "cheaper_probes",
        doc: "reach probes by a cheaper way where the results are the same (default true)",
        set: |c, v| {
            c.cheaper_probes = boolean("cheaper_probes", v)?;
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
    Row {
        name: "license",
        doc: "what programs declare: GPL (default), GPL v2, GPL and additional rights, Dual BSD/GPL, Dual MIT/GPL, Dual MPL/GPL",
        set: |c, v| {
            let wanted = text(v);
            let known = LICENSES.iter().find(|known| **known == wanted);
            c.license = known.ok_or_else(|| {
                format!(
                    "Invalid value for license. Found: {wanted}. Valid values: {}.",
                    LICENSES.join(", ")
                )
            })?;
            Ok(())
        },
    },
    Row {
        name: "cpp_demangle",
        doc: "show C++ and Rust symbols as in the source (default true)",
        set: |c, v| {
            c.cpp_demangle = boolean("cpp_demangle", v)?;
            Ok(())
        },
    },
    Row {
        name: "cache_user_symbols",
        doc: "keep the symbols of programs: PER_PID, PER_PROGRAM, NONE (chosen unless given)",
        set: |c, v| {
            c.cache_user_symbols = match text(v).to_ascii_uppercase().as_str() {
                "PER_PID" => SymbolCache::PerPid,
                "PER_PROGRAM" | "1" | "TRUE" => SymbolCache::PerProgram,
                "NONE" | "0" | "FALSE" => SymbolCache::None,
                digits if digits.parse::<u64>().is_ok() => SymbolCache::PerProgram,
                _ => {
                    return Err(String::from(
                        "cache_user_symbols: Invalid value for cache_user_symbols: valid values are PER_PID, PER_PROGRAM, and NONE.",
                    ));
                }
            };
            Ok(())
        },
    },
    Row {
        name: "lazy_symbolication",
        doc: "look user symbols up when they are shown (default true)",
        set: |c, v| {
            c.lazy_symbolication = boolean("lazy_symbolication", v)?;
            Ok(())
        },
    },
    Row {
        name: "show_debug_info",
        doc: "stacks show files, lines and inlined functions (default false)",
        set: |c, v| {
            c.show_debug_info = boolean("show_debug_info", v)?;
            Ok(())
        },
    },
    Row {
        name: "unstable_tseries",
        doc: "whether tseries() may be used: error, warn (default), enable",
        set: |c, v| {
            c.unstable_tseries = unstable("unstable_tseries", v)?;
            Ok(())
        },
    },
    Row {
        name: "unstable_dw_ustack",
        doc: "whether dw_ustack may be used: error, warn (default), enable",
        set: |c, v| {
            c.unstable_dw_ustack = unstable("unstable_dw_ustack", v)?;
            Ok(())
        },
    },
    Row {
        name: "unstable_typeinfo",
        doc: "whether typeinfo may be used: error (default), warn, enable",
        set: |c, v| {
            c.unstable_typeinfo = unstable("unstable_typeinfo", v)?;
            Ok(())
        },
    },
    Row {
        name: "unstable_import_statement",
        doc: "whether import may be used: error (default), warn, enable",
        set: |c, v| {
            c.unstable_import_statement = unstable("unstable_import_statement", v)?;
            Ok(())
        },
    },
];

/// Accepted names that mean nothing to rbt, with what they set elsewhere.
const WITHOUT_EFFECT: &[&str] = &["use_blazesym"];

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

/// The name a setting has now: without the prefix `BPFTRACE_`, in lower case, not an old one.
pub fn modern_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let name = lower.strip_prefix("bpftrace_").unwrap_or(&lower);
    let renamed = RENAMED.iter().find(|(old, _)| *old == name);
    renamed.map_or(name, |(_, new)| new).to_owned()
}

/// The settings that the environment fixes: a script cannot change them.
pub fn fixed_by(is_set: &dyn Fn(&str) -> bool) -> Vec<String> {
    let old = RENAMED.iter().map(|(old, _)| *old);
    let names = old.chain(TABLE.iter().map(|row| row.name));
    let fixed = names.filter(|name| {
        let upper = name.to_ascii_uppercase();
        is_set(&format!("BPFTRACE_{upper}")) || is_set(&format!("RBT_{upper}"))
    });
    fixed.map(modern_name).collect()
}

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
            let opposite = Written::Bool(matches!(boolean(new, value), Ok(false)));
            let value = if name.starts_with("no_") {
                &opposite
            } else {
                value
            };
            return match self.set(new, value) {
                Outcome::Set => Outcome::Renamed(new),
                other => other,
            };
        }
        if WITHOUT_EFFECT.contains(&name) {
            return match boolean(name, value) {
                Ok(_) => Outcome::Set,
                Err(why) => Outcome::BadValue(why),
            };
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
        for prefix in ["BPFTRACE_", "RBT_"] {
            let old = RENAMED.iter().map(|(old, _)| *old);
            for setting in old.chain(TABLE.iter().map(|row| row.name)) {
                let name = format!("{prefix}{}", setting.to_ascii_uppercase());
                if let Some(value) = variable(&name)
                    && let Outcome::BadValue(why) = self.set(setting, &Written::Text(value))
                {
                    refused.push((name, why));
                }
            }
            if let Some(map) = variable(&format!("{prefix}DUMMY_TS_MAP")) {
                let name = map.strip_prefix('@').unwrap_or(&map);
                self.dummy_ts_map = Some(name.to_owned());
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
    fn words_of_every_kind() {
        let mut config = Config::default();
        let word = |text: &str| Written::Text(String::from(text));
        assert_eq!(config.set("license", &word("Dual BSD/GPL")), Outcome::Set);
        assert_eq!(config.license, "Dual BSD/GPL");
        assert!(matches!(
            config.set("license", &word("MIT")),
            Outcome::BadValue(_)
        ));
        let set = config.set("unstable_typeinfo", &word("enable"));
        assert_eq!(
            (set, config.unstable_typeinfo),
            (Outcome::Set, Unstable::Enable)
        );
        let renamed = config.set("no_cpp_demangle", &Written::Int(1));
        assert_eq!(renamed, Outcome::Renamed("cpp_demangle"));
        assert!(!config.cpp_demangle);
        let set = config.set("cache_user_symbols", &word("PER_PROGRAM"));
        assert_eq!(set, Outcome::Set);
        assert_eq!(config.cache_user_symbols, SymbolCache::PerProgram);
        let bad = config.set("use_blazesym", &word("x"));
        let why = "use_blazesym: Invalid bool value: valid values are true, false, 1 or 0.";
        assert_eq!(bad, Outcome::BadValue(String::from(why)));
        assert_eq!(modern_name("BPFTRACE_STRLEN"), "max_strlen");
        assert_eq!(fixed_by(&|name| name == "BPFTRACE_STRLEN"), ["max_strlen"]);
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
