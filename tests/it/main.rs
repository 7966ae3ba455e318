//! End-to-end tests: the gateway as a process, over real sockets.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod application;
#[cfg(test)]
mod audit;
mod audit_cli;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod certs_cli;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod cloud;
#[cfg(test)]
mod control;
#[cfg(test)]
mod crl_grace;
#[cfg(test)]
mod data;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod edge;
#[cfg(test)]
mod endpoint;
#[cfg(test)]
mod house;
#[cfg(test)]
mod live;
#[cfg(test)]
mod network;
#[cfg(test)]
mod policy_cli;
#[cfg(test)]
mod policy_cli_contexts;
#[cfg(test)]
mod policy_cli_questions;
#[cfg(test)]
mod policy_guide;
#[cfg(test)]
mod process;
#[cfg(test)]
mod real_clients;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod ship;
#[cfg(test)]
mod support;
