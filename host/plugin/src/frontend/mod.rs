//! Frontends: the interface `frontend` of `wit/build-frontend.wit`.

mod check;
mod record;
mod session;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

use crate::call::{Function, call_large};
use crate::discover::Plugins;
use crate::error::{Error, Fault};
use crate::graph::{Definition, Network};
use crate::plugin::Plugin;
use crate::state::State;
use crate::types::{Diagnostic, Kv, Platform, content};

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use check::answer;
use record::{Recording, Told};
pub(crate) use session::Session;
pub use session::{BuildSession, BuiltFiles, Resolved};

/// The interface's full name.
pub(crate) const INTERFACE: &str = "nacre:plugin/frontend@0.1.0";
const BUILD: Function = Function { interface: INTERFACE, name: "build" };

/// What a named context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum ContextKind {
    /// A folder of files.
    #[component(name = "folder")]
    Folder,
    /// An image, which takes the place of the one that a file names so.
    #[component(name = "image")]
    Image,
}

/// A named context (`--build-context`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lower)]
#[component(record)]
pub struct NamedContext {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ContextKind,
}

/// Which operations are done again although the cache has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Fresh {
    /// None.
    #[default]
    #[component(name = "none")]
    None,
    /// All of them.
    #[component(name = "all")]
    All,
    /// Those of these stages.
    #[component(name = "stages")]
    Stages(Vec<String>),
}

/// What is to be built.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lower)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[component(record)]
pub struct BuildRequest {
    /// What the user calls the file, for places in it.
    pub file: String,
    /// What it says.
    #[serde(with = "content")]
    pub content: Vec<u8>,
    /// The stage to build; the last one if none is named.
    pub target: Option<String>,
    /// Build arguments; each key once.
    pub args: Vec<Kv>,
    /// The named contexts.
    pub contexts: Vec<NamedContext>,
    /// What to build for; at least one.
    pub platforms: Vec<Platform>,
    /// What programs run on while building.
    #[component(name = "build-platform")]
    pub build_platform: Platform,
    /// Labels that win over the file's.
    pub labels: Vec<Kv>,
    /// What to do again.
    pub fresh: Fresh,
    /// What an operation gets that asks for no network of its own.
    pub network: Network,
    /// Only look for mistakes: the answer has no images.
    pub check: bool,
    /// Options, only such as its `plugin.toml` lists.
    pub opts: Vec<Kv>,
}

/// Nothing, for linux/amd64.
impl Default for BuildRequest {
    fn default() -> BuildRequest {
        let amd64 = Platform { os: "linux".into(), arch: "amd64".into(), variant: None };
        BuildRequest {
            file: String::new(),
            content: Vec::new(),
            target: None,
            args: Vec::new(),
            contexts: Vec::new(),
            platforms: vec![amd64.clone()],
            build_platform: amd64,
            labels: Vec::new(),
            fresh: Fresh::None,
            network: Network::Sandbox,
            check: false,
            opts: Vec::new(),
        }
    }
}

/// An image for one platform, as a frontend describes it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift)]
#[component(record)]
pub struct BuildImage {
    /// The platform.
    pub platform: Platform,
    /// How its root filesystem is made. Only its size and whom it speaks to were checked.
    pub definition: Definition,
    /// Its configuration: a JSON object without `rootfs`.
    pub config: String,
}

impl Plugins {
    /// All frontends with their plugins, in the order of precedence. Of several with one name the first is the one that
    /// [`Plugins::frontend`] finds.
    pub fn frontends(&self) -> impl Iterator<Item = (&Plugin, &str)> {
        self.list().flat_map(|plugin| plugin.manifest.provides.build_frontend.iter().map(move |name| (plugin, name.as_str())))
    }

    /// The plugin that provides the frontend `name` of `nacre build`.
    ///
    /// # Errors
    /// There is none; the error lists all frontends.
    pub fn frontend(&self, name: &str) -> Result<&Plugin, Error> {
        let found = self.frontends().find(|(_, frontend)| *frontend == name);
        found.map(|(plugin, _)| plugin).ok_or_else(|| Error::UnknownFrontend {
            name: name.into(),
            known: self.known(|plugin| &plugin.manifest.provides.build_frontend),
        })
    }
}

impl Plugin {
    /// Whether graphs of this plugin's may fetch from everywhere.
    pub fn fetches_anywhere(&self) -> bool {
        self.granted.net.iter().any(|entry| entry == "*")
    }

    /// Whether a graph of this plugin's may fetch from this URL, such as one that a server redirects to.
    ///
    /// # Errors
    /// [`Fault::Denied`] if the plugin was not granted it.
    pub fn may_fetch(&self, url: &str) -> Result<(), Error> {
        check::remote(url, &self.granted).map_err(|refusal| Fault::from(refusal).of(self.name()))
    }

    /// What `frontend` of this plugin makes of the request: an image for each of its platforms, in their order, or none if
    /// it is only to check. What it asks meanwhile, `session` answers; while it does, the plugin's clock stands.
    ///
    /// # Errors
    /// The plugin does not provide the frontend, does not take one of the options, cannot be loaded, breaks a limit,
    /// crashes, returns what is not allowed or does not fit the request, or reports an error. A mistake in the user's
    /// file is [`Fault::Guest`] with [`GuestError::Invalid`](crate::GuestError::Invalid).
    pub fn build(&self, frontend: &str, request: &BuildRequest, session: Box<dyn BuildSession>) -> Result<Vec<BuildImage>, Error> {
        if !self.manifest.provides.build_frontend.iter().any(|name| name == frontend) {
            return Err(Fault::NotProvided(format!("the build frontend '{frontend}'")).of(self.name()));
        }
        self.check_options(&request.opts, || format!("build frontend '{frontend}'"))?;
        if self.runtime.recording().is_none() {
            return self.images(frontend, request, session);
        }
        let told = Told::default();
        let images = self.images(frontend, request, Box::new(Recording { inner: session, told: told.clone() }));
        let answer = images.as_ref().map(|images| answer_json(images, &told.warnings()));
        self.record(|| told.input(frontend, request), answer);
        images
    }

    fn images(&self, frontend: &str, request: &BuildRequest, session: Box<dyn BuildSession>) -> Result<Vec<BuildImage>, Error> {
        let images = call_large(self, BUILD, |state| {
            state.build = Some(Session::new(session));
            Ok((frontend, request))
        })?;
        check::answer(images, request, &self.granted).map_err(|fault| fault.of(self.name()))
    }
}

/// What a frontend answered, as JSON for its author: `images`, their configurations spelled out, and `warnings`.
pub fn answer_json(images: &[BuildImage], warnings: &[Diagnostic]) -> Value {
    let image = |image: &BuildImage| {
        let config: Value = serde_json::from_str(&image.config).unwrap_or_default();
        json!({ "platform": image.platform, "definition": image.definition, "config": config })
    };
    json!({ "images": images.iter().map(image).collect::<Vec<_>>(), "warnings": warnings })
}

/// Adds the interface `build` to a linker.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    session::add(&mut linker.instance("nacre:plugin/build@0.1.0")?)
}
