//! `--view`: maps in a terminal, while they change.
//!
//! Takes keys and, once in a while, the map that is shown; draws it as a table with rates, a
//! histogram's heat over time or a time series' chart, with what the script prints below. The
//! terminal is given back when tracing ends, however it ends. Holds no logic of tracing.

mod model;
mod paint;

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use model::Model;
use paint::{Line, Means, Style, Window};
use rbt_compiler::artifact::MapId;
use rbt_runtime::terminal::{self, Terminal};
use rbt_runtime::viewer::{LiveMaps, Viewer, Wake};
use rbt_runtime::{Error, progress};
use tokio::time::Instant;

/// How often maps are read: what `+` and `-` choose from, in milliseconds.
const PAUSES: [u64; 6] = [250, 500, 1000, 2000, 5000, 10_000];

/// How many rows `t` shows; all for 0.
const TOPS: [usize; 4] = [0, 5, 10, 25];

/// Lines of the script's output that are kept, and that are shown.
const KEPT: usize = 200;
const SHOWN: usize = 5;

/// What the keys do.
const HELP: &str = "q quit  Tab map  <> sort  r turn  jk row  t top  Space pause  +- speed  o text";

/// The view of a script's maps.
#[derive(Debug)]
pub(crate) struct View {
    terminal: Option<Terminal>,
    /// What the script prints meanwhile; `None` if it has a file of its own.
    printed: Option<File>,
    lines: VecDeque<String>,
    models: HashMap<MapId, Model>,
    /// The number of the map that is shown, among all by name.
    map: usize,
    chosen: usize,
    top: usize,
    pause: usize,
    is_paused: bool,
    hides_output: bool,
    next: Instant,
    means: Means,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Map { is_back: bool },
    Sort { is_back: bool },
    Reverse,
    Up(usize),
    Down(usize),
    Top,
    Pause,
    Faster,
    Slower,
    Output,
    Quit,
}

impl View {
    /// Nothing is drawn yet. The file is what the script has to print into, if anything.
    ///
    /// Errors: there is no terminal, or no memory.
    pub(crate) fn new(has_color: bool, has_file: bool) -> Result<(View, Option<File>), String> {
        if !Terminal::is_there() {
            return Err(String::from(
                "USAGE: --view draws on a terminal: stdin and stdout have to be one.",
            ));
        }
        let no_memory = |error: io::Error| format!("cannot keep the script's output: {error}");
        let printed = (!has_file).then(terminal::memory_file).transpose();
        let printed = printed.map_err(no_memory)?;
        let sink = printed.as_ref().map(File::try_clone).transpose();
        let view = View {
            terminal: None,
            printed,
            lines: VecDeque::new(),
            models: HashMap::new(),
            map: 0,
            chosen: 0,
            top: 0,
            pause: 2,
            is_paused: false,
            hides_output: false,
            next: Instant::now(),
            means: Means {
                has_color,
                has_unicode: speaks_unicode(),
            },
        };
        Ok((view, sink.map_err(no_memory)?))
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(PAUSES.get(self.pause).copied().unwrap_or(1000))
    }

    /// Takes what the script has printed.
    fn take_output(&mut self) -> io::Result<()> {
        let Some(file) = &self.printed else {
            return Ok(());
        };
        let length = file.metadata()?.len();
        if length == 0 {
            return Ok(());
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        // Writes go to the file's end, wherever that is.
        file.set_len(0)?;
        for line in String::from_utf8_lossy(&bytes).lines() {
            let visible = |c: char| if c.is_control() { ' ' } else { c };
            self.lines.push_back(line.chars().map(visible).collect());
            if self.lines.len() > KEPT {
                self.lines.pop_front();
            }
        }
        Ok(())
    }

    /// Does what keys say; `false` if that is to end.
    fn obey(&mut self, keys: &[Key], maps: usize) -> bool {
        for key in keys {
            match key {
                Key::Map { is_back } => {
                    let step = if *is_back { maps.max(1) - 1 } else { 1 };
                    self.map = (self.map + step) % maps.max(1);
                    self.chosen = 0;
                    self.next = Instant::now();
                }
                Key::Up(rows) => self.chosen = self.chosen.saturating_sub(*rows),
                Key::Down(rows) => self.chosen += rows,
                Key::Top => {
                    let now = TOPS.iter().position(|top| *top == self.top).unwrap_or(0);
                    self.top = TOPS.get(now + 1).copied().unwrap_or(0);
                }
                Key::Pause => self.is_paused = !self.is_paused,
                Key::Faster => self.pause = self.pause.saturating_sub(1),
                Key::Slower => self.pause = (self.pause + 1).min(PAUSES.len() - 1),
                Key::Output => self.hides_output = !self.hides_output,
                Key::Quit => return false,
                Key::Sort { .. } | Key::Reverse => {}
            }
        }
        true
    }

    fn draw(&self, names: &[(MapId, &str)]) -> io::Result<()> {
        let Some(terminal) = &self.terminal else {
            return Ok(());
        };
        let (width, height) = terminal.size();
        let picture = self.picture(names, width, height);
        // From the top, each line over the one before; what is left below goes away.
        let mut text = String::from("\x1b[H");
        for (number, (line, is_chosen)) in picture.iter().take(height).enumerate() {
            if number > 0 {
                text.push_str("\r\n");
            }
            text.push_str(&line.render(width, *is_chosen, self.means));
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        terminal.write(&text)
    }

    /// `height` lines; with each whether it is the chosen one.
    fn picture(&self, names: &[(MapId, &str)], width: usize, height: usize) -> Vec<(Line, bool)> {
        let shown = names.get(self.map);
        let model = shown.and_then(|(id, _)| self.models.get(id));
        let mut lines = vec![(self.title(shown, model, names.len(), width), true)];
        let output = match self.hides_output {
            true => 0,
            false => self.lines.len().min(SHOWN).min(height / 4),
        };
        let footer = if output > 0 { output + 2 } else { 1 };
        let room = height.saturating_sub(1 + footer);
        match model {
            Some(model) if !model.rows.is_empty() => self.body(model, width, room, &mut lines),
            _ => {
                let nothing = match shown {
                    Some(_) => "nothing yet",
                    None => "this script has no maps",
                };
                lines.push((Line::new(Style::Faint, nothing), false));
            }
        }
        lines.resize(1 + room, (Line::default(), false));
        if output > 0 {
            lines.push((Line::new(Style::Faint, "-".repeat(width)), false));
            let skipped = self.lines.len() - output;
            for line in self.lines.iter().skip(skipped) {
                lines.push((Line::new(Style::Plain, line.as_str()), false));
            }
        }
        lines.push((Line::new(Style::Faint, HELP), false));
        lines
    }

    fn title(
        &self,
        shown: Option<&(MapId, &str)>,
        model: Option<&Model>,
        maps: usize,
        width: usize,
    ) -> Line {
        let mut text = match shown {
            Some((_, name)) => format!("@{name}  map {} of {maps}", self.map + 1),
            None => String::from("rbt"),
        };
        let keys = model.map_or(0, |model| model.rows.len());
        if self.top > 0 {
            text += &format!("  top {} of {keys}", self.top.min(keys));
        } else {
            text += &format!("  {keys} row{}", if keys == 1 { "" } else { "s" });
        }
        let state = match self.is_paused {
            true => String::from("PAUSED"),
            false => format!("every {} s", self.pause().as_secs_f64()),
        };
        let gap = width.saturating_sub(paint::columns(&text) + state.len());
        Line::new(Style::Plain, format!("{text}{:gap$}{state}", ""))
    }

    fn body(&self, model: &Model, width: usize, room: usize, lines: &mut Vec<(Line, bool)>) {
        let rows = model.rows.len();
        let chosen = self.chosen.min(rows.saturating_sub(1));
        let key = model.rows.get(chosen).map(|row| row.key.as_str());
        let growth = key.and_then(|key| model.growth.get(key));
        let chart = key.and_then(|key| model.charts.get(key));
        let has_picture = growth.is_some() || chart.is_some();
        // Of what has a picture, a few keys to choose from are enough.
        let height = match has_picture {
            true => (rows + 1).min(room / 3),
            false => room,
        };
        let window = Window {
            width,
            height,
            top: self.top,
            chosen,
        };
        let (table, line) = paint::table(model, window, self.means);
        let table = table.into_iter().enumerate();
        lines.extend(table.map(|(number, drawn)| (drawn, number == line)));
        let left = room.saturating_sub(height + 1);
        if has_picture {
            lines.push((Line::default(), false));
        }
        if let Some(growth) = growth {
            let seconds = self.pause().as_secs_f64();
            let heat = paint::heat(growth, (width, left), seconds, self.means);
            lines.extend(heat.into_iter().map(|line| (line, false)));
        }
        if let Some(chart) = chart {
            let all: Vec<&str> = chart.lines().collect();
            let newest = all.len().saturating_sub(left);
            let newest = all.iter().skip(newest);
            lines.extend(newest.map(|line| (Line::new(Style::Plain, *line), false)));
        }
    }
}

impl Viewer for View {
    fn wait(&mut self) -> Wake<'_> {
        let next = self.next;
        let Some(terminal) = &mut self.terminal else {
            return Box::pin(std::future::ready(()));
        };
        Box::pin(async move {
            tokio::select! {
                () = terminal.changed() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        })
    }

    fn look(&mut self, maps: &LiveMaps<'_>) -> Result<bool, Error> {
        if self.terminal.is_none() {
            progress::hush(true);
            self.terminal = Some(Terminal::take()?);
            self.next = Instant::now();
        }
        let names = maps.names();
        let bytes = self.terminal.as_ref().and_then(Terminal::keys);
        let Some(bytes) = bytes else { return Ok(false) };
        let keys = keys(&bytes);
        if !self.obey(&keys, names.len()) {
            return Ok(false);
        }
        let shown = names.get(self.map).map(|(id, _)| *id);
        if let Some(id) = shown {
            let model = self.models.entry(id).or_default();
            let now = Instant::now();
            if now >= self.next && !self.is_paused {
                maps.read(id, &mut |report| model.update(report, now.into_std()))?;
            }
            for key in &keys {
                match key {
                    Key::Sort { is_back } => model.sort_by_next(*is_back),
                    Key::Reverse => model.reverse(),
                    _ => {}
                }
            }
            let rows = match self.top {
                0 => model.rows.len(),
                top => model.rows.len().min(top),
            };
            self.chosen = self.chosen.min(rows.saturating_sub(1));
        }
        let now = Instant::now();
        if now >= self.next {
            self.next = now + self.pause();
        }
        self.take_output()?;
        self.draw(&names)?;
        Ok(true)
    }

    fn leave(&mut self) {
        // Errors of the last lines would only hide why it ends.
        let _ = self.take_output();
        self.terminal = None;
        progress::hush(false);
    }
}

/// Shows what was printed after the terminal was given back.
pub(crate) fn finish(mut printed: &File) -> io::Result<()> {
    use io::{Read, Seek};
    printed.seek(io::SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    printed.read_to_end(&mut bytes)?;
    let mut out = io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush())
}

/// Whether the terminal's texts are UTF-8, as the environment says.
fn speaks_unicode() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].iter();
    let mut set = set.filter_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    set.next().is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// The keys among bytes that a terminal sends.
fn keys(mut bytes: &[u8]) -> Vec<Key> {
    const SEQUENCES: &[(&[u8], Key)] = &[
        (b"\x1b[A", Key::Up(1)),
        (b"\x1bOA", Key::Up(1)),
        (b"\x1b[B", Key::Down(1)),
        (b"\x1bOB", Key::Down(1)),
        (b"\x1b[C", Key::Sort { is_back: false }),
        (b"\x1bOC", Key::Sort { is_back: false }),
        (b"\x1b[D", Key::Sort { is_back: true }),
        (b"\x1bOD", Key::Sort { is_back: true }),
        (b"\x1b[5~", Key::Up(10)),
        (b"\x1b[6~", Key::Down(10)),
        (b"\x1b[Z", Key::Map { is_back: true }),
        (b">", Key::Sort { is_back: false }),
        (b".", Key::Sort { is_back: false }),
        (b"<", Key::Sort { is_back: true }),
        (b",", Key::Sort { is_back: true }),
        (b"\t", Key::Map { is_back: false }),
        (b"n", Key::Map { is_back: false }),
        (b"N", Key::Map { is_back: true }),
        (b"k", Key::Up(1)),
        (b"j", Key::Down(1)),
        (b"r", Key::Reverse),
        (b"t", Key::Top),
        (b" ", Key::Pause),
        (b"p", Key::Pause),
        (b"+", Key::Faster),
        (b"=", Key::Faster),
        (b"-", Key::Slower),
        (b"o", Key::Output),
        (b"q", Key::Quit),
        (b"Q", Key::Quit),
        // Ctrl-C and Ctrl-D.
        (b"\x03", Key::Quit),
        (b"\x04", Key::Quit),
    ];
    let mut keys = Vec::new();
    while !bytes.is_empty() {
        let found = SEQUENCES
            .iter()
            .find_map(|(sequence, key)| Some((bytes.strip_prefix(*sequence)?, *key)));
        bytes = match found {
            Some((rest, key)) => {
                keys.push(key);
                rest
            }
            None => after_unknown(bytes),
        };
    }
    keys
}

/// What follows a key that does nothing: a letter, or a sequence as a whole.
fn after_unknown(bytes: &[u8]) -> &[u8] {
    let length = match bytes {
        [0x1b, b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte));
            end.map_or(bytes.len(), |end| end + 3)
        }
        _ => 1,
    };
    bytes.get(length..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_sequences() {
        assert_eq!(
            keys(b"\x1b[A\x1b[Bq"),
            [Key::Up(1), Key::Down(1), Key::Quit]
        );
        // The `q` inside an unknown sequence is no key.
        assert_eq!(keys(b"\x1b[24~xr"), [Key::Reverse]);
        assert_eq!(keys(b"\x1b["), []);
    }
}
