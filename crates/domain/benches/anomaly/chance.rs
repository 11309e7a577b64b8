//! Repeatable randomness for the model: a seeded generator and the distributions that are drawn from it.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Between 0 and 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Every doubling is as likely as every other.
    pub(crate) fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    pub(crate) fn is(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// The standard normal distribution (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// The gamma distribution of mean 1 (Marsaglia and Tsang, "A simple method for generating gamma variables", 2000).
    fn gamma(&mut self, shape: f64) -> f64 {
        let d = shape.max(1.0) - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && (1.0 - self.uniform()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v / shape.max(1.0);
            }
        }
    }

    /// The Poisson distribution: by counting up to a mean of 30, as a rounded normal beyond.
    pub(crate) fn poisson(&mut self, mean: f64) -> u32 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u32;
        }
        let (bound, mut product, mut count) = ((-mean).exp(), self.uniform(), 0);
        while product > bound {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// The negative binomial distribution: a Poisson whose mean is itself gamma, with variance μ + μ²/k.
    pub(crate) fn negative_binomial(&mut self, mean: f64, k: f64) -> u32 {
        if mean <= 0.0 {
            return 0;
        }
        let rate = mean * self.gamma(k);
        self.poisson(rate)
    }

    /// So many of `count`, each with this probability.
    pub(crate) fn binomial(&mut self, count: u32, probability: f64) -> u32 {
        let probability = probability.clamp(0.0, 1.0);
        if count <= 40 {
            return (0..count).map(|_| u32::from(self.is(probability))).sum();
        }
        let mean = f64::from(count) * probability;
        if mean < 30.0 {
            return self.poisson(mean).min(count);
        }
        let deviation = (mean * (1.0 - probability)).sqrt();
        (mean + deviation * self.normal()).round().clamp(0.0, f64::from(count)) as u32
    }
}
