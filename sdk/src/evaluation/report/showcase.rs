//! Episodes that are shown: played again in both worlds from the same state with the same actions.

use image::RgbImage;
use worldloop_envs::{EnvError, Observation};

use super::super::journal::EpisodeRecord;
use crate::rollout::{World, replay};

/// An episode to show, with its frames in each world.
#[derive(Debug, Clone)]
pub struct Showcase {
    /// The episode; its actions were played in both worlds.
    pub record: EpisodeRecord,
    /// What the world model predicted; empty where there is none.
    pub predicted: Vec<RgbImage>,
    /// What the simulator showed; it ends where the simulator's episode ended.
    pub physics: Vec<RgbImage>,
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
    let episodes: Vec<_> = records
        .iter()
        .map(|record| (record.seed, record.actions.clone()))
        .collect();
    let play = |world: &World| -> Result<Vec<Vec<RgbImage>>, EnvError> {
        let chunk_length = match world {
            World::Physics { .. } => 8,
            World::Learned(parts) => parts.model.spec().chunk_length,
        };
        let seen = replay(&mut *world.batch(&task, records.len())?, &episodes, chunk_length)?;
        Ok(seen
            .into_iter()
            .map(|episode| episode.into_iter().filter_map(main_image).collect())
            .collect())
    };
    let predicted = learned.map_or_else(|| Ok(vec![Vec::new(); records.len()]), play)?;
    let shown = predicted.into_iter().zip(play(physics)?).zip(records);
    Ok(shown
        .map(|((predicted, physics), record)| Showcase {
            record: record.clone(),
            predicted,
            physics,
        })
        .collect())
}

/// Takes the third-person image of an observation, or else its only one.
fn main_image(mut observation: Observation) -> Option<RgbImage> {
    let main = observation.images.remove(worldloop_envs::physics::THIRD_PERSON);
    main.or_else(|| observation.images.into_values().next())
}
