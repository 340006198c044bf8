//! What a layer's signals do: how saturated they are, how open its gates, what its recurrent matrices and poles are, and
//! whether the gradient reaches the evidence.

use super::jacobian::eigenvalues;
use super::{Probe, Probed};
use seqbench_core::{InputData, Inspection, Result, Signal, SignalKind};
use seqbench_record::{CurveRow, SpectrumRow, TraceRow};

/// |tanh| above which a unit counts as saturated: its slope is below a tenth.
const SATURATED_ABOVE: f64 = 0.95;

impl Probe<'_> {
    /// Eigenvalues of recurrent matrices, and poles.
    pub(super) fn spectra(&self, stage: &str, inspections: &[Inspection], found: &mut Probed) -> Result<()> {
        for (layer, inspection) in inspections.iter().enumerate() {
            let mut all = Vec::new();
            for matrix in &inspection.matrices {
                let values = eigenvalues(&matrix.values, matrix.size)?;
                all.push((format!("eigenvalue:{}", matrix.name), values));
            }
            if !inspection.poles.is_empty() {
                all.push(("pole".to_owned(), inspection.poles.clone()));
            }
            for (quantity, mut values) in all {
                let modulus = |value: &[f64; 2]| libm::hypot(value[0], value[1]);
                values.sort_by(|a, b| {
                    modulus(b).total_cmp(&modulus(a)).then(b[0].total_cmp(&a[0])).then(b[1].total_cmp(&a[1]))
                });
                found.spectra.extend(values.iter().enumerate().map(|(index, [re, im])| SpectrumRow {
                    stage: stage.to_owned(),
                    layer: layer as u32,
                    quantity: quantity.clone(),
                    distance: 0,
                    index: index as u32,
                    re: *re,
                    im: *im,
                }));
            }
        }
        Ok(())
    }

    /// Saturation of squashed signals and means of gates, over the steps up to each row's scored one.
    pub(super) fn signals(&self, taken: u64, inspections: &[Inspection], found: &mut Probed) {
        for (layer, inspection) in inspections.iter().enumerate() {
            for signal in &inspection.signals {
                let (kind, of): (_, fn(f64) -> f64) = match signal.kind {
                    SignalKind::Squashed => {
                        ("saturation", |value| f64::from(u8::from(value.abs() > SATURATED_ABOVE)))
                    }
                    SignalKind::Gate => ("gate", |value| value),
                    SignalKind::Plain => continue,
                };
                found.curves.push(CurveRow {
                    step: taken,
                    metric: format!("{kind}:layers.{layer}:{}", signal.name),
                    value: self.mean(signal, of),
                });
            }
        }
    }

    fn mean(&self, signal: &Signal, of: impl Fn(f64) -> f64) -> f64 {
        let row = self.time() * signal.units;
        let values = signal.values.chunks_exact(row).zip(&self.steps);
        let values = values.flat_map(|(row, last)| &row[..(last + 1) * signal.units]);
        let (sum, n) = values.fold((0.0, 0usize), |(sum, n), value| (sum + of(*value), n + 1));
        sum / n as f64
    }

    /// log10 of the gradient with respect to the input at the evidence, over that at the scored step: the mean over
    /// samples. `norm` gives log10 norms by (row, distance).
    pub(super) fn evidence(
        &self,
        taken: u64,
        layer: usize,
        norm: impl Fn(usize, usize) -> f64,
    ) -> Option<CurveRow> {
        let probed = self.batch.scored.iter().filter(|scored| {
            let row = scored.row as usize;
            self.steps[row] == scored.step as usize && self.rows.contains(&row)
        });
        let reached: Vec<f64> = probed
            .map(|scored| norm(scored.row as usize, scored.lag as usize) - norm(scored.row as usize, 0))
            .collect();
        let value = reached.iter().sum::<f64>() / reached.len() as f64;
        let metric = format!("evidence_log10_relative:layers.{layer}");
        (!reached.is_empty()).then_some(CurveRow { step: taken, metric, value })
    }

    /// Inputs, signals and attention over the first sample.
    pub(super) fn trace(&self, stage: &str, inspections: &[Inspection], found: &mut Probed) {
        let (time, steps) = (self.time(), self.steps[0] + 1);
        let (name, units, inputs): (_, usize, Vec<f64>) = match &self.batch.inputs.data {
            InputData::Tokens(tokens) => {
                ("tokens", 1, tokens.iter().map(|token| f64::from(*token)).collect())
            }
            InputData::Features { dim, values } => {
                ("features", *dim, values.iter().map(|value| f64::from(*value)).collect())
            }
        };
        found.traces.extend(inputs[..steps * units].iter().enumerate().map(|(at, value)| TraceRow {
            stage: stage.to_owned(),
            layer: 0,
            signal: name.to_owned(),
            step: (at / units) as u64,
            unit: (at % units) as u32,
            value: *value,
        }));
        for (layer, inspection) in inspections.iter().enumerate() {
            let row = |signal: &str, step: usize, unit: usize, value: f64| TraceRow {
                stage: stage.to_owned(),
                layer: layer as u32,
                signal: signal.to_owned(),
                step: step as u64,
                unit: unit as u32,
                value,
            };
            for signal in &inspection.signals {
                let values = signal.values[..steps * signal.units].iter().enumerate();
                found.traces.extend(
                    values.map(|(at, value)| row(signal.name, at / signal.units, at % signal.units, *value)),
                );
            }
            let Some(attention) = &inspection.attention else { continue };
            for head in 0..attention.heads {
                let name = format!("attention:{head}");
                for query in 0..steps {
                    let first = (head * time + query) * time;
                    let keys = attention.weights[first..=first + query].iter().enumerate();
                    found.traces.extend(keys.map(|(key, weight)| row(&name, query, key, *weight)));
                }
            }
        }
    }
}
