//! A learned env at one moment.

use worldloop_world_model::WorldModelSpec;

use super::episode::Episode;
use crate::seeding::Rng;

/// Everything that decides how an env goes on: its episode and its random sequence.
///
/// It is plain data: clone it, keep it, and restore it as often as needed into any env of the same world.
#[derive(Debug, Clone)]
pub struct EnvSnapshot {
    /// Spec of the world model that the episode runs in.
    pub(super) model: WorldModelSpec,
    pub(super) episode: Option<Episode>,
    pub(super) seeds: Rng,
}
