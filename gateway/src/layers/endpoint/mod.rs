//! Layer: 端 endpoint. Which certificate is speaking, and is it still good right now.

pub mod authorities;
pub mod caller;
pub mod validity;
