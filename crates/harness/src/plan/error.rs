//! A refused plan: what is wrong, where it stands, and what would have been accepted.

use super::source::Sources;
use seqbench_core::config::{ConfigError, Span};
use std::fmt;

/// Words of a closed list that a message spells out before it is cut short.
const LISTED: usize = 40;

/// Why an experiment was refused. Nothing has been created when one is returned.
///
/// [`fmt::Display`] renders it the way compilers do: the message, the place, the line with carets, and help.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanError {
    /// What is wrong, in one line.
    pub message: String,
    /// The place, where there is one.
    pub place: Option<Box<Place>>,
    /// What would have been accepted, where that is a closed list.
    pub expected: Vec<String>,
    /// The accepted word nearest to the one found.
    pub nearest: Option<String>,
}

/// A place in the text of an experiment, or in an override given beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named, or `--set`.
    pub file: String,
    /// Byte offsets in that file.
    pub span: std::ops::Range<usize>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The whole line.
    pub source_line: String,
    /// Characters of the line the error is about, at least 1.
    pub width: usize,
}

impl PlanError {
    pub(super) fn from_config(error: ConfigError, sources: &Sources) -> Self {
        let place = error.span.and_then(|span| sources.place(&span)).map(Box::new);
        PlanError { message: error.message, place, expected: error.expected, nearest: error.nearest }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let gutter = self.place.as_ref().map_or(0, |place| place.line.to_string().len());
        if let Some(place) = &self.place {
            let pad = " ".repeat(gutter);
            write!(f, "\n{pad}--> {}:{}:{}", place.file, place.line, place.column)?;
            write!(f, "\n{pad} |\n{} | {}", place.line, place.source_line)?;
            // Tabs before the place stay tabs, so that the carets stand under it.
            let lead: String = place.source_line.chars().take(place.column - 1).collect();
            let lead: String = lead.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n{pad} | {lead}{}", "^".repeat(place.width))?;
        }
        if !self.expected.is_empty() {
            let shown = self.expected.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
            let more = if self.expected.len() > LISTED { ", …" } else { "" };
            write!(f, "\n{} = expected one of: {shown}{more}", " ".repeat(gutter))?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "\nhelp: did you mean `{nearest}`?")?;
        }
        Ok(())
    }
}

impl std::error::Error for PlanError {}

/// A result whose error still carries only its span.
pub(super) type Result<T> = std::result::Result<T, ConfigError>;

/// An error at a place.
pub(super) fn refuse<T>(message: impl Into<String>, span: &Span) -> Result<T> {
    Err(ConfigError::new(message, span.clone()))
}
