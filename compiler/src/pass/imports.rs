//! What a script imports, joined to it.
//!
//! Takes the tree of a script and the files that its imports name, which the caller has read;
//! gives one tree: what a script imports stands in front of its own clauses and macros, each
//! file once. Headers become includes. Reads nothing itself.

use rbt_grammar::ast::{CItem, Import, Item, Program};
use rbt_grammar::{Diagnostic, Diagnostics, ParseOptions, SourceId, SourceMap, Spanned, codes};
use std::collections::HashSet;

/// What one `import "path";` of one source stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The text it is written in.
    pub importer: SourceId,
    /// The path as written.
    pub path: String,
    /// The files, or why there are none.
    pub files: Result<Vec<ImportedFile>, ImportError>,
}

/// A file that was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportedFile {
    /// A script, in the map of sources.
    Script(SourceId),
    /// The path of a C header.
    Header(String),
}

/// Why nothing was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportError {
    /// A sentence without a full stop.
    pub message: String,
    /// What to do, or where it was looked for.
    pub help: String,
}

/// Joins the imported scripts to `tree`.
pub fn run(
    tree: &mut Program,
    script: SourceId,
    sources: &SourceMap,
    imports: &[Imported],
    options: &ParseOptions<'_>,
) -> Diagnostics {
    let mut join = Join {
        sources,
        imports,
        options,
        seen: HashSet::from([script]),
        preamble: Vec::new(),
        items: Vec::new(),
        diagnostics: Vec::new(),
    };
    for import in &tree.imports {
        join.import(import);
    }
    join.preamble.append(&mut tree.preamble);
    join.items.append(&mut tree.items);
    tree.preamble = join.preamble;
    tree.items = join.items;
    join.diagnostics
}

struct Join<'a> {
    sources: &'a SourceMap,
    imports: &'a [Imported],
    options: &'a ParseOptions<'a>,
    seen: HashSet<SourceId>,
    preamble: Vec<CItem>,
    items: Vec<Item>,
    diagnostics: Diagnostics,
}

impl Join<'_> {
    fn import(&mut self, import: &Import) {
        let found = self
            .imports
            .iter()
            .find(|i| i.importer == import.span.source && i.path == import.path);
        let (message, help) = match found.map(|found| &found.files) {
            Some(Ok(files)) => {
                for file in files {
                    self.file(file, import);
                }
                return;
            }
            Some(Err(error)) => (error.message.as_str(), error.help.as_str()),
            None => (
                "Unable to find suitable path for import",
                "only scripts that are read from files can import",
            ),
        };
        self.diagnostics.push(
            Diagnostic::error(codes::IMPORT, message, import.span, "cannot be imported").help(help),
        );
    }

    fn file(&mut self, file: &'_ ImportedFile, import: &Import) {
        let id = match file {
            ImportedFile::Script(id) => *id,
            ImportedFile::Header(path) => {
                let line = format!("#include \"{path}\"");
                self.preamble
                    .push(CItem::Directive(Spanned::new(line, import.span)));
                return;
            }
        };
        if !self.seen.insert(id) {
            return;
        }
        let Some(source) = self.sources.get(id) else {
            return;
        };
        let mut parsed = rbt_grammar::parse(source, self.options);
        self.diagnostics.append(&mut parsed.diagnostics);
        let mut program = parsed.program;
        if let Some(setting) = program.config.first() {
            self.diagnostics.push(
                Diagnostic::error(
                    codes::IMPORT,
                    "invalid `config` within import",
                    setting.name.span,
                    "only the script that is run has settings",
                )
                .label(import.span, "imported here")
                .help("move the settings to the script that imports this one"),
            );
        }
        for inner in &program.imports {
            self.import(inner);
        }
        self.preamble.append(&mut program.preamble);
        self.items.append(&mut program.items);
    }
}
