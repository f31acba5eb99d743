//! The policy contract, and policies that obey it.

mod error;
mod policy;

pub use error::PolicyError;
pub use policy::Policy;
