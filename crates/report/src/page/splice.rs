//! Generated text into a document written by hand: what stands between two markers is replaced.

/// Why a document was left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// A marker is not there.
    #[error("no line reads `{0}`")]
    Missing(String),
    /// A marker is there several times, so that its place is not known.
    #[error("{count} lines read `{marker}`, where one is to be replaced")]
    Doubled {
        /// The marker.
        marker: String,
        /// How many lines are it.
        count: usize,
    },
    /// The second marker stands before the first.
    #[error("`{end}` stands above `{begin}`")]
    Crossed {
        /// The marker that opens.
        begin: String,
        /// The marker that closes.
        end: String,
    },
}

/// A document with `text` in place of what stands between the lines `<!-- NAME: begin -->` and `<!-- NAME: end -->`, which
/// stay. A marker counts only where it is a line of its own.
///
/// # Errors
/// [`SpliceError`] where the document does not hold each marker once, the first above the second.
pub fn splice(document: &str, name: &str, text: &str) -> Result<String, SpliceError> {
    let (begin, end) = (format!("<!-- {name}: begin -->"), format!("<!-- {name}: end -->"));
    let (_, from) = only_line(document, &begin)?;
    let (to, _) = only_line(document, &end)?;
    if to < from {
        return Err(SpliceError::Crossed { begin, end });
    }
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{}{text}{newline}{}", &document[..from], &document[to..]))
}

/// Where the one line begins that reads as a marker does, and where the next line begins.
fn only_line(document: &str, marker: &str) -> Result<(usize, usize), SpliceError> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in document.split_inclusive('\n') {
        let next = start + line.len();
        if line.trim() == marker {
            found.push((start, next));
        }
        start = next;
    }
    match found[..] {
        [only] => Ok(only),
        [] => Err(SpliceError::Missing(marker.into())),
        _ => Err(SpliceError::Doubled { marker: marker.into(), count: found.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str =
        "# a\n<!-- results: begin -->\nold\n<!-- results: end -->\nb `<!-- results: end -->`\n";

    #[test]
    fn what_stands_between_the_markers_is_replaced_and_all_else_stays() {
        let new = splice(DOCUMENT, "results", "new\n").unwrap();
        assert_eq!(new, DOCUMENT.replace("old", "new"));
        assert_eq!(splice(&new, "results", "old").unwrap(), DOCUMENT, "a last line break is added");
        assert_eq!(splice(DOCUMENT, "results", "").unwrap(), DOCUMENT.replace("old\n", ""));
    }

    #[test]
    fn an_error_names_the_marker_that_is_missing_doubled_or_too_early() {
        let text = |document: &str| splice(document, "study", "").unwrap_err().to_string();
        let (begin, end) = ("<!-- study: begin -->", "<!-- study: end -->");
        assert_eq!(text(DOCUMENT), format!("no line reads `{begin}`"));
        assert_eq!(text(begin), format!("no line reads `{end}`"));
        let doubled = text(&format!("{begin}\n{end}\n{end}\n"));
        assert_eq!(doubled, format!("2 lines read `{end}`, where one is to be replaced"));
        assert_eq!(text(&format!("{end}\n{begin}\n")), format!("`{end}` stands above `{begin}`"));
    }
}
