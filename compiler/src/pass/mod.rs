//! Passes: each takes one thing and makes a new one.

pub mod preamble;
