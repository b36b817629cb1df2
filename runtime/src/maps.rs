//! Maps: read, fold, sort, clear, zero.
//!
//! Takes a map's schema and its kernel half; gives its elements as values in the order the
//! language reference prescribes. Reads a whole map before anything of it is shown, so that
//! a program that goes on writing disturbs one element at most.

use std::cell::Cell;
use std::cmp::Ordering;
use std::io;

use rbt_compiler::artifact::{Manifest, MapId, MapRole, MapSchema, MapValue, Shape, Storage};

use crate::error::{Error, Malformed};
use crate::load::KernelMaps;
use crate::output::{OutputFormat, Printer};
use crate::record::Decoder;
use crate::sys;
use crate::value::Value;
use crate::vocabulary::{Fold, Handlers};

mod order;
#[cfg(test)]
mod tests;

/// Bytes before a keyless map's value: the word that says it was written.
const PRESENCE: usize = 8;

/// Where the flag of an element that may be absent begins.
const KEPT_FLAG: usize = 8;

/// How elements are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By value, if that is a number, statistics or a histogram; else by key.
    Natural,
    /// By value, taken as unsigned.
    Unsigned,
    /// By value, taken as signed.
    Signed,
    /// By key.
    Key,
}

/// A map as it is shown.
#[derive(Debug)]
pub struct MapReport<'a> {
    /// Its name with `@`.
    pub name: String,
    /// What JSON calls it.
    pub kind: &'static str,
    /// Keys (none in a keyless map) and values, in order.
    pub entries: Vec<(Option<Value<'a>>, Value<'a>)>,
}

impl MapReport<'_> {
    /// Keeps the last `top` elements (all for 0) and divides their integers.
    pub fn keep(&mut self, top: usize, divisor: u64) {
        if top > 0 {
            self.entries.drain(..self.entries.len().saturating_sub(top));
        }
        if divisor > 1 {
            for (_, value) in &mut self.entries {
                *value = std::mem::take(value).divided(divisor);
            }
        }
    }
}

/// The bytes of a map's elements.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    keys: Vec<u8>,
    key_size: usize,
    values: Vec<u8>,
    /// Bytes of an element: of all CPUs' values.
    element_size: usize,
    /// Bytes from one CPU's value to the next.
    stride: usize,
    count: usize,
}

impl Elements {
    fn key(&self, index: usize) -> &[u8] {
        let start = index.saturating_mul(self.key_size);
        self.keys.get(start..start + self.key_size).unwrap_or(&[])
    }

    fn value(&self, index: usize) -> &[u8] {
        let start = index.saturating_mul(self.element_size);
        self.values
            .get(start..start + self.element_size)
            .unwrap_or(&[])
    }

    /// Drops elements of zeros: their keys were deleted.
    fn drop_absent(&mut self) {
        let mut kept = 0;
        for index in 0..self.count {
            if self.value(index).iter().all(|byte| *byte == 0) {
                continue;
            }
            let (key, value) = (self.key_size, self.element_size);
            self.keys
                .copy_within(index * key..(index + 1) * key, kept * key);
            self.values
                .copy_within(index * value..(index + 1) * value, kept * value);
            kept += 1;
        }
        self.count = kept;
        self.keys.truncate(kept * self.key_size);
        self.values.truncate(kept * self.element_size);
    }

    /// Each CPU's value of an element; one where there are no such.
    fn slots(&self, index: usize) -> impl Iterator<Item = &[u8]> {
        self.value(index).chunks(self.stride.max(1))
    }
}

fn schema(manifest: &Manifest, map: MapId) -> Result<&MapSchema, Malformed> {
    manifest
        .maps
        .get(map.0 as usize)
        .ok_or_else(|| Malformed::new(format!("there is no map {}", map.0)))
}

fn failed(what: &str, schema: &MapSchema) -> impl Fn(io::Error) -> Error {
    let attempted = format!("{what} the map @{}", schema.name);
    move |error| Error::system(attempted.clone(), error)
}

fn is_keyed(schema: &MapSchema) -> bool {
    matches!(&schema.role, MapRole::Script { key: Some(_), .. })
}

/// Reads all elements of a map. A keyless map has one, written or not.
pub(crate) fn read(maps: &KernelMaps, manifest: &Manifest, map: MapId) -> Result<Elements, Error> {
    let schema = schema(manifest, map)?;
    if let Storage::Global { variable } = &schema.storage {
        let values = maps.global(manifest, *variable)?;
        return Ok(Elements {
            element_size: values.len(),
            stride: values.len(),
            count: 1,
            values,
            ..Elements::default()
        });
    }
    let kernel = maps.get(map)?;
    let mut elements = Elements {
        key_size: kernel.key_size(),
        element_size: kernel.element_size(),
        stride: kernel.stride(),
        ..Elements::default()
    };
    let result = if is_keyed(schema) {
        read_all(kernel, &mut elements)
    } else {
        elements.keys = vec![0; elements.key_size];
        elements.values = vec![0; elements.element_size];
        elements.count = 1;
        kernel
            .lookup(&elements.keys, &mut elements.values)
            .map(drop)
    };
    result.map_err(failed("read", schema))?;
    if schema.is_kept {
        elements.drop_absent();
    }
    Ok(elements)
}

/// Reads the element of a key of a keyed map, given as its first bytes; zeros if there is none.
pub(crate) fn read_element(
    maps: &KernelMaps,
    manifest: &Manifest,
    map: MapId,
    key: &[u8],
) -> Result<Elements, Error> {
    let schema = schema(manifest, map)?;
    let kernel = maps.get(map)?;
    let mut elements = Elements {
        keys: key.to_vec(),
        key_size: kernel.key_size(),
        values: vec![0; kernel.element_size()],
        element_size: kernel.element_size(),
        stride: kernel.stride(),
        count: 1,
    };
    elements.keys.resize(elements.key_size, 0);
    let result = kernel.lookup(&elements.keys, &mut elements.values);
    if !result.map_err(failed("read", schema))? {
        elements.values.fill(0);
    }
    Ok(elements)
}

/// Prints the value of the only element.
pub(crate) fn print_value(
    decoder: &Decoder<'_>,
    handlers: &Handlers,
    map: MapId,
    elements: &Elements,
    printer: &mut Printer,
) -> Result<(), Error> {
    let reading = Reading::of(decoder, handlers, map, elements)?;
    Ok(printer.value(&reading.value(0)?)?)
}

/// Elements of one request: the kernel wants room for one whole bucket at least.
const BATCH: usize = 1024;

fn read_all(kernel: &sys::Map, elements: &mut Elements) -> io::Result<()> {
    let mut cursor = sys::BatchCursor::default();
    let mut room = BATCH.min((kernel.max_entries() as usize).max(16));
    loop {
        let (key_end, value_end) = (
            elements.count * elements.key_size,
            elements.count * elements.element_size,
        );
        elements.keys.resize(key_end + room * elements.key_size, 0);
        elements
            .values
            .resize(value_end + room * elements.element_size, 0);
        let (Some(keys), Some(values)) = (
            elements.keys.get_mut(key_end..),
            elements.values.get_mut(value_end..),
        ) else {
            return Ok(());
        };
        match kernel.lookup_batch(&mut cursor, keys, values) {
            Ok((got, has_more)) => {
                elements.count += got;
                if !has_more {
                    break;
                }
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && room < 1 << 24 => room *= 2,
            Err(_) if elements.count == 0 => return read_one_by_one(kernel, elements),
            Err(error) => return Err(error),
        }
    }
    elements.keys.truncate(elements.count * elements.key_size);
    elements
        .values
        .truncate(elements.count * elements.element_size);
    Ok(())
}

/// For kinds of map, and kernels, without requests of many elements.
fn read_one_by_one(kernel: &sys::Map, elements: &mut Elements) -> io::Result<()> {
    let keys = all_keys(kernel)?;
    let mut value = vec![0; elements.element_size];
    elements.keys.clear();
    elements.values.clear();
    for key in keys.chunks(elements.key_size.max(1)) {
        if kernel.lookup(key, &mut value)? {
            elements.keys.extend_from_slice(key);
            elements.values.extend_from_slice(&value);
            elements.count += 1;
        }
    }
    Ok(())
}

/// All keys, one after the other. When one is removed meanwhile the kernel starts again, so
/// the walk ends after twice as many as fit.
fn all_keys(kernel: &sys::Map) -> io::Result<Vec<u8>> {
    let mut keys = Vec::new();
    let mut next = vec![0; kernel.key_size()];
    let mut last: Option<Vec<u8>> = None;
    for _ in 0..u64::from(kernel.max_entries()) * 2 {
        if !kernel.next_key(last.as_deref(), &mut next)? {
            break;
        }
        keys.extend_from_slice(&next);
        last = Some(next.clone());
    }
    Ok(keys)
}

/// How the elements of a map become values.
struct Reading<'a> {
    decoder: &'a Decoder<'a>,
    schema: &'a MapSchema,
    key: Option<&'a Shape>,
    value: &'a MapValue,
    /// The word of an aggregation.
    fold: Option<&'static dyn Fold>,
    elements: &'a Elements,
    /// The last interval of any element, where elements are series.
    last_interval: Cell<Option<u64>>,
}

impl<'a> Reading<'a> {
    fn of(
        decoder: &'a Decoder<'a>,
        handlers: &Handlers,
        map: MapId,
        elements: &'a Elements,
    ) -> Result<Reading<'a>, Malformed> {
        let schema = schema(decoder.manifest, map)?;
        let MapRole::Script { key, value } = &schema.role else {
            let what = format!("{} is no map of the script", schema.symbol);
            return Err(Malformed::new(what));
        };
        let fold = match value {
            MapValue::Plain(_) => None,
            MapValue::Aggregate { word, .. } => Some(handlers.fold(word).ok_or_else(|| {
                Malformed::new(format!("nothing is known about the map kind `{word}`"))
            })?),
        };
        Ok(Reading {
            decoder,
            schema,
            key: key.as_ref(),
            value,
            fold,
            elements,
            last_interval: Cell::new(None),
        })
    }

    fn key(&self, index: usize) -> Result<Option<Value<'a>>, Malformed> {
        let shape = self.key.as_ref();
        shape
            .map(|shape| self.decoder.value(shape, self.elements.key(index)))
            .transpose()
    }

    fn value(&self, index: usize) -> Result<Value<'a>, Malformed> {
        let mut value = self.stored(index)?;
        if let Value::Series(series) = &mut value {
            let settings = &self.decoder.manifest.settings;
            let zero = match settings.has_dummy_clock {
                true => 0,
                false => self.decoder.clock.zero(),
            };
            series.show(self.last_interval()?, zero);
        }
        Ok(value)
    }

    /// All series of a map end where the latest does.
    fn last_interval(&self) -> Result<u64, Malformed> {
        if let Some(known) = self.last_interval.get() {
            return Ok(known);
        }
        let mut last = 0;
        for index in 0..self.elements.count {
            if let Value::Series(series) = self.stored(index)? {
                last = series.values.last().map_or(last, |(n, _)| last.max(*n));
            }
        }
        self.last_interval.set(Some(last));
        Ok(last)
    }

    fn stored(&self, index: usize) -> Result<Value<'a>, Malformed> {
        let skipped = if self.key.is_none() { PRESENCE } else { 0 };
        match (self.value, self.fold) {
            (MapValue::Plain(shape), _) => {
                let bytes = self.elements.value(index).get(skipped..).unwrap_or(&[]);
                self.decoder.value(shape, bytes)
            }
            (
                MapValue::Aggregate {
                    params,
                    is_signed,
                    slot_size,
                    ..
                },
                Some(fold),
            ) => {
                let end = skipped + *slot_size as usize;
                let mut slots = self.elements.slots(index);
                // Most machines have few CPUs: no block of memory for each element.
                let mut few: [&[u8]; 16] = [&[]; 16];
                let count = self.elements.element_size / self.elements.stride.max(1);
                let many: Vec<&[u8]>;
                let slots = match few.get_mut(..count) {
                    Some(few) => {
                        for (to, slot) in few.iter_mut().zip(&mut slots) {
                            *to = slot.get(skipped..end).unwrap_or(&[]);
                        }
                        &*few
                    }
                    None => {
                        many = slots.map(|s| s.get(skipped..end).unwrap_or(&[])).collect();
                        &many
                    }
                };
                if slots.iter().any(|slot| slot.is_empty()) {
                    return Err(Malformed::new(format!(
                        "a slot of `{}` is shorter than {slot_size} bytes",
                        self.schema.symbol
                    )));
                }
                Ok(fold.fold(params, *is_signed, slots))
            }
            (MapValue::Aggregate { word, .. }, None) => Err(Malformed::new(format!(
                "nothing is known about the map kind `{word}`"
            ))),
        }
    }

    fn order(&self) -> Order {
        self.fold.map_or(Order::Natural, |fold| fold.order())
    }

    /// The numbers of the elements in the order they are shown, if bytes say it.
    fn sorted(&self) -> Result<Option<Vec<u32>>, Malformed> {
        let Some(key) = self.key else {
            return Ok(None);
        };
        let is_signed = match self.value {
            MapValue::Aggregate { is_signed, .. } => *is_signed,
            MapValue::Plain(_) => false,
        };
        let order = self.order();
        let mut ranks = Vec::with_capacity(self.elements.count);
        for index in 0..self.elements.count {
            ranks.push(order::rank(order, &self.value(index)?, is_signed));
        }
        Ok(order::sort(self.elements, key, &ranks))
    }
}

/// Prints a map: the last `top` elements (all for 0), integers divided (not for 0).
pub(crate) fn print(
    decoder: &Decoder<'_>,
    handlers: &Handlers,
    map: MapId,
    elements: &Elements,
    (top, divisor): (usize, u64),
    printer: &mut Printer,
) -> Result<(), Error> {
    let reading = Reading::of(decoder, handlers, map, elements)?;
    let sorted = match printer.format() {
        OutputFormat::Text => reading.sorted()?,
        OutputFormat::Json => None,
    };
    let Some(sorted) = sorted else {
        let mut report = report(decoder, handlers, map, elements)?;
        report.keep(top, divisor);
        return Ok(printer.map(&report)?);
    };
    // An element at a time: the values of a million would take more memory than the map.
    let name = format!("@{}", reading.schema.name);
    let skipped = match top {
        0 => 0,
        top => sorted.len().saturating_sub(top),
    };
    for index in sorted.into_iter().skip(skipped) {
        let value = reading.value(index as usize)?.divided(divisor);
        printer.element(&name, reading.key(index as usize)?.as_ref(), &value)?;
    }
    Ok(())
}

/// The elements of a map as values, in order. A keyless map that was never written has its
/// zero value, histograms excepted, which have no element then.
pub(crate) fn report<'a>(
    decoder: &'a Decoder<'a>,
    handlers: &Handlers,
    map: MapId,
    elements: &'a Elements,
) -> Result<MapReport<'a>, Error> {
    let reading = Reading::of(decoder, handlers, map, elements)?;
    let order = reading.order();
    let mut entries = Vec::with_capacity(elements.count);
    for index in 0..elements.count {
        let value = reading.value(index)?;
        let is_keyless = reading.key.is_none();
        let is_chart = matches!(value, Value::Histogram(_) | Value::Series(_));
        if is_keyless && is_chart && !is_present(elements) {
            continue;
        }
        entries.push((reading.key(index)?, value));
    }
    // Keys are different, so there is nothing for a stable sort (and its copy) to keep.
    entries.sort_unstable_by(|(key_a, a), (key_b, b)| {
        compare_values(order, a, b).then_with(|| compare_keys(key_a, key_b))
    });
    Ok(MapReport {
        name: format!("@{}", reading.schema.name),
        kind: reading.fold.map_or("map", |fold| fold.kind()),
        entries,
    })
}

/// Whether a keyless map was written.
fn is_present(elements: &Elements) -> bool {
    let is_set = |slot: &[u8]| slot.iter().take(PRESENCE).any(|byte| *byte != 0);
    elements.slots(0).any(is_set)
}

/// The maps that print at the end, by the bytes of their names: those of the script that hold
/// anything.
pub(crate) fn reports_at_exit(manifest: &Manifest) -> Vec<MapId> {
    let mut ids: Vec<(&str, MapId)> = manifest
        .maps
        .iter()
        .zip(0..)
        .filter(|(schema, _)| matches!(schema.role, MapRole::Script { .. }))
        .map(|(schema, id)| (schema.name.as_str(), MapId(id)))
        .collect();
    ids.sort_unstable();
    ids.into_iter().map(|(_, id)| id).collect()
}

/// Whether a map has anything to print at the end.
pub(crate) fn holds_anything(manifest: &Manifest, map: MapId, elements: &Elements) -> bool {
    let Ok(schema) = schema(manifest, map) else {
        return false;
    };
    if is_keyed(schema) {
        elements.count > 0
    } else {
        is_present(elements)
    }
}

fn compare_values(order: Order, a: &Value<'_>, b: &Value<'_>) -> Ordering {
    let bits = || a.bits().zip(b.bits());
    match order {
        Order::Key => Ordering::Equal,
        Order::Unsigned => bits().map_or(Ordering::Equal, |(a, b)| a.cmp(&b)),
        Order::Signed => bits().map_or(Ordering::Equal, |(a, b)| (a as i64).cmp(&(b as i64))),
        Order::Natural => match (a, b) {
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Unsigned(a), Value::Unsigned(b)) => a.cmp(b),
            (Value::Enum { value: a, .. }, Value::Enum { value: b, .. }) => a.cmp(b),
            (Value::Stats(a), Value::Stats(b)) => a.average.cmp(&b.average),
            (Value::Histogram(a), Value::Histogram(b)) => a.total().cmp(&b.total()),
            _ => Ordering::Equal,
        },
    }
}

fn compare_keys(a: &Option<Value<'_>>, b: &Option<Value<'_>>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => compare(a, b),
        _ => Ordering::Equal,
    }
}

/// Orders keys of one map: integers as signed ones, texts by bytes, tuples part by part.
fn compare(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Unsigned(a), Value::Unsigned(b)) => (*a as i64).cmp(&(*b as i64)),
        (Value::Enum { value: a, .. }, Value::Enum { value: b, .. }) => a.cmp(b),
        (Value::Text(a) | Value::Buffer(a), Value::Text(b) | Value::Buffer(b)) => a.cmp(b),
        (Value::Tuple(a) | Value::Array(a), Value::Tuple(b) | Value::Array(b)) => {
            compare_parts(a.iter().zip(b))
        }
        (Value::Struct(a), Value::Struct(b)) => {
            compare_parts(a.iter().zip(b).map(|((_, a), (_, b))| (a, b)))
        }
        (Value::Inet(a), Value::Inet(b)) => a.cmp(b),
        (Value::Mac(a), Value::Mac(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b)) => a.cmp(b),
        (Value::Stack(a), Value::Stack(b)) => {
            let addresses = |s: &crate::value::Stack| -> Vec<u64> {
                s.frames.iter().map(|frame| frame.address).collect()
            };
            addresses(a).cmp(&addresses(b))
        }
        _ => a.bits().cmp(&b.bits()),
    }
}

fn compare_parts<'v>(mut pairs: impl Iterator<Item = (&'v Value<'v>, &'v Value<'v>)>) -> Ordering {
    pairs
        .find_map(|(a, b)| Some(compare(a, b)).filter(|order| order.is_ne()))
        .unwrap_or(Ordering::Equal)
}

/// Stores elements that [`read`] took from a map of the same use, whatever the storage of
/// either: keyless ones begin with the flag that says whether they were written.
pub(crate) fn write(
    maps: &KernelMaps,
    manifest: &Manifest,
    map: MapId,
    elements: &Elements,
) -> Result<(), Error> {
    let schema = schema(manifest, map)?;
    if let Storage::Global { variable } = &schema.storage {
        return Ok(maps.set_global(manifest, *variable, elements.value(0))?);
    }
    let kernel = maps.get(map)?;
    let keyless = vec![0; kernel.key_size()];
    for index in 0..elements.count {
        let key = if is_keyed(schema) {
            elements.key(index)
        } else {
            &keyless
        };
        kernel
            .update(key, elements.value(index))
            .map_err(failed("fill", schema))?;
    }
    Ok(())
}

/// Removes all elements; a keyless map becomes as if never written.
pub(crate) fn clear(maps: &KernelMaps, manifest: &Manifest, map: MapId) -> Result<(), Error> {
    let schema = schema(manifest, map)?;
    if let Storage::Global { variable } = &schema.storage {
        return Ok(maps.zero_global(manifest, *variable, 0)?);
    }
    let kernel = maps.get(map)?;
    let result = if is_keyed(schema) {
        remove_all(kernel)
    } else {
        kernel.update(&vec![0; kernel.key_size()], &vec![0; kernel.element_size()])
    };
    result.map_err(failed("clear", schema))
}

fn remove_all(kernel: &sys::Map) -> io::Result<()> {
    let keys = all_keys(kernel)?;
    for key in keys.chunks(kernel.key_size().max(1)) {
        kernel.delete(key)?;
    }
    Ok(())
}

/// Sets all values to zero; keys stay, and so does it that a keyless map was written.
pub(crate) fn zero(maps: &KernelMaps, manifest: &Manifest, map: MapId) -> Result<(), Error> {
    let schema = schema(manifest, map)?;
    if let Storage::Global { variable } = &schema.storage {
        return Ok(maps.zero_global(manifest, *variable, PRESENCE as u32)?);
    }
    let kernel = maps.get(map)?;
    let result = if schema.is_kept {
        zero_kept(kernel)
    } else if is_keyed(schema) {
        zero_all(kernel)
    } else {
        zero_keyless(kernel)
    };
    result.map_err(failed("zero", schema))
}

fn zero_all(kernel: &sys::Map) -> io::Result<()> {
    let zeros = vec![0; kernel.element_size()];
    for key in all_keys(kernel)?.chunks(kernel.key_size().max(1)) {
        kernel.update(key, &zeros)?;
    }
    Ok(())
}

/// Zeroes the values of keys that were not deleted: what follows a value says so.
fn zero_kept(kernel: &sys::Map) -> io::Result<()> {
    let mut element = vec![0; kernel.element_size()];
    for key in all_keys(kernel)?.chunks(kernel.key_size().max(1)) {
        if kernel.lookup(key, &mut element)? && element.iter().any(|byte| *byte != 0) {
            element.fill(0);
            if let Some(flag) = element.get_mut(KEPT_FLAG) {
                *flag = 1;
            }
            kernel.update(key, &element)?;
        }
    }
    Ok(())
}

fn zero_keyless(kernel: &sys::Map) -> io::Result<()> {
    let key = vec![0; kernel.key_size()];
    let mut element = vec![0; kernel.element_size()];
    if !kernel.lookup(&key, &mut element)? {
        return Ok(());
    }
    for slot in element.chunks_mut(kernel.stride().max(1)) {
        if let Some(value) = slot.get_mut(PRESENCE..) {
            value.fill(0);
        }
    }
    kernel.update(&key, &element)
}
