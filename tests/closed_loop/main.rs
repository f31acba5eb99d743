//! Closed loop.
