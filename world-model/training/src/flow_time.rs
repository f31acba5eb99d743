//! Times of the flow at which the network is trained.

use serde::{Deserialize, Serialize};

use crate::random::StepRandom;

/// Distribution of the times, from 0 (clean) to 1 (noise).
///
/// Source: `predict2/schedulers/rectified_flow.py` of cosmos-transfer2.5@2ff49d0 (`sample_train_time`).
/// Differs: the share of pure noise is a choice; it stands in for the published 5 % from the noisiest 2 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowTimes {
    /// Mean of the normal distribution under the sigmoid.
    pub logit_mean: f32,
    /// Deviation of the normal distribution under the sigmoid.
    pub logit_std: f32,
    /// Shift towards noise: `shift * u / (1 + (shift - 1) * u)`; 1 is none.
    pub shift: f32,
    /// Share of samples that start from nothing but noise, where a prediction's first step starts.
    pub pure_noise_share: f32,
}

impl Default for FlowTimes {
    fn default() -> Self {
        Self {
            logit_mean: 0.0,
            logit_std: 1.0,
            shift: 3.0,
            pure_noise_share: 0.25,
        }
    }
}

impl FlowTimes {
    /// Draws a time.
    pub fn sample(&self, random: &mut StepRandom) -> f32 {
        // Both are always drawn, so that the share does not change the other times.
        let (pure, normal) = (random.chance(self.pure_noise_share), random.normal());
        if pure {
            return 1.0;
        }
        let time = 1.0 / (1.0 + (-(self.logit_mean + self.logit_std * normal)).exp());
        self.shift * time / (1.0 + (self.shift - 1.0) * time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(config: FlowTimes) -> Vec<f32> {
        let mut random = StepRandom::new(1, 2, 3);
        let mut times: Vec<f32> = (0..20_001).map(|_| config.sample(&mut random)).collect();
        times.sort_by(f32::total_cmp);
        times
    }

    #[test]
    fn the_shift_moves_the_median_as_published() {
        let config = FlowTimes {
            shift: 5.0,
            pure_noise_share: 0.0,
            ..FlowTimes::default()
        };
        let times = times(config);
        assert!((times[10_000] - 5.0 / 6.0).abs() < 0.01, "{}", times[10_000]);
        assert!(times[0] > 0.0 && times[20_000] < 1.0);
    }

    #[test]
    fn the_share_of_pure_noise_is_kept() {
        let share = times(FlowTimes::default()).iter().filter(|&&time| time == 1.0).count() as f32 / 20_001.0;
        assert!((share - 0.25).abs() < 0.02, "{share}");
    }
}
