//! A script that changes while it runs: clauses come and go, maps stay.
//!
//! Takes whole artifacts, each compiled from all clauses that are to run from now on. The new
//! programs are loaded around the maps of the old ones and attached shut; then the old ones are
//! shut, keyless values are handed over, and the new ones opened. What fails on the way leaves
//! the old ones as they were. Never compiles, and never reads what a person types.

use std::fs::File;
use std::rc::Rc;
use std::time::Duration;

use rbt_compiler::artifact::{
    Artifact, Manifest, MapId, MapKind, MapRole, MapSchema, MapValue, Shape, Site, Storage, When,
};
use rbt_grammar::codes;
use rbt_grammar::diagnostic::Diagnostic;
use rbt_grammar::source::{SourceMap, Span};
use self_cell::self_cell;

use crate::error::Error;
use crate::events::Events;
use crate::host::Host;
use crate::load::{self, KernelMaps};
use crate::maps;
use crate::output::{Buffering, OutputFormat, Printer, text};
use crate::program::{Link, Program, Scope};
use crate::progress::Progress;
use crate::session::{self, LOOK, Report};
use crate::vocabulary::{Flow, Handlers, Warnings};

/// How long a program that had begun before it was shut may take to its end.
const SETTLE: Duration = Duration::from_millis(1);

/// What all generations share.
#[derive(Clone)]
pub struct Surroundings {
    /// This machine.
    pub host: Rc<Host>,
    /// The words' userspace halves.
    pub handlers: &'static Handlers,
    /// Which run-time warnings are shown.
    pub warnings: Warnings,
    /// Words that change the system are allowed.
    pub is_unsafe_allowed: bool,
}

/// What came of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Functions and events that are attached now.
    pub attached: u64,
    /// Maps whose elements could not be kept, because their type changed.
    pub emptied: Vec<String>,
}

/// Clauses that run, and the maps of all that ever ran.
///
/// Private fields: the programs of a generation refer to its artifact.
pub struct Live {
    surroundings: Surroundings,
    output: File,
    generation: Option<Generation>,
}

/// What a generation refers to.
struct Inputs {
    artifact: Artifact,
    sources: SourceMap,
    host: Rc<Host>,
}

/// One state of the script in the kernel. Dropped in this order.
struct Running<'a> {
    links: Vec<Link>,
    programs: Vec<Program<'a>>,
    events: Option<Events>,
    report: Report<'a>,
    maps: Rc<KernelMaps>,
}

self_cell!(
    struct Generation {
        owner: Inputs,

        #[not_covariant]
        dependent: Running,
    }
);

impl Live {
    /// Nothing yet. What clauses print goes to `output`.
    pub fn new(surroundings: Surroundings, output: File) -> Live {
        Live {
            surroundings,
            output,
            generation: None,
        }
    }

    /// The sites and texts whose numbers maps may hold: the next artifact has to begin with
    /// them.
    pub fn numbered(&self) -> (&[Site], &[String]) {
        self.manifest()
            .map_or((&[], &[]), |m| (m.sites.as_slice(), m.texts.as_slice()))
    }

    fn manifest(&self) -> Option<&Manifest> {
        let generation = self.generation.as_ref()?;
        Some(&generation.borrow_owner().artifact.manifest)
    }

    /// Puts a new state of the script in the place of the old one and runs those `begin`
    /// clauses of it that are `new`. Has to be called inside a tokio runtime.
    ///
    /// Errors: what the machine refuses; then the old state goes on.
    pub fn replace(
        &mut self,
        mut artifact: Artifact,
        sources: SourceMap,
        new: &dyn Fn(Span) -> bool,
    ) -> Result<Changed, Error> {
        if let Some(old) = self.manifest() {
            keep_schemas(&mut artifact.manifest, old);
        }
        let mut changed = Changed::default();
        let mut next = self.start(artifact, sources)?;
        changed.attached = next.attach(&self.surroundings.host)?;
        if let Some(mut old) = self.generation.take() {
            old.shut(true);
            std::thread::sleep(SETTLE);
            let drained = old.drain();
            let handed = hand_over(&old, &next, &mut changed.emptied);
            if let Err(error) = drained.and(handed) {
                old.shut(false);
                self.generation = Some(old);
                return Err(error);
            }
        }
        let begun = next.begin(new);
        next.shut(false);
        self.generation = Some(next);
        begun.map(|()| changed)
    }

    /// Loads a state of the script around the maps of the present one.
    fn start(&self, artifact: Artifact, sources: SourceMap) -> Result<Generation, Error> {
        let printer = Printer::to_file(
            self.output
                .try_clone()
                .map_err(|error| Error::system("share the output", error))?,
            OutputFormat::Text,
            Buffering::Line,
        );
        // There is nothing to report a benchmark or a test to.
        let is_wanted = |when: When| !matches!(when, When::Bench | When::Test);
        let manifest = artifact.manifest.clone();
        let kept = |schema: &MapSchema| {
            let old = self.generation.as_ref()?;
            old.with_dependent(|inputs, running| {
                let id = twin(&inputs.artifact.manifest, schema, &manifest)?;
                running.maps.get(id).ok()?.try_clone().ok()
            })
        };
        let Surroundings {
            handlers,
            warnings,
            is_unsafe_allowed,
            ..
        } = self.surroundings;
        let inputs = Inputs {
            artifact,
            sources,
            host: Rc::clone(&self.surroundings.host),
        };
        Generation::try_new(inputs, |inputs| {
            let Inputs {
                artifact,
                sources,
                host,
            } = inputs;
            let loaded = load::load(artifact, sources, host, &is_wanted, &kept)?;
            let maps = Rc::new(loaded.maps);
            if let Some(at) = artifact.manifest.globals.shut {
                maps.set_word(at, 1);
            }
            Ok(Running {
                links: Vec::new(),
                programs: loaded.programs,
                events: session::open_events(artifact, &maps)?,
                report: Report::new(
                    artifact,
                    sources,
                    (handlers, host, Rc::clone(&maps)),
                    printer,
                    (warnings, is_unsafe_allowed),
                ),
                maps,
            })
        })
    }

    /// Comes when it is worth calling [`Live::look`]; never while nothing runs.
    pub async fn wait(&mut self, came: usize) {
        let events = self.generation.as_mut().and_then(|generation| {
            generation.with_dependent_mut(|_, running| running.events.take())
        });
        let Some(events) = events else {
            return tokio::time::sleep(Duration::from_millis(100)).await;
        };
        // It is put back however the waiting ends: a caller may stop to wait at any time.
        let mut lent = Lent {
            events: Some(events),
            live: self,
        };
        session::wait(&mut lent.events, came).await;
    }

    /// Renders what clauses have said, up to a limit. Gives how many records there were, and
    /// whether `exit()` was among them.
    ///
    /// Errors: the output cannot be written.
    pub fn look(&mut self) -> Result<(usize, bool), Error> {
        match &mut self.generation {
            Some(generation) => generation.look(),
            None => Ok((0, false)),
        }
    }

    /// The names of all maps, without `@`, sorted.
    pub fn map_names(&self) -> Vec<String> {
        let Some(manifest) = self.manifest() else {
            return Vec::new();
        };
        let ids = maps::reports_at_exit(manifest).into_iter();
        let schemas = ids.filter_map(|id| manifest.maps.get(id.0 as usize));
        schemas.map(|schema| schema.name.clone()).collect()
    }

    /// The text of a map as it is now; `None` if there is no such map.
    ///
    /// Errors: the map cannot be read.
    pub fn show(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let (Some(generation), Some(id)) = (&self.generation, self.find(name)) else {
            return Ok(None);
        };
        generation.with_dependent(|inputs, running| {
            let manifest = &inputs.artifact.manifest;
            let elements = maps::read(&running.maps, manifest, id)?;
            let mut out = Vec::new();
            if maps::holds_anything(manifest, id, &elements) {
                let decoder = &running.report.decoder;
                let report = maps::report(decoder, self.surroundings.handlers, id, &elements)?;
                for (key, value) in &report.entries {
                    text::write_element(&report.name, key.as_ref(), value, &mut out);
                }
            }
            Ok(Some(out))
        })
    }

    /// Removes all elements of a map; `false` if there is no such map.
    ///
    /// Errors: the map cannot be changed.
    pub fn clear(&self, name: &str) -> Result<bool, Error> {
        let (Some(generation), Some(id)) = (&self.generation, self.find(name)) else {
            return Ok(false);
        };
        generation.with_dependent(|inputs, running| {
            maps::clear(&running.maps, &inputs.artifact.manifest, id).map(|()| true)
        })
    }

    fn find(&self, name: &str) -> Option<MapId> {
        let manifest = self.manifest()?;
        let schemas = manifest.maps.iter().zip(0..);
        let mut found = schemas
            .filter(|(schema, _)| schema.name == name)
            .filter(|(schema, _)| matches!(schema.role, MapRole::Script { .. }));
        found.next().map(|(_, id)| MapId(id))
    }

    /// Detaches everything, runs the `end` clauses and renders what is left.
    ///
    /// Errors: the kernel does not run a clause; the output cannot be written.
    pub fn end(&mut self) -> Result<(), Error> {
        let Some(generation) = &mut self.generation else {
            return Ok(());
        };
        generation.with_dependent_mut(|_, running| {
            running.links.iter_mut().for_each(Link::detach);
        });
        generation.drain()?;
        generation.run_if(|when, _| when == When::End)?;
        generation.drain()
    }
}

/// The events of a generation while somebody waits for them.
struct Lent<'l> {
    events: Option<Events>,
    live: &'l mut Live,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let events = self.events.take();
        if let Some(generation) = &mut self.live.generation {
            generation.with_dependent_mut(|_, running| running.events = events);
        }
    }
}

impl Generation {
    /// Attaches every program. Errors: one is refused and the script does not say to go on.
    fn attach(&mut self, host: &Host) -> Result<u64, Error> {
        self.with_dependent_mut(|inputs, running| {
            let policy = inputs.artifact.manifest.settings.missing_probes;
            let mut attached = 0;
            let progress = Progress::new(|| String::from("attaching probes"), 0);
            for program in &running.programs {
                for attachment in program.attachments {
                    match program.attach(attachment, host, &Scope::default()) {
                        Ok(links) => {
                            running.links.extend(links);
                            attached += u64::from(attachment.count);
                        }
                        Err(error) => {
                            running
                                .report
                                .refused(program, attachment, &error, policy)?;
                        }
                    }
                    progress.step(u64::from(attachment.count));
                }
            }
            Ok(attached)
        })
    }

    /// Keeps attached programs from doing anything, or lets them.
    fn shut(&self, is_shut: bool) {
        self.with_dependent(|inputs, running| {
            if let Some(at) = inputs.artifact.manifest.globals.shut {
                running.maps.set_word(at, u64::from(is_shut));
            }
        });
    }

    fn begin(&mut self, new: &dyn Fn(Span) -> bool) -> Result<(), Error> {
        self.run_if(|when, span| when == When::Begin && new(span))
    }

    fn run_if(&mut self, is_wanted: impl Fn(When, Span) -> bool) -> Result<(), Error> {
        self.with_dependent_mut(|_, running| {
            for program in &running.programs {
                let plan = program.plan;
                if !is_wanted(plan.when, plan.span) {
                    continue;
                }
                program.test_run().map_err(|error| {
                    let why = crate::host::reason(&error);
                    let message = format!("run the {} clause: {why}", plan.provider);
                    let label = "the kernel does not run this";
                    let diagnostic = Diagnostic::error(codes::TEST_RUN, message, plan.span, label);
                    Error::refused(diagnostic)
                })?;
            }
            Ok(())
        })
    }

    fn look(&mut self) -> Result<(usize, bool), Error> {
        self.with_dependent_mut(|_, running| {
            let (mut came, mut is_over) = (0, false);
            if let Some(events) = &mut running.events {
                events.look()?;
                while came < LOOK {
                    let Some(record) = events.next() else { break };
                    came += 1;
                    is_over |= matches!(running.report.perform(&record)?, Flow::Exit(_));
                }
            }
            running.report.after_batch()?;
            Ok((came, is_over))
        })
    }

    fn drain(&mut self) -> Result<(), Error> {
        while self.look()?.0 > 0 {}
        Ok(())
    }
}

/// The map of `old` whose elements are `schema`'s too: the same use of the same bytes.
fn twin(old: &Manifest, schema: &MapSchema, new: &Manifest) -> Option<MapId> {
    let all = old.maps.iter().zip(0..);
    let mut found = all.filter(|(before, _)| {
        before.storage == schema.storage
            && matches!(before.storage, Storage::Map { .. })
            && is_same(before, old, schema, new)
    });
    found.next().map(|(_, id)| MapId(id))
}

/// Whether two maps of two states are one to a person, and hold the same kind of thing.
fn is_same(before: &MapSchema, old: &Manifest, after: &MapSchema, new: &Manifest) -> bool {
    if before.name != after.name || !outlives(&before.role) {
        return false;
    }
    let mut role = before.role.clone();
    renumber(&mut role, old, new) && role == after.role
}

/// Whether what a map of that role holds is worth keeping.
fn outlives(role: &MapRole) -> bool {
    !matches!(
        role,
        MapRole::Events | MapRole::Scratch | MapRole::Table { .. } | MapRole::Texts { .. }
    )
}

/// Gives the maps of stacks that a role names the numbers they have in another manifest;
/// `false` if one is not there.
fn renumber(role: &mut MapRole, from: &Manifest, to: &Manifest) -> bool {
    let MapRole::Script { key, value } = role else {
        return true;
    };
    let mut is_whole = true;
    let mut each = |shape: &mut Shape| {
        if let Shape::Stack { map, .. } = shape {
            let name = from.maps.get(map.0 as usize).map(|m| &m.name);
            let known = to.maps.iter().zip(0..);
            match known.into_iter().find(|(m, _)| Some(&m.name) == name) {
                Some((_, number)) => *map = MapId(number),
                None => is_whole = false,
            }
        }
    };
    if let Some(key) = key {
        each_shape(key, &mut each);
    }
    if let MapValue::Plain(shape) = value {
        each_shape(shape, &mut each);
    }
    is_whole
}

/// Visits a shape and all that it is made of.
fn each_shape(shape: &mut Shape, visit: &mut dyn FnMut(&mut Shape)) {
    visit(shape);
    match shape {
        Shape::Array { element, .. } => each_shape(element, visit),
        Shape::Tuple(parts) => parts.iter_mut().for_each(|(_, s)| each_shape(s, visit)),
        Shape::Struct(fields) => {
            fields
                .iter_mut()
                .for_each(|field| each_shape(&mut field.shape, visit));
        }
        _ => {}
    }
}

/// Adds the old script's maps that the new one does not name: nothing fills them any more, but
/// they can be shown. A keyless one gets a kernel map for itself.
fn keep_schemas(manifest: &mut Manifest, old: &Manifest) {
    let is_script = |schema: &&MapSchema| matches!(schema.role, MapRole::Script { .. });
    let own = old.maps.iter().filter(|schema| outlives(&schema.role));
    // The maps of stacks come first: the script's refer to them.
    let (scripts, others): (Vec<_>, Vec<_>) = own.partition(is_script);
    for schema in others.into_iter().chain(scripts) {
        let is_known = |m: &MapSchema| m.name == schema.name && outlives(&m.role);
        if manifest.maps.iter().any(is_known) {
            continue;
        }
        let mut schema = schema.clone();
        renumber(&mut schema.role, old, manifest);
        if let Storage::Global { variable } = schema.storage {
            let size = old.globals.variables.get(variable as usize);
            schema.storage = Storage::Map {
                kind: MapKind::Array,
                key_size: 4,
                value_size: size.map_or(8, |variable| variable.size),
                max_entries: 1,
                flags: 0,
            };
        }
        // The object has no symbol for it, whatever another map of the script is called.
        schema.symbol = format!("kept_{}", manifest.maps.len());
        manifest.maps.push(schema);
    }
}

/// Copies what the new state does not share with the old one: keyless values, and maps that
/// are stored in another way.
fn hand_over(from: &Generation, to: &Generation, emptied: &mut Vec<String>) -> Result<(), Error> {
    from.with_dependent(|old, source| {
        to.with_dependent(|new, sink| {
            let (old, new) = (&old.artifact.manifest, &new.artifact.manifest);
            for (schema, id) in new.maps.iter().zip(0..) {
                let is_script = matches!(schema.role, MapRole::Script { .. });
                if !is_script || twin(old, schema, new).is_some() {
                    continue;
                }
                let mut known = old.maps.iter().zip(0..);
                let Some((before, old_id)) = known.find(|(o, _)| {
                    o.name == schema.name && matches!(o.role, MapRole::Script { .. })
                }) else {
                    continue;
                };
                let elements = maps::read(&source.maps, old, MapId(old_id))?;
                if is_same(before, old, schema, new) {
                    maps::write(&sink.maps, new, MapId(id), &elements)?;
                } else if maps::holds_anything(old, MapId(old_id), &elements) {
                    emptied.push(schema.name.clone());
                }
            }
            Ok(())
        })
    })
}
