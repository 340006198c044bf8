//! Elementary functions in every lane of a register: polynomials in single precision, `libm` in double.

use super::Vector;

/// The functions which kernels take of whole registers.
pub trait Elementary: Sized {
    /// e to the power of each lane. In single precision to about 2 ulp, 0 below −87.3 and ∞ above 88.
    fn exp_each<V: Vector<Number = Self>>(x: V) -> V;
    /// Hyperbolic tangent of each lane; in single precision to 4e-7 of its value, also near 0.
    fn tanh_each<V: Vector<Number = Self>>(x: V) -> V;
    /// `1 / (1 + exp(−x))` of each lane; in single precision to 6e-7 of its value within ±87.
    fn logistic_each<V: Vector<Number = Self>>(x: V) -> V;
    /// Sine and cosine of each lane; in single precision absolutely to 2e-7 for magnitudes up to 8,000.
    fn sin_cos_each<V: Vector<Number = Self>>(x: V) -> (V, V);
    /// `x · Φ(x)` with Φ the normal distribution function; in single precision Φ is right to 2e-7.
    fn gelu_each<V: Vector<Number = Self>>(x: V) -> V;
    /// The derivative of [`Self::gelu_each`], `Φ(x) + x · φ(x)`; in single precision right to 4e-7.
    fn gelu_slope_each<V: Vector<Number = Self>>(x: V) -> V;
    /// `ln(1 + exp(x))` of each lane; in single precision to 8e-7 of its value above −87, 0 below.
    fn softplus_each<V: Vector<Number = Self>>(x: V) -> V;
    /// One lane of [`Vector::scaled`].
    fn scaled(self, shifted: Self) -> Self;
}

impl Elementary for f64 {
    #[inline(always)]
    fn exp_each<V: Vector<Number = Self>>(x: V) -> V {
        x.map(libm::exp)
    }
    #[inline(always)]
    fn tanh_each<V: Vector<Number = Self>>(x: V) -> V {
        x.map(libm::tanh)
    }
    #[inline(always)]
    fn logistic_each<V: Vector<Number = Self>>(x: V) -> V {
        x.map(|x| 1.0 / (1.0 + libm::exp(-x)))
    }
    #[inline(always)]
    fn sin_cos_each<V: Vector<Number = Self>>(x: V) -> (V, V) {
        (x.map(libm::sin), x.map(libm::cos))
    }
    #[inline(always)]
    fn gelu_each<V: Vector<Number = Self>>(x: V) -> V {
        x.map(|x| x * distribution(x))
    }
    #[inline(always)]
    fn gelu_slope_each<V: Vector<Number = Self>>(x: V) -> V {
        // The square of a large x overflows to ∞, whose exponential is 0 as it should be.
        x.map(|x| distribution(x) + x * 0.398_942_280_401_432_7 * libm::exp(-(x * x) * 0.5))
    }
    #[inline(always)]
    fn softplus_each<V: Vector<Number = Self>>(x: V) -> V {
        x.map(|x| x.max(0.0) + libm::log1p(libm::exp(-x.abs())))
    }
    #[inline(always)]
    fn scaled(self, _: Self) -> Self {
        self
    }
}

fn distribution(x: f64) -> f64 {
    0.5 * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// Adding it to a number below 2^22 rounds to the nearest integer.
const MAGIC: f32 = 12_582_912.0;

/// Minimax polynomials in `2x²/R² − 1`, highest power first, found by Remez exchange with the error weighted by
/// x: of `(Φ(x) − ½)/x` up to R = 5.45 (largest error times x: 3.3e-8) ...
const VALUE: [f32; 15] = [
    4.604_245e-4,
    -1.187_982_2e-3,
    9.490_108e-4,
    -1.215_305_1e-3,
    3.940_929e-3,
    -7.182_617_7e-3,
    1.006_121_5e-2,
    -1.432_703_2e-2,
    1.997_632_3e-2,
    -2.593_939_4e-2,
    3.210_763_6e-2,
    -3.900_123_4e-2,
    4.811_779e-2,
    -6.474_592e-2,
    1.297_292_7e-1,
];
const VALUE_END: f32 = 5.45;
/// ... and of `(Φ(x) − ½)/x + φ(x)` up to R = 5.6 (6.0e-8). Both functions are entire in x², so that neither an
/// exponential nor a division is needed.
const SLOPE: [f32; 17] = [
    3.167_298_2e-3,
    -8.000_642e-3,
    4.183_898e-3,
    -2.595_312_4e-3,
    2.042_431_4e-2,
    -3.816_175e-2,
    4.265_928e-2,
    -5.165_329e-2,
    6.661_125e-2,
    -7.375_117e-2,
    7.162_943_5e-2,
    -6.488_23e-2,
    5.668_49e-2,
    -5.097_242_4e-2,
    5.180_796e-2,
    -6.428_230_6e-2,
    1.264_166_4e-1,
];
const SLOPE_END: f32 = 5.6;
/// `ln(1 + t)/t` for t from 0 to 1 in `2t − 1`, highest power first; largest relative error 2e-7.
const LOGARITHM: [f32; 9] = [
    2.052_132e-5,
    -6.698_965e-5,
    1.808_765e-4,
    -6.321_298e-4,
    2.289_717_6e-3,
    -8.463_932e-3,
    3.315_225_2e-2,
    -1.442_633_3e-1,
    8.109_302e-1,
];

/// The odd function with these coefficients, and the square it was taken of, held at the end's.
#[inline(always)]
fn odd<V: Vector<Number = f32>>(x: V, coefficients: &[f32], end: f32) -> (V, V) {
    // In this order a square that is not a number counts as the end's; x itself then passes it on.
    let square = (x * x).min(V::splat(end * end));
    let u = square.fma(V::splat(2.0 / (end * end)), V::splat(-1.0));
    let mut p = V::splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        p = p.fma(u, V::splat(*coefficient));
    }
    (x * p, square)
}

/// The nearest integer, below 2^22.
#[inline(always)]
fn rounded<V: Vector<Number = f32>>(x: V) -> V {
    (x + V::splat(MAGIC)) - V::splat(MAGIC)
}

/// `odd` where the square of the quadrant is 1, `even` where it is 0 or 4.
#[inline(always)]
fn either<V: Vector<Number = f32>>(square: V, odd: V, even: V) -> V {
    square.below(V::splat(0.5), even, square.below(V::splat(2.0), odd, even))
}

/// 1 in the two quadrants from `from` on, −1 in the others.
#[inline(always)]
fn sign<V: Vector<Number = f32>>(quadrant: V, from: f32) -> V {
    let one = V::splat(1.0);
    quadrant.below(V::splat(from), -one, quadrant.below(V::splat(from + 2.0), one, -one))
}

/// Holds each lane between −½ and ½.
#[inline(always)]
fn halves<V: Vector<Number = f32>>(x: V) -> V {
    V::splat(-0.5).max(V::splat(0.5).min(x))
}

/// `e^x` where one factor holds the exponent: Cody–Waite reduction by ln 2 and a degree-6 polynomial on
/// [−ln 2/2, ln 2/2].
#[inline(always)]
fn exp_within<V: Vector<Number = f32>>(x: V) -> V {
    let shifted = x.fma(V::splat(std::f32::consts::LOG2_E), V::splat(MAGIC));
    let n = shifted - V::splat(MAGIC);
    let r = n.fma(V::splat(-0.693_359_4), x);
    let r = n.fma(V::splat(2.121_944_4e-4), r);
    let mut p = V::splat(1.0 / 720.0);
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p.fma(r, V::splat(coefficient));
    }
    p.scaled(shifted)
}

impl Elementary for f32 {
    #[inline(always)]
    fn exp_each<V: Vector<Number = Self>>(x: V) -> V {
        // In this order NaN passes.
        let held = V::splat(88.0).min(V::splat(-87.3).max(x));
        let finite = x.below(V::splat(-87.3), V::zero(), exp_within(held));
        V::splat(88.0).below(x, V::splat(f32::INFINITY), finite)
    }

    /// A rational function fitted on ±9.02 with a relative error of 2.1e−8 before rounding, so that it is as
    /// accurate near zero as elsewhere; beyond, single precision knows no difference from ±1.
    #[inline(always)]
    fn tanh_each<V: Vector<Number = Self>>(x: V) -> V {
        let end = V::splat(9.02);
        let held = end.min((-end).max(x));
        let square = held * held;
        let one = V::splat(1.0);
        let mut p = V::splat(1.331_890_2e-8);
        for coefficient in [2.058_335_6e-5, 3.494_027e-3, 1.337_971_2e-1, 1.0] {
            p = p.fma(square, V::splat(coefficient));
        }
        let mut q = V::splat(7.761_949e-7);
        for coefficient in [3.283_080_4e-4, 2.587_104_4e-2, 4.671_302_7e-1, 1.0] {
            q = q.fma(square, V::splat(coefficient));
        }
        let y = end.below(x, one, held * p / q);
        x.below(-end, -one, y)
    }

    #[inline(always)]
    fn logistic_each<V: Vector<Number = Self>>(x: V) -> V {
        let held = V::splat(87.0).min(V::splat(-87.0).max(x));
        let one = V::splat(1.0);
        one / (one + exp_within(-held))
    }

    /// Cody–Waite reduction by π/2 in three parts (Moshier's), and polynomials on [−π/4, π/4].
    #[inline(always)]
    fn sin_cos_each<V: Vector<Number = Self>>(x: V) -> (V, V) {
        let n = rounded(x * V::splat(std::f32::consts::FRAC_2_PI));
        let r = n.fnma(V::splat(1.570_312_5), x);
        let r = n.fnma(V::splat(4.837_513e-4), r);
        let r = n.fnma(V::splat(7.549_79e-8), r);
        let z = r * r;
        let s = V::splat(-1.951_529_6e-4).fma(z, V::splat(8.332_161e-3)).fma(z, V::splat(-0.166_666_55));
        let s = (s * z).fma(r, r);
        let c = V::splat(2.443_315_7e-5).fma(z, V::splat(-1.388_731_6e-3)).fma(z, V::splat(4.166_664_6e-2));
        let c = (c * z).fma(z, z.fnma(V::splat(0.5), V::splat(1.0)));
        // The quadrant, −2 to 2: odd ones exchange the two.
        let m = rounded(n * V::splat(0.25)).fnma(V::splat(4.0), n);
        let (sine, cosine) = (either(m * m, c, s), either(m * m, s, c));
        (sine * sign(m, -0.5), cosine * sign(m, -1.5))
    }

    #[inline(always)]
    fn gelu_each<V: Vector<Number = Self>>(x: V) -> V {
        let (from_half, _) = odd(x, &VALUE, VALUE_END);
        x * (V::splat(0.5) + halves(from_half))
    }

    #[inline(always)]
    fn gelu_slope_each<V: Vector<Number = Self>>(x: V) -> V {
        let (from_half, square) = odd(x, &SLOPE, SLOPE_END);
        // The slope overshoots 1 before the end, where it is held at 0 or 1.
        let inside = square.below(V::splat(SLOPE_END * SLOPE_END), from_half, halves(from_half));
        V::splat(0.5) + inside
    }

    #[inline(always)]
    fn softplus_each<V: Vector<Number = Self>>(x: V) -> V {
        // In this order NaN passes.
        let t = Self::exp_each(-(x.max(-x)));
        let u = t.fma(V::splat(2.0), V::splat(-1.0));
        let mut p = V::splat(LOGARITHM[0]);
        for coefficient in &LOGARITHM[1..] {
            p = p.fma(u, V::splat(*coefficient));
        }
        t.fma(p, V::zero().max(x))
    }

    #[inline(always)]
    fn scaled(self, shifted: Self) -> Self {
        f32::from_bits(self.to_bits().wrapping_add(shifted.to_bits() << 23))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Arith, Isa, Kernel, dispatch_on};

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Tanh,
        Logistic,
        Sine,
        Cosine,
        Gelu,
        Slope,
        Softplus,
    }

    struct Map<'a>(&'a [f32], Function);

    impl Kernel for Map<'_> {
        type Output = Vec<f32>;
        #[inline(always)]
        fn run<A: Arith>(self) -> Vec<f32> {
            let mut out = vec![0.0; self.0.len()];
            let lanes = A::Vector::<f32>::LANES;
            for (xs, ys) in self.0.chunks(lanes).zip(out.chunks_mut(lanes)) {
                let x = A::Vector::<f32>::load_part(xs);
                let y = match self.1 {
                    Function::Exp => f32::exp_each(x),
                    Function::Tanh => f32::tanh_each(x),
                    Function::Logistic => f32::logistic_each(x),
                    Function::Sine => f32::sin_cos_each(x).0,
                    Function::Cosine => f32::sin_cos_each(x).1,
                    Function::Gelu => f32::gelu_each(x),
                    Function::Slope => f32::gelu_slope_each(x),
                    Function::Softplus => f32::softplus_each(x),
                };
                y.store_part(ys);
            }
            out
        }
    }

    /// The largest error on ±`range`, divided by what `scale` says of the argument and the exact value.
    fn worst(function: Function, exact: fn(f64) -> f64, range: f64, scale: fn(f64, f64) -> f64) -> f64 {
        let xs: Vec<f32> = (-40_000..=40_000).map(|i| (f64::from(i) / 40_000.0 * range) as f32).collect();
        let mut worst: f64 = 0.0;
        for isa in Isa::available() {
            for (x, y) in xs.iter().zip(dispatch_on(isa, Map(&xs, function))) {
                let (x, y) = (f64::from(*x), f64::from(y));
                let want = exact(x);
                // Written so that NaN is the worst.
                let error = (y - want).abs() / scale(x, want);
                worst = if error <= worst { worst } else { error };
            }
        }
        worst
    }

    #[test]
    fn functions_are_as_accurate_as_they_say() {
        assert!(worst(Function::Exp, libm::exp, 87.0, |_, want| want) < 4e-7);
        for range in [1e-3, 1.0, 12.0] {
            assert!(worst(Function::Tanh, libm::tanh, range, |_, want| want.abs().max(1e-300)) < 4e-7);
        }
        let logistic = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        assert!(worst(Function::Logistic, logistic, 80.0, |_, want| want) < 6e-7);
        for range in [3.0, 100.0, 8000.0] {
            assert!(worst(Function::Sine, libm::sin, range, |_, _| 1.0) < 2e-7);
            assert!(worst(Function::Cosine, libm::cos, range, |_, _| 1.0) < 2e-7);
        }
        for range in [1e-3, 3.0, 80.0] {
            let softplus = |x: f64| x.max(0.0) + libm::log1p(libm::exp(-x.abs()));
            assert!(worst(Function::Softplus, softplus, range, |_, want| want) < 8e-7);
        }
        for range in [0.1, 3.0, 7.0] {
            let gelu = |x: f64| x * distribution(x);
            assert!(worst(Function::Gelu, gelu, range, |x, _| x.abs().max(1e-300)) < 2e-7);
            let slope = |x: f64| distribution(x) + x * libm::exp(-0.5 * x * x) * 0.398_942_280_401_432_7;
            assert!(worst(Function::Slope, slope, range, |_, _| 1.0) < 4e-7);
        }
    }

    #[test]
    fn extremes_and_nan_are_kept() {
        let xs = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, -88.0];
        for isa in Isa::available() {
            let exp = dispatch_on(isa, Map(&xs, Function::Exp));
            assert!(exp[0].is_nan() && exp[1] == f32::INFINITY && exp[2] == 0.0 && exp[5] == 0.0);
            let tanh = dispatch_on(isa, Map(&xs, Function::Tanh));
            assert!(
                tanh[0].is_nan() && tanh[1] == 1.0 && tanh[2] == -1.0 && tanh[3] == 1.0 && tanh[4] == -1.0
            );
            let logistic = dispatch_on(isa, Map(&xs, Function::Logistic));
            assert!(logistic[0].is_nan() && logistic[1] == 1.0 && logistic[2] < 1e-37 && logistic[5] < 1e-37);
            let gelu = dispatch_on(isa, Map(&xs, Function::Gelu));
            assert!(gelu[0].is_nan() && gelu[1] == f32::INFINITY && gelu[3] == 1e30 && gelu[4] == 0.0);
            let softplus = dispatch_on(isa, Map(&xs, Function::Softplus));
            assert!(softplus[0].is_nan() && softplus[1] == f32::INFINITY && softplus[2] == 0.0);
            assert!(softplus[3] == 1e30 && softplus[4] == 0.0);
            let slope = dispatch_on(isa, Map(&xs, Function::Slope));
            assert!(slope[0].is_nan() && slope[1] == 1.0 && slope[2] == 0.0 && slope[4] == 0.0);
        }
    }
}
