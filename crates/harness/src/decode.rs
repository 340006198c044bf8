//! Decoding with a whole model: one token a call, on plain slices.
//!
//! Cores run through their own decoders. The apparatus around them is the model's own arithmetic, through the same
//! kernels, so that a decoded token is the forward pass's to the bit. Parameters are taken over when the decoder is made,
//! and a token allocates nothing that a core does not.

use crate::model::{AnyNorm, Encoder, Layer, Model, ModelState};
use seqbench_core::{Decoder, Error, InputData, Inputs, Result};
use seqbench_kernels::{LinearCell, NormCell, gelu_slice};
use seqbench_layers::{EPSILON, Linear, Sinusoids};

/// A model, decoding.
pub struct ModelDecoder<'a> {
    encoder: EncoderCell,
    layers: Vec<LayerCell<'a>>,
    norm: Option<NormCell<f32>>,
    readout: LinearCell<f32>,
    sinusoids: Option<Sinusoids>,
    positions: Vec<u32>,
    answers: usize,
    // The residual stream, what a norm made of it, and what a core or an MLP did: each [batch, width].
    stream: Vec<f32>,
    normed: Vec<f32>,
    change: Vec<f32>,
}

enum EncoderCell {
    Tokens { table: Vec<f32>, vocabulary: usize },
    Features { map: LinearCell<f32>, features: usize },
}

struct LayerCell<'a> {
    core: Box<dyn Decoder + 'a>,
    // Only in residual blocks.
    norm: Option<NormCell<f32>>,
    mlp: Option<MlpCell>,
}

struct MlpCell {
    norm: NormCell<f32>,
    up: LinearCell<f32>,
    down: LinearCell<f32>,
    // Before and after the activation: each [batch, hidden].
    hidden: [Vec<f32>; 2],
}

impl Model {
    /// A decoder at the initial state. `capacity` is the most tokens it must hold. It keeps the parameters it was made
    /// with: later updates of the model do not reach it.
    ///
    /// # Errors
    /// As [`seqbench_core::SequenceCore::decoder`]; the parameters are not in single precision on the CPU.
    pub fn decoder(&self, batch: usize, capacity: usize) -> Result<ModelDecoder<'_>> {
        let size = batch * self.width();
        let layers = self.layers.iter().map(|layer| LayerCell::new(layer, batch, capacity));
        Ok(ModelDecoder {
            encoder: EncoderCell::new(&self.encoder)?,
            layers: layers.collect::<Result<_>>()?,
            norm: self.norm.as_ref().map(norm_cell).transpose()?,
            readout: linear_cell(&self.readout)?,
            sinusoids: self.positions.then(|| Sinusoids::new(self.width())),
            positions: vec![0; batch],
            answers: batch * self.readout.weight().dim(0)?,
            stream: vec![0.0; size],
            normed: vec![0.0; size],
            change: vec![0.0; size],
        })
    }
}

impl ModelDecoder<'_> {
    /// Continues from a state that [`Model::forward`] returned.
    ///
    /// # Errors
    /// As [`Decoder::load`].
    pub fn load(&mut self, state: &ModelState) -> Result<()> {
        self.positions.clone_from(&state.positions);
        self.layers.iter_mut().zip(&state.layers).try_for_each(|(layer, state)| layer.core.load(state))
    }

    /// Reads one step of inputs (`time` of 1) and returns the answers `[batch, outputs]`, row-major.
    ///
    /// # Errors
    /// As [`ModelDecoder::step_into`].
    pub fn step(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        let mut answers = vec![0.0; self.answers];
        self.step_into(inputs, &mut answers)?;
        Ok(answers)
    }

    /// [`ModelDecoder::step`] into `answers`, which has [`ModelDecoder::answers`] elements.
    ///
    /// # Errors
    /// Inputs of another kind, length or batch, a symbol outside the vocabulary, another number of answers, or more tokens
    /// than the capacity.
    pub fn step_into(&mut self, inputs: &Inputs, answers: &mut [f32]) -> Result<()> {
        let batch = self.positions.len();
        if inputs.time != 1 || inputs.batch != batch {
            return Err(Error::shape(
                "decode: inputs",
                &[inputs.batch, inputs.time],
                format!("[{batch}, 1]"),
            ));
        }
        if answers.len() != self.answers {
            return Err(Error::shape("decode: answers", &[answers.len()], format!("[{}]", self.answers)));
        }
        self.encoder.step(inputs, &mut self.stream)?;
        if let Some(sinusoids) = &self.sinusoids {
            let width = self.stream.len() / batch.max(1);
            for (row, position) in self.stream.chunks_exact_mut(width.max(1)).zip(&self.positions) {
                for (j, x) in row.iter_mut().enumerate() {
                    *x += sinusoids.at(f64::from(*position), j) as f32;
                }
            }
        }
        for layer in &mut self.layers {
            layer.step(&mut self.stream, &mut self.normed, &mut self.change)?;
        }
        self.positions.iter_mut().for_each(|position| *position += 1);
        match &self.norm {
            Some(norm) => {
                norm.step(&self.stream, &mut self.normed);
                self.readout.step(&self.normed, answers);
            }
            None => self.readout.step(&self.stream, answers),
        }
        Ok(())
    }

    /// Numbers a step answers with: `batch · outputs`.
    pub fn answers(&self) -> usize {
        self.answers
    }

    /// Bytes of the live state of all layers, over the whole batch.
    pub fn state_bytes(&self) -> usize {
        self.layers.iter().map(|layer| layer.core.state_bytes()).sum()
    }
}

impl EncoderCell {
    fn new(encoder: &Encoder) -> Result<Self> {
        Ok(match encoder {
            Encoder::Tokens(embedding) => EncoderCell::Tokens {
                table: embedding.weight().flatten_all()?.to_vec1()?,
                vocabulary: embedding.weight().dim(0)?,
            },
            Encoder::Features(linear) => {
                EncoderCell::Features { map: linear_cell(linear)?, features: linear.weight().dim(1)? }
            }
        })
    }

    fn step(&self, inputs: &Inputs, xs: &mut [f32]) -> Result<()> {
        match (self, &inputs.data) {
            (EncoderCell::Tokens { table, vocabulary }, InputData::Tokens(tokens)) => {
                let width = table.len() / vocabulary;
                if tokens.len() * width != xs.len() {
                    return Err(Error::shape(
                        "decode: tokens",
                        &[tokens.len()],
                        format!("[{}]", inputs.batch),
                    ));
                }
                for (row, token) in xs.chunks_exact_mut(width).zip(tokens) {
                    let Some(vector) = table.chunks_exact(width).nth(*token as usize) else {
                        return Err(Error::invalid(format!(
                            "decode: token {token} is outside the vocabulary of {vocabulary}"
                        )));
                    };
                    row.copy_from_slice(vector);
                }
            }
            (EncoderCell::Features { map, features }, InputData::Features { dim, values }) => {
                if dim != features || values.len() != inputs.batch * features {
                    return Err(Error::shape(
                        "decode: features",
                        &[values.len() / dim.max(&1), *dim],
                        format!("[{}, {features}]", inputs.batch),
                    ));
                }
                map.step(values, xs);
            }
            (EncoderCell::Tokens { .. }, _) => {
                return Err(Error::invalid("this model reads symbols, the inputs are features"));
            }
            (EncoderCell::Features { .. }, _) => {
                return Err(Error::invalid("this model reads features, the inputs are symbols"));
            }
        }
        Ok(())
    }
}

impl<'a> LayerCell<'a> {
    fn new(layer: &'a Layer, batch: usize, capacity: usize) -> Result<Self> {
        let core = layer.core.decoder(batch, capacity)?;
        let Some(residual) = &layer.residual else { return Ok(LayerCell { core, norm: None, mlp: None }) };
        let mlp = residual.mlp.as_ref().map(|(norm, mlp)| -> Result<_> {
            let hidden = vec![0.0; batch * mlp.up().weight().dim(0)?];
            Ok(MlpCell {
                norm: norm_cell(norm)?,
                up: linear_cell(mlp.up())?,
                down: linear_cell(mlp.down())?,
                hidden: [hidden.clone(), hidden],
            })
        });
        Ok(LayerCell { core, norm: Some(norm_cell(&residual.norm)?), mlp: mlp.transpose()? })
    }

    fn step(&mut self, stream: &mut [f32], normed: &mut [f32], change: &mut [f32]) -> Result<()> {
        let Some(norm) = &self.norm else {
            self.core.step(stream, change)?;
            stream.copy_from_slice(change);
            return Ok(());
        };
        norm.step(stream, normed);
        self.core.step(normed, change)?;
        add(stream, change);
        if let Some(MlpCell { norm, up, down, hidden: [before, after] }) = &mut self.mlp {
            norm.step(stream, normed);
            up.step(normed, before);
            gelu_slice(before, after);
            down.step(after, change);
            add(stream, change);
        }
        Ok(())
    }
}

fn add(stream: &mut [f32], change: &[f32]) {
    stream.iter_mut().zip(change).for_each(|(x, change)| *x += change);
}

fn linear_cell(linear: &Linear) -> Result<LinearCell<f32>> {
    Ok(LinearCell::new(linear.weight(), linear.bias())?)
}

fn norm_cell(norm: &AnyNorm) -> Result<NormCell<f32>> {
    Ok(match norm {
        AnyNorm::Layer(norm) => NormCell::layer(norm.weight(), norm.bias(), EPSILON)?,
        AnyNorm::Rms(norm) => NormCell::rms(norm.weight(), EPSILON)?,
    })
}
