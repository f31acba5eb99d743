//! What the whole network promises.

mod actions;
mod variants;

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{DType, Device, Distribution, Gradients, Tensor};

use super::{AdaLnModulation, Context, Dit, DitConfig, DitInput, DitRounding, FrameCondition};
use crate::layers::{cast_module, round_to};

const FRAMES: usize = 3;
const SIZE: [usize; 2] = [4, 6];

/// Clips of random latents, actions and times.
struct Clips {
    latents: Tensor<5>,
    actions: Tensor<3>,
    timesteps: Tensor<2>,
    condition: FrameCondition,
}

impl Clips {
    fn random(batch: usize, device: &Device) -> Self {
        let normal = Distribution::Normal(0.0, 1.0);
        Self {
            latents: Tensor::random([batch, 16, FRAMES, SIZE[0], SIZE[1]], normal, device),
            actions: Tensor::random([batch, 4 * (FRAMES - 1), 7], normal, device),
            timesteps: Tensor::random([batch, 1], Distribution::Uniform(0.0, 1000.0), device),
            condition: FrameCondition::first_frames(1, [batch, FRAMES, SIZE[0], SIZE[1]], device),
        }
    }

    fn one(&self, index: usize, device: &Device) -> Self {
        Self {
            latents: self.latents.clone().narrow(0, index, 1),
            actions: self.actions.clone().narrow(0, index, 1),
            timesteps: self.timesteps.clone().narrow(0, index, 1),
            condition: FrameCondition::first_frames(1, [1, FRAMES, SIZE[0], SIZE[1]], device),
        }
    }

    fn input<'a>(&'a self, context: &'a Context) -> DitInput<'a> {
        DitInput {
            action: Some(self.actions.clone()),
            ..DitInput::new(self.latents.clone(), self.timesteps.clone(), context, &self.condition)
        }
    }
}

fn text(batch: usize, device: &Device) -> Tensor<3> {
    Tensor::random([batch, 5, 40], Distribution::Normal(0.0, 1.0), device)
}

fn distance<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> f32 {
    (left - right).abs().max().into_scalar()
}

fn network(device: &Device) -> Dit {
    drawn_modulations(DitConfig::tiny().init(device))
}

/// Moves a network's modulations off their initial zeros.
fn drawn_modulations(mut dit: Dit) -> Dit {
    randomise(&mut dit.final_layer.adaln_modulation);
    for block in &mut dit.blocks {
        randomise(&mut block.adaln_modulation_self_attn);
        randomise(&mut block.adaln_modulation_cross_attn);
        randomise(&mut block.adaln_modulation_mlp);
    }
    dit
}

fn randomise(modulation: &mut AdaLnModulation) {
    let weight = modulation.linear_2.weight.val();
    modulation.linear_2.weight = Param::from_tensor(weight.random_like(Distribution::Normal(0.0, 0.3)));
}

#[test]
fn one_context_serves_a_batch() {
    let device = Device::flex();
    let dit = network(&device);
    let clips = Clips::random(2, &device);
    let text = text(1, &device);
    let shared = dit.project_context(text.clone());
    let each = dit.project_context(text.repeat_dim(0, 2));
    assert!(!shared.matches(&each), "contexts of one and of two clips differ");
    let distance = distance(dit.forward(&clips.input(&shared)), dit.forward(&clips.input(&each)));
    assert!(distance < 1e-5, "{distance}");
}

#[test]
fn equal_texts_give_matching_contexts() {
    let device = Device::flex();
    let dit = network(&device);
    let (first, second) = (text(1, &device), text(1, &device));
    assert!(
        dit.project_context(first.clone())
            .matches(&dit.project_context(first.clone()))
    );
    assert!(!dit.project_context(first).matches(&dit.project_context(second)));
}

#[test]
fn a_table_passed_in_is_the_one_that_would_be_built() {
    let device = Device::flex();
    let dit = network(&device);
    let clips = Clips::random(1, &device);
    let context = dit.project_context(text(1, &device));
    let rope = dit.rotary_table([FRAMES, SIZE[0], SIZE[1]], &device);
    let passed = dit.forward(&DitInput {
        rope: Some(&rope),
        ..clips.input(&context)
    });
    assert_eq!(distance(passed, dit.forward(&clips.input(&context))), 0.0);
}

#[test]
fn half_precision_stays_near_float32() {
    let device = Device::flex();
    let dit = network(&device);
    let clips = Clips::random(1, &device);
    let text = text(1, &device);
    let exact = dit.forward(&clips.input(&dit.project_context(text.clone())));
    let half = cast_module(dit, DType::BF16);
    let rounded = half.forward(&clips.input(&half.project_context(text)));
    assert_eq!(rounded.dtype(), DType::F32);
    let size: f32 = exact.clone().abs().mean().into_scalar();
    let distance: f32 = (exact - rounded).abs().mean().into_scalar();
    assert!(distance > 0.0 && distance < 0.02 * size, "{distance} of {size}");
}

#[test]
fn rounding_of_the_time_changes_half_precision_alone() {
    let device = Device::flex();
    let clips = Clips::random(1, &device);
    let text = text(1, &device);
    let base = network(&device);
    let velocity = |rounding: Option<DitRounding>, dtype: DType| {
        let mut dit = base.clone();
        let (rounds, first) = (rounding.is_some(), rounding == Some(DitRounding::TimeAndNorms));
        dit.t_embedder.rounds = rounds;
        dit.t_embedding_norm.rounds_first = first;
        dit.final_layer.adaln_modulation.rounds = rounds;
        for block in &mut dit.blocks {
            for modulation in [
                &mut block.adaln_modulation_self_attn,
                &mut block.adaln_modulation_cross_attn,
                &mut block.adaln_modulation_mlp,
            ] {
                modulation.rounds = rounds;
            }
            block.self_attn.q_norm.rounds_first = first;
            block.self_attn.k_norm.rounds_first = first;
        }
        let dit = cast_module(dit, dtype);
        dit.forward(&clips.input(&dit.project_context(text.clone())))
    };
    let [exact, half] = [DType::F32, DType::BF16].map(|dtype| velocity(None, dtype));
    for rounding in [DitRounding::Time, DitRounding::TimeAndNorms] {
        assert_eq!(
            distance(velocity(Some(rounding), DType::F32), exact.clone()),
            0.0,
            "{rounding:?}"
        );
        let rounded = velocity(Some(rounding), DType::BF16);
        assert_eq!(
            distance(round_to(rounded.clone(), DType::BF16), rounded.clone()),
            0.0,
            "{rounding:?}"
        );
        let size: f32 = half.clone().abs().max().into_scalar();
        let apart = distance(rounded, half.clone());
        assert!(apart > 0.0 && apart < 0.1 * size, "{rounding:?}: {apart} of {size}");
    }
}

#[test]
fn a_config_says_what_its_network_rounds() {
    let device = Device::flex();
    let rounds = |rounding| {
        let dit = DitConfig::tiny().with_rounding(rounding).init(&device);
        let block = &dit.blocks[0];
        (
            [
                dit.t_embedder.rounds,
                dit.final_layer.adaln_modulation.rounds,
                block.adaln_modulation_mlp.rounds,
            ],
            [
                dit.t_embedding_norm.rounds_first,
                block.self_attn.q_norm.rounds_first,
                block.cross_attn.k_norm.rounds_first,
            ],
        )
    };
    assert_eq!(rounds(None), ([false; 3], [false; 3]));
    assert_eq!(rounds(Some(DitRounding::Time)), ([true; 3], [false; 3]));
    assert_eq!(rounds(Some(DitRounding::TimeAndNorms)), ([true; 3], [true; 3]));
}

#[test]
#[should_panic(expected = "conditioned on actions, but there are none")]
fn an_action_network_needs_actions() {
    let device = Device::flex();
    let dit = network(&device);
    let clips = Clips::random(1, &device);
    let context = dit.project_context(text(1, &device));
    let _ = dit.forward(&DitInput {
        action: None,
        ..clips.input(&context)
    });
}

struct EveryGradient {
    gradients: Gradients,
    checked: usize,
}

impl ModuleVisitor for EveryGradient {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient = parameter
            .val()
            .grad(&self.gradients)
            .expect("every parameter takes part");
        let size: f32 = gradient.abs().max().into_scalar();
        assert!(size > 0.0 && size.is_finite(), "a gradient of {size}");
        self.checked += 1;
    }
}
