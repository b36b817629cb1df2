//! A time series as a chart: a line for each interval, the value as a place between two edges.

use std::io::Write;

use crate::time;
use crate::value::Series;

/// Columns between the edges, both included.
const COLUMNS: usize = 53;

/// Nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// How times of a series are written: the heading's letters, `strftime`'s format, columns.
fn clock(series: &Series) -> (&'static str, &'static str, usize) {
    match series.interval {
        // A series of one interval shows all there is of its time.
        _ if series.shown.len() == 1 => ("hh:mm:ss.ns", "%H:%M:%S.%k", 18),
        SECOND.. => ("hh:mm:ss", "%H:%M:%S", 8),
        1_000_000.. => ("hh:mm:ss.ms", "%H:%M:%S.%l", 12),
        1_000.. => ("hh:mm:ss.\u{3bc}s", "%H:%M:%S.%f", 15),
        _ => ("hh:mm:ss.ns", "%H:%M:%S.%k", 18),
    }
}

/// Appends the chart, each line ended; a sentence, not ended, if there is nothing to show.
pub(super) fn write(series: &Series, out: &mut Vec<u8>) {
    let values = || series.shown.iter().filter_map(|(_, value)| *value);
    let (Some(mut least), Some(mut most)) = (values().min(), values().max()) else {
        return out.extend_from_slice(b"<no data>");
    };
    if least == most {
        (least, most) = (least - 1, most + 1);
    }
    let (heading, format, width) = clock(series);
    let range = most - least;
    let place = |columns: usize, above: i128| {
        let column = columns as f64 * (above as f64 / range as f64);
        (column as usize).min(COLUMNS - 1)
    };
    let zero = (least < 0 && most > 0).then(|| place(COLUMNS, -least));
    let edge = |left: char, out: &mut Vec<u8>| {
        put(
            out,
            format_args!("{left}{}{left}\n", "_".repeat(COLUMNS - 2)),
        );
    };
    let scale = |out: &mut Vec<u8>| {
        put(out, format_args!("{:width$} {least:<21}{most:>32}\n", ""));
    };
    scale(out);
    // Padded by bytes, as elsewhere: the letter of microseconds has two.
    let padding = width.saturating_sub(heading.len());
    put(out, format_args!("{heading}{:padding$} ", ""));
    edge('|', out);
    for (start, value) in &series.shown {
        let mut line = [b' '; COLUMNS];
        let mut mark = |column: usize, with: u8| {
            if let Some(cell) = line.get_mut(column) {
                *cell = with;
            }
        };
        mark(0, b'|');
        mark(COLUMNS - 1, b'|');
        if let Some(zero) = zero {
            mark(zero, b'.');
        }
        if let Some(value) = value {
            mark(place(COLUMNS - 1, value - least), b'*');
        }
        put(out, format_args!("{} ", time::format_wall(format, *start)));
        out.extend_from_slice(&line);
        match value {
            Some(value) => put(out, format_args!(" {value}\n")),
            None => out.extend_from_slice(b" -\n"),
        }
    }
    put(out, format_args!("{:width$} ", ""));
    edge('v', out);
    scale(out);
}

/// Appends it as JSON: an object for each interval that has a value.
pub(super) fn write_json(series: &Series, out: &mut Vec<u8>) {
    out.push(b'[');
    let mut comma = "";
    for (start, value) in &series.shown {
        let Some(value) = value else { continue };
        let moment = time::utc(*start);
        put(
            out,
            format_args!("{comma}{{\"interval_start\":\"{moment}\",\"value\":{value}}}"),
        );
        comma = ",";
    }
    out.push(b']');
}

fn put(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(arguments);
}
