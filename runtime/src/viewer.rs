//! Other ways to see maps than having them printed.
//!
//! Takes a look at a running script's maps whenever a viewer wants one, and a last one when
//! tracing has ended. Knows no terminal and no picture: those are the viewer's.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use rbt_compiler::artifact::MapId;

use crate::error::Error;
use crate::maps::{self, MapReport};
use crate::session::Report;

/// What a viewer waits for.
pub type Wake<'v> = Pin<Box<dyn Future<Output = ()> + 'v>>;

/// Somebody who looks at maps.
pub trait Viewer: fmt::Debug {
    /// Comes when a look is wanted. It may be dropped before and asked for again at any time.
    fn wait(&mut self) -> Wake<'_> {
        Box::pin(std::future::pending())
    }

    /// Looks at the maps of a script that runs; `false` ends the tracing.
    ///
    /// Errors: a map cannot be read, the picture not be drawn.
    fn look(&mut self, _maps: &LiveMaps<'_>) -> Result<bool, Error> {
        Ok(true)
    }

    /// Tracing has ended: what is written from now on is for stdout.
    fn leave(&mut self) {}

    /// The last look, after the `end` clauses; says whether the maps are to be printed as well.
    ///
    /// Errors: a map cannot be read.
    fn last(&mut self, _maps: &LiveMaps<'_>) -> Result<bool, Error> {
        Ok(true)
    }
}

/// The maps of a script that has been started.
pub struct LiveMaps<'r> {
    report: &'r Report<'r>,
}

impl<'r> LiveMaps<'r> {
    pub(crate) fn new(report: &'r Report<'r>) -> LiveMaps<'r> {
        LiveMaps { report }
    }

    /// All maps of the script by name: number and name without `@`.
    pub fn names(&self) -> Vec<(MapId, &'r str)> {
        let manifest = self.report.decoder.manifest;
        let ids = maps::reports_at_exit(manifest).into_iter();
        ids.filter_map(|id| {
            let schema = manifest.maps.get(id.0 as usize)?;
            Some((id, schema.name.as_str()))
        })
        .collect()
    }

    /// Shows a map as it is now to `see`; one that nothing was written to has no elements.
    ///
    /// Errors: the map cannot be read.
    pub fn read(&self, map: MapId, see: &mut dyn FnMut(&MapReport<'_>)) -> Result<(), Error> {
        let decoder = &self.report.decoder;
        let elements = maps::read(&decoder.maps, decoder.manifest, map)?;
        let mut report = maps::report(decoder, self.report.handlers, map, &elements)?;
        if !maps::holds_anything(decoder.manifest, map, &elements) {
            report.entries.clear();
        }
        see(&report);
        Ok(())
    }
}
