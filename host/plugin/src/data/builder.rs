//! An image in the making.

use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nacre_layer::{Bytes, Compression, Ended, Entry, Layer, LayerWriter};
use nacre_oci::{Descriptor, Digest, Error, Platform, RunConfig, Staged, Staging};

use super::pool::Share;
use super::watch::{Watch, Watched};
use super::{Outcome, Trouble};

/// Layers of one image: what overlay file systems and Docker take.
const MAX_LAYERS: usize = 127;
/// Bytes of what the history says about a layer.
const MAX_CREATED_BY: usize = 16 << 10;
/// Bytes of a configuration that a plugin sets.
const MAX_RUN_CONFIG: usize = 1 << 20;

/// An image in the making, for [`crate::Plugin::convert`].
pub struct ImageBuilder(Arc<Mutex<Inner>>);

struct Inner {
    staging: Arc<dyn Staging>,
    compression: Compression,
    done: Vec<(Ended, String)>,
    current: Option<Current>,
    begun: usize,
    platform: Option<Platform>,
    config: Option<RunConfig>,
}

/// The layer that is written now.
struct Current {
    writer: LayerWriter,
    created_by: String,
    /// Why it is spoilt, if it is.
    spoilt: Option<String>,
    _share: Share,
}

/// What a plugin made.
#[derive(Debug)]
pub struct Built {
    /// What it is for, as the plugin says.
    pub platform: Option<Platform>,
    /// What a container of it starts with, as the plugin says.
    pub config: Option<RunConfig>,
    /// The layers, base first, each with what the history says about it. All are stored.
    pub layers: Vec<(Layer, String)>,
}

impl ImageBuilder {
    /// An image without layers. They go to `staging`, compressed by `compression` unless they come as a whole tar that
    /// is compressed already.
    pub fn new(staging: Arc<dyn Staging>, compression: Compression) -> ImageBuilder {
        let (done, current, begun, platform, config) = (Vec::new(), None, 0, None, None);
        ImageBuilder(Arc::new(Mutex::new(Inner { staging, compression, done, current, begun, platform, config })))
    }

    /// Ends the last layer, commits all of them and tells what was made. Without it nothing is.
    ///
    /// # Errors
    /// A layer is spoilt or could not be stored.
    pub fn finish(self) -> nacre_oci::Result<Built> {
        let mut inner = self.inner();
        inner.end_layer()?;
        let done = std::mem::take(&mut inner.done);
        let layers = done.into_iter().map(|(layer, created_by)| Ok((layer.commit()?, created_by)));
        let layers = layers.collect::<nacre_oci::Result<_>>()?;
        Ok(Built { platform: inner.platform.take(), config: inner.config.take(), layers })
    }

    /// Another hold of the same image, for the plugin's handle.
    pub(crate) fn share(&self) -> ImageBuilder {
        ImageBuilder(Arc::clone(&self.0))
    }

    /// Ends the layer before, and begins one.
    pub(crate) fn layer(&self, created_by: String, watch: &Watch) -> Outcome<LayerHandle> {
        if created_by.len() > MAX_CREATED_BY {
            return Err(Trouble::limit(format!("a layer's command of {} bytes, more than {MAX_CREATED_BY}", created_by.len())));
        }
        let mut inner = self.inner();
        inner.end_layer()?;
        if inner.begun == MAX_LAYERS {
            return Err(Trouble::limit(format!("more than {MAX_LAYERS} layers")));
        }
        let share = watch.pools.layers.share(1)?;
        let staged = Box::new(watch.over(inner.staging.stage()?));
        let writer = LayerWriter::new(staged, inner.compression);
        inner.begun += 1;
        inner.current = Some(Current { writer, created_by, spoilt: None, _share: share });
        Ok(LayerHandle { image: self.share(), number: inner.begun })
    }

    pub(crate) fn set_platform(&self, platform: &crate::Platform) -> Outcome<()> {
        let crate::Platform { os, arch, variant } = platform;
        let text = variant.iter().fold(format!("{os}/{arch}"), |text, variant| format!("{text}/{variant}"));
        let platform: nacre_oci::Result<Platform> = text.parse();
        self.inner().platform = Some(platform.map_err(|error| Trouble::invalid(error.to_string()))?);
        Ok(())
    }

    pub(crate) fn set_config(&self, config: &str) -> Outcome<()> {
        if config.len() > MAX_RUN_CONFIG {
            return Err(Trouble::limit(format!("a configuration of {} bytes, more than 1 MiB", config.len())));
        }
        self.inner().config = Some(nacre_oci::parse_strict(config.as_bytes(), "the configuration")?);
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn end_layer(&mut self) -> nacre_oci::Result<()> {
        match self.current.take() {
            None => {}
            Some(Current { spoilt: Some(why), .. }) => return Err(Error::malformed("the layer", why)),
            Some(Current { writer, created_by, .. }) => self.done.push((writer.end()?, created_by)),
        }
        Ok(())
    }
}

/// A plugin's handle of a layer. It is of use until the next one is begun.
pub(crate) struct LayerHandle {
    image: ImageBuilder,
    number: usize,
}

impl LayerHandle {
    /// Adds an entry with its content.
    pub(crate) fn add(&self, entry: &Entry, content: &mut dyn Read) -> Outcome<()> {
        self.write(|writer| writer.add(entry, content))
    }

    /// Makes it the layer of a whole tar.
    pub(crate) fn add_tar(&self, tar: &Bytes) -> Outcome<()> {
        self.write(|writer| writer.add_tar(tar))
    }

    fn write(&self, work: impl FnOnce(&mut LayerWriter) -> nacre_oci::Result<()>) -> Outcome<()> {
        let mut inner = self.image.inner();
        let (begun, current) = (inner.begun, &mut inner.current);
        let Some(current) = current.as_mut().filter(|_| begun == self.number) else {
            return Err(Trouble::unsupported("add(): the layer ended when the next one was begun"));
        };
        let written = work(&mut current.writer).map_err(Trouble::from);
        match &written {
            Err(Trouble::Guest(error)) => drop(current.spoilt.get_or_insert(error.to_string())),
            Err(Trouble::Host(error)) => drop(current.spoilt.get_or_insert(error.to_string())),
            _ => {}
        }
        written
    }
}

/// The layer's bytes are moved too.
impl Staged for Watched<Box<dyn Staged>> {
    fn written(&self) -> (Digest, u64) {
        self.inner.written()
    }

    fn commit(self: Box<Self>, descriptor: &Descriptor) -> nacre_oci::Result<()> {
        self.inner.commit(descriptor)
    }
}
