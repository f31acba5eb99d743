//! One module per command.

pub(crate) mod record;
pub(crate) mod train;
