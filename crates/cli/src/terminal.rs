//! The only place that prints. Data goes to standard output, everything else to the error stream; a reader that has
//! closed the pipe is no error.

use std::io::{self, Write};

/// Prints data. `false` once nobody reads any more: stop producing.
pub(crate) fn print(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).is_ok()
}

/// Prints what is to be read by a person and not by a program.
pub(crate) fn note(text: &str) {
    // With the error stream gone there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints an error.
pub(crate) fn error(text: &str) {
    note(text);
}
