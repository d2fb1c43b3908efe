//! Pruning: decisions about images become a plan, which can be shown, saved, and applied.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use nacre_oci::{Digest, Error, Reference, Result};
use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use crate::{
    Image, Store, Survey,
    contents::Contents,
    ingest,
    layout::Layout,
    lease,
    meta::{Fault, cache, containers, edges, images, references},
    planted::{Bug, planted},
    usage::Usage,
};

/// The version of a saved plan.
pub const PLAN_VERSION: u32 = 1;

/// What shall happen to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It loses its names and stays, dangling.
    Untag,
    /// It goes with its names and all that nothing else needs.
    Delete,
}

/// What a policy, or the user, decided about one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The image.
    pub image: Digest,
    /// What shall happen to it.
    pub action: Action,
    /// Why, for the user.
    pub reason: String,
    /// Who decided.
    pub policy: String,
}

/// What a prune will do, in the state in which the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// Unix seconds.
    pub created_at: i64,
    /// What happens to which image.
    pub items: Vec<Item>,
    /// Images that stay although it was decided otherwise.
    pub kept: Vec<Kept>,
    /// The bytes that it frees, with those of content and downloads that no image needs.
    pub bytes: u64,
    /// How many blobs it deletes.
    pub blobs: u64,
}

/// One image of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The image.
    pub image: Digest,
    /// The names that it has; if it gets another, it stays.
    pub names: Vec<Reference>,
    /// What happens to it.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub policy: String,
    /// [`Image::uses`]; if there are more by then, it stays.
    pub uses: u64,
}

/// An image that stays although it was decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The image.
    pub image: Digest,
    /// Its names.
    pub names: Vec<Reference>,
    /// Why it stays.
    pub reason: String,
}

/// What a prune did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The names that went.
    pub untagged: Vec<Reference>,
    /// The images that went.
    pub deleted: Vec<Digest>,
    /// The images that stayed because something has changed since the plan was made.
    pub skipped: Vec<Skipped>,
    /// How many bytes were freed.
    pub reclaimed: u64,
    /// How many blobs were deleted.
    pub blobs: u64,
}

/// An image that a prune left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The image.
    pub image: Digest,
    /// What has changed.
    pub reason: String,
}

/// Turns decisions into a plan. Of several about one image the last counts.
pub(crate) fn plan(survey: &Survey, decisions: &[Decision], now: i64) -> Plan {
    let decided: HashMap<&Digest, &Decision, RandomState> = decisions.iter().map(|one| (&one.image, one)).collect();
    let mut plan = Plan { version: PLAN_VERSION, created_at: now, items: Vec::new(), kept: Vec::new(), bytes: 0, blobs: 0 };
    for image in &survey.images {
        let Some(decision) = decided.get(&image.id) else { continue };
        match obstacle(image, decision.action, &survey.usage) {
            Some(reason) => plan.kept.push(Kept { image: image.id.clone(), names: image.references.clone(), reason }),
            None => plan.items.push(item(image, decision.action, &decision.reason, &decision.policy)),
        }
    }
    let deleted = add_left_over(survey, &mut plan);
    let stay = survey.images.iter().zip(&survey.numbers).filter(|(image, _)| !deleted.contains(&image.id));
    let others = survey.contents.find(survey.usage.roots().chain(&survey.cached));
    let reached = survey.contents.reach(stay.map(|(_, number)| *number).chain(others));
    (plan.blobs, plan.bytes) = survey.contents.present(|content| !reached.has(content));
    plan.bytes = plan.bytes.saturating_add(survey.abandoned);
    plan
}

fn item(image: &Image, action: Action, reason: &str, policy: &str) -> Item {
    let (reason, policy) = (reason.to_owned(), policy.to_owned());
    Item { image: image.id.clone(), names: image.references.clone(), action, reason, policy, uses: image.uses }
}

/// Adds what came only as a part of images that go, and returns all images that go.
fn add_left_over(survey: &Survey, plan: &mut Plan) -> HashSet<Digest, RandomState> {
    let mut deleted: HashSet<Digest, RandomState> =
        plan.items.iter().filter(|i| i.action == Action::Delete).map(|i| i.image.clone()).collect();
    let mut parts: Vec<&Image> = survey.images.iter().filter(|image| !image.child_of.is_empty()).collect();
    let mentioned: HashSet<&Digest> = plan.items.iter().map(|i| &i.image).chain(plan.kept.iter().map(|k| &k.image)).collect();
    parts.retain(|image| !mentioned.contains(&image.id) && survey.usage.of(&image.id).is_none());
    // An index may list an index, so until nothing more is found.
    loop {
        let (more, rest): (Vec<&Image>, _) = parts.into_iter().partition(|image| image.is_left_over(|parent| deleted.contains(parent)));
        if more.is_empty() {
            return deleted;
        }
        parts = rest;
        for image in more {
            let policy = image.child_of.first().and_then(|parent| plan.items.iter().find(|i| i.image == *parent));
            let policy = policy.map(|parent| parent.policy.clone()).unwrap_or_default();
            plan.items.push(item(image, Action::Delete, "a part of an image that goes", &policy));
            deleted.insert(image.id.clone());
        }
    }
}

fn obstacle(image: &Image, action: Action, usage: &Usage) -> Option<String> {
    if image.pinned && !planted(Bug::PinIgnored) {
        return Some("it is pinned".into());
    }
    if action == Action::Untag && image.is_dangling() {
        return Some("it has no name to lose".into());
    }
    usage.of(&image.id)
}

impl Store {
    /// What carrying out the decisions would do. Images that are pinned or in use stay, and the plan says so.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn plan(&self, decisions: Vec<Decision>) -> Result<Plan> {
        Ok(self.survey()?.plan(&decisions))
    }

    /// Carries a plan out, except where an image has been tagged anew, used, pinned or removed since. Also deletes
    /// content that no image and no running command needs, and downloads that nobody goes on with.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a plan of another version; if the store cannot be written.
    pub fn apply(&self, plan: &Plan) -> Result<Applied> {
        if plan.version != PLAN_VERSION {
            let what = format!("a prune plan of version {}", plan.version);
            return Err(Error::Unsupported { what, why: format!("this nacre knows version {PLAN_VERSION}; make the plan anew") });
        }
        let _room = self.make_room();
        let lock = self.layout.lock_exclusive()?;
        let leased = lease::sweep(&self.layout, &lock)?;
        // Before the metadata is written, so that this works on a full disk.
        let freed = ingest::sweep(&self.layout, &lock)?;
        if planted(Bug::BlobsBeforeMetadata) {
            let going: HashSet<&Digest> = plan.items.iter().map(|item| &item.image).collect();
            self.layout.delete_blobs(&lock, going)?;
        }
        let (mut applied, garbage) = self.meta.write(&lock, |tx| {
            let mut applied = Applied::default();
            let usage = Usage::read(&self.layout, tx, leased)?;
            for item in &plan.items {
                apply_item(tx, item, &usage, &mut applied)?;
            }
            let garbage = sweep(tx, &self.layout, &usage.leased)?;
            Ok((applied, garbage))
        })?;
        applied.blobs = garbage.len() as u64;
        applied.reclaimed = freed + self.layout.delete_blobs(&lock, &garbage)?;
        Ok(applied)
    }
}

fn apply_item(tx: &Transaction<'_>, item: &Item, usage: &Usage, applied: &mut Applied) -> Result<(), Fault> {
    let image = images::get(tx, &item.image)?;
    if let Some(reason) = changed(image.as_ref(), item, usage) {
        applied.skipped.push(Skipped { image: item.image.clone(), reason });
        return Ok(());
    }
    let names = image.map(|image| image.references).unwrap_or_default();
    references::delete(tx, &names)?;
    applied.untagged.extend(names);
    if item.action == Action::Delete {
        images::delete(tx, &item.image)?;
        applied.deleted.push(item.image.clone());
    }
    Ok(())
}

/// What has happened to the image since the plan was made that forbids to go on.
fn changed(image: Option<&Image>, item: &Item, usage: &Usage) -> Option<String> {
    let since = |what: &str| Some(format!("it has been {what} since"));
    if planted(Bug::StalePlan) {
        return None;
    }
    let Some(image) = image else { return since("removed") };
    if image.pinned {
        return since("pinned");
    }
    if image.references.iter().any(|name| !item.names.contains(name)) {
        return since("tagged anew");
    }
    // Who uses it now says more than that somebody did.
    usage.of(&image.id).or_else(|| if image.uses == item.uses { None } else { since("used") })
}

/// Deletes the edges of documents that nothing needs, and returns the blobs that nothing needs, to be deleted afterwards.
pub(crate) fn sweep(tx: &Transaction<'_>, layout: &Layout, leased: &HashSet<Digest>) -> Result<Vec<Digest>, Fault> {
    let contents = Contents::read(tx, layout)?;
    let roots = images::ids(tx)?;
    let cached = if planted(Bug::CacheForgotten) { HashSet::new() } else { cache::blobs(tx)? };
    let run = if planted(Bug::ContainersForgotten) { HashSet::new() } else { containers::manifests(tx)? };
    let reached = contents.reach(contents.find(roots.iter().chain(leased).chain(&cached).chain(&run)));
    edges::delete_of(tx, &contents.unreached_documents(&reached))?;
    Ok(contents.unreached(&reached))
}
