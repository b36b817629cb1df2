//! `usdt`: markers that programs and libraries declare for tracers.

use super::operand;
use super::wildcard::matches;
use super::{malformed, unanswered, user, wrong_parts};
use crate::word::word;
use rbt_compiler::binary::{Binary, Marker, SymbolKind};
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::Target;
use rbt_compiler::types::Space;
use rbt_compiler::vocabulary::{
    ArgumentAccess, Needs, Place, ProbeContext, ProbeSpec, Provider, Route, UserArgument,
};
use rbt_grammar::Diagnostic;
use std::rc::Rc;

word! {
    /// `usdt`
    Usdt = "usdt" {
        usage: [
            "usdt:target:provider:name",
            "usdt:target:name",
            "usdt::provider:name (with -p)",
        ],
        summary: "Fires at a marker that a program declares: a statically defined probe.",
        details: "The target is written as for uprobe; with `-p` it may be left out and means all \
                  files that the process runs. `*` stands for any run of characters in every \
                  part. `arg0`, `arg1`, … are the marker's arguments, widened to 8 bytes; those in \
                  floating-point registers read as 0. A marker that is only active while \
                  somebody listens is activated, in every process. `rbt -l 'usdt:PATH:*'` lists \
                  a file's markers.",
        examples: ["usdt:/usr/bin/program:app:start { print(arg0); }"],
        kernel: "",
    }
}

/// A place's parts: the file, the provider, the marker's name.
fn parts_of(place: &Place) -> [&str; 3] {
    [0, 1, 2].map(|index| place.parts.get(index).map_or("", String::as_str))
}

/// What an attach point says: which files, and patterns for provider and name.
struct Written<'a> {
    target: &'a str,
    provider: &'a str,
    name: &'a str,
}

fn written<'a>(spec: &'a ProbeSpec<'_>, target: &dyn Target) -> Result<Written<'a>, Diagnostic> {
    let has_process = target.traced_process().pid.is_some();
    let form = "usdt:/usr/bin/program:provider:name";
    let (at, provider, name) = match spec.parts.len() {
        1 if has_process => ("", "*", spec.part(0)),
        // With a process the first of two may be the provider.
        2 if has_process && target.find_binaries(spec.part(0)).is_empty() => {
            ("", spec.part(0), spec.part(1))
        }
        2 => (spec.part(0), "*", spec.part(1)),
        3 => (spec.part(0), spec.part(1), spec.part(2)),
        _ => return Err(wrong_parts(spec, "usdt", "2 or 3", form)),
    };
    if at.is_empty() && !has_process {
        let message = "usdt probe must specify at least path or pid to probe. To target all \
                       paths/pids set the path to '*'.";
        return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
    }
    if name.is_empty() {
        let message = "usdt probe must have a target function or wildcard";
        return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
    }
    let provider = if provider.is_empty() { "*" } else { provider };
    Ok(Written {
        target: at,
        provider,
        name,
    })
}

/// The files that are meant.
fn binaries(
    written: &Written<'_>,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Vec<user::NamedBinary>, Diagnostic> {
    if !written.target.is_empty() && written.target != "*" {
        return user::binaries("usdt", written.target, spec, target);
    }
    let paths = match target.traced_process().pid {
        Some(_) => target.mapped_binaries(),
        None => target.find_binaries(written.target),
    };
    let open = |path: String| Some((path.clone(), target.binary(&path).ok()?));
    Ok(paths.into_iter().filter_map(open).collect())
}

fn place(path: &str, provider: &str, name: &str) -> Place {
    Place {
        parts: vec![path.to_owned(), provider.to_owned(), name.to_owned()],
        text: format!("usdt:{path}:{provider}:{name}"),
    }
}

/// The markers of the files that are meant, each once, sorted in each file.
fn matching(
    written: &Written<'_>,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Vec<Place>, Diagnostic> {
    let mut places = Vec::new();
    for (path, binary) in binaries(written, spec, target)? {
        let markers = binary.markers().map_err(|e| unanswered(spec, e))?;
        let found = markers.iter().filter(|marker| {
            matches(written.provider, &marker.provider) && matches(written.name, &marker.name)
        });
        let mut of_file: Vec<Place> = found
            .map(|marker| place(&path, &marker.provider, &marker.name))
            .collect();
        of_file.sort_unstable_by(|a, b| a.text.cmp(&b.text));
        of_file.dedup();
        places.extend(of_file);
    }
    Ok(places)
}

/// The locations of a place's marker, and its file.
fn locations(place: &Place, target: &dyn Target) -> Option<(Rc<dyn Binary>, Vec<Marker>)> {
    let [path, provider, name] = parts_of(place);
    let binary = target.binary(path).ok()?;
    let mut markers = binary.markers().ok()?;
    markers.retain(|marker| marker.provider == provider && marker.name == name);
    Some((binary, markers))
}

/// The arguments at one location.
fn arguments(marker: &Marker, binary: &dyn Binary, target: &dyn Target) -> Vec<UserArgument> {
    let distance = |name: &str| {
        let symbol = binary.symbol(name, SymbolKind::Object)?;
        Some(symbol.address.wrapping_sub(marker.address).cast_signed())
    };
    operand::arguments(&marker.arguments, target.arch(), &distance)
}

/// Locations that are read alike: their places and points.
struct Group {
    arguments: Vec<UserArgument>,
    places: Vec<usize>,
    points: Vec<Vec<user::Point>>,
}

/// Groups the locations of all places by how arguments are read, where any are.
fn groups(places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let Some((binary, markers)) = locations(place, target) else {
            continue;
        };
        for (number, marker) in markers.iter().enumerate() {
            let Some(offset) = binary.offset_of(marker.address) else {
                continue;
            };
            let mut arguments = match needs.numbered {
                0 => Vec::new(),
                _ => arguments(marker, binary.as_ref(), target),
            };
            arguments.truncate(usize::from(needs.numbered));
            let point = user::Point {
                path: parts_of(place)[0].to_owned(),
                offset,
                counter: marker.semaphore.unwrap_or(0),
                count: u32::from(number == 0),
            };
            let same = groups
                .iter_mut()
                .find(|group| group.arguments == arguments && !needs.one_place);
            match same {
                Some(group) if group.places.last() == Some(&index) => {
                    if let Some(points) = group.points.last_mut() {
                        points.push(point);
                    }
                }
                Some(group) => {
                    group.places.push(index);
                    group.points.push(vec![point]);
                }
                None => groups.push(Group {
                    arguments,
                    places: vec![index],
                    points: vec![vec![point]],
                }),
            }
        }
    }
    groups
}

impl Provider for Usdt {
    fn is_of_program(&self) -> bool {
        true
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["U"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        let written = written(spec, target)?;
        matching(&written, spec, target)
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        target: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        let found = locations(place, target);
        let counts = found.into_iter().flat_map(|(binary, markers)| {
            let count = |marker: &Marker| arguments(marker, binary.as_ref(), target).len();
            markers.iter().map(count).collect::<Vec<usize>>()
        });
        Ok(ProbeContext {
            provider: &Usdt,
            place: place.clone(),
            space: Space::User,
            arguments: None,
            numbered: u32::try_from(counts.max().unwrap_or(0)).unwrap_or(u32::MAX),
            when: self.when(),
        })
    }

    fn remark(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
        user::remark("usdt", spec, target)
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        let route = |group: Group| {
            let first = group.places.first().and_then(|index| places.get(*index));
            let name = first.map_or("", |place| parts_of(place)[2]);
            let route = user::route(name, "uprobe", false, &group.points, needs, target);
            Route {
                places: group.places,
                arguments: ArgumentAccess::Operands(group.arguments),
                ..route
            }
        };
        let groups = groups(places, needs, target);
        groups.into_iter().map(route).collect()
    }

    fn list(&self, spec: &ProbeSpec<'_>, target: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        let part = |index: usize| match spec.part(index) {
            "" => "*",
            text => text,
        };
        let has_process = target.traced_process().pid.is_some();
        let (at, provider, name) = match spec.parts.len() {
            0 => ("", "*", "*"),
            1 if has_process => ("", "*", part(0)),
            1 => (spec.part(0), "*", "*"),
            2 => (spec.part(0), "*", part(1)),
            _ => (spec.part(0), part(1), part(2)),
        };
        if at.is_empty() && !has_process {
            return Ok(Vec::new());
        }
        let written = Written {
            target: at,
            provider,
            name,
        };
        let places = matching(&written, spec, target)?;
        Ok(places.into_iter().map(|place| place.text).collect())
    }

    fn describe(&self, name: &str, target: &dyn Target) -> Vec<String> {
        let mut parts = name.splitn(2, ':').skip(1);
        let mut rest = parts.next().unwrap_or("").rsplitn(3, ':');
        let (Some(marker), Some(provider), Some(path)) = (rest.next(), rest.next(), rest.next())
        else {
            return Vec::new();
        };
        let place = place(path, provider, marker);
        let Some((_, markers)) = locations(&place, target) else {
            return Vec::new();
        };
        let first = markers
            .first()
            .map_or("", |marker| marker.arguments.as_str());
        let arguments = operand::arguments(first, target.arch(), &|_| None);
        let described = arguments.iter().enumerate().map(|(number, argument)| {
            let sign = if argument.is_signed { "" } else { "u" };
            format!("{sign}int{} arg{number}", u32::from(argument.size) * 8)
        });
        described.collect()
    }

    fn is_listed(&self) -> bool {
        false
    }
}
