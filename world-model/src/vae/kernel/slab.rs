//! Input frames as the taps see them: padded, and activated where a norm comes first.

use std::borrow::Cow;

use pulp::Arch;
use rayon::prelude::*;

use super::activation::norm_silu_row;
use super::plan::Plan;

/// Returns all padded frames, `[batch, frames, padded height, padded width, channels]`.
///
/// With `gamma`, every pixel goes through the norm and SiLU.
pub(super) fn padded_frames<'a>(plan: &Plan, input: &'a [f32], gamma: Option<&[f32]>) -> Cow<'a, [f32]> {
    if plan.is_unpadded() && gamma.is_none() {
        return Cow::Borrowed(input);
    }
    let [height, width] = plan.padded();
    let row = width * plan.channels_in;
    let mut slab = vec![0.0; plan.batch * plan.input[0] * height * row];
    slab.par_chunks_mut(row)
        .enumerate()
        .with_min_len(8)
        .for_each(|(index, out)| {
            let (frame, line) = (index / height, index % height);
            if let Some(source) = plan.source(1, line) {
                let start = (frame * plan.input[1] + source) * plan.input[2] * plan.channels_in;
                let source = &input[start..start + plan.input[2] * plan.channels_in];
                fill_row(plan, source, gamma, out);
            }
        });
    Cow::Owned(slab)
}

fn fill_row(plan: &Plan, source: &[f32], gamma: Option<&[f32]>, out: &mut [f32]) {
    let channels = plan.channels_in;
    let direct = plan.repeat == 1 && plan.spread[2] == 1;
    let start = plan.before[2] * channels;
    match gamma {
        Some(gamma) if direct => {
            let length = source.len().min(out.len() - start);
            let out = &mut out[start..start + length];
            Arch::new().dispatch(|| norm_silu_row(&source[..length], gamma, out));
        }
        Some(_) => unreachable!("a norm comes in front of plain convolutions only"),
        None if direct => {
            let length = source.len().min(out.len() - start);
            out[start..start + length].copy_from_slice(&source[..length]);
        }
        None => {
            for (column, out) in out.chunks_exact_mut(channels).enumerate() {
                if let Some(column) = plan.source(2, column) {
                    out.copy_from_slice(&source[column * channels..(column + 1) * channels]);
                }
            }
        }
    }
}
