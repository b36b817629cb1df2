//! The format of live cases: `tests/scripts/*.rt`.
//!
//! Takes the text of a case file and gives [`Case`]s. Never runs anything and never decides
//! whether a case applies to a machine (`needs.rs` does).
//!
//! A file is a series of cases. Each begins with `NAME` and has one directive a line: an
//! upper-case word, a space, the value. A value `<<WORD` is what stands on the following lines
//! up to one that is `WORD`. Lines starting with `#` and blank lines mean nothing.
//!
//! | Directive             | Value                                                                       |
//! |-----------------------|-----------------------------------------------------------------------------|
//! | `NAME`                | what the case is called; unique in its file                                  |
//! | `PROG`                | a script, run as `rbt -e SCRIPT`                                             |
//! | `OPTIONS`             | words given to the tracer before `-e`, with a `PROG`                         |
//! | `RUN`                 | or a whole shell command, `{{RBT}}` standing for the tracer                  |
//! | `EXPECT`              | a line of stdout; those of a case are found in their order                   |
//! | `EXPECT_REGEX`        | the same, but a pattern that a whole line matches                            |
//! | `EXPECT_STDOUT_EXACT` | all of stdout, with the escapes `\n \t \\`; or a block, each line ended       |
//! | `NOT_EXPECT`          | text that no line of stdout contains                                         |
//! | `EXPECT_STDERR`       | text that some line of stderr contains                                       |
//! | `STDERR_REGEX`        | a pattern found in some line of stderr                                       |
//! | `STATUS`              | the exit status, 0 unless given                                              |
//! | `ENV`                 | `NAME=VALUE` for the tracer; repeatable                                      |
//! | `BEFORE`              | a shell command started first and killed at the end; `{{BEFORE_PID}}` is its process |
//! | `AFTER`               | a shell command run once the tracer says it has attached                     |
//! | `SIGINT_AFTER`        | seconds after attaching (and after `AFTER` ended) to interrupt the tracer    |
//! | `TIMEOUT`             | seconds the tracer may run, 10 unless given                                  |
//! | `REQUIRES`            | what the machine must have; repeatable, see `needs.rs`                       |
//! | `PEER`                | `differs: WHY`, rbt means to answer differently from bpftrace; or `skip: WHY` |
//! | `FORM`                | `only: WHY`, the case is not run with its actions in the other form, `{}` or `<>` |
//!
//! `{{PROGRAMS}}` anywhere in a value stands for the folder of built test programs
//! (`programs.rs`).

use std::path::Path;
use std::time::Duration;

/// What stands for the folder of built test programs.
pub const PROGRAMS: &str = "{{PROGRAMS}}";

/// One live case: what to run, and what must come of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file's stem and the case's own name, joined by a slash.
    pub name: String,
    /// What is run.
    pub action: Action,
    /// Options before the script.
    pub options: Vec<String>,
    /// What stdout must hold. Together with `stderr` and `status`, what the case is about.
    pub stdout: Vec<Expectation>,
    /// What stderr must hold.
    pub stderr: Vec<Expectation>,
    /// The exit status.
    pub status: i32,
    /// Variables set for the tracer.
    pub env: Vec<(String, String)>,
    /// Shell command in the background during the case.
    pub before: Option<String>,
    /// Shell command run once everything is attached.
    pub after: Option<String>,
    /// When to interrupt the tracer, counted from its attaching.
    pub interrupt: Option<Duration>,
    /// How long the tracer may run.
    pub timeout: Duration,
    /// What the machine must have, as written.
    pub requires: Vec<String>,
    /// Why the case cannot be prepared on this machine.
    pub lacks: Option<String>,
    /// How bpftrace relates to the case.
    pub peer: Peer,
    /// Why the case makes sense only with its actions written as they are.
    pub only_form: Option<String>,
}

impl Case {
    /// Every value in which `{{PROGRAMS}}` may stand.
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let (Action::Script(action) | Action::Shell(action)) = &mut self.action;
        let expected = self.stdout.iter_mut().chain(&mut self.stderr);
        let expected = expected.map(|expected| match expected {
            Expectation::Line(text)
            | Expectation::Pattern(text)
            | Expectation::Contains(text)
            | Expectation::Finds(text)
            | Expectation::Exactly(text)
            | Expectation::Never(text) => text,
        });
        let commands = self.before.iter_mut().chain(&mut self.after);
        let values = self.env.iter_mut().map(|(_, value)| value);
        std::iter::once(action)
            .chain(expected)
            .chain(commands)
            .chain(values)
            .chain(&mut self.requires)
    }

    /// Whether the case traces test programs.
    pub fn wants_programs(&mut self) -> bool {
        self.texts().any(|text| text.contains(PROGRAMS))
    }

    /// Puts the folder of test programs where the case names it.
    pub fn place_programs(&mut self, folder: &str) {
        for text in self.texts() {
            *text = text.replace(PROGRAMS, folder);
        }
    }
}

/// What a case runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A script, given with `-e`.
    Script(String),
    /// A shell command.
    Shell(String),
}

/// One thing an output stream must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// This line.
    Line(String),
    /// A line this pattern matches as a whole.
    Pattern(String),
    /// A line containing this text.
    Contains(String),
    /// A line in which this pattern is found.
    Finds(String),
    /// Exactly these bytes and no others.
    Exactly(String),
    /// No line containing this text.
    Never(String),
}

/// How bpftrace answers a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// The same as rbt.
    Agrees,
    /// Otherwise, and rbt means to.
    Differs(String),
    /// It cannot be asked, for instance because the case uses what only rbt has.
    Skipped(String),
}

/// Reads every `.rt` file of a folder, in the order of their names.
///
/// Errors: a folder or file that cannot be read, and every mistake in a file, as text that names
/// the file and the line.
pub fn read_folder(folder: &Path) -> Result<Vec<Case>, String> {
    let entries =
        std::fs::read_dir(folder).map_err(|e| format!("read {}: {e}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|e| format!("read {}: {e}", folder.display()))?
            .path();
        if path.extension().is_some_and(|extension| extension == "rt") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("read {}: {e}", path.display()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let of_file =
            parse(&stem, &text).map_err(|(line, e)| format!("{}:{line}: {e}", path.display()))?;
        cases.extend(of_file);
    }
    Ok(cases)
}

/// Reads the cases of one file called `stem`. Errors carry the line they are on.
pub fn parse(stem: &str, text: &str) -> Result<Vec<Case>, (usize, String)> {
    let mut cases: Vec<(usize, Draft)> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let value = match rest.trim().strip_prefix("<<") {
            None => Value::Line(rest.trim().to_owned()),
            Some(end) => {
                let mut block = String::new();
                loop {
                    match lines.next() {
                        Some((_, line)) if line == end => break,
                        Some((_, line)) => {
                            block.push_str(line);
                            block.push('\n');
                        }
                        None => return Err((number, format!("no line `{end}` ends this block"))),
                    }
                }
                Value::Block(block)
            }
        };
        if word == "NAME" {
            let name = value.text();
            if cases.iter().any(|(_, case)| case.name == name) {
                return Err((number, format!("a second case called `{name}`")));
            }
            cases.push((number, Draft::new(name)));
            continue;
        }
        let Some((_, case)) = cases.last_mut() else {
            return Err((number, format!("`{word}` before the first NAME")));
        };
        case.set(word, value).map_err(|e| (number, e))?;
    }
    cases
        .into_iter()
        .map(|(number, case)| case.finish(stem).map_err(|e| (number, e)))
        .collect()
}

/// A directive's value, as it stood in the file.
enum Value {
    Line(String),
    Block(String),
}

impl Value {
    /// The value as one piece of text; a block loses its last newline.
    fn text(self) -> String {
        match self {
            Value::Line(text) => text,
            Value::Block(text) => text.strip_suffix('\n').unwrap_or(&text).to_owned(),
        }
    }
}

/// A case of which not every directive has been read yet.
struct Draft {
    name: String,
    action: Option<Action>,
    case: Case,
    says_status: bool,
}

impl Draft {
    fn new(name: String) -> Draft {
        Draft {
            name,
            action: None,
            says_status: false,
            case: Case {
                name: String::new(),
                action: Action::Script(String::new()),
                options: Vec::new(),
                stdout: Vec::new(),
                stderr: Vec::new(),
                status: 0,
                env: Vec::new(),
                before: None,
                after: None,
                interrupt: None,
                timeout: Duration::from_secs(10),
                requires: Vec::new(),
                lacks: None,
                peer: Peer::Agrees,
                only_form: None,
            },
        }
    }

    fn set(&mut self, word: &str, value: Value) -> Result<(), String> {
        let case = &mut self.case;
        match word {
            "PROG" | "RUN" => {
                if self.action.is_some() {
                    return Err("a case has one PROG or one RUN".to_owned());
                }
                let text = value.text();
                self.action = Some(if word == "PROG" {
                    Action::Script(text)
                } else {
                    Action::Shell(text)
                });
            }
            "OPTIONS" => {
                let words = value.text();
                case.options = words.split_whitespace().map(str::to_owned).collect();
            }
            "EXPECT" => case.stdout.push(Expectation::Line(value.text())),
            "EXPECT_REGEX" => case.stdout.push(Expectation::Pattern(value.text())),
            "EXPECT_STDOUT_EXACT" => case.stdout.push(Expectation::Exactly(match value {
                Value::Line(text) => unescape(&text)?,
                Value::Block(text) => text,
            })),
            "NOT_EXPECT" => case.stdout.push(Expectation::Never(value.text())),
            "EXPECT_STDERR" => case.stderr.push(Expectation::Contains(value.text())),
            "STDERR_REGEX" => case.stderr.push(Expectation::Finds(value.text())),
            "STATUS" => {
                case.status = number(&value.text())? as i32;
                self.says_status = true;
            }
            "ENV" => {
                let text = value.text();
                let (name, value) = text.split_once('=').ok_or("ENV wants NAME=VALUE")?;
                case.env.push((name.to_owned(), value.to_owned()));
            }
            "BEFORE" => case.before = Some(value.text()),
            "AFTER" => case.after = Some(value.text()),
            "SIGINT_AFTER" => {
                case.interrupt = Some(Duration::from_secs_f64(number(&value.text())?));
            }
            "TIMEOUT" => case.timeout = Duration::from_secs_f64(number(&value.text())?),
            "REQUIRES" => case.requires.push(value.text()),
            "FORM" => {
                let text = value.text();
                let why = text
                    .strip_prefix("only: ")
                    .ok_or("FORM wants `only: WHY`")?;
                case.only_form = Some(why.to_owned());
            }
            "PEER" => {
                let text = value.text();
                case.peer = match text.split_once(": ") {
                    Some(("differs", why)) => Peer::Differs(why.to_owned()),
                    Some(("skip", why)) => Peer::Skipped(why.to_owned()),
                    _ => return Err("PEER wants `differs: WHY` or `skip: WHY`".to_owned()),
                };
            }
            _ => return Err(format!("no directive is called `{word}`")),
        }
        Ok(())
    }

    fn finish(self, stem: &str) -> Result<Case, String> {
        let mut case = self.case;
        case.name = format!("{stem}/{}", self.name);
        case.action = self.action.ok_or("the case has neither PROG nor RUN")?;
        // A case that says nothing about the outcome could hardly fail.
        if case.stdout.is_empty() && case.stderr.is_empty() && !self.says_status {
            return Err("the case expects nothing".to_owned());
        }
        Ok(case)
    }
}

/// A non-negative number, whole or not.
fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err(format!("`{text}` is not a number")),
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('\\') => '\\',
                other => return Err(format!("no escape `\\{}`", other.unwrap_or(' '))),
            },
            plain => plain,
        });
    }
    Ok(plain)
}
