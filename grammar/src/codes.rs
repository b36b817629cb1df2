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
    UNEXPECTED_CHARACTER = 2, "a character that begins no token",
        "Outside strings and comments the language uses ASCII letters, digits and the usual \
         punctuation. There are no character literals: `\"a\"[0]` is the first byte of a string.";
    UNTERMINATED_STRING = 3, "unterminated string",
        "A string ends with `\"` on the line it began on. A new line inside a string is `\\n`.";
    BAD_ESCAPE = 4, "an unknown escape in a string",
        "The escapes are `\\n`, `\\t`, `\\r`, `\\\"`, `\\\\`, a backslash with one to three octal \
         digits up to 377, and `\\x` with one or two hexadecimal digits.";
    BAD_NUMBER = 5, "a number that cannot be read",
        "Numbers are decimal, hexadecimal (`0x1f`), octal (`017`) or binary (`0b101`), with `_` \
         between digits, or one digit with a power of ten (`1e9`). They may end in a C suffix \
         (`u l ul ll ull`) or in a duration (`ns us ms s m h d`), which gives nanoseconds.";
    INTEGER_OVERFLOW = 6, "a number too large for its type",
        "Integers have 64 bits: the largest is 18446744073709551615. With a suffix the number must \
         fit the C type that the suffix names.";
    UNTERMINATED_COMMENT = 7, "unterminated comment",
        "A comment that begins with `/*` ends with the next `*/`. Comments do not nest.";
    UNCLOSED_DELIMITER = 8, "a bracket that is never closed",
        "Every `(`, `[` and `{` needs its partner, inside the same statement or action.";
    UNCLOSED_ANGLE_ACTION = 9, "an angle action that is never closed",
        "An action opened with `<` is closed with `>`, at the start of a statement, before the end \
         of the script or before the next clause. Inside parentheses, and where an operand \
         follows, `>` compares.";
    STRAY_DELIMITER = 10, "a closing bracket without its partner",
        "A `)`, `]` or `}` stands where nothing is open for it to close.";
    MISSING_SEMICOLON = 11, "a missing `;`",
        "Statements are separated by `;`. Only the last one before the end of a block, and those \
         that end with a block themselves, need none.";
    MISSING_EXPRESSION = 12, "a missing value",
        "An operator, a bracket or a keyword needs a value behind it.";
    MISSING_PROBE = 13, "an action without a probe",
        "A clause begins with the probes it attaches to: `kprobe:vfs_read { … }`. `BEGIN` runs \
         once at the start.";
    MISSING_ACTION = 14, "a probe without an action",
        "The probes of a clause, and its predicate if it has one, are followed by an action: \
         `{ … }` or `< … >`.";
    ACTION_OPERATOR = 15, "an operator where an action must open",
        "After its probes a clause opens its action with `{` or `<`. `<<` and `<=` are operators \
         even there; put a space between `<` and what follows.";
    UNCLOSED_PREDICATE = 16, "a predicate that is never closed",
        "A predicate is a condition between two slashes; the closing one stands directly before \
         the action's `{` or `<`.";
    TOO_DEEP = 17, "nesting that is too deep",
        "Brackets, operators and blocks may lie in each other to a limit. A long chain of \
         operators counts as well, as each takes the ones before it as its operand.";
    OUT_OF_ORDER = 18, "a section out of its place",
        "A script has its C definitions first, then `config` and `import`, then probes, macros, \
         functions and map declarations.";
    DUPLICATE_CONFIG = 19, "a second config block",
        "A script has at most one `config = { … }`; put all settings into it.";
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
    ASSIGNMENT_IN_EXPRESSION = 23, "an assignment used as a value",
        "An assignment is a statement and has no value. `==` compares.";
    STRAY_ELSE = 24, "an `else` without its `if`",
        "`else` follows the closing `}` of an `if`.";
    BAD_C_DEFINITION = 25, "a C definition that cannot be read",
        "The preamble takes `struct`, `union`, `enum` and `typedef` with members, bit-fields, arrays, \
         pointers and function pointers; no functions, no initialised variables.";
    BAD_CONFIG = 26, "a setting that cannot be read",
        "The block is `config = { name = value; … }`; a value is a number, `true`, `false`, a string \
         or a bare word.";
    BAD_MACRO = 27, "a macro header that cannot be read",
        "A macro is `macro name($x, @m, e) { … }`: `$x` takes a variable, `@m` a map, a bare name any \
         expression. The parentheses are needed even when there is nothing between them.";
    BAD_FUNCTION = 28, "a function header that cannot be read",
        "A function is `fn name($a : int64) : int64 { … }`: each parameter and the result have a type.";
    BAD_DECLARATION = 29, "a declaration that cannot be read",
        "A map is declared by `let @m = hash(100);`, a variable by `let $v`, with `: type` or `= value` \
         or both. `import` takes a path between quotes.";
    BAD_PARAMETER = 30, "a positional parameter that cannot be",
        "Positional parameters are numbered from `$1`; `$#` is how many there are.";
    MISSING_BRACES = 31, "a body without braces",
        "The bodies of `if`, `else`, `for`, `while` and `unroll` always have braces.";
    BARE_CONDITION = 32, "a condition that needs parentheses",
        "Parentheses may be left out around a single operand only: `if $x { … }`, but \
         `if ($x > 1) { … }`.";
}

/// The row of `code`, if there is such a code.
pub fn find(code: Code) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_used_once() {
        let numbers: Vec<_> = TABLE.iter().map(|row| row.code.0).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }
}
