//! Where the policy comes from: two files that are believed, or a bundle that people have signed.

use hangu_audit::key::{KeyKind, Verifier};
use toml::Spanned;

use super::reader::Reader;
use crate::bundle::manifest::seconds;
use crate::config::bounds;
use crate::config::file::{self, Text};
use crate::config::policy::{Policy, PolicyBundle, PolicySource, Shadow, ShadowSource};
use crate::config::problem::Fault;

pub(super) fn policy(
    reader: &mut Reader<'_, '_>,
    written: Option<&Spanned<file::Policy>>,
) -> Option<Policy> {
    let at = written?;
    let source = match &at.get_ref().bundle {
        Some(name) => bundle(reader, at.get_ref(), name).map(PolicySource::Bundle),
        None => files(reader, at),
    };
    let shadow = at.get_ref().shadow.as_ref();
    let shadow = shadow.map(|written| shadow_policy(reader, written, source.as_ref()));
    Some(Policy {
        source: source?,
        shadow: match shadow {
            Some(shadow) => Some(shadow?),
            None => None,
        },
    })
}

fn files(reader: &mut Reader<'_, '_>, at: &Spanned<file::Policy>) -> Option<PolicySource> {
    let written = at.get_ref();
    for (key, place) in [
        ("keys", written.keys.as_ref().map(Spanned::span)),
        ("signatures", written.signatures.as_ref().map(Spanned::span)),
        ("state", written.state.as_ref().map(Spanned::span)),
    ] {
        if let Some(place) = place {
            let what = format!("`{key}` is about a bundle, and there is none");
            let fix = "remove it, or name a `bundle`";
            reader.fault(&Spanned::new(place, ()), Fault::new(what, fix));
        }
    }
    for (key, text) in [("model", &written.model), ("rules", &written.rules)] {
        if text.is_none() {
            let what = format!("`[policy]` has no `{key}`");
            let fix = "add `model` and `rules`, or a signed `bundle`";
            reader.fault(at, Fault::new(what, fix));
        }
    }
    let model = reader.file(written.model.as_ref());
    let rules = reader.file(written.rules.as_ref());
    Some(PolicySource::Files {
        model: model?,
        rules: rules?,
    })
}

fn bundle(
    reader: &mut Reader<'_, '_>,
    written: &file::Policy,
    name: &Text,
) -> Option<PolicyBundle> {
    for (key, text) in [("model", &written.model), ("rules", &written.rules)] {
        if let Some(text) = text {
            let what = format!("`{key}` stands beside `bundle`, which holds its own");
            reader.fault(text, Fault::new(what, "remove one of the two"));
        }
    }
    let file = reader.file(Some(name));
    if written.keys.is_none() {
        let fix = "add `keys = […]`: the public keys that `hangu policy sign --make-key` prints";
        reader.fault(name, Fault::new("`bundle` stands without `keys`", fix));
    }
    let keys = keys(reader, written);
    let signatures = reader.count(written.signatures.as_ref(), &bounds::SIGNATURES);
    let signatures = usize::try_from(signatures.get()).unwrap_or(usize::MAX);
    if let Some(at) = &written.keys
        && keys.len() == at.get_ref().len()
        && keys.len() < signatures
    {
        let what = format!("{signatures} keys must sign, and here are {}", keys.len());
        let fix = "add the keys of the others, or set `signatures` lower";
        reader.fault(at, Fault::new(what, fix));
    }
    let state = match &written.state {
        Some(state) => reader.output(state),
        None => {
            let fix = "add `state = …`: a file that the gateway may write and that survives a reboot, such as `/var/lib/hangu/policy.state`";
            reader.fault(name, Fault::new("`bundle` stands without `state`", fix));
            None
        }
    };
    Some(PolicyBundle {
        file: file?,
        keys,
        signatures,
        state: state?,
    })
}

fn shadow_policy(
    reader: &mut Reader<'_, '_>,
    at: &Spanned<file::Shadow>,
    source: Option<&PolicySource>,
) -> Option<Shadow> {
    let written = at.get_ref();
    let expires = reader.read(written.expires.as_ref(), |text| {
        let what = || format!("`{text}` is no time");
        let fix = "write a time of RFC 3339 in quotes, such as `2027-01-31T00:00:00Z`";
        seconds(text).ok_or_else(|| Fault::new(what(), fix))
    });
    let source = match (&written.rules, &written.extra, &written.bundle) {
        (Some(rules), None, None) => {
            let rules = reader.file(Some(rules));
            let model = match &written.model {
                Some(model) => Some(reader.file(Some(model))?),
                None => None,
            };
            rules.map(|rules| ShadowSource::Files { model, rules })
        }
        (None, Some(extra), None) => reader.file(Some(extra)).map(ShadowSource::Extra),
        (None, None, Some(bundle)) => {
            if matches!(source, Some(PolicySource::Files { .. })) {
                let fix = "put the policy in force into a bundle too, or name `rules` here";
                let what = "there are no `keys` that could have signed this bundle";
                reader.fault(bundle, Fault::new(what, fix));
            }
            reader.file(Some(bundle)).map(ShadowSource::Bundle)
        }
        _ => {
            let what = "`[policy.shadow]` needs one of `rules`, `extra` and `bundle`";
            reader.fault(at, Fault::new(what, "write one of the three, and only one"));
            None
        }
    };
    if let (Some(model), None) = (&written.model, &written.rules) {
        let what = "`model` stands without `rules`";
        reader.fault(model, Fault::new(what, "remove it, or add `rules`"));
    }
    Some(Shadow {
        source: source?,
        expires: expires?,
    })
}

/// Keys of different people: one under two names would count twice for whoever reads the configuration, and once here.
fn keys(reader: &mut Reader<'_, '_>, written: &file::Policy) -> Vec<Verifier> {
    let keys = reader.read_each(written.keys.as_ref(), |text| {
        let fix = "write the line that `hangu policy sign --make-key` printed";
        let key = Verifier::parse(text).map_err(|_| {
            Fault::new(
                format!("`{text}` is no public key, or not the whole of one"),
                fix,
            )
        })?;
        if key.kind() == KeyKind::Note {
            return Ok(key);
        }
        let what = format!("`{text}` is a key for checkpoints, not for bundles");
        Err(Fault::new(what, fix))
    });
    let distinct = keys.iter().map(|(place, key)| (*place, key.public_key()));
    reader.no_two(distinct, |_| {
        let what = "this key stands here for the second time";
        Fault::new(what, "remove it; each person signs with a key of their own")
    });
    let names = keys
        .iter()
        .map(|(place, key)| (*place, key.name().as_str()));
    reader.no_two(names, |name| {
        let what = format!("a key of the name `{name}` stands here already");
        Fault::new(what, "let each person make a key of another name")
    });
    keys.into_iter().map(|(_, key)| key).collect()
}
