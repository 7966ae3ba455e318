//! The labels that a policy was written for: `labels.toml` in a bundle. A policy that speaks of classes of data which a gateway
//! does not have, or ranks otherwise, was written for another one.

use serde::Deserialize;

/// The file, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The lowest first, as in `[labels]` of a gateway.
    order: Vec<String>,
}

/// Why a bundle's labels are refused.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    #[error(
        "`labels.toml` cannot be read: {0}; write `order = [\"public\", …]`, the lowest label first"
    )]
    Form(String),
    #[error(
        "the bundle is for the label `{0}`, which the gateway does not have; add it to `order` in `[labels]`, or make a bundle for this gateway"
    )]
    Unknown(String),
    #[error("the bundle ranks the label `{0}` otherwise than the gateway; put both into one order")]
    Order(String),
}

/// Reads the labels of a bundle and holds them against those of a gateway, where it is known: each must be there, in the same
/// order.
pub(crate) fn check(text: &str, gateway: Option<&[String]>) -> Result<(), LabelsError> {
    let file: File = toml::from_str(text)
        .map_err(|error| LabelsError::Form(error.message().replace('\n', " ")))?;
    let Some(gateway) = gateway else {
        return Ok(());
    };
    let mut above = None;
    for label in &file.order {
        let place = gateway.iter().position(|known| known == label);
        let place = place.ok_or_else(|| LabelsError::Unknown(label.clone()))?;
        if above.is_some_and(|above| place <= above) {
            return Err(LabelsError::Order(label.clone()));
        }
        above = Some(place);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_must_be_the_gateways_own_in_its_order() {
        let gateway = ["public", "internal", "sensitive"].map(str::to_owned);
        for (text, refused) in [
            ("order = [\"public\", \"sensitive\"]", ""),
            ("order = []", ""),
            (
                "order = [\"sensitive\", \"public\"]",
                "ranks the label `public`",
            ),
            (
                "order = [\"public\", \"public\"]",
                "ranks the label `public`",
            ),
            ("order = [\"public\", \"secret\"]", "for the label `secret`"),
            ("labels = []", "cannot be read"),
            ("", "cannot be read"),
        ] {
            match check(text, Some(&gateway)) {
                Ok(()) => assert!(refused.is_empty(), "{text}"),
                Err(error) => {
                    let said = error.to_string();
                    assert!(
                        !refused.is_empty() && said.contains(refused),
                        "{text}: {said}"
                    );
                }
            }
        }
    }
}
