//! The order of elements, and folding of CPUs' slots, on elements made by hand.

use super::*;
use crate::host::Host;
use crate::output::text;
use crate::vocabulary::Fold;
use rbt_compiler::word::{Doc, Word};
use rbt_grammar::source::Span;
use std::rc::Rc;

/// A map kind of the tests' own: adds up what the CPUs have.
struct Total(Order);

static TOTAL: Total = Total(Order::Natural);

impl Word for Total {
    fn name(&self) -> &'static str {
        "total"
    }

    fn doc(&self) -> &'static Doc {
        &Doc {
            usage: &[],
            summary: "",
            details: "",
            examples: &[],
            kernel: "",
        }
    }
}

impl Fold for Total {
    fn fold(&self, _: &[i64], _: bool, slots: &[&[u8]]) -> Value<'static> {
        let words = slots.iter().map(|slot| crate::record::unsigned(slot, 0, 8));
        Value::Int(words.map(|word| word.unwrap_or(0) as i64).sum())
    }

    fn order(&self) -> Order {
        self.0
    }
}

const HANDLERS: Handlers = Handlers {
    actions: &[],
    folds: &[&TOTAL],
};

const INT: Shape = Shape::Int {
    size: 8,
    is_signed: true,
};

fn manifest(key: Option<Shape>, value: MapValue) -> Manifest {
    Manifest {
        maps: vec![MapSchema {
            name: String::from("m"),
            symbol: String::from("m"),
            storage: Storage::Global { variable: 0 },
            role: MapRole::Script { key, value },
            is_kept: false,
            span: Span::default(),
        }],
        ..Manifest::default()
    }
}

fn elements(keys: &[u8], key_size: usize, values: &[u8], stride: usize, cpus: usize) -> Elements {
    Elements {
        keys: keys.to_vec(),
        key_size,
        values: values.to_vec(),
        element_size: stride * cpus,
        stride,
        count: values.len() / (stride * cpus),
    }
}

fn shown(manifest: &Manifest, elements: &Elements, top: usize, divisor: u64) -> String {
    let host = Host::default();
    let decoder = Decoder::new(manifest, &host, Rc::new(KernelMaps::default()));
    let mut report = report(&decoder, &HANDLERS, MapId(0), elements).expect("a report");
    report.keep(top, divisor);
    let mut out = Vec::new();
    for (key, value) in &report.entries {
        text::write_element(&report.name, key.as_ref(), value, &mut out);
    }
    String::from_utf8(out).expect("text")
}

fn words(words: &[i64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn integers_ascend_by_value_then_key() {
    let manifest = manifest(Some(INT), MapValue::Plain(INT));
    let elements = elements(&words(&[1, 9, 3, 2]), 8, &words(&[5, -6, 70, 5]), 8, 1);
    let text = "@m[9]: -6\n@m[1]: 5\n@m[2]: 5\n@m[3]: 70\n";
    assert_eq!(shown(&manifest, &elements, 0, 0), text);
    assert_eq!(shown(&manifest, &elements, 2, 10), "@m[2]: 0\n@m[3]: 7\n");
}

#[test]
fn other_values_order_by_key() {
    let key = Shape::Tuple(vec![(0, INT), (8, Shape::Text { capacity: 8 })]);
    let manifest = manifest(Some(key), MapValue::Plain(Shape::Text { capacity: 2 }));
    let mut keys = Vec::new();
    for (number, text) in [(2, b"a"), (-1, b"z"), (-1, b"b")] {
        keys.extend_from_slice(&words(&[number]));
        keys.extend_from_slice(text);
        keys.extend_from_slice(&[0; 7]);
    }
    let elements = elements(&keys, 16, b"x\0y\0z\0", 2, 1);
    let text = "@m[-1, b]: z\n@m[-1, z]: y\n@m[2, a]: x\n";
    assert_eq!(shown(&manifest, &elements, 0, 0), text);
}

fn total() -> MapValue {
    MapValue::Aggregate {
        word: String::from("total"),
        params: Vec::new(),
        is_signed: true,
        slot_size: 8,
    }
}

#[test]
fn slots_of_all_cpus_become_one_value() {
    let manifest = manifest(Some(INT), total());
    let elements = elements(&words(&[7, 8]), 8, &words(&[1, 2, 3, 100, 0, 200]), 8, 3);
    assert_eq!(shown(&manifest, &elements, 0, 0), "@m[7]: 6\n@m[8]: 300\n");
}

#[test]
fn keyless_maps_say_whether_they_were_written() {
    let manifest = manifest(None, total());
    let written = elements(&[], 0, &words(&[0, 0, 1, 4, 0, 0]), 16, 3);
    assert_eq!(shown(&manifest, &written, 0, 0), "@m: 4\n");
    assert!(holds_anything(&manifest, MapId(0), &written));
    let untouched = elements(&[], 0, &words(&[0, 0, 0, 0, 0, 0]), 16, 3);
    assert_eq!(shown(&manifest, &untouched, 0, 0), "@m: 0\n");
    assert!(!holds_anything(&manifest, MapId(0), &untouched));
}

#[test]
fn slots_that_are_too_short_are_errors() {
    let manifest = manifest(None, total());
    let short = elements(&[], 0, &words(&[1]), 8, 1);
    let host = Host::default();
    let decoder = Decoder::new(&manifest, &host, Rc::new(KernelMaps::default()));
    assert!(report(&decoder, &HANDLERS, MapId(0), &short).is_err());
    assert!(report(&decoder, &HANDLERS, MapId(1), &short).is_err());
}

#[test]
fn orders() {
    let (low, high) = (Value::Int(-1), Value::Int(1));
    assert_eq!(compare_values(Order::Natural, &low, &high), Ordering::Less);
    assert_eq!(compare_values(Order::Signed, &low, &high), Ordering::Less);
    assert_eq!(
        compare_values(Order::Unsigned, &low, &high),
        Ordering::Greater
    );
    assert_eq!(compare_values(Order::Key, &low, &high), Ordering::Equal);
}

#[test]
fn maps_print_in_the_order_of_their_names() {
    let mut manifest = manifest(None, total());
    let schema = manifest.maps.remove(0);
    for name in ["a", "_x", "", "b", "B"] {
        let name = name.to_owned();
        manifest.maps.push(MapSchema {
            name,
            ..schema.clone()
        });
    }
    manifest.maps.push(MapSchema {
        role: MapRole::Scratch,
        ..schema
    });
    let names = reports_at_exit(&manifest).into_iter();
    let names: Vec<&str> = names
        .map(|id| manifest.maps[id.0 as usize].name.as_str())
        .collect();
    assert_eq!(names, ["", "B", "_x", "a", "b"]);
}
