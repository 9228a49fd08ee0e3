//! What the tests of the whole share: the project's source, real nodes, the command pages.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this crate is part of tests, which panic when they fail"
)]

pub mod area;
pub mod figures;
pub mod harness;
pub mod lying;
pub mod mesh;
pub mod needles;
pub mod page;
pub mod shared;
pub mod source;
