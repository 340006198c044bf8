//! What can go wrong between rows and disk. Every message names the file and what to do about it.

use std::{io, path::PathBuf};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `write`, `rename`, ….
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what a cell writes. Never read as data.
    #[error("{}{}: {what}; {remedy}", path.display(), line.map(|n| format!(":{n}")).unwrap_or_default())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where there is one.
        line: Option<u64>,
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// A cell that must not be written, since it could not be read back.
    #[error("cell {id} cannot be written: {what}")]
    Unwritable {
        /// Identity of the cell.
        id: String,
        /// Why.
        what: String,
    },
}

impl Error {
    /// Whether a file is damaged, as against unreachable: the cell then counts as missing and may be run anew.
    pub fn is_damage(&self) -> bool {
        matches!(self, Error::Damaged { .. })
    }
}
