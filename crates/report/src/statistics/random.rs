//! Random numbers that are the same for ever and on every machine: a function of a seed and a counter, integers only.

/// Weyl constant of SplitMix64: 2⁶⁴ over the golden ratio, made odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Draws of SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", with the mixing function
/// of Vigna's `splitmix64.c`): the i-th is `mix(seed + i·γ)`, so that nothing but seed and place decides it.
#[derive(Clone, Debug)]
pub struct Draws {
    seed: u64,
    place: u64,
}

impl Draws {
    /// The draws of a seed, from the first.
    pub fn new(seed: u64) -> Self {
        Self { seed, place: 0 }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.place = self.place.wrapping_add(1);
        mix(self.seed.wrapping_add(self.place.wrapping_mul(GAMMA)))
    }

    /// A whole number below `count`, 0 for none: the upper half of a product (Lemire 2019), without its rejection. No number
    /// is favoured by more than `count`/2⁶⁴.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// A number in [0, 1), a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Brings `count` of the values to the front, every choice of them equally likely (Fisher & Yates 1938).
    pub fn choose<T>(&mut self, values: &mut [T], count: usize) {
        for place in 0..count.min(values.len()) {
            let other = place + self.below(values.len() - place);
            values.swap(place, other);
        }
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of `splitmix64.c` with the state 1234567.
    #[test]
    fn draws_are_those_of_the_reference() {
        let mut draws = Draws::new(1_234_567);
        let found = [(); 3].map(|()| draws.bits());
        assert_eq!(found, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn whole_numbers_stay_below_their_bound_and_are_even() {
        let mut draws = Draws::new(0);
        let mut counts = [0usize; 7];
        (0..7000).for_each(|_| counts[draws.below(7)] += 1);
        // Five standard deviations of a binomial of 7000 and 1/7 are 146.
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 146), "{counts:?}");
        assert_eq!((draws.below(1), draws.below(0)), (0, 0));
        assert!((0..1000).map(|_| draws.uniform()).all(|x| (0.0..1.0).contains(&x)));
    }

    #[test]
    fn every_choice_is_as_likely() {
        let mut draws = Draws::new(3);
        let mut pairs = [0usize; 16];
        for _ in 0..6000 {
            let mut values = [0, 1, 2, 3];
            draws.choose(&mut values, 2);
            pairs[values[0].min(values[1]) * 4 + values[0].max(values[1])] += 1;
        }
        let counts: Vec<usize> = pairs.into_iter().filter(|count| *count > 0).collect();
        assert_eq!(counts.len(), 6);
        // Five standard deviations of a binomial of 6000 and 1/6 are 144.
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 144), "{counts:?}");
    }
}
