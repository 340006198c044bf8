//! The errors of the boundary.

use crate::config::ConfigError;

/// What can go wrong between a harness and an architecture or task.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor of the wrong shape. The message names the argument and both shapes.
    #[error("{what}: got shape {got:?}, expected {expected}")]
    Shape {
        /// The argument.
        what: String,
        /// The shape it had.
        got: Vec<usize>,
        /// The shape it should have had, in words or symbols.
        expected: String,
    },
    /// A setting that no model or task can be built from.
    #[error("{0}")]
    Invalid(String),
    /// A configuration value refused while reading it; knows its place in the file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An error of candle or of a kernel.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// An [`Error::Invalid`] from a message.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::Invalid(message.into())
    }

    /// An [`Error::Shape`] for `what`.
    pub fn shape(what: impl Into<String>, got: &[usize], expected: impl Into<String>) -> Self {
        Error::Shape { what: what.into(), got: got.to_vec(), expected: expected.into() }
    }
}

/// A result whose error is [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;
