//! Larger networks that answer as a smaller one does, so that a training need not begin again.

use std::collections::HashMap;

use burn::tensor::Device;
use worldloop_world_model::dit::{Dit, DitConfig};

use crate::parameters::{Parameter, Parameters, Which};

/// Matrices by which a block adds to its tokens; without them it changes nothing.
const ADDING: [&str; 3] = [
    "self_attn.output_proj.weight",
    "cross_attn.output_proj.weight",
    "mlp.layer2.weight",
];

/// Builds a network of the given sizes, which has more blocks, more values per action, a map of actions, or all of them.
///
/// Behind each block of `after` stands a copy of it that changes nothing yet, nothing yet depends on the new values of an
/// action, and a fresh map adds nothing.
///
/// # Panics
/// If the sizes are not those of `small` with one block more for each of `after`.
pub(crate) fn grow(small: &Dit, sizes: &DitConfig, after: &[usize], device: &Device) -> Dit {
    let known = Parameters::collect(small).0;
    let known: HashMap<&str, &Parameter> = known.iter().map(|each| (each.path.as_str(), each)).collect();
    let network = sizes.init(device);
    let mut grown = Parameters::collect(&network);
    let origins = origins(sizes.num_blocks - after.len(), after);
    for parameter in &mut grown.0 {
        let (path, is_new) = origin(&parameter.path, &origins);
        // What the small network has nothing of adds nothing yet.
        let Some(source) = known.get(path.as_str()) else {
            continue;
        };
        parameter.weights = if is_new && ADDING.iter().any(|adding| path.ends_with(adding)) {
            vec![0.0; source.weights.len()]
        } else if source.shape == parameter.shape {
            source.weights.clone()
        } else {
            with_more_rows(source, parameter, sizes)
        };
    }
    grown.install(network, Which::Latest)
}

/// Lists for each block which one of the small network it comes from, and whether it is new.
fn origins(small_blocks: usize, after: &[usize]) -> Vec<(usize, bool)> {
    let copies = |block: usize| {
        after
            .iter()
            .filter(move |&&each| each == block)
            .map(|&block| (block, true))
    };
    (0..small_blocks)
        .flat_map(|block| std::iter::once((block, false)).chain(copies(block)))
        .collect()
}

/// Returns the path of the parameter that a parameter comes from, and whether its block is new.
fn origin(path: &str, origins: &[(usize, bool)]) -> (String, bool) {
    let block = path.strip_prefix("blocks.").and_then(|rest| rest.split_once('.'));
    match block.and_then(|(index, rest)| Some((index.parse::<usize>().ok()?, rest))) {
        Some((index, rest)) => {
            let (origin, is_new) = origins[index];
            (format!("blocks.{origin}.{rest}"), is_new)
        }
        None => (path.to_owned(), false),
    }
}

/// Spreads the rows of a matrix that sees several actions, and puts zeros where the new values of each will be.
fn with_more_rows(source: &Parameter, wanted: &Parameter, sizes: &DitConfig) -> Vec<f32> {
    let action_dim = sizes.conditioning.action.as_ref().map_or(0, |action| action.action_dim);
    let (columns, actions) = (source.shape[1], wanted.shape[0] / action_dim);
    let of_action = source.weights.len() / actions;
    let mut weights = Vec::with_capacity(wanted.weights.len());
    for action in source.weights.chunks_exact(of_action) {
        weights.extend_from_slice(action);
        weights.resize(weights.len() + action_dim * columns - of_action, 0.0);
    }
    weights
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tensor, Tolerance};
    use worldloop_world_model::dit::{ActionMapConfig, DitInput, FrameCondition};

    use super::*;

    #[test]
    fn a_grown_network_answers_as_the_small_one() {
        let device = Device::flex();
        let small_sizes = DitConfig::tiny();
        let small = shaken(small_sizes.init(&device));
        let mut sizes = small_sizes;
        sizes.num_blocks = 5;
        let action = sizes.conditioning.action.as_mut().expect("it takes actions");
        action.action_dim = 9;
        action.map = Some(ActionMapConfig::new(4, 6, 3));
        let grown = grow(&small, &sizes, &[0, 1, 1], &device);

        let actions = Tensor::<3>::random([1, 8, 9], Distribution::Default, &device);
        let latents = Tensor::<5>::random([1, 16, 3, 4, 4], Distribution::Default, &device);
        let answer = |network: &Dit, actions: Tensor<3>| {
            let text = Tensor::random([1, 2, 40], Distribution::Uniform(0.5, 0.500_001), &device);
            network
                .forward(&DitInput {
                    action: Some(actions),
                    ..DitInput::new(
                        latents.clone(),
                        Tensor::full([1, 1], 700.0, &device),
                        &network.project_context(text),
                        &FrameCondition::first_frames(1, [1, 3, 4, 4], &device),
                    )
                })
                .into_data()
        };
        let expected = answer(&small, actions.clone().narrow(2, 0, 7));
        answer(&grown, actions.clone()).assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-4));
        let other = answer(&small, actions.narrow(2, 1, 7));
        assert!(other != expected, "it reacts to actions");
    }

    /// Moves every weight off its initial value: a fresh transformer answers zero.
    fn shaken(network: Dit) -> Dit {
        let mut parameters = Parameters::collect(&network);
        for (place, parameter) in parameters.0.iter_mut().enumerate() {
            for (index, weight) in parameter.weights.iter_mut().enumerate() {
                *weight += ((place * 31 + index * 17) % 101) as f32 / 1000.0 - 0.05;
            }
        }
        parameters.install(network, Which::Latest)
    }

    #[test]
    fn copies_stand_behind_their_blocks() {
        let expected = [(0, false), (1, false), (1, true), (1, true), (2, false), (2, true)];
        assert_eq!(origins(3, &[1, 2, 1]), expected);
        assert_eq!(
            origin("blocks.3.mlp.layer1.weight", &expected),
            ("blocks.1.mlp.layer1.weight".into(), true)
        );
        assert_eq!(
            origin("x_embedder.proj.weight", &expected),
            ("x_embedder.proj.weight".into(), false)
        );
    }
}
