//! Where plugins decide: search filters in a row, and prune policies of which any keep wins.

use anyhow::{Context as _, Result, bail};
use nacre_plugin::{Action, Hit, Kv, Pick, Plugin, Plugins, Summary, Verdict};
use nacre_store::{CacheRecord, Decision, Image, Kept, Survey};

use crate::context::Context;

/// The filters of a search: the configuration's, then the command line's.
pub(crate) struct SearchFilters {
    plugins: Plugins,
    options: Vec<Kv>,
}

impl SearchFilters {
    /// Looks each key's plugin up, so that an unknown key fails before anybody is asked.
    pub(crate) fn new(context: &Context, given: &[String]) -> Result<Self> {
        let plugins = context.plugins()?;
        let all = context.config.search.filters.iter().chain(given);
        let options = all.map(|text| pair(text, "filter")).collect::<Result<Vec<_>>>()?;
        for option in &options {
            plugins.search_filter(&option.key)?;
        }
        Ok(Self { plugins, options })
    }

    /// What is left of `hits`, each with the filters' notes. Every plugin is called once, with all its options.
    pub(crate) fn apply(&self, context: &Context, term: &str, hits: Vec<Hit>) -> Result<Vec<(Hit, String)>> {
        let mut hits: Vec<(Hit, String)> = hits.into_iter().map(|hit| (hit, String::new())).collect();
        let mut called: Vec<&str> = Vec::new();
        for option in &self.options {
            let plugin = self.plugins.search_filter(&option.key)?;
            if called.contains(&plugin.name()) {
                continue;
            }
            called.push(plugin.name());
            let own: Vec<Kv> = self.options.iter().filter(|o| plugin.manifest.provides.search_filter.contains(&o.key)).cloned().collect();
            let given: Vec<Hit> = hits.iter().map(|(hit, _)| hit.clone()).collect();
            let picks = plugin.filter(term, &own, &given);
            context.show_log(plugin);
            hits = picked(&hits, picks?);
        }
        Ok(hits)
    }
}

/// The picked hits in the plugin's order, or by score where it gave scores.
fn picked(hits: &[(Hit, String)], mut picks: Vec<Pick>) -> Vec<(Hit, String)> {
    if picks.iter().any(|pick| pick.score.is_some()) {
        picks.sort_by(|a, b| b.score.unwrap_or(f32::MIN).total_cmp(&a.score.unwrap_or(f32::MIN)));
    }
    let with_note = |pick: &Pick| {
        let (hit, mut note) = hits[pick.index as usize].clone();
        if let Some(more) = &pick.note {
            note = if note.is_empty() { more.clone() } else { format!("{note}; {more}") };
        }
        (hit, note)
    };
    picks.iter().map(with_note).collect()
}

/// `KEY=VALUE`.
pub(crate) fn pair(text: &str, what: &str) -> Result<Kv> {
    let (key, value) = text.split_once('=').with_context(|| format!("bad format of {what} '{text}' (expected name=value)"))?;
    Ok(Kv::new(key.trim(), value.trim()))
}

/// A prune policy and its options.
pub(crate) struct Policy {
    pub name: String,
    pub options: Vec<Kv>,
}

impl Policy {
    /// `NAME[,key=value…]`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default().trim().to_owned();
        if name.is_empty() || name.contains('=') {
            bail!("bad policy '{text}' (expected NAME[,key=value…])");
        }
        let options = parts.map(|part| pair(part, "policy option")).collect::<Result<_>>()?;
        Ok(Self { name, options })
    }
}

/// What the policies together decided.
#[derive(Default)]
pub(crate) struct Verdicts {
    /// The images that every policy would take.
    pub decisions: Vec<Decision>,
    /// Images that some policy would take and another keeps, with its reason.
    pub kept: Vec<Kept>,
}

/// Asks every policy about every image. An image goes only if all of them say so; if they differ in what to do, the milder wins.
pub(crate) fn decide(context: &Context, survey: &Survey, policies: &[Policy]) -> Result<Verdicts> {
    let plugins = context.plugins()?;
    let found = policies.iter().map(|policy| Ok((policy, plugins.prune_policy(&policy.name)?))).collect::<Result<Vec<_>>>()?;
    let images = survey.images().iter().filter(|image| is_heard_of(image));
    let summaries = summaries(survey);
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let ask = |(policy, plugin): (_, _)| Votes::of(context, plugin, policy, now, &summaries);
    let votes = found.into_iter().map(ask).collect::<Result<Vec<_>>>()?;
    let mut verdicts = Verdicts::default();
    for (index, image) in images.enumerate() {
        count(image, &votes.iter().map(|votes| votes.on(index)).collect::<Vec<_>>(), &mut verdicts);
    }
    Ok(verdicts)
}

/// Asks every policy about records of the build cache; the indexes of those that all of them want gone.
///
/// To a policy a record is an image without a name, built when it was made, of the size of its layers; its operation is the
/// label `description`.
pub(crate) fn decide_records(context: &Context, records: &[CacheRecord], policies: &[Policy]) -> Result<Vec<usize>> {
    let plugins = context.plugins()?;
    let seconds = |at: i64| u64::try_from(at).unwrap_or_default();
    let summary = |record: &CacheRecord| Summary {
        id: record.key.to_string(),
        names: Vec::new(),
        dangling: true,
        created: seconds(record.created),
        pulled: None,
        built: Some(seconds(record.created)),
        last_used: Some(seconds(record.last_used)),
        size: record.size(),
        shared: 0,
        in_use: false,
        pinned: false,
        labels: vec![Kv::new("description", &record.description)],
        platforms: Vec::new(),
    };
    let summaries: Vec<Summary> = records.iter().map(summary).collect();
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let ask = |policy: &Policy| Votes::of(context, plugins.prune_policy(&policy.name)?, policy, now, &summaries);
    let votes = policies.iter().map(ask).collect::<Result<Vec<_>>>()?;
    let goes = |index: &usize| votes.iter().all(|votes| votes.on(*index).action != Action::Keep);
    Ok((0..records.len()).filter(goes).collect())
}

/// What one policy says of every image; one that it does not mention stays.
struct Votes {
    policy: String,
    verdicts: Vec<Option<Verdict>>,
}

/// One policy's word on one image.
struct Vote<'a> {
    policy: &'a str,
    action: Action,
    reason: &'a str,
}

impl Votes {
    fn of(context: &Context, plugin: &Plugin, policy: &Policy, now: u64, summaries: &[Summary]) -> Result<Self> {
        let answer = plugin.decide(&policy.name, now, &policy.options, summaries);
        context.show_log(plugin);
        let mut verdicts: Vec<Option<Verdict>> = summaries.iter().map(|_| None).collect();
        for verdict in answer? {
            let index = verdict.index as usize;
            verdicts[index] = Some(verdict);
        }
        Ok(Self { policy: policy.name.clone(), verdicts })
    }

    fn on(&self, index: usize) -> Vote<'_> {
        let (action, reason) = self.verdicts[index].as_ref().map_or((Action::Keep, ""), |verdict| (verdict.action, &verdict.reason));
        Vote { policy: &self.policy, action, reason }
    }
}

fn count(image: &Image, votes: &[Vote<'_>], verdicts: &mut Verdicts) {
    let keeps = votes.iter().find(|vote| vote.action == Action::Keep);
    let goes: Vec<&Vote<'_>> = votes.iter().filter(|vote| vote.action != Action::Keep).collect();
    let kept = |vote: &Vote<'_>, reason: &str| Kept {
        image: image.id.clone(),
        names: image.references.clone(),
        reason: format!("{}: {reason}", vote.policy),
    };
    match (keeps, &goes[..]) {
        (_, []) => {
            if let Some(vote) = keeps.filter(|vote| !vote.reason.is_empty()) {
                verdicts.kept.push(kept(vote, vote.reason));
            }
        }
        (Some(vote), _) => {
            let reason = if vote.reason.is_empty() { "does not want it removed" } else { vote.reason };
            verdicts.kept.push(kept(vote, reason));
        }
        (None, goes) => {
            let mild = goes.iter().any(|vote| vote.action == Action::Untag);
            let (reasons, policies): (Vec<&str>, Vec<&str>) = goes.iter().map(|vote| (vote.reason, vote.policy)).unzip();
            verdicts.decisions.push(Decision {
                image: image.id.clone(),
                action: if mild { nacre_store::Action::Untag } else { nacre_store::Action::Delete },
                reason: reasons.join("; "),
                policy: policies.join(", "),
            });
        }
    }
}

/// Whether plugins hear of an image: not of those that are only a part of another.
fn is_heard_of(image: &Image) -> bool {
    image.child_of.is_empty() || image.is_tagged()
}

/// What plugins are told of images.
pub(crate) fn summaries(survey: &Survey) -> Vec<Summary> {
    let seconds = |at: i64| u64::try_from(at).unwrap_or_default();
    let summary = |image: &Image, shared: u64| Summary {
        id: image.id.to_string(),
        names: image.references.iter().map(ToString::to_string).collect(),
        dangling: image.is_dangling(),
        created: seconds(image.created.unwrap_or(image.recorded)),
        // What came in another way, such as from an archive, came when it was recorded.
        pulled: image.pulled.or(image.built.is_none().then_some(image.recorded)).map(seconds),
        built: image.built.map(seconds),
        last_used: image.last_used.map(seconds),
        size: image.size,
        shared,
        in_use: survey.is_in_use(&image.id),
        pinned: image.pinned,
        labels: image.labels.iter().map(|(key, value)| Kv::new(key, value)).collect(),
        platforms: image.platforms.iter().filter(|(_, present)| *present).map(|(platform, _)| plugin_platform(platform)).collect(),
    };
    let heard_of = survey.images().iter().zip(survey.sizes()).filter(|(image, _)| is_heard_of(image));
    heard_of.map(|(image, size)| summary(image, size.shared)).collect()
}

pub(crate) fn plugin_platform(platform: &nacre_oci::Platform) -> nacre_plugin::Platform {
    nacre_plugin::Platform { os: platform.os.clone(), arch: platform.architecture.clone(), variant: platform.variant.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_a_name_and_options() {
        let policy = Policy::parse("keep-last,keep=3,by=semver").unwrap();
        assert_eq!((policy.name.as_str(), policy.options.len()), ("keep-last", 2));
        for text in ["", ",keep=3", "keep=3", "keep-last,keep"] {
            assert!(Policy::parse(text).is_err(), "'{text}' was accepted");
        }
    }

    #[test]
    fn scores_sort_and_notes_add_up() {
        let hit = |name: &str| {
            let text = |s: &str| s.to_owned();
            let extra = Vec::new();
            (
                Hit { name: text(name), description: text(""), stars: 0, official: false, automated: false, registry: text(""), extra },
                text("a"),
            )
        };
        let pick = |index, score, note: Option<&str>| Pick { index, score, note: note.map(str::to_owned) };
        let hits = [hit("x"), hit("y")];
        let out = picked(&hits, vec![pick(0, Some(0.5), None), pick(1, Some(2.0), Some("b"))]);
        let names: Vec<_> = out.iter().map(|(hit, note)| (hit.name.as_str(), note.as_str())).collect();
        assert_eq!(names, [("y", "a; b"), ("x", "a")]);
    }
}
