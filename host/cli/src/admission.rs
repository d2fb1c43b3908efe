//! Where admission plugins decide whether something may happen to an image, before it does.
//!
//! Every one that is there is asked, the bundled `rules` only if it has settings or is required. One denial is enough, and
//! a plugin that fails or is missing although it is required denies too. Without any no plugin is run.

use anyhow::{Result, bail};
use nacre_oci::{Descriptor, Document, ImageConfig, MAX_CONFIG, Reference, Select, Source, media_type, plan, read_small};
use nacre_plugin::{
    Kv, Origin, Plugin, Plugins,
    admission::{Decision, Operation, Request},
};
use nacre_store::{Image, Store};

use crate::{context::Context, failure::warn, policy::plugin_platform};

/// The rules that apply in one run.
pub(crate) struct Admission<'a> {
    context: &'a Context,
    plugins: Plugins,
    required: &'a [String],
}

impl<'a> Admission<'a> {
    /// The rules of the plugins that there are.
    pub(crate) fn new(context: &'a Context) -> Result<Self> {
        Ok(Self { context, plugins: context.plugins()?, required: &context.config.admission.required })
    }

    /// Whether anybody would be asked.
    pub(crate) fn applies(&self) -> bool {
        !self.required.is_empty() || self.asked().next().is_some()
    }

    fn asked(&self) -> impl Iterator<Item = &Plugin> {
        let required = |plugin: &Plugin| self.required.iter().any(|name| is_called(plugin, name));
        self.plugins.admission().filter(move |one| one.origin != Origin::Bundled || !one.settings.is_empty() || required(one))
    }

    /// Ends with an error if `operation` on the image at `root` of `source` is denied under one of its `names`. Reads the
    /// image's documents and configs, and no layer.
    pub(crate) fn admit(
        &self,
        operation: Operation,
        names: &[Reference],
        source: &dyn Source,
        root: &Descriptor,
        select: &Select,
    ) -> Result<()> {
        if !self.applies() {
            return Ok(());
        }
        let facts = facts(source, root, select)?;
        each_name(names).try_for_each(|name| self.ask(&requests(operation, name, root, &facts)))
    }

    /// Ends with an error if one of the requests, which are about one image under one name, is denied.
    fn ask(&self, requests: &[Request]) -> Result<()> {
        let Some(first) = requests.first() else { return Ok(()) };
        let what = format!("{} {}", verb(first.operation), first.name.as_deref().unwrap_or(&first.digest));
        match self.denial(requests, &what) {
            Some(denial) => bail!("{what} is {denial}"),
            None => Ok(()),
        }
    }

    /// Why the image's removal is denied under one of the names that it would lose, if it is. What cannot be read of an
    /// image that is damaged is left out: it must be possible to remove it.
    pub(crate) fn removal(&self, store: &Store, image: &Image, names: &[Reference]) -> Option<String> {
        let read = || facts(store, &image.descriptor, &Select::Present).ok().filter(|facts| !facts.is_empty());
        let facts = self.applies().then(|| read().unwrap_or_else(|| vec![recorded(image)]))?;
        each_name(names).find_map(|name| {
            let requests = requests(Operation::Remove, name, &image.descriptor, &facts);
            self.denial(&requests, &format!("removing {}", name.map_or_else(|| image.id.to_string(), ToString::to_string)))
        })
    }

    /// `denied by PLUGIN: why (what to do)`, with every plugin's reasons. Warnings are shown.
    fn denial(&self, requests: &[Request], what: &str) -> Option<String> {
        let mut denials: Vec<String> = self.required.iter().filter_map(|name| self.missing(name)).collect();
        for plugin in self.asked() {
            for request in requests {
                let decision = plugin.review(request);
                self.context.show_log(plugin);
                let said = match decision {
                    Ok(Decision::Allow) => continue,
                    Ok(Decision::Warn(reasons)) => {
                        warn(&format!("{} warns about {what}: {}", plugin.name(), in_words(&reasons)));
                        continue;
                    }
                    Ok(Decision::Deny(reasons)) => format!("denied by {}: {}", plugin.name(), in_words(&reasons)),
                    Err(error) => format!("denied because a rule could not be asked: {error}"),
                };
                if !denials.contains(&said) {
                    denials.push(said);
                }
            }
        }
        (!denials.is_empty()).then(|| denials.join("; and "))
    }

    fn missing(&self, name: &str) -> Option<String> {
        if self.plugins.admission().any(|plugin| is_called(plugin, name)) {
            return None;
        }
        let text =
            format!("denied because the admission plugin '{name}', which the configuration requires, is not there or cannot be read");
        Some(format!("{text} (see 'nacre plugin ls')"))
    }
}

/// [`Admission::admit`] with the rules of this run.
pub(crate) fn admit(
    context: &Context,
    operation: Operation,
    names: &[Reference],
    source: &dyn Source,
    root: &Descriptor,
    select: &Select,
) -> Result<()> {
    Admission::new(context)?.admit(operation, names, source, root, select)
}

/// By its name, with or without the publisher, or by the name of the rules that it provides.
fn is_called(plugin: &Plugin, name: &str) -> bool {
    let own = plugin.name();
    own == name
        || own.rsplit_once('/').is_some_and(|(_, short)| short == name)
        || plugin.manifest.provides.admission.iter().any(|n| n == name)
}

/// What a plugin is told about one platform's image.
#[derive(Clone, Default)]
struct Facts {
    size: u64,
    created: Option<u64>,
    labels: Vec<Kv>,
    user: String,
    platforms: Vec<nacre_plugin::Platform>,
}

/// One for each image config below `root`; of what is no image, one without a config.
fn facts(source: &dyn Source, root: &Descriptor, select: &Select) -> Result<Vec<Facts>> {
    let plan = plan(source, root, select)?;
    let sizes = plan.blobs.iter().map(|blob| blob.size).chain(plan.documents.iter().map(|one| one.descriptor.size));
    let mut whole = Facts { size: sizes.sum(), ..Facts::default() };
    let mut configs = Vec::new();
    for raw in &plan.documents {
        let Document::Manifest(manifest) = raw.document()? else { continue };
        if !media_type::is_config(&manifest.config.media_type) {
            continue;
        }
        let config = ImageConfig::parse(&read_small(source, &manifest.config, MAX_CONFIG)?)?;
        // An attestation in an index of images has a config too, which is no image's.
        if config.architecture != "unknown" {
            whole.platforms.push(plugin_platform(&config.platform()));
            configs.push(config);
        }
    }
    let of = |config: ImageConfig| Facts {
        created: config.created_seconds().and_then(|at| u64::try_from(at).ok()),
        labels: config.config.labels.into_iter().map(|(key, value)| Kv { key, value }).collect(),
        user: config.config.user,
        ..whole.clone()
    };
    Ok(if configs.is_empty() { vec![whole] } else { configs.into_iter().map(of).collect() })
}

/// What the store's metadata knows.
fn recorded(image: &Image) -> Facts {
    Facts {
        size: image.size,
        created: image.created.and_then(|at| u64::try_from(at).ok()),
        labels: image.labels.iter().map(|(key, value)| Kv::new(key, value)).collect(),
        user: String::new(),
        platforms: image.platforms.iter().map(|(own, _)| plugin_platform(own)).collect(),
    }
}

/// The names, or none once.
fn each_name(names: &[Reference]) -> impl Iterator<Item = Option<&Reference>> {
    names.iter().map(Some).chain(names.is_empty().then_some(None))
}

fn requests(operation: Operation, name: Option<&Reference>, root: &Descriptor, facts: &[Facts]) -> Vec<Request> {
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let request = |facts: &Facts| Request {
        operation,
        name: name.map(ToString::to_string),
        by_digest: name.is_some_and(|name| name.digest().is_some()),
        digest: root.digest.to_string(),
        size: facts.size,
        created: facts.created,
        labels: facts.labels.clone(),
        user: facts.user.clone(),
        platforms: facts.platforms.clone(),
        now,
        extra: Vec::new(),
    };
    facts.iter().map(request).collect()
}

fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::Pull => "pulling",
        Operation::Push => "pushing",
        Operation::Build => "building",
        Operation::Import => "importing",
        Operation::Load => "loading",
        Operation::Tag => "tagging",
        Operation::Remove => "removing",
    }
}

/// All messages, and behind them in brackets what to do.
fn in_words(reasons: &[nacre_plugin::Diagnostic]) -> String {
    let messages: Vec<&str> = reasons.iter().map(|one| one.message.as_str()).collect();
    let mut help: Vec<&str> = reasons.iter().filter_map(|one| one.help.as_deref()).collect();
    help.dedup();
    let help = if help.is_empty() { String::new() } else { format!(" ({})", help.join("; ")) };
    format!("{}{help}", messages.join("; "))
}
