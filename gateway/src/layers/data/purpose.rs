//! What the data are for: the caller says it, from a closed list, and answers for it in the audit log.
//!
//! A purpose is a claim. It proves nothing of itself; the policy may ask for one, and what was claimed is on record.

use crate::config::Name;
use crate::denial::Denial;

/// The purpose that a request states, as one of `names`; empty when it states none.
///
/// # Errors
/// [`Denial::PurposeMalformed`] for one that is stated twice, [`Denial::PurposeUnknown`] for one that is not in the list.
pub fn stated<'n, 'r>(
    mut values: impl Iterator<Item = &'r [u8]>,
    names: &'n [Name],
) -> Result<&'n str, Denial> {
    let Some(value) = values.next() else {
        return Ok("");
    };
    if values.next().is_some() {
        return Err(Denial::PurposeMalformed);
    }
    let known = names.iter().find(|name| name.as_str().as_bytes() == value);
    known.map(Name::as_str).ok_or(Denial::PurposeUnknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_one_of_the_list_or_none() {
        let names = ["audit", "statistics"].map(|name| Name::parse(name).unwrap());
        for (values, expected) in [
            (&[][..], Ok("")),
            (&["audit"][..], Ok("audit")),
            (&["Audit"], Err(Denial::PurposeUnknown)),
            (&["audit "], Err(Denial::PurposeUnknown)),
            (&[""], Err(Denial::PurposeUnknown)),
            (&["audit, statistics"], Err(Denial::PurposeUnknown)),
            (&["audit", "audit"], Err(Denial::PurposeMalformed)),
        ] {
            let stated = stated(values.iter().map(|value| value.as_bytes()), &names);
            assert_eq!(stated, expected, "{values:?}");
        }
    }
}
