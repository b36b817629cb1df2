//! The line that a person types: editing, history, completion, colours, and when it is whole.
//!
//! Runs on a thread of its own, as reading a line blocks; gives each input to the main thread
//! and waits until that has dealt with it.

use super::complete::Known;
use super::desk;
use super::screen::Screen;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, Helper};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

/// What the editor has to say.
#[derive(Debug)]
pub(super) enum Typed {
    /// A whole input.
    Text(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or the terminal is gone.
    End,
}

/// What the main thread answers: the next line can be read.
#[derive(Debug, Default)]
pub(super) struct Next {
    /// What the line holds already.
    pub initial: String,
    /// Names of maps, macros, functions and variables, for completion.
    pub names: Vec<String>,
}

const PROMPT: &str = "rbt> ";

/// Reads inputs until the end, and tells the screen of the line as it is typed.
///
/// Errors: the terminal cannot be used.
pub(super) fn read_all(
    inputs: &UnboundedSender<Typed>,
    answers: &std::sync::mpsc::Receiver<Next>,
    screen: Arc<Screen>,
    has_color: bool,
) -> Result<(), ReadlineError> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .auto_add_history(false)
        // Whether there are colours or not: the screen has to hear of each change.
        .color_mode(ColorMode::Forced)
        .max_history_size(10_000)?
        .history_ignore_dups(true)?
        .build();
    let mut editor: Editor<Line, FileHistory> = Editor::with_config(config)?;
    editor.set_helper(Some(Line {
        known: Known::default(),
        screen: Arc::clone(&screen),
        has_color,
    }));
    let history = history_file();
    if let Some(file) = &history {
        // There is none before the first session.
        let _ = editor.load_history(file);
    }
    let mut initial = String::new();
    loop {
        let (columns, rows) = editor.dimensions().unwrap_or((80, 24));
        screen.begin(PROMPT, (usize::from(columns), usize::from(rows)));
        let line = editor.readline_with_initial(PROMPT, (&initial, ""));
        screen.end();
        let typed = match line {
            Ok(text) if text.trim().is_empty() => Typed::Text(String::new()),
            Ok(text) => {
                let _ = editor.add_history_entry(text.as_str());
                Typed::Text(text)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupt,
            Err(_) => Typed::End,
        };
        let is_over = matches!(typed, Typed::End);
        if inputs.send(typed).is_err() || is_over {
            break;
        }
        // The main thread is gone when it answers no more.
        let Ok(next) = answers.recv() else { break };
        initial = next.initial;
        if let Some(line) = editor.helper_mut() {
            line.known.names = next.names;
        }
    }
    if let Some(file) = &history {
        let _ = editor.save_history(file);
    }
    Ok(())
}

/// `$XDG_STATE_HOME/rbt/history`, its folder made; none where there is no home.
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let folder = match state {
        Some(path) => path,
        None => PathBuf::from(std::env::var_os("HOME")?).join(".local/state"),
    };
    let folder = folder.join("rbt");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

struct Line {
    known: Known,
    screen: Arc<Screen>,
    has_color: bool,
}

impl Helper for Line {}

impl Hinter for Line {
    type Hint = String;
}

impl Completer for Line {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.known.complete(line.get(..pos).unwrap_or(line)))
    }
}

impl Validator for Line {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        // An empty line after it sends even what looks unfinished, to be told why.
        let is_pressed_twice = text.ends_with('\n');
        let is_whole = is_pressed_twice
            || text.trim().is_empty()
            || text.starts_with(':') && !text.starts_with(":replace")
            || !desk::is_unfinished(after_command(text));
        Ok(if is_whole {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

/// The clause of a `:replace`, or all of the text.
fn after_command(text: &str) -> &str {
    let Some(rest) = text.strip_prefix(":replace") else {
        return text;
    };
    let rest = rest.trim_start();
    rest.split_once(char::is_whitespace)
        .map_or("", |(_, rest)| rest)
}

impl Highlighter for Line {
    fn highlight<'l>(&self, line: &'l str, pos: usize) -> Cow<'l, str> {
        let shown = if self.has_color {
            Cow::Owned(colored(line))
        } else {
            Cow::Borrowed(line)
        };
        self.screen.update(line, &shown, pos);
        shown
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        true
    }
}

/// The line with colours: strings green, numbers yellow, maps and variables cyan, keywords
/// bold, comments grey.
fn colored(line: &str) -> String {
    let mut out = String::with_capacity(line.len() * 2);
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (length, color) = piece(rest, first);
        let (text, after) = rest.split_at(length.clamp(first.len_utf8(), rest.len()));
        if color.is_empty() {
            out.push_str(text);
        } else {
            out.push_str("\x1b[");
            out.push_str(color);
            out.push('m');
            out.push_str(text);
            out.push_str("\x1b[0m");
        }
        rest = after;
    }
    out
}

/// The bytes of the piece a text begins with, and its colour.
fn piece(text: &str, first: char) -> (usize, &'static str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let word_end = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.find(|c| !is_part(c)).unwrap_or(rest.len())
    };
    if text.starts_with("//") || text.starts_with('#') {
        return (text.find('\n').unwrap_or(text.len()), "90");
    }
    if text.starts_with("/*") {
        return (text.find("*/").map_or(text.len(), |end| end + 2), "90");
    }
    match first {
        '"' => (desk::string_length(text), "32"),
        '@' | '$' => (word_end(1), "36"),
        c if c.is_ascii_digit() => (word_end(0), "33"),
        c if is_part(c) => {
            let end = word_end(0);
            let is_keyword = text.get(..end).is_some_and(|word| {
                let all = rbt_grammar::KEYWORDS.iter();
                all.chain(rbt_grammar::ITEM_KEYWORDS)
                    .any(|known| *known == word)
            });
            (end, if is_keyword { "1" } else { "" })
        }
        c => (c.len_utf8(), ""),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn colors_leave_the_text_alone() {
        let line = "k:f /$x > 0x1/ { @m[\"a\\\"b\"] = 5; if (1) { } } // é";
        let colored = colored(line);
        let mut plain = String::new();
        let mut pieces = colored.split('\x1b');
        plain.push_str(pieces.next().unwrap());
        for piece in pieces {
            plain.push_str(piece.split_once('m').unwrap().1);
        }
        assert_eq!(plain, line);
        assert!(colored.contains("\x1b[32m\"a\\\"b\"\x1b[0m"));
        assert!(colored.contains("\x1b[36m$x\x1b[0m"));
        assert!(colored.contains("\x1b[1mif\x1b[0m"));
    }

    #[test]
    fn the_clause_of_a_replacement() {
        assert_eq!(after_command(":replace 2 i:s:1 {"), "i:s:1 {");
        assert_eq!(after_command("i:s:1 {"), "i:s:1 {");
    }
}
