//! What a map looks like as a table that changes.
//!
//! Takes a map's elements each time they are read; gives rows of cells with rates per second
//! since the last time, in the order that was asked for, and how histograms grew over time.
//! Knows nothing of terminals.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use rbt_runtime::value::{Bucket, Histogram, Scale, Stack};
use rbt_runtime::{MapReport, Value, output};

/// Columns of history: no terminal is wider.
const HISTORY: usize = 512;

/// A cell of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Text.
    Text(String),
    /// A number.
    Number(i128),
    /// How much a number grew in a second; `None` when that is not known yet.
    Rate(Option<f64>),
}

/// A column's name; numbers stand at its right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub is_number: bool,
}

/// An element of the map.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The key as text: what it is told from others by.
    pub key: String,
    pub cells: Vec<Cell>,
}

/// How a histogram grew: what came into each interval, between two looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Growth {
    /// The intervals as last seen.
    pub now: Option<Histogram>,
    /// For each look, the lower edges of the intervals that grew, and by how much.
    pub steps: VecDeque<Vec<(Option<i128>, u64)>>,
}

/// A map over time.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    /// Histograms by key.
    pub growth: HashMap<String, Growth>,
    /// Charts of time series by key.
    pub charts: HashMap<String, String>,
    /// The column that rows are sorted by; the first number until somebody chooses.
    sort: Option<usize>,
    is_ascending: bool,
    last: Option<(Instant, HashMap<String, Vec<i128>>)>,
}

impl Model {
    /// The map was read at `now`.
    pub(super) fn update(&mut self, report: &MapReport<'_>, now: Instant) {
        let before = self.last.take();
        let passed = before.as_ref().map(|(then, _)| now.duration_since(*then));
        let mut numbers_now = HashMap::new();
        let parts = |key: &Option<Value<'_>>| match key {
            None => 0,
            Some(Value::Tuple(parts)) => parts.len(),
            Some(_) => 1,
        };
        let keys = report.entries.first().map_or(0, |(key, _)| parts(key));
        self.columns = columns(keys, report.entries.first().map(|(_, value)| value));
        self.rows.clear();
        let mut histograms = HashMap::new();
        self.charts.clear();
        for (key, value) in &report.entries {
            let mut cells = key_cells(key.as_ref());
            let key = cells.iter().map(shown).collect::<Vec<_>>().join(", ");
            let numbers = numbers(value);
            if numbers.is_empty() {
                cells.push(Cell::Text(plain(value)));
            }
            cells.extend(numbers.iter().map(|n| Cell::Number(*n)));
            for index in rated(value) {
                let number = numbers.get(*index).copied().unwrap_or(0);
                cells.push(Cell::Rate(rate(
                    before.as_ref(),
                    passed,
                    &key,
                    *index,
                    number,
                )));
            }
            if let Value::Histogram(histogram) = value {
                histograms.insert(key.clone(), histogram.clone());
            }
            if let Value::Series(_) = value {
                self.charts.insert(key.clone(), plain(value));
            }
            numbers_now.insert(key.clone(), numbers);
            self.rows.push(Row { key, cells });
        }
        self.grow(histograms);
        self.last = Some((now, numbers_now));
        self.order();
    }

    fn grow(&mut self, mut histograms: HashMap<String, Histogram>) {
        // What is new is compared with nothing, unless the map itself is new.
        let is_first = self.last.is_none() && self.growth.is_empty();
        self.growth.retain(|key, _| histograms.contains_key(key));
        for (key, histogram) in histograms.drain() {
            let growth = self.growth.entry(key).or_default();
            let counts = |histogram: Option<&Histogram>| -> HashMap<Option<i128>, u64> {
                let buckets = histogram.into_iter().flat_map(|h| &h.buckets);
                buckets.map(|b| (b.low, b.count)).collect()
            };
            let before = counts(growth.now.as_ref());
            if !(is_first && growth.now.is_none()) {
                let grown = histogram.buckets.iter().filter_map(|bucket| {
                    let was = before.get(&bucket.low).copied().unwrap_or(0);
                    // A map that was cleared meanwhile counts from nothing again.
                    let by = bucket.count.checked_sub(was).unwrap_or(bucket.count);
                    (by > 0).then_some((bucket.low, by))
                });
                growth.steps.push_back(grown.collect());
            }
            if growth.steps.len() > HISTORY {
                growth.steps.pop_front();
            }
            growth.now = Some(histogram);
        }
    }

    /// The column that rows are sorted by.
    pub(super) fn sort(&self) -> usize {
        let first = self.columns.iter().position(|column| column.is_number);
        let last = self.columns.len().saturating_sub(1);
        self.sort.or(first).unwrap_or(0).min(last)
    }

    /// Whether the least comes first.
    pub(super) fn is_ascending(&self) -> bool {
        self.is_ascending
    }

    /// Sorts by the next column, or the one before.
    pub(super) fn sort_by_next(&mut self, is_back: bool) {
        let count = self.columns.len().max(1);
        let step = if is_back { count - 1 } else { 1 };
        self.sort = Some((self.sort() + step) % count);
        self.order();
    }

    /// Turns the order around.
    pub(super) fn reverse(&mut self) {
        self.is_ascending = !self.is_ascending;
        self.order();
    }

    fn order(&mut self) {
        let (column, is_ascending) = (self.sort(), self.is_ascending);
        self.rows.sort_by(|a, b| {
            let order = match (a.cells.get(column), b.cells.get(column)) {
                (Some(a), Some(b)) => compare(a, b),
                _ => Ordering::Equal,
            };
            let order = if is_ascending { order } else { order.reverse() };
            order.then_with(|| a.key.cmp(&b.key))
        });
    }
}

fn compare(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Number(a), Cell::Number(b)) => a.cmp(b),
        (Cell::Rate(a), Cell::Rate(b)) => {
            let (a, b) = (a.unwrap_or(0.0), b.unwrap_or(0.0));
            a.partial_cmp(&b).unwrap_or(Ordering::Equal)
        }
        // Keys that are numbers are ordered as such.
        (Cell::Text(a), Cell::Text(b)) => match (a.parse::<i128>(), b.parse::<i128>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        },
        _ => Ordering::Equal,
    }
}

/// A cell as it is written.
pub(super) fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Rate(None) => String::from("-"),
        Cell::Rate(Some(rate)) if rate.abs() >= 100.0 || *rate == 0.0 => format!("{rate:.0}"),
        Cell::Rate(Some(rate)) => format!("{rate:.1}"),
    }
}

fn columns(keys: usize, value: Option<&Value<'_>>) -> Vec<Column> {
    let column = |name: &str, is_number| Column {
        name: name.to_owned(),
        is_number,
    };
    let mut columns: Vec<Column> = match keys {
        0 => Vec::new(),
        1 => vec![column("KEY", false)],
        _ => (1..=keys)
            .map(|n| column(&format!("KEY {n}"), false))
            .collect(),
    };
    let numbers: &[&str] = match value {
        None => &[],
        Some(Value::Stats(_)) => &["COUNT", "AVERAGE", "TOTAL", "COUNT/s", "TOTAL/s"],
        Some(Value::Histogram(_)) => &["COUNT", "COUNT/s"],
        Some(value) if numbers(value).is_empty() => &[],
        Some(_) => &["VALUE", "PER SECOND"],
    };
    columns.extend(numbers.iter().map(|name| column(name, true)));
    if numbers.is_empty() && value.is_some() {
        columns.push(column("VALUE", false));
    }
    columns
}

/// The numbers of a value.
fn numbers(value: &Value<'_>) -> Vec<i128> {
    match value {
        Value::Int(number)
        | Value::Enum {
            value: number,
            name: None,
        } => vec![(*number).into()],
        Value::Unsigned(number) => vec![(*number).into()],
        Value::Stats(stats) => vec![stats.count.into(), stats.average, stats.total],
        Value::Histogram(histogram) => vec![histogram.total().into()],
        _ => Vec::new(),
    }
}

/// Which of a value's numbers have a rate.
fn rated(value: &Value<'_>) -> &'static [usize] {
    match value {
        Value::Stats(_) => &[0, 2],
        value if numbers(value).is_empty() => &[],
        _ => &[0],
    }
}

fn rate(
    before: Option<&(Instant, HashMap<String, Vec<i128>>)>,
    passed: Option<Duration>,
    key: &str,
    index: usize,
    now: i128,
) -> Option<f64> {
    let (_, numbers) = before?;
    let seconds = passed?.as_secs_f64();
    // A key that is new has grown from nothing.
    let was = numbers
        .get(key)
        .and_then(|all| all.get(index))
        .unwrap_or(&0);
    (seconds > 0.0).then(|| (now - was) as f64 / seconds)
}

fn key_cells(key: Option<&Value<'_>>) -> Vec<Cell> {
    let cell = |value: &Value<'_>| Cell::Text(plain(value));
    match key {
        None => Vec::new(),
        Some(Value::Tuple(parts)) => parts.iter().map(cell).collect(),
        Some(single) => vec![cell(single)],
    }
}

/// A value in one line: a stack as its functions, the innermost first.
fn plain(value: &Value<'_>) -> String {
    if let Value::Stack(stack) = value {
        return functions(stack);
    }
    let mut text = Vec::new();
    output::text::write_value(value, &mut text);
    let text = String::from_utf8_lossy(&text);
    if let Value::Series(_) = value {
        return text.into_owned();
    }
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).collect()
}

fn functions(stack: &Stack) -> String {
    let names = stack.frames.iter().map(|frame| match &frame.symbol {
        Some((name, _)) => name.clone(),
        None => format!("{:#x}", frame.address),
    });
    names.collect::<Vec<_>>().join(" < ")
}

/// The intervals of a histogram as at most `rows` rows, the lowest first: neighbours are put
/// together where there are too many. Each has its label, its count and which lower edges it
/// holds.
pub(super) fn bands(histogram: &Histogram, rows: usize) -> Vec<(String, u64, Vec<Option<i128>>)> {
    let each = histogram.buckets.len().div_ceil(rows.max(1)).max(1);
    let bands = histogram.buckets.chunks(each).map(|chunk| {
        let joined = Bucket {
            low: chunk.first().and_then(|bucket| bucket.low),
            high: chunk.last().and_then(|bucket| bucket.high),
            count: chunk.iter().map(|bucket| bucket.count).sum(),
        };
        let scale: Scale = histogram.scale;
        let label = output::text::interval(scale, &joined);
        (label, joined.count, chunk.iter().map(|b| b.low).collect())
    });
    bands.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn report<'a>(entries: Vec<(&'a str, Value<'a>)>) -> MapReport<'a> {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (Some(Value::text(key)), value));
        MapReport {
            name: String::from("@x"),
            kind: "map",
            entries: entries.collect(),
        }
    }

    fn order(model: &Model) -> Vec<&str> {
        model.rows.iter().map(|row| row.key.as_str()).collect()
    }

    #[test]
    fn rates_are_by_the_second() {
        let mut model = Model::default();
        let start = Instant::now();
        model.update(
            &report(vec![("a", Value::Int(10)), ("b", Value::Int(4))]),
            start,
        );
        assert_eq!(model.rows[0].cells[2], Cell::Rate(None));
        assert_eq!(order(&model), ["a", "b"]);
        let later = start + Duration::from_secs(2);
        let entries = vec![
            ("a", Value::Int(11)),
            ("b", Value::Int(8)),
            ("c", Value::Int(6)),
        ];
        model.update(&report(entries), later);
        model.sort_by_next(false);
        assert_eq!(order(&model), ["c", "b", "a"]);
        assert_eq!(model.rows[1].cells[2], Cell::Rate(Some(2.0)));
        model.reverse();
        assert_eq!(order(&model), ["a", "b", "c"]);
        model.sort_by_next(false);
        assert_eq!(model.sort(), 0);
        model.sort_by_next(true);
        assert_eq!(model.sort(), 2);
    }

    #[test]
    fn histograms_grow_between_looks() {
        let histogram = |counts: &[u64]| {
            let buckets = counts.iter().zip(0..).map(|(count, low)| Bucket {
                low: Some(low),
                high: Some(low + 1),
                count: *count,
            });
            Value::Histogram(Histogram::new(Scale::Linear { step: 1 }, buckets))
        };
        let mut model = Model::default();
        let start = Instant::now();
        model.update(&report(vec![("a", histogram(&[5, 1]))]), start);
        assert!(model.growth["a"].steps.is_empty());
        let later = start + Duration::from_secs(1);
        model.update(&report(vec![("a", histogram(&[5, 3, 2]))]), later);
        let steps = &model.growth["a"].steps;
        assert_eq!(steps[0], [(Some(1), 2), (Some(2), 2)]);
        assert_eq!(model.rows[0].cells[2], Cell::Rate(Some(4.0)));
        let now = model.growth["a"].now.clone().unwrap();
        let bands = bands(&now, 2);
        assert_eq!(
            bands[0],
            (String::from("[0, 2)"), 8, vec![Some(0), Some(1)])
        );
        assert_eq!(bands[1], (String::from("[2]"), 2, vec![Some(2)]));
    }

    #[test]
    fn numbers_are_sorted_as_numbers() {
        let text = |text: &str| Cell::Text(text.to_owned());
        assert_eq!(compare(&text("9"), &text("10")), Ordering::Less);
        assert_eq!(compare(&text("b"), &text("a10")), Ordering::Greater);
        assert_eq!(shown(&Cell::Rate(Some(0.25))), "0.2");
        assert_eq!(shown(&Cell::Rate(Some(1234.5))), "1234");
    }
}
