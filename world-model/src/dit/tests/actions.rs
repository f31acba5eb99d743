//! What the network promises whichever way actions enter it.

use burn::module::{Module, Param};
use burn::tensor::{Device, Distribution};

use super::super::{ActionInjection, ActionMapConfig, ConditioningConfig};
use super::{Clips, Dit, DitConfig, DitInput, EveryGradient, SIZE, distance, drawn_modulations, text};

const MAP: ActionMapConfig = ActionMapConfig {
    tokens: (SIZE[0] / 2) * (SIZE[1] / 2),
    hidden: 6,
    rank: 3,
};

const WAYS: [(Option<ActionInjection>, Option<ActionMapConfig>); 4] = [
    (None, None),
    (None, Some(MAP)),
    (Some(ActionInjection::CrossAttention), None),
    (Some(ActionInjection::ChannelConcat { channels: 6 }), None),
];

fn network((injection, map): (Option<ActionInjection>, Option<ActionMapConfig>), device: &Device) -> Dit {
    let mut config = DitConfig::tiny();
    let action = config
        .conditioning
        .action
        .map(|action| action.with_injection(injection).with_map(map));
    config.conditioning = ConditioningConfig::new().with_action(action);
    let mut dit = drawn_modulations(config.init(device));
    if let Some(map) = &mut dit.conditioning.action_map {
        let weight = map.projection.weight.val();
        map.projection.weight = Param::from_tensor(weight.random_like(Distribution::Normal(0.0, 0.3)));
    }
    dit
}

#[test]
fn a_map_tells_the_places_of_a_frame_apart() {
    let device = Device::flex();
    let dit = network((None, Some(MAP)), &device);
    let mut clips = Clips::random(1, &device);
    clips.latents = clips.latents.zeros_like();
    let context = dit.project_context(text(1, &device));
    let tokens = dit.embed(&clips.input(&context));
    let [_, frames, tokens_of_frame, _] = tokens.dims();
    let place = |frame: usize, token: usize| tokens.clone().narrow(1, frame, 1).narrow(2, token, 1);
    let difference = |frame: usize| {
        (1..tokens_of_frame)
            .map(|token| (place(frame, token) - place(frame, 0)).abs().max().into_scalar::<f32>())
            .fold(0.0, f32::max)
    };
    assert_eq!(difference(0), 0.0, "the given frame has no map");
    assert!(difference(frames - 1) > 0.1, "{}", difference(frames - 1));
}

#[test]
fn other_actions_give_another_velocity() {
    let device = Device::flex();
    for way in WAYS {
        let dit = network(way, &device);
        let clips = Clips::random(1, &device);
        let context = dit.project_context(text(1, &device));
        let own = dit.forward(&clips.input(&context));
        let other = dit.forward(&DitInput {
            action: Some(clips.actions.clone().neg()),
            ..clips.input(&context)
        });
        assert!(distance(own, other) > 1e-3, "{way:?}");
    }
}

#[test]
fn batch_equals_singles() {
    let device = Device::flex();
    for way in WAYS {
        let dit = network(way, &device);
        let clips = Clips::random(2, &device);
        let context = dit.project_context(text(1, &device));
        let together = dit.forward(&clips.input(&context));
        for index in 0..2 {
            let alone = dit.forward(&clips.one(index, &device).input(&context));
            assert_eq!(distance(together.clone().narrow(0, index, 1), alone), 0.0, "{way:?}");
        }
    }
}

#[test]
fn every_parameter_gets_a_gradient() {
    let device = Device::flex().autodiff();
    for way in WAYS {
        let dit = network(way, &device);
        let clips = Clips::random(2, &device);
        let context = dit.project_context(text(1, &device));
        let gradients = dit.forward(&clips.input(&context)).square().mean().backward();
        let mut check = EveryGradient { gradients, checked: 0 };
        dit.visit(&mut check);
        assert!(check.checked > 40, "{} parameters", check.checked);
    }
}
