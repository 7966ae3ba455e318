//! Who is calling, in the words of the policy: subject, organisation, device and attributes, out of certificate and directory.
//!
//! A certificate gives what its authority vouched for, by the templates of `[identity]`. The directory adds what changes faster, and
//! where both speak the directory counts. Whatever neither knows is absent, and a rule that reads it refuses; only the
//! posture of a device is never absent: not known, it is the worst.

use std::sync::Arc;

use hangu_audit::Inputs;
use hangu_certs::{Directory, Holder, Identity};
use hangu_policy::Value;

use crate::config::{self, ANONYMOUS_SUBJECT};
use crate::denial::Denial;
use crate::layers::endpoint::authorities::Authorities;

/// How a generation knows its callers.
#[derive(Debug)]
pub struct Callers {
    rules: config::Identity,
    directory: Directory,
    posture_age_seconds_max: u32,
    authorities: Authorities,
}

/// What one generation knows of a caller.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The policy subject; `None` when neither the template nor the directory gives a usable one.
    pub subject: Option<String>,
    /// The organisation that it acts for.
    pub organisation: Option<String>,
    /// Why it is refused whatever it asks for.
    pub refused: Option<Denial>,
    holder: Option<Arc<Holder>>,
    posture_age_seconds_max: u32,
    /// What the policy may read, with the posture as measured.
    attributes: Box<[(String, Value)]>,
    /// The same with the worst posture, for when the measurement is too old.
    attributes_unmeasured: Box<[(String, Value)]>,
    /// Both for the audit record.
    inputs: Inputs,
    inputs_unmeasured: Inputs,
}

impl Callers {
    /// Callers as `rules` describe them, with what `directory` knows.
    #[must_use]
    pub fn new(rules: &config::Identity, directory: Directory, authorities: Authorities) -> Self {
        Self {
            rules: rules.clone(),
            directory,
            authorities,
            posture_age_seconds_max: u32::try_from(rules.posture_max_age.as_secs())
                .unwrap_or(u32::MAX),
        }
    }

    /// What the organisation knows about holders.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The caller behind an identity; without one, it is [`ANONYMOUS_SUBJECT`]. `vouched` are the trust domains that the authorities
    /// who let it in may vouch for, where they have such of their own.
    #[must_use]
    pub fn caller(&self, identity: Option<&Identity>, vouched: Option<&[String]>) -> Caller {
        let Some(identity) = identity else {
            let known = inputs(&[posture(0)], None);
            return Caller {
                subject: Some(ANONYMOUS_SUBJECT.to_owned()),
                attributes: Box::new([posture(0)]),
                attributes_unmeasured: Box::new([posture(0)]),
                inputs: Arc::clone(&known),
                inputs_unmeasured: known,
                ..Caller::default()
            };
        };
        let authority = self.authorities.name(identity);
        let named = self.rules.subject.render_under(identity, authority);
        let holder = self
            .directory
            .find(identity, named.as_deref().unwrap_or_default())
            .cloned();
        let known = holder.as_deref();
        let subject = known.and_then(|holder| holder.subject.clone()).or(named);
        let organisation = known
            .and_then(|holder| holder.organisation.clone())
            .or_else(|| {
                let organisation = self.rules.organisation.as_ref()?;
                organisation.render_under(identity, authority)
            });
        let attributes = |measured: u8| {
            let mut attributes = vec![posture(measured)];
            let text = |name: &str, value: String| (name.to_owned(), Value::Text(value));
            attributes.extend(organisation.clone().map(|value| text(ORGANISATION, value)));
            attributes.extend(
                known
                    .and_then(|holder| holder.device_class.clone())
                    .map(|value| text(DEVICE_CLASS, value)),
            );
            attributes.extend(self.rules.attributes.iter().filter_map(|attribute| {
                let value = attribute.value.render_under(identity, authority)?;
                Some(text(&attribute.name, value))
            }));
            attributes.into_boxed_slice()
        };
        let measured = known.and_then(Holder::posture_measured).unwrap_or(0);
        let (attributes, attributes_unmeasured) = (attributes(measured), attributes(0));
        let known = holder.as_deref();
        Caller {
            subject: subject.filter(|subject| is_usable(subject)),
            organisation,
            refused: self.refuses(identity, vouched),
            holder: holder.clone(),
            posture_age_seconds_max: self.posture_age_seconds_max,
            inputs: inputs(&attributes, known),
            inputs_unmeasured: inputs(&attributes_unmeasured, known),
            attributes,
            attributes_unmeasured,
        }
    }

    /// What the configuration calls the authority at the top of a chain, if it does.
    #[must_use]
    pub fn authority(&self, identity: &Identity) -> Option<&str> {
        self.authorities.name(identity)
    }

    /// A SPIFFE id counts only within the trust domains that are listed: else whoever runs another domain under the
    /// same authorities would name its workloads as ours, and who signs the guests of one host would name them as the callers of another.
    fn refuses(&self, identity: &Identity, vouched: Option<&[String]>) -> Option<Denial> {
        let spiffe = identity.spiffe.as_ref()?;
        // Where there is no list, nothing reads SPIFFE ids: the snapshot sees to that.
        let domains = vouched.or(self.rules.spiffe_trust_domains.as_deref())?;
        let is_ours = domains.iter().any(|ours| ours == spiffe.trust_domain());
        (!is_ours).then_some(Denial::TrustDomain)
    }
}

impl Caller {
    /// What kind of device it is; empty when nobody knows.
    #[must_use]
    pub fn device_class(&self) -> &str {
        let holder = self.holder.as_ref();
        holder
            .and_then(|holder| holder.device_class.as_deref())
            .unwrap_or_default()
    }

    /// What the policy may read of the subject at `now` (seconds since 1970): `posture`, 0 (worst, or not known) to 100, and as far as
    /// they are known `organisation`, `device_class` and the configured attributes. No allocation.
    #[must_use]
    pub fn attributes(&self, now: i64) -> &[(String, Value)] {
        if self.posture_is_known(now) {
            &self.attributes
        } else {
            &self.attributes_unmeasured
        }
    }

    /// The same for the audit record, with the roles and the clearance that the directory gives: what a replay of the decision needs and
    /// neither the policy nor another field of the record has.
    #[must_use]
    pub fn inputs(&self, now: i64) -> &Inputs {
        if self.posture_is_known(now) {
            &self.inputs
        } else {
            &self.inputs_unmeasured
        }
    }

    fn posture_is_known(&self, now: i64) -> bool {
        let holder = self.holder.as_ref();
        holder.is_some_and(|holder| holder.posture_is_known(now, self.posture_age_seconds_max))
    }
}

/// Attributes as the record has them; organisation and device class have fields of their own there.
fn inputs(attributes: &[(String, Value)], known: Option<&Holder>) -> Inputs {
    let own = |name: &str| name == ORGANISATION || name == DEVICE_CLASS;
    let told = attributes.iter().filter(|(name, _)| !own(name));
    let told = told.filter_map(|(name, value)| {
        let text: Box<str> = match value {
            Value::Text(text) => text.as_str().into(),
            Value::Number(number) => number.to_string().into(),
            Value::Bool(_)
            | Value::Null
            | Value::List(_)
            | Value::Object(_)
            | Value::Described(..) => return None,
        };
        Some((name.as_str().into(), text))
    });
    let roles = known.map(|known| known.roles.join(";"));
    let clearance = known.and_then(|known| known.clearance.clone());
    let rights = [(ROLES, roles), (CLEARANCE, clearance)];
    let rights = rights
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
        .map(|(name, value)| (name.into(), value.into()));
    told.chain(rights).collect()
}

/// The name that is kept for clients without a certificate is nobody else's.
fn is_usable(subject: &str) -> bool {
    !subject.is_empty() && !subject.eq_ignore_ascii_case(ANONYMOUS_SUBJECT)
}

fn posture(measured: u8) -> (String, Value) {
    (POSTURE.to_owned(), Value::Number(f64::from(measured)))
}

/// Attributes that every caller may have; `[identity.attributes]` cannot name them.
pub const OWN_ATTRIBUTES: [&str; 3] = [POSTURE, ORGANISATION, DEVICE_CLASS];
/// What the record calls the directory's part of the policy: no attribute can be called so.
const ROLES: &str = "directory:roles";
const CLEARANCE: &str = "directory:clearance";
const POSTURE: &str = "posture";
const ORGANISATION: &str = "organisation";
const DEVICE_CLASS: &str = "device_class";
