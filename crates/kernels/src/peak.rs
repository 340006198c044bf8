//! What this machine can do at most, to hold measured times against: multiply-adds and copied bytes a second.

use crate::isa::{Arith, Isa, Kernel, dispatch};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Multiply-adds in single precision that this process's instruction set (see [`crate::isa::active`]) makes on
/// `threads` threads at once, in GFLOP/s: two operations each. Measured for about `duration` with nothing but
/// chains in registers, as in the inner loop of a product; the sum over threads of the best millisecond, because
/// whatever else the machine does only ever slows it down. At least one thread runs.
pub fn multiply_add_peak(threads: usize, duration: Duration) -> f64 {
    // Shorter than the turns in which a system shares a processor out.
    const INTERVAL: Duration = Duration::from_millis(1);
    1e-9 * on_each_thread(threads, || {
        let (begin, mut best) = (Instant::now(), 0.0);
        loop {
            let (start, mut operations) = (Instant::now(), 0.0);
            while start.elapsed() < INTERVAL {
                operations += dispatch(Chains);
            }
            best = f64::max(best, operations / start.elapsed().as_secs_f64());
            if begin.elapsed() >= duration {
                return best;
            }
        }
    })
}

/// Bytes a second, read and written together, that `threads` threads copy from memory to memory at once, in GB/s.
/// Each copies 64 MiB, more than the caches hold, five times; the sum over threads of the best. At least one
/// thread runs.
pub fn memory_copy_bandwidth(threads: usize) -> f64 {
    const BYTES: usize = 64 << 20;
    1e-9 * on_each_thread(threads, || {
        let from = vec![1u8; BYTES];
        let mut to = vec![2u8; BYTES];
        let rates = (0..5).map(|_| {
            let start = Instant::now();
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
            2.0 * BYTES as f64 / start.elapsed().as_secs_f64()
        });
        rates.fold(0.0, f64::max)
    })
}

/// Runs `rate` on that many threads, which begin together, and adds up what they return.
fn on_each_thread(threads: usize, rate: impl Fn() -> f64 + Sync) -> f64 {
    let threads = threads.max(1);
    let together = Barrier::new(threads);
    let one = || {
        together.wait();
        rate()
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one)).collect();
        let first = one();
        // A thread that panicked has measured nothing.
        first + others.into_iter().filter_map(|thread| thread.join().ok()).sum::<f64>()
    })
}

/// Turns of the loop between two looks at the clock.
const TURNS: usize = 4096;

/// Runs independent chains of multiply-adds and returns how many operations that was.
struct Chains;

impl Kernel for Chains {
    type Output = f64;
    #[inline(always)]
    fn run<A: Arith>(self) -> f64 {
        #[cfg(target_arch = "x86_64")]
        if A::ISA != Isa::Portable {
            // SAFETY: code generic over `A` runs only inside the variant that `dispatch` has found the
            // processor to support, and AVX-512 includes AVX2.
            #[allow(unsafe_code)]
            return unsafe { if A::ISA == Isa::Avx512 { wide_chains() } else { narrow_chains() } };
        }
        plain_chains::<A>()
    }
}

/// As many chains as hide the latency of what a baseline processor starts in each cycle, by name, because the
/// compiler keeps an array of them in memory.
#[inline(always)]
fn plain_chains<A: Arith>() -> f64 {
    const WIDTH: usize = 4;
    const CHAINS: usize = 12;
    let (a, b): ([f32; WIDTH], [f32; WIDTH]) = black_box(([0.999; WIDTH], [1e-3; WIDTH]));
    let next = |mut chain: [f32; WIDTH]| {
        for lane in 0..WIDTH {
            chain[lane] = A::fma(chain[lane], a[lane], b[lane]);
        }
        chain
    };
    let [mut c0, mut c1, mut c2, mut c3, mut c4, mut c5] = [b; CHAINS / 2];
    let [mut d0, mut d1, mut d2, mut d3, mut d4, mut d5] = [b; CHAINS / 2];
    for _ in 0..TURNS {
        (c0, c1, c2, c3, c4, c5) = (next(c0), next(c1), next(c2), next(c3), next(c4), next(c5));
        (d0, d1, d2, d3, d4, d5) = (next(d0), next(d1), next(d2), next(d3), next(d4), next(d5));
    }
    black_box([c0, c1, c2, c3, c4, c5, d0, d1, d2, d3, d4, d5]);
    (2 * WIDTH * CHAINS * TURNS) as f64
}

/// One vector form: values in a register, chains, features, and the two instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! vector_chains {
    ($name:ident, $lanes:literal, $chains:literal, $features:literal, $splat:ident, $fma:ident) => {
        #[target_feature(enable = $features)]
        fn $name() -> f64 {
            use std::arch::x86_64::*;
            let (a, b) = (black_box($splat(0.999)), black_box($splat(1e-3)));
            let mut chains = [b; $chains];
            for _ in 0..TURNS {
                for chain in &mut chains {
                    *chain = $fma(*chain, a, b);
                }
            }
            black_box(chains);
            (2 * $lanes * $chains * TURNS) as f64
        }
    };
}

#[cfg(target_arch = "x86_64")]
vector_chains!(wide_chains, 16, 16, "avx512f", _mm512_set1_ps, _mm512_fmadd_ps);
#[cfg(target_arch = "x86_64")]
vector_chains!(narrow_chains, 8, 12, "avx2,fma", _mm256_set1_ps, _mm256_fmadd_ps);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::dispatch_on;

    #[test]
    fn rates_are_finite_and_positive() {
        for threads in [0, 1, 2] {
            for rate in [multiply_add_peak(threads, Duration::from_millis(2)), memory_copy_bandwidth(threads)]
            {
                assert!(rate.is_finite() && rate > 0.0, "{rate}");
            }
        }
    }

    #[test]
    fn every_variant_counts_two_operations_for_each_value_of_each_chain() {
        for isa in Isa::available() {
            let chains = match isa {
                Isa::Portable => 4 * 12,
                Isa::Avx2 => 8 * 12,
                Isa::Avx512 => 16 * 16,
            };
            assert_eq!(dispatch_on(isa, Chains), (2 * chains * TURNS) as f64);
        }
    }
}
