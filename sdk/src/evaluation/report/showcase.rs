//! Episodes that are shown: played again in both worlds from the same state with the same actions.

use image::RgbImage;
use worldloop_envs::physics::THIRD_PERSON;
use worldloop_envs::{EnvError, Observation};

use super::super::journal::EpisodeRecord;
use crate::rollout::{Replayed, World, replay};

/// An episode to show, with what came of its actions in each world.
#[derive(Debug, Clone)]
pub struct Showcase {
    /// The episode; its actions were played in both worlds.
    pub record: EpisodeRecord,
    /// In the learned world, if there is one.
    pub predicted: Option<Replayed>,
    /// In the simulator; it ends where the simulator's episode ended.
    pub physics: Replayed,
}

impl Showcase {
    /// Returns the predicted images; empty where there is no learned world.
    pub fn predicted_images(&self) -> Vec<RgbImage> {
        self.predicted.as_ref().map_or_else(Vec::new, main_images)
    }

    /// Returns the simulator's images.
    pub fn physics_images(&self) -> Vec<RgbImage> {
        main_images(&self.physics)
    }
}

/// Chooses up to `count` successes and as many failures, from as many policies as possible.
///
/// Episodes of the learned world are taken where there are any, else those of the physics world.
pub fn choose_showcases(records: &[EpisodeRecord], count: usize) -> Vec<EpisodeRecord> {
    let world = if records.iter().any(|record| record.world == "learned") {
        "learned"
    } else {
        "physics"
    };
    let choose = |success: bool| {
        let mut chosen: Vec<&EpisodeRecord> = Vec::new();
        let candidates = || {
            records
                .iter()
                .filter(|record| record.world == world && record.success == success)
        };
        let times =
            |chosen: &[&EpisodeRecord], policy: &str| chosen.iter().filter(|each| each.policy == policy).count();
        for round in 0..count {
            for candidate in candidates() {
                let fresh = !chosen.contains(&candidate) && times(&chosen, &candidate.policy) <= round;
                if chosen.len() < count && fresh {
                    chosen.push(candidate);
                }
            }
        }
        chosen
    };
    choose(true).into_iter().chain(choose(false)).cloned().collect()
}

/// Plays episodes again in the simulator, and in the learned world if there is one.
///
/// # Errors
/// Those of the envs.
pub fn replay_showcases(
    records: &[EpisodeRecord],
    physics: &World,
    learned: Option<&World>,
) -> Result<Vec<Showcase>, EnvError> {
    let Some(task) = records.first().map(|record| record.task.clone()) else {
        return Ok(Vec::new());
    };
    let episodes: Vec<_> = records.iter().map(|each| (each.seed, each.actions.clone())).collect();
    let play = |world: &World| {
        let chunk_length = match world {
            World::Physics { .. } => 8,
            World::Learned(parts) => parts.model.spec().chunk_length,
        };
        replay(&mut *world.batch(&task, records.len())?, &episodes, chunk_length)
    };
    let predicted = match learned {
        Some(world) => play(world)?.into_iter().map(Some).collect(),
        None => vec![None; records.len()],
    };
    let played = predicted.into_iter().zip(play(physics)?).zip(records);
    let showcase = |((predicted, physics), record): (_, &EpisodeRecord)| Showcase {
        record: record.clone(),
        predicted,
        physics,
    };
    Ok(played.map(showcase).collect())
}

/// Takes the third-person images, or else those of the only camera.
fn main_images(replayed: &Replayed) -> Vec<RgbImage> {
    let main = |observation: &Observation| {
        let images = &observation.images;
        images.get(THIRD_PERSON).or_else(|| images.values().next()).cloned()
    };
    replayed.observations().filter_map(main).collect()
}
