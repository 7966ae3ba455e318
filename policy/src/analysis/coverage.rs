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
    /// For each context, one for each of its rules.
    reached: Vec<Vec<bool>>,
}

impl<'a> Coverage<'a> {
    /// Nothing reached so far, of the rules of all contexts.
    pub fn new(policy: &'a Policy) -> Self {
        let reached = Sheet::all(policy).map(|sheet| vec![false; sheet.len()]);
        Self {
            policy,
            reached: reached.collect(),
        }
    }

    /// Marks every rule that a request in a context matches; costs a look at each rule of it.
    pub fn add(&mut self, context: usize, arguments: &[Value], time_unix_ms: Option<i64>) {
        for (sheet, reached) in Sheet::all(self.policy).zip(&mut self.reached) {
            if sheet.section.context.number != context {
                continue;
            }
            let question = Question::new(sheet, arguments, time_unix_ms);
            for (row, reached) in reached.iter_mut().enumerate() {
                *reached |= matches!(question.nearness(row), Nearness::Matches);
            }
        }
    }

    /// How many rules there are.
    pub fn rules(&self) -> usize {
        self.reached.iter().map(Vec::len).sum()
    }

    /// The rules that no request has matched.
    pub fn unreached(&self) -> Vec<RuleLine> {
        let sheets = Sheet::all(self.policy).zip(&self.reached);
        let unreached = sheets.flat_map(|(sheet, reached)| {
            let rows = (0..).zip(reached).filter(|(_, reached)| !**reached);
            rows.map(move |(row, _)| row_line(sheet, row))
        });
        unreached.collect()
    }
}
