//! The released size, with random weights.

use std::time::Instant;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Distribution, Tensor};
use worldloop::world_model::catalog::ReleasedModel;
use worldloop::world_model::dit::{DitInput, FrameCondition};

/// Most memory that the process may have taken at any time.
const BOUND_MIB: u64 = 12 * 1024;

/// Tokens of a prompt.
const TEXT_TOKENS: usize = 512;

/// Draws every weight in bfloat16.
struct Draw;

impl ModuleMapper for Draw {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| weight.random_like(Distribution::Normal(0.0, 0.02)).cast(DType::BF16))
    }
}

/// Returns the most memory that this process has taken, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells the peak");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.expect("a number of KiB") / 1024
}

#[test]
#[ignore = "takes minutes and 6 GB: cargo test --release -p worldloop-tests --test closed_loop true_size -- --ignored --nocapture"]
fn one_step_of_the_released_size_fits_12_gib() {
    let device = worldloop::device::select("flex").expect("a CPU");
    let model = ReleasedModel::find("predict2.5-2b/robot/action-cond").expect("in the table");
    let started = Instant::now();
    let dit = model.network.init(&device).map(&mut Draw);
    println!("{} weights drawn in {:.0?}", dit.num_params(), started.elapsed());

    let normal = Distribution::Normal(0.0, 1.0);
    let started = Instant::now();
    let text = [1, TEXT_TOKENS, model.network.text_channels()];
    let context = dit.project_context(Tensor::random(text, normal, (&device, DType::BF16)));
    println!("text projected in {:.0?}", started.elapsed());

    let [height, width] = model.size_px.map(|pixels| pixels / 8);
    let latents = Tensor::random([1, 16, model.latent_frames, height, width], normal, &device);
    let condition = FrameCondition::first_frames(1, [1, model.latent_frames, height, width], &device);
    let started = Instant::now();
    let velocity = dit.forward(&DitInput {
        action: Some(Tensor::random([1, model.frames() - 1, 7], normal, &device)),
        ..DitInput::new(latents, full_time(&device), &context, &condition)
    });
    let size: f32 = velocity.clone().abs().mean().into_scalar();
    println!("one step in {:.1?}, peak {} MiB", started.elapsed(), peak_mib());
    assert_eq!(velocity.dims(), [1, 16, model.latent_frames, height, width]);
    assert!(size.is_finite() && size > 0.0, "a mean velocity of {size}");
    assert!(peak_mib() < BOUND_MIB, "{} MiB", peak_mib());
}

fn full_time(device: &Device) -> Tensor<2> {
    Tensor::full([1, 1], 999.0, device)
}
