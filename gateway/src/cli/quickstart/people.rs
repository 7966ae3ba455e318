//! The clerks of the demonstration.

/// A clerk with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Person {
    /// A clerk of civil affairs.
    Li,
    /// Another, whose certificate is revoked while she is connected (in the self-test alone).
    Chen,
    /// A clerk of the tax bureau.
    Wang,
    /// A clerk of civil affairs who has left: revoked.
    Zhou,
    /// A clerk of civil affairs whose certificate has expired.
    Sun,
    /// Somebody whom a foreign CA calls Li.
    FalseLi,
}

/// What has become of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Good,
    Revoked,
    Expired,
    Foreign,
}

impl Person {
    /// All of them.
    pub(super) const ALL: [Person; 6] = [
        Person::Li,
        Person::Chen,
        Person::Wang,
        Person::Zhou,
        Person::Sun,
        Person::FalseLi,
    ];

    /// Name of the file with certificate and key.
    pub(super) fn file(self) -> &'static str {
        match self {
            Person::Li => "li.pem",
            Person::Chen => "chen.pem",
            Person::Wang => "wang.pem",
            Person::Zhou => "zhou-revoked.pem",
            Person::Sun => "sun-expired.pem",
            Person::FalseLi => "li-foreign-ca.pem",
        }
    }

    /// The SPIFFE id: trust domain, department, role, name.
    pub(super) fn spiffe(self) -> &'static str {
        match self {
            Person::Li | Person::FalseLi => "spiffe://gov.hangu.test/civil-affairs/clerk/li",
            Person::Chen => "spiffe://gov.hangu.test/civil-affairs/clerk/chen",
            Person::Wang => "spiffe://gov.hangu.test/tax/clerk/wang",
            Person::Zhou => "spiffe://gov.hangu.test/civil-affairs/clerk/zhou",
            Person::Sun => "spiffe://gov.hangu.test/civil-affairs/clerk/sun",
        }
    }

    /// The department, for the certificate's subject.
    pub(super) fn organisation(self) -> &'static str {
        match self {
            Person::Wang => "Tax Bureau",
            Person::Li | Person::Chen | Person::Zhou | Person::Sun | Person::FalseLi => {
                "Civil Affairs Bureau"
            }
        }
    }

    /// The name, for the certificate's subject.
    pub(super) fn name(self) -> &'static str {
        match self {
            Person::Li | Person::FalseLi => "Li",
            Person::Chen => "Chen",
            Person::Wang => "Wang",
            Person::Zhou => "Zhou",
            Person::Sun => "Sun",
        }
    }

    /// What has become of the certificate.
    pub(super) fn fate(self) -> Fate {
        match self {
            Person::Li | Person::Chen | Person::Wang => Fate::Good,
            Person::Zhou => Fate::Revoked,
            Person::Sun => Fate::Expired,
            Person::FalseLi => Fate::Foreign,
        }
    }
}

/// What all ids of the demonstration begin with.
pub(super) const TRUST_DOMAIN: &str = "spiffe://gov.hangu.test/";
