//! Rotary position embedding as one differentiable operation.
//!
//! Source: Su et al. 2021, "RoFormer", eq. 34. Pairs are the paper's: neighbours `(x_0, x_1)`, `(x_2, x_3)`, …
//! (GPT-NeoX pairs the two halves instead, which is the same up to a permutation of the projections' rows).
//! Pair i of a token at position m turns by the angle `m · base^(−2i/head_dim)`. Angles are computed in double
//! precision; at position 10⁶ single precision would be off by a twentieth of a radian.

use crate::plumbing::{fused, operand, tensor, with_values};
use crate::real::Real;
use crate::reference;
use crate::tape;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, WithDType, bail};
use std::collections::BTreeMap;

/// The angular frequencies of a head, for rotating single tokens.
#[derive(Clone, Debug)]
pub struct Rope {
    /// `[head_dim / 2]`, radians per position.
    frequencies: Vec<f64>,
}

impl Rope {
    /// Frequencies `base^(−2i/head_dim)`; the paper's base is 10,000.
    ///
    /// # Errors
    /// `head_dim` is odd or 0, or `base` is not a positive number.
    pub fn new(head_dim: usize, base: f64) -> Result<Self> {
        if head_dim == 0 || !head_dim.is_multiple_of(2) {
            bail!("rope: head_dim is {head_dim}, expected an even number: dimensions turn in pairs");
        }
        if !(base > 0.0 && base.is_finite()) {
            bail!("rope: base is {base}, expected a positive number");
        }
        let frequency = |pair: usize| libm::pow(base, -((2 * pair) as f64) / head_dim as f64);
        Ok(Rope { frequencies: (0..head_dim / 2).map(frequency).collect() })
    }

    /// Cosine and sine of every pair's angle at a position.
    pub(crate) fn angles(&self, position: u64) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.frequencies.iter().map(move |frequency| {
            let angle = position as f64 * frequency;
            (libm::cos(angle), libm::sin(angle))
        })
    }

    /// Rotates one token in place: `xs` is `[heads, head_dim]`. Equals [`rope()`] bit for bit and allocates
    /// nothing.
    pub fn rotate<T: Real>(&self, xs: &mut [T], position: u32) {
        let head_dim = 2 * self.frequencies.len();
        for (pair, (cos, sin)) in self.angles(u64::from(position)).enumerate() {
            for head in xs.chunks_exact_mut(head_dim) {
                turn(&mut head[2 * pair..2 * pair + 2], (T::of(cos), T::of(sin)));
            }
        }
    }
}

#[inline(always)]
fn turn<T: Real>(pair: &mut [T], (cos, sin): (T, T)) {
    let (x, y) = (pair[0], pair[1]);
    pair[0] = x * cos - y * sin;
    pair[1] = y * cos + x * sin;
}

/// Rotates xs `[batch, time, heads, head_dim]`; token i of row b stands at position `starts[b] + i`.
/// Differentiable: the gradient turns back by the same angles.
///
/// # Errors
/// `head_dim` is odd, or `starts` has another number of rows; the message names both.
pub fn rope(xs: &Tensor, starts: &[u32], base: f64) -> Result<Tensor> {
    let rope = check(xs, starts, base)?;
    if !fused(xs) {
        return reference::rope(xs, starts, base);
    }
    tape::apply1(&xs.contiguous()?, Rotation { rope, starts: starts.to_vec() })
}

pub(crate) fn check(xs: &Tensor, starts: &[u32], base: f64) -> Result<Rope> {
    let &[batch, _, _, head_dim] = xs.dims() else {
        bail!("rope: xs is {:?}, expected [batch, time, heads, head_dim]", xs.dims());
    };
    if starts.len() != batch {
        bail!("rope: starts has {} entries, but xs is {:?}", starts.len(), xs.dims());
    }
    Rope::new(head_dim, base)
}

struct Rotation {
    rope: Rope,
    starts: Vec<u32>,
}

impl Rotation {
    /// `direction` is 1 forward and −1 for the gradient.
    fn apply<T: Real>(&self, xs: &[T], shape: &Shape, direction: f64) -> Result<Vec<T>> {
        let (_, time, heads, head_dim) = shape.dims4()?;
        let width = heads * head_dim;
        let mut ys = xs.to_vec();
        // [time, head_dim / 2] for each distinct start.
        let mut tables: BTreeMap<u32, Vec<(T, T)>> = BTreeMap::new();
        for (row, start) in ys.chunks_exact_mut((time * width).max(1)).zip(&self.starts) {
            let table = tables.entry(*start).or_insert_with(|| {
                let positions = (0..time as u64).map(|at| u64::from(*start) + at);
                positions
                    .flat_map(|position| self.rope.angles(position))
                    .map(|(cos, sin)| (T::of(cos), T::of(direction * sin)))
                    .collect()
            });
            for (token, angles) in row.chunks_exact_mut(width.max(1)).zip(table.chunks_exact(head_dim / 2)) {
                for head in token.chunks_exact_mut(head_dim) {
                    for (pair, angle) in head.chunks_exact_mut(2).zip(angles) {
                        turn(pair, *angle);
                    }
                }
            }
        }
        Ok(ys)
    }
}

impl CustomOp1 for Rotation {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = layout.shape();
        let ys = match xs {
            CpuStorage::F64(_) => {
                f64::to_cpu_storage_owned(self.apply::<f64>(operand(xs, layout)?, shape, 1.0)?)
            }
            _ => f32::to_cpu_storage_owned(self.apply::<f32>(operand(xs, layout)?, shape, 1.0)?),
        };
        Ok((ys, shape.clone()))
    }

    fn bwd(&self, xs: &Tensor, _ys: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let shape = xs.shape();
        let turned = match xs.dtype() {
            DType::F64 => with_values::<f64, _>(grad, |g| tensor(self.apply(g, shape, -1.0)?, shape))?,
            _ => with_values::<f32, _>(grad, |g| tensor(self.apply(g, shape, -1.0)?, shape))?,
        };
        Ok(Some(turned))
    }
}
