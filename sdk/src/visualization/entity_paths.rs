//! Names of what is logged.

/// Timeline over all frames of all episodes.
pub(super) const FRAME: &str = "frame";
/// Timeline over the frames of one episode.
pub(super) const STEP: &str = "step";
/// What the episode is.
pub(super) const EPISODE: &str = "episode";
/// Root of the actions, one entity per value.
pub(super) const ACTION: &str = "action";
/// Root of the rewards, one entity per world.
pub(super) const REWARD: &str = "reward";
/// Root of the progress, one entity per world.
pub(super) const PROGRESS: &str = "progress";
/// The learned world.
pub(super) const LEARNED: &str = "learned";
/// The physics world.
pub(super) const PHYSICS: &str = "physics";

/// Returns the path of a camera image of a world.
pub(super) fn image(world: &str, camera: &str) -> String {
    format!("{world}/{camera}")
}

/// Returns the path of a number under a root.
pub(super) fn number(root: &str, name: &str) -> String {
    format!("{root}/{name}")
}
