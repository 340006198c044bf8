//! The running softmax over tiles of keys, one query at a time: shared by all forms of attention, so that
//! their bits agree.

use crate::isa::Arith;
use crate::real::Real;

/// Keys of a tile. Tiles begin at multiples of it, whatever the queries.
pub(super) const KEYS: usize = 32;

/// Largest score of a query so far, and the sum of `exp(score − maximum)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Normalizer<T> {
    pub(super) maximum: T,
    pub(super) sum: T,
}

impl<T: Real> Normalizer<T> {
    pub(super) const EMPTY: Self = Normalizer { maximum: T::NEG_INFINITY, sum: T::ZERO };

    /// Turns a tile's scores into weights relative to the new maximum, and brings `ys`, the weighted values
    /// so far, to that maximum too.
    #[inline(always)]
    pub(super) fn absorb<A: Arith>(&mut self, scores: &mut [T; KEYS], ys: &mut [T]) {
        let maximum = self.maximum.maximum(tree(*scores, T::maximum));
        let shrink = (self.maximum - maximum).exp::<A>();
        for score in scores.iter_mut() {
            *score = (*score - maximum).exp::<A>();
        }
        self.sum = A::fma(self.sum, shrink, tree(*scores, |a, b| a + b));
        self.maximum = maximum;
        // Most tiles do not raise the maximum, and a factor of one changes nothing.
        if shrink != T::ONE {
            for y in ys {
                *y *= shrink;
            }
        }
    }

    /// Divides the weighted values by the sum of the weights.
    #[inline(always)]
    pub(super) fn finish(&self, ys: &mut [T]) {
        let inverse = T::ONE / self.sum;
        for y in ys {
            *y *= inverse;
        }
    }

    /// The weights themselves, once all tiles are absorbed; `scores` come from [`score`].
    #[inline(always)]
    pub(super) fn weights<A: Arith>(&self, scores: &mut [T; KEYS]) {
        let inverse = T::ONE / self.sum;
        for score in scores.iter_mut() {
            *score = (*score - self.maximum).exp::<A>() * inverse;
        }
    }
}

/// Dot products to scores: scaled, with the linear bias, −∞ from key `visible` on. `distance` is the query's
/// position less that of the tile's first key.
#[inline(always)]
pub(super) fn score<A: Arith, T: Real>(
    dots: &mut [T; KEYS],
    visible: usize,
    distance: usize,
    scale: T,
    slope: T,
) {
    let distance = T::of(distance as f64);
    for (x, dot) in dots.iter_mut().enumerate() {
        let score = A::fma(-slope, distance - T::of(x as f64), *dot * scale);
        *dot = if x < visible { score } else { T::NEG_INFINITY };
    }
}

/// Combines all lanes in an order that does not depend on how many are used.
#[inline(always)]
fn tree<T: Real>(mut lanes: [T; KEYS], combine: impl Fn(T, T) -> T) -> T {
    let mut half = KEYS / 2;
    while half > 0 {
        for x in 0..half {
            lanes[x] = combine(lanes[x], lanes[x + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// `ys += weight · values`.
#[inline(always)]
pub(super) fn add_weighted<A: Arith, T: Real>(ys: &mut [T], weight: T, values: &[T]) {
    for (y, value) in ys.iter_mut().zip(values) {
        *y = A::fma(weight, *value, *y);
    }
}
