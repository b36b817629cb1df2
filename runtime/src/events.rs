//! The ring buffer: what running programs have to say, in the order they said it.
//!
//! Waking the reader for each record would slow what is traced, so programs wake it only when
//! more waits than a level the reader sets. While records come the reader looks by itself
//! every millisecond and the level is high; once nothing comes it sets the level to zero,
//! looks once more and sleeps: an idle tracer costs nothing, and the first record wakes it.

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
    ring: RingBuf<MapData>,
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
        let failed = |error| Error::system("open the ring buffer", error);
        let kernel = maps.get(map)?;
        let data = MapData::from_fd(kernel.try_clone_fd().map_err(failed)?)
            .map_err(|error| failed(io::Error::other(error)))?;
        let ring = RingBuf::try_from(Map::RingBuf(data))
            .map_err(|error| failed(io::Error::other(error)))?;
        let fd = ring.as_fd().try_clone_to_owned().map_err(failed)?;
        Ok(Events {
            ring,
            wakeups: sys::watch(fd).map_err(failed)?,
            maps: Rc::clone(maps),
            level_at: manifest.globals.wake_level,
            busy_level: u64::from(kernel.max_entries() / 4),
            is_asleep: true,
        })
    }

    /// The next record, if there is one now.
    pub(crate) fn next(&mut self) -> Option<impl std::ops::Deref<Target = [u8]> + '_> {
        self.ring.next()
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
        if self.is_asleep == is_asleep {
            return;
        }
        self.is_asleep = is_asleep;
        if let Some(at) = self.level_at {
            let level = if is_asleep { 0 } else { self.busy_level };
            self.maps.set_word(at, level);
        }
    }
}
