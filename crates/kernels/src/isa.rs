//! Which instruction set the kernels run on, chosen at run time, and the one way to enter a kernel.
//!
//! A kernel is written once, generic over [`Real`](crate::real::Real) (the number) and [`Arith`] (how a
//! product is accumulated), and compiled three times by [`dispatch`]: for AVX-512, for AVX2 with FMA, and
//! for whatever the target guarantees. Results of the two vector variants are equal bit for bit, because
//! both round each multiply-add once and neither reassociates; the portable variant rounds twice.

use crate::real::Real;
use crate::vector::Vector;
use std::sync::OnceLock;

/// An instruction-set variant of every kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What the compilation target guarantees; multiply and add are rounded apart.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Isa {
    /// The name written into rows and accepted by `SEQBENCH_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// The variants this machine can run, plainest first.
    pub fn available() -> Vec<Isa> {
        #[allow(unused_mut)]
        let mut found = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Isa::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    found.push(Isa::Avx512);
                }
            }
        }
        found
    }
}

/// Name of the environment variable that pins the variant.
pub const ISA_VARIABLE: &str = "SEQBENCH_ISA";

/// Reads `SEQBENCH_ISA`: the variant it names, or the best one where it is unset.
///
/// # Errors
/// The variable names no variant, or one this machine lacks. The program checks this once at its start.
pub fn requested() -> Result<Isa, String> {
    let available = Isa::available();
    let best = available.last().copied().unwrap_or(Isa::Portable);
    let Some(value) = std::env::var_os(ISA_VARIABLE) else { return Ok(best) };
    let value = value.to_string_lossy();
    available.iter().copied().find(|isa| isa.name() == value).ok_or_else(|| {
        let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
        format!("{ISA_VARIABLE}={value}: this machine offers {}", names.join(", "))
    })
}

static ACTIVE: OnceLock<Isa> = OnceLock::new();

/// The variant of this process: `SEQBENCH_ISA` where it is valid, otherwise the best the machine has.
pub fn active() -> Isa {
    *ACTIVE.get_or_init(|| {
        requested().unwrap_or_else(|_| Isa::available().last().copied().unwrap_or(Isa::Portable))
    })
}

/// How a kernel accumulates a product; chosen by the variant.
pub trait Arith: Copy + Send + Sync + 'static {
    /// The variant this arithmetic runs in.
    const ISA: Isa;
    /// Rows of 32 `f32` accumulators which the variant's vector registers hold beside the operands. Only
    /// speed depends on it.
    const TILE_ROWS: usize;
    /// The variant's registers.
    type Vector<T: Real>: Vector<Number = T>;
    /// `a · b + c`.
    fn fma<T: Real>(a: T, b: T, c: T) -> T;
}

/// One rounding, with 32 registers of 64 bytes.
#[derive(Clone, Copy, Debug)]
pub struct FusedWide;

impl Arith for FusedWide {
    const ISA: Isa = Isa::Avx512;
    const TILE_ROWS: usize = 8;
    type Vector<T: Real> = T::Wide;
    #[inline(always)]
    fn fma<T: Real>(a: T, b: T, c: T) -> T {
        a.mul_add(b, c)
    }
}

/// One rounding, with 16 registers of 32 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Fused;

impl Arith for Fused {
    const ISA: Isa = Isa::Avx2;
    const TILE_ROWS: usize = 2;
    type Vector<T: Real> = T::Narrow;
    #[inline(always)]
    fn fma<T: Real>(a: T, b: T, c: T) -> T {
        a.mul_add(b, c)
    }
}

/// Two roundings, everywhere else: without the instruction `mul_add` is a slow library call.
#[derive(Clone, Copy, Debug)]
pub struct Separate;

impl Arith for Separate {
    const ISA: Isa = Isa::Portable;
    const TILE_ROWS: usize = 1;
    type Vector<T: Real> = T::Portable;
    #[inline(always)]
    fn fma<T: Real>(a: T, b: T, c: T) -> T {
        a * b + c
    }
}

/// The body of a kernel. Implementations and everything they call must be `#[inline(always)]`: what is not
/// inlined into the variant's function is compiled for the baseline. A closure handed to another thread
/// leaves the variant, so split the work first and [`dispatch`] inside each part.
pub trait Kernel {
    /// What the kernel returns.
    type Output;
    /// Runs it with the variant's arithmetic.
    fn run<A: Arith>(self) -> Self::Output;
}

/// Runs a kernel on the [`active`] variant.
#[inline]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    dispatch_on(active(), kernel)
}

/// Runs a kernel on a named variant, for tests that compare them; falls back to the portable one where the
/// machine lacks the named one.
pub fn dispatch_on<K: Kernel>(isa: Isa, kernel: K) -> K::Output {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 if cached(Isa::Avx512) => {
            // SAFETY: `cached` has just said that this processor has the features the function is compiled for.
            #[allow(unsafe_code)]
            unsafe {
                on_avx512(kernel)
            }
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 if cached(Isa::Avx2) => {
            // SAFETY: as above, for AVX2 and FMA.
            #[allow(unsafe_code)]
            unsafe {
                on_avx2(kernel)
            }
        }
        _ => kernel.run::<Separate>(),
    }
}

#[cfg(target_arch = "x86_64")]
fn cached(isa: Isa) -> bool {
    static BEST: OnceLock<Isa> = OnceLock::new();
    *BEST.get_or_init(|| Isa::available().last().copied().unwrap_or(Isa::Portable)) >= isa
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn on_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<FusedWide>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn on_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Fused>()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dot<'a, T>(&'a [T], &'a [T]);
    impl<T: Real> Kernel for Dot<'_, T> {
        type Output = T;
        #[inline(always)]
        fn run<A: Arith>(self) -> T {
            self.0.iter().zip(self.1).fold(T::ZERO, |sum, (a, b)| A::fma(*a, *b, sum))
        }
    }

    #[test]
    fn every_available_variant_computes_the_same_dot_product() {
        let a: Vec<f64> = (0..37).map(|i| f64::from(i) * 0.37 - 3.0).collect();
        let b: Vec<f64> = (0..37).map(|i| 1.0 / (1.0 + f64::from(i))).collect();
        let plain: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        for isa in Isa::available() {
            let got = dispatch_on(isa, Dot(&a, &b));
            assert!((got - plain).abs() < 1e-12, "{}: {got} against {plain}", isa.name());
        }
    }

    #[test]
    fn both_vector_variants_give_the_same_bits() {
        let a: Vec<f32> = (0..37).map(|i| (f64::from(i) * 0.37 - 3.0) as f32).collect();
        let b: Vec<f32> = (0..37).map(|i| 1.0 / (1.0 + i as f32)).collect();
        let found = Isa::available().into_iter().filter(|isa| *isa != Isa::Portable);
        let bits: Vec<u32> = found.map(|isa| dispatch_on(isa, Dot(&a, &b)).to_bits()).collect();
        assert!(bits.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn names_are_distinct_and_ordered_from_plain_to_wide() {
        let found = Isa::available();
        assert_eq!(found[0], Isa::Portable);
        assert!(found.windows(2).all(|pair| pair[0] < pair[1] && pair[0].name() != pair[1].name()));
    }
}
