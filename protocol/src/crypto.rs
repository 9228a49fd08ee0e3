//! A handful of operations, each with its formula and its source. The primitives are libraries'.

pub mod blind;
pub mod dleq;
pub mod hash;
pub mod seal;
pub mod sign;
pub mod stream;
