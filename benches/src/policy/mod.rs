//! Questions about policies.

pub(crate) mod decide;
pub(crate) mod fuzz;
mod national;
