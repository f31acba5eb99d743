//! An expert that is worse in another way in each episode.

use rand::RngExt;
use worldloop_envs::seeding;
use worldloop_envs::{ActionChunk, EnvSpec, Observation};
use worldloop_policies::{ImperfectPolicy, Imperfections, Policy, PolicyError, ScriptedExpert};

/// Name in reports.
const NAME: &str = "imperfect";
/// Random stream of the kind and size of the imperfections.
const STREAM: u64 = 0x7661_7279;

/// The scripted expert with imperfections drawn from the seed: recordings of it hold near misses of many kinds.
#[derive(Debug, Default)]
pub(super) struct VariedExpert {
    episode: Option<ImperfectPolicy<ScriptedExpert>>,
}

impl Policy for VariedExpert {
    fn name(&self) -> &str {
        NAME
    }

    fn reset(&mut self, spec: &EnvSpec, seed: u64) -> Result<(), PolicyError> {
        let expert = ScriptedExpert::new();
        let mut policy = ImperfectPolicy::new(NAME, expert, draw(seed));
        policy.reset(spec, seed)?;
        self.episode = Some(policy);
        Ok(())
    }

    fn act(&mut self, observation: &Observation) -> Result<ActionChunk, PolicyError> {
        let before_reset = || PolicyError::NoAction {
            policy: NAME.to_owned(),
            why: "call `reset` first",
        };
        self.episode.as_mut().ok_or_else(before_reset)?.act(observation)
    }
}

fn draw(seed: u64) -> Imperfections {
    let mut rng = seeding::rng(seed, STREAM);
    let mut with_chance = |chance: f32| rng.random::<f32>() < chance;
    let (biased, late, failing) = (with_chance(0.4), with_chance(0.3), with_chance(0.15));
    Imperfections {
        noise: rng.random_range(0.1..0.8),
        bias: if biased {
            std::array::from_fn(|_| rng.random_range(-0.4..0.4))
        } else {
            [0.0; 3]
        },
        delay: if late { rng.random_range(1..4) } else { 0 },
        gripper_failure: f32::from(u8::from(failing)),
    }
}
