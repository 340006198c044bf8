//! The documented formulas are those of live tensors.

use super::subject::{BATCH, Subject};
use super::{Check, Contract, Found, ensure};
use candle_core::DType;

/// The contracts of this file.
pub(crate) const CONTRACTS: &[Check<Subject>] = &[
    (
        Contract {
            name: "parameter count",
            meaning: "`parameter_count` is not what `build` makes: models matched in size are not",
        },
        parameter_count,
    ),
    (
        Contract {
            name: "state bytes",
            meaning: "`state_bytes` is not what the live state holds: tables of memory against context are wrong",
        },
        state_bytes,
    ),
];

fn parameter_count(subject: &Subject) -> Found {
    let live = subject.store(11, DType::F32)?.count();
    let formula = subject.configured.parameter_count(subject.dim);
    ensure!(
        live == formula,
        "at width {} the formula says {formula}, the built core has {live}",
        subject.dim
    );
    Ok(())
}

fn state_bytes(subject: &Subject) -> Found {
    let core = subject.still(DType::F32)?;
    for context in [0, 1, 2, 7, 33] {
        let live = match context {
            0 => core.initial_state(BATCH)?,
            _ => core.forward(&subject.xs(context, DType::F32)?, None, None)?.1,
        };
        let formula = BATCH * subject.configured.state_bytes(subject.dim, context);
        let live = live.bytes();
        ensure!(
            live == formula,
            "for {BATCH} sequences after {context} tokens at width {} the formula says {formula} bytes, the live state \
             has {live}",
            subject.dim
        );
    }
    Ok(())
}
