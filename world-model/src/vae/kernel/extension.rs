//! The kernels as an operation of Burn's CPU backend, with its derivative.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Shape, TensorData};

use super::super::convolution::Geometry;
use super::gradient::{Operands, gradients};
use super::plan::Plan;
use super::slab::padded_frames;
use super::tile::{PackedWeight, convolve};

/// Convolutions of channels-last video, float32.
#[backend_extension(Flex, Autodiff)]
pub(in crate::vae) trait VideoConvolution: Backend {
    /// Convolves.
    fn video_convolution(
        frames: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// Norms, applies SiLU and convolves.
    fn video_norm_silu_convolution(
        frames: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;
}

/// Values of a contiguous float32 tensor.
fn values(tensor: &FloatTensor<Flex>) -> &[f32] {
    tensor
        .as_slice::<f32>()
        .expect("operands are contiguous float32 tensors")
}

/// Wraps values as a tensor.
fn tensor(values: Vec<f32>, shape: Vec<usize>) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
}

fn plan(frames: &FloatTensor<Flex>, weight: &FloatTensor<Flex>, geometry: &Geometry) -> Plan {
    Plan::forward(frames.shape().dims(), weight.shape().dims(), geometry)
}

fn run(
    frames: &FloatTensor<Flex>,
    gamma: Option<&FloatTensor<Flex>>,
    weight: &FloatTensor<Flex>,
    bias: &FloatTensor<Flex>,
    geometry: &Geometry,
) -> FloatTensor<Flex> {
    let (frames, weight, bias) = (frames.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
    let gamma = gamma.map(FloatTensor::<Flex>::to_contiguous);
    let plan = plan(&frames, &weight, geometry);
    let slab = padded_frames(&plan, values(&frames), gamma.as_ref().map(values));
    let packed = PackedWeight::forward(&plan, values(&weight));
    let output = convolve(&plan, &slab, &packed, Some(values(&bias)));
    let [count, height, width] = plan.output;
    tensor(output, vec![plan.batch, count, height, width, plan.channels_out])
}

impl VideoConvolution for Flex {
    fn video_convolution(
        frames: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        run(&frames, None, &weight, &bias, &geometry)
    }

    fn video_norm_silu_convolution(
        frames: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        run(&frames, Some(&gamma), &weight, &bias, &geometry)
    }
}

/// Derivative of the convolution; parents are frames, weight and bias.
#[derive(Debug)]
struct ConvolutionGradient;

/// Derivative of norm, SiLU and convolution; parents are frames, gamma, weight and bias.
#[derive(Debug)]
struct NormSiluConvolutionGradient;

/// Hands the gradients that were wanted to their nodes.
fn register<const N: usize>(grads: &mut Gradients, parts: [(Option<NodeId>, Option<Vec<f32>>, Shape); N]) {
    for (node, part, shape) in parts {
        if let Some((node, part)) = node.zip(part) {
            grads.register::<Flex>(node, tensor(part, shape.to_vec()));
        }
    }
}

impl Backward<Flex, 3> for ConvolutionGradient {
    type State = (NodeId, NodeId, Geometry);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (frames, weight, geometry) = ops.state;
        let frames = checkpointer
            .retrieve_node_output::<FloatTensor<Flex>>(frames)
            .to_contiguous();
        let weight = checkpointer
            .retrieve_node_output::<FloatTensor<Flex>>(weight)
            .to_contiguous();
        let [frames_node, weight_node, bias_node] = ops.parents.map(|node| node.map(|node| node.id));
        let plan = plan(&frames, &weight, &geometry);
        let operands = Operands {
            frames: values(&frames),
            gamma: None,
            weight: values(&weight),
        };
        let wanted = [frames_node.is_some(), weight_node.is_some() || bias_node.is_some()];
        let found = gradients(&plan, &operands, values(&gradient), wanted);
        let parts = [
            (frames_node, found.frames, frames.shape()),
            (weight_node, found.weight, weight.shape()),
            (bias_node, found.bias, [plan.channels_out].into()),
        ];
        register(grads, parts);
    }
}

impl Backward<Flex, 4> for NormSiluConvolutionGradient {
    type State = (NodeId, NodeId, NodeId, Geometry);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (frames, gamma, weight, geometry) = ops.state;
        let frames = checkpointer
            .retrieve_node_output::<FloatTensor<Flex>>(frames)
            .to_contiguous();
        let gamma = checkpointer
            .retrieve_node_output::<FloatTensor<Flex>>(gamma)
            .to_contiguous();
        let weight = checkpointer
            .retrieve_node_output::<FloatTensor<Flex>>(weight)
            .to_contiguous();
        let [frames_node, gamma_node, weight_node, bias_node] = ops.parents.map(|node| node.map(|node| node.id));
        let plan = plan(&frames, &weight, &geometry);
        let operands = Operands {
            frames: values(&frames),
            gamma: Some(values(&gamma)),
            weight: values(&weight),
        };
        let wanted = [
            frames_node.is_some() || gamma_node.is_some(),
            weight_node.is_some() || bias_node.is_some(),
        ];
        let found = gradients(&plan, &operands, values(&gradient), wanted);
        let parts = [
            (frames_node, found.frames, frames.shape()),
            (gamma_node, found.gamma, gamma.shape()),
            (weight_node, found.weight, weight.shape()),
            (bias_node, found.bias, [plan.channels_out].into()),
        ];
        register(grads, parts);
    }
}

impl<C: CheckpointStrategy> VideoConvolution for Autodiff<Flex, C> {
    fn video_convolution(
        frames: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let nodes = [frames.node(), weight.node(), bias.node()];
        match ConvolutionGradient.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&frames), prep.checkpoint(&weight), geometry);
                let output = run(
                    frames.primitive(),
                    None,
                    weight.primitive(),
                    bias.primitive(),
                    &geometry,
                );
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(run(
                frames.primitive(),
                None,
                weight.primitive(),
                bias.primitive(),
                &geometry,
            )),
        }
    }

    fn video_norm_silu_convolution(
        frames: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let nodes = [frames.node(), gamma.node(), weight.node(), bias.node()];
        let output = || {
            run(
                frames.primitive(),
                Some(gamma.primitive()),
                weight.primitive(),
                bias.primitive(),
                &geometry,
            )
        };
        match NormSiluConvolutionGradient
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let state = (
                    prep.checkpoint(&frames),
                    prep.checkpoint(&gamma),
                    prep.checkpoint(&weight),
                    geometry,
                );
                prep.finish(state, output())
            }
            OpsKind::UnTracked(prep) => prep.finish(output()),
        }
    }
}
