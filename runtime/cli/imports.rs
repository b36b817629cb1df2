//! The files that a script imports.
//!
//! Takes a script; reads what it and its imports name into the map of sources. What an import
//! is worth is the compiler's to say: here is only found, or not found, and why.

use rbt_compiler::pass::imports::{ImportError, Imported, ImportedFile};
use rbt_grammar::{ParseOptions, SourceId, SourceMap};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Files of a script together.
const MOST_FILES: usize = 4096;

/// Reads everything that `script` imports, and what that imports. `file` is where the script
/// itself was read from.
pub(crate) fn load(
    sources: &mut SourceMap,
    script: SourceId,
    file: Option<&Path>,
) -> Vec<Imported> {
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    let mut load = Load {
        root: folder.to_owned(),
        known: HashMap::new(),
        places: HashMap::new(),
    };
    let script_file = file.and_then(|file| fs::canonicalize(file).ok());
    if let Some(file) = &script_file {
        load.known.insert(file.clone(), script);
    }
    load.places
        .insert(script, (folder.to_owned(), PathBuf::new()));
    let mut all = Vec::new();
    let mut waiting = vec![script];
    while let Some(importer) = waiting.pop() {
        for path in imports_of(sources, importer) {
            let before = load.known.len();
            let files = load.import(sources, importer, &path);
            if let Ok(files) = &files
                && load.known.len() > before
            {
                waiting.extend(files.iter().filter_map(|file| match file {
                    ImportedFile::Script(id) => Some(*id),
                    ImportedFile::Header(_) => None,
                }));
            }
            all.push(Imported {
                importer,
                path,
                files,
            });
        }
    }
    all
}

/// The paths that a source imports.
fn imports_of(sources: &SourceMap, id: SourceId) -> Vec<String> {
    let Some(source) = sources.get(id).filter(|s| s.text.contains("import")) else {
        return Vec::new();
    };
    let parsed = rbt_grammar::parse(source, &ParseOptions::default());
    let imports = parsed.program.imports.into_iter();
    imports.map(|import| import.path).collect()
}

struct Load {
    /// The folder of the first script.
    root: PathBuf,
    /// Scripts by the paths of their files.
    known: HashMap<PathBuf, SourceId>,
    /// The folder of each script, and what that is called in messages.
    places: HashMap<SourceId, (PathBuf, PathBuf)>,
}

impl Load {
    fn import(
        &mut self,
        sources: &mut SourceMap,
        importer: SourceId,
        path: &str,
    ) -> Result<Vec<ImportedFile>, ImportError> {
        let (folder, shown) = self.places.get(&importer).cloned().unwrap_or_default();
        let (mut found, mut shown) = (folder.join(path), shown.join(path));
        if !found.exists() && self.root.join(path).exists() {
            // As if the first script had named it.
            (found, shown) = (self.root.join(path), PathBuf::from(path));
        }
        let missing = || ImportError {
            message: String::from("Unable to find suitable path for import"),
            help: format!("checked: {}", found.display()),
        };
        if path.ends_with(".bpf.c") {
            return Err(ImportError {
                message: format!("cannot import C programs: '{path}'"),
                help: String::from("a script imports scripts, folders of scripts, and headers"),
            });
        }
        let about = fs::metadata(&found).map_err(|_| missing())?;
        if about.is_file() {
            return Ok(vec![self.file(sources, &found, &shown)?]);
        }
        if about.permissions().mode() & 0o002 != 0 {
            return Err(ImportError {
                message: format!(
                    "'{}' is world-writable and cannot be imported",
                    found.display()
                ),
                help: format!("chmod o-w {}", found.display()),
            });
        }
        let mut names: Vec<PathBuf> = fs::read_dir(&found)
            .map_err(|_| missing())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "bt" || e == "h"))
            .collect();
        names.sort_unstable();
        names
            .iter()
            .map(|file| {
                let name = file.file_name().map(PathBuf::from).unwrap_or_default();
                self.file(sources, file, &shown.join(name))
            })
            .collect()
    }

    fn file(
        &mut self,
        sources: &mut SourceMap,
        file: &Path,
        shown: &Path,
    ) -> Result<ImportedFile, ImportError> {
        let failed = |why: String| ImportError {
            message: format!("cannot import '{}': {why}", file.display()),
            help: String::from("name a file that can be read"),
        };
        let whole = fs::canonicalize(file).map_err(|error| failed(error.to_string()))?;
        if whole.extension().is_some_and(|e| e == "h") {
            return Ok(ImportedFile::Header(whole.to_string_lossy().into_owned()));
        }
        if let Some(id) = self.known.get(&whole) {
            return Ok(ImportedFile::Script(*id));
        }
        if self.known.len() >= MOST_FILES {
            return Err(failed(format!("there are more than {MOST_FILES} files")));
        }
        let bytes = fs::read(&whole).map_err(|error| failed(error.to_string()))?;
        let name = shown.strip_prefix("./").unwrap_or(shown);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let id = sources.add(name.to_string_lossy().into_owned(), text);
        self.known.insert(whole, id);
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        let shown = shown.parent().map(Path::to_owned).unwrap_or_default();
        self.places.insert(id, (folder, shown));
        Ok(ImportedFile::Script(id))
    }
}
