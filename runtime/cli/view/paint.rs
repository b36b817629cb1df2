//! Pictures made of lines: a table, a histogram's heat over time.
//!
//! Takes a model and the room there is; gives lines that are no wider than it. Knows the codes
//! that colour a terminal, and nothing of keys or of time.

use std::collections::HashSet;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

use super::model::{Growth, Model, bands, shown};

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Faint,
    Reverse,
    /// Of the 256 colours.
    Color(u8),
}

/// What the terminal can show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    pub has_color: bool,
    pub has_unicode: bool,
}

/// A line of a picture.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Vec<(Style, String)>);

impl Line {
    pub(super) fn new(style: Style, text: impl Into<String>) -> Line {
        Line(vec![(style, text.into())])
    }

    fn put(&mut self, style: Style, text: impl Into<String>) {
        self.0.push((style, text.into()));
    }

    /// The line for a terminal, cut to `width` columns, all in reverse if it is `chosen`.
    pub(super) fn render(&self, width: usize, chosen: bool, means: Means) -> String {
        let mut out = String::new();
        let mut room = width;
        for (style, text) in &self.0 {
            let text = cut(text, room);
            room -= columns(&text);
            let style = if chosen { Style::Reverse } else { *style };
            let _ = match style {
                Style::Plain => write!(out, "{text}"),
                Style::Bold => write!(out, "\x1b[1m{text}\x1b[0m"),
                Style::Faint => write!(out, "\x1b[2m{text}\x1b[0m"),
                Style::Reverse => write!(out, "\x1b[7m{text}\x1b[0m"),
                Style::Color(color) if means.has_color => {
                    write!(out, "\x1b[38;5;{color}m{text}\x1b[0m")
                }
                Style::Color(_) => write!(out, "{text}"),
            };
        }
        if chosen {
            let _ = write!(out, "\x1b[7m{:room$}\x1b[0m", "");
        }
        out
    }

    #[cfg(test)]
    fn plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// The columns that a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// A text in at most so many columns.
fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        // The last column says that there was more.
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    if width > 0 {
        out.push('~');
    }
    out
}

fn padded(text: &str, width: usize, is_number: bool) -> String {
    let text = cut(text, width);
    let gap = width.saturating_sub(columns(&text));
    if is_number {
        format!("{:gap$}{text}", "")
    } else {
        format!("{text}{:gap$}", "")
    }
}

/// Rows of the table that are shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// Columns and lines, the heading included.
    pub width: usize,
    pub height: usize,
    /// Only so many rows from the first on; 0 for all.
    pub top: usize,
    /// The row that is chosen.
    pub chosen: usize,
}

impl Window {
    /// Which rows there is room for: the chosen one among them.
    pub(super) fn range(&self, rows: usize) -> std::ops::Range<usize> {
        let rows = if self.top > 0 {
            rows.min(self.top)
        } else {
            rows
        };
        let room = self.height.saturating_sub(1);
        let chosen = self.chosen.min(rows.saturating_sub(1));
        let start = (chosen + 1).saturating_sub(room);
        start..rows.min(start + room)
    }
}

/// The table: its heading, then rows. The second value is the line of the chosen row.
pub(super) fn table(model: &Model, window: Window, means: Means) -> (Vec<Line>, usize) {
    let range = window.range(model.rows.len());
    let chosen = (window.chosen + 1).saturating_sub(range.start);
    let rows = model.rows.get(range).unwrap_or_default();
    let mark = match (means.has_unicode, model.is_ascending()) {
        (true, true) => "▲",
        (true, false) => "▼",
        (false, true) => "^",
        (false, false) => "v",
    };
    let headings: Vec<String> = model
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            if index == model.sort() {
                format!("{}{mark}", column.name)
            } else {
                column.name.clone()
            }
        })
        .collect();
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.cells.iter().map(shown).collect())
        .collect();
    let mut widths: Vec<usize> = headings.iter().map(|name| columns(name)).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(columns(cell));
        }
    }
    fit(&mut widths, model, window.width);
    let line = |cells: &[String]| {
        let mut text = String::new();
        for ((cell, width), column) in cells.iter().zip(&widths).zip(&model.columns) {
            if !text.is_empty() {
                text.push_str("  ");
            }
            text.push_str(&padded(cell, *width, column.is_number));
        }
        text
    };
    let mut lines = vec![Line::new(Style::Bold, line(&headings))];
    lines.extend(cells.iter().map(|row| Line::new(Style::Plain, line(row))));
    (lines, chosen)
}

/// Narrows the widest texts until all columns have room; numbers stay whole.
fn fit(widths: &mut [usize], model: &Model, room: usize) {
    const LEAST: usize = 6;
    let room = room.saturating_sub(2 * widths.len().saturating_sub(1));
    let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
    while excess > 0 {
        let texts = widths.iter_mut().zip(&model.columns);
        let widest = texts
            .filter(|(width, column)| !column.is_number && **width > LEAST)
            .map(|(width, _)| width)
            .max_by_key(|width| **width);
        let Some(widest) = widest else { return };
        *widest -= 1;
        excess -= 1;
    }
}

/// How much came, from little to much.
const SHADES: [(char, char, u8); 5] = [
    ('·', '.', 88),
    ('░', ':', 124),
    ('▒', '+', 166),
    ('▓', '#', 214),
    ('█', '@', 229),
];

/// A histogram's heat: a line for each interval, the highest first, a column for each look, the
/// newest at the right; then a line with the time that passed, `seconds` from look to look.
pub(super) fn heat(
    growth: &Growth,
    (width, height): (usize, usize),
    seconds: f64,
    means: Means,
) -> Vec<Line> {
    let Some(histogram) = &growth.now else {
        return Vec::new();
    };
    let bands = bands(histogram, height.saturating_sub(1));
    let label = bands
        .iter()
        .map(|(label, ..)| columns(label))
        .max()
        .unwrap_or(0);
    let number = bands
        .iter()
        .map(|(_, count, _)| count.to_string().len())
        .max();
    let number = number.unwrap_or(0);
    let room = width.saturating_sub(label + number + 4);
    let skipped = growth.steps.len().saturating_sub(room);
    let steps: Vec<_> = growth.steps.iter().skip(skipped).collect();
    let came = |lows: &HashSet<Option<i128>>, step: &[(Option<i128>, u64)]| -> u64 {
        let inside = step.iter().filter(|(low, _)| lows.contains(low));
        inside.map(|(_, by)| by).sum()
    };
    let grid: Vec<Vec<u64>> = bands
        .iter()
        .map(|(_, _, lows)| {
            let lows = lows.iter().copied().collect();
            steps.iter().map(|step| came(&lows, step)).collect()
        })
        .collect();
    let most = grid.iter().flatten().copied().max().unwrap_or(0);
    let mut lines = Vec::new();
    for ((name, count, _), row) in bands.iter().zip(&grid).rev() {
        let mut line = Line::new(Style::Plain, format!("{name:<label$} {count:>number$} |"));
        line.put(Style::Plain, " ".repeat(room.saturating_sub(row.len())));
        for by in row {
            match shade(*by, most) {
                None => line.put(Style::Plain, " "),
                Some((unicode, ascii, color)) => {
                    let c = if means.has_unicode { unicode } else { ascii };
                    line.put(Style::Color(color), c);
                }
            }
        }
        line.put(Style::Plain, "|");
        lines.push(line);
    }
    let ago = format!("-{:.0} s", steps.len() as f64 * seconds);
    let before = label + number + 3 + room.saturating_sub(steps.len());
    let gap = steps.len().saturating_sub(ago.len() + 3);
    let axis = if steps.len() > ago.len() + 3 {
        format!("{:before$}{ago}{:gap$}now", "", "")
    } else {
        format!("{:>1$}", "now", width.saturating_sub(1))
    };
    lines.push(Line::new(Style::Faint, axis));
    lines
}

/// The shade of a number, where `most` is the most there is: by the logarithm, as a few among
/// many would not be seen otherwise.
fn shade(by: u64, most: u64) -> Option<(char, char, u8)> {
    if by == 0 {
        return None;
    }
    let last = SHADES.len() - 1;
    let level = match log2(most) {
        0 => last,
        // To the nearest.
        all => ((2 * last as u64 * log2(by) + all) / (2 * all)) as usize,
    };
    SHADES.get(level.min(last)).copied()
}

/// The logarithm to base 2 of a number from 1 up, in 65,536ths; 0 of 0. The floating one would
/// be the only thing that the command needs another library for.
fn log2(number: u64) -> u64 {
    let Some(whole) = number.checked_ilog2() else {
        return 0;
    };
    // From 1 to below 2, in steps of 2^-31; each squaring says one more binary place.
    let mut rest = (u128::from(number) << 31 >> whole) as u64;
    let mut places = u64::from(whole);
    for _ in 0..16 {
        rest = (rest * rest) >> 31;
        let is_above = rest >> 32;
        places = places << 1 | is_above;
        rest >>= is_above;
    }
    places
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use rbt_runtime::value::{Bucket, Histogram, Scale};
    use rbt_runtime::{MapReport, Value};
    use std::time::Instant;

    const ASCII: Means = Means {
        has_color: false,
        has_unicode: false,
    };

    fn model() -> Model {
        let key = |name: &str, id| Some(Value::Tuple(vec![Value::text(name), Value::Int(id)]));
        let report = MapReport {
            name: String::from("@x"),
            kind: "map",
            entries: vec![
                (key("a name that is too long", 1), Value::Int(5)),
                (key("b", 22), Value::Int(40)),
                (key("c", 333), Value::Int(1)),
            ],
        };
        let mut model = Model::default();
        model.update(&report, Instant::now());
        model
    }

    #[test]
    fn a_table_has_room_for_its_numbers() {
        let window = Window {
            width: 36,
            height: 3,
            top: 0,
            chosen: 0,
        };
        let (lines, chosen) = table(&model(), window, ASCII);
        let lines: Vec<String> = lines.iter().map(Line::plain).collect();
        assert_eq!(
            lines,
            [
                "KEY 1      KEY 2  VALUEv  PER SECOND",
                "b          22         40           -",
                "a name t~  1           5           -",
            ]
        );
        assert_eq!(chosen, 1);
    }

    #[test]
    fn the_chosen_row_is_in_sight() {
        let window = |chosen, top| Window {
            width: 80,
            height: 11,
            top,
            chosen,
        };
        assert_eq!(window(0, 0).range(100), 0..10);
        assert_eq!(window(9, 0).range(100), 0..10);
        assert_eq!(window(30, 0).range(100), 21..31);
        assert_eq!(window(30, 5).range(100), 0..5);
        assert_eq!(window(0, 0).range(0), 0..0);
    }

    #[test]
    fn logarithms_are_close() {
        for number in (1..2000).chain([1 << 20, 12_345_678_901, u64::MAX - 1, u64::MAX]) {
            let error = log2(number) as f64 / 65536.0 - (number as f64).log2();
            assert!((-1.0 / 32768.0..1e-9).contains(&error), "{number}: {error}");
        }
        assert_eq!((log2(0), log2(1), log2(1 << 40)), (0, 0, 40 << 16));
    }

    #[test]
    fn shades_are_by_the_logarithm() {
        let shades = |most: u64| [1, 3, most / 2, most].map(|by| shade(by, most));
        let at = |level: usize| SHADES.get(level).copied();
        assert_eq!(shades(10_000), [at(0), at(0), at(4), at(4)]);
        assert_eq!(shade(100, 10_000), at(2));
        assert_eq!(shade(0, 10_000), None);
        assert_eq!(shade(1, 1), at(4));
    }

    #[test]
    fn heat_is_by_interval_and_time() {
        let buckets = (0..3).map(|low| Bucket {
            low: Some(low),
            high: Some(low + 1),
            count: 10,
        });
        let growth = Growth {
            now: Some(Histogram::new(Scale::Linear { step: 1 }, buckets)),
            steps: [vec![(Some(0), 100)], vec![(Some(0), 1), (Some(2), 10)]].into(),
        };
        let lines = heat(&growth, (20, 10), 1.0, ASCII);
        let lines: Vec<String> = lines.iter().map(Line::plain).collect();
        assert_eq!(
            lines,
            [
                "[2] 10 |          +|",
                "[1] 10 |           |",
                "[0] 10 |         @.|",
                "                now",
            ]
        );
    }

    #[test]
    fn texts_are_cut_by_columns() {
        assert_eq!(cut("abcdef", 4), "abc~");
        assert_eq!(cut("日本語", 4), "日~");
        assert_eq!(cut("abc", 3), "abc");
        let line = Line::new(Style::Bold, "abcdef").render(3, false, ASCII);
        assert_eq!(line, "\x1b[1mab~\x1b[0m");
    }
}
