//! What the build and its frontend are asked, out of the command line.

use std::{
    collections::BTreeMap,
    env,
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};
use nacre_build::{Context as Input, Environment, FILE_CONTEXT, Lent, MAIN_CONTEXT, Output, Reach, Request, Secret};
use nacre_layer::Spool;
use nacre_oci::Platform;
use nacre_plugin::{
    BuildRequest, Kv, Plugins,
    frontend::{ContextKind, Fresh, NamedContext},
    graph,
};

use super::{
    agent::Agent,
    caches, frontend,
    inputs::Inputs,
    is_check,
    outputs::Outputs,
    values::{Fields, host, limit, pair, size},
};
use crate::{
    commands::build::{Args, Network},
    context::Context,
    paths,
    policy::{pair as option, plugin_platform},
};

/// The build argument, and the environment variable, of reproducible builds.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The variables that name proxies, whatever their case.
const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

/// What is asked, and the plugins that answer.
pub(super) struct Asked {
    pub request: Request,
    pub plugins: Answering,
    /// They run as long as this is there.
    _agents: Vec<(String, Agent)>,
}

/// The plugins, one of which is the frontend.
pub(super) struct Answering {
    plugins: Arc<Plugins>,
    name: String,
}

impl Answering {
    /// The frontend's plugin.
    pub(super) fn frontend(&self) -> Result<&nacre_plugin::Plugin> {
        Ok(self.plugins.get(&self.name)?)
    }

    /// Shows what the frontend logged.
    pub(super) fn show_log(&self, context: &Context) {
        if let Ok(plugin) = self.plugins.get(&self.name) {
            context.show_log(plugin);
        }
    }
}

impl Asked {
    pub(super) fn new(context: &Context, args: &Args, inputs: &Inputs, outputs: &Outputs, plugins: &Arc<Plugins>) -> Result<Self> {
        let build_args = with_time(build_args(&args.wishes.build_arg)?, inputs.time);
        let syntax = build_args.iter().find(|arg| arg.key == "BUILDKIT_SYNTAX").map(|arg| format!("# syntax={}", arg.value));
        let head = syntax.as_ref().map_or(inputs.content.as_slice(), |line| line.as_bytes());
        let (plugin, name) = frontend::choose(plugins, args.wishes.frontend.as_deref(), head)?;
        let epoch = build_args.iter().find(|arg| arg.key == EPOCH).map(|arg| arg.value.clone());
        let asked = question(args, inputs, build_args)?;
        let answering = Answering { plugins: Arc::clone(plugins), name: plugin.name().to_owned() };
        let (all, of) = (Arc::clone(plugins), plugin.name().to_owned());
        let (mut lent, agents) = (lent(args)?, agents(&args.programs.ssh)?);
        lent.ssh.extend(agents.iter().map(|(id, agent)| (id.clone(), agent.socket())));
        let request = Request {
            frontend: Box::new(move |session| all.get(&of)?.build(&name, &asked, session)),
            plugin: plugin.name().to_owned(),
            reach: (!plugin.fetches_anywhere()).then(|| reach(plugins, plugin.name())),
            contexts: inputs.contexts.clone(),
            lent,
            pull: args.cache.pull,
            imports: caches::imports(context, &args.cache.cache_from)?,
            output: output(args, outputs, epoch.as_deref())?,
        };
        Ok(Self { request, plugins: answering, _agents: agents })
    }
}

/// Where graphs of a plugin may fetch from.
fn reach(plugins: &Arc<Plugins>, plugin: &str) -> Reach {
    let (plugins, plugin) = (Arc::clone(plugins), plugin.to_owned());
    Arc::new(move |url| {
        let checked = plugins.get(&plugin).and_then(|plugin| plugin.may_fetch(url.as_str()));
        checked.map_err(|error| nacre_oci::Error::Denied { what: format!("fetching {url}"), why: error.to_string() })
    })
}

/// What programs run in.
pub(super) fn sandbox(context: &Context) -> Result<nacre_runtime::Settings> {
    Ok(nacre_runtime::Settings {
        program: env::current_exe().context("cannot find nacre's own program")?,
        root: context.paths.root.clone(),
        runtime: context.config.build.runtime.clone(),
        path: env::var_os("PATH").unwrap_or_default(),
    })
}

/// Where the build takes place.
pub(super) fn environment(context: &Context) -> Result<Environment> {
    let registries = context.clone();
    Ok(Environment {
        store: context.store()?,
        registries: Arc::new(move || {
            registries.client().map_err(|error| nacre_oci::Error::Unsupported { what: "the network".into(), why: format!("{error:#}") })
        }),
        runtime: sandbox(context)?,
        cache: context.paths.cache.clone(),
        spool: Spool::new(&context.temporary()?),
        now: jiff::Timestamp::now().as_second(),
        proxies: env::vars().filter(|(name, _)| PROXIES.contains(&name.to_ascii_lowercase().as_str())).collect(),
        parallel: thread::available_parallelism().map_or(2, NonZero::get).max(2),
    })
}

/// What the frontend is asked.
fn question(args: &Args, inputs: &Inputs, build_args: Vec<Kv>) -> Result<BuildRequest> {
    let wishes = &args.wishes;
    let host = Platform::host();
    let fresh = match (args.cache.no_cache, &args.cache.no_cache_filter[..]) {
        (true, _) => Fresh::All,
        (false, []) => Fresh::None,
        (false, stages) => Fresh::Stages(stages.to_vec()),
    };
    let network = match args.programs.network {
        Network::Default => graph::Network::Sandbox,
        Network::None => graph::Network::None,
        Network::Host => graph::Network::Host,
    };
    if let Some(text) = wishes.label.iter().find(|text| pair(text).0.is_empty()) {
        bail!("--label {text}: want KEY=VALUE");
    }
    let labels = wishes.label.iter().map(|text| pair(text)).map(|(key, value)| Kv::new(key, value));
    Ok(BuildRequest {
        file: inputs.name.clone(),
        content: inputs.content.clone(),
        target: wishes.target.clone(),
        args: build_args,
        contexts: inputs.contexts.iter().filter_map(|(name, input)| named(name, input)).collect(),
        platforms: wishes.platform.iter().map(plugin_platform).collect(),
        build_platform: plugin_platform(&host),
        labels: labels.collect(),
        fresh,
        network,
        check: is_check(args),
        opts: wishes.opt.iter().map(|text| option(text, "option")).collect::<Result<_>>()?,
    })
}

fn named(name: &str, input: &Input) -> Option<NamedContext> {
    let kind = match input {
        _ if [MAIN_CONTEXT, FILE_CONTEXT].contains(&name) => return None,
        Input::Folder(_) => ContextKind::Folder,
        Input::Image(_) | Input::Layout { .. } => ContextKind::Image,
    };
    Some(NamedContext { name: name.to_owned(), kind })
}

/// `--build-arg`, the last of each name; without a value it is the environment's, if there is one.
fn build_args(values: &[String]) -> Result<Vec<Kv>> {
    let mut args = BTreeMap::new();
    if let Some(epoch) = paths::text(EPOCH).filter(|epoch| !epoch.is_empty()) {
        args.insert(EPOCH.to_owned(), epoch);
    }
    for text in values {
        let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
        if name.is_empty() {
            bail!("--build-arg {text}: want NAME=VALUE");
        }
        match value.or_else(|| paths::text(name)) {
            Some(value) => args.insert(name.to_owned(), value),
            None => args.remove(name),
        };
    }
    Ok(args.into_iter().map(|(key, value)| Kv { key, value }).collect())
}

/// `SOURCE_DATE_EPOCH=context` as the time of the build's own context, where that has one (BuildKit: of git and HTTP).
fn with_time(mut build_args: Vec<Kv>, time: Option<i64>) -> Vec<Kv> {
    if let Some(at) = build_args.iter().position(|arg| arg.key == EPOCH && arg.value == "context") {
        match time {
            Some(time) => build_args[at].value = time.to_string(),
            None => drop(build_args.remove(at)),
        }
    }
    build_args
}

/// What programs are lent.
fn lent(args: &Args) -> Result<Lent> {
    let programs = &args.programs;
    if let Some(other) = programs.allow.iter().find(|what| *what != "network.host") {
        bail!("--allow {other}: nacre only has network.host");
    }
    Ok(Lent {
        secrets: programs.secret.iter().map(|text| secret(text)).collect::<Result<_>>()?,
        ssh: programs.ssh.iter().filter(|text| keys(text).is_none()).map(|text| socket(text)).collect::<Result<_>>()?,
        hosts: programs.add_host.iter().map(|text| host(text)).collect::<Result<_>>()?,
        shm_size: programs.shm_size.as_deref().map(size).transpose()?,
        limits: programs.ulimit.iter().map(|text| limit(text)).collect::<Result<_>>()?,
        // Who asks for the host's network for all of the build allows it.
        host_network: !programs.allow.is_empty() || programs.network == Network::Host,
    })
}

/// `id=ID[,src=FILE|,env=NAME]`: without either the variable of that name, or else the file.
fn secret(text: &str) -> Result<(String, Secret)> {
    let fields = Fields::parse("--secret", text)?;
    let kind = fields.take(&["type"]);
    let (file, name) = (fields.take(&["src", "source"]), fields.take(&["env"]));
    // Docker takes a file's path or a variable's name alone too.
    let id = fields.take(&["id"]).or(file).or(name);
    let Some(id) = id.filter(|id| !id.is_empty()) else { return fields.wrong("id is missing") };
    let variable = |name: &str| paths::bytes(name).with_context(|| format!("--secret {text}: the environment has no {name}"));
    let secret = match (kind, file, name) {
        (Some("env"), Some(name), None) | (None | Some("env"), None, Some(name)) => Secret::Value(variable(name)?.into()),
        (None | Some("file"), Some(file), None) => readable(text, file)?,
        (Some("env"), None, None) => Secret::Value(variable(id)?.into()),
        (None, None, None) => match paths::bytes(id) {
            Some(value) => Secret::Value(value.into()),
            None => readable(text, id)?,
        },
        _ => return fields.wrong("want id=ID with src=FILE or env=NAME"),
    };
    fields.end()?;
    Ok((id.to_owned(), secret))
}

fn readable(text: &str, file: &str) -> Result<Secret> {
    std::fs::File::open(file).with_context(|| format!("--secret {text}: cannot read {file}"))?;
    Ok(Secret::File(file.into()))
}

/// `default` or `ID=SOCKET`.
fn socket(text: &str) -> Result<(String, PathBuf)> {
    let (id, socket) = pair(text);
    let socket = if socket.is_empty() { paths::text("SSH_AUTH_SOCK").unwrap_or_default() } else { socket.to_owned() };
    if socket.is_empty() {
        bail!("--ssh {text}: the environment has no SSH_AUTH_SOCK: start an agent with eval $(ssh-agent), or name a key's file");
    }
    let kind = std::fs::metadata(&socket).with_context(|| format!("--ssh {text}: cannot find {socket}"))?.file_type();
    if !std::os::unix::fs::FileTypeExt::is_socket(&kind) {
        bail!("--ssh {text}: {socket} is neither an agent's socket nor a key's file");
    }
    Ok((id.to_owned(), socket.into()))
}

/// The files of `ID=KEY[,KEY…]`.
fn keys(text: &str) -> Option<(&str, Vec<&Path>)> {
    let (id, files) = pair(text);
    let files: Vec<&Path> = files.split(',').map(Path::new).collect();
    files.iter().all(|file| file.is_file()).then_some((id, files))
}

/// Agents for the keys that the user names by their files, by id.
fn agents(values: &[String]) -> Result<Vec<(String, Agent)>> {
    let start = |text: &String| {
        let (id, files) = keys(text)?;
        Some(Agent::start(&files).map(|agent| (id.to_owned(), agent)).with_context(|| format!("--ssh {text}")))
    };
    values.iter().filter_map(start).collect()
}

/// What the image shall look like.
fn output(args: &Args, outputs: &Outputs, epoch: Option<&str>) -> Result<Output> {
    let epoch = epoch.filter(|text| !text.is_empty());
    let seconds = |text: &str| text.parse::<i64>().map_err(|_| anyhow!("invalid {EPOCH}: {text}: want seconds since 1970"));
    let epoch = epoch.map(seconds).transpose()?;
    let mut output = Output { epoch, rewrite_timestamp: outputs.rewrite_timestamp, compression: outputs.compression, ..Output::default() };
    for text in &args.wishes.annotation {
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            bail!("--annotation {text}: want KEY=VALUE");
        };
        let (levels, key) = key.split_once(':').filter(|(levels, _)| levels.split(',').all(is_level)).unwrap_or(("manifest", key));
        for level in levels.split(',') {
            let annotations = match level {
                "index" => &mut output.index_annotations,
                "manifest-descriptor" => &mut output.descriptor_annotations,
                _ => &mut output.annotations,
            };
            annotations.insert(key.to_owned(), value.to_owned());
        }
    }
    output.index = !output.index_annotations.is_empty() || !output.descriptor_annotations.is_empty();
    Ok(output)
}

fn is_level(text: &str) -> bool {
    ["manifest", "index", "manifest-descriptor"].contains(&text)
}
