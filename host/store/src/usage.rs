//! Who uses an image: running commands, by their leases, and containers.

use std::collections::{HashMap, HashSet};

use nacre_oci::{Digest, Result};
use rusqlite::Connection;

use crate::{
    Container, Life, Store,
    layout::Layout,
    meta::{Fault, containers},
};

/// The containers of one image, newest first, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// Those that run.
    pub running: Vec<String>,
    /// Those that do not.
    pub stopped: Vec<String>,
}

impl Users {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.running.len() + self.stopped.len()
    }

    fn add(&mut self, layout: &Layout, container: Container) -> Result<()> {
        match layout.life(&container)? {
            Life::Running => self.running.push(container.id),
            Life::Stopped => self.stopped.push(container.id),
            Life::Ended => {}
        }
        Ok(())
    }
}

/// The containers of one image.
pub(crate) fn users(layout: &Layout, db: &Connection, image: &Digest) -> Result<Users, Fault> {
    let mut users = Users::default();
    containers::of(db, image)?.into_iter().try_for_each(|container| users.add(layout, container))?;
    Ok(users)
}

/// Everything that keeps images from being deleted without being asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    /// What running commands protect.
    pub(crate) leased: HashSet<Digest>,
    /// The containers of each image that has some.
    pub(crate) users: HashMap<Digest, Users>,
    /// The manifests that containers run, ended ones too until they are swept.
    pub(crate) manifests: HashSet<Digest>,
}

impl Usage {
    pub(crate) fn read(layout: &Layout, db: &Connection, leased: HashSet<Digest>) -> Result<Self, Fault> {
        let mut usage = Self { leased, ..Self::default() };
        for container in containers::all(db)? {
            usage.manifests.insert(container.manifest.clone());
            usage.users.entry(container.image.clone()).or_default().add(layout, container)?;
        }
        usage.users.retain(|_, users| users.count() > 0);
        Ok(usage)
    }

    /// Why an image is in use, if it is. The only place that is asked when images are pruned.
    pub(crate) fn of(&self, image: &Digest) -> Option<String> {
        if self.leased.contains(image) {
            return Some("it is being used by a running command".into());
        }
        let users = self.users.get(image)?;
        let by = |kind: &str, id: &String| format!("it is being used by {kind} container {}", short(id));
        users.running.first().map(|id| by("running", id)).or_else(|| users.stopped.first().map(|id| by("stopped", id)))
    }

    /// What is needed whatever becomes of the images.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Digest> {
        self.leased.iter().chain(&self.manifests)
    }
}

/// A container's id as Docker shows it.
pub(crate) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

impl Store {
    /// The containers of each image that has some.
    ///
    /// # Errors
    /// If the metadata or a container's lock cannot be read.
    pub fn users(&self) -> Result<HashMap<Digest, Users>> {
        self.meta.read(|db| Ok(Usage::read(&self.layout, db, HashSet::new())?.users))
    }
}
