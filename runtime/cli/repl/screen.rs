//! Output above the line that is being typed.
//!
//! Takes texts from the clauses and the state of the line from the editor; writes to the
//! terminal. The editor's own way of printing from outside loses keys that come together with
//! others, so the line is taken away, the text written, and the line put back here.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use unicode_width::UnicodeWidthChar;

/// The terminal as the editor left it.
#[derive(Debug, Default)]
pub(super) struct Screen {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a line is being typed.
    is_reading: bool,
    /// The terminal's width and height.
    columns: usize,
    rows: usize,
    prompt: &'static str,
    /// The line, plain and as it is shown.
    line: String,
    shown: String,
    /// Byte of the line that the cursor is at.
    cursor: usize,
}

impl Screen {
    /// A line begins.
    pub(super) fn begin(&self, prompt: &'static str, (columns, rows): (usize, usize)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State {
            is_reading: true,
            columns: columns.max(1),
            rows,
            prompt,
            ..State::default()
        };
    }

    /// The line has changed.
    pub(super) fn update(&self, line: &str, shown: &str, cursor: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        line.clone_into(&mut state.line);
        shown.clone_into(&mut state.shown);
        state.cursor = cursor;
    }

    /// The terminal's width and height when the last line began.
    pub(super) fn size(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.columns, state.rows)
    }

    /// The line is whole.
    pub(super) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_reading = false;
    }

    /// Shows a text of whole lines.
    pub(super) fn above(&self, text: &str) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = if state.is_reading {
            around(&state, text)
        } else {
            text.to_owned()
        };
        let mut out = std::io::stdout().lock();
        // A terminal that is gone ends the editor.
        let _ = out.write_all(bytes.as_bytes()).and_then(|()| out.flush());
    }
}

/// What takes the line away, writes the text and puts the line back, the cursor where it was.
fn around(state: &State, text: &str) -> String {
    let (row, column) = place(state, state.cursor);
    let (last_row, _) = place(state, state.line.len());
    let mut out = up(row);
    out.push_str("\r\x1b[J");
    // A terminal that is read key by key may not return the carriage by itself.
    out.push_str(&text.replace('\n', "\r\n"));
    out.push_str(state.prompt);
    out.push_str(&state.shown.replace('\n', "\r\n"));
    if place(state, state.line.len()).1 == 0 && last_row > 0 && !state.line.ends_with('\n') {
        // The cursor waits at the end of a full row until something follows.
        out.push_str("\r\n");
    }
    out.push_str(&up(last_row - row.min(last_row)));
    out.push('\r');
    if column > 0 {
        out.push_str(&format!("\x1b[{column}C"));
    }
    out
}

/// A text as a picture that fits on the terminal with a line to spare: its last lines, where maps
/// have their largest values, each cut at the edge. With it its height.
pub(super) fn picture(text: &str, (columns, rows): (usize, usize), below: &str) -> (String, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let most = rows.saturating_sub(3).max(1);
    let mut shown: Vec<String> = Vec::new();
    let mut hidden = 0;
    if lines.len() > most {
        hidden = lines.len() - most;
        shown.push(format!("({hidden} more)"));
    }
    shown.extend(lines.iter().skip(hidden).map(|line| cut(line, columns)));
    shown.push(below.to_owned());
    let height = shown.len();
    let mut text = shown.join("\n");
    text.push('\n');
    (text, height)
}

/// As much of a line as fits.
fn cut(line: &str, columns: usize) -> String {
    let mut width = 0;
    let fits = line.chars().take_while(|c| {
        width += c.width().unwrap_or(0);
        width <= columns
    });
    fits.collect()
}

fn up(rows: usize) -> String {
    if rows == 0 {
        String::new()
    } else {
        format!("\x1b[{rows}A")
    }
}

/// Row and column, from the prompt's start, of a byte of the line.
fn place(state: &State, byte: usize) -> (usize, usize) {
    let before = state.line.get(..byte).unwrap_or(&state.line);
    let (mut row, mut column) = (0, 0);
    for c in state.prompt.chars().chain(before.chars()) {
        if c == '\n' {
            (row, column) = (row + 1, 0);
            continue;
        }
        let width = c.width().unwrap_or(0);
        if column + width > state.columns {
            (row, column) = (row + 1, 0);
        }
        column += width;
    }
    if column == state.columns {
        (row, column) = (row + 1, 0);
    }
    (row, column)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn state(line: &str, cursor: usize) -> State {
        State {
            is_reading: true,
            columns: 10,
            rows: 10,
            prompt: "rbt> ",
            line: line.to_owned(),
            shown: line.to_owned(),
            cursor,
        }
    }

    #[test]
    fn places_of_a_line() {
        assert_eq!(place(&state("abc", 3), 3), (0, 8));
        assert_eq!(place(&state("abcde", 5), 5), (1, 0));
        assert_eq!(place(&state("abcdefg", 7), 7), (1, 2));
        assert_eq!(place(&state("a\nbc", 4), 4), (1, 2));
        assert_eq!(place(&state("日本語", 9), 9), (1, 2));
    }

    #[test]
    fn pictures_fit() {
        let text = "1\n2\n3\n4\n5\nlong line\n";
        let all = (String::from("1\n2\n3\n4\n5\nlong line\nend\n"), 7);
        assert_eq!(picture(text, (80, 24), "end"), all);
        let few = (String::from("(4 more)\n5\nlong\nend\n"), 4);
        assert_eq!(picture(text, (4, 5), "end"), few);
        assert_eq!(picture("", (80, 24), "end"), (String::from("end\n"), 1));
    }

    #[test]
    fn the_line_is_put_back() {
        let state = state("ab\ncd", 1);
        assert_eq!(
            around(&state, "tick\n"),
            "\r\x1b[Jtick\r\nrbt> ab\r\ncd\x1b[1A\r\x1b[6C"
        );
    }
}
