//! One module per command.

mod action_model;
pub(crate) mod bench;
mod checkpoint;
pub(crate) mod demo;
pub(crate) mod embed;
pub(crate) mod evaluate;
pub(crate) mod fetch;
pub(crate) mod generate;
pub(crate) mod init_checkpoint;
pub(crate) mod inspect;
pub(crate) mod models;
pub(crate) mod plan;
pub(crate) mod record;
pub(crate) mod rollout;
mod text_encoder;
pub(crate) mod train;
