//! The organisation's ceiling: what no plugin gets more than, whoever grants it.

use std::time::Duration;

use serde::Deserialize;

use crate::capability::{Access, Capabilities, Excess, Kind};
use crate::limits::{Limits, parse_memory, parse_time};

/// `[ceiling]` of the configuration. What it does not name it does not bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Ceiling {
    /// The most access to the store.
    pub store: Option<Access>,
    /// The registries that may be granted.
    pub registries: Option<Vec<String>>,
    /// The hosts that may be granted.
    pub net: Option<Vec<String>>,
    /// The globs that may be granted, and all that they cover.
    pub context: Option<Vec<String>>,
    /// The most bytes of memory of a call.
    pub memory: Option<u64>,
    /// The most time of a call.
    pub time: Option<Duration>,
}

/// As it is written, before its entries are checked.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    store: Option<Access>,
    registries: Option<Vec<String>>,
    net: Option<Vec<String>>,
    context: Option<Vec<String>>,
    memory: Option<String>,
    time: Option<String>,
}

impl TryFrom<Written> for Ceiling {
    type Error = String;

    fn try_from(written: Written) -> Result<Ceiling, String> {
        let Written { store, registries, net, context, memory, time } = written;
        for (kind, list) in [(Kind::Registries, &registries), (Kind::Net, &net), (Kind::Context, &context)] {
            kind.check(list.as_deref().unwrap_or_default())?;
        }
        let memory = memory.as_deref().map(parse_memory).transpose()?;
        let time = time.as_deref().map(parse_time).transpose()?;
        Ok(Ceiling { store, registries, net, context, memory, time })
    }
}

impl Ceiling {
    /// The ceiling of both: each can only tighten the other.
    #[must_use]
    pub fn and(self, other: Ceiling) -> Ceiling {
        let list = |kind: Kind, left: Option<Vec<String>>, right| tighter(left, right, |left, right| kind.intersect(&left, &right));
        Ceiling {
            store: tighter(self.store, other.store, Ord::min),
            registries: list(Kind::Registries, self.registries, other.registries),
            net: list(Kind::Net, self.net, other.net),
            context: list(Kind::Context, self.context, other.context),
            memory: tighter(self.memory, other.memory, Ord::min),
            time: tighter(self.time, other.time, Ord::min),
        }
    }

    /// Whether all that is asked for may be granted.
    ///
    /// # Errors
    /// What is too much.
    pub fn check(&self, asked: &Capabilities) -> Result<(), Excess> {
        asked.within(&self.over(asked))
    }

    /// What of `granted` is under the ceiling.
    #[must_use]
    pub fn bound(&self, granted: &Capabilities) -> Capabilities {
        granted.intersect(&self.over(granted))
    }

    /// A call's limits under the ceiling.
    #[must_use]
    pub fn limits(&self, limits: Limits) -> Limits {
        Limits {
            memory: self.memory.map_or(limits.memory, |most| most.min(limits.memory)),
            time: self.time.map_or(limits.time, |most| most.min(limits.time)),
        }
    }

    /// The ceiling over `asked`: where it names nothing, it is just as high.
    fn over(&self, asked: &Capabilities) -> Capabilities {
        Capabilities {
            store: self.store.unwrap_or(asked.store),
            registries: self.registries.as_ref().unwrap_or(&asked.registries).clone(),
            net: self.net.as_ref().unwrap_or(&asked.net).clone(),
            context: self.context.as_ref().unwrap_or(&asked.context).clone(),
        }
    }
}

fn tighter<T>(left: Option<T>, right: Option<T>, both: impl FnOnce(T, T) -> T) -> Option<T> {
    match (left, right) {
        (Some(left), Some(right)) => Some(both(left, right)),
        (left, right) => left.or(right),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn ceiling(text: &str) -> Ceiling {
        toml::from_str(text).unwrap()
    }

    fn caps(text: &str) -> Capabilities {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn what_it_does_not_name_it_does_not_bound() {
        let asked = caps("store='write'\nnet=['a']\nregistries=['*']");
        assert!(Ceiling::default().check(&asked).is_ok());
        assert_eq!(Ceiling::default().bound(&asked), asked);
        let low = ceiling("store='read'\nnet=[]");
        assert_eq!(low.check(&asked).unwrap_err().to_string(), "store = \"write\", net = \"a\"");
        assert_eq!(low.bound(&asked), caps("store='read'\nregistries=['*']"));
    }

    #[test]
    fn two_ceilings_only_tighten() {
        let (system, user) = (
            ceiling("store='read'\nnet=['a','b']\nmemory='64MiB'"),
            ceiling("store='write'\nnet=['b','c']\ncontext=['src/**']\nmemory='1GiB'\ntime='1s'"),
        );
        let both = ceiling("store='read'\nnet=['b']\ncontext=['src/**']\nmemory='64MiB'\ntime='1s'");
        assert_eq!(system.clone().and(user.clone()), both);
        assert_eq!(user.and(system), both);
    }

    #[test]
    fn limits_are_bounded() {
        let limits = Limits { memory: 256 << 20, time: Duration::from_secs(2) };
        let bounded = ceiling("memory='64MiB'\ntime='5s'").limits(limits);
        assert_eq!(bounded, Limits { memory: 64 << 20, time: Duration::from_secs(2) });
        assert!(toml::from_str::<Ceiling>("net=['*.a']").is_err() && toml::from_str::<Ceiling>("memory='64'").is_err());
    }
}
