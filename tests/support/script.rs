//! What the tests that only compile share: a script, the fixture's kernel, the words.
//!
//! Takes a script's text; gives what compiling it for the hand-made kernel came to. A script may
//! say on its first lines what is different about that kernel or the command line:
//!
//! | Line                        | Meaning                                                     |
//! |-----------------------------|-------------------------------------------------------------|
//! | `// parameters: i:s:1 5`     | the positional parameters                                    |
//! | `// kernel for: aarch64`      | another architecture than x86-64                             |
//! | `// kernel without: NAME...` | features by their name in `--info`; `btf` for type information |
//! | `// with: --unsafe`          | that option was given                                        |

#![allow(dead_code)]

use rbt_compiler::arch::named;
use rbt_compiler::fixture::Fixture;
use rbt_compiler::target::Feature;
use rbt_compiler::{Compiled, Options, Stage, compile};
use rbt_grammar::{Color, SourceMap};
use rbt_stdlib::VOCABULARY;
use std::fs;
use std::path::{Path, PathBuf};

/// What was compiled, and its text for rendering.
pub struct Outcome {
    /// What came of it.
    pub compiled: Compiled,
    /// The script.
    pub sources: SourceMap,
}

impl Outcome {
    /// The diagnostics as they are kept in goldens: no white space at the ends of lines.
    pub fn rendered(&self) -> String {
        let mut text = String::new();
        for diagnostic in &self.compiled.diagnostics {
            text.push_str(&diagnostic.render(&self.sources, Color::Never));
        }
        let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
        lines.join("\n")
    }
}

/// Compiles a script for the fixture's kernel as its first lines say.
pub fn compile_text(name: &str, text: &str, print: Option<Stage>) -> Outcome {
    let mut fixture = Fixture::new();
    let mut options = Options {
        print,
        ..Options::default()
    };
    for line in text.lines().map_while(|line| line.strip_prefix("// ")) {
        let Some((what, value)) = line.split_once(": ") else {
            continue;
        };
        let mut words = value.split_whitespace();
        match what {
            "parameters" => options.positional = words.map(str::to_owned).collect(),
            "with" => options.allows_unsafe = words.any(|word| word == "--unsafe"),
            "kernel for" => {
                let arch = words.next().and_then(named);
                fixture.arch = arch.unwrap_or_else(|| panic!("no architecture {value}"));
            }
            "kernel without" => words.for_each(|word| take_away(&mut fixture, word)),
            _ => {}
        }
    }
    let mut sources = SourceMap::new();
    let script = sources.add(name, text);
    let compiled = compile(&sources, script, &VOCABULARY, &fixture, &options);
    Outcome { compiled, sources }
}

fn take_away(fixture: &mut Fixture, name: &str) {
    if name == "btf" {
        fixture.has_btf = false;
        return;
    }
    let found = Feature::ALL.iter().find(|(_, called)| *called == name);
    let (feature, _) = found.unwrap_or_else(|| panic!("no feature is called {name}"));
    fixture.features.retain(|has| has != feature);
}

/// The files of a folder of `tests` with that extension, in the order of their names.
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = root().join(folder);
    let entries = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("read {}: {e}", folder.display()))
        .flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file's name as goldens show it.
pub fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Whether goldens are to be written anew.
pub fn is_blessing() -> bool {
    std::env::var_os("RBT_BLESS").is_some()
}

/// Text as comments, the way goldens keep it.
pub fn as_comments(text: &str) -> String {
    let comment = |line: &str| format!("// {line}").trim_end().to_owned() + "\n";
    text.lines().map(comment).collect()
}

/// The text of comments.
pub fn from_comments(lines: &[&str]) -> String {
    let lines = lines.iter().map(|line| {
        let line = line.trim_start_matches("//");
        line.strip_prefix(' ').unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Runs `work` on a stack that fits the grammar's limit of nesting, as the command does.
pub fn with_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let worker = std::thread::Builder::new().stack_size(256 << 20);
    let handle = worker.spawn(work).expect("a thread");
    match handle.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
