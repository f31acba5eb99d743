//! The policy contract, and policies that obey it.

#[cfg(feature = "cloned")]
pub mod cloned;
mod error;
mod policy;
mod task;

pub use error::PolicyError;
pub use policy::Policy;
pub use task::Task;
