//! What a layer's own weights and activations predict of its gradients.
//!
//! A prediction starts from the measured gradient at distance 1 and is multiplied, step by step back in time, by what the
//! core says of a step ([`Factors`]). It knows the path along the layer's own state alone: other paths, through lower or
//! upper layers, are what it leaves out. Attention carries no gradient from step to step; its weight at the key is set beside
//! the gradient with respect to the input there.

use super::summary::{distances, log_norm, log_norm_of_logs, summarise};
use super::{EntryGradient, Probe, Probed};
use seqbench_core::{Attention, Factors, Inspection, Theory};

impl Probe<'_> {
    /// `theory:…` rows of every layer.
    pub(super) fn theory_profile(
        &self,
        stage: &str,
        inspections: &[Inspection],
        anchors: &[Vec<EntryGradient>],
        found: &mut Probed,
    ) {
        for (layer, inspection) in inspections.iter().enumerate() {
            let entries = anchors.get(layer).map_or(&[][..], Vec::as_slice);
            for theory in &inspection.theories {
                let Some(anchor) = entries.iter().find(|entry| entry.name == theory.entry) else { continue };
                let wrt = format!("theory:{}:{}", theory.entry, theory.name);
                let curve = self.predicted(theory, anchor);
                found.profiles.extend(summarise(stage, layer, &wrt, curve.into_iter()));
            }
            if let Some(attention) = &inspection.attention {
                let curve = self.attended(attention);
                found.profiles.extend(summarise(stage, layer, "theory:input:attention", curve.into_iter()));
            }
        }
    }

    /// log10 of the predicted norm at every distance, for the rows that reach it.
    fn predicted(&self, theory: &Theory, anchor: &EntryGradient) -> Vec<(usize, Vec<f64>)> {
        let walks: Vec<Vec<f64>> = self.rows.iter().map(|row| self.walk(theory, anchor, *row)).collect();
        let grid = distances(1, self.farthest(), self.spec.per_decade);
        let of = |distance: usize| walks.iter().filter_map(|walk| walk.get(distance - 1).copied()).collect();
        grid.into_iter().map(|distance| (distance, of(distance))).collect()
    }

    /// The prediction of one row at distances 1, 2, … up to its first step.
    fn walk(&self, theory: &Theory, anchor: &EntryGradient, row: usize) -> Vec<f64> {
        let (time, last, batch) = (self.time(), self.steps[row], self.steps.len());
        let size = anchor.values.len() / batch;
        let mut walk = Walk::new(&theory.factors, &anchor.values[row * size..(row + 1) * size]);
        let mut logs = Vec::with_capacity(last);
        for distance in 1..=last {
            logs.push(walk.log_norm());
            // The gradient at distance k + 1 has come through step last − k.
            walk = walk.through(&theory.factors, row * time + last - distance);
        }
        logs
    }

    /// log10 of the root mean square over heads of the weight of the scored step's query on the key `distance` back.
    fn attended(&self, attention: &Attention) -> Vec<(usize, Vec<f64>)> {
        let (time, heads) = (self.time(), attention.heads);
        let weight = |row: usize, distance: usize| {
            let query = self.steps[row];
            let of = |head: usize| {
                let at = ((row * heads + head) * time + query) * time + query - distance;
                libm::log10(attention.weights[at])
            };
            log_norm_of_logs((0..heads).map(of)) - 0.5 * libm::log10(heads as f64)
        };
        let grid = distances(0, self.farthest(), self.spec.per_decade);
        let of = |distance: usize| self.reaching(distance).map(|row| weight(row, distance)).collect();
        grid.into_iter().map(|distance| (distance, of(distance))).collect()
    }
}

/// A gradient on its way back, as far as a theory knows it.
enum Walk {
    /// log10 of the modulus of every component at the start, and log10 of the product of every factor since. Factors are
    /// fewer than components where one stands for several that lie next to each other.
    Components { start: Vec<f64>, products: Vec<f64> },
    /// The gradient itself, scaled to a norm of 1, and log10 of that norm.
    Vector { gradient: Vec<f64>, scale: f64 },
}

impl Walk {
    fn new(factors: &Factors, anchor: &[f64]) -> Self {
        let start = || anchor.iter().map(|value| libm::log10(value.abs())).collect();
        match factors {
            Factors::Diagonal { units, .. } => {
                Walk::Components { start: start(), products: vec![0.0; *units] }
            }
            Factors::Constant(factors) => {
                Walk::Components { start: start(), products: vec![0.0; factors.len()] }
            }
            Factors::Jacobian { .. } => Walk::Vector { gradient: anchor.to_vec(), scale: 0.0 }.normalised(),
        }
    }

    /// One step back, through the step that is row `at` of `[batch · time, …]`.
    fn through(self, factors: &Factors, at: usize) -> Self {
        match (self, factors) {
            (Walk::Components { start, products }, Factors::Diagonal { units, values }) => {
                Walk::Components { start, products: times(products, &values[at * units..(at + 1) * units]) }
            }
            (Walk::Components { start, products }, Factors::Constant(values)) => {
                Walk::Components { start, products: times(products, values) }
            }
            (Walk::Vector { gradient, scale }, Factors::Jacobian { units, left, matrix }) => {
                let left = &left[at * units..(at + 1) * units];
                let mut earlier = vec![0.0; *units];
                for ((weights, value), left) in matrix.chunks_exact(*units).zip(&gradient).zip(left) {
                    let value = value * left;
                    earlier.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight * value);
                }
                Walk::Vector { gradient: earlier, scale }.normalised()
            }
            (walk, _) => walk,
        }
    }

    fn normalised(self) -> Self {
        let Walk::Vector { mut gradient, scale } = self else { return self };
        let log = log_norm(gradient.iter().copied());
        if log.is_finite() {
            let norm = libm::exp10(log);
            gradient.iter_mut().for_each(|value| *value /= norm);
        }
        Walk::Vector { gradient, scale: scale + log }
    }

    fn log_norm(&self) -> f64 {
        match self {
            Walk::Components { start, products } => {
                let each = start.len() / products.len().max(1);
                let of = |(at, log): (usize, &f64)| log + products[at / each.max(1)];
                log_norm_of_logs(start.iter().enumerate().map(of))
            }
            Walk::Vector { scale, .. } => *scale,
        }
    }
}

fn times(mut products: Vec<f64>, factors: &[f64]) -> Vec<f64> {
    products.iter_mut().zip(factors).for_each(|(product, factor)| *product += libm::log10(*factor));
    products
}
