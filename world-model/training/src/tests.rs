//! The trainer on a network of a few weights.

use std::ops::ControlFlow;
use std::path::Path;

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use worldloop_world_model::checkpoint::{CheckpointWriter, KeyMap, SaveDtype};

use super::parameters::{Parameters, Which};
use super::*;

/// Learns `y = x W` for a fixed `W`.
#[derive(Debug)]
struct Regression;

impl Objective for Regression {
    type Network = Linear;

    fn name(&self) -> &'static str {
        "regression"
    }

    fn network(&self, device: &Device) -> Linear {
        LinearConfig::new(6, 3).init(device)
    }

    fn batch_size(&self) -> usize {
        8
    }

    fn loss(&self, network: &Linear, step: u64) -> Tensor<1> {
        let device = network.weight.val().device();
        let inputs = StepRandom::new(5, step, 0).normals(8 * 6);
        let inputs = Tensor::<2>::from_data(TensorData::new(inputs, [8, 6]), &device);
        let truth = Tensor::<2>::from_data(TensorData::new(StepRandom::new(9, 0, 0).normals(18), [6, 3]), &device);
        let difference = network.forward(inputs.clone()) - inputs.matmul(truth);
        (difference.clone() * difference).mean()
    }

    fn evaluate(&self, network: &Linear, _picture: &Path) -> Result<Evaluation, TrainingError> {
        let weight = network.weight.val().abs().mean().into_scalar::<f32>();
        Ok(Evaluation::default().with("weight", f64::from(weight)))
    }

    fn export(&self, network: &Linear, path: &Path) -> Result<(), TrainingError> {
        Ok(CheckpointWriter::new(SaveDtype::F32)
            .with_module("", network, &KeyMap::identity())
            .save(path)?)
    }
}

fn config(steps: u64) -> TrainerConfig {
    let optimizer = OptimizerConfig {
        learning_rate: 0.05,
        warmup_steps: 5,
        ..OptimizerConfig::default()
    };
    TrainerConfig {
        steps,
        log_every: 10,
        evaluate_every: 50,
        optimizer,
        ..TrainerConfig::default()
    }
}

/// Trains in one folder, stopping after `stop` steps of this sitting.
fn train(folder: &Path, stop: u64, resume: bool) -> TrainingSummary {
    let config = config(200);
    let run = if resume {
        RunFolder::open(folder)
    } else {
        RunFolder::create(folder, &config)
    };
    let run = run.expect("a folder");
    let mut trainer = Trainer::new(Regression, config, run, resume, &Device::flex()).expect("a trainer");
    let mut left = stop;
    trainer
        .run(|_| {
            left -= 1;
            if left == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .expect("training works")
}

#[test]
fn resumed_run_equals_uninterrupted_run() {
    let (whole, parts) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    assert!(train(whole.path(), 1000, false).finished);
    assert_eq!(train(parts.path(), 73, false).step, 73);
    assert_eq!(train(parts.path(), 55, true).step, 128);
    assert!(train(parts.path(), 1000, true).finished);
    for file in ["state.safetensors", "regression.safetensors"] {
        let read = |folder: &Path| std::fs::read(folder.join(file)).expect("a file");
        assert!(read(whole.path()) == read(parts.path()), "{file} differs");
    }
}

#[test]
fn batches_of_a_step_are_averaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = TrainerConfig {
        batches_per_step: 2,
        log_every: 1,
        ..config(1)
    };
    let run = RunFolder::create(folder.path(), &config).expect("a folder");
    let mut trainer = Trainer::new(Regression, config, run, false, &Device::flex()).expect("a trainer");
    // Before the first step the average is the weights.
    let network = Regression.network(&Device::flex().autodiff());
    let network = Parameters::collect(&trainer.averaged()).install(network, Which::Latest);
    trainer.run(|_| ControlFlow::Continue(())).expect("training works");
    let metrics = RunFolder::open(folder.path())
        .expect("a run")
        .read_metrics()
        .expect("metrics");
    let logged = |name: &str| metrics[0][name].as_f64().expect("a number");

    let both = (Regression.loss(&network, 0) + Regression.loss(&network, 1)) / 2.0;
    let loss = f64::from(both.clone().inner().into_scalar::<f32>());
    let gradients = both.backward();
    let square = |gradient: Option<f32>| f64::from(gradient.expect("a gradient"));
    let weight = network.weight.val().grad(&gradients);
    let bias = network.bias.as_ref().and_then(|bias| bias.val().grad(&gradients));
    let norm = square(weight.map(|gradient| gradient.square().sum().into_scalar()))
        + square(bias.map(|gradient| gradient.square().sum().into_scalar()));
    assert!((logged("loss") - loss).abs() < 1e-5 * loss, "{} {loss}", logged("loss"));
    assert!(
        (logged("gradient_norm") - norm.sqrt()).abs() < 1e-5 * norm.sqrt(),
        "{}",
        logged("gradient_norm")
    );
}

#[test]
fn training_lowers_the_loss_and_draws_it() {
    let folder = tempfile::tempdir().expect("a folder");
    train(folder.path(), 1000, false);
    let metrics = RunFolder::open(folder.path())
        .expect("a run")
        .read_metrics()
        .expect("metrics");
    let losses: Vec<f64> = metrics.iter().filter_map(|line| line.get("loss")?.as_f64()).collect();
    assert_eq!(losses.len(), 20);
    assert!(losses[19] < 0.05 * losses[0], "{losses:?}");
    assert!(folder.path().join("loss.png").exists());
}

#[test]
fn a_training_is_never_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    train(folder.path(), 3, false);
    let error = RunFolder::create(folder.path(), &config(5)).expect_err("a training is there");
    assert!(matches!(error, TrainingError::AlreadyThere { .. }), "{error}");
}

#[test]
fn an_empty_folder_cannot_be_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = RunFolder::open(folder.path()).expect_err("nothing there").to_string();
    assert!(error.contains("--resume"), "{error}");
}

#[test]
fn a_truncated_state_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    train(folder.path(), 3, false);
    let path = folder.path().join("state.safetensors");
    let bytes = std::fs::read(&path).expect("a file");
    std::fs::write(&path, &bytes[..bytes.len() - 9]).expect("written");
    let run = RunFolder::open(folder.path()).expect("a run");
    let error = Trainer::new(Regression, config(200), run, true, &Device::flex()).expect_err("half a state");
    assert!(
        matches!(error, TrainingError::State { .. }) && error.to_string().contains("state.safetensors"),
        "{error}"
    );
}
