//! Imports as a whole.
