//! Bytes and a shape to a [`Value`]; a record of the ring buffer to its values.
//!
//! Takes bytes the kernel wrote and the manifest that says how. Gives values, or a
//! [`Malformed`] where the bytes are too few or refer to what does not exist. Never panics.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use rbt_compiler::artifact::{
    EventSchema, FieldShape, Format, Manifest, MapId, Param, Shape, Site, StackMode,
};

use crate::cgroups::Cgroups;
use crate::error::Malformed;
use crate::host::Host;
use crate::load::KernelMaps;
use crate::symbols::{KernelSymbols, Located, UserSymbols};
use crate::time::Clock;
use crate::unwinding::Unwinding;
use crate::value::{Frame, Stack, Value};
use rbt_compiler::artifact::unwinding::CUT;

/// Everything that decoding looks things up in.
pub struct Decoder<'a> {
    pub(crate) manifest: &'a Manifest,
    pub(crate) host: &'a Host,
    pub(crate) maps: Rc<KernelMaps>,
    pub(crate) clock: Clock,
    users: OnceCell<HashMap<u64, String>>,
    processes: OnceCell<UserSymbols>,
    symbols: OnceCell<Option<KernelSymbols>>,
    unwinding: Option<Unwinding>,
    cgroups: Cgroups,
}

/// One record of the ring buffer.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// What it is and how it is laid out.
    pub schema: &'a EventSchema,
    bytes: &'a [u8],
    decoder: &'a Decoder<'a>,
}

impl<'a> Record<'a> {
    /// The record in `bytes`, which begin with the number of their schema.
    ///
    /// Errors: the number is no event's, or the bytes are fewer than the schema says.
    pub fn new(bytes: &'a [u8], decoder: &'a Decoder<'a>) -> Result<Record<'a>, Malformed> {
        let number = unsigned(bytes, 0, 8)?;
        let schema = usize::try_from(number)
            .ok()
            .and_then(|index| decoder.manifest.events.get(index))
            .ok_or_else(|| Malformed::new(format!("there is no event {number}")))?;
        if bytes.len() < schema.size as usize {
            return Err(Malformed::new(format!(
                "an event of `{}` has {} bytes instead of {}",
                schema.word,
                bytes.len(),
                schema.size
            )));
        }
        Ok(Record {
            schema,
            bytes,
            decoder,
        })
    }

    /// How many values it carries.
    pub fn len(&self) -> usize {
        self.schema.fields.len()
    }

    /// Whether it carries none.
    pub fn is_empty(&self) -> bool {
        self.schema.fields.is_empty()
    }

    /// The value of that index.
    pub fn value(&self, index: usize) -> Result<Value<'a>, Malformed> {
        let field = self
            .schema
            .fields
            .get(index)
            .ok_or_else(|| self.lacks("value", index))?;
        let bytes = self.bytes.get(field.offset as usize..);
        self.decoder.value(&field.shape, bytes.unwrap_or(&[]))
    }

    /// The bytes of the value of that index.
    pub fn bytes(&self, index: usize) -> Result<&'a [u8], Malformed> {
        let field = self.schema.fields.get(index);
        let field = field.ok_or_else(|| self.lacks("value", index))?;
        take(
            self.bytes,
            field.offset as usize,
            field.shape.size() as usize,
        )
    }

    /// All values in order, from the one of index `first` on.
    pub fn values(&self, first: usize) -> impl Iterator<Item = Result<Value<'a>, Malformed>> {
        let record = *self;
        (first..self.len()).map(move |index| record.value(index))
    }

    /// The value of that index as an integer.
    pub fn int(&self, index: usize) -> Result<i64, Malformed> {
        let bits = self.value(index)?.bits();
        bits.map(|bits| bits as i64)
            .ok_or_else(|| self.lacks("integer", index))
    }

    /// Remembers what a process has mapped where the value of that index, a stack or a symbol
    /// of it, points: it may end before that is shown.
    pub fn note_process(&self, index: usize) -> Result<(), Malformed> {
        let field = self.schema.fields.get(index);
        let field = field.ok_or_else(|| self.lacks("value", index))?;
        let bytes = self.bytes.get(field.offset as usize..).unwrap_or(&[]);
        self.decoder.note_process(&field.shape, bytes)
    }

    /// What the word was told at compile time, by index.
    pub fn param(&self, index: usize) -> Option<&'a Param> {
        self.schema.params.get(index)
    }

    /// The parameter of that index, which is a map.
    pub fn map_param(&self, index: usize) -> Result<MapId, Malformed> {
        match self.param(index) {
            Some(Param::Map(map)) => Ok(*map),
            _ => Err(self.lacks("map", index)),
        }
    }

    /// The parameter of that index, which is a number.
    pub fn int_param(&self, index: usize) -> Result<i64, Malformed> {
        match self.param(index) {
            Some(Param::Int(number)) => Ok(*number),
            _ => Err(self.lacks("number", index)),
        }
    }

    /// The parameter of that index, which is a text.
    pub fn text_param(&self, index: usize) -> Result<&'a str, Malformed> {
        match self.param(index) {
            Some(Param::Text(text)) => Ok(text),
            _ => Err(self.lacks("text", index)),
        }
    }

    /// The parameter of that index, which is a format.
    pub fn format_param(&self, index: usize) -> Result<&'a Format, Malformed> {
        match self.param(index) {
            Some(Param::Format(format)) => Ok(format),
            _ => Err(self.lacks("format", index)),
        }
    }

    fn lacks(&self, what: &str, index: usize) -> Malformed {
        let word = &self.schema.word;
        Malformed::new(format!("an event of `{word}` has no {what} at {index}"))
    }
}

impl<'a> Decoder<'a> {
    /// Decodes by `manifest`, with this machine's symbols, clock and users.
    pub fn new(manifest: &'a Manifest, host: &'a Host, maps: Rc<KernelMaps>) -> Decoder<'a> {
        Decoder {
            manifest,
            host,
            maps,
            clock: Clock::now(),
            users: OnceCell::new(),
            processes: OnceCell::new(),
            symbols: OnceCell::new(),
            unwinding: Unwinding::of(manifest),
            cgroups: Cgroups::default(),
        }
    }

    /// The value of that shape at the start of `bytes`.
    pub fn value<'b>(&'b self, shape: &'b Shape, bytes: &'b [u8]) -> Result<Value<'b>, Malformed> {
        Ok(match shape {
            Shape::None => Value::None,
            Shape::Int { size, is_signed } => int(bytes, *size, *is_signed)?,
            Shape::Bool => Value::Bool(unsigned(bytes, 0, 1)? != 0),
            Shape::Enum { size, names } => {
                let value = signed(bytes, 0, usize::from(*size))?;
                // A C enum's bytes do not say whether they are signed: the names do.
                let raw = unsigned(bytes, 0, usize::from(*size))? as i64;
                let known = names.iter().find(|(n, _)| *n == value || *n == raw);
                Value::Enum {
                    value: known.map_or(value, |(n, _)| *n),
                    name: known.map(|(_, name)| name.as_str()),
                }
            }
            Shape::Pointer => Value::Pointer(unsigned(bytes, 0, 8)?),
            Shape::Text { capacity } => self.text(take(bytes, 0, *capacity as usize)?),
            Shape::Buffer { capacity } => {
                let length = unsigned(bytes, 0, 4)?.min(u64::from(*capacity)) as usize;
                Value::Buffer(Cow::Borrowed(take(bytes, 4, length)?))
            }
            Shape::Array {
                element,
                stride,
                count,
            } => Value::Array(self.array(element, *stride as usize, *count as usize, bytes)?),
            Shape::Tuple(parts) => {
                let part = |(offset, shape): &'b (u32, Shape)| {
                    self.value(shape, bytes.get(*offset as usize..).unwrap_or(&[]))
                };
                Value::Tuple(parts.iter().map(part).collect::<Result<_, _>>()?)
            }
            Shape::Struct(fields) => Value::Struct(self.members(fields, bytes)?),
            Shape::KernelSymbol => self.kernel_symbol(unsigned(bytes, 0, 8)?),
            Shape::UserSymbol => {
                let address = unsigned(bytes, 0, 8)?;
                let located = self.located(unsigned(bytes, 8, 4)?, address);
                let symbol = located.symbol.as_ref();
                Value::Symbol {
                    address,
                    name: symbol.map(|(name, _)| Cow::Owned(name.clone())),
                }
            }
            Shape::Inet => inet(bytes)?,
            Shape::Mac => {
                let mut address = [0; 6];
                address.copy_from_slice(take(bytes, 0, 6)?);
                Value::Mac(address)
            }
            Shape::Timestamp => {
                let format = self.manifest_text(unsigned(bytes, 0, 8)?)?;
                Value::Time(self.clock.format(format, unsigned(bytes, 8, 8)?))
            }
            Shape::CgroupPath => {
                let filter = self.manifest_text(unsigned(bytes, 0, 8)?)?;
                let paths = self.cgroups.paths(unsigned(bytes, 8, 8)?, filter);
                Value::Text(Cow::Owned(paths.into_bytes()))
            }
            Shape::Username => self.username(unsigned(bytes, 0, 8)?),
            Shape::Site => {
                let site = self.site(unsigned(bytes, 0, 8)?)?;
                Value::Text(Cow::Borrowed(site.text.as_bytes()))
            }
            Shape::SiteFunction => {
                let site = self.site(unsigned(bytes, 0, 8)?)?;
                Value::Text(Cow::Borrowed(site.function.as_bytes()))
            }
            Shape::TextNumber => {
                let text = self.manifest_text(unsigned(bytes, 0, 8)?)?;
                Value::Text(Cow::Borrowed(text.as_bytes()))
            }
            Shape::Stack {
                map, is_user, mode, ..
            } => Value::Stack(self.stack(*map, *is_user, *mode, take(bytes, 0, 16)?)?),
        })
    }

    fn site(&self, number: u64) -> Result<&Site, Malformed> {
        let site = index(number).and_then(|index| self.manifest.sites.get(index));
        site.ok_or_else(|| Malformed::new(format!("no site {number}")))
    }

    fn text<'b>(&'b self, bytes: &'b [u8]) -> Value<'b> {
        let Some(end) = bytes.iter().position(|byte| *byte == 0) else {
            let trailer = self.manifest.settings.truncation_trailer.as_bytes();
            return Value::Text(Cow::Owned([bytes, trailer].concat()));
        };
        Value::Text(Cow::Borrowed(bytes.get(..end).unwrap_or(bytes)))
    }

    fn array<'b>(
        &'b self,
        element: &'b Shape,
        stride: usize,
        count: usize,
        bytes: &'b [u8],
    ) -> Result<Vec<Value<'b>>, Malformed> {
        (0..count)
            .map(|i| {
                self.value(
                    element,
                    bytes.get(i.saturating_mul(stride)..).unwrap_or(&[]),
                )
            })
            .collect()
    }

    fn members<'b>(
        &'b self,
        fields: &'b [FieldShape],
        bytes: &'b [u8],
    ) -> Result<Vec<(Cow<'b, str>, Value<'b>)>, Malformed> {
        let mut members = Vec::with_capacity(fields.len());
        for field in fields {
            let at = bytes.get(field.offset as usize..).unwrap_or(&[]);
            let value = match field.bits {
                Some((first, width)) => bit_field(&field.shape, at, first, width)?,
                None => self.value(&field.shape, at)?,
            };
            match value {
                Value::Struct(inner) if field.name.is_empty() => members.extend(inner),
                value => members.push((Cow::Borrowed(field.name.as_str()), value)),
            }
        }
        Ok(members)
    }

    fn manifest_text(&self, number: u64) -> Result<&str, Malformed> {
        index(number)
            .and_then(|index| self.manifest.texts.get(index))
            .map(String::as_str)
            .ok_or_else(|| Malformed::new(format!("there is no text {number}")))
    }

    fn kernel_symbol(&self, address: u64) -> Value<'_> {
        let symbols = self.kernel_symbols();
        let found = symbols.and_then(|symbols| symbols.at(address));
        Value::Symbol {
            address,
            name: found.map(|(name, _)| Cow::Borrowed(name)),
        }
    }

    fn username(&self, id: u64) -> Value<'_> {
        let users = self.users.get_or_init(|| {
            let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
            let entry = |line: &str| {
                let mut parts = line.split(':');
                let (name, id) = (parts.next()?, parts.nth(1)?);
                Some((id.parse().ok()?, name.to_owned()))
            };
            text.lines().filter_map(entry).collect()
        });
        Value::Username {
            id,
            name: users.get(&id).cloned(),
        }
    }

    /// A stack by its value: see [`Shape::Stack`].
    fn stack(
        &self,
        map: MapId,
        is_user: bool,
        mode: StackMode,
        value: &[u8],
    ) -> Result<Stack, Malformed> {
        let count = unsigned(value, 12, 4)?;
        let is_cut = count & u64::from(CUT) != 0;
        let count = (count & u64::from(!CUT)) as usize;
        let mut stack = Stack {
            mode,
            is_user,
            is_cut,
            frames: Vec::with_capacity(count.min(1024)),
        };
        if count == 0 {
            return Ok(stack);
        }
        let process = unsigned(value, 8, 4)?;
        let bytes = self.maps.element(map, value)?;
        for frame in bytes.chunks_exact(mode.frame_size() as usize).take(count) {
            let frame = self.frame(is_user.then_some(process), mode, frame)?;
            stack.frames.push(frame);
        }
        Ok(stack)
    }

    /// Remembers what a process has mapped where a value of it points.
    fn note_process(&self, shape: &Shape, bytes: &[u8]) -> Result<(), Malformed> {
        let process = unsigned(bytes, 8, 4)?;
        let addresses = match shape {
            Shape::Stack { map, .. } => {
                let frames = self.maps.element(*map, take(bytes, 0, 16)?)?;
                let frames = frames.chunks_exact(8).map(|frame| unsigned(frame, 0, 8));
                let count = unsigned(bytes, 12, 4)? & u64::from(!CUT);
                frames
                    .take(count as usize)
                    .collect::<Result<Vec<u64>, _>>()?
            }
            _ => vec![unsigned(bytes, 0, 8)?],
        };
        if let Ok(process) = u32::try_from(process) {
            self.processes().note(process, &addresses);
            if matches!(shape, Shape::Stack { .. }) {
                self.unwind(process);
            }
        }
        Ok(())
    }

    /// The same, and remembers what it has mapped: it may end before that is shown.
    pub(crate) fn unwind_and_note(&self, process: u32) {
        self.processes().note(process, &[1 << 16]);
        self.unwind(process);
    }

    /// Whether stacks of processes are unwound.
    pub(crate) fn unwinds(&self) -> bool {
        self.unwinding.is_some()
    }

    /// Tells programs how stacks of a process are unwound, if they are to know.
    pub(crate) fn unwind(&self, process: u32) {
        if let Some(unwinding) = &self.unwinding {
            unwinding.learn(process, &self.maps);
        }
    }

    /// The kernel's symbols as they are when the first is needed: unlike those that a script
    /// was compiled with, they have its programs.
    fn kernel_symbols(&self) -> Option<&KernelSymbols> {
        let symbols = self.symbols.get_or_init(|| KernelSymbols::read().ok());
        symbols.as_ref()
    }

    fn processes(&self) -> &UserSymbols {
        let new = || UserSymbols::new(&self.manifest.settings, &self.host.files().debug_folders);
        self.processes.get_or_init(new)
    }

    fn located(&self, process: u64, address: u64) -> Rc<Located> {
        match u32::try_from(process) {
            Ok(process) => self.processes().at(process, address),
            Err(_) => Rc::default(),
        }
    }

    /// One frame as the kernel gives it; of a process, if one is given.
    fn frame(
        &self,
        process: Option<u64>,
        mode: StackMode,
        bytes: &[u8],
    ) -> Result<Frame, Malformed> {
        let mut frame = Frame::default();
        match mode {
            StackMode::BuildId => {
                // struct bpf_stack_build_id: status, build id, offset or address.
                const VALID: u64 = 1;
                frame.address = unsigned(bytes, 24, 8)?;
                if unsigned(bytes, 0, 4)? == VALID {
                    let mut id = [0; 20];
                    id.copy_from_slice(take(bytes, 4, 20)?);
                    frame.build_id = Some(id);
                }
            }
            StackMode::Raw => frame.address = unsigned(bytes, 0, 8)?,
            StackMode::Bpftrace | StackMode::Perf => {
                frame.address = unsigned(bytes, 0, 8)?;
                if let Some(process) = process {
                    let located = self.located(process, frame.address);
                    frame.symbol = located.symbol.clone();
                    frame.module = located.module.clone();
                    frame.line = located.line.clone();
                    frame.inlined = located.inlined.clone();
                } else if let Some(symbols) = self.kernel_symbols() {
                    let found = symbols.at(frame.address);
                    frame.symbol = found.map(|(name, distance)| (name.to_owned(), distance));
                }
            }
        }
        Ok(frame)
    }
}

fn index(number: u64) -> Option<usize> {
    usize::try_from(number).ok()
}

fn take(bytes: &[u8], start: usize, length: usize) -> Result<&[u8], Malformed> {
    let end = start.saturating_add(length);
    bytes
        .get(start..end)
        .ok_or_else(|| Malformed::new(format!("{} bytes where {end} are needed", bytes.len())))
}

/// An integer of 1 to 8 bytes, zero-extended.
pub(crate) fn unsigned(bytes: &[u8], start: usize, size: usize) -> Result<u64, Malformed> {
    let mut word = [0; 8];
    let taken = take(bytes, start, size.min(8))?;
    for (to, from) in word.iter_mut().zip(taken) {
        *to = *from;
    }
    // The kernels rbt runs on are little-endian, so a short integer is its low bytes.
    Ok(u64::from_le_bytes(word))
}

/// An integer of 1 to 8 bytes, sign-extended.
fn signed(bytes: &[u8], start: usize, size: usize) -> Result<i64, Malformed> {
    let value = unsigned(bytes, start, size)?;
    let spare = 64 - 8 * size.clamp(1, 8) as u32;
    Ok((value << spare) as i64 >> spare)
}

fn int(bytes: &[u8], size: u8, is_signed: bool) -> Result<Value<'static>, Malformed> {
    Ok(if is_signed {
        Value::Int(signed(bytes, 0, usize::from(size))?)
    } else {
        Value::Unsigned(unsigned(bytes, 0, usize::from(size))?)
    })
}

fn bit_field(
    shape: &Shape,
    bytes: &[u8],
    first: u8,
    width: u8,
) -> Result<Value<'static>, Malformed> {
    let whole = unsigned(bytes, 0, shape.size() as usize)?;
    let spare = 64 - u32::from(width.clamp(1, 64));
    let low = whole.checked_shr(u32::from(first)).unwrap_or(0) << spare;
    // The language masks the bits and extends no sign.
    Ok(match shape {
        Shape::Int {
            is_signed: true, ..
        } => Value::Int((low >> spare).cast_signed()),
        Shape::Bool => Value::Bool(low != 0),
        _ => Value::Unsigned(low >> spare),
    })
}

fn inet(bytes: &[u8]) -> Result<Value<'static>, Malformed> {
    const INET: u64 = 2;
    const INET6: u64 = 10;
    match unsigned(bytes, 0, 4)? {
        INET => {
            let mut address = [0; 4];
            address.copy_from_slice(take(bytes, 4, 4)?);
            Ok(Value::Inet(IpAddr::V4(Ipv4Addr::from(address))))
        }
        INET6 => {
            let mut address = [0; 16];
            address.copy_from_slice(take(bytes, 4, 16)?);
            Ok(Value::Inet(IpAddr::V6(Ipv6Addr::from(address))))
        }
        // An absent map element reads as zero bytes, and a script may give any family.
        _ => Ok(Value::Text(Cow::Borrowed(b""))),
    }
}

#[cfg(test)]
mod tests;
