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

/// Whether a mistake lies in the C part of a script: its directives and definitions.
pub fn is_of_preamble(code: Code) -> bool {
    [PREPROCESSOR, C_DEFINITION, BAD_C_DEFINITION].contains(&code)
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
    INCLUDE = 21, "a header that is not found",
        "Headers are looked for in the folders of `-I`, then among those of the kernel and of the \
         system. Structs, enums and typedefs of the kernel are there without them; a macro of a \
         header that is not installed has to be defined by the script with `#define`.";
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
    UNKNOWN_PROVIDER = 100, "a probe type that does not exist",
        "The word before the first colon of an attach point names a probe type: tracepoint, \
         interval, BEGIN and so on. `rbt -l` lists the probes of this machine.";
    BAD_PROBE = 101, "an attach point that its probe type cannot read",
        "Each probe type has its own parts after the colon: tracepoint:category:event, \
         interval:unit:count. The message says which part is wrong.";
    NO_SUCH_PROBE = 102, "a probe that this machine does not have",
        "The attach point is well formed, but nothing of that name exists here. `rbt -l` with a \
         pattern lists what does.";
    NOT_OFFERED = 103, "a value that the probe does not offer",
        "Some values exist only at some probes: `args` has no meaning in an interval. A clause \
         with several attach points may only use what all of them offer.";
    NO_TARGET_FILE = 104, "a program or library that is not there, or there twice",
        "The target of a user-space probe is a path, a name that is looked for in PATH, or the \
         name of a library (`libc`, `libssl.so.3`) that the linker knows. It has to be an \
         executable or a library. Of several in PATH the first counts, as in a shell.";
    BAD_PLACE = 105, "a place in a program where no probe may be",
        "A probe replaces the first byte of an instruction while it is there. If no instruction \
         begins at that place, the program would run something else: rbt therefore looks where \
         instructions begin, for which it must know where the function begins and ends. \
         --unsafe turns the check off.";
    CONFIG = 110, "a setting that cannot be",
        "`rbt --help` lists the settings and what they take.";
    UNKNOWN_NAME = 200, "a name that means nothing",
        "A bare word in an expression is a builtin, an enumerator, a macro or a #define.";
    TYPE_MISMATCH = 201, "a value of another type than before",
        "A variable or map has one type in the whole script. Integers adapt to each other; \
         texts, tuples and integers do not mix.";
    UNKNOWN_TYPE = 202, "a type that does not exist",
        "Types come from the script's own definitions and from the kernel's type information.";
    UNKNOWN_FIELD = 203, "a member that the struct does not have",
        "The help names the nearest member that exists.";
    BAD_OPERAND = 204, "an operator that the value's type does not allow",
        "Arithmetic works on integers, comparison on values of one kind.";
    UNDEFINED_VARIABLE = 205, "a scratch variable that was not assigned here",
        "A scratch variable lives from its first assignment to the end of the block that holds it.";
    SHADOWED_VARIABLE = 206, "a declaration of a name that is visible already",
        "An inner block may not declare a variable of the same name again.";
    BAD_CAST = 207, "a cast that has no meaning",
        "Integers, pointers and byte arrays can be cast to each other; structs and texts cannot.";
    BAD_CONDITION = 208, "a condition that is neither true nor false",
        "A condition is an integer, a truth value or a pointer. Compare anything else with something.";
    BAD_TARGET = 209, "something that cannot be assigned",
        "Only scratch variables, maps and map elements can be assigned. Tuples and memory cannot.";
    LOSSY = 210, "a conversion that may change the value",
        "An explicit cast says that it is meant.";
    UNREACHABLE = 211, "a statement that is never reached",
        "It stands after something that always leaves the block, and has no effect at all.";
    DISCARDED = 212, "a value that nothing uses",
        "The statement computes something and forgets it. `_ = expression;` says that it is meant.";
    MACRO = 213, "a macro that cannot be expanded",
        "A macro takes scratch variables (`$x`), maps (`@m`) and expressions (`e`) as its parameters \
         say, may not call itself, and reaches only the maps it was given.";
    UNNECESSARY = 214, "something that changes nothing",
        "The cast is to the type that the value has already, or the value is always the same. \
         Leaving it out means the same.";
    NEVER_ASSIGNED = 215, "a variable that is read before anything is assigned to it",
        "A variable that was declared with `let` and no value is zero, or empty, until it is \
         assigned.";
    DEPRECATED = 216, "something that may be removed from the language",
        "The help names what has taken its place.";
    SPACES = 217, "pointers into different memories",
        "Kernel addresses and user addresses are different things, even where their numbers are \
         the same. `kptr()` and `uptr()` say which memory an address is of.";
    UNSTABLE = 218, "a part of the language that may still change",
        "It is taken when the script says that it knows: `config = { unstable_typeinfo=enable }`.";
    IMPORT = 219, "something that cannot be imported",
        "`import \"path\";` at the top of a script takes the clauses, macros and maps of another \
         script, of all scripts of a folder, or the types of a header. The path begins at the \
         importing file. Scripts that are imported have no settings of their own.";
    FUNCTION = 220, "a function that cannot be called so",
        "A call of a function of the script is replaced by its body. Its `return` may stand at the \
         end of the body and of the branches of `if`, not in a loop, and it may not call itself.";
    UNKNOWN_FUNCTION = 300, "a function that does not exist",
        "The help names the nearest function that exists.";
    BAD_ARGUMENT = 301, "an argument the function does not take",
        "The message says what the function expects; `rbt --doc NAME` shows its page.";
    ARITY = 302, "too few or too many arguments",
        "`rbt --doc NAME` shows how a function is called.";
    UNSAFE = 303, "an unsafe function without --unsafe",
        "Some functions change the traced system. They need the option --unsafe.";
    BAD_FORMAT = 304, "a format that does not fit its values",
        "Each conversion of a format takes one value of a kind it can show: `%d`, `%u`, `%x`, \
         `%o`, `%c` and `%p` take numbers, `%r`, `%rx` and `%rh` take buffers, `%s` takes any \
         value. There are no floating-point numbers.";
    REFUSED = 305, "a script that refuses itself",
        "The script, or a macro that it uses, calls fail() where it is reached, or static_assert() \
         with a condition that is false.";
    NOT_A_LITERAL = 306, "an argument that has to be a literal",
        "Formats, names of files, symbols and registers, separators, and numbers that shape a \
         program, such as the bounds of lhist(), are needed when the script is compiled. \
         Positional and named parameters are literals too.";
    OUT_OF_RANGE = 307, "a literal that the function does not allow",
        "Lengths and counts are not negative; the message names the range.";
    UNWINDING = 308, "a way to unwind stacks that rbt does not have",
        "dw_ustack() unwinds by the tables in .eh_frame and gives addresses; build ids come from \
         the kernel, which follows frame pointers alone: that is ustack(build_id).";
    MAP_KEY = 400, "a map used with another kind of key",
        "A map has a key of one type in the whole script, or none at all.";
    MAP_VALUE = 401, "a map used as another kind of map",
        "One map holds one kind of value in the whole script.";
    AGGREGATE_PLACE = 402, "an aggregation that is not assigned to a map",
        "count(), sum(), hist() and their kind have no value of their own: they are the whole right \
         side of an assignment to a map.";
    MAP_DECLARATION = 403, "a map declaration that cannot hold",
        "`let @m = kind(entries);` with one of the kinds hash, lruhash, percpuhash, percpulruhash.";
    MAP_FORM = 404, "a map with keys where it may have none, or the other way round",
        "delete(@m) is for maps without keys; delete(@m, key), has_key(), find(), len() and loops \
         are for maps with keys.";
    NO_MAP = 405, "something else where a map has to be",
        "clear(), zero(), delete(), has_key(), len() and their kind take a map as such: `@m`, \
         not an element of it.";
    FRAME_FULL = 500, "values that do not fit into the program's stack",
        "The kernel gives a program 512 bytes of stack. The notes list the largest values.";
    TOO_LARGE = 501, "something beyond a limit of the kernel",
        "The message names the limit and the expression that is beyond it.";
    TOO_MANY_PROBES = 502, "more probes or programs than the settings allow",
        "The settings max_probes and max_bpf_progs can be raised in config = { … }.";
    OBJECT = 800, "an object that cannot be loaded",
        "The object that rbt compiled does not fit the kernel's or the loader's rules. It may \
         come from another version of rbt; else it is a defect of rbt: please report it.";
    MAP_CREATION = 801, "a map that the kernel does not create",
        "The kernel was asked for a map and refused: for want of memory, of privileges, or \
         because the map is larger than it allows.";
    VERIFIER = 802, "a program that the kernel refuses",
        "Before a program may run the kernel proves that it ends and touches only memory it \
         may. It could not prove this one. Its own words are in the note; the place is the \
         expression whose instruction it stopped at. Smaller strings, fewer loop rounds and \
         fewer clauses help when it is a limit; else it is a defect of rbt: please report it.";
    ATTACH = 803, "a probe that cannot be attached",
        "The probe exists by name, but the kernel refuses to attach a program to it: hardware \
         counters are missing in most virtual machines, and some events are reserved. With \
         `config = { missing_probes = \"warn\" }` the script runs with the rest.";
    TEST_RUN = 804, "a begin or end clause that the kernel does not run",
        "`begin`, `end` and `self` clauses are programs that the kernel is asked to run once. \
         That request (BPF_PROG_TEST_RUN of a raw tracepoint, since Linux 5.10) was refused.";
    PRIVILEGES = 900, "not enough privileges",
        "Tracing needs root, or the capabilities CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN), \
         CAP_DAC_READ_SEARCH and CAP_DAC_OVERRIDE.";
    MACHINE = 901, "a fact that the machine does not give",
        "rbt asked the machine for something the script needs: its type information, its \
         tracepoints, its symbols. The message says what, where, and the machine's answer.";
    CHILD = 902, "a command or process that cannot be traced",
        "The command of `-c` has to be an executable in PATH or a path; the process of `-p` \
         has to exist when tracing starts.";
    OUTPUT = 903, "output that cannot be written",
        "The file of `-o`, or stdout, does not take what is written to it.";
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
