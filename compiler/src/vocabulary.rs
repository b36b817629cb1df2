//! The kernel half of a word: what the compiler asks of builtins, functions, aggregations
//! and probe providers, and the lists that hold them.
//!
//! The compiler handles every word through these traits and knows none by name.

use crate::artifact::{AttachTarget, ProgramKind, When};
use crate::hir;
use crate::ir::{Address, Operand};
use crate::lower::Builder;
use crate::pass::check::Check;
use crate::structs::TypeTable;
use crate::target::Target;
use crate::types::{Space, StructRef, Type};
use crate::word::Word;
use rbt_grammar::ast::AttachPart;
use rbt_grammar::{Diagnostic, ParseOptions, Parsed, Source, Span, Spanned};
use std::fmt;

/// The words of the language, for the compiler.
#[derive(Clone, Copy)]
pub struct Vocabulary {
    /// Values: `pid`, `comm`.
    pub builtins: &'static [&'static dyn Builtin],
    /// Calls: `printf`, `str`.
    pub functions: &'static [&'static dyn Function],
    /// Map kinds: `count`, `hist`.
    pub aggregations: &'static [&'static dyn Aggregation],
    /// Probe types: `tracepoint`, `interval`.
    pub providers: &'static [&'static dyn Provider],
    /// Scripts that define words as macros.
    pub scripts: &'static [Library],
}

/// A script of the library: words that the language itself can say.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    /// What the file is called.
    pub name: &'static str,
    /// The script. Only its macros count.
    pub text: &'static str,
    /// The macros' names, so that a file is only read for a script that uses one. `NAME()` is
    /// one whose name is a builtin's without arguments: asked for where it is given some.
    pub words: &'static [&'static str],
}

impl Vocabulary {
    /// The builtin of that name.
    pub fn builtin(&self, name: &str) -> Option<&'static dyn Builtin> {
        self.builtins.iter().copied().find(|w| w.answers_to(name))
    }

    /// The function of that name.
    pub fn function(&self, name: &str) -> Option<&'static dyn Function> {
        self.functions.iter().copied().find(|w| w.name() == name)
    }

    /// The aggregation of that name.
    pub fn aggregation(&self, name: &str) -> Option<&'static dyn Aggregation> {
        self.aggregations.iter().copied().find(|w| w.name() == name)
    }

    /// The provider of that name (in any letter case) or alias (exactly).
    pub fn provider(&self, name: &str) -> Option<&'static dyn Provider> {
        self.providers
            .iter()
            .copied()
            .find(|w| w.name().eq_ignore_ascii_case(name) || w.aliases().contains(&name))
    }

    /// The names of all providers, and their aliases: what the parser knows a probe by.
    pub fn provider_names(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let names = self.providers.iter().map(|p| p.name()).collect();
        let aliases = self.providers.iter().flat_map(|p| p.aliases());
        (names, aliases.copied().collect())
    }

    /// Parses a script of this vocabulary, with `$1` and so on as given.
    pub fn parse(&self, source: &Source, positional: &[String]) -> Parsed {
        let (providers, aliases) = self.provider_names();
        let options = ParseOptions {
            providers: &providers,
            aliases: &aliases,
            positional,
        };
        rbt_grammar::parse(source, &options)
    }
}

/// What an expression needs of the probe it runs in: it bounds how the probe may be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Named arguments.
    pub arguments: bool,
    /// Arguments in a way only their own memory can serve: whole, or by a computed index.
    pub arguments_in_memory: bool,
    /// The number of the site.
    pub site: bool,
    /// The raw context.
    pub context: bool,
    /// The kernel's stack as a program of the probe's own kind sees it: another way to the
    /// same place has other frames at its top.
    pub kernel_stack: bool,
    /// Numbered arguments: one more than the highest.
    pub numbered: u8,
    /// What a traced function returns.
    pub result: bool,
    /// The address of the traced function.
    pub function: bool,
    /// Where the probe is, when it is compiled: a program for each place.
    pub one_place: bool,
    /// Programs of the probe's own kind: no cheaper way, though it would do.
    pub own_kind: bool,
}

impl Needs {
    /// What either needs.
    pub fn and(self, other: Needs) -> Needs {
        Needs {
            arguments: self.arguments | other.arguments,
            arguments_in_memory: self.arguments_in_memory | other.arguments_in_memory,
            site: self.site | other.site,
            context: self.context | other.context,
            kernel_stack: self.kernel_stack | other.kernel_stack,
            numbered: self.numbered.max(other.numbered),
            result: self.result | other.result,
            function: self.function | other.function,
            one_place: self.one_place | other.one_place,
            own_kind: self.own_kind | other.own_kind,
        }
    }
}

/// Whether two reads in one run of a program give the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// They do: it is read once.
    Fixed,
    /// They do not.
    Varying,
}

/// Why a word cannot stand where it stands: a sentence, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotHere {
    /// `The retval builtin can only be used with …`
    pub message: String,
    /// What to write instead; may be empty.
    pub help: String,
}

/// A builtin value.
pub trait Builtin: Word {
    /// Whether `name` means this builtin; families such as `arg0`, `arg1` answer to many.
    fn answers_to(&self, name: &str) -> bool {
        self.name() == name
    }
    /// Its type in a clause of that probe. `name` is the name as written.
    ///
    /// Errors: the probe does not offer it.
    fn ty(&self, name: &str, probe: &ProbeContext, types: &TypeTable<'_>) -> Result<Type, NotHere>;
    /// Whether it stays the same during one run of a program.
    fn stability(&self) -> Stability;
    /// Whether it is what [`Builder::thread_id`] gives.
    fn is_thread_id(&self) -> bool {
        false
    }
    /// What it needs of the probe.
    fn needs(&self) -> Needs {
        Needs::default()
    }
    /// What it needs under that name, where its names differ in it.
    fn needs_as(&self, name: &str) -> Needs {
        let _ = name;
        self.needs()
    }
    /// The literal, with its own type, that stands for the value if it can be known now.
    fn fold(&self, span: Span, cx: &Check<'_, '_>) -> Option<hir::Expr> {
        let _ = (span, cx);
        None
    }
    /// Computes a value that lives in a register.
    fn lower(&self, name: &str, b: &mut Builder<'_>) -> Operand {
        let _ = (name, b);
        Operand::Imm(0)
    }
    /// The value as a pointer whose type the verifier knows, so that members behind it can be
    /// loaded; `None` where the kernel gives none.
    fn lower_typed(&self, b: &mut Builder<'_>) -> Option<Operand> {
        let _ = b;
        None
    }
    /// Writes a value that lives in memory to `to`, all of its bytes.
    fn lower_into(&self, name: &str, to: Address, b: &mut Builder<'_>) {
        let _ = (name, to, b);
    }
}

/// How a function treats an argument before its `check` sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// A value.
    Value,
    /// A map itself (`clear(@m)`), or a value if it is no bare map.
    Map,
    /// A map, or one element of a map, as a place (`delete(@m[k])`); or a value.
    Place,
    /// A value; a positional parameter is given as its text, whatever it spells.
    Text,
    /// A literal that only userspace reads, such as a format: it may be longer than a value.
    Format,
    /// A key of the map that is the first argument; it comes converted to the map's key type.
    Key,
    /// A bare word that means something to the function alone (`nsecs(boot)`), given as a
    /// string; or a value.
    Name,
}

/// A function.
pub trait Function: Word {
    /// Fewest and most arguments.
    fn arity(&self) -> (usize, usize);
    /// How the argument of that index is treated.
    fn argument(&self, index: usize) -> ArgumentKind {
        let _ = index;
        ArgumentKind::Value
    }
    /// Whether it may only be used with `--unsafe`.
    fn is_unsafe(&self) -> bool {
        false
    }
    /// What it needs of the probe.
    fn needs(&self) -> Needs {
        Needs::default()
    }
    /// Whether it is usually called for its effect, so that its value may be ignored.
    fn may_be_ignored(&self) -> bool {
        false
    }
    /// Whether it may be written without parentheses, as a builtin is.
    fn is_value(&self) -> bool {
        false
    }
    /// Whether it does to the map and key of its arguments what [`Builder::delete`] does, and
    /// nothing else to the map.
    fn removes_key(&self) -> bool {
        false
    }
    /// Whether nothing after it in its block is reached.
    fn diverges(&self) -> bool {
        false
    }
    /// Whether its events are few and small: a script that sends no others needs little room
    /// for them.
    fn sends_little(&self) -> bool {
        self.diverges()
    }
    /// Checks the call, converts its arguments where it must, records literals in
    /// `call.params`, and gives the type of its value. The number of arguments was checked.
    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Type;
    /// A literal that stands for the call, if it can be computed now (`str("x")`,
    /// `kaddr("jiffies")`).
    fn fold(&self, call: &hir::Call, cx: &mut Check<'_, '_>) -> Option<hir::ExprKind> {
        let _ = (call, cx);
        None
    }
    /// The call's effect and, for a value that lives in a register, the value.
    fn lower(&self, call: &hir::Call, b: &mut Builder<'_>) -> Operand {
        let _ = (call, b);
        Operand::Imm(0)
    }
    /// Writes a value that lives in memory to `to`, all of its bytes.
    fn lower_into(&self, call: &hir::Call, to: Address, b: &mut Builder<'_>) {
        let _ = (call, to, b);
    }
}

/// A kind of map that combines values in the kernel.
pub trait Aggregation: Word {
    /// Fewest and most arguments.
    fn arity(&self) -> (usize, usize);
    /// Checks the arguments (converting the value to 64 bits) and gives the literal
    /// parameters that all uses of one map must share.
    fn check(&self, call: &mut hir::Call, cx: &mut Check<'_, '_>) -> Vec<i64>;
    /// Bytes of one CPU's slot; a multiple of 8. A slot of zeros is an empty one.
    fn slot_size(&self, params: &[i64], is_signed: bool) -> u32;
    /// Puts a value into the slot at `slot`, which other programs on this CPU may change at
    /// the same time. `value` is `None` for aggregations without an argument.
    fn update(
        &self,
        slot: Address,
        value: Option<Operand>,
        call: &AggregateCall<'_>,
        b: &mut Builder<'_>,
    );
    /// Whether a program can read it as one integer, by [`Aggregation::read`].
    fn is_castable(&self) -> bool;
    /// Combines one CPU's slot at `slot` into `total`, a piece of memory of `state_size`
    /// bytes that starts as zeros.
    fn combine(&self, slot: Address, total: Address, is_signed: bool, b: &mut Builder<'_>) {
        let _ = (slot, total, is_signed, b);
    }
    /// The integer from what `combine` gathered.
    fn finish(&self, total: Address, is_signed: bool, b: &mut Builder<'_>) -> Operand {
        let _ = (total, is_signed, b);
        Operand::Imm(0)
    }
}

/// What an aggregation's update may know besides the value.
#[derive(Clone, Copy, Debug)]
pub struct AggregateCall<'a> {
    /// The literal parameters.
    pub params: &'a [i64],
    /// Whether the map's integers are signed.
    pub is_signed: bool,
    /// The call.
    pub span: Span,
}

/// An attach point as written, its provider known.
#[derive(Clone, Copy, Debug)]
pub struct ProbeSpec<'a> {
    /// The parts after the provider.
    pub parts: &'a [Spanned<AttachPart>],
    /// The whole attach point.
    pub span: Span,
    /// Whether `--unsafe` allows what cannot be checked.
    pub allows_unsafe: bool,
}

impl ProbeSpec<'_> {
    /// The text of a part; empty if it is not there.
    pub fn part(&self, index: usize) -> &str {
        self.parts.get(index).map_or("", |part| &part.node.text)
    }
}

/// One place of an attach point after wildcards were expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The provider's own parts: category and event, unit and number.
    pub parts: Vec<String>,
    /// What `probe` shows.
    pub text: String,
}

/// What a clause can know of the probe it runs in.
#[derive(Clone)]
pub struct ProbeContext {
    /// The provider.
    pub provider: &'static dyn Provider,
    /// The place, one of several that all have the same arguments.
    pub place: Place,
    /// Memory that bare integers used as pointers point into.
    pub space: Space,
    /// The named arguments, if asked for and offered.
    pub arguments: Option<StructRef>,
    /// How many `argN` there are.
    pub numbered: u32,
    /// When it runs.
    pub when: When,
}

impl fmt::Debug for ProbeContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place.text)
    }
}

/// Where one argument of a probe comes from when it does not lie in the context as the
/// probe's own record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedArgument {
    /// Bytes from the start of the arguments' struct.
    pub at: u32,
    /// Where its 8 bytes are.
    pub from: ArgumentSource,
}

/// A source of 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentSource {
    /// At that byte of the context.
    Context(u32),
    /// In kernel memory, behind the pointer at byte `pointer` of the context.
    Behind {
        /// Byte of the context that holds the address.
        pointer: u32,
        /// Bytes from that address.
        offset: u32,
    },
    /// At that byte of the current task's `struct task_struct`.
    Task(u32),
    /// What `bpf_get_func_arg` gives for that slot.
    Helper(u32),
    /// What `bpf_get_func_ret` gives.
    HelperForResult,
}

/// How the arguments of a probe are read on a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentAccess {
    /// There are none.
    None,
    /// Their struct is the context.
    InContext,
    /// Each comes from somewhere.
    Mapped(Vec<MappedArgument>),
    /// They have no struct; by number, each comes from registers or memory of user space.
    Operands(Vec<UserArgument>),
}

/// An argument that a program of user space passes by an agreement of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserArgument {
    /// Bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// Two's complement if so.
    pub is_signed: bool,
    /// Where it is.
    pub source: UserSource,
}

/// Where an argument is. Registers are bytes from the start of the saved registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserSource {
    /// It is always that.
    Constant(i64),
    /// In a register.
    Register {
        /// Which.
        register: u32,
        /// Bits that are not part of it below it.
        shift: u8,
    },
    /// In memory, at the sum of what is there.
    Memory {
        /// A register.
        base: Option<u32>,
        /// A register and what it is multiplied by.
        index: Option<(u32, u8)>,
        /// A number.
        displacement: i64,
    },
    /// Where programs cannot look.
    Unknown,
}

/// Where a program learns which of its sites fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteSource {
    /// It does not ask, or there is only one.
    Single,
    /// There is only one, and a run in which one of these is zero is none of it.
    SingleWith(Vec<ArgumentSource>),
    /// From the attach cookie.
    Cookie,
    /// From a constant patched into a copy for each attachment.
    Patched,
    /// From a number that the context holds, by a table: `table[number]` is the index of the
    /// place plus one, or zero if the event is none of the clause's.
    Table {
        /// Where the number is.
        number: ArgumentSource,
        /// By number: index of the place (in the route's `places`) plus one.
        table: Vec<u32>,
        /// Events are none of the clause's if any of these bits is set there, whatever their
        /// number: it counts something else.
        excluded: Option<(ArgumentSource, i64)>,
    },
}

/// One way to reach some places: it becomes one program.
#[derive(Clone, Debug)]
pub struct Route {
    /// What the program is loaded as.
    pub kind: ProgramKind,
    /// The section that tells other loaders the same: `tracepoint/sched/sched_switch`.
    pub section: String,
    /// A readable name for the program.
    pub name: String,
    /// The places it serves: indexes of what it was planned for.
    pub places: Vec<usize>,
    /// What it is attached to, with the index (in `places`) of the first place each serves
    /// and how many functions or events the attach notice counts for it.
    pub attachments: Vec<(AttachTarget, usize, u32)>,
    /// Whether it is only for the process given by `-p`, where there is one: by the kernel
    /// if it can, else by a test at the program's start.
    pub pid_filter: PidFilter,
    /// How arguments are read.
    pub arguments: ArgumentAccess,
    /// How the site is known.
    pub site: SiteSource,
}

/// How `-p` bears on a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PidFilter {
    /// Not at all.
    None,
    /// The attachment is made for that process.
    Attach,
    /// The program tests `pid`.
    Test,
}

/// A probe type.
pub trait Provider: Word {
    /// Short names, matched exactly.
    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }
    /// When its clauses run.
    fn when(&self) -> When {
        When::Attached
    }
    /// Whether its places are in programs and libraries, so that a script with one is about the
    /// processes that run them.
    fn is_of_program(&self) -> bool {
        false
    }
    /// Whether what functions return has a type of its own at each place, so that a clause
    /// that names `retval` is compiled for each such type.
    fn types_result(&self) -> bool {
        false
    }
    /// Whether addresses are of one memory, the kernel's or a process's, until the script says
    /// otherwise; else they are read where they lie, on machines where that can be told.
    fn has_space(&self) -> bool {
        true
    }
    /// What its probes are called in the complaint that two have one name, if none may.
    fn unique_as(&self) -> Option<&'static str> {
        None
    }
    /// The places an attach point means, in the order they are to be attached; wildcards are
    /// expanded. Several equal places stay several.
    ///
    /// Errors: the attach point is malformed. A well-formed one that matches nothing gives an
    /// empty list.
    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic>;
    /// What a clause can know at a place. Named arguments are looked up only if `needs` says.
    ///
    /// Errors: the machine would not say.
    fn context(
        &self,
        place: &Place,
        needs: Needs,
        types: &TypeTable<'_>,
        target: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic>;
    /// The probe nearest to one that does not exist, for the complaint about it.
    fn nearest(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        let _ = (spec, target);
        None
    }
    /// The function a place is in, where it is known without running: what `func` shows.
    fn function(&self, place: &Place) -> String {
        let _ = place;
        String::new()
    }
    /// What is to be said of an attach point that is well formed and there: a warning.
    fn remark(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        let _ = (spec, target);
        None
    }
    /// Why an attach point matches nothing, where that is not plain: a warning beside the
    /// complaint that it does.
    fn why_missing(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        let _ = (spec, target);
        None
    }
    /// The cheapest ways to reach the places that supply what is needed. Every place is
    /// served by exactly one route.
    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route>;
    /// What `-l` shows for a pattern (the parts after the provider): complete probe names,
    /// sorted.
    ///
    /// Errors: the machine would not say.
    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic>;
    /// What `-lv` adds for one listed name: one line for each argument, without indent.
    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        let _ = (name, target);
        Vec::new()
    }
    /// Whether `-l` without a pattern, or with one without a colon, lists it.
    fn is_listed(&self) -> bool {
        true
    }
}
