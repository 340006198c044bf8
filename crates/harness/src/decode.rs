//! Decoding with a whole model: one token a call, through the cores' own decoders.

use crate::model::{Layer, Model, ModelState};
use candle_core::{Device, Tensor};
use seqbench_core::{Decoder, Error, Inputs, Result};

/// A model, decoding. Cores run in place on slices; the apparatus around them is the model's own.
pub struct ModelDecoder<'a> {
    model: &'a Model,
    cores: Vec<Box<dyn Decoder + 'a>>,
    positions: Vec<u32>,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl Model {
    /// A decoder at the initial state. `capacity` is the most tokens it must hold.
    ///
    /// # Errors
    /// As [`seqbench_core::SequenceCore::decoder`].
    pub fn decoder(&self, batch: usize, capacity: usize) -> Result<ModelDecoder<'_>> {
        let cores =
            self.layers.iter().map(|layer| layer.core.decoder(batch, capacity)).collect::<Result<_>>()?;
        let size = batch * self.width();
        Ok(ModelDecoder {
            model: self,
            cores,
            positions: vec![0; batch],
            input: vec![0.0; size],
            output: vec![0.0; size],
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
        self.cores.iter_mut().zip(&state.layers).try_for_each(|(core, state)| core.load(state))
    }

    /// Reads one step of inputs (`time` of 1) and returns the answers `[batch, outputs]`, row-major.
    ///
    /// # Errors
    /// Inputs of another length or batch, or more tokens than the capacity.
    pub fn step(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        let batch = self.positions.len();
        if inputs.time != 1 || inputs.batch != batch {
            return Err(Error::shape(
                "decode: inputs",
                &[inputs.batch, inputs.time],
                format!("[{batch}, 1]"),
            ));
        }
        let mut xs = self.model.encode(inputs, &self.positions)?;
        for (layer, core) in self.model.layers.iter().zip(&mut self.cores) {
            xs = layer.decode(xs, core.as_mut(), (&mut self.input, &mut self.output))?;
        }
        if let Some(norm) = &self.model.norm {
            xs = norm.forward(&xs)?;
        }
        self.positions.iter_mut().for_each(|position| *position += 1);
        let at: Vec<_> = (0..batch).map(|row| (row, 0)).collect();
        Ok(self.model.read_out(&xs, &at)?.flatten_all()?.to_vec1::<f32>()?)
    }

    /// Bytes of the live state of all layers, over the whole batch.
    pub fn state_bytes(&self) -> usize {
        self.cores.iter().map(|core| core.state_bytes()).sum()
    }
}

impl Layer {
    fn decode(
        &self,
        xs: Tensor,
        core: &mut dyn Decoder,
        buffers: (&mut [f32], &mut [f32]),
    ) -> Result<Tensor> {
        let normed = match &self.residual {
            Some(residual) => residual.norm.forward(&xs)?,
            None => xs.clone(),
        };
        buffers.0.copy_from_slice(&normed.flatten_all()?.to_vec1::<f32>()?);
        core.step(buffers.0, buffers.1)?;
        let ys = Tensor::from_slice(buffers.1, xs.shape(), &Device::Cpu)?;
        let Some(residual) = &self.residual else { return Ok(ys) };
        let xs = xs.add(&ys)?;
        match &residual.mlp {
            Some((norm, mlp)) => Ok(xs.add(&mlp.forward(&norm.forward(&xs)?)?)?),
            None => Ok(xs),
        }
    }
}
