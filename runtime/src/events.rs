//! The ring buffer: what running programs have to say, in the order they said it.
//!
//! Waking the reader for each record would slow what is traced, so programs wake it only when
//! more waits than a level. While records come the reader looks by itself every millisecond and
//! sets the level to a quarter of the buffer after each look; once nothing comes it sets the
//! level to zero, looks once more and sleeps: an idle tracer costs nothing, and the first record
//! wakes it. The program that wakes it raises the level by a quarter, before it submits: however
//! long the reader then waits for a CPU, a full buffer has cost a handful of wake-ups.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use aya::maps::{Map, MapData, RingBuf};
use rbt_compiler::artifact::{Manifest, MapId};
use tokio::io::unix::AsyncFd;

use crate::error::Error;
use crate::load::KernelMaps;
use crate::sys;

/// How often the reader looks while records come.
const BUSY: Duration = Duration::from_millis(1);

/// How long it sleeps at most: what went wrong in programs is reported that late, and a
/// record that was being written while the reader fell asleep.
const IDLE: Duration = Duration::from_millis(100);

/// The reader's end of the ring buffer.
pub(crate) struct Events {
    /// Mapped when the first record waits: that takes longer than all else at the start.
    ring: Option<RingBuf<MapData>>,
    map: MapId,
    wakeups: AsyncFd<OwnedFd>,
    maps: Rc<KernelMaps>,
    /// Where the level lies in the globals.
    level_at: Option<u32>,
    /// The level while the reader looks by itself: a quarter of the buffer.
    busy_level: u64,
    is_asleep: bool,
}

impl Events {
    /// Reads from the ring buffer of that number. Has to be called inside a tokio runtime.
    pub(crate) fn of(
        map: MapId,
        manifest: &Manifest,
        maps: &Rc<KernelMaps>,
    ) -> Result<Events, Error> {
        let kernel = maps.get(map)?;
        let fd = kernel.try_clone_fd().map_err(failed)?;
        Ok(Events {
            ring: None,
            map,
            wakeups: sys::watch(fd).map_err(failed)?,
            maps: Rc::clone(maps),
            level_at: manifest.globals.wake_level,
            busy_level: u64::from(kernel.max_entries() / 4),
            is_asleep: true,
        })
    }

    /// Takes note of records that wait; to be called before a run of [`Events::next`].
    pub(crate) fn look(&mut self) -> Result<(), Error> {
        if self.ring.is_none() {
            let kernel = self.maps.get(self.map)?;
            if sys::is_readable(kernel.as_fd()).map_err(failed)? {
                self.ring = Some(open(kernel)?);
            }
        }
        Ok(())
    }

    /// The next record, if there is one now.
    pub(crate) fn next(&mut self) -> Option<impl std::ops::Deref<Target = [u8]> + '_> {
        self.ring.as_mut()?.next()
    }

    /// Waits until it is worth looking again. `came` says whether the last look found records.
    pub(crate) async fn wait(&mut self, came: bool) {
        let pause = match (came, self.is_asleep) {
            (true, _) => {
                self.set_asleep(false);
                BUSY
            }
            // Programs may have read the old level: the next look sees what they wrote.
            (false, false) => {
                self.set_asleep(true);
                return;
            }
            (false, true) if self.level_at.is_some() => IDLE,
            // Nobody will wake the reader.
            (false, true) => BUSY,
        };
        let woken = tokio::time::timeout(pause, self.wakeups.readable()).await;
        if let Ok(Ok(mut readiness)) = woken {
            readiness.clear_ready();
        }
    }

    fn set_asleep(&mut self, is_asleep: bool) {
        self.is_asleep = is_asleep;
        if let Some(at) = self.level_at {
            let level = if is_asleep { 0 } else { self.busy_level };
            self.maps.set_word(at, level);
        }
    }
}

fn failed(error: io::Error) -> Error {
    Error::system("open the ring buffer", error)
}

fn open(kernel: &sys::Map) -> Result<RingBuf<MapData>, Error> {
    let data = MapData::from_fd(kernel.try_clone_fd().map_err(failed)?)
        .map_err(|error| failed(io::Error::other(error)))?;
    RingBuf::try_from(Map::RingBuf(data)).map_err(|error| failed(io::Error::other(error)))
}
