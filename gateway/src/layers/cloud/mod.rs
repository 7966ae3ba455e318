//! Layer: 云 cloud. Which tenant's workload serves this, is it really that workload, is it healthy.

pub mod peer;
pub mod prover;
pub mod routes;
pub mod upstreams;
