//! Ten versions of the cloned policy, from failing to good.

use burn::tensor::Device;

use super::error::ClonedWeightsError;
use super::network::ClonedNetwork;
use super::policy::ClonedPolicy;
use crate::imperfect::{ImperfectPolicy, Imperfections};

/// Number of graded policies.
pub const NUM_GRADES: usize = 10;

/// One row of the table of graded policies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grade {
    /// How far training had come, from 0 (first checkpoint) to 1 (last).
    pub training: f32,
    /// What is wrong beside that.
    pub imperfections: Imperfections,
}

const PERFECT: Imperfections = Imperfections {
    noise: 0.0,
    bias: [0.0; 3],
    delay: 0,
    gripper_failure: 0.0,
};

/// The graded policies, `cloned:0` first.
///
/// 0, 4 and 9 are states of one training, the others are imperfect; where only the last state is known, the three are the same, and so
/// are 2 and 5. The sizes were chosen by success on `reach` in the physics world alone, so that it rises evenly: 0.01, 0.11, 0.23, 0.35,
/// 0.45, 0.53, 0.69, 0.82, 0.90 and 1.00 of 200 episodes (seeds from 640000).
pub const GRADES: [Grade; NUM_GRADES] = [
    Grade {
        training: 0.0,
        imperfections: PERFECT,
    },
    Grade {
        training: 1.0,
        imperfections: Imperfections {
            bias: [0.0, 0.52, 0.0],
            gripper_failure: 0.5,
            ..PERFECT
        },
    },
    Grade {
        training: 0.5,
        imperfections: Imperfections {
            bias: [0.3, 0.3, 0.0],
            ..PERFECT
        },
    },
    Grade {
        training: 1.0,
        imperfections: Imperfections { noise: 1.7, ..PERFECT },
    },
    Grade {
        training: 0.5,
        imperfections: PERFECT,
    },
    Grade {
        training: 1.0,
        imperfections: Imperfections {
            bias: [0.3, 0.3, 0.0],
            ..PERFECT
        },
    },
    Grade {
        training: 1.0,
        imperfections: Imperfections {
            noise: 0.3,
            delay: 6,
            ..PERFECT
        },
    },
    Grade {
        training: 1.0,
        imperfections: Imperfections {
            noise: 0.6,
            bias: [0.22, 0.2, 0.0],
            gripper_failure: 0.5,
            ..PERFECT
        },
    },
    Grade {
        training: 1.0,
        imperfections: Imperfections { noise: 0.75, ..PERFECT },
    },
    Grade {
        training: 1.0,
        imperfections: PERFECT,
    },
];

/// The checkpoints of one training run of the cloned policy, earliest first.
#[derive(Debug, Clone)]
pub struct ClonedCheckpoints {
    networks: Vec<ClonedNetwork>,
    last: ClonedNetwork,
    device: Device,
}

impl ClonedCheckpoints {
    /// Reads checkpoints, earliest first, and the one that `cloned` itself uses.
    ///
    /// # Errors
    /// [`ClonedWeightsError`] of the first checkpoint that can't be read.
    pub fn from_safetensors(earlier: &[&[u8]], last: &[u8], device: &Device) -> Result<Self, ClonedWeightsError> {
        let read = |bytes: &[u8]| ClonedNetwork::from_safetensors(bytes, device);
        let last = read(last)?;
        let networks = earlier
            .iter()
            .map(|bytes| read(bytes))
            .chain(std::iter::once(Ok(last.clone())))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            networks,
            last,
            device: device.clone(),
        })
    }

    /// Makes `cloned`: the last checkpoint as it is.
    pub fn cloned(&self) -> ClonedPolicy {
        ClonedPolicy::new("cloned", self.last.clone(), &self.device)
    }

    /// Makes the graded policy `cloned:grade`, or nothing if there is no such grade.
    pub fn graded(&self, grade: usize) -> Option<ImperfectPolicy<ClonedPolicy>> {
        let Grade {
            training,
            imperfections,
        } = *GRADES.get(grade)?;
        let index = (training.clamp(0.0, 1.0) * (self.networks.len() - 1) as f32).round() as usize;
        let network = self.networks.get(index).unwrap_or(&self.last).clone();
        let name = format!("cloned:{grade}");
        Some(ImperfectPolicy::new(
            name.clone(),
            ClonedPolicy::new(name, network, &self.device),
            imperfections,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloned::ClonedNetworkConfig;
    use crate::fixtures::{camera_observation, spec};
    use crate::policy::Policy;

    fn checkpoints() -> ClonedCheckpoints {
        let device = Device::flex();
        let config = ClonedNetworkConfig::new().with_channels([4, 4, 4]).with_d_hidden(8);
        let bytes = || config.init(&device).to_safetensors(&config).expect("writable");
        ClonedCheckpoints::from_safetensors(&[&bytes(), &bytes(), &bytes()], &bytes(), &device).expect("readable")
    }

    fn act(policy: &mut dyn Policy) -> worldloop_envs::ActionChunk {
        policy.reset(&spec("push"), 1).expect("fits");
        policy.act(&camera_observation(64, 120)).expect("a chunk")
    }

    #[test]
    fn best_grade_is_the_cloned_policy_itself() {
        let checkpoints = checkpoints();
        let mut best = checkpoints.graded(NUM_GRADES - 1).expect("exists");
        assert_eq!(best.name(), "cloned:9");
        assert_eq!(act(&mut best), act(&mut checkpoints.cloned()));
    }

    #[test]
    fn all_grades_differ() {
        let checkpoints = checkpoints();
        let chunks: Vec<_> = (0..NUM_GRADES)
            .map(|grade| act(&mut checkpoints.graded(grade).expect("exists")))
            .collect();
        for (index, chunk) in chunks.iter().enumerate() {
            assert!(!chunks[..index].contains(chunk), "grade {index} repeats an earlier one");
        }
        assert!(checkpoints.graded(NUM_GRADES).is_none());
    }

    #[test]
    fn damaged_checkpoint_is_an_error() {
        assert!(ClonedCheckpoints::from_safetensors(&[], b"not weights", &Device::flex()).is_err());
    }
}
