//! Episodes in a Rerun recording (feature `rerun`).
//!
//! All episodes stand one after the other on the timeline `frame`: the predicted image beside the simulator's, reward and
//! progress of both worlds, and the actions. Open the file with `rerun FILE`.

mod blueprint;
mod entity_paths;
mod error;
mod recording;

pub use error::VisualizationError;
pub use recording::RerunRecording;
