//! The policy contract, and policies that obey it.

mod action_chunk_broker;
mod catalog;
#[cfg(feature = "cloned")]
pub mod cloned;
mod error;
#[cfg(test)]
mod fixtures;
mod imperfect;
mod normal;
mod policy;
mod random;
mod replay;
mod scripted;
mod task;

pub use action_chunk_broker::{ActionChunkBroker, ChunkExecution};
pub use catalog::PolicyCatalog;
pub use error::PolicyError;
pub use imperfect::{ImperfectPolicy, Imperfections};
pub use policy::Policy;
pub use random::RandomPolicy;
pub use replay::ReplayPolicy;
pub use scripted::ScriptedExpert;
pub use task::Task;
