//! Judging frames: success and progress, for worlds that have no ground truth.

mod frame_judge;
mod judgement;
mod network;

pub use frame_judge::{FrameJudge, JudgeWeightsError};
pub use judgement::{Judge, JudgeError, JudgeRequest, Judgement};
pub use network::{JudgeNetwork, JudgeNetworkConfig};
