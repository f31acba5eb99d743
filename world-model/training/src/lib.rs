//! Training of Worldloop's networks: flow matching, EMA, exact resume.
//!
//! An [`Objective`] is a network and its loss on a step's batch; a [`Trainer`] takes it through AdamW with clipping, a
//! learning-rate schedule and a power average of the weights. Everything random depends on the seed and the step, so a
//! resumed training is the same to the last bit as one that was never stopped.

mod chunk_input;
pub mod config;
mod error;
mod flow_time;
mod frame_pool;
mod growth;
mod image_error;
mod initial_weights;
pub mod judge;
mod judge_scores;
mod kept_latents;
mod latents;
mod lettering;
mod loss_curve;
mod loss_weights;
mod muon;
mod objective;
mod parameters;
mod picture;
mod poses;
mod predicted_contexts;
mod predicted_frames;
mod preparation;
mod random;
mod recordings;
mod resume;
mod run_folder;
mod schedule;
mod traces;
mod trainer;
pub mod vae;
mod validation;
pub mod world;

#[cfg(test)]
mod objective_tests;
#[cfg(test)]
mod tests;

pub use config::{MatrixUpdate, OptimizerConfig, Products, TrainerConfig, read_config};
pub use error::TrainingError;
pub use flow_time::FlowTimes;
pub use objective::{Evaluation, Objective};
pub use preparation::{Preparation, PreparationProgress};
pub use random::StepRandom;
pub use recordings::{Crop, Recordings};
pub use run_folder::RunFolder;
pub use traces::{Trace, draw_traces};
pub use trainer::{Trainer, TrainingProgress, TrainingSummary};
