//! The operations as an extension of Burn's CPU backend, with gradients.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, backend_extension};

use super::flex::{self, Heads, QueryKeyValue};
use crate::layers::precision::products_are_rounded;

/// Operations that Burn would run as many.
#[backend_extension(Flex, Autodiff)]
pub(super) trait FusedOps: Backend {
    /// `x Φ(x)`.
    fn fused_gelu(input: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Layer norm, scale and shift, by vectors per frame.
    fn fused_modulate(
        tokens: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// Addition weighted by a vector per frame.
    fn fused_gated_add(
        tokens: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        added: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// Root-mean-square norm of heads.
    fn fused_norm(heads: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self>;

    /// Root-mean-square norm of heads, then rotation by phases.
    fn fused_norm_rotate(
        heads: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self>;

    /// Product of rows and a weight, factors rounded to bfloat16.
    fn fused_product(rows: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Attention without a mask, `[batch, tokens, heads, head_dim]` each.
    fn fused_attention(query: FloatTensor<Self>, key: FloatTensor<Self>, value: FloatTensor<Self>)
    -> FloatTensor<Self>;
}

impl FusedOps for Flex {
    fn fused_gelu(input: FlexTensor) -> FlexTensor {
        flex::gelu(input)
    }

    fn fused_modulate(tokens: FlexTensor, shift: FlexTensor, scale: FlexTensor, epsilon: f32) -> FlexTensor {
        flex::modulate(&tokens, &shift, &scale, epsilon)
    }

    fn fused_gated_add(tokens: FlexTensor, gate: FlexTensor, added: FlexTensor) -> FlexTensor {
        flex::gated_add(tokens, &gate, &added)
    }

    fn fused_norm(heads: FlexTensor, weight: FlexTensor, epsilon: f32) -> FlexTensor {
        Heads {
            heads,
            weight,
            phases: None,
            epsilon,
        }
        .normed()
    }

    fn fused_norm_rotate(
        heads: FlexTensor,
        weight: FlexTensor,
        cos: FlexTensor,
        sin: FlexTensor,
        epsilon: f32,
    ) -> FlexTensor {
        Heads {
            heads,
            weight,
            phases: Some((cos, sin)),
            epsilon,
        }
        .normed()
    }

    fn fused_product(rows: FlexTensor, weight: FlexTensor) -> FlexTensor {
        flex::product(&rows, &weight)
    }

    fn fused_attention(query: FlexTensor, key: FlexTensor, value: FlexTensor) -> FlexTensor {
        let rounded = products_are_rounded();
        QueryKeyValue {
            query,
            key,
            value,
            rounded,
        }
        .attended_in_parts()
    }
}

#[derive(Debug)]
struct Gelu;
#[derive(Debug)]
struct Modulate;
#[derive(Debug)]
struct GatedAdd;
#[derive(Debug)]
struct Norm;
#[derive(Debug)]
struct Product;
#[derive(Debug)]
struct Attention;

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn fused_gelu(input: FloatTensor<Self>) -> FloatTensor<Self> {
        let (input, node) = input.into_parts();
        match Gelu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(input.clone(), flex::gelu(input)),
            OpsKind::UnTracked(prep) => prep.finish(flex::gelu(input)),
        }
    }

    fn fused_modulate(
        tokens: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        let ((tokens, node), (shift, shift_node), (scale, scale_node)) =
            (tokens.into_parts(), shift.into_parts(), scale.into_parts());
        let output = flex::modulate(&tokens, &shift, &scale, epsilon);
        match Modulate
            .prepare::<C>([node, shift_node, scale_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((tokens, scale, epsilon), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn fused_gated_add(
        tokens: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        added: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let ((tokens, node), (gate, gate_node), (added, added_node)) =
            (tokens.into_parts(), gate.into_parts(), added.into_parts());
        let output = flex::gated_add(tokens, &gate, &added);
        match GatedAdd
            .prepare::<C>([node, gate_node, added_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((gate, added), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn fused_norm(heads: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f32) -> FloatTensor<Self> {
        tracked_norm::<C>(heads, weight, None, epsilon)
    }

    fn fused_norm_rotate(
        heads: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        tracked_norm::<C>(
            heads,
            weight,
            Some((cos.into_primitive(), sin.into_primitive())),
            epsilon,
        )
    }

    fn fused_product(rows: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let ((rows, node), (weight, weight_node)) = (rows.into_parts(), weight.into_parts());
        let output = flex::product(&rows, &weight);
        match Product.prepare::<C>([node, weight_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((rows, weight), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn fused_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let ((query, query_node), (key, key_node), (value, value_node)) =
            (query.into_parts(), key.into_parts(), value.into_parts());
        let operands = QueryKeyValue {
            query,
            key,
            value,
            rounded: products_are_rounded(),
        };
        match Attention
            .prepare::<C>([query_node, key_node, value_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let (output, probabilities) = operands.attended();
                prep.finish((operands, probabilities), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(operands.attended_in_parts()),
        }
    }
}

fn tracked_norm<C: CheckpointStrategy>(
    heads: FloatTensor<Autodiff<Flex, C>>,
    weight: FloatTensor<Autodiff<Flex, C>>,
    phases: Option<(FlexTensor, FlexTensor)>,
    epsilon: f32,
) -> FloatTensor<Autodiff<Flex, C>> {
    let ((heads, node), (weight, weight_node)) = (heads.into_parts(), weight.into_parts());
    let operands = Heads {
        heads,
        weight,
        phases,
        epsilon,
    };
    let output = operands.normed();
    match Norm.prepare::<C>([node, weight_node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(operands, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

/// Hands gradients to those parents that want them.
fn register<S, const N: usize>(ops: Ops<S, N>, values: [FlexTensor; N], gradients: &mut Gradients) {
    for (parent, gradient) in ops.parents.into_iter().zip(values) {
        if let Some(node) = parent {
            gradients.register::<Flex>(node.id, gradient);
        }
    }
}

impl Backward<Flex, 1> for Gelu {
    type State = FlexTensor;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let values = [flex::gelu_backward(&ops.state, gradient)];
        register(ops, values, gradients);
    }
}

impl Backward<Flex, 3> for Modulate {
    type State = (FlexTensor, FlexTensor, f32);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let (tokens, scale, epsilon) = &ops.state;
        let values = flex::modulate_backward(tokens, scale, gradient, *epsilon);
        register(ops, values, gradients);
    }
}

impl Backward<Flex, 3> for GatedAdd {
    type State = (FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let (gate, added) = &ops.state;
        let [gate_gradient, added_gradient] = flex::gated_add_backward(gate, added, gradient.clone());
        register(ops, [gradient, gate_gradient, added_gradient], gradients);
    }
}

impl Backward<Flex, 2> for Norm {
    type State = Heads;

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let values = ops.state.normed_backward(gradient);
        register(ops, values, gradients);
    }
}

impl Backward<Flex, 2> for Product {
    type State = (FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let (rows, weight) = &ops.state;
        let values = flex::product_backward(rows, weight, &gradient);
        register(ops, values, gradients);
    }
}

impl Backward<Flex, 3> for Attention {
    type State = (QueryKeyValue, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let (operands, probabilities) = &ops.state;
        let values = operands.backward(probabilities, &gradient);
        register(ops, values, gradients);
    }
}
