//! `worldloop train`: the networks of the learned world, from recordings.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use worldloop::device::{self, Device};
use worldloop::training::judge::{JudgeObjective, JudgeTrainingConfig};
use worldloop::training::vae::{VaeObjective, VaeTrainingConfig};
use worldloop::training::world::{WorldObjective, WorldTrainingConfig};
use worldloop::training::{
    ClonedObjective, ClonedTrainingConfig, Evaluation, Objective, Preparation, PreparationProgress, RunFolder, Trainer,
    TrainerConfig, TrainingError, TrainingProgress, read_config,
};

use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;

/// Trains a network on recordings; what is finished can be resumed to the bit.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  worldloop train vae --data recordings --out runs/vae --minutes 60\n  \
    worldloop train vae --out runs/vae --resume\n  \
    worldloop train dit --data recordings --vae runs/vae/vae.safetensors --out runs/dit\n  \
    worldloop train judge --data recordings --world runs/dit/world.safetensors --out runs/judge\n  \
    worldloop train cloned --data recordings --out runs/cloned"
)]
pub(crate) struct TrainArgs {
    /// Which network.
    #[arg(value_enum)]
    network: Network,
    /// Folders of recordings; several with commas. With --resume those of the start are used.
    #[arg(long, value_delimiter = ',')]
    data: Vec<PathBuf>,
    /// Folder of this training: config, state, weights, metrics, pictures.
    #[arg(long)]
    out: PathBuf,
    /// Minutes after which this sitting stops and saves; without it, training goes to its last step.
    #[arg(long)]
    minutes: Option<f64>,
    /// Weights of the trained VAE, for the transformer.
    #[arg(long)]
    vae: Option<PathBuf>,
    /// Weights of the trained world model, whose predictions the judge learns to read too.
    #[arg(long)]
    world: Option<PathBuf>,
    /// JSON file with settings; missing ones take their defaults.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Goes on with the training in --out.
    #[arg(long)]
    resume: bool,
    /// Where to compute: flex (the CPU), cuda, cuda:N or wgpu.
    #[arg(long, default_value = "flex")]
    device: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Network {
    /// The video VAE: frames to latents and back.
    Vae,
    /// The diffusion transformer: what actions do to latents. Its weights hold the VAE too.
    Dit,
    /// The judge: success and progress from a frame.
    Judge,
    /// The behaviour-cloned policy: camera image and instruction to actions.
    Cloned,
}

/// What the command needs to know of a network's training.
trait Training {
    type Config: Default + Serialize + DeserializeOwned;
    type Objective: Objective;

    fn trainer(config: &mut Self::Config) -> &mut TrainerConfig;
    fn datasets(config: &mut Self::Config) -> &mut Vec<PathBuf>;
    fn objective(
        config: Self::Config,
        preparation: &mut Preparation<'_>,
        device: &Device,
    ) -> Result<Self::Objective, TrainingError>;

    /// Puts arguments that only this network has into its config.
    fn apply(_config: &mut Self::Config, _args: &TrainArgs) {}
}

struct Vae;

impl Training for Vae {
    type Config = VaeTrainingConfig;
    type Objective = VaeObjective;

    fn trainer(config: &mut VaeTrainingConfig) -> &mut TrainerConfig {
        &mut config.trainer
    }

    fn datasets(config: &mut VaeTrainingConfig) -> &mut Vec<PathBuf> {
        &mut config.datasets
    }

    fn objective(
        config: VaeTrainingConfig,
        _preparation: &mut Preparation<'_>,
        device: &Device,
    ) -> Result<VaeObjective, TrainingError> {
        VaeObjective::new(config, device)
    }
}

struct World;

impl Training for World {
    type Config = WorldTrainingConfig;
    type Objective = WorldObjective;

    fn trainer(config: &mut WorldTrainingConfig) -> &mut TrainerConfig {
        &mut config.trainer
    }

    fn datasets(config: &mut WorldTrainingConfig) -> &mut Vec<PathBuf> {
        &mut config.datasets
    }

    fn objective(
        config: WorldTrainingConfig,
        preparation: &mut Preparation<'_>,
        device: &Device,
    ) -> Result<WorldObjective, TrainingError> {
        WorldObjective::new(config, preparation, device)
    }

    fn apply(config: &mut WorldTrainingConfig, args: &TrainArgs) {
        if let Some(vae) = &args.vae {
            config.vae.clone_from(vae);
        }
    }
}

struct Judge;

impl Training for Judge {
    type Config = JudgeTrainingConfig;
    type Objective = JudgeObjective;

    fn trainer(config: &mut JudgeTrainingConfig) -> &mut TrainerConfig {
        &mut config.trainer
    }

    fn datasets(config: &mut JudgeTrainingConfig) -> &mut Vec<PathBuf> {
        &mut config.datasets
    }

    fn objective(
        config: JudgeTrainingConfig,
        preparation: &mut Preparation<'_>,
        device: &Device,
    ) -> Result<JudgeObjective, TrainingError> {
        JudgeObjective::new(config, preparation, device)
    }

    fn apply(config: &mut JudgeTrainingConfig, args: &TrainArgs) {
        if args.world.is_some() {
            config.world.clone_from(&args.world);
        }
    }
}

struct Cloned;

impl Training for Cloned {
    type Config = ClonedTrainingConfig;
    type Objective = ClonedObjective;

    fn trainer(config: &mut ClonedTrainingConfig) -> &mut TrainerConfig {
        &mut config.trainer
    }

    fn datasets(config: &mut ClonedTrainingConfig) -> &mut Vec<PathBuf> {
        &mut config.datasets
    }

    fn objective(
        config: ClonedTrainingConfig,
        _preparation: &mut Preparation<'_>,
        _device: &Device,
    ) -> Result<ClonedObjective, TrainingError> {
        ClonedObjective::new(config)
    }
}

/// Runs the command.
pub(crate) fn run(args: &TrainArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    match args.network {
        Network::Vae => train::<Vae>(args, stop),
        Network::Dit => train::<World>(args, stop),
        Network::Judge => train::<Judge>(args, stop),
        Network::Cloned => train::<Cloned>(args, stop),
    }
}

/// Returns whether one piece of the work before the first step goes on, whose bar can go on too.
fn is_same_work(before: PreparationProgress, now: PreparationProgress) -> bool {
    (before.what, before.total) == (now.what, now.total) && before.done <= now.done
}

fn train<T: Training>(args: &TrainArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let device = device::select(&args.device)?;
    let (folder, mut config) = prepare::<T>(args)?;
    let trainer = T::trainer(&mut config).clone();
    let steps = trainer.steps;
    let mut shown: Option<(PreparationProgress, Progress)> = None;
    let mut observe = |now: PreparationProgress| {
        if let Some((_, over)) = shown.take_if(|(before, _)| !is_same_work(*before, now)) {
            over.finish();
        }
        let (latest, progress) = shown.get_or_insert_with(|| (now, Progress::new(now.what, now.total as u64)));
        *latest = now;
        progress.set(now.done as u64, "");
        stop.flow()
    };
    let mut preparation = Preparation::new(&mut observe).kept_in(folder.path());
    let objective = T::objective(config, &mut preparation, &device)?;
    if let Some((_, progress)) = shown {
        progress.finish();
    }
    let name = objective.name();
    let mut training = Trainer::new(objective, trainer, folder, args.resume, &device)?;
    let mut progress = Progress::new(format!("train {name}"), steps);
    let summary = training.run(|now| {
        show(&mut progress, now);
        stop.flow()
    })?;
    progress.finish();
    println!(
        "{name}: step {} of {steps}; {}",
        summary.step,
        figures(&summary.evaluation)
    );
    if !summary.finished {
        let network = args
            .network
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned());
        println!(
            "go on with: worldloop train {network} --out {} --resume",
            args.out.display()
        );
    }
    Ok(if stop.is_set() { Outcome::Stopped } else { Outcome::Done })
}

/// Opens the folder and puts the config together from file, folder and arguments.
fn prepare<T: Training>(args: &TrainArgs) -> anyhow::Result<(RunFolder, T::Config)> {
    if args.resume {
        let folder = RunFolder::open(&args.out)?;
        let mut config: T::Config = match &args.config {
            Some(path) => read_config(path)?,
            None => folder.read_config()?,
        };
        if !args.data.is_empty() {
            T::datasets(&mut config).clone_from(&args.data);
        }
        T::trainer(&mut config).minutes = args.minutes;
        T::apply(&mut config, args);
        folder.write_config(&config)?;
        return Ok((folder, config));
    }
    let mut config: T::Config = args
        .config
        .as_ref()
        .map_or_else(|| Ok(T::Config::default()), read_config)?;
    let datasets = T::datasets(&mut config);
    if !args.data.is_empty() {
        datasets.clone_from(&args.data);
    }
    if datasets.is_empty() {
        bail!("no recordings to train on: pass --data DIR (record some with `worldloop record`)");
    }
    T::trainer(&mut config).minutes = args.minutes.or(T::trainer(&mut config).minutes);
    T::apply(&mut config, args);
    Ok((RunFolder::create(&args.out, &config)?, config))
}

fn show(progress: &mut Progress, now: &TrainingProgress<'_>) {
    let minutes = now.seconds_left / 60.0;
    let message = format!(
        "loss {:.4}, {:.1} samples/s, {minutes:.0} min left",
        now.loss, now.samples_per_second
    );
    progress.set(now.step, &message);
    if let Some(evaluation) = now.evaluation {
        progress.say(&format!("step {}: {}", now.step, figures(evaluation)));
        for warning in &evaluation.warnings {
            progress.say(&format!("WARNING: {warning}"));
        }
    }
}

fn figures(evaluation: &Evaluation) -> String {
    let figures: Vec<String> = evaluation
        .metrics
        .iter()
        .map(|(name, value)| format!("{name} {value:.3}"))
        .collect();
    if figures.is_empty() {
        "not evaluated".to_owned()
    } else {
        figures.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_of_preparation_has_a_bar_of_its_own() {
        let at = |what, done, total| PreparationProgress { what, done, total };
        let before = at("predict stretches", 8, 16);
        assert!(is_same_work(before, at("predict stretches", 16, 16)));
        for other in [
            ("predict stretches", 8, 384),
            ("predict stretches", 0, 16),
            ("encode windows", 8, 16),
        ] {
            assert!(!is_same_work(before, at(other.0, other.1, other.2)), "{other:?}");
        }
    }
}
