//! Reproducible random numbers: derived seeds and the distributions of calls.
//!
//! Every random choice of the simulator uses a generator with a seed from here, so that the same
//! seed and the same time always give the same calls.

use fastrand::Rng;

/// Largest mean of one draw; `exp(-mean)` of much larger ones would underflow.
const MAX_POISSON_MEAN: f64 = 16.0;

/// Returns a seed that is statistically independent of both arguments.
pub(super) fn hash_seed(seed: u64, part: u64) -> u64 {
    let mut mixed = seed.wrapping_add(part.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    for factor in [0xBF58_476D_1CE4_E5B9_u64, 0x94D0_49BB_1331_11EB] {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(factor);
    }
    mixed ^ (mixed >> 31)
}

/// Returns one of `others` with its probability in thousandths, otherwise `usual`.
pub(super) fn choose<T: Copy>(rng: &mut Rng, usual: T, others: &[(u32, T)]) -> T {
    let mut roll = rng.u32(0..1000);
    for (share, other) in others {
        if roll < *share {
            return *other;
        }
        roll -= share;
    }
    usual
}

/// Draws a Poisson-distributed number with the given mean.
pub(super) fn poisson(rng: &mut Rng, mut mean: f64) -> u32 {
    let mut count = 0;
    while mean > 0.0 {
        count += small_poisson(rng, mean.min(MAX_POISSON_MEAN));
        mean -= MAX_POISSON_MEAN;
    }
    count
}

fn small_poisson(rng: &mut Rng, mean: f64) -> u32 {
    let limit = (-mean).exp();
    let mut product = rng.f64();
    let mut count = 0;
    while product > limit {
        product *= rng.f64();
        count += 1;
    }
    count
}

/// Draws an exponentially distributed duration in milliseconds with the given mean.
pub(super) fn exponential_ms(rng: &mut Rng, mean_ms: f64) -> i64 {
    (-(1.0 - rng.f64()).ln() * mean_ms) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_draws_have_the_requested_mean() {
        let mut rng = Rng::with_seed(3);
        for mean in [0.5, 10.0, 700.0] {
            let total: u32 = (0..2000).map(|_| poisson(&mut rng, mean)).sum();
            let average = f64::from(total) / 2000.0;
            assert!((average - mean).abs() < mean * 0.06, "{average} for {mean}");
        }
    }

    #[test]
    fn choose_takes_probabilities_in_thousandths() {
        let mut rng = Rng::with_seed(3);
        let rare = (0..10_000)
            .filter(|_| choose(&mut rng, 'a', &[(100, 'b')]) == 'b')
            .count();
        assert!((900..1100).contains(&rare), "{rare}");
    }

    #[test]
    fn consecutive_seeds_give_unrelated_hashes() {
        assert_ne!(hash_seed(1, 1), hash_seed(1, 2));
        assert!((hash_seed(1, 1) ^ hash_seed(1, 2)).count_ones() > 12);
    }
}
