//! What went wrong inside programs: counters in the data section, reported once they move.
//!
//! A place that fails is reported when it first does, and at the end with how often it did;
//! a line for each time would bury the output of a busy script.

use rbt_compiler::artifact::{Fault, FaultKind, Manifest};

use crate::error::Error;
use crate::load::KernelMaps;
use crate::output::{Message, OutputFormat};
use crate::vocabulary::{Context, Warnings};

/// What was reported so far.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    /// Counts by fault.
    faults: Vec<u64>,
    lost: u64,
}

impl Reported {
    /// Nothing yet.
    pub(crate) fn new(manifest: &Manifest) -> Reported {
        Reported {
            faults: vec![0; manifest.faults.len()],
            lost: 0,
        }
    }

    /// Reports faults that are new, and events that were lost since the last time.
    pub(crate) fn report_new(
        &mut self,
        maps: &KernelMaps,
        cx: &mut Context<'_, '_>,
    ) -> Result<(), Error> {
        let manifest = cx.manifest();
        for (fault, known) in manifest.faults.iter().zip(&mut self.faults) {
            if *known == 0 && is_shown(fault.kind, cx.warnings) && maps.word(fault.offset) > 0 {
                *known = 1;
                show(fault, None, maps, cx)?;
            }
        }
        let lost = manifest.globals.lost_events.map_or(0, |at| maps.word(at));
        if lost > self.lost && cx.warnings != Warnings::None {
            cx.printer.lost(lost - self.lost)?;
        }
        self.lost = self.lost.max(lost);
        Ok(())
    }

    /// Reports how often each fault happened that happened more than once, and how many
    /// events were lost in all.
    pub(crate) fn report_totals(
        &mut self,
        maps: &KernelMaps,
        cx: &mut Context<'_, '_>,
    ) -> Result<(), Error> {
        self.report_new(maps, cx)?;
        if cx.warnings == Warnings::None {
            return Ok(());
        }
        let manifest = cx.manifest();
        for (fault, known) in manifest.faults.iter().zip(&self.faults) {
            let count = maps.word(fault.offset);
            if count > *known && is_shown(fault.kind, cx.warnings) {
                show(fault, Some(count), maps, cx)?;
            }
        }
        if self.lost > 0 && cx.format() == OutputFormat::Text {
            let line = format!("WARNING: Total lost event count: {}", self.lost);
            cx.complain(&line)?;
        }
        let missed = manifest.globals.missed_runs.map_or(0, |at| maps.word(at));
        if missed > 0 {
            cx.complain(&format!(
                "WARNING: {missed} runs of a program were skipped: no scratch memory was free"
            ))?;
        }
        Ok(())
    }
}

/// Failed reads and lookups are normal in many scripts: they are shown when asked for.
fn is_shown(kind: FaultKind, warnings: Warnings) -> bool {
    match warnings {
        Warnings::None => false,
        Warnings::All => true,
        Warnings::Some => !matches!(kind, FaultKind::ReadFailed | FaultKind::NoElement),
    }
}

fn show(
    fault: &Fault,
    count: Option<u64>,
    maps: &KernelMaps,
    cx: &mut Context<'_, '_>,
) -> Result<(), Error> {
    // Before 6.4 what maps do ends in an `int`, and nothing extends its sign in the register.
    let code = i64::from(maps.word(fault.offset.saturating_add(8)) as i32);
    let mut text = sentence(fault.kind, code, cx.format());
    if let Some(count) = count {
        text.push_str(&format!(" ({count} times)"));
    }
    let helper = Some((fault.helper.as_str(), code)).filter(|(name, _)| !name.is_empty());
    let message = Message {
        kind: match fault.kind {
            // The language's own library says this one.
            FaultKind::NoChild => "warnf",
            _ if helper.is_some() => "helper_error",
            _ => "runtime_error",
        },
        severity: "WARNING",
        text: &text,
        span: fault.span,
        helper,
        shows_source: true,
    };
    Ok(cx.printer.message(&message, cx.sources)?)
}

fn sentence(kind: FaultKind, code: i64, format: OutputFormat) -> String {
    let system = |code: i64| {
        let number = i32::try_from(code.saturating_neg()).unwrap_or(libc::EINVAL);
        crate::host::reason(&std::io::Error::from_raw_os_error(number))
    };
    let text = match kind {
        // JSON names what the helper returned.
        FaultKind::MapFull if format == OutputFormat::Json => return system(code),
        FaultKind::MapFull => {
            "Map full; can't update element. Try increasing max_map_keys config or manually \
             setting the max entries in a map declaration e.g. `let @a = hash(5000)`"
        }
        FaultKind::ReadFailed => return system(code),
        FaultKind::NoElement => "Can't lookup map element because it does not exist.",
        FaultKind::DivisionByZero => {
            "Divide or modulo by 0 detected. This can lead to unexpected results. 1 is being \
             used as the result."
        }
        FaultKind::OutOfBounds => {
            "Array access out of bounds. This can lead to unexpected results."
        }
        FaultKind::StackLost => {
            "No room for the frames of a new stack; it shows without them. Try increasing the \
             max_map_keys config"
        }
        FaultKind::NoChild => "No child command (`-c`); cpid is zero",
    };
    text.to_owned()
}
