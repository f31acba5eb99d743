//! The training loop.

use std::ops::ControlFlow;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::{Map, Value, json};
use worldloop_world_model::layers::with_bfloat16_products;

use crate::config::{Products, TrainerConfig};
use crate::error::TrainingError;
use crate::initial_weights;
use crate::loss_curve::draw_loss_curve;
use crate::objective::{Evaluation, Objective};
use crate::parameters::{Gradient, Parameters, Update, Which};
use crate::resume::{load_state, save_state};
use crate::run_folder::RunFolder;
use crate::schedule::{ema_beta, ema_exponent, learning_rate};

/// What a training says after each step.
#[derive(Debug)]
pub struct TrainingProgress<'a> {
    /// Finished steps.
    pub step: u64,
    /// Steps of the whole training.
    pub steps: u64,
    /// Mean loss of the latest steps.
    pub loss: f64,
    /// Samples per second in this sitting.
    pub samples_per_second: f64,
    /// Seconds until this sitting ends.
    pub seconds_left: f64,
    /// What an evaluation after this step found.
    pub evaluation: Option<&'a Evaluation>,
}

/// How a sitting ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSummary {
    /// Finished steps.
    pub step: u64,
    /// Whether these are all steps of the config.
    pub finished: bool,
    /// What the last evaluation found.
    pub evaluation: Evaluation,
}

/// Trains a network for an objective.
#[derive(Debug)]
pub struct Trainer<O: Objective> {
    objective: O,
    config: TrainerConfig,
    folder: RunFolder,
    workers: Vec<Worker<O::Network>>,
    parameters: Parameters,
    device: Device,
    step: u64,
}

/// What computes one of the batches of a step: a network with weights of its own, so that no graph of gradients is
/// shared, and its part of the machine's cores.
#[derive(Debug)]
struct Worker<M> {
    network: M,
    threads: Option<ThreadPool>,
}

/// What a sitting remembers that the training need not.
#[derive(Debug)]
struct Sitting {
    started: Instant,
    saved: Instant,
    first_step: u64,
    /// Seconds spent on evaluation and saving.
    aside_secs: f64,
    /// Losses since the last line of the metrics.
    losses: Vec<f64>,
    /// Mean loss in that line.
    logged_loss: f64,
    evaluation: Evaluation,
}

impl<O: Objective> Trainer<O> {
    /// Prepares a training from the beginning, or from the folder's saved state.
    ///
    /// # Errors
    /// [`TrainingError::Config`], and with `resume` those of reading the state.
    pub fn new(
        objective: O,
        config: TrainerConfig,
        folder: RunFolder,
        resume: bool,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        config.validate()?;
        let plain = device.clone();
        let device = device.clone().autodiff();
        let (network, mut parameters) = initial_weights::draw(&device, config.seed, || objective.network(&device));
        let step = if resume {
            load_state(&folder.state(), &mut parameters)?
        } else {
            0
        };
        folder.keep_metrics_before(step)?;
        let threads = threads_per_batch(config.batches_per_step);
        let workers = (0..config.batches_per_step).map(|_| {
            Ok(Worker {
                network: network.clone(),
                threads: threads.map(pool).transpose()?,
            })
        });
        let workers = workers.collect::<Result<_, TrainingError>>()?;
        Ok(Self {
            objective,
            config,
            folder,
            workers,
            parameters,
            device: plain,
            step,
        })
    }

    /// Trains until the last step, the sitting's time limit, or until `observe` breaks; then evaluates and saves.
    ///
    /// # Errors
    /// [`TrainingError::Diverged`], or those of writing; the last saved state stays.
    pub fn run(
        &mut self,
        mut observe: impl FnMut(&TrainingProgress<'_>) -> ControlFlow<()>,
    ) -> Result<TrainingSummary, TrainingError> {
        let now = Instant::now();
        let mut sitting = Sitting {
            started: now,
            saved: now,
            first_step: self.step,
            aside_secs: 0.0,
            losses: Vec::new(),
            logged_loss: 0.0,
            evaluation: Evaluation::default(),
        };
        let mut evaluated = None;
        while self.step < self.config.steps {
            let loss = self.train_step()?;
            sitting.losses.push(loss.loss);
            if self.step.is_multiple_of(self.config.log_every) {
                self.log(&loss, &mut sitting)?;
            }
            let aside = Instant::now();
            let due = self.step.is_multiple_of(self.config.evaluate_every);
            if due {
                sitting.evaluation = self.evaluate()?;
                evaluated = Some(self.step);
            }
            if sitting.saved.elapsed().as_secs_f64() >= 60.0 * self.config.checkpoint_minutes {
                self.save()?;
                sitting.saved = Instant::now();
            }
            sitting.aside_secs += aside.elapsed().as_secs_f64();
            let progress = self.progress(&sitting, due);
            let out_of_time = self
                .config
                .minutes
                .is_some_and(|minutes| sitting.started.elapsed().as_secs_f64() >= 60.0 * minutes);
            if observe(&progress).is_break() || out_of_time {
                break;
            }
        }
        self.save()?;
        if evaluated != Some(self.step) {
            sitting.evaluation = self.evaluate()?;
        }
        Ok(TrainingSummary {
            step: self.step,
            finished: self.step >= self.config.steps,
            evaluation: sitting.evaluation,
        })
    }

    /// Returns the network with averaged weights, without gradients.
    pub fn averaged(&self) -> O::Network {
        self.parameters.install(self.workers[0].network.valid(), Which::Average)
    }

    /// Returns the objective.
    pub fn objective(&self) -> &O {
        &self.objective
    }

    /// Returns the number of finished steps.
    pub fn step(&self) -> u64 {
        self.step
    }

    fn train_step(&mut self) -> Result<StepResult, TrainingError> {
        let optimizer = self.config.optimizer.clone();
        let learning_rate = learning_rate(&optimizer, self.step, self.config.steps);
        let (loss, gradients) = self.gradients();
        if !loss.is_finite() {
            return Err(TrainingError::Diverged {
                step: self.step,
                loss,
                learning_rate,
            });
        }
        let update = Update {
            learning_rate,
            ema_beta: ema_beta(ema_exponent(optimizer.ema_rate), self.step),
            step: self.step,
        };
        let gradient_norm = self.parameters.update(&gradients, &optimizer, update, &self.device);
        self.step += 1;
        Ok(StepResult {
            loss: f64::from(loss),
            gradient_norm,
            learning_rate,
        })
    }

    /// Computes the batches of a step side by side; returns the means of their losses and gradients.
    fn gradients(&mut self) -> (f32, Vec<Gradient>) {
        let (objective, parameters) = (&self.objective, &self.parameters);
        let count = self.workers.len();
        let first = self.step * count as u64;
        let compute = |worker: &mut Worker<O::Network>, batch: u64| {
            worker.network = parameters.install(worker.network.clone(), Which::Latest);
            let loss_tensor = objective.loss(&worker.network, batch);
            let loss = loss_tensor.clone().inner().into_scalar::<f32>();
            let mut gradients = loss_tensor.backward();
            (loss, parameters.gradients(&worker.network, &mut gradients))
        };
        let products = self.config.products;
        let compute = |worker: &mut Worker<O::Network>, batch: u64| match products {
            Products::Float32 => compute(worker, batch),
            Products::Bfloat16 => with_bfloat16_products(|| compute(worker, batch)),
        };
        let results: Vec<(f32, Vec<Gradient>)> = std::thread::scope(|scope| {
            let workers = self.workers.iter_mut().zip(first..);
            let running: Vec<_> = workers
                .map(|(worker, batch)| {
                    scope.spawn(move || match worker.threads.take() {
                        Some(threads) => {
                            let result = threads.install(|| compute(worker, batch));
                            worker.threads = Some(threads);
                            result
                        }
                        None => compute(worker, batch),
                    })
                })
                .collect();
            let joined = running.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.collect()
        });
        let mut results = results.into_iter();
        let (mut loss, mut gradients) = results.next().unwrap_or_default();
        // In the order of the batches: the same sum whichever was done first.
        for (other_loss, other) in results {
            loss += other_loss;
            gradients = Gradient::sums(gradients, other);
        }
        let share = 1.0 / count as f32;
        gradients.iter_mut().for_each(|gradient| gradient.scale(share));
        (loss * share, gradients)
    }

    fn log(&self, result: &StepResult, sitting: &mut Sitting) -> Result<(), TrainingError> {
        let mean = sitting.mean_loss();
        sitting.losses.clear();
        sitting.logged_loss = mean;
        let line = json!({
            "step": self.step,
            "loss": mean,
            "gradient_norm": result.gradient_norm,
            "learning_rate": result.learning_rate,
            "samples_per_second": self.throughput(sitting),
        });
        self.log_line(line)
    }

    fn log_line(&self, line: Value) -> Result<(), TrainingError> {
        match line {
            Value::Object(line) => self.folder.log(&line),
            _ => Ok(()),
        }
    }

    fn evaluate(&self) -> Result<Evaluation, TrainingError> {
        let network = self.averaged();
        let evaluation = self.objective.evaluate(&network, &self.folder.validation(self.step))?;
        let name = self.objective.name();
        self.objective.export(&network, &self.folder.weights(name))?;
        if self.config.keep_every_evaluation {
            self.objective
                .export(&network, &self.folder.weights(&format!("{name}-{:06}", self.step)))?;
        }
        let metrics: Map<String, Value> = evaluation
            .metrics
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        self.log_line(json!({"step": self.step, "evaluation": metrics, "warnings": evaluation.warnings}))?;
        draw_loss_curve(&self.folder.read_metrics()?, &self.folder.loss_curve())?;
        Ok(evaluation)
    }

    fn save(&self) -> Result<(), TrainingError> {
        save_state(&self.folder.state(), &self.parameters, self.step)
    }

    fn throughput(&self, sitting: &Sitting) -> f64 {
        let samples = (self.step - sitting.first_step) as f64 * self.samples_per_step();
        samples / (sitting.started.elapsed().as_secs_f64() - sitting.aside_secs).max(1e-6)
    }

    fn samples_per_step(&self) -> f64 {
        (self.objective.batch_size() * self.config.batches_per_step) as f64
    }

    fn progress<'a>(&self, sitting: &'a Sitting, evaluated: bool) -> TrainingProgress<'a> {
        let samples_per_second = self.throughput(sitting);
        let samples_left = (self.config.steps - self.step) as f64 * self.samples_per_step();
        let to_the_end = samples_left / samples_per_second.max(1e-9);
        let limit = self.config.minutes.map_or(f64::INFINITY, |minutes| {
            60.0 * minutes - sitting.started.elapsed().as_secs_f64()
        });
        TrainingProgress {
            step: self.step,
            steps: self.config.steps,
            loss: sitting.mean_loss(),
            samples_per_second,
            seconds_left: to_the_end.min(limit).max(0.0),
            evaluation: evaluated.then_some(&sitting.evaluation),
        }
    }
}

/// Returns the threads of each batch, if a step has several; one batch alone uses all of the machine.
fn threads_per_batch(batches: usize) -> Option<usize> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (batches > 1).then(|| (cores / batches).max(1))
}

fn pool(threads: usize) -> Result<ThreadPool, TrainingError> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|source| TrainingError::Threads { threads, source })
}

impl Sitting {
    fn mean_loss(&self) -> f64 {
        if self.losses.is_empty() {
            return self.logged_loss;
        }
        self.losses.iter().sum::<f64>() / self.losses.len() as f64
    }
}

/// What one step computed.
#[derive(Debug, Clone, Copy)]
struct StepResult {
    loss: f64,
    gradient_norm: f64,
    learning_rate: f64,
}
