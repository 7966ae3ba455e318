//! Questions about policies.

pub(crate) mod decide;
pub(crate) mod fuzz;
pub(crate) mod national;
