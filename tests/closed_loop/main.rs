//! The closed loop: one contract, two worlds.

mod determinism;
mod embedded;
mod learned_env;
mod physics_env;
mod policies;
mod true_size;
mod vector_env;
mod worlds;
mod wrappers;
