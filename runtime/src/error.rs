//! What can go wrong between an artifact and its report.

use std::fmt;
use std::io;

use rbt_compiler::target::TargetError;
use rbt_grammar::codes::{self, Code};
use rbt_grammar::diagnostic::{Diagnostic, Severity};

use crate::host::reason;

/// Why a session cannot start or go on.
#[derive(Debug)]
pub enum Error {
    /// Something a person should read, with its place in the script where there is one.
    Refused {
        /// What to show.
        diagnostic: Box<Diagnostic>,
        /// What the command's exit status is to be.
        status: i32,
    },
    /// A record or a map's bytes are not as the manifest says.
    Malformed(Malformed),
    /// The output cannot be written. `BrokenPipe`: nobody reads it any more.
    Output(io::Error),
    /// The machine would not do something.
    System {
        /// What was attempted, on what: `read the map @x`.
        attempted: String,
        /// The machine's reason.
        reason: io::Error,
    },
    /// Every probe was refused, and the script allows that, but nothing is left.
    NothingToAttach,
}

/// Bytes that are not as the schema says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong with them.
    pub what: String,
}

impl Malformed {
    /// `what` is wrong.
    pub fn new(what: impl Into<String>) -> Malformed {
        Malformed { what: what.into() }
    }
}

impl Error {
    /// The machine refused: exit status 255.
    pub(crate) fn refused(diagnostic: Diagnostic) -> Error {
        Error::Refused {
            diagnostic: Box::new(diagnostic),
            status: 255,
        }
    }

    /// The arguments do not fit the machine: exit status 1.
    pub fn usage(code: Code, message: impl Into<String>) -> Error {
        Error::Refused {
            diagnostic: Box::new(Diagnostic::new(Severity::Error, code, message)),
            status: 1,
        }
    }

    pub(crate) fn system(attempted: impl Into<String>, reason: io::Error) -> Error {
        Error::System {
            attempted: attempted.into(),
            reason,
        }
    }

    /// What the command's exit status is to be.
    pub fn status(&self) -> i32 {
        match self {
            Error::Refused { status, .. } => *status,
            Error::Malformed(_)
            | Error::Output(_)
            | Error::System { .. }
            | Error::NothingToAttach => 255,
        }
    }

    /// What to show of it.
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Error::Refused { diagnostic, .. } => (**diagnostic).clone(),
            Error::Malformed(_) => {
                Diagnostic::new(Severity::Bug, codes::INTERNAL, self.to_string())
                    .help("this is a defect of rbt: please report it with the script")
            }
            Error::Output(_) => Diagnostic::new(Severity::Error, codes::OUTPUT, self.to_string()),
            Error::System { .. } => {
                Diagnostic::new(Severity::Error, codes::MACHINE, self.to_string())
            }
            Error::NothingToAttach => {
                Diagnostic::new(Severity::Error, codes::ATTACH, self.to_string())
            }
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed data from the kernel: {}", self.what)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused { diagnostic, .. } => f.write_str(&diagnostic.message),
            Error::Malformed(malformed) => malformed.fmt(f),
            Error::Output(error) => write!(f, "cannot write the output: {}", reason(error)),
            Error::System {
                attempted,
                reason: error,
            } => write!(f, "cannot {attempted}: {}", reason(error)),
            Error::NothingToAttach => f.write_str("Attachment failed for all probes."),
        }
    }
}

impl std::error::Error for Malformed {}
impl std::error::Error for Error {}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Error {
        Error::Malformed(malformed)
    }
}

impl From<TargetError> for Error {
    fn from(error: TargetError) -> Error {
        let mut diagnostic = Diagnostic::new(Severity::Error, codes::MACHINE, error.to_string());
        if !error.help.is_empty() {
            diagnostic = diagnostic.help(error.help);
        }
        Error::refused(diagnostic)
    }
}
