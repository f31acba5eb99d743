//! `worldloop evaluate`: how policies do, in the learned world and in the physics world.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use worldloop::evaluation::report::{Report, Summary, choose_showcases, replay_showcases};
use worldloop::evaluation::{Fidelity, FidelitySuite, Journal, PolicySuccess, Suite, SuiteEvent};
use worldloop::policy_source::PolicySource;
use worldloop::rollout::{LearnedParts, World};
use worldloop::weights::Weights;

use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;
use crate::table::print_summary;

/// All tasks of the table-top world.
const TASKS: [&str; 3] = ["reach", "push", "pick_and_place"];
/// Policies whose recordings the world model has to predict where none are named.
const FIDELITY_POLICIES: [&str; 3] = ["expert", "imperfect", "wander"];
/// Chunks that fidelity is measured over.
const FIDELITY_CHUNKS: usize = 4;
/// Seeds from here on are not used for recordings.
pub(crate) const HELD_OUT_SEED: u64 = 1_000_000;
/// Episodes under way at once.
const BATCH_SIZE: usize = 16;
/// Side of the images in pixels where no world model says otherwise.
const DEFAULT_IMAGE_SIZE: u32 = 64;
/// Successes, and failures, that the report shows.
const SHOWN: usize = 4;

/// Runs policies in the learned world and in the physics world, and says how far they agree.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    worldloop evaluate --policy cloned --world both --task reach --episodes 20 --out evaluation\n  \
    worldloop evaluate --graded --task reach --out graded --json\n  \
    worldloop evaluate --fidelity --out fidelity --json")]
pub(crate) struct EvaluateArgs {
    /// Policies: cloned, cloned:0 to cloned:9, random, wander, replay:FILE; several with commas.
    #[arg(long, value_delimiter = ',')]
    policy: Vec<String>,
    /// Evaluates the ten graded policies cloned:0 to cloned:9.
    #[arg(long)]
    graded: bool,
    /// Measures how well the world model predicts recorded episodes; of all tasks, unless --task names one.
    #[arg(long)]
    fidelity: bool,
    /// Where to play.
    #[arg(long, value_enum, default_value_t = Where::Both)]
    world: Where,
    /// Folder with the weights of a learned world; without it the embedded one.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Task: reach, push or pick_and_place [default: reach].
    #[arg(long)]
    task: Option<String>,
    /// Episodes per policy and world.
    #[arg(long, default_value_t = 20)]
    episodes: usize,
    /// Seed of the first episode; seeds from 1000000 on are never used for recordings here.
    #[arg(long, default_value_t = HELD_OUT_SEED)]
    seed: u64,
    /// Folder of the report.
    #[arg(long, default_value = "worldloop-evaluation")]
    out: PathBuf,
    /// Goes on with an evaluation that was stopped; what is finished is not repeated.
    #[arg(long)]
    resume: bool,
    /// Prints the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Logs every episode to a file for Rerun, predicted and in the physics world.
    #[cfg(feature = "rerun")]
    #[arg(long)]
    rerun: Option<PathBuf>,
    /// Where to compute: flex (the CPU), cuda, cuda:N or wgpu.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Precision of the world model's transformer: f32, bf16 or f16.
    #[arg(long, default_value = "f32")]
    dtype: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Where {
    /// The learned world alone.
    Learned,
    /// The physics world alone.
    Physics,
    /// Both, from the same initial states.
    Both,
}

/// What to evaluate, put together from arguments.
pub(crate) struct Plan {
    /// Policies × seeds.
    pub(crate) suite: Suite,
    /// Worlds to play in.
    pub(crate) worlds: Vec<World>,
    /// The learned world, where it is needed.
    pub(crate) learned: Option<LearnedParts>,
    /// Recordings to predict, where asked for.
    pub(crate) fidelity: Option<FidelitySuite>,
    /// Makes the policies.
    pub(crate) policies: PolicySource,
    /// Folder of the report.
    pub(crate) out: PathBuf,
    /// File for Rerun, where asked for.
    #[cfg(feature = "rerun")]
    pub(crate) rerun: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &EvaluateArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let plan = plan(args)?;
    let mut journal = if args.resume {
        Journal::resume(&args.out)?
    } else {
        Journal::create(&args.out)?
    };
    let Some(summary) = plan.run(&mut journal, stop)? else {
        eprintln!("stopped; the same command with --resume goes on");
        return Ok(Outcome::Stopped);
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print_summary(&summary);
        println!("report: {}", args.out.join("report.html").display());
    }
    Ok(Outcome::Done)
}

fn plan(args: &EvaluateArgs) -> anyhow::Result<Plan> {
    let device = worldloop::device::select(&args.device)?;
    let dtype = worldloop::device::precision(&args.dtype, &device)?;
    let weights = Weights::find(args.weights.as_deref())?.with_dtype(dtype);
    let policies = weights.policies(&device)?;
    let mut names = args.policy.clone();
    if args.graded {
        names.extend(policies.graded());
        if policies.graded().is_empty() {
            bail!("--graded needs the cloned policies, and there are no weights for them: pass --weights DIR");
        }
    }
    if names.is_empty() && !args.fidelity {
        bail!("nothing to evaluate: pass --policy NAME, --graded or --fidelity");
    }
    for name in &names {
        policies.make(name)?;
    }
    if args.episodes == 0 {
        bail!("--episodes is 0, expected at least 1");
    }
    let needs_model = args.fidelity || args.world != Where::Physics;
    let learned = if needs_model {
        Some(weights.learned(&device)?)
    } else {
        None
    };
    let image_size = learned
        .as_ref()
        .map_or(DEFAULT_IMAGE_SIZE, |parts| parts.model.spec().width as u32);
    let mut worlds = Vec::new();
    if args.world != Where::Physics {
        worlds.extend(learned.clone().map(World::Learned));
    }
    if args.world != Where::Learned {
        worlds.push(World::Physics { image_size });
    }
    let fidelity = args.fidelity.then(|| FidelitySuite {
        tasks: args
            .task
            .clone()
            .map_or_else(|| TASKS.map(str::to_owned).to_vec(), |task| vec![task]),
        policies: FIDELITY_POLICIES.map(str::to_owned).to_vec(),
        episodes: args.episodes,
        first_seed: args.seed,
        chunks: FIDELITY_CHUNKS,
    });
    let suite = Suite {
        task: args.task.clone().unwrap_or_else(|| TASKS[0].to_owned()),
        policies: names,
        episodes: args.episodes,
        first_seed: args.seed,
        batch_size: BATCH_SIZE,
    };
    Ok(Plan {
        suite,
        worlds,
        learned,
        fidelity,
        policies,
        out: args.out.clone(),
        #[cfg(feature = "rerun")]
        rerun: args.rerun.clone(),
    })
}

impl Plan {
    /// Plays what is open, measures, and writes the report; `None` if the user stopped it.
    pub(crate) fn run(&self, journal: &mut Journal, stop: &StopFlag) -> anyhow::Result<Option<Summary>> {
        for world in &self.worlds {
            self.play(world, journal, stop)?;
            if stop.is_set() {
                return Ok(None);
            }
        }
        let fidelity = match (&self.fidelity, &self.learned) {
            (Some(suite), Some(parts)) => match self.measure(suite, parts, stop)? {
                Some(fidelity) => Some(fidelity),
                None => return Ok(None),
            },
            _ => None,
        };
        #[cfg(feature = "rerun")]
        if let Some(path) = &self.rerun {
            self.log(path, journal, stop)?;
        }
        self.report(journal, fidelity).map(Some)
    }

    /// Plays every episode again, in both worlds, and logs it.
    #[cfg(feature = "rerun")]
    fn log(&self, path: &Path, journal: &Journal, stop: &StopFlag) -> anyhow::Result<()> {
        use worldloop::envs::vector::EnvBatch;
        use worldloop::visualization::RerunRecording;

        let (physics, learned) = (self.physics(), self.learned.clone().map(World::Learned));
        let batch = physics.batch(&self.suite.task, 1)?;
        let names = batch
            .spec()
            .action_space
            .dimensions
            .iter()
            .map(|dimension| dimension.name.clone())
            .collect();
        let mut recording = RerunRecording::create(path, names)?;
        let records = self.suite.records(journal);
        let mut progress = Progress::new("rerun", records.len() as u64);
        for records in records.chunks(BATCH_SIZE) {
            for showcase in replay_showcases(records, &physics, learned.as_ref())? {
                recording.log(&showcase)?;
                progress.advance("");
            }
            if stop.is_set() {
                break;
            }
        }
        progress.finish();
        Ok(recording.finish()?)
    }

    /// The simulator, with images of the world model's size.
    fn physics(&self) -> World {
        let width = self.learned.as_ref().map(|parts| parts.model.spec().width as u32);
        World::Physics {
            image_size: width.unwrap_or(DEFAULT_IMAGE_SIZE),
        }
    }

    fn play(&self, world: &World, journal: &mut Journal, stop: &StopFlag) -> anyhow::Result<()> {
        let (all, open) = (
            self.suite.requests().len(),
            self.suite.open_requests(world, journal).len(),
        );
        if open == 0 {
            return Ok(());
        }
        let mut progress = Progress::new(format!("{} in the {} world", self.suite.task, world.name()), all as u64);
        progress.set((all - open) as u64, "");
        let (mut episodes, mut successes, mut steps) = (0, 0, 0);
        self.suite
            .run(world, &|name| self.policies.make(name), journal, &mut |event| {
                match event {
                    SuiteEvent::Advanced { steps: played } => steps += played,
                    SuiteEvent::Finished(record) => {
                        episodes += 1;
                        successes += usize::from(record.success);
                        let rate = steps as f64 / progress.elapsed_secs().max(1e-3);
                        progress.advance(&format!("{successes}/{episodes} successes, {rate:.0} steps/s"));
                    }
                }
                stop.flow()
            })?;
        progress.finish();
        Ok(())
    }

    fn measure(
        &self,
        suite: &FidelitySuite,
        parts: &LearnedParts,
        stop: &StopFlag,
    ) -> anyhow::Result<Option<Fidelity>> {
        let mut progress = Progress::new("fidelity", 2 * suite.episodes as u64);
        let policies = |name: &str| self.policies.make(name);
        let measured = suite.run(parts, &policies, &self.out, &mut |done| {
            progress.set(
                done as u64,
                if done <= suite.episodes {
                    "recording"
                } else {
                    "predicting"
                },
            );
            stop.flow()
        })?;
        progress.finish();
        Ok(measured)
    }

    fn report(&self, journal: &Journal, fidelity: Option<Fidelity>) -> anyhow::Result<Summary> {
        let Suite {
            task,
            policies,
            episodes,
            first_seed,
            ..
        } = &self.suite;
        let records = self.suite.records(journal);
        let success = if policies.is_empty() {
            Vec::new()
        } else {
            PolicySuccess::table(&records, policies)
        };
        let tasks = self
            .fidelity
            .as_ref()
            .map_or_else(Vec::new, |suite| suite.tasks.clone());
        let fidelity = fidelity.map(|figures| (figures, tasks));
        let summary = Summary::new((task, *first_seed, *episodes), success, fidelity);
        let shown = choose_showcases(&records, SHOWN);
        let learned = self.learned.clone().map(World::Learned);
        let showcases = replay_showcases(&shown, &self.physics(), learned.as_ref())?;
        let report = Report {
            summary,
            showcases,
            frame_rate_hz: self
                .learned
                .as_ref()
                .map_or(5.0, |parts| parts.model.spec().frame_rate_hz),
            commands: vec![command_line()],
            world_model: self.learned.as_ref().map_or_else(String::new, describe),
        };
        report.write(Path::new(&self.out))?;
        Ok(report.summary)
    }
}

fn describe(parts: &LearnedParts) -> String {
    let spec = parts.model.spec();
    format!(
        "World model “{}” (weights {}): {}×{} pixels at {} Hz, {} actions per chunk.",
        spec.name, parts.fingerprint, spec.width, spec.height, spec.frame_rate_hz, spec.chunk_length
    )
}

fn command_line() -> String {
    let mut words = std::env::args();
    words.next();
    std::iter::once("worldloop".to_owned())
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}
