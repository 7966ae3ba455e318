//! The model file: from its lines to checked expressions.

pub(crate) mod calls;
pub(crate) mod check;
pub(crate) mod conf;
pub(crate) mod lexer;
pub(crate) mod parser;
pub(crate) mod resolve;
mod role_matching;
