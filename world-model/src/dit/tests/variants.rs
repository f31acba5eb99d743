//! What the network promises with views, with cameras, and as a stream.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution, Tensor};

use super::super::{CameraConfig, CausalState, ConditioningConfig, Context, ViewsConfig};
use super::{Dit, DitConfig, DitInput, EveryGradient, FrameCondition, distance, drawn_modulations};

/// Two views of two latent frames of 2x3 tokens.
const FRAMES: usize = 4;
const SIZE: [usize; 2] = [4, 6];
const RAYS: usize = 24;

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Draws the layers that start at zero.
fn drawn(dit: Dit) -> Dit {
    let mut dit = drawn_modulations(dit);
    let draw = |weight: &mut Param<Tensor<2>>| {
        *weight = Param::from_tensor(weight.val().random_like(Distribution::Normal(0.0, 0.3)));
    };
    for block in &mut dit.blocks {
        if let Some(cross_view) = &mut block.cross_view {
            draw(&mut cross_view.attention.output_proj.weight);
        }
    }
    if let Some(views) = &mut dit.conditioning.views
        && let Some(modulation) = &mut views.modulation
    {
        draw(&mut modulation.proj.weight);
    }
    dit
}

/// A network with every part that views and cameras can add.
fn network(device: &Device) -> Dit {
    let views = ViewsConfig::new(2, 3)
        .with_view_condition_dim(Some(5))
        .with_adaln_view_embedding(true)
        .with_cross_view_attn_map(Some(vec![vec![1, 2], vec![0, 2], vec![0]]));
    let camera = CameraConfig::new().with_camera_channels(RAYS);
    let conditioning = ConditioningConfig::new()
        .with_views(Some(views))
        .with_camera(Some(camera));
    drawn(DitConfig::tiny().with_conditioning(conditioning).init(device))
}

/// Clips of two views, with rays.
struct Clips {
    latents: Tensor<5>,
    camera: Tensor<5>,
    timesteps: Tensor<2>,
    condition: FrameCondition,
}

impl Clips {
    fn random(batch: usize, device: &Device) -> Self {
        Self {
            latents: random([batch, 16, FRAMES, SIZE[0], SIZE[1]], device),
            camera: random([batch, FRAMES, SIZE[0] / 2, SIZE[1] / 2, RAYS], device),
            timesteps: Tensor::full([batch, 1], 400.0, device),
            condition: FrameCondition::first_frames(1, [batch, FRAMES, SIZE[0], SIZE[1]], device),
        }
    }

    fn one(&self, index: usize) -> Self {
        Self {
            latents: self.latents.clone().narrow(0, index, 1),
            camera: self.camera.clone().narrow(0, index, 1),
            timesteps: self.timesteps.clone().narrow(0, index, 1),
            condition: FrameCondition::from_mask(self.condition.mask().narrow(0, index, 1)),
        }
    }

    fn input<'a>(&'a self, context: &'a Context, view_ids: &'a [Vec<usize>]) -> DitInput<'a> {
        DitInput {
            view_ids: Some(view_ids),
            camera: Some(self.camera.clone()),
            ..DitInput::new(self.latents.clone(), self.timesteps.clone(), context, &self.condition)
        }
    }
}

#[test]
fn every_clip_of_a_batch_may_have_its_own_cameras() {
    let device = Device::flex();
    let dit = network(&device);
    let clips = Clips::random(2, &device);
    let context = dit.project_context(random([1, 6, 40], &device));
    let view_ids = [vec![0, 2], vec![1, 2]];
    let together = dit.forward(&clips.input(&context, &view_ids));
    for (index, ids) in view_ids.iter().enumerate() {
        let alone = dit.forward(&clips.one(index).input(&context, std::slice::from_ref(ids)));
        let distance = distance(together.clone().narrow(0, index, 1), alone);
        assert!(distance < 1e-5, "{distance}");
    }
}

#[test]
fn each_view_reads_its_own_text() {
    let device = Device::flex();
    let conditioning = ConditioningConfig::new().with_views(Some(
        // No view attends to another one.
        ViewsConfig::new(2, 2).with_cross_view_attn_map(Some(vec![vec![], vec![]])),
    ));
    let dit = drawn(DitConfig::tiny().with_conditioning(conditioning).init(&device));
    let clips = Clips::random(1, &device);
    let texts = [(); 3].map(|()| random([1, 4, 40], &device));
    let forward = |first: &Tensor<3>, second: &Tensor<3>| {
        let context = dit.project_context(Tensor::cat(vec![first.clone(), second.clone()], 1));
        dit.forward(&DitInput::new(
            clips.latents.clone(),
            clips.timesteps.clone(),
            &context,
            &clips.condition,
        ))
    };
    let (one, other) = (forward(&texts[0], &texts[1]), forward(&texts[0], &texts[2]));
    let view = |latents: &Tensor<5>, index: usize| latents.clone().narrow(2, 2 * index, 2);
    assert_eq!(distance(view(&one, 0), view(&other, 0)), 0.0);
    assert!(distance(view(&one, 1), view(&other, 1)) > 1e-3);
}

#[test]
fn every_parameter_of_views_and_cameras_gets_a_gradient() {
    let device = Device::flex().autodiff();
    let dit = network(&device);
    let clips = Clips::random(2, &device);
    let context = dit.project_context(random([1, 6, 40], &device));
    let output = dit.forward(&clips.input(&context, &[vec![0, 1]]));
    let gradients = output.square().mean().backward();
    let mut check = EveryGradient { gradients, checked: 0 };
    dit.visit(&mut check);
    assert!(check.checked > 60, "{} parameters", check.checked);
}

#[test]
#[should_panic(expected = "conditioned on cameras, but there are none")]
fn a_camera_network_needs_rays() {
    let device = Device::flex();
    let dit = network(&device);
    let clips = Clips::random(1, &device);
    let context = dit.project_context(random([1, 6, 40], &device));
    let _ = dit.forward(&DitInput {
        camera: None,
        ..clips.input(&context, &[vec![0, 1]])
    });
}

/// A network of text alone, and the frames of a clip for it.
fn streamed(device: &Device) -> (Dit, Vec<Tensor<5>>) {
    let config = DitConfig::tiny().with_conditioning(ConditioningConfig::new());
    let frames = (0..3).map(|_| random([1, 16, 1, SIZE[0], SIZE[1]], device));
    (drawn(config.init(device)), frames.collect())
}

/// Evaluates frames one after the other, and returns the velocity of the last one.
fn last_velocity(dit: &Dit, context: &Context, frames: &[Tensor<5>], window: Option<usize>) -> Tensor<5> {
    let device = frames[0].device();
    let condition = FrameCondition::first_frames(0, [1, 1, SIZE[0], SIZE[1]], &device);
    let mut state = CausalState::new(window);
    let mut velocity = None;
    for frame in frames {
        let timesteps = Tensor::full([1, 1], 300.0, &device);
        let evaluated = dit.forward_frame(&DitInput::new(frame.clone(), timesteps, context, &condition), &state);
        state.store(evaluated.key_values);
        velocity = Some(evaluated.velocity);
    }
    assert_eq!(state.next_frame(), frames.len());
    velocity.expect("at least one frame")
}

#[test]
fn a_stream_of_one_frame_is_a_clip_of_one_frame() {
    let device = Device::flex();
    let (dit, frames) = streamed(&device);
    let context = dit.project_context(random([1, 5, 40], &device));
    let condition = FrameCondition::first_frames(0, [1, 1, SIZE[0], SIZE[1]], &device);
    let timesteps = Tensor::full([1, 1], 300.0, &device);
    let clip = dit.forward(&DitInput::new(frames[0].clone(), timesteps, &context, &condition));
    assert_eq!(distance(clip, last_velocity(&dit, &context, &frames[..1], None)), 0.0);
}

#[test]
fn a_frame_sees_as_many_earlier_ones_as_the_window_holds() {
    let device = Device::flex();
    let (dit, frames) = streamed(&device);
    let context = dit.project_context(random([1, 5, 40], &device));
    let mut others = frames.clone();
    others[0] = random([1, 16, 1, SIZE[0], SIZE[1]], &device);
    let last = |window: Option<usize>, frames: &[Tensor<5>]| last_velocity(&dit, &context, frames, window);
    assert_eq!(distance(last(Some(0), &frames), last(Some(0), &others)), 0.0);
    assert!(distance(last(Some(2), &frames), last(Some(2), &others)) > 1e-4);
    assert_eq!(distance(last(Some(2), &frames), last(None, &frames)), 0.0);
}
