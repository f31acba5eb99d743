//! The denoising loop with given frames.
//!
//! Source: `cosmos_predict2/_src/predict2/models/video2world_model_rectified_flow.py@50369b8` (`denoise`) and
//! `text2world_model_rectified_flow.py@50369b8` (`generate_samples_from_batch`).
//! Differs: the evaluation without condition is skipped where it has no effect.

use std::ops::ControlFlow;

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::guidance::GuidanceFormula;
use super::scheduler::SchedulerKind;
use super::sigmas::{SigmaSchedule, SigmaTable};

/// Which time the network is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkTime {
    /// `1000 * sigma`, truncated to an integer, as NVIDIA's pipelines do.
    #[default]
    Integer,
    /// `1000 * sigma`, as diffusers does up to the factor.
    Exact,
}

/// What latents flow from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowStart {
    /// Noise, as in every release.
    #[default]
    Noise,
    /// The last given frame, held still: only what changes has to flow. Clips without one start from noise.
    GivenFrame,
}

/// How latents are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplerConfig {
    /// Denoising steps.
    pub num_steps: usize,
    /// Table of sigmas.
    pub sigmas: SigmaTable,
    /// Scheduler.
    pub scheduler: SchedulerKind,
    /// What latents flow from.
    pub start: FlowStart,
    /// Strength of the guidance.
    pub guidance_scale: f64,
    /// What the strength means.
    pub guidance_formula: GuidanceFormula,
    /// Which time the network is given.
    pub network_time: NetworkTime,
    /// Time given to the network for given frames, in thousandths; none gives them the time of the others.
    pub conditional_frame_timestep: Option<f64>,
}

impl Default for SamplerConfig {
    /// 35 UniPC steps on the shift-5 table without guidance, as the released action-conditioned pipeline.
    fn default() -> Self {
        Self {
            num_steps: 35,
            sigmas: SigmaTable::default(),
            scheduler: SchedulerKind::default(),
            start: FlowStart::default(),
            guidance_scale: 0.0,
            guidance_formula: GuidanceFormula::default(),
            network_time: NetworkTime::default(),
            conditional_frame_timestep: None,
        }
    }
}

/// Frames that are given, not sampled.
#[derive(Debug, Clone)]
pub struct ConditionFrames {
    /// Clean latents, `[batch, channels, frames, height, width]`; only those of given frames matter.
    pub latents: Tensor<5>,
    /// Number of given frames per clip, at the start of every view.
    pub counts: Vec<usize>,
    /// Views of a clip, one after the other on the axis of frames.
    pub views: usize,
}

/// Which of the two evaluations of a guided step is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// With the prompt.
    Conditional,
    /// With the negative prompt, or none.
    Unconditional,
}

/// What happened in one denoising step.
#[derive(Debug)]
pub struct SamplerProgress<'a> {
    /// Index of the step, from 0.
    pub step: usize,
    /// How many steps there are.
    pub num_steps: usize,
    /// Velocity given to the scheduler.
    pub velocity: &'a Tensor<5>,
    /// Sample after the step.
    pub sample: &'a Tensor<5>,
}

/// Samples latents from noise.
///
/// `network` gets the latents with the given frames in place, the time per clip (`[batch, 1]`) or per frame
/// (`[batch, frames]`), and the branch; it answers with the velocity. `guided` says whether the two branches differ.
///
/// Given frames are not put back at the end: they keep `1 - first sigma` of their noise, as upstream.
/// Where `progress` breaks before the last step, the work ends with nothing.
///
/// # Shapes
/// - noise, output: `[batch, channels, frames, height, width]`
///
/// # Panics
/// If the number of counts is not the batch, or the frames are no whole number of views.
pub fn sample(
    config: &SamplerConfig,
    noise: Tensor<5>,
    condition: &ConditionFrames,
    guided: bool,
    mut network: impl FnMut(Tensor<5>, Tensor<2>, Branch) -> Tensor<5>,
    mut progress: impl FnMut(SamplerProgress<'_>) -> ControlFlow<()>,
) -> Option<Tensor<5>> {
    let mut scheduler = config.scheduler.start(config.sigmas.schedule(config.num_steps));
    let schedule = scheduler.schedule().clone();
    let guided = guided && !config.guidance_formula.is_neutral(config.guidance_scale);
    let noise = match config.start {
        FlowStart::Noise => noise,
        FlowStart::GivenFrame => condition.held_still(&noise),
    };
    let mask = condition.mask(&noise);
    let given = condition.latents.clone().mul(mask.clone());
    let given_velocity = noise.clone().sub(condition.latents.clone()).mul(mask.clone());
    let free = mask.mul_scalar(-1.0).add_scalar(1.0);

    let mut sample = noise;
    for step in 0..schedule.num_evaluations() {
        let input = sample.clone().mul(free.clone()).add(given.clone());
        let times = network_times(config, &schedule, step, condition, &sample);
        let mut velocity = network(input.clone(), times.clone(), Branch::Conditional);
        if guided {
            let unconditional = network(input, times, Branch::Unconditional);
            velocity = config
                .guidance_formula
                .combine(velocity, unconditional, config.guidance_scale);
        }
        let velocity = velocity.mul(free.clone()).add(given_velocity.clone());
        sample = scheduler.step(sample, velocity.clone());
        let num_steps = schedule.num_evaluations();
        let flow = progress(SamplerProgress {
            step,
            num_steps,
            velocity: &velocity,
            sample: &sample,
        });
        if flow.is_break() && step + 1 < num_steps {
            return None;
        }
    }
    Some(sample)
}

impl ConditionFrames {
    /// Returns 1 where a frame is given, `[batch, 1, frames, 1, 1]`.
    fn mask(&self, like: &Tensor<5>) -> Tensor<5> {
        let [batch, _, frames, _, _] = like.dims();
        assert_eq!(self.counts.len(), batch, "one count of given frames per clip is needed");
        let values: Vec<f32> = self.per_frame(frames, |given| if given { 1.0 } else { 0.0 });
        Tensor::from_data(TensorData::new(values, [batch, 1, frames, 1, 1]), &like.device())
    }

    /// Repeats the last given frame of each clip, or of each of its views, over its length; clips without one keep their
    /// noise.
    fn held_still(&self, noise: &Tensor<5>) -> Tensor<5> {
        let frames_per_view = noise.dims()[2] / self.views;
        let clips = self.counts.iter().enumerate().map(|(clip, count)| {
            let Some(last) = count.checked_sub(1) else {
                return noise.clone().narrow(0, clip, 1);
            };
            let latents = self.latents.clone().narrow(0, clip, 1);
            let view = |view: usize| {
                let given = latents.clone().narrow(2, view * frames_per_view + last, 1);
                given.repeat_dim(2, frames_per_view)
            };
            Tensor::cat((0..self.views).map(view).collect(), 2)
        });
        Tensor::cat(clips.collect(), 0)
    }

    fn per_frame(&self, frames: usize, value: impl Fn(bool) -> f32) -> Vec<f32> {
        assert!(
            self.views > 0 && frames.is_multiple_of(self.views),
            "{frames} frames are not {} equal views",
            self.views
        );
        let per_view = frames / self.views;
        self.counts
            .iter()
            .flat_map(|&count| (0..frames).map(move |frame| frame % per_view < count))
            .map(value)
            .collect()
    }
}

/// Returns the time for the network: per clip, or per frame where given frames have their own.
fn network_times(
    config: &SamplerConfig,
    schedule: &SigmaSchedule,
    step: usize,
    condition: &ConditionFrames,
    like: &Tensor<5>,
) -> Tensor<2> {
    let [batch, _, frames, _, _] = like.dims();
    let time = match config.network_time {
        NetworkTime::Integer => schedule.timesteps[step] as f32,
        NetworkTime::Exact => schedule.float_timesteps[step],
    };
    match config.conditional_frame_timestep {
        None => Tensor::full([batch, 1], time, &like.device()),
        Some(given_time) => {
            let values = condition.per_frame(frames, |given| if given { given_time as f32 } else { time });
            Tensor::from_data(TensorData::new(values, [batch, frames]), &like.device())
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    fn clip(device: &Device) -> (Tensor<5>, ConditionFrames) {
        let noise = Tensor::random([2, 3, 4, 2, 2], Distribution::Normal(0.0, 1.0), device);
        let latents = Tensor::random([2, 3, 4, 2, 2], Distribution::Normal(0.0, 1.0), device);
        (
            noise,
            ConditionFrames {
                latents,
                counts: vec![1, 2],
                views: 1,
            },
        )
    }

    fn sampled(
        config: &SamplerConfig,
        noise: Tensor<5>,
        condition: &ConditionFrames,
        network: impl FnMut(Tensor<5>, Tensor<2>, Branch) -> Tensor<5>,
    ) -> Tensor<5> {
        let all = sample(config, noise, condition, false, network, |_| ControlFlow::Continue(()));
        all.expect("nothing stops it")
    }

    #[test]
    fn given_frames_keep_a_share_of_noise() {
        let device = Device::flex();
        let (noise, condition) = clip(&device);
        let config = SamplerConfig {
            num_steps: 4,
            ..SamplerConfig::default()
        };
        let first_sigma = config.sigmas.schedule(4).sigmas[0];
        let network = |input: Tensor<5>, _: Tensor<2>, _: Branch| input;
        let sampled = sampled(&config, noise.clone(), &condition, network);
        let kept = noise
            .mul_scalar(1.0 - first_sigma)
            .add(condition.latents.mul_scalar(first_sigma));
        let tolerance = Tolerance::absolute(1e-5);
        sampled
            .narrow(2, 0, 1)
            .into_data()
            .assert_approx_eq::<f32>(&kept.narrow(2, 0, 1).into_data(), tolerance);
    }

    #[test]
    fn without_velocity_clips_that_flow_from_the_given_frame_hold_still() {
        let device = Device::flex();
        let (noise, mut condition) = clip(&device);
        condition.counts = vec![0, 2];
        let config = SamplerConfig {
            num_steps: 1,
            scheduler: SchedulerKind::Euler,
            start: FlowStart::GivenFrame,
            ..SamplerConfig::default()
        };
        let from = |condition: &ConditionFrames| {
            let network = |input: Tensor<5>, _: Tensor<2>, _: Branch| input.zeros_like();
            sampled(&config, noise.clone(), condition, network)
        };
        let frame = |clips: &Tensor<5>, clip: usize, frame: usize| {
            clips.clone().narrow(0, clip, 1).narrow(2, frame, 1).into_data()
        };
        let one_view = from(&condition);
        let last_given = frame(&condition.latents, 1, 1);
        assert_eq!(
            [2, 3].map(|place| frame(&one_view, 1, place)),
            [last_given.clone(), last_given]
        );
        assert_eq!(frame(&one_view, 0, 3), frame(&noise, 0, 3), "nothing was given");
        (condition.counts, condition.views) = (vec![1, 1], 2);
        let two_views = from(&condition);
        let given = [0, 2].map(|place| frame(&condition.latents, 1, place));
        assert_eq!([1, 3].map(|place| frame(&two_views, 1, place)), given);
    }

    #[test]
    fn neutral_guidance_evaluates_once() {
        let device = Device::flex();
        let (noise, condition) = clip(&device);
        let mut calls = 0;
        let config = SamplerConfig {
            num_steps: 3,
            ..SamplerConfig::default()
        };
        let network = |input: Tensor<5>, _: Tensor<2>, branch: Branch| {
            assert_eq!(branch, Branch::Conditional);
            calls += 1;
            input
        };
        sample(&config, noise, &condition, true, network, |_| ControlFlow::Continue(()));
        assert_eq!(calls, 3);
    }

    #[test]
    fn a_request_to_stop_is_heard_between_two_steps_and_too_late_after_the_last() {
        let device = Device::flex();
        let (noise, condition) = clip(&device);
        let config = SamplerConfig {
            num_steps: 4,
            ..SamplerConfig::default()
        };
        let num_steps = config
            .scheduler
            .start(config.sigmas.schedule(4))
            .schedule()
            .num_evaluations();
        let stopped_after = |last: usize| {
            let mut calls = 0;
            let network = |input: Tensor<5>, _: Tensor<2>, _: Branch| {
                calls += 1;
                input
            };
            let sampled = sample(&config, noise.clone(), &condition, false, network, |progress| {
                match progress.step == last {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            (calls, sampled.is_some())
        };
        assert_eq!(stopped_after(1), (2, false));
        assert_eq!(stopped_after(num_steps - 1), (num_steps, true));
    }

    #[test]
    fn given_frames_can_have_their_own_time() {
        let device = Device::flex();
        let (noise, condition) = clip(&device);
        let config = SamplerConfig {
            num_steps: 1,
            conditional_frame_timestep: Some(0.1),
            ..SamplerConfig::default()
        };
        let network = |input: Tensor<5>, times: Tensor<2>, _: Branch| {
            let expected = TensorData::from([[0.1f32, 999.0, 999.0, 999.0], [0.1, 0.1, 999.0, 999.0]]);
            times
                .into_data()
                .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
            input
        };
        sampled(&config, noise, &condition, network);
    }

    #[test]
    fn the_first_frames_of_every_view_are_given() {
        let device = Device::flex();
        let (noise, mut condition) = clip(&device);
        condition.views = 2;
        let mask: Vec<f32> = condition.mask(&noise).into_data().try_to_vec().expect("float32 data");
        assert_eq!(mask, [1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    }
}
