//! Chance that can be repeated: seeds from seeds, and the few distributions that calls need.
//!
//! Pure. Every random choice of the simulator is drawn from a generator seeded here, so
//! the same seed and the same time always give the same calls.

use fastrand::Rng;

/// The largest mean drawn in one go: `exp` of much more would vanish.
const POISSON_STEP: f64 = 16.0;

/// A seed that looks unrelated to both of its parts.
pub(super) fn hash_seed(seed: u64, part: u64) -> u64 {
    let mut mixed = seed.wrapping_add(part.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    for factor in [0xBF58_476D_1CE4_E5B9_u64, 0x94D0_49BB_1331_11EB] {
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(factor);
    }
    mixed ^ (mixed >> 31)
}

/// One of `others`, each with its share in thousandths, else the usual.
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

/// How many independent events fall into a span that has `mean` of them on average.
pub(super) fn poisson(rng: &mut Rng, mut mean: f64) -> u32 {
    let mut count = 0;
    while mean > 0.0 {
        count += small_poisson(rng, mean.min(POISSON_STEP));
        mean -= POISSON_STEP;
    }
    count
}

fn small_poisson(rng: &mut Rng, mean: f64) -> u32 {
    let floor = (-mean).exp();
    let mut product = rng.f64();
    let mut count = 0;
    while product > floor {
        product *= rng.f64();
        count += 1;
    }
    count
}

/// A span in milliseconds that is mostly short and seldom long, with the given mean.
pub(super) fn exponential_ms(rng: &mut Rng, mean_ms: f64) -> i64 {
    (-(1.0 - rng.f64()).ln() * mean_ms) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_counts_have_the_mean_asked_for_even_when_it_is_large() {
        let mut rng = Rng::with_seed(3);
        for mean in [0.5, 10.0, 700.0] {
            let total: u32 = (0..2000).map(|_| poisson(&mut rng, mean)).sum();
            let average = f64::from(total) / 2000.0;
            assert!((average - mean).abs() < mean * 0.06, "{average} for {mean}");
        }
    }

    #[test]
    fn a_share_is_in_thousandths_and_the_rest_is_usual() {
        let mut rng = Rng::with_seed(3);
        let rare = (0..10_000)
            .filter(|_| choose(&mut rng, 'a', &[(100, 'b')]) == 'b')
            .count();
        assert!((900..1100).contains(&rare), "{rare}");
    }

    #[test]
    fn neighbouring_seeds_give_unrelated_results() {
        assert_ne!(hash_seed(1, 1), hash_seed(1, 2));
        assert!((hash_seed(1, 1) ^ hash_seed(1, 2)).count_ones() > 12);
    }
}
