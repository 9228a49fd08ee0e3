//! One running node: network, store, import and control socket.
//!
//! Decides nothing about the protocol: it gives the machines of `fairshare-protocol` their frames,
//! clock, randomness and disk.

pub mod config;
pub mod control;
pub mod engine;
pub mod fhir;
pub mod home;
pub mod import;
pub mod journal;
pub mod membership;
pub mod network;
pub mod node;
pub mod offer_file;
pub mod own;
pub mod runtime;
pub mod status;
pub mod store;
pub mod telemetry;
