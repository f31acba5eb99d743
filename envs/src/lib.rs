//! TODO-DOC.
