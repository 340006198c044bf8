//! Scores of a model on batches, without a graph.

use crate::inputs::without_padding;
use crate::metrics::Tally;
use crate::model::Model;
use seqbench_core::{Batch, OutputKind, Result};

/// Runs a model (on detached parameters) over batches and tallies its answers at the scored steps.
///
/// # Errors
/// A tensor operation failed.
pub fn evaluate(model: &Model, output: OutputKind, batches: impl Iterator<Item = Batch>) -> Result<Tally> {
    let mut tally = Tally::default();
    for batch in batches {
        if batch.scored.is_empty() {
            continue;
        }
        let batch = without_padding(&batch);
        let (ys, _) = model.forward(&batch.inputs, None, None)?;
        let outputs = model.read_out(&ys, &batch.scored_steps())?;
        tally.add(&batch, output, &outputs.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(tally)
}
