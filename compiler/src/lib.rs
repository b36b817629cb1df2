//! From tree to object: types, BTF, passes, BPF IR, instructions, ELF.
//!
//! A pure function: text and answers about a kernel go in, an object or diagnostics come
//! out. It opens no file, makes no system call, and knows no word of the language by name.
#![forbid(unsafe_code)]

pub mod arch;
pub mod artifact;
pub mod backend;
pub mod binary;
pub mod btf;
pub mod config;
pub mod fixture;
pub mod hir;
pub mod ir;
pub mod lower;
pub mod nearest;
pub mod object;
pub mod pass;
pub mod question;
mod stage;
pub mod structs;
pub mod target;
pub mod types;
pub mod vocabulary;
pub mod word;

pub use stage::Stage;

use artifact::Artifact;
use config::Config;
use pass::plan::PlannedProgram;
use rbt_grammar::{Diagnostic, Diagnostics, ParseOptions, SourceId, SourceMap, Span, codes};
use structs::TypeTable;
use target::Target;
use vocabulary::Vocabulary;

/// What the caller decides about a compilation.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Positional parameters, `$1` first.
    pub positional: Vec<String>,
    /// Named parameters, without dashes, with their values where given.
    pub named: Vec<(String, Option<String>)>,
    /// `--unsafe`
    pub allows_unsafe: bool,
    /// `-k`: failed reads and lookups are counted and reported.
    pub reports_reads: bool,
    /// Settings before the script's own.
    pub config: Config,
    /// Names of settings that the environment fixed.
    pub fixed_settings: Vec<String>,
    /// A stage to print.
    pub print: Option<Stage>,
    /// What the script imports, read by the caller.
    pub imports: Vec<pass::imports::Imported>,
    /// Called when a stage is done, with its name: for those who hold a clock.
    pub on_stage: Option<fn(&'static str)>,
    /// Which places are kept of those that the script names.
    pub keep: Option<PlaceFilter>,
    /// What an interactive session keeps from what it compiled before. With it maps are
    /// stored by their own types alone, so that they can outlive the programs that fill them,
    /// and programs can be shut off before they are detached.
    pub carried: Option<Carried>,
    /// What an editor wants to know of a place in the text.
    pub question: Option<std::rc::Rc<question::Question>>,
}

/// Says of a place, by what `probe` shows there, whether it is kept. What runs once at the
/// start or the end is kept in any case.
#[derive(Clone)]
pub struct PlaceFilter(pub std::rc::Rc<dyn Fn(&str) -> bool>);

impl std::fmt::Debug for PlaceFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlaceFilter")
    }
}

/// What outlives one compilation: the numbers that are stored in maps keep their meaning.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// Sites by number.
    pub sites: Vec<artifact::Site>,
    /// Texts by number.
    pub texts: Vec<String>,
    /// Maps: what they hold is known where nothing assigns them any more.
    pub maps: Vec<hir::Map>,
}

/// What came of a compilation.
#[derive(Debug, Default)]
pub struct Compiled {
    /// The object and its manifest, unless something was fatal or a stage was to be printed.
    pub artifact: Option<Artifact>,
    /// The stage that was to be printed.
    pub listing: Option<String>,
    /// What a person should know, errors first.
    pub diagnostics: Diagnostics,
    /// The named parameters that the script takes, in the order it names them.
    pub parameters: Vec<Parameter>,
    /// The script's maps, once their types are known; without those whose types the script
    /// itself defines, which mean nothing outside it.
    pub maps: Vec<hir::Map>,
}

/// A named parameter of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name without dashes.
    pub name: String,
    /// What it is when it is not given, as the script writes it.
    pub default: ParameterValue,
    /// What the script says of it; may be empty.
    pub description: String,
}

/// The value of a named parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterValue {
    /// A truth value.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text.
    Text(Vec<u8>),
}

/// Compiles a script for a kernel.
pub fn compile(
    sources: &SourceMap,
    script: SourceId,
    vocabulary: &Vocabulary,
    target: &dyn Target,
    options: &Options,
) -> Compiled {
    let mut compiled = Compiled::default();
    recipe(sources, script, vocabulary, target, options, &mut compiled);
    compiled
        .diagnostics
        .sort_by_key(|d| std::cmp::Reverse(d.severity));
    compiled
}

/// The stages in order. Each reports all it can; an error ends the recipe with its stage.
fn recipe(
    sources: &SourceMap,
    script: SourceId,
    vocabulary: &Vocabulary,
    target: &dyn Target,
    options: &Options,
    out: &mut Compiled,
) -> Option<()> {
    let (providers, aliases) = vocabulary.provider_names();
    let parse_options = ParseOptions {
        providers: &providers,
        aliases: &aliases,
        positional: &options.positional,
    };
    let done = |stage: &'static str| {
        if let Some(tell) = options.on_stage {
            tell(stage);
        }
    };
    let parsed = rbt_grammar::parse(sources.get(script)?, &parse_options);
    done("parse");
    out.diagnostics.extend(parsed.diagnostics);
    let mut tree = parsed.program;
    if !tree.imports.is_empty() {
        let imports = &options.imports;
        out.diagnostics.extend(pass::imports::run(
            &mut tree,
            script,
            sources,
            imports,
            &parse_options,
        ));
    }
    let (functions, found) = pass::functions::run(&mut tree);
    out.diagnostics.extend(found);
    if options.print == Some(Stage::Ast) {
        out.listing = Some(rbt_grammar::pretty::program(&tree));
    }
    let has_clauses = tree
        .items
        .iter()
        .any(|i| matches!(i, rbt_grammar::ast::Item::Clause(_)));
    if !has_clauses && !is_fatal(out) {
        let end = sources.get(script).map_or(0, |s| s.text.len());
        out.diagnostics.push(no_probes(Span::new(script, end, end)));
    }

    let library = |word: &str| library(word, vocabulary, &parse_options);
    out.diagnostics
        .extend(pass::macros::run(&mut tree, &functions, &library));
    let (preamble, found) = pass::preamble::run(&tree.preamble, target);
    out.diagnostics.extend(found);
    let mut types = TypeTable::new(target);
    types.define_headers(&preamble.header_items, &preamble.macros);
    out.diagnostics
        .extend(types.define(&preamble.items, &preamble.macros));
    let is_fixed = |name: &str| options.fixed_settings.contains(&config::modern_name(name));
    let (config, found) = pass::settings::run(&tree, options.config.clone(), &is_fixed);
    out.diagnostics.extend(found);
    if out.listing.is_some() {
        return None;
    }
    done("preamble, macros, settings");
    let has_holes = is_fatal(out);

    let (mut clauses, found) = pass::probes::run(
        &tree,
        vocabulary,
        &types,
        target,
        &config,
        sources,
        options.allows_unsafe,
    );
    out.diagnostics.extend(found);
    if let Some(filter) = &options.keep {
        pass::probes::keep(&mut clauses, filter);
    }
    done("probes");
    let has_lost_probes = is_fatal(out);
    let input = pass::infer::Input {
        vocabulary,
        types: &types,
        target,
        config: &config,
        macros: &preamble.macros,
        options,
        has_holes,
        has_lost_probes,
    };
    let inferred = pass::infer::run(&tree, &clauses, &input);
    let program = inferred.program;
    out.diagnostics.extend(inferred.diagnostics);
    out.parameters = inferred.parameters;
    if let (Some(program), Some(Stage::Hir)) = (&program, options.print) {
        out.listing = Some(stage::hir(program));
    }
    done("infer");
    go_on(out)?;
    let program = program?;
    let maps = program.maps.iter();
    out.maps = maps.filter(|map| !map.is_of_script()).cloned().collect();

    let (mut manifest, mut plan, programs) = pass::plan::run(&program, target, &types, options);
    too_many_programs(&programs, &program, out);
    go_on(out)?;
    done("plan");
    let backend_options = backend::Options::of(target);
    let mut codes = Vec::new();
    for planned in &programs {
        let clause = program.clauses.get(planned.clause)?;
        let symbol = manifest.programs.get(planned.plan)?.symbol.clone();
        let attempt = |plan: &lower::Plan, manifest: &mut artifact::Manifest| {
            let ir = lower::lower_program(
                &program,
                clause,
                &planned.route,
                planned.first_site,
                planned.table,
                &symbol,
                target,
                &types,
                manifest,
                plan,
            );
            let shown = options.print.map(|_| ir.clone());
            (shown, backend::compile(ir, backend_options))
        };
        let before = manifest.mark();
        let (mut shown, mut code) = attempt(&plan, &mut manifest);
        // Once more, with all but the smallest values in scratch memory; then with all of them.
        for most in [16, 0] {
            if matches!(code, Err(backend::BackendError::FrameFull { .. })) {
                let limit = std::mem::replace(&mut plan.frame_limit, most);
                manifest.rewind(before);
                (shown, code) = attempt(&plan, &mut manifest);
                plan.frame_limit = limit;
            }
        }
        match code {
            Err(error) => out.diagnostics.push(backend_error(&error, clause.span)),
            Ok(code) => {
                out.diagnostics
                    .extend(too_many_maps(&code, &manifest, clause.span));
                if let Some(entry) = code.first()
                    && let Some(slot) = manifest.programs.get_mut(planned.plan)
                {
                    slot.site_patches.clone_from(&entry.site_patches);
                }
                stage::code(
                    options.print,
                    shown.as_ref(),
                    &code,
                    sources,
                    &manifest,
                    out,
                );
                codes.push((planned.plan, code));
            }
        }
    }
    manifest.size_texts();
    // Clauses that lost all their places are gone, and perhaps that was all of them.
    let span = program.clauses.first().map(|clause| clause.span);
    if let Some(span) = span
        && let Some(index) = pass::plan::add_exit_program(&mut manifest, &plan, span)
    {
        let symbol = manifest.programs.get(index)?.symbol.clone();
        let ir = lower::lower_exit(&plan, &symbol, span);
        let shown = options.print.map(|_| ir.clone());
        match backend::compile(ir, backend_options) {
            Err(error) => out.diagnostics.push(backend_error(&error, span)),
            Ok(code) => {
                stage::code(
                    options.print,
                    shown.as_ref(),
                    &code,
                    sources,
                    &manifest,
                    out,
                );
                codes.push((index, code));
            }
        }
    }
    if program.config.perf_rb_pages == 0 {
        let is_little = |word: &str| {
            let word = vocabulary.function(word);
            word.is_some_and(|f| f.sends_little())
        };
        pass::plan::fit_ring(&mut manifest, &is_little);
    }
    if options.print == Some(Stage::Plan) {
        out.listing = Some(stage::plan(&manifest));
    }
    go_on(out)?;
    done("lower, allocate, encode");
    match object::write(&manifest, &codes, sources) {
        Ok(object) => {
            if options.print == Some(Stage::Object) {
                out.listing = Some(stage::object(&object));
            }
            if options.print.is_none() {
                out.artifact = Some(Artifact { object, manifest });
            }
        }
        Err(error) => {
            let span = program.clauses.first()?.span;
            out.diagnostics
                .push(Diagnostic::bug(error.to_string(), span));
        }
    }
    done("object");
    Some(())
}

/// The macros of the library's script that defines `word`.
fn library(
    word: &str,
    vocabulary: &Vocabulary,
    options: &ParseOptions<'_>,
) -> Vec<rbt_grammar::ast::Macro> {
    let mut scripts = vocabulary.scripts.iter();
    let Some(script) = scripts.find(|script| script.words.contains(&word)) else {
        return Vec::new();
    };
    let mut sources = SourceMap::new();
    let id = sources.add(script.name, script.text);
    let Some(source) = sources.get(id) else {
        return Vec::new();
    };
    pass::macros::definitions(rbt_grammar::parse(source, options).program).collect()
}

fn is_fatal(out: &Compiled) -> bool {
    out.diagnostics.iter().any(Diagnostic::is_fatal)
}

fn go_on(out: &Compiled) -> Option<()> {
    let is_printed = out.listing.is_some();
    (!is_fatal(out) && !is_printed).then_some(())
}

fn no_probes(span: Span) -> Diagnostic {
    Diagnostic::error(
        codes::NO_SUCH_PROBE,
        "the script has no probes",
        span,
        "expected an attach point and an action",
    )
    .help("BEGIN { printf(\"hello\\n\"); }")
}

fn too_many_programs(programs: &[PlannedProgram], program: &hir::Program, out: &mut Compiled) {
    let limit = program.config.max_bpf_progs;
    if programs.len() as u64 > limit {
        let span = program.clauses.first().map_or(Span::default(), |c| c.span);
        out.diagnostics.push(
            Diagnostic::error(
                codes::TOO_MANY_PROBES,
                format!(
                    "Your program is trying to generate more than {limit} BPF programs, which \
                     exceeds the current limit of {limit}"
                ),
                span,
                format!("{} programs are needed", programs.len()),
            )
            .help(format!(
                "config = {{ max_bpf_progs = {} }} raises the limit",
                programs.len()
            )),
        );
    }
}

/// Maps that the kernel lets one program use (`MAX_USED_MAPS`).
const MOST_MAPS: usize = 64;

fn too_many_maps(
    code: &[backend::Code],
    manifest: &artifact::Manifest,
    clause: Span,
) -> Option<Diagnostic> {
    let mut used: Vec<u32> = code
        .iter()
        .flat_map(|function| &function.relocations)
        .filter_map(|relocation| match relocation.target {
            backend::RelocationTarget::Map(map) => Some(map.0),
            _ => None,
        })
        .collect();
    used.sort_unstable();
    used.dedup();
    // The data section is a map too.
    let first_too_many = *used.get(MOST_MAPS - 1)?;
    let map = manifest.maps.get(first_too_many as usize)?;
    let span = if map.name.is_empty() {
        clause
    } else {
        map.span
    };
    Some(
        Diagnostic::error(
            codes::TOO_LARGE,
            format!(
                "the clause uses {} maps and the kernel gives a program {MOST_MAPS}",
                used.len() + 1
            ),
            span,
            "one map too many",
        )
        .help("use one map with a name in its key, or split the clause into several"),
    )
}

fn backend_error(error: &backend::BackendError, clause: Span) -> Diagnostic {
    match error {
        backend::BackendError::FrameFull {
            largest,
            span,
            bytes,
            ..
        } => {
            let mut diagnostic = Diagnostic::error(
                codes::FRAME_FULL,
                format!(
                    "the clause needs {bytes} bytes of stack and the kernel gives {}",
                    backend::FRAME_LIMIT
                ),
                *span,
                "too many values at once",
            );
            for slot in largest.iter().take(3) {
                diagnostic =
                    diagnostic.label(slot.span, format!("{} bytes for {}", slot.size, slot.name));
            }
            diagnostic.help("split the clause into two, or use fewer large values at once")
        }
        backend::BackendError::JumpTooFar { span, .. } => Diagnostic::error(
            codes::TOO_LARGE,
            "the clause makes a program that this kernel cannot jump across",
            *span,
            "the jump that is too far",
        )
        .help("split the clause into several with the same probe"),
        error => Diagnostic::bug(error.to_string(), clause),
    }
}
