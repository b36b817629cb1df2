//! Passes: each takes one thing and makes a new one.

pub mod check;
pub mod convert;
pub mod fold;
pub mod functions;
pub mod imports;
pub mod infer;
mod kept;
pub mod macros;
pub mod parameter;
pub mod plan;
pub mod preamble;
pub mod probes;
pub mod respan;
pub mod settings;
pub mod walk;
