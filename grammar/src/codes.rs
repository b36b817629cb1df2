//! The table of diagnostic codes: number, title, long explanation.
//!
//! Codes are stable and never reused. `E00` syntax, `E01` probes, `E02` names and types,
//! `E03` calls, `E04` maps, `E05` limits, `E08` loading and the verifier, `E09` the host.
//! Every row has at least one file in `tests/errors/`, named by its number.

use std::fmt;

/// One row's number, shown as `E0402`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:04}", self.0)
    }
}

/// What is known about a code.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The number.
    pub code: Code,
    /// A few words, for lists.
    pub title: &'static str,
    /// What it means and what to do, for `rbt --explain`.
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident = $number:literal, $title:literal, $explanation:literal;)*) => {
        $(#[doc = $title] pub const $name: Code = Code($number);)*
        /// Every code, in the order of its number.
        pub const TABLE: &[Row] = &[$(Row { code: $name, title: $title, explanation: $explanation }),*];
    };
}

codes! {
    INTERNAL = 0, "a broken promise of rbt itself",
        "rbt found itself in a state that its authors thought impossible. The script may be \
         perfectly fine. Please report it.";
    SYNTAX = 1, "text that is not of the language",
        "The parser met something that cannot stand there. It goes on at the next statement or \
         clause, so that one run shows all mistakes.";
    PREPROCESSOR = 20, "a preprocessor line that makes no sense",
        "Scripts may begin with `#define`, `#undef`, `#include` and conditions from `#if` to \
         `#endif`. A condition is a number made of integers, macros, operators and \
         `defined(NAME)`.";
    INCLUDE = 21, "a header that is not read",
        "rbt does not read C headers. Structs, enums and typedefs of the kernel are there \
         without them; a macro of a header has to be defined by the script with `#define`.";
    C_DEFINITION = 22, "a C definition without a layout",
        "To know where the members of a struct lie, rbt needs complete types for all of them, \
         and constants for lengths and widths: integers, enumerators, macros, `sizeof`. \
         Pointers may lead to structs that are not defined.";
}

/// The row of `code`, if there is such a code.
pub fn find(code: Code) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.code == code)
}
