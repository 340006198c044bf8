//! Eigenvalues, singular values and exponents of settings, by stage.

use super::Setting;
use crate::statistics::{Estimate, SeedValue};
use seqbench_record::CellFiles;
use serde::Serialize;
use std::collections::BTreeMap;

/// Values of one quantity of a setting at one stage and layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spectrum {
    /// The setting.
    pub setting: Setting,
    /// `init`, `end`, or `step-<n>`.
    pub stage: String,
    /// Layer, from 0.
    pub layer: u32,
    /// `eigenvalue:<matrix>`, `pole`, `singular` or `lyapunov`.
    pub quantity: String,
    /// Every value: (seed, distance, index, real part, imaginary part).
    pub values: Vec<SpectrumValue>,
}

/// One value of a spectrum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SpectrumValue {
    /// The seed.
    pub seed: u64,
    /// Distance in steps, where the quantity has one.
    pub distance: u64,
    /// Which, from the largest.
    pub index: u32,
    /// Real part; log10 of a singular value; nats a step of an exponent.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

impl Spectrum {
    /// Largest modulus of every seed's values: the spectral radius, where they are eigenvalues.
    pub fn radius(&self) -> Estimate {
        let mut largest: BTreeMap<u64, f64> = BTreeMap::new();
        for value in &self.values {
            let radius = largest.entry(value.seed).or_default();
            *radius = radius.max(value.re.hypot(value.im));
        }
        Estimate::new(largest.into_iter().map(|(seed, value)| SeedValue { seed, value }).collect())
    }
}

/// Every spectrum: by setting, then stage in the order of training, layer and quantity.
pub(super) fn spectra(groups: &[(Setting, Vec<&CellFiles>)]) -> Vec<Spectrum> {
    let mut all = Vec::new();
    for (setting, cells) in groups {
        let mut found: BTreeMap<(super::gradients::StageOrder<'_>, u32, &str), Vec<SpectrumValue>> =
            BTreeMap::new();
        for files in cells {
            for row in &files.spectra {
                let key = (super::gradients::stage_order(&row.stage), row.layer, row.quantity.as_str());
                found.entry(key).or_default().push(SpectrumValue {
                    seed: files.cell.labels.seed,
                    distance: row.distance,
                    index: row.index,
                    re: row.re,
                    im: row.im,
                });
            }
        }
        all.extend(found.into_iter().map(|((stage, layer, quantity), values)| Spectrum {
            setting: setting.clone(),
            stage: stage.2.into(),
            layer,
            quantity: quantity.into(),
            values,
        }));
    }
    all
}
