//! Who calls, and whether he may.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use super::call::Refused;

/// Whoever is at the other end of a control connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    name: String,
    place: String,
    permitted: bool,
    remedy: &'static str,
}

impl Caller {
    /// A process of this machine, as the kernel names it. Root, the gateway's own user (`owner`) and those `listed` may call.
    pub(super) fn local(uid: u32, pid: Option<i32>, owner: u32, listed: &[NonZeroU32]) -> Self {
        let permitted = uid == 0 || uid == owner || listed.iter().any(|known| known.get() == uid);
        Self {
            name: format!("uid:{uid}"),
            place: pid.map_or_else(String::new, |pid| format!("pid {pid}")),
            permitted,
            remedy: "call as root or as the gateway's user, or list the user in `control.uids`",
        }
    }

    /// Somebody of a network, as his certificate names him, with an empty name before he has shown one.
    pub(super) fn remote(subject: &str, from: SocketAddr, permitted: bool) -> Self {
        let name = match subject {
            "" => "nobody".to_owned(),
            subject => format!("subject:{subject}"),
        };
        Self {
            name,
            place: from.to_string(),
            permitted,
            remedy: "list the subject in `control.remote.subjects`",
        }
    }

    /// The name in records: `uid:1000` or `subject:spiffe://gov.example/operator`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where the call comes from, for records.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether he may call at all.
    ///
    /// # Errors
    /// 403.
    pub(super) fn check(&self) -> Result<(), Refused> {
        if self.permitted {
            return Ok(());
        }
        let why = format!(
            "{} may not control this gateway; {}",
            self.name, self.remedy
        );
        Err(Refused::new(403, why))
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_owner_and_those_listed_may_call_and_nobody_else() {
        let listed = [NonZeroU32::new(1000).unwrap()];
        for (uid, may) in [
            (0, true),
            (990, true),
            (1000, true),
            (1001, false),
            (u32::MAX, false),
        ] {
            let caller = Caller::local(uid, Some(1), 990, &listed);
            assert_eq!(caller.check().is_ok(), may, "{uid}");
        }
        let refused = Caller::local(7, None, 990, &[]).check().unwrap_err();
        assert_eq!(refused.status, 403);
    }
}
