//! Rectified flow, independent of any network: noise, sigma tables, schedulers, guidance and the sampling loop.
//!
//! The path is `sample = (1 - sigma) * clean + sigma * noise`, the network predicts `velocity = noise - clean`.

mod euler;
mod flow;
mod guidance;
mod noise;
mod sampler;
mod scheduler;
mod sigmas;
mod trigflow;
mod unipc;

pub use euler::Euler;
pub use flow::{add_noise, clean_from_velocity, noise_from_velocity, velocity};
pub use guidance::GuidanceFormula;
pub use noise::NumpyRandom;
pub use sampler::{Branch, ConditionFrames, FlowStart, NetworkTime, SamplerConfig, SamplerProgress, sample};
pub use scheduler::{Scheduler, SchedulerKind};
pub use sigmas::{SigmaSchedule, SigmaTable};
pub use trigflow::{TrigFlow, TrigFlowCoefficients, TrigFlowRounding, TrigFlowStep};
pub use unipc::UniPc;
