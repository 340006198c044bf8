//! Checks that the configurations of several tasks share. Messages begin with the key in backticks, which is how
//! they find their place in the file.

use seqbench_core::{Error, Result};

/// Steps a sequence may have at most: enough for every published length, and few enough that a mistyped number
/// is an error rather than a machine out of memory.
pub(crate) const MAX_STEPS: usize = 1 << 24;

/// Symbols an alphabet may have at most.
pub(crate) const MAX_SYMBOLS: usize = 1 << 20;

/// `value` is at least `least`; `because` completes "`key` = 0 is too small: …".
///
/// # Errors
/// It is less.
pub(crate) fn at_least(key: &str, value: usize, least: usize, because: &str) -> Result<()> {
    if value < least {
        let message = format!("`{key}` = {value} is too small: {because}; use {least} or more");
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// `value` is at most `most`.
///
/// # Errors
/// It is more.
pub(crate) fn at_most(key: &str, value: usize, most: usize) -> Result<()> {
    if value > most {
        return Err(Error::invalid(format!("`{key}` = {value} is too large; use {most} or less")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_messages_name_the_key_and_the_remedy() {
        assert!(at_least("lag", 1, 1, "").is_ok() && at_most("lag", 9, 9).is_ok());
        let error = at_least("lag", 0, 1, "there is nothing to remember").unwrap_err().to_string();
        assert_eq!(error, "`lag` = 0 is too small: there is nothing to remember; use 1 or more");
        assert_eq!(at_most("lag", 10, 9).unwrap_err().to_string(), "`lag` = 10 is too large; use 9 or less");
    }
}
