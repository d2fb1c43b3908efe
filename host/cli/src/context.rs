//! What a command works with, each opened when it is first asked for.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use nacre_oci::Progress;
use nacre_plugin::{Level, Plugin, Plugins, Policy, lifecycle::Lock};
use nacre_registry::{Client, Credentials, Timeouts};
use nacre_store::Store;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

use crate::{
    backend::Backend,
    config::Config,
    failure::warn,
    global::Global,
    output::{
        self,
        build::Shown,
        escape::visible,
        progress::{self, Action, Mode},
    },
    paths::{Paths, SYSTEM_PLUGINS},
    plugin_log,
};

/// How long a command that was interrupted may take to end in good order, where it waits for somebody else.
const PATIENCE: Duration = Duration::from_secs(2);

/// The options, the configuration and the places of one run. Clones share what is opened.
#[derive(Clone)]
pub(crate) struct Context {
    pub config: Config,
    pub paths: Paths,
    global: Global,
    runtime: Arc<OnceLock<Runtime>>,
    stop: Arc<AtomicBool>,
    watched: Arc<OnceLock<()>>,
    /// Whether interrupts are somebody else's by now.
    left: Arc<AtomicBool>,
    /// Whoever shows progress now: a registry's retries are told there.
    listener: Arc<Mutex<Option<Weak<dyn Progress>>>>,
}

impl Context {
    pub(crate) fn new(global: Global) -> Result<Self> {
        let paths = Paths::new(&global)?;
        let config = Config::load(paths.config.as_deref(), paths.config_named)?;
        let (runtime, stop, watched) = (Arc::default(), Arc::default(), Arc::default());
        Ok(Self { config, paths, global, runtime, stop, watched, left: Arc::default(), listener: Arc::default() })
    }

    /// The store.
    pub(crate) fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.paths.root)?)
    }

    /// The runtime of the network's edge.
    pub(crate) fn runtime(&self) -> Result<&Runtime> {
        if self.runtime.get().is_none() {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().context("cannot start the network runtime")?;
            let _ = self.runtime.set(runtime);
        }
        self.runtime.get().context("the network runtime is gone")
    }

    /// From here on Ctrl-C and SIGTERM let the command end in good order. A second one, or [`PATIENCE`], ends it where it
    /// stands: what it wrote is as good as after any other kill.
    #[allow(clippy::exit, reason = "a thread that waits for the network cannot be told")]
    fn end_on_interrupt(&self) -> Result<()> {
        if self.watched.set(()).is_err() {
            return Ok(());
        }
        let (stop, left) = (Arc::clone(&self.stop), Arc::clone(&self.left));
        self.runtime()?.spawn(async move {
            while interrupt().await.is_ok() {
                if left.load(Ordering::Relaxed) {
                    continue;
                }
                stop.store(true, Ordering::Relaxed);
                let _ = tokio::time::timeout(PATIENCE, interrupt()).await;
                warn("cancelled");
                std::process::exit(1);
            }
        });
        Ok(())
    }

    /// Ends the command, which is about `what`, after `limit`, wherever it stands then: as good as any other kill.
    #[allow(clippy::exit, reason = "a thread that waits for the network cannot be told")]
    pub(crate) fn end_after(&self, limit: Duration, what: &str) -> Result<()> {
        let text = format!("{what} did not end within {limit:?}: what came is kept, so try again, or with a longer --timeout");
        self.runtime()?.spawn(async move {
            tokio::time::sleep(limit).await;
            warn(&text);
            std::process::exit(1);
        });
        Ok(())
    }

    /// From here on Ctrl-C and SIGTERM are for whoever else listens: they reach a program that this command is attached to.
    pub(crate) fn leave_interrupts(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// The client for all registries.
    pub(crate) fn client(&self) -> Result<Client> {
        self.end_on_interrupt()?;
        let mut insecure = self.config.registries.insecure.clone();
        insecure.extend(self.global.insecure_registry.iter().cloned());
        let listener = Arc::clone(&self.listener);
        let config = nacre_registry::Config {
            insecure,
            authorities: authorities(&self.paths.certificates),
            mirrors: self.config.registries.mirrors.clone(),
            credentials: Credentials::from_files(self.paths.auth_files.clone()),
            timeouts: self.config.registries.stall.map_or_else(Timeouts::default, Timeouts::stalling),
            notify: Some(Arc::new(move |text: &str| tell(&listener, text))),
            ..nacre_registry::Config::default()
        };
        Ok(Client::new(config, self.runtime()?.handle().clone()))
    }

    /// The plugins there are; none is compiled or run by this.
    pub(crate) fn plugins(&self) -> Result<Plugins> {
        let settings =
            self.config.plugins.iter().map(|(name, table)| Ok((name.clone(), to_json(table)?))).collect::<Result<BTreeMap<_, _>>>()?;
        let plugins = Plugins::discover_within(&self.paths.plugins, nacre_bundled::PLUGINS, &self.paths.cache, &settings, self.policy());
        if let Some(folder) = &self.global.record {
            plugins.record(folder);
        }
        let context = self.clone();
        plugins.reach_by(Arc::new(move || Box::new(Backend::new(context.clone()))));
        Ok(plugins)
    }

    /// What the configuration says about all plugins.
    pub(crate) fn policy(&self) -> Policy {
        let (ceiling, trust) = (self.config.ceiling.clone(), self.config.trust.clone());
        Policy { ceiling, trust, trusted: vec![SYSTEM_PLUGINS.into()] }
    }

    /// What is installed where plugins are installed.
    pub(crate) fn lock(&self) -> Result<Lock> {
        Ok(Lock::read(&self.paths.install)?)
    }

    /// Keeps what a plugin logged, and shows it as far as `NACRE_LOG` or `--debug` say.
    pub(crate) fn show_log(&self, plugin: &Plugin) {
        let log = plugin.take_log();
        let shown = if self.global.debug { Some(Level::Debug) } else { self.paths.log };
        plugin_log::show(plugin.name(), &log, shown);
        plugin_log::keep(&self.paths.cache, plugin.name(), &log);
    }

    /// Who shows the progress of `action`.
    pub(crate) fn progress(&self, action: Action, quiet: bool) -> Arc<dyn Progress> {
        // Without it Ctrl-C ends the command too, only less tidily.
        let _ = self.end_on_interrupt();
        let mode = if quiet && self.global.progress == Mode::Auto { Mode::Quiet } else { self.global.progress };
        let shown: Arc<dyn Progress> = Arc::from(progress::show(mode, action, Arc::clone(&self.stop)));
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(&shown));
        shown
    }

    /// Who shows a build, and stops it when the user wants an end.
    pub(crate) fn show_build(&self, quiet: bool) -> Arc<Shown> {
        let _ = self.end_on_interrupt();
        let mode = if quiet && self.global.progress == Mode::Auto { Mode::Quiet } else { self.global.progress };
        let shown = Arc::new(Shown::new(mode, Arc::clone(&self.stop)));
        let listening: Arc<dyn Progress> = Arc::<Shown>::clone(&shown);
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(&listening));
        shown
    }

    /// A line of the result that may hold text from outside.
    pub(crate) fn print(&self, text: &str) -> Result<()> {
        text.lines().try_for_each(|line| self.write(&format!("{}\n", visible(line))))
    }

    /// Result text that is safe for a terminal already.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        output::write(text.as_bytes())
    }

    /// Where large temporary files go: beside what they become, not in a small /tmp.
    pub(crate) fn temporary(&self) -> Result<PathBuf> {
        let folder = self.paths.root.join("ingest");
        self.store()?;
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }
}

fn tell(listener: &Mutex<Option<Weak<dyn Progress>>>, text: &str) {
    let listening = listener.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Weak::upgrade);
    match listening {
        Some(progress) => progress.note(text),
        None => warn(text),
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupt() -> std::io::Result<()> {
    let (mut typed, mut sent) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = typed.recv() => {}
        _ = sent.recv() => {}
    }
    Ok(())
}

fn to_json(table: &toml::Table) -> Result<nacre_plugin::Settings> {
    match serde_json::to_value(table)? {
        serde_json::Value::Object(map) => Ok(map),
        _ => anyhow::bail!("a plugin's settings are not a table"),
    }
}

/// `HOST/*.crt` below Docker's and containers' folders.
fn authorities(folders: &[PathBuf]) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let list = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    for host in folders.iter().flat_map(|folder| list(folder)) {
        let Some(name) = host.file_name().and_then(|name| name.to_str()) else { continue };
        let mut certificates = list(&host).into_iter().filter(|path| path.extension().is_some_and(|e| e == "crt")).peekable();
        // A folder with nothing in it says nothing about its host.
        if certificates.peek().is_some() {
            found.entry(name.to_owned()).or_default().extend(certificates);
        }
    }
    found
}
