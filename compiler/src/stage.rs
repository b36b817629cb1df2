//! Prints a program after a stage, for `rbt -d` and for the goldens.

use crate::Compiled;
use crate::artifact::Manifest;
use crate::backend::{Code, disasm};
use crate::{hir, ir};
use rbt_grammar::SourceMap;
use std::fmt::Write as _;

/// A stage that can be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The tree, as canonical text.
    Ast,
    /// The typed program.
    Hir,
    /// Maps, events, programs, sites.
    Plan,
    /// BPF with virtual registers.
    Ir,
    /// Instructions.
    Asm,
    /// The sections and symbols of the object.
    Object,
}

impl Stage {
    /// Every stage with its name on the command line.
    pub const ALL: &'static [(Stage, &'static str)] = &[
        (Stage::Ast, "ast"),
        (Stage::Hir, "hir"),
        (Stage::Plan, "plan"),
        (Stage::Ir, "ir"),
        (Stage::Asm, "asm"),
        (Stage::Object, "object"),
    ];

    /// Names of the same stages in other compilers of the language.
    const ALIASES: &'static [(Stage, &'static str)] = &[
        (Stage::Ast, "parse"),
        (Stage::Hir, "types"),
        (Stage::Ir, "codegen"),
        (Stage::Asm, "codegen-opt"),
        (Stage::Asm, "dis"),
    ];

    /// The stage of that name.
    pub fn named(name: &str) -> Option<Stage> {
        let mut all = Stage::ALL.iter().chain(Stage::ALIASES);
        all.find(|(_, n)| *n == name).map(|(stage, _)| *stage)
    }

    /// Its own name.
    pub fn name(self) -> &'static str {
        let row = Stage::ALL.iter().find(|(stage, _)| *stage == self);
        row.map_or("", |(_, name)| name)
    }
}

pub(crate) fn hir(program: &hir::Program) -> String {
    let mut text = String::new();
    for map in &program.maps {
        let key = map
            .key
            .as_ref()
            .map_or_else(String::new, |key| format!("[{key}]"));
        let value = match &map.value {
            hir::MapContent::Plain(ty) => ty.to_string(),
            hir::MapContent::Aggregate { word, params, .. } => {
                format!("{}{params:?}", word.name())
            }
        };
        let _ = writeln!(text, "map @{}{key}: {value}", map.name);
    }
    for clause in &program.clauses {
        for place in &clause.places {
            let _ = writeln!(text, "{}", place.text);
        }
        for (number, variable) in clause.variables.iter().enumerate() {
            let _ = writeln!(text, "  ${} (v{number}): {}", variable.name, variable.ty);
        }
        for statement in &clause.body {
            let _ = writeln!(text, "{:#?}", statement.kind);
        }
    }
    text
}

pub(crate) fn plan(manifest: &Manifest) -> String {
    let mut text = String::new();
    for (number, map) in manifest.maps.iter().enumerate() {
        let _ = writeln!(text, "map {number} {}: {:?}", map.symbol, map.storage);
        let _ = writeln!(text, "  {:?}", map.role);
    }
    for (number, event) in manifest.events.iter().enumerate() {
        let _ = writeln!(
            text,
            "event {number} {} ({} bytes): {:?}",
            event.word, event.size, event.params
        );
        for field in &event.fields {
            let _ = writeln!(text, "  at {}: {:?}", field.offset, field.shape);
        }
    }
    for program in &manifest.programs {
        let _ = writeln!(
            text,
            "program {} ({}): {:?}, {:?}",
            program.symbol, program.section, program.kind, program.when
        );
        for attachment in &program.attachments {
            let _ = writeln!(
                text,
                "  site {}: {:?}",
                attachment.site.0, attachment.target
            );
        }
    }
    for (number, site) in manifest.sites.iter().enumerate() {
        let _ = writeln!(text, "site {number}: {}", site.text);
    }
    for variable in &manifest.globals.variables {
        let _ = writeln!(
            text,
            "global {} at {}: {} bytes",
            variable.symbol, variable.offset, variable.size
        );
    }
    text
}

/// Adds a program's IR or instructions to the listing, if that is the stage.
pub(crate) fn code(
    print: Option<Stage>,
    program: Option<&ir::Program>,
    codes: &[Code],
    sources: &SourceMap,
    manifest: &Manifest,
    out: &mut Compiled,
) {
    let text = match print {
        Some(Stage::Ir) => program.map_or_else(String::new, |p| ir::print(p, Some(sources))),
        Some(Stage::Asm) => {
            let name = |id: crate::artifact::MapId| {
                let map = manifest.maps.get(id.0 as usize);
                map.map(|map| map.symbol.clone())
            };
            disasm::listing(codes, &name, Some(sources))
        }
        _ => return,
    };
    out.listing.get_or_insert_default().push_str(&text);
}

/// The sections and symbols of an object.
pub(crate) fn object(bytes: &[u8]) -> String {
    use object::read::{Object as _, ObjectSection as _, ObjectSymbol as _};
    let mut text = String::new();
    match object::read::File::parse(bytes) {
        Err(error) => {
            let _ = writeln!(text, "unreadable: {error}");
        }
        Ok(file) => {
            let _ = writeln!(text, "{} bytes", bytes.len());
            for section in file.sections() {
                let name = section.name().unwrap_or("?");
                if section.size() > 0 && !name.is_empty() {
                    let _ = writeln!(text, "section {name}: {} bytes", section.size());
                }
            }
            for symbol in file.symbols() {
                let name = symbol.name().unwrap_or("?");
                if !name.is_empty() {
                    let _ = writeln!(text, "symbol {name}: {} bytes", symbol.size());
                }
            }
        }
    }
    text
}
