//! Export formats: the interface `exporter` of `wit/export-format.wit`.

use wasmtime::component::Resource;

use crate::call::{Function, call_with};
use crate::data::{ImageView, Output};
use crate::discover::Plugins;
use crate::error::{Error, Fault};
use crate::plugin::Plugin;
use crate::types::Kv;

/// The interface's full name.
pub(crate) const INTERFACE: &str = "nacre:plugin/exporter@0.1.0";
const WRITE: Function = Function { interface: INTERFACE, name: "write" };

impl Plugins {
    /// All export formats with their plugins, in the order of precedence. Of several with one name the first is
    /// the one that [`Plugins::export_format`] finds.
    pub fn export_formats(&self) -> impl Iterator<Item = (&Plugin, &str)> {
        self.list().flat_map(|plugin| plugin.manifest.provides.export_format.iter().map(move |name| (plugin, name.as_str())))
    }

    /// The plugin that provides the format `name` of `nacre save --format`.
    ///
    /// # Errors
    /// There is none; the error lists all formats.
    pub fn export_format(&self, name: &str) -> Result<&Plugin, Error> {
        let found = self.export_formats().find(|(_, format)| *format == name);
        found.map(|(plugin, _)| plugin).ok_or_else(|| Error::UnknownFormat {
            kind: "export",
            name: name.into(),
            known: self.known(|plugin| &plugin.manifest.provides.export_format),
        })
    }
}

impl Plugin {
    /// Writes `image` to `out` in the format `format`. What was written is of use only if all went well.
    ///
    /// # Errors
    /// The plugin does not provide the format, does not take one of the options, cannot be loaded, breaks a limit,
    /// crashes or reports an error; or nacre could not read or write: [`Error::Data`].
    pub fn export(&self, format: &str, image: ImageView, out: Output, opts: &[Kv]) -> Result<Output, Error> {
        if !self.manifest.provides.export_format.iter().any(|name| name == format) {
            return Err(Fault::NotProvided(format!("the export format '{format}'")).of(self.name()));
        }
        self.check_options(opts, || format!("export format '{format}'"))?;
        let sink = out.share();
        call_with::<_, ()>(self, WRITE, |state| {
            let image = state.give_image(image)?;
            let sink: Resource<Output> = state.handles.push(sink)?;
            Ok((format, Resource::<ImageView>::new_borrow(image.rep()), Resource::<Output>::new_borrow(sink.rep()), opts))
        })?;
        Ok(out)
    }
}
