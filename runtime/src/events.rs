//! The ring buffer: what running programs have to say, in the order they said it.
//!
//! Programs do not wake the reader for each record, which would slow what is traced; they do
//! when the buffer fills. So the reader looks by itself: every millisecond while there is
//! something, less and less often while there is nothing.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use aya::maps::{Map, MapData, RingBuf};
use tokio::io::unix::AsyncFd;

use crate::error::Error;
use crate::sys;

/// How often the reader looks while records come.
const BUSY: Duration = Duration::from_millis(1);

/// How long it waits at most while none come: what a person does not notice.
const IDLE: Duration = Duration::from_millis(40);

/// The reader's end of the ring buffer.
pub(crate) struct Events {
    ring: RingBuf<MapData>,
    wakeups: AsyncFd<OwnedFd>,
    pause: Duration,
}

impl Events {
    /// Reads from `map`. Has to be called inside a tokio runtime.
    pub(crate) fn of(map: &sys::Map) -> Result<Events, Error> {
        let failed = |error| Error::system("open the ring buffer", error);
        let data = MapData::from_fd(map.try_clone_fd().map_err(failed)?)
            .map_err(|error| failed(io::Error::other(error)))?;
        let ring = RingBuf::try_from(Map::RingBuf(data))
            .map_err(|error| failed(io::Error::other(error)))?;
        let fd = ring.as_fd().try_clone_to_owned().map_err(failed)?;
        Ok(Events {
            ring,
            wakeups: sys::watch(fd).map_err(failed)?,
            pause: BUSY,
        })
    }

    /// The next record, if there is one now.
    pub(crate) fn next(&mut self) -> Option<impl std::ops::Deref<Target = [u8]> + '_> {
        self.ring.next()
    }

    /// Waits until it is worth looking again. `came` says whether the last look found records.
    pub(crate) async fn wait(&mut self, came: bool) {
        self.pause = if came {
            BUSY
        } else {
            (self.pause * 2).min(IDLE)
        };
        let woken = tokio::time::timeout(self.pause, self.wakeups.readable()).await;
        if let Ok(Ok(mut readiness)) = woken {
            readiness.clear_ready();
            self.pause = BUSY;
        }
    }
}
