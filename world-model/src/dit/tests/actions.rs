//! What the network promises whichever way actions enter it.

use burn::module::Module;
use burn::tensor::Device;

use super::super::{ActionInjection, ConditioningConfig};
use super::{Clips, Dit, DitConfig, DitInput, EveryGradient, distance, drawn_modulations, text};

const WAYS: [Option<ActionInjection>; 3] = [
    None,
    Some(ActionInjection::CrossAttention),
    Some(ActionInjection::ChannelConcat { channels: 6 }),
];

fn network(injection: Option<ActionInjection>, device: &Device) -> Dit {
    let mut config = DitConfig::tiny();
    let action = config
        .conditioning
        .action
        .map(|action| action.with_injection(injection));
    config.conditioning = ConditioningConfig::new().with_action(action);
    drawn_modulations(config.init(device))
}

#[test]
fn other_actions_give_another_velocity() {
    let device = Device::flex();
    for injection in WAYS {
        let dit = network(injection, &device);
        let clips = Clips::random(1, &device);
        let context = dit.project_context(text(1, &device));
        let own = dit.forward(&clips.input(&context));
        let other = dit.forward(&DitInput {
            action: Some(clips.actions.clone().neg()),
            ..clips.input(&context)
        });
        assert!(distance(own, other) > 1e-3, "{injection:?}");
    }
}

#[test]
fn batch_equals_singles() {
    let device = Device::flex();
    for injection in WAYS {
        let dit = network(injection, &device);
        let clips = Clips::random(2, &device);
        let context = dit.project_context(text(1, &device));
        let together = dit.forward(&clips.input(&context));
        for index in 0..2 {
            let alone = dit.forward(&clips.one(index, &device).input(&context));
            assert_eq!(
                distance(together.clone().narrow(0, index, 1), alone),
                0.0,
                "{injection:?}"
            );
        }
    }
}

#[test]
fn every_parameter_gets_a_gradient() {
    let device = Device::flex().autodiff();
    for injection in WAYS {
        let dit = network(injection, &device);
        let clips = Clips::random(2, &device);
        let context = dit.project_context(text(1, &device));
        let gradients = dit.forward(&clips.input(&context)).square().mean().backward();
        let mut check = EveryGradient { gradients, checked: 0 };
        dit.visit(&mut check);
        assert!(check.checked > 40, "{} parameters", check.checked);
    }
}
