//! The `worldloop` command.

mod commands;
mod failure;
mod interrupt;
mod progress;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Puts a learned world model in the loop: policies act, the model answers with the next camera frames.
///
/// Start with `worldloop demo`.
#[derive(Debug, Parser)]
#[command(name = "worldloop", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(commands::demo::DemoArgs),
    Evaluate(commands::evaluate::EvaluateArgs),
    Record(commands::record::RecordArgs),
    Train(commands::train::TrainArgs),
    Bench(commands::bench::BenchArgs),
    Models(commands::models::ModelsArgs),
    Inspect(commands::inspect::InspectArgs),
    Generate(Box<commands::generate::GenerateArgs>),
    Embed(commands::embed::EmbedArgs),
    InitCheckpoint(commands::init_checkpoint::InitCheckpointArgs),
    Rollout(commands::rollout::RolloutArgs),
}

fn main() -> ExitCode {
    failure::install_panic_message();
    let cli = Cli::parse();
    failure::report(|| {
        let stop = interrupt::StopFlag::install()?;
        match cli.command {
            Command::Demo(args) => commands::demo::run(&args, &stop),
            Command::Evaluate(args) => commands::evaluate::run(&args, &stop),
            Command::Record(args) => commands::record::run(&args, &stop),
            Command::Train(args) => commands::train::run(&args, &stop),
            Command::Bench(args) => commands::bench::run(&args, &stop),
            Command::Models(args) => commands::models::run(&args),
            Command::Inspect(args) => commands::inspect::run(&args, &stop),
            Command::Generate(args) => commands::generate::run(&args, &stop),
            Command::Embed(args) => commands::embed::run(&args, &stop),
            Command::InitCheckpoint(args) => commands::init_checkpoint::run(&args),
            Command::Rollout(args) => commands::rollout::run(&args, &stop),
        }
    })
}
