//! Samples of the language reference, byte for byte.

use super::*;
use crate::value::{Bucket, Frame, Histogram, Scale, Stack, Stats};
use rbt_compiler::artifact::StackMode;
use std::borrow::Cow;

fn words(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text.as_bytes()))
}

fn report<'a>(name: &str, entries: Vec<(Option<Value<'a>>, Value<'a>)>) -> MapReport<'a> {
    MapReport {
        name: name.to_owned(),
        kind: "map",
        entries,
    }
}

fn text_of(map: &MapReport<'_>) -> String {
    let mut out = Vec::new();
    for (key, value) in &map.entries {
        text::write_element(&map.name, key.as_ref(), value, &mut out);
    }
    String::from_utf8(out).expect("text")
}

fn json_of(map: &MapReport<'_>) -> String {
    let mut out = Vec::new();
    json::write_map(map, &mut out);
    String::from_utf8(out).expect("text")
}

fn buckets(scale: Scale, edges: &[(Option<i128>, Option<i128>, u64)]) -> Value<'static> {
    let bucket = |(low, high, count): &(Option<i128>, Option<i128>, u64)| Bucket {
        low: *low,
        high: *high,
        count: *count,
    };
    Value::Histogram(Histogram::new(scale, edges.iter().map(bucket)))
}

fn powers() -> Value<'static> {
    buckets(
        Scale::Powers { bits: 0 },
        &[
            (None, Some(0), 1),
            (Some(0), Some(1), 2),
            (Some(1), Some(2), 0),
            (Some(2), Some(4), 1),
            (Some(4), Some(8), 0),
        ],
    )
}

#[test]
fn lines_of_scalars_and_keys() {
    let one = || Value::Int(1);
    let pair = |a, b| Value::Tuple(vec![a, b]);
    let record = || {
        Value::Struct(vec![
            (Cow::Borrowed("x"), Value::Int(1)),
            (Cow::Borrowed("y"), words("z")),
        ])
    };
    let nested = pair(one(), pair(Value::Int(2), Value::Int(3)));
    for (map, expected) in [
        (report("@", vec![(None, one())]), "@: 1\n"),
        (
            report("@a", vec![(None, pair(one(), Value::Int(2)))]),
            "@a: (1, 2)\n",
        ),
        (report("@b", vec![(None, words("str"))]), "@b: str\n"),
        (
            report("@c", vec![(None, record())]),
            "@c: { .x = 1, .y = z }\n",
        ),
        (
            report("@d", vec![(Some(record()), Value::Int(5))]),
            "@d[{ .x = 1, .y = z }]: 5\n",
        ),
        (
            report("@e", vec![(Some(nested), Value::Int(7))]),
            "@e[1, (2, 3)]: 7\n",
        ),
        (
            report(
                "@f",
                vec![(Some(pair(words("a"), words("b"))), Value::Int(2))],
            ),
            "@f[a, b]: 2\n",
        ),
        (
            report("@g", vec![(Some(Value::Pointer(16)), one())]),
            "@g[0x10]: 1\n",
        ),
        (
            report("@i", vec![(Some(Value::Bool(true)), one())]),
            "@i[true]: 1\n",
        ),
        (
            report("@k", vec![(None, Value::Pointer(255))]),
            "@k: 0xff\n",
        ),
        (
            report(
                "@l",
                vec![(Some(words("a key with spaces")), Value::Bool(false))],
            ),
            "@l[a key with spaces]: false\n",
        ),
        (
            report("@m", vec![(Some(words("(x)")), one())]),
            "@m[x]: 1\n",
        ),
        (
            report("@n", vec![(Some(Value::Tuple(vec![Value::Int(5)])), one())]),
            "@n[5]: 1\n",
        ),
        (report("@o", vec![]), ""),
    ] {
        assert_eq!(text_of(&map), expected);
    }
}

#[test]
fn histograms_of_powers() {
    assert_eq!(
        text_of(&report("@bytes", vec![(None, powers())])),
        "\
@bytes:
(..., 0)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |
[0]                    2 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
[1]                    0 |                                                    |
[2, 4)                 1 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |

"
    );
    let key = Value::Tuple(vec![words("cat"), Value::Int(2)]);
    let scale = Scale::Powers { bits: 0 };
    let large = buckets(scale, &[(Some(1 << 19), Some(1 << 20), 1)]);
    assert_eq!(
        text_of(&report("@lat", vec![(Some(key), large)])),
        "\
@lat[cat, 2]:
[512K, 1M)             1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|

"
    );
    let empty = buckets(scale, &[(Some(1), Some(2), 0)]);
    assert_eq!(text_of(&report("@z", vec![(None, empty)])), "@z:\n\n");
}

#[test]
fn edges_with_letters() {
    let label = |bits, low: i128, high: i128| {
        let value = buckets(Scale::Powers { bits }, &[(Some(low), Some(high), 1)]);
        let mut out = Vec::new();
        text::write_value(&value, &mut out);
        let line = String::from_utf8(out).expect("text");
        line.split_once(')')
            .map(|(label, _)| format!("{label})"))
            .expect("an interval")
    };
    assert_eq!(label(0, 1 << 9, 1 << 10), "[512, 1K)");
    assert_eq!(label(0, 1 << 16, 1 << 17), "[64K, 128K)");
    assert_eq!(label(0, 1 << 62, 1 << 63), "[4E, 8E)");
    assert_eq!(label(3, 1 << 40, 9 << 37), "[1024G, 1152G)");
}

#[test]
fn linear_histograms() {
    let rows: Vec<_> = std::iter::once((None, Some(0), 1))
        .chain((0..5).map(|i| (Some(2 * i), Some(2 * i + 2), u64::from(i == 2))))
        .chain(std::iter::once((Some(10), None, 2)))
        .collect();
    let linear = buckets(Scale::Linear { step: 2 }, &rows);
    assert_eq!(
        text_of(&report("@l", vec![(None, linear)])),
        "\
@l:
(..., 0)               1 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |
[0, 2)                 0 |                                                    |
[2, 4)                 0 |                                                    |
[4, 6)                 1 |@@@@@@@@@@@@@@@@@@@@@@@@@@                          |
[6, 8)                 0 |                                                    |
[8, 10)                0 |                                                    |
[10, ...)              2 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|

"
    );
    let kilo = buckets(Scale::Linear { step: 1024 }, &[(Some(0), Some(1024), 1)]);
    assert!(text_of(&report("@", vec![(None, kilo)])).starts_with("@:\n[0, 1K)"));
}

#[test]
fn statistics() {
    let stats = Value::Stats(Box::new(Stats {
        count: 1,
        average: -5,
        total: -5,
    }));
    assert_eq!(
        text_of(&report(
            "@stats",
            vec![(Some(words("bash")), stats.clone())]
        )),
        "@stats[bash]: { .count = 1, .average = -5, .total = -5 }\n"
    );
    let map = MapReport {
        kind: "stats",
        ..report("@v", vec![(Some(Value::Int(1)), stats)])
    };
    assert_eq!(
        json_of(&map),
        "{\"type\": \"stats\", \"data\": {\"@v\": {\"1\": {\"count\": 1, \"average\": -5, \
         \"total\": -5}}}}\n"
    );
}

fn stack(mode: StackMode, is_user: bool) -> Value<'static> {
    let frame = |address, name: Option<(&str, u64)>| Frame {
        address,
        symbol: name.map(|(name, distance)| (name.to_owned(), distance)),
        ..Frame::default()
    };
    Value::Stack(Stack {
        is_cut: false,
        mode,
        is_user,
        frames: vec![frame(0xfff0, Some(("do_idle", 200))), frame(0x7f12, None)],
    })
}

#[test]
fn stacks_as_keys_and_values() {
    let kernel = || stack(StackMode::Bpftrace, false);
    assert_eq!(
        text_of(&report("@", vec![(Some(kernel()), Value::Int(12))])),
        "@[\n        do_idle+200\n        0x7f12\n]: 12\n"
    );
    let key = Value::Tuple(vec![Value::Int(1), kernel(), words("swapper/0")]);
    assert_eq!(
        text_of(&report("@b", vec![(Some(key), Value::Int(4))])),
        "@b[1, \n        do_idle+200\n        0x7f12\n, swapper/0]: 4\n"
    );
    assert_eq!(
        text_of(&report("@v", vec![(None, kernel())])),
        "@v: \n        do_idle+200\n        0x7f12\n\n"
    );
    let shown = |value: &Value<'_>| {
        let mut out = Vec::new();
        text::write_value(value, &mut out);
        String::from_utf8(out).expect("text")
    };
    assert_eq!(
        shown(&stack(StackMode::Perf, true)),
        "\n\tfff0 do_idle+200 ([unknown])\n\t7f12 0x7f12 ([unknown])\n"
    );
    assert_eq!(shown(&stack(StackMode::Raw, false)), "\nfff0\n7f12\n");
    let mut out = Vec::new();
    json::write_value(&kernel(), &mut out);
    assert_eq!(out, b"\"\\n        do_idle+200\\n        0x7f12\\n\"");
}

#[test]
fn json_maps() {
    let map = report("@a", vec![(None, Value::Int(1))]);
    assert_eq!(
        json_of(&map),
        "{\"type\": \"map\", \"data\": {\"@a\": 1}}\n"
    );
    let keys = |k| {
        Value::Tuple(vec![
            words(k),
            Value::Tuple(vec![Value::Int(1), Value::Int(2)]),
        ])
    };
    let map = report(
        "@b",
        vec![
            (Some(keys("a b")), Value::Int(2)),
            (Some(words("k2")), Value::Int(3)),
        ],
    );
    assert_eq!(
        json_of(&map),
        "{\"type\": \"map\", \"data\": {\"@b\": {\"ab,(1,2)\": 2, \"k2\": 3}}}\n"
    );
    let map = MapReport {
        kind: "hist",
        ..report("@h", vec![(None, powers())])
    };
    assert_eq!(
        json_of(&map),
        "{\"type\": \"hist\", \"data\": {\"@h\": [{\"max\": -1, \"count\": 1},\
         {\"min\": 0, \"max\": 0, \"count\": 2},{\"min\": 1, \"max\": 1, \"count\": 0},\
         {\"min\": 2, \"max\": 3, \"count\": 1}]}}\n"
    );
    assert_eq!(json_of(&report("@e", vec![])), "");
}

#[test]
fn json_values() {
    let shown = |value: &Value<'_>| {
        let mut out = Vec::new();
        json::write_value(value, &mut out);
        String::from_utf8(out).expect("text")
    };
    assert_eq!(
        shown(&Value::Unsigned(u64::MAX)),
        "\"18446744073709551615\""
    );
    assert_eq!(
        shown(&Value::Int(9_007_199_254_740_993)),
        "\"9007199254740993\""
    );
    assert_eq!(shown(&Value::Int(1 << 60)), "1152921504606846976");
    assert_eq!(shown(&Value::Pointer(255)), "255");
    let name = Some("NAME");
    assert_eq!(shown(&Value::Enum { value: 3, name }), "3");
    assert_eq!(shown(&Value::Buffer(Cow::Borrowed(b"a\x80"))), "[97,-128]");
    let tuple = Value::Tuple(vec![
        Value::Int(1),
        words("x\"\\\n\r\t\x01é"),
        Value::Array(vec![Value::Int(2)]),
    ]);
    assert_eq!(shown(&tuple), "[1,\"x\\\"\\\\\\n\\r\\t\\u0001é\",[2]]");
    let record = Value::Struct(vec![
        (Cow::Borrowed("a"), Value::Int(1)),
        (Cow::Borrowed("b"), Value::None),
    ]);
    assert_eq!(shown(&record), "{\"a\": 1, \"b\": null}");
}

/// Runs `use_it` on a printer and gives what came out before it was flushed, and in all.
fn printed(
    format: OutputFormat,
    buffering: Buffering,
    use_it: impl FnOnce(&mut Printer),
) -> (String, String) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("rbt-{}-{number}", std::process::id()));
    let mut printer = Printer::new(Some(&path), format, buffering).expect("a file");
    use_it(&mut printer);
    let early = std::fs::read_to_string(&path).expect("text");
    drop(printer);
    let all = std::fs::read_to_string(&path).expect("text");
    std::fs::remove_file(&path).expect("our own file");
    (early, all)
}

fn say(printer: &mut Printer) {
    printer.text("printf", b"a\nb").expect("room");
    printer.end_of_batch().expect("room");
}

#[test]
fn lines_leave_whole() {
    let text = OutputFormat::Text;
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(printed(text, Buffering::Line, say), pair("a\n", "a\nb"));
    assert_eq!(printed(text, Buffering::Full, say), pair("", "a\nb"));
    assert_eq!(printed(text, Buffering::None, say), pair("a\nb", "a\nb"));
}

#[test]
fn records_of_the_run() {
    let (_, all) = printed(OutputFormat::Json, Buffering::Line, |printer| {
        say(printer);
        printer.attached(2).expect("room");
        printer.lost(3).expect("room");
        printer.value(&Value::Int(5)).expect("room");
        printer.finish_events().expect("room");
    });
    assert_eq!(
        all,
        "{\"type\": \"printf\", \"data\": \"a\\nb\"}\n\
         {\"type\": \"attached_probes\", \"count\": 2, \"data\": {\"probes\": 2}}\n\
         {\"type\": \"lost_events\", \"count\": 3, \"data\": {\"events\": 3}}\n\
         {\"type\": \"value\", \"data\": 5}\n"
    );
    let (_, all) = printed(OutputFormat::Text, Buffering::Line, |printer| {
        printer.value(&Value::Int(5)).expect("room");
        printer.finish_events().expect("room");
    });
    assert_eq!(all, "5\n\n\n");
}

#[test]
fn messages_show_their_place() {
    let mut sources = SourceMap::new();
    let id = sources.add("stdin", "BEGIN {\n  @m[2] = 2;\n}");
    let message = Message {
        kind: "helper_error",
        severity: "WARNING",
        text: "Map full",
        span: Span::new(id, 10, 19),
        helper: Some(("map_update_elem", -7)),
        shows_source: true,
    };
    assert_eq!(
        message_text(&message, &sources),
        "stdin:2:3-12: WARNING: Map full\n\
         Additional Info - helper: map_update_elem, retcode: -7\n  @m[2] = 2;\n  ~~~~~~~~~\n"
    );
    assert_eq!(
        message_json(&message, &sources),
        b"{\"type\": \"helper_error\", \"msg\": \"Map full\", \"helper\": \"map_update_elem\", \
          \"retcode\": -7, \"filename\": \"stdin\", \"line\": 2, \"col\": 3}\n"
    );
    let plain = Message {
        helper: None,
        shows_source: false,
        span: Span::new(id, 6, 19),
        ..message
    };
    assert_eq!(
        message_text(&plain, &sources),
        "stdin:1-2: WARNING: Map full\n"
    );
}
