//! What probes of user space share: which files a target means, and how places in files are
//! reached.

use super::{site_source, unanswered};
use rbt_compiler::artifact::{AttachTarget, FilePoint, ProgramKind};
use rbt_compiler::binary::Binary;
use rbt_compiler::target::{Feature, Target};
use rbt_compiler::vocabulary::{ArgumentAccess, Needs, PidFilter, ProbeSpec, Route, SiteSource};
use rbt_grammar::{Diagnostic, codes};
use std::rc::Rc;

/// A file by its path.
pub(super) type NamedBinary = (String, Rc<dyn Binary>);

/// The files that a target means: all that a pattern describes, else the first.
///
/// Errors: there is none (of a pattern: it cannot be read).
pub(super) fn binaries(
    provider: &str,
    at: &str,
    spec: &ProbeSpec<'_>,
    target: &dyn Target,
) -> Result<Vec<NamedBinary>, Diagnostic> {
    let mut paths = target.find_binaries(at);
    let is_wild = at.contains('*');
    if !is_wild {
        paths.truncate(1);
        if paths.is_empty() {
            let message =
                format!("{provider} target file '{at}' does not exist or is not executable");
            return Err(
                Diagnostic::error(codes::NO_TARGET_FILE, message, spec.span, "")
                    .help("a path, a name in PATH, or a library's name: `libc`, `libssl.so.3`"),
            );
        }
    }
    let mut found = Vec::new();
    for path in paths {
        match target.binary(&path) {
            Ok(binary) => found.push((path, binary)),
            // A pattern describes scripts and the like too.
            Err(_) if is_wild => {}
            Err(error) => return Err(unanswered(spec, error)),
        }
    }
    Ok(found)
}

/// What is to be said of a target that several files answer to.
pub(super) fn remark(provider: &str, spec: &ProbeSpec<'_>, target: &dyn Target) -> Option<String> {
    let at = spec.part(0);
    if spec.parts.len() < 2 || at.is_empty() || at.contains(['/', '*']) {
        return None;
    }
    let paths = target.find_binaries(at);
    let (first, others) = paths.split_first()?;
    (!others.is_empty()).then(|| {
        format!(
            "attaching to {provider} target file '{first}' but matched {} binaries",
            paths.len()
        )
    })
}

/// A place in a file.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) path: String,
    /// Of the instruction.
    pub(super) offset: u64,
    /// Of the counter that is above zero while somebody listens; zero if there is none.
    pub(super) counter: u64,
    /// What the attach notice counts for it.
    pub(super) count: u32,
}

/// The route for all places, each of which has points of its own. How arguments are read is
/// the caller's business.
pub(super) fn route(
    name: &str,
    section: &str,
    is_return: bool,
    points: &[Vec<Point>],
    needs: Needs,
    target: &dyn Target,
) -> Route {
    let count: usize = points.iter().map(Vec::len).sum();
    let is_site_needed = needs.site || needs.function;
    let is_one_link = count > 1 && target.has(Feature::UprobeMulti);
    let attachments = if is_one_link {
        in_files(is_return, points)
    } else {
        singly(is_return, points)
    };
    let site = match is_one_link {
        true if is_site_needed && points.len() > 1 => SiteSource::Cookie,
        true => SiteSource::Single,
        false => site_source(
            points.len(),
            is_site_needed,
            target,
            Feature::PerfLinkCookie,
        ),
    };
    Route {
        kind: ProgramKind::Kprobe,
        section: section.to_owned(),
        name: name.to_owned(),
        places: (0..points.len()).collect(),
        attachments,
        pid_filter: PidFilter::Attach,
        arguments: ArgumentAccess::None,
        site,
    }
}

type Attachments = Vec<(AttachTarget, usize, u32)>;

/// One link for each run of places in the same file.
fn in_files(is_return: bool, points: &[Vec<Point>]) -> Attachments {
    let mut attachments: Attachments = Vec::new();
    let all = points
        .iter()
        .enumerate()
        .flat_map(|(index, points)| points.iter().map(move |point| (index, point)));
    for (index, point) in all {
        let open = attachments.last_mut().and_then(|(target, first, count)| {
            let AttachTarget::UprobeMulti { path, points, .. } = target else {
                return None;
            };
            (*path == point.path).then_some((points, *first, count))
        });
        let file_point = |first: usize| FilePoint {
            offset: point.offset,
            counter: point.counter,
            site: u32::try_from(index - first).unwrap_or(u32::MAX),
        };
        match open {
            Some((points, first, count)) => {
                points.push(file_point(first));
                *count += point.count;
            }
            None => attachments.push((
                AttachTarget::UprobeMulti {
                    path: point.path.clone(),
                    points: vec![file_point(index)],
                    is_return,
                },
                index,
                point.count,
            )),
        }
    }
    attachments
}

/// A perf event for each.
fn singly(is_return: bool, points: &[Vec<Point>]) -> Attachments {
    let all = points
        .iter()
        .enumerate()
        .flat_map(|(index, points)| points.iter().map(move |point| (index, point)));
    all.map(|(index, point)| {
        let target = AttachTarget::Uprobe {
            path: point.path.clone(),
            offset: point.offset,
            counter: point.counter,
            is_return,
        };
        (target, index, point.count)
    })
    .collect()
}
