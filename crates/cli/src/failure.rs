//! Why a command did not succeed, and the exit code that says so.

use std::process::ExitCode;

/// A failure with its exit code: the documented ones of `seqbench --help`.
#[derive(Debug)]
pub(crate) enum Failure {
    /// 1: some cells failed, or a contract broke. What did was printed already.
    Incomplete,
    /// 2: usage or configuration. The message is complete, places and all.
    Usage(String),
    /// 3: input, output or environment.
    Environment(anyhow::Error),
    /// 75: told to stop; what was under way is kept, and the same command goes on. Was said already.
    Stopped,
    /// 4: results contradict each other. The message is complete.
    Contradiction(String),
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::Usage(message.into())
    }

    pub(crate) fn report(self) -> ExitCode {
        match self {
            Failure::Incomplete => ExitCode::from(1),
            Failure::Stopped => ExitCode::from(crate::signals::STOPPED),
            Failure::Usage(message) => {
                crate::terminal::error(&message);
                ExitCode::from(2)
            }
            Failure::Contradiction(message) => {
                crate::terminal::error(&message);
                ExitCode::from(4)
            }
            Failure::Environment(error) => {
                crate::terminal::error(&format!("error: {error:#}"));
                ExitCode::from(3)
            }
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Environment(error)
    }
}

/// What every command returns.
pub(crate) type Outcome = Result<(), Failure>;
