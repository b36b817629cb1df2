//! From an object to its report: load, attach, run, print.
//!
//! Takes an artifact, the words' userspace halves and this machine; gives output and an exit
//! status. Knows no word by name and nothing of the language's syntax. Every kernel resource
//! is owned by a value whose drop gives it back, and none outlives the process.

#![deny(unsafe_code)]
mod cgroups;
mod elf;
mod error;
mod events;
mod faults;
pub mod format;
mod host;
mod live;
mod load;
mod maps;
pub mod output;
mod process;
mod program;
pub mod progress;
mod record;
mod session;
pub mod symbols;
// The one room with calls that the compiler cannot vouch for.
#[allow(unsafe_code)]
mod sys;
pub mod terminal;
pub mod time;
mod unwinding;
pub mod value;
pub mod viewer;
pub mod vocabulary;

pub use error::{Error, Malformed};
pub use host::{Files, Host};
pub use live::{Changed, Live, Surroundings};
pub use load::KernelMaps;
pub use maps::{MapReport, Order};
pub use output::{Buffering, OutputFormat, Printer};
pub use process::{Child, Process};
pub use record::{Decoder, Record};
pub use session::{Mode, Options, Session};
pub use value::Value;
pub use vocabulary::{Action, Context, Flow, Fold, Handlers, Warnings};
