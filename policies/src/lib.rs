//! The policy contract, and policies that obey it.
//!
//! The contract is [`Policy`]: `reset` at the start of an episode, then `act`, which answers an observation with a chunk
//! of actions. Neither Burn nor a physics engine is needed, except for `cloned` behind the feature of that name.
//!
//! | policy | needs | acts in |
//! |---|---|---|
//! | [`RandomPolicy`] | nothing | every world |
//! | [`ReplayPolicy`] | recorded actions | every world |
//! | [`ScriptedExpert`] | privileged state | physics |
//! | `cloned::ClonedPolicy` | the third-person camera | every world that draws it |
//!
//! [`ImperfectPolicy`] makes any of them worse, [`ActionChunkBroker`] cuts or blends their chunks.
//!
//! # Example
//! ```
//! use worldloop_envs::physics::{PhysicsConfig, PhysicsEnv, PhysicsTask};
//! use worldloop_envs::{Env, ResetOptions};
//! use worldloop_policies::{Policy, ScriptedExpert};
//!
//! let mut env = PhysicsEnv::new(PhysicsConfig::for_task(PhysicsTask::Reach));
//! let mut policy = ScriptedExpert::new();
//! let (mut observation, _) = env.reset(Some(1), &ResetOptions::default())?;
//! policy.reset(env.spec(), 1)?;
//! for _ in 0..env.spec().max_episode_steps {
//!     let steps = env.step_chunk(&policy.act(&observation)?)?;
//!     let Some(step) = steps.into_iter().last() else { break };
//!     if step.is_last() {
//!         assert_eq!(step.info.success, Some(true));
//!         break;
//!     }
//!     observation = step.observation;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod action_chunk_broker;
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
pub use error::PolicyError;
pub use imperfect::{ImperfectPolicy, Imperfections};
pub use policy::Policy;
pub use random::RandomPolicy;
pub use replay::ReplayPolicy;
pub use scripted::ScriptedExpert;
pub use task::Task;
