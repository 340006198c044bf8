//! What a model computes for given inputs: outputs at every step, the state at the end, loss and gradients.

use super::{Checkpoint, Examples, file};
use crate::model::Model;
use crate::train::mean_loss;
use candle_core::{DType, Device, Tensor, Var};
use seqbench_core::{Error, Params, Registry, Result, Targets};
use std::collections::HashMap;

/// Tensors by name, as [`outputs`] makes them.
pub struct Outputs(Vec<(String, Tensor)>);

impl Outputs {
    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, tensor)| tensor)
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// A safetensors file of them.
    ///
    /// # Errors
    /// A tensor cannot be read.
    pub fn into_bytes(self) -> Result<Vec<u8>> {
        file::serialize(self.0, HashMap::new())
    }
}

/// What a checkpoint computes, without training on it:
///
/// - `outputs` `[batch, time, classes or values]`, the readout at every step;
/// - `hidden` `[batch, time, width]`, what it reads;
/// - `state.<layer>.<name>`, each `[batch, …]`, at each sequence's own end;
/// - with targets `loss`, the mean over scored steps (nats, or squared error);
/// - with `gradients` that of the loss with respect to every parameter, `grad.<parameter>`, and to the output of the
///   encoder, `grad.encoded` `[batch, time, width]`.
///
/// # Errors
/// Gradients without targets, or inputs that the cores refuse.
pub fn outputs(
    checkpoint: &Checkpoint,
    examples: &Examples,
    gradients: bool,
    registry: &Registry,
) -> Result<Outputs> {
    let Checkpoint { model: spec, signature, horizon, parameters } = checkpoint;
    let inputs = &examples.inputs;
    let (batch, time) = (inputs.batch, inputs.time);
    let model = Model::build(spec, *signature, *horizon, registry, &Params::detached(parameters))?;
    let (hidden, state) = model.forward(inputs, None, examples.lengths.as_deref())?;
    let every: Vec<(usize, usize)> = (0..batch * time).map(|at| (at / time, at % time)).collect();
    let read = model.read_out(&hidden, &every)?.reshape((batch, time, signature.output.width()))?;
    let mut found = vec![("outputs".to_owned(), read)];
    for (layer, state) in state.layers.iter().enumerate() {
        let entries = state.iter();
        found.extend(entries.map(|(name, tensor)| (format!("state.{layer}.{name}"), tensor.clone())));
    }
    if let Some(targets) = &examples.targets {
        let outputs = model.read_out(&hidden, &examples.scored)?;
        let loss = mean_loss(&outputs, targets, &examples.scored, time, signature.output)?;
        found.push(("loss".to_owned(), loss));
    }
    found.push(("hidden".to_owned(), hidden));
    if gradients {
        let targets = examples.targets.as_ref().ok_or_else(|| {
            Error::invalid("there are no `targets`, and so no loss whose gradients to take")
        })?;
        found.extend(gradients_of(checkpoint, examples, targets, registry)?);
    }
    Ok(Outputs(found))
}

fn gradients_of(
    checkpoint: &Checkpoint,
    examples: &Examples,
    targets: &Targets,
    registry: &Registry,
) -> Result<Vec<(String, Tensor)>> {
    let Checkpoint { model: spec, signature, horizon, parameters } = checkpoint;
    let inputs = &examples.inputs;
    let model = Model::build(spec, *signature, *horizon, registry, &Params::tracked(parameters))?;
    let state = model.initial_state(inputs.batch)?;
    let encoded = model.encode(inputs, &state.positions)?;
    // A zero added to the encoder's output: its gradient is that of the output.
    let tap = Var::zeros(encoded.dims(), DType::F32, &Device::Cpu)?;
    let (hidden, _) = model.run(encoded, &state, None, &[tap.as_tensor().clone()])?;
    let outputs = model.read_out(&hidden, &examples.scored)?;
    let loss = mean_loss(&outputs, targets, &examples.scored, inputs.time, signature.output)?;
    let gradients = loss.backward()?;
    let of = |name: &str, var: &Var| -> Result<(String, Tensor)> {
        let gradient = match gradients.get(var.as_tensor()) {
            Some(gradient) => gradient.clone(),
            None => var.zeros_like()?,
        };
        Ok((format!("grad.{name}"), gradient))
    };
    let named = parameters.iter().map(|parameter| of(&parameter.name, &parameter.var));
    named.chain([of("encoded", &tap)]).collect()
}
