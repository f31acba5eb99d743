//! Golden cases on disk: finding them, reading them, comparing with them.

mod array;
mod case;
mod checks;
mod family;

pub use array::{Array, ArrayError};
pub use case::{Case, CaseError};
pub use checks::{Check, Checks, Tolerance};
pub use family::{GoldenRoot, find_root, list_cases};
