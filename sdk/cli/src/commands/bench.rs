//! `worldloop bench`: how long networks and closed-loop chunks take.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use worldloop::benchmark::{BenchmarkConfig, Timing, TimingSettings, time_closed_loop, time_networks};
use worldloop::device::precision;
use worldloop::weights::Weights;

use crate::failure::Outcome;
use crate::interrupt::StopFlag;

/// Episodes at once that a closed-loop chunk is timed with.
const BATCHES: [usize; 2] = [1, 8];

/// Times networks of given sizes with random weights, or a whole chunk in a learned world.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  worldloop bench --config sdk/assets/benchmark/dit-512x8.json --json\n  worldloop bench --world embedded"
)]
pub(crate) struct BenchArgs {
    /// JSON file with `kind` (dit or vae) and sizes, such as those in sdk/assets/benchmark; several with commas.
    #[arg(long, value_delimiter = ',')]
    config: Vec<PathBuf>,
    /// Times a closed-loop chunk: `embedded`, or a folder with the weights of a learned world.
    #[arg(long)]
    world: Option<String>,
    /// Runs that count.
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Seconds after which no further run is started.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Prints one line of JSON per figure.
    #[arg(long)]
    json: bool,
    /// Where to compute: flex (the CPU), cuda, cuda:N or wgpu.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Precision of the weights, f32, bf16 or f16, with --world of the transformer's alone; without it that of the config, or f32.
    #[arg(long)]
    dtype: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &BenchArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    if args.config.is_empty() && args.world.is_none() {
        bail!("nothing to time: pass --config FILE.json or --world embedded");
    }
    let Ok(limit) = Duration::try_from_secs_f64(args.seconds) else {
        bail!("--seconds is {}, expected a number of at least 0", args.seconds);
    };
    let device = worldloop::device::select(&args.device)?;
    let settings = TimingSettings {
        runs: args.runs,
        limit,
        ..TimingSettings::default()
    };
    // All files are read before the first run, so that a mistake in the last one costs no time.
    let configs = args
        .config
        .iter()
        .map(|path| BenchmarkConfig::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let dtypes = configs
        .iter()
        .map(|config| precision(args.dtype.as_deref().unwrap_or(config.dtype()), &device))
        .collect::<Result<Vec<_>, _>>()?;
    for (config, dtype) in configs.iter().zip(dtypes) {
        for timing in time_networks(config, settings, dtype, &device) {
            print(&timing, args.json)?;
        }
        if stop.is_set() {
            return Ok(Outcome::Stopped);
        }
    }
    if let Some(world) = &args.world {
        let folder = (world != "embedded").then(|| PathBuf::from(world));
        let dtype = precision(args.dtype.as_deref().unwrap_or("f32"), &device)?;
        let parts = Weights::find(folder.as_deref())?.with_dtype(dtype).learned(&device)?;
        for batch in BATCHES {
            print(&time_closed_loop(&parts, batch, settings)?, args.json)?;
            if stop.is_set() {
                return Ok(Outcome::Stopped);
            }
        }
    }
    Ok(Outcome::Done)
}

fn print(timing: &Timing, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(timing)?);
        return Ok(());
    }
    let Timing {
        what,
        median_ms,
        runs,
        threads,
        peak_mib,
        ..
    } = timing;
    let rate = timing
        .frames_per_second
        .map_or_else(String::new, |rate| format!(", {rate:.1} frames/s"));
    println!("{what:<26} {median_ms:>10.2} ms (median of {runs}), {threads} threads, {peak_mib:.0} MiB{rate}");
    Ok(())
}
