//! A Prometheus exporter for the active calls of RingCentral accounts.

pub mod simulator;
