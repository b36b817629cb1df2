//! `watchpoint`: fires when memory at an address is read, written or run.

use super::number::number;
use super::{malformed, wrong_parts};
use crate::word::word;
use rbt_compiler::artifact::{AttachTarget, ProgramKind};
use rbt_compiler::structs::TypeTable;
use rbt_compiler::target::{Feature, Target};
use rbt_compiler::types::Space;
use rbt_compiler::vocabulary::{
    ArgumentAccess, Needs, PidFilter, Place, ProbeContext, ProbeSpec, Provider, Route,
};
use rbt_grammar::Diagnostic;

word! {
    /// `watchpoint`
    Watchpoint = "watchpoint" {
        usage: ["watchpoint:address:length:mode"],
        summary: "Fires when memory is written (`w`), read or written (`rw`) or run (`x`).",
        details: "The length is 1, 2, 4 or 8 bytes. With `-p` or `-c` it watches that process, \
                  else everything that runs. `unwatch(address)` ends it.",
        examples: ["watchpoint:0x10000000:8:rw { printf(\"hit!\\n\"); }"],
        kernel: "",
    }
}

/// Modes that processors know, with the bits of `linux/hw_breakpoint.h`.
const MODES: &[(&str, u32)] = &[("w", 2), ("rw", 3), ("wr", 3), ("x", 4)];

fn parts(place: &Place) -> (u64, u32, u32) {
    let part = |index: usize| place.parts.get(index).map_or("", String::as_str);
    let mode = MODES.iter().find(|(name, _)| *name == part(2));
    (
        part(0).parse().unwrap_or(0),
        part(1).parse().unwrap_or(1),
        mode.map_or(2, |(_, bits)| *bits),
    )
}

impl Provider for Watchpoint {
    fn has_space(&self) -> bool {
        false
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["w"]
    }

    fn expand(&self, spec: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<Place>, Diagnostic> {
        let form = "watchpoint:0x10000000:8:w";
        if spec.parts.len() != 3 {
            return Err(wrong_parts(spec, "watchpoint", "3", form));
        }
        let (written, length, mode) = (spec.part(0), spec.part(1), spec.part(2));
        let Some(address) = number(written) else {
            let message = format!("Invalid function/address argument: invalid integer: {written}");
            return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
        };
        if !matches!(number(length), Some(1 | 2 | 4 | 8)) {
            let message = "watchpoint length must be one of (1,2,4,8)";
            return Err(malformed(spec, message, "").help(format!("write it as `{form}`")));
        }
        let help = "supported modes: x,w,rw";
        if mode.is_empty() || !mode.chars().all(|c| "rwx".contains(c)) {
            let message = "watchpoint mode must be combination of (r,w,x)";
            return Err(malformed(spec, message, "").help(help));
        }
        let is_twice = |c| mode.matches(c).count() > 1;
        if ['r', 'w', 'x'].into_iter().any(is_twice) {
            return Err(malformed(spec, "watchpoint modes may not be duplicated", "").help(help));
        }
        if !MODES.iter().any(|(name, _)| *name == mode) {
            let message = format!("invalid watchpoint mode: {mode}");
            return Err(malformed(spec, message, "no processor watches for this").help(help));
        }
        let length = number(length).unwrap_or(8).to_string();
        Ok(vec![Place {
            text: format!("watchpoint:{address}:{length}:{mode}"),
            parts: vec![address.to_string(), length, mode.to_owned()],
        }])
    }

    fn context(
        &self,
        place: &Place,
        _: Needs,
        _: &TypeTable<'_>,
        _: &dyn Target,
    ) -> Result<ProbeContext, Diagnostic> {
        Ok(ProbeContext {
            provider: &Watchpoint,
            place: place.clone(),
            space: Space::Kernel,
            arguments: None,
            numbered: 0,
            when: self.when(),
        })
    }

    fn routes(&self, places: &[Place], needs: Needs, target: &dyn Target) -> Vec<Route> {
        let attachment = |(index, place): (usize, &Place)| {
            let (address, length, mode) = parts(place);
            let target = AttachTarget::Watchpoint {
                address,
                length,
                mode,
            };
            (target, index, 1)
        };
        let cookie = Feature::PerfLinkCookie;
        vec![Route {
            kind: ProgramKind::PerfEvent,
            section: String::from("perf_event"),
            name: String::from("watchpoint"),
            places: (0..places.len()).collect(),
            attachments: places.iter().enumerate().map(attachment).collect(),
            pid_filter: PidFilter::Attach,
            arguments: ArgumentAccess::None,
            site: super::site_source(places.len(), needs.site, target, cookie),
        }]
    }

    fn list(&self, _: &ProbeSpec<'_>, _: &dyn Target) -> Result<Vec<String>, Diagnostic> {
        Ok(Vec::new())
    }

    fn is_listed(&self) -> bool {
        false
    }
}
