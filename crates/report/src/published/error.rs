//! Why a file of published numbers was refused.

use std::ops::Range;
use thiserror::Error;

/// What is wrong, where it stands, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}: {message}\nhelp: {help}")]
pub struct PublishedError {
    /// The file as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// The remedy.
    pub help: String,
}

impl PublishedError {
    /// The error at a place of a text, given in bytes; at its first line where no place is known.
    pub(super) fn at(file: &str, text: &str, span: Option<Range<usize>>, message: &str, help: &str) -> Self {
        let before = span.and_then(|span| text.as_bytes().get(..span.start)).unwrap_or(&[]);
        Self {
            file: file.into(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            message: message.trim_end().into(),
            help: help.into(),
        }
    }
}
