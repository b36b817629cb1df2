//! From an artifact to maps and programs in the kernel.
//!
//! aya-obj parses and relocates the object; the maps and programs are made by our own calls,
//! since the manifest knows what aya's loader cannot (attach types, patched copies, names)
//! and nothing has to be probed first. Never attaches anything.

mod verifier;

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use aya_obj::btf::BtfFeatures;
use aya_obj::{EbpfSectionKind, Function, Map as MapDefinition, Object};
use rbt_compiler::artifact::{
    Artifact, AttachTarget, Attachment, Manifest, MapId, MapKind, MapRole, MapSchema, ProgramKind,
    ProgramPlan, Side, Storage, When,
};
use rbt_compiler::target::Target;
use rbt_grammar::codes;
use rbt_grammar::diagnostic::{Diagnostic, Severity};
use rbt_grammar::source::SourceMap;

use crate::error::{Error, Malformed};
use crate::host::{Host, reason};
use crate::program::Program;
use crate::sys::{self, MapSpec, ProgramSpec, SharedBytes};

/// `BPF_F_MMAPABLE`
const MMAPABLE: u32 = 1 << 10;

/// The maps of a script in the kernel.
#[derive(Debug, Default)]
pub struct KernelMaps {
    /// By number; none for those that live in the data section.
    maps: Vec<Option<sys::Map>>,
    globals: Option<SharedBytes>,
}

/// What was loaded.
pub(crate) struct Loaded<'a> {
    pub(crate) maps: KernelMaps,
    pub(crate) programs: Vec<Program<'a>>,
}

impl KernelMaps {
    /// The map of that number.
    pub(crate) fn get(&self, map: MapId) -> Result<&sys::Map, Malformed> {
        self.maps
            .get(map.0 as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| Malformed::new(format!("map {} is none of the kernel's", map.0)))
    }

    /// The word at byte `offset` of the data section.
    pub(crate) fn word(&self, offset: u32) -> u64 {
        self.globals
            .as_ref()
            .map_or(0, |globals| globals.load(offset))
    }

    /// Sets the word at byte `offset` of the data section.
    pub(crate) fn set_word(&self, offset: u32, value: u64) {
        if let Some(globals) = &self.globals {
            globals.store(offset, value);
        }
    }

    /// The bytes of a variable of the data section.
    pub(crate) fn global(&self, manifest: &Manifest, variable: u32) -> Result<Vec<u8>, Malformed> {
        let place = place(manifest, variable)?;
        let globals = self.globals.as_ref();
        let globals = globals.ok_or_else(|| Malformed::new("there is no data section"))?;
        Ok(globals.copy(place.offset, place.size))
    }

    /// Stores bytes in a variable of the data section, in words.
    pub(crate) fn set_global(
        &self,
        manifest: &Manifest,
        variable: u32,
        bytes: &[u8],
    ) -> Result<(), Malformed> {
        let place = place(manifest, variable)?;
        let words = bytes.chunks_exact(8).zip((0..place.size).step_by(8));
        for (word, offset) in words {
            let mut value = [0; 8];
            value.copy_from_slice(word);
            self.set_word(
                place.offset.saturating_add(offset),
                u64::from_ne_bytes(value),
            );
        }
        Ok(())
    }

    /// Sets a variable of the data section to zero from its byte `from` on.
    pub(crate) fn zero_global(
        &self,
        manifest: &Manifest,
        variable: u32,
        from: u32,
    ) -> Result<(), Malformed> {
        let place = place(manifest, variable)?;
        if let Some(globals) = &self.globals {
            for offset in (from..place.size).step_by(8) {
                globals.store(place.offset.saturating_add(offset), 0);
            }
        }
        Ok(())
    }

    /// Stores an element of a map whose keys are numbers; whether there was room.
    pub(crate) fn put(&self, map: MapId, key: u64, bytes: &[u8]) -> bool {
        /// The kernel keeps few spare elements for such a map and says that it has no memory
        /// until it has made more, which takes it a moment.
        const TRIES: usize = 200;
        const MOMENT: std::time::Duration = std::time::Duration::from_micros(100);
        let Ok(map) = self.get(map) else {
            return false;
        };
        (0..TRIES).any(|_| match map.update(&key.to_ne_bytes(), bytes) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                std::thread::sleep(MOMENT);
                false
            }
            Err(_) => false,
        })
    }

    /// The bytes of an element; none if there is none.
    pub(crate) fn element(&self, map: MapId, key: &[u8]) -> Result<Vec<u8>, Malformed> {
        let map = self.get(map)?;
        let mut bytes = vec![0; map.element_size()];
        if !map.lookup(key, &mut bytes).unwrap_or(false) {
            bytes.clear();
        }
        Ok(bytes)
    }
}

fn place(
    manifest: &Manifest,
    variable: u32,
) -> Result<&rbt_compiler::artifact::Variable, Malformed> {
    manifest
        .globals
        .variables
        .get(variable as usize)
        .ok_or_else(|| Malformed::new(format!("there is no variable {variable}")))
}

/// A map of an earlier artifact that stands in for one of this, if it may.
pub(crate) type Kept<'k> = &'k dyn Fn(&MapSchema) -> Option<sys::Map>;

/// Creates the maps and loads the programs of an artifact. `kept` is asked for each map first.
///
/// Errors: `E0800` to `E0802`.
pub(crate) fn load<'a>(
    artifact: &'a Artifact,
    sources: &SourceMap,
    host: &Host,
    wanted: &dyn Fn(When) -> bool,
    kept: Kept<'_>,
) -> Result<Loaded<'a>, Error> {
    let (mut object, btf) = parse(&artifact.object)?;
    let definitions: Vec<(String, MapDefinition)> = object.maps.drain().collect();
    let manifest = &artifact.manifest;
    let made = create_maps(manifest, &definitions, btf.as_ref(), host, kept)?;
    relocate(&mut object, &definitions, &made.fds)?;
    let loader = Loader {
        object: &object,
        btf: btf.as_ref().map(OwnedFd::as_fd),
        log_size: manifest.settings.log_size,
        shows_log: host.shows_verifier_logs(),
        sources,
    };
    let mut programs = Vec::with_capacity(manifest.programs.len());
    let plans = manifest.programs.iter();
    for plan in plans.filter(|plan| wanted(plan.when)) {
        loader.load(plan, &mut programs)?;
    }
    Ok(Loaded {
        maps: made.maps,
        programs,
    })
}

fn refused(what: impl std::fmt::Display) -> Error {
    Error::refused(
        Diagnostic::new(
            Severity::Error,
            codes::OBJECT,
            format!("the object cannot be loaded: {what}"),
        )
        .help("if rbt has just compiled it, this is a defect of rbt: please report it"),
    )
}

/// Parses the object and loads its BTF: whole where the kernel takes it, else without what
/// kernels before 6.2 do not know. There is deliberately no probing: most kernels take it.
fn parse(bytes: &[u8]) -> Result<(Object, Option<OwnedFd>), Error> {
    const ALL: BtfFeatures = BtfFeatures::new(true, true, true, true, true, true, true, true);
    const OLDEST: BtfFeatures =
        BtfFeatures::new(true, true, true, false, false, false, false, false);
    let attempt = |features| -> Result<(Object, Option<OwnedFd>), Error> {
        let mut object = Object::parse(bytes).map_err(refused)?;
        let btf = object.fixup_and_sanitize_btf(features).map_err(refused)?;
        let fd = btf.and_then(|btf| permitted(|| sys::btf_load(&btf.to_bytes())).ok());
        Ok((object, fd))
    };
    match attempt(&ALL)? {
        (object, None) if object.btf.is_some() => attempt(&OLDEST),
        whole => Ok(whole),
    }
}

/// Tries again with more locked memory where the kernel says it lacks permission: before
/// 5.11 that is how it says that the limit is reached.
fn permitted<T>(attempt: impl Fn() -> std::io::Result<T>) -> std::io::Result<T> {
    match attempt() {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => match sys::lift_memory_limit() {
            Ok(()) => attempt(),
            Err(_) => Err(error),
        },
        result => result,
    }
}

/// Maps in the order of the manifest, and descriptors in the order of the definitions.
struct Made {
    maps: KernelMaps,
    fds: Vec<i32>,
    /// Data sections that are only read by programs.
    _constants: Vec<sys::Map>,
}

fn create_maps(
    manifest: &Manifest,
    definitions: &[(String, MapDefinition)],
    btf: Option<&OwnedFd>,
    host: &Host,
    kept: Kept<'_>,
) -> Result<Made, Error> {
    let mut made = Made {
        maps: KernelMaps::default(),
        fds: vec![-1; definitions.len()],
        _constants: Vec::new(),
    };
    let find = |symbol: &str| definitions.iter().position(|(name, _)| name == symbol);
    for schema in &manifest.maps {
        let is_global = matches!(schema.storage, Storage::Global { .. });
        // Nobody sends anything through it then, and it is the largest map of most scripts.
        let is_idle = matches!(schema.role, MapRole::Events) && manifest.events.is_empty();
        if is_global || is_idle {
            made.maps.maps.push(None);
            continue;
        }
        let index = find(&schema.symbol);
        let definition = index.and_then(|index| definitions.get(index));
        let map = match kept(schema) {
            Some(map) => map,
            None => {
                let map = create_map(schema, definition.map(|(_, d)| d), btf, host)?;
                fill(schema, manifest, &map)?;
                map
            }
        };
        if let Some(fd) = index.and_then(|index| made.fds.get_mut(index)) {
            *fd = map.as_fd().as_raw_fd();
        }
        made.maps.maps.push(Some(map));
    }
    for (index, (name, definition)) in definitions.iter().enumerate() {
        if matches!(definition.section_kind(), EbpfSectionKind::BtfMaps) {
            continue;
        }
        let map = create_section(name, definition)?;
        if let Some(fd) = made.fds.get_mut(index) {
            *fd = map.as_fd().as_raw_fd();
        }
        if definition.section_kind() == EbpfSectionKind::Bss {
            let globals = SharedBytes::of(&map)
                .map_err(|error| Error::system("map the script's global data", error))?;
            made.maps.globals = Some(globals);
        }
        made._constants.push(map);
    }
    Ok(made)
}

fn create_map(
    schema: &MapSchema,
    definition: Option<&MapDefinition>,
    btf: Option<&OwnedFd>,
    host: &Host,
) -> Result<sys::Map, Error> {
    let Storage::Map {
        kind,
        key_size,
        value_size,
        max_entries,
        flags,
    } = schema.storage
    else {
        return Err(Malformed::new(format!("{} is no kernel map", schema.symbol)).into());
    };
    // The kernel refuses type information for these kinds.
    let takes_types = !matches!(kind, MapKind::RingBuffer | MapKind::StackTrace);
    let types = match (btf, definition) {
        (Some(fd), Some(MapDefinition::Btf(map))) if takes_types => Some((
            fd.as_fd(),
            map.def.btf_key_type_id,
            map.def.btf_value_type_id,
        )),
        _ => None,
    };
    let spec = MapSpec {
        kind: kind as u32,
        key_size,
        value_size,
        max_entries,
        flags,
        is_per_cpu: kind.is_per_cpu(),
        possible_cpus: host.possible_cpus(),
        name: &schema.symbol,
        btf: types,
    };
    let plain = MapSpec { btf: None, ..spec };
    // Types only make the map readable in other tools: without them it works as well.
    permitted(|| sys::Map::create(&spec).or_else(|_| sys::Map::create(&plain))).map_err(|error| {
        let why = reason(&error);
        let mut diagnostic = Diagnostic::new(
            Severity::Error,
            codes::MAP_CREATION,
            format!("create map {}: {why}", shown_name(schema)),
        )
        .note(format!(
            "{max_entries} entries of {key_size} and {value_size} bytes, {kind:?}"
        ));
        if let MapRole::Script { .. } = schema.role {
            diagnostic = diagnostic.label(schema.span, "for this map");
        }
        diagnostic = match error.raw_os_error() {
            Some(libc::EPERM) => diagnostic.help("run rbt as the root user"),
            // Kernels before 5.11 copy a key to the stack.
            Some(libc::E2BIG) if key_size > 512 => diagnostic
                .help("this kernel may take keys of no more than 512 bytes: lower `max_strlen`"),
            Some(libc::ENOMEM | libc::E2BIG) => {
                diagnostic.help("lower `max_map_keys`, or declare the map with fewer entries")
            }
            _ => diagnostic,
        };
        Error::refused(diagnostic)
    })
}

fn shown_name(schema: &MapSchema) -> String {
    match schema.role {
        MapRole::Script { .. } => format!("@{}", schema.name),
        _ => schema.symbol.clone(),
    }
}

/// Stores what userspace has to put into a map before any program runs.
fn fill(schema: &MapSchema, manifest: &Manifest, map: &sys::Map) -> Result<(), Error> {
    let rows: Vec<&[u8]>;
    let numbers: Vec<[u8; 4]>;
    match &schema.role {
        MapRole::Table { values } => {
            numbers = values.iter().map(|value| value.to_ne_bytes()).collect();
            rows = numbers.iter().map(|bytes| &bytes[..]).collect();
        }
        MapRole::Texts { of_sites: false } => {
            rows = manifest.texts.iter().map(String::as_bytes).collect();
        }
        MapRole::Texts { of_sites: true } => {
            rows = manifest
                .sites
                .iter()
                .map(|site| site.text.as_bytes())
                .collect();
        }
        _ => return Ok(()),
    }
    // A text that is cut keeps a NUL.
    let is_text = matches!(schema.role, MapRole::Texts { .. });
    let size = map.element_size();
    let most = if is_text {
        size.saturating_sub(1)
    } else {
        size
    };
    for (index, row) in (0_u32..).zip(rows) {
        let mut bytes = vec![0; size];
        for (to, from) in bytes.iter_mut().take(most).zip(row) {
            *to = *from;
        }
        map.update(&index.to_ne_bytes(), &bytes)
            .map_err(|error| Error::system(format!("fill the table {}", schema.symbol), error))?;
    }
    Ok(())
}

/// The map behind a data section: an array of one element.
fn create_section(name: &str, definition: &MapDefinition) -> Result<sys::Map, Error> {
    let is_writable = definition.section_kind() == EbpfSectionKind::Bss;
    let spec = MapSpec {
        kind: MapKind::Array as u32,
        key_size: 4,
        value_size: definition.value_size(),
        max_entries: 1,
        flags: definition.map_flags() | if is_writable { MMAPABLE } else { 0 },
        name: &format!("rbt{name}"),
        ..MapSpec::default()
    };
    let failed = |error| Error::system(format!("create the data section {name}"), error);
    let map = permitted(|| sys::Map::create(&spec)).map_err(failed)?;
    if !is_writable {
        map.update(&0_u32.to_ne_bytes(), definition.data())
            .map_err(failed)?;
    }
    Ok(map)
}

fn relocate(
    object: &mut Object,
    definitions: &[(String, MapDefinition)],
    fds: &[i32],
) -> Result<(), Error> {
    let text_sections = object
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    let maps = definitions.iter().zip(fds);
    let maps = maps.map(|((name, definition), fd)| (name.as_str(), *fd, definition));
    object
        .relocate_maps(maps, &text_sections)
        .map_err(refused)?;
    object.relocate_calls(&text_sections).map_err(refused)
}

struct Loader<'l> {
    object: &'l Object,
    btf: Option<BorrowedFd<'l>>,
    log_size: u32,
    /// The verifier's words are shown for each program.
    shows_log: bool,
    sources: &'l SourceMap,
}

impl Loader<'_> {
    /// Loads a program once, or once for each of its attachments if it has to know its site.
    fn load<'a>(
        &self,
        plan: &'a ProgramPlan,
        programs: &mut Vec<Program<'a>>,
    ) -> Result<(), Error> {
        let function = self
            .object
            .programs
            .get(&plan.symbol)
            .and_then(|program| self.object.functions.get(&program.function_key()))
            .ok_or_else(|| refused(format!("it has no program `{}`", plan.symbol)))?;
        // A tracing program is loaded for one function.
        let is_single = plan.kind == ProgramKind::Tracing;
        if plan.site_patches.is_empty() && !is_single {
            programs.push(self.load_one(plan, function, &plan.attachments)?);
            return Ok(());
        }
        let mut copy = function.clone();
        for attachment in plan.attachments.chunks(1) {
            patch(&mut copy, plan, attachment)?;
            programs.push(self.load_one(plan, &copy, attachment)?);
        }
        Ok(())
    }

    fn load_one<'a>(
        &self,
        plan: &'a ProgramPlan,
        function: &Function,
        attachments: &'a [Attachment],
    ) -> Result<Program<'a>, Error> {
        let module = match attachments.first().map(|attachment| &attachment.target) {
            Some(AttachTarget::Function { module, .. }) if !module.is_empty() => {
                let attempted = format!("read the types of the module {module}");
                Some(sys::module_btf(module).map_err(|error| Error::system(attempted, error))?)
            }
            _ => None,
        };
        let spec = ProgramSpec {
            kind: plan.kind as u32,
            name: &plan.symbol,
            insns: &function.instructions,
            license: &self.object.license,
            btf: self.btf.map(|fd| {
                let (funcs, lines) = (&function.func_info.func_info, &function.line_info.line_info);
                (fd, funcs.as_slice(), lines.as_slice())
            }),
            expected_attach_type: attach_type(attachments),
            attach_btf_id: attach_type_id(attachments),
            attach_to: module.as_ref().map(AsFd::as_fd),
        };
        // The verifier writes its log only when asked: it costs more than the verifying.
        if self.shows_log {
            let mut log = self.log();
            // Whatever came of it: the next request says.
            drop(sys::prog_load(&spec, Some(&mut log)));
            let text = String::from_utf8_lossy(&log);
            let name = &plan.symbol;
            let rule = "-".repeat(24 + name.len());
            let text = format!("BPF verifier log for {name}:\n{rule}\n{text}\n");
            let _ = io::stderr().write_all(text.as_bytes());
        }
        match permitted(|| sys::prog_load(&spec, None)) {
            Ok(fd) => Ok(Program::new(plan, attachments, fd)),
            Err(error) => {
                let mut log = self.log();
                // The answer is known; only its explanation is wanted. If it loads this time
                // (memory was short for a moment), all the better.
                if let Ok(fd) = sys::prog_load(&spec, Some(&mut log)) {
                    return Ok(Program::new(plan, attachments, fd));
                }
                let text = String::from_utf8_lossy(&log);
                let strings = self.object.btf.as_ref().map(aya_obj::btf::Btf::to_bytes);
                let rejection = verifier::Rejection {
                    error: &error,
                    log: &text,
                    plan,
                    lines: &function.line_info.line_info,
                    btf: strings.as_deref().unwrap_or(&[]),
                };
                Err(Error::refused(verifier::explain(&rejection, self.sources)))
            }
        }
    }
}

impl Loader<'_> {
    /// Room for the verifier's words.
    fn log(&self) -> Vec<u8> {
        vec![0; (self.log_size as usize).clamp(4096, 1 << 24)]
    }
}

/// What the kernel must know of a program's places when it loads it (`enum bpf_attach_type`).
fn attach_type(attachments: &[Attachment]) -> u32 {
    match attachments.first().map(|attachment| &attachment.target) {
        Some(AttachTarget::KprobeMulti { .. }) => sys::TRACE_KPROBE_MULTI,
        Some(AttachTarget::UprobeMulti { .. }) => sys::TRACE_UPROBE_MULTI,
        Some(AttachTarget::Function { side, .. }) => match side {
            Side::Entry => sys::TRACE_FENTRY,
            Side::Return => sys::TRACE_FEXIT,
        },
        Some(AttachTarget::Iterator { .. }) => sys::TRACE_ITER,
        _ => 0,
    }
}

/// The kernel's number of what a tracing program is loaded for.
fn attach_type_id(attachments: &[Attachment]) -> u32 {
    match attachments.first().map(|attachment| &attachment.target) {
        Some(AttachTarget::Function { type_id, .. } | AttachTarget::Iterator { type_id, .. }) => {
            *type_id
        }
        _ => 0,
    }
}

/// Writes the number of an attachment's site into a copy of a program.
fn patch(
    function: &mut Function,
    plan: &ProgramPlan,
    attachment: &[Attachment],
) -> Result<(), Error> {
    let site = attachment.first().map_or(0, |attachment| attachment.site.0);
    for index in &plan.site_patches {
        let insn = function.instructions.get_mut(*index as usize);
        let insn = insn.filter(|insn| insn.code == 0x18).ok_or_else(|| {
            Malformed::new(format!("`{}` has no constant at {index}", plan.symbol))
        })?;
        // Sites are few: the upper half of the constant stays zero.
        insn.imm = site.cast_signed();
    }
    Ok(())
}
