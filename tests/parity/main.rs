//! The networks against golden vectors found on disk.
//!
//! `cargo test --release -p worldloop-tests --test parity [FILTER..]` runs every case whose `family/name` contains one
//! of the filters. `WORLDLOOP_GOLDEN` names another folder of cases, `WORLDLOOP_GOLDEN_FAMILIES=a,b` selects families,
//! `WORLDLOOP_GOLDEN_VERBOSE=1` also compares intermediate values of cases that pass, `WORLDLOOP_DEVICE=wgpu` computes
//! there (with `--features wgpu`).

mod dit;
mod dit_weights;
mod pipeline;
mod plucker;
mod ref_dit;
mod ref_dit_action;
mod ref_dit_camera;
mod ref_dit_causal;
mod ref_dit_multiview;
mod ref_rollout;
mod ref_sampler;
mod ref_train;
mod ref_wan_vae;
mod rope;
mod runner;
mod schedule_steps;
mod scheduler;
mod text_encoder;
mod wan_vae;

use std::process::ExitCode;

use runner::Family;

/// Every family, in the order in which a defect is easiest to find.
const FAMILIES: [Family; 15] = [
    Family {
        name: "rope",
        run: rope::run,
    },
    Family {
        name: "scheduler",
        run: scheduler::run,
    },
    Family {
        name: "ref_sampler",
        run: ref_sampler::run,
    },
    Family {
        name: "wan_vae",
        run: wan_vae::run,
    },
    Family {
        name: "ref_wan_vae",
        run: ref_wan_vae::run,
    },
    Family {
        name: "text_encoder",
        run: text_encoder::run,
    },
    Family {
        name: "dit",
        run: dit::run,
    },
    Family {
        name: "ref_dit",
        run: ref_dit::run,
    },
    Family {
        name: "pipeline",
        run: pipeline::run,
    },
    Family {
        name: "ref_dit_action",
        run: ref_dit_action::run,
    },
    Family {
        name: "plucker",
        run: plucker::run,
    },
    Family {
        name: "ref_dit_camera",
        run: ref_dit_camera::run,
    },
    Family {
        name: "ref_dit_multiview",
        run: ref_dit_multiview::run,
    },
    Family {
        name: "ref_rollout",
        run: ref_rollout::run,
    },
    Family {
        name: "ref_train",
        run: ref_train::run,
    },
];

fn main() -> ExitCode {
    runner::main(&FAMILIES)
}
