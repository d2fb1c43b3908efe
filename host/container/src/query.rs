//! `ps --filter` (moby's `daemon/list.go`).

use nacre_oci::{Digest, Source};
use regex::{Regex, RegexBuilder};

use crate::{Base, Engine, Error, Listed, MountSource, Result};

const STATES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];
/// The most bytes that a pattern may become.
const MAX_PATTERN: usize = 1 << 20;

/// Which containers are wanted. Of several values for one key one has to fit, of several labels all.
#[derive(Debug, Default)]
pub struct Query {
    ids: Vec<Regex>,
    names: Vec<Regex>,
    labels: Vec<String>,
    without_labels: Vec<String>,
    states: Vec<String>,
    exited: Vec<u8>,
    ancestors: Option<Vec<Ancestor>>,
    before: Option<i64>,
    since: Option<i64>,
    volumes: Vec<String>,
    networks: Vec<String>,
}

/// An image that containers may be made of, or of what was made of it.
#[derive(Debug)]
struct Ancestor {
    image: Digest,
    /// Empty for what has none.
    layers: Vec<Digest>,
}

impl Query {
    /// Reads filters: `id`, `name`, `label`, `label!`, `status`, `exited`, `ancestor`, `before`, `since`, `volume`, `network`.
    ///
    /// # Errors
    /// For other keys, and values that mean nothing, in Docker's words.
    pub fn new<'a>(engine: &Engine, filters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut query = Self::default();
        for (key, value) in filters {
            query.add(engine, key, value)?;
        }
        Ok(query)
    }

    fn add(&mut self, engine: &Engine, key: &str, value: &str) -> Result<()> {
        let invalid = || Error::invalid(format!("Invalid filter '{key}={value}'"));
        let pattern = || RegexBuilder::new(value).size_limit(MAX_PATTERN).build().map_err(|_| invalid());
        match key {
            "id" => self.ids.push(pattern()?),
            "name" => self.names.push(pattern()?),
            "label" => self.labels.push(value.to_owned()),
            "label!" => self.without_labels.push(value.to_owned()),
            "status" if STATES.contains(&value) => self.states.push(value.to_owned()),
            "exited" => self.exited.push(value.parse().map_err(|_| invalid())?),
            "ancestor" => self.ancestors.get_or_insert_default().extend(ancestor(engine, value)?),
            "before" => self.before = Some(engine.find(value)?.created),
            "since" => self.since = Some(engine.find(value)?.created),
            "volume" => self.volumes.push(value.to_owned()),
            "network" => self.networks.push(value.to_owned()),
            "status" => return Err(invalid()),
            _ => return Err(Error::invalid(format!("Invalid filter '{key}'"))),
        }
        Ok(())
    }

    /// Whether containers that do not run are wanted though nobody said `--all`: where a status is asked for.
    pub fn wants_all(&self) -> bool {
        !self.states.is_empty()
    }

    /// Whether a container is wanted.
    pub fn fits(&self, listed: &Listed) -> bool {
        let container = &listed.container;
        let labels = &container.record.config.labels;
        let labelled = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|own| own == value),
            None => labels.contains_key(wanted),
        };
        any(&self.ids, |pattern| pattern.is_match(&container.id))
            && any(&self.names, |pattern| pattern.is_match(&container.name) || pattern.is_match(&format!("/{}", container.name)))
            && self.labels.iter().all(labelled)
            && !self.without_labels.iter().any(labelled)
            && any(&self.states, |state| state == listed.state())
            && any(&self.exited, |code| listed.state() == "exited" && listed.state.code == Some(*code))
            && self.ancestors.as_ref().is_none_or(|list| list.iter().any(|ancestor| ancestor.is_of(listed)))
            && self.before.is_none_or(|time| container.created < time)
            && self.since.is_none_or(|time| container.created > time)
            && any(&self.volumes, |volume| mounts(listed, volume))
            && any(&self.networks, |network| network == listed.network())
    }
}

fn any<T>(list: &[T], fits: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

/// Whether something is mounted at this path, or from it, or is the volume of this name.
fn mounts(listed: &Listed, volume: &str) -> bool {
    let at = listed.container.record.mounts.iter().filter(|mount| !matches!(mount.source, MountSource::Tmpfs(_)));
    let target = volume.trim_end_matches('/');
    at.into_iter().any(|mount| mount.target == target) || listed.mounts().iter().any(|name| name == volume)
}

/// An image that is not there has no containers, which is no error.
fn ancestor(engine: &Engine, name: &str) -> Result<Option<Ancestor>> {
    if engine.store().resolve(name).is_err() {
        return Ok(None);
    }
    match Base::find(engine.store(), name, None) {
        Ok(base) => Ok(Some(Ancestor { image: base.image, layers: base.layers.into_iter().map(|(diff_id, _)| diff_id).collect() })),
        Err(_) => Ok(Some(Ancestor { image: engine.store().resolve(name)?.digest, layers: Vec::new() })),
    }
}

impl Ancestor {
    /// Whether the container's image is this one, or has its layers at the bottom.
    fn is_of(&self, listed: &Listed) -> bool {
        let own = listed.container.record.layers.iter().map(|(diff_id, _)| diff_id);
        let below =
            !self.layers.is_empty() && self.layers.len() <= own.len() && self.layers.iter().zip(own).all(|(one, other)| one == other);
        listed.container.image == self.image || below
    }
}
