//! A toy architecture and two toy tasks: small enough to read in a minute, and none that is shipped.

#![allow(dead_code, unreachable_pub)]

use candle_core::Tensor;
use seqbench_core::architecture::{Architecture, ArchitectureInfo, Decoder, Dims, SequenceCore, StepDecoder};
use seqbench_core::{
    Batch, Error, Evidence, Generated, Init, InputData, InputKind, Inputs, Instance, OutputKind, Params,
    Reference, Registry, Result, Scored, Signature, State, Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};

/// A linear map of each step, scaled, and no memory at all. `groups` must divide the width.
pub struct Toy;
/// The same with other settings, to have two architectures.
pub struct Other;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToyConfig {
    pub scale: f64,
    pub groups: usize,
    pub radius: Option<f64>,
    pub mode: ToyMode,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToyMode {
    Hard,
    Soft,
}

impl Default for ToyConfig {
    fn default() -> Self {
        ToyConfig { scale: 1.0, groups: 1, radius: None, mode: ToyMode::Hard }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtherConfig {
    pub heads: usize,
}

static TOY: ArchitectureInfo = ArchitectureInfo {
    name: "toy",
    title: "Toy",
    summary: "Carries nothing.",
    citation: "none",
    deviations: &[],
};
static OTHER: ArchitectureInfo = ArchitectureInfo { name: "other", ..TOY };

struct Linear {
    weight: Tensor,
    scale: f64,
    dim: usize,
}

impl SequenceCore for Linear {
    fn forward(&self, xs: &Tensor, _: Option<&State>, _: Option<&[usize]>) -> Result<(Tensor, State)> {
        let (batch, time, dim) = xs.dims3()?;
        let flat = xs.reshape((batch * time, dim))?.matmul(&self.weight)?;
        Ok(((flat * self.scale)?.reshape((batch, time, dim))?, State::empty()))
    }

    fn initial_state(&self, _: usize) -> Result<State> {
        Ok(State::empty())
    }

    fn decoder(&self, batch: usize, _: usize) -> Result<Box<dyn Decoder + '_>> {
        Ok(Box::new(StepDecoder::new(self, batch, self.dim)?))
    }
}

fn linear(dims: Dims, params: &Params, scale: f64) -> Result<Box<dyn SequenceCore>> {
    let weight = params.get(&[dims.dim, dims.dim], "weight", &Init::Normal { deviation: 0.1 })?;
    Ok(Box::new(Linear { weight, scale, dim: dims.dim }))
}

impl Architecture for Toy {
    type Config = ToyConfig;
    fn info(&self) -> &'static ArchitectureInfo {
        &TOY
    }
    fn build(&self, config: &ToyConfig, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        if config.groups == 0 || !dims.dim.is_multiple_of(config.groups) {
            let message = format!("`groups` {} does not divide the width {}", config.groups, dims.dim);
            return Err(Error::invalid(message));
        }
        linear(dims, params, config.scale)
    }
    fn parameter_count(&self, _: &ToyConfig, dim: usize) -> usize {
        dim * dim
    }
    fn state_bytes(&self, _: &ToyConfig, _: usize, _: usize) -> usize {
        0
    }
}

impl Architecture for Other {
    type Config = OtherConfig;
    fn info(&self) -> &'static ArchitectureInfo {
        &OTHER
    }
    fn build(&self, _: &OtherConfig, dims: Dims, params: &Params) -> Result<Box<dyn SequenceCore>> {
        linear(dims, params, 1.0)
    }
    fn parameter_count(&self, _: &OtherConfig, dim: usize) -> usize {
        dim * dim
    }
    fn state_bytes(&self, _: &OtherConfig, _: usize, _: usize) -> usize {
        0
    }
}

/// Say the first symbol again at the last step.
pub struct Echo;
/// The same under another name, with a key of `[train]` among its own.
pub struct Shout;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EchoConfig {
    pub lag: usize,
    pub classes: usize,
}

impl Default for EchoConfig {
    fn default() -> Self {
        EchoConfig { lag: 3, classes: 2 }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShoutConfig {
    pub steps: usize,
    pub loud: bool,
}

static ECHO: TaskInfo = TaskInfo {
    name: "echo",
    title: "Echo",
    summary: "Say the first symbol again.",
    separates: "nothing",
    citation: "none",
    deviations: &[],
    length_key: Some("lag"),
    documentation: "",
};
static SHOUT: TaskInfo = TaskInfo { name: "shout", ..ECHO };

impl Task for Echo {
    type Config = EchoConfig;
    fn info(&self) -> &'static TaskInfo {
        &ECHO
    }
    fn build(&self, config: &EchoConfig) -> Result<Instance> {
        if config.classes < 2 {
            return Err(Error::invalid("`classes` must be 2 or more"));
        }
        Ok(Instance::Generated(Box::new(config.clone())))
    }
}

impl Task for Shout {
    type Config = ShoutConfig;
    fn info(&self) -> &'static TaskInfo {
        &SHOUT
    }
    fn build(&self, config: &ShoutConfig) -> Result<Instance> {
        Ok(Instance::Generated(Box::new(EchoConfig { lag: config.steps.max(1), classes: 2 })))
    }
}

impl Generated for EchoConfig {
    fn signature(&self) -> Signature {
        let symbols = self.classes;
        Signature { input: InputKind::Tokens(symbols), output: OutputKind::Classes(symbols) }
    }
    fn nominal_length(&self) -> usize {
        self.lag
    }
    fn steps(&self, length: usize) -> usize {
        length + 1
    }
    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = length + 1;
        let tokens: Vec<u32> = (0..batch * time).map(|_| rng.below(self.classes) as u32).collect();
        let inputs = Inputs { batch, time, data: InputData::Tokens(tokens) };
        let lengths = vec![time; batch];
        let targets = self.oracle(&inputs, &lengths);
        let last = |at: usize| at % time == time - 1;
        let evidence = Evidence::Steps(vec![0]);
        let scored = (0..batch).map(|row| Scored {
            row: row as u32,
            step: length as u32,
            lag: length as u32,
            evidence: evidence.clone(),
        });
        let loss_mask = (0..batch * time).map(last).collect();
        Batch { targets, loss_mask, scored: scored.collect(), lengths, inputs }
    }
    fn oracle(&self, inputs: &Inputs, _: &[usize]) -> Targets {
        let InputData::Tokens(tokens) = &inputs.data else { return Targets::Classes(Vec::new()) };
        Targets::Classes((0..tokens.len()).map(|at| tokens[at / inputs.time * inputs.time]).collect())
    }
    fn references(&self, _: usize) -> Vec<Reference> {
        vec![Reference { name: "chance", metric: "accuracy", value: 1.0 / self.classes as f64 }]
    }
}

/// A registry of toys alone.
pub fn registry() -> Registry {
    Registry::new(&[&(&Toy), &(&Other)], &[&Echo, &Shout])
}
