//! Import formats: the interface `importer` of `wit/import-format.wit`.

use nacre_layer::Bytes;
use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentType, Lift, Lower, Resource};

use crate::call::{Function, call_with, run};
use crate::data::{Codec, ImageBuilder, Source};
use crate::discover::Plugins;
use crate::error::{Error, Fault};
use crate::plugin::Plugin;
use crate::types::Kv;

/// The interface's full name.
pub(crate) const INTERFACE: &str = "nacre:plugin/importer@0.1.0";
const PROBE: Function = Function { interface: INTERFACE, name: "probe" };
const CONVERT: Function = Function { interface: INTERFACE, name: "convert" };

/// The most bytes of each of a [`Head`]'s beginnings.
pub const MAX_HEAD: usize = 64 << 10;

/// How a file begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lower)]
#[serde(default)]
#[component(record)]
pub struct Head {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its first bytes, at most [`MAX_HEAD`].
    pub raw: Vec<u8>,
    /// The compression that they tell of.
    pub compression: Option<Codec>,
    /// The first bytes behind that compression, at most [`MAX_HEAD`]; the same as `raw` if there is none.
    pub plain: Vec<u8>,
}

impl Head {
    /// The beginning of `bytes`, a file that is called `name`. What cannot be decompressed has no plain bytes.
    ///
    /// # Errors
    /// The first bytes cannot be read.
    pub fn read(name: Option<&str>, bytes: &Bytes) -> std::io::Result<Head> {
        let raw = bytes.read_at(0, MAX_HEAD)?;
        let compression = nacre_layer::Codec::detect(&raw);
        let plain = match compression {
            None => raw.clone(),
            Some(codec) => bytes.decompress(Some(codec)).and_then(|mut plain| plain.read_next(MAX_HEAD)).unwrap_or_default(),
        };
        Ok(Head { name: name.map(str::to_owned), raw, compression: compression.map(Codec::from), plain })
    }
}

/// How sure a format is of a file. The surest comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ComponentType, Lift)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum Confidence {
    /// The file is not of the format.
    #[component(name = "no")]
    No,
    /// It could be.
    #[component(name = "maybe")]
    Maybe,
    /// It bears the format's mark.
    #[component(name = "certain")]
    Certain,
}

impl Plugins {
    /// All import formats with their plugins, in the order of precedence. Of several with one name the first is
    /// the one that [`Plugins::import_format`] finds.
    pub fn import_formats(&self) -> impl Iterator<Item = (&Plugin, &str)> {
        self.list().flat_map(|plugin| plugin.manifest.provides.import_format.iter().map(move |name| (plugin, name.as_str())))
    }

    /// The plugin that provides the format `name` of `nacre import --format`.
    ///
    /// # Errors
    /// There is none; the error lists all formats.
    pub fn import_format(&self, name: &str) -> Result<&Plugin, Error> {
        let found = self.import_formats().find(|(_, format)| *format == name);
        found.map(|(plugin, _)| plugin).ok_or_else(|| Error::UnknownFormat {
            kind: "import",
            name: name.into(),
            known: self.known(|plugin| &plugin.manifest.provides.import_format),
        })
    }
}

impl Plugin {
    /// Whether a file that begins like this is of the format `format`.
    ///
    /// # Errors
    /// The plugin does not provide it, cannot be loaded, breaks a limit or crashes.
    pub fn probe(&self, format: &str, head: &Head) -> Result<Confidence, Error> {
        self.check_format(format)?;
        Ok(run(self, PROBE, 0, |_| Ok((format, head)))?.1)
    }

    /// Builds `image` from `sources`, the user's file and what came with it. The image is as it was left only if all
    /// went well.
    ///
    /// # Errors
    /// The plugin does not provide the format, does not take one of the options, cannot be loaded, breaks a limit,
    /// crashes or reports an error; or nacre could not read or write: [`Error::Data`].
    pub fn convert(&self, format: &str, sources: Vec<Bytes>, image: ImageBuilder, opts: &[Kv]) -> Result<ImageBuilder, Error> {
        self.check_format(format)?;
        self.check_options(opts, || format!("import format '{format}'"))?;
        let handle = image.share();
        call_with::<_, ()>(self, CONVERT, |state| {
            let sources: Vec<Resource<Source>> = sources.into_iter().map(|source| state.give(source)).collect::<Result<_, _>>()?;
            let image: Resource<ImageBuilder> = state.handles.push(handle)?;
            Ok((format, sources, Resource::<ImageBuilder>::new_borrow(image.rep()), opts))
        })?;
        Ok(image)
    }

    fn check_format(&self, format: &str) -> Result<(), Error> {
        match self.manifest.provides.import_format.iter().any(|name| name == format) {
            true => Ok(()),
            false => Err(Fault::NotProvided(format!("the import format '{format}'")).of(self.name())),
        }
    }
}
