//! Who may receive what: a relation that no rule asks, and the data layer does.
//!
//! Clearance is the last relation of the model without domains, `g2` in ours. Roles that are cleared clear whoever holds them, so
//! a model has to say which relation holds roles: the first with domains; without domains the first of all. Where a model has one
//! relation only, it is both.

use crate::engine::roles::NO_DOMAIN;
use crate::policy::{Policy, RelationTable};

impl Policy {
    /// Whether `subject`, or a role that it holds in `domain`, has `label` in the clearance relation, at a time in milliseconds
    /// since 1970. A label includes what it is linked to. Takes no lock and allocates nothing.
    ///
    /// Rows that hold for a time count in that time; without a time only those without a limit do.
    pub fn clears(
        &self,
        subject: &str,
        domain: &str,
        label: &str,
        time_unix_ms: Option<i64>,
    ) -> bool {
        let Some(clearance) = self.clearance_relation() else {
            return false;
        };
        let membership = self.membership_relation();
        let (Some(labels), Some(subject), Some(label)) = (
            self.roles.get(clearance),
            self.symbols.find(subject),
            self.symbols.find(label),
        ) else {
            return false;
        };
        let at = (time_unix_ms, &self.symbols);
        let cleared = |name| labels.inherits_any(name, NO_DOMAIN, at, &mut |held| held == label);
        if cleared(subject) {
            return true;
        }
        let membership = membership.filter(|number| *number != clearance);
        let Some((number, roles)) = membership.and_then(|n| Some((n, self.roles.get(n)?))) else {
            return false;
        };
        let in_domains = self.relations.get(number).is_some_and(is_in_domains);
        let within = if in_domains {
            roles.domain(domain, self.symbols.find(domain), &self.symbols)
        } else {
            Some(NO_DOMAIN)
        };
        within.is_some_and(|within| {
            roles.inherits_any(subject, within, at, &mut |role| cleared(role))
        })
    }

    /// Everything that stands on the right side of the clearance relation, each once, in the order of the file.
    pub fn clearance_labels(&self) -> impl Iterator<Item = &str> {
        let table = self
            .clearance_relation()
            .and_then(|n| self.relations.get(n));
        self.distinct(table.map(|t| &t.rows), 1)
    }

    /// The number of the relation that says who is cleared for what.
    pub(crate) fn clearance_relation(&self) -> Option<usize> {
        self.relations
            .iter()
            .rposition(|table| !is_in_domains(table))
    }

    /// The number of the relation that says who holds which role.
    pub(crate) fn membership_relation(&self) -> Option<usize> {
        let in_domains = self.relations.iter().position(is_in_domains);
        in_domains.or_else(|| (!self.relations.is_empty()).then_some(0))
    }
}

fn is_in_domains(table: &RelationTable) -> bool {
    table.relation.in_domains
}
