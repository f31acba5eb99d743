//! Training of every network: those of the world model, and the behaviour-cloned policy.

mod cloned;

pub use worldloop_world_model_training::{
    Crop, Evaluation, FlowTimes, Objective, OptimizerConfig, Preparation, PreparationProgress, Recordings, RunFolder,
    StepRandom, Trainer, TrainerConfig, TrainingError, TrainingProgress, TrainingSummary, config, judge, read_config,
    vae, world,
};

pub use cloned::{ClonedObjective, ClonedTrainingConfig};
