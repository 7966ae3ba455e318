//! Which rules a set of requests has reached.

use super::explain::{RuleLine, row_line};
use super::question::{Nearness, Question};
use super::reach::Sheet;
use crate::policy::Policy;
use crate::value::Value;

/// Rules and whether some request has matched them.
#[derive(Clone, Debug)]
pub struct Coverage<'a> {
    policy: &'a Policy,
    reached: Vec<bool>,
}

impl<'a> Coverage<'a> {
    /// Nothing reached so far, of the rules of the first context.
    pub fn new(policy: &'a Policy) -> Self {
        let rules = Sheet::first(policy).map_or(0, Sheet::len);
        Self {
            policy,
            reached: vec![false; rules],
        }
    }

    /// Marks every rule that a request matches; costs a look at each rule.
    pub fn add(&mut self, arguments: &[Value], time_unix_ms: Option<i64>) {
        let Some(sheet) = Sheet::first(self.policy) else {
            return;
        };
        let question = Question::new(sheet, arguments, time_unix_ms);
        for (row, reached) in self.reached.iter_mut().enumerate() {
            *reached |= matches!(question.nearness(row), Nearness::Matches);
        }
    }

    /// How many rules there are.
    pub fn rules(&self) -> usize {
        self.reached.len()
    }

    /// The rules that no request has matched.
    pub fn unreached(&self) -> Vec<RuleLine> {
        let rows = (0..).zip(&self.reached).filter(|(_, reached)| !**reached);
        let sheet = Sheet::first(self.policy);
        rows.filter_map(|(row, _)| Some(row_line(sheet?, row)))
            .collect()
    }
}
