//! Judging frames: success and progress, for worlds that have no ground truth.

mod judgement;

pub use judgement::{Judge, JudgeError, JudgeRequest, Judgement};
