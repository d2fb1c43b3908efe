//! What a command reaches in a case: images that the case describes as store and as registries, answers to URLs from
//! files, and the case's folder `context`. Nothing outside the case.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use nacre_layer::{Compression, Spool};
use nacre_oci::{Descriptor, Digest, Memory, Reference, Source, Staging};
use nacre_plugin::reach::Result;
use nacre_plugin::{Answer, GuestError, ImageBuilder, ImageView, Platform, Reach, Summary};
use serde_json::Value;
use url::Url;

use super::{memory, tree::Image};
use crate::Error;
use crate::case::Case;

/// The address that every host has: one of those kept for documentation is no private one.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);

/// What there is, for all calls of a case.
pub(super) struct World {
    memory: Arc<Memory>,
    images: Vec<(String, Descriptor, Summary)>,
    fetch: BTreeMap<String, Vec<u8>>,
    folder: PathBuf,
    spool: Spool,
    /// Where the spool is, as long as it is needed.
    _scratch: tempfile::TempDir,
    changes: Mutex<Vec<Value>>,
}

impl World {
    pub(super) fn new(images: &[Image], fetch: BTreeMap<String, String>, case: &Case) -> std::result::Result<World, Error> {
        let memory = memory();
        let image = |image: &Image| {
            let manifest = image.build(&memory, case)?;
            let (id, names, size) = (manifest.digest.to_string(), vec![image.name.clone()], manifest.size);
            Ok((image.name.clone(), manifest, Summary { id, names, size, ..Summary::default() }))
        };
        let images = images.iter().map(image).collect::<std::result::Result<_, Error>>()?;
        let fetch = fetch.into_iter().map(|(url, file)| Ok((url, case.file(&file)?)));
        let fetch = fetch.collect::<std::result::Result<_, Error>>()?;
        let scratch = tempfile::tempdir().map_err(|error| case.wrong(error))?;
        Ok(World {
            memory,
            images,
            fetch,
            folder: case.folder.join("context"),
            spool: Spool::new(scratch.path()),
            _scratch: scratch,
            changes: Mutex::default(),
        })
    }

    /// What was done to the store.
    pub(super) fn changes(&self) -> Vec<Value> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, line: String) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(line.into());
    }

    fn find(&self, name: &str) -> Result<&(String, Descriptor, Summary)> {
        let found = self.images.iter().find(|(known, manifest, _)| known == name || manifest.digest.to_string() == name);
        found.ok_or_else(|| GuestError::NotFound(format!("image '{name}'")))
    }

    fn view(&self, name: &str) -> Result<ImageView> {
        let (name, manifest, _) = self.find(name)?;
        let source: Arc<dyn Source> = Arc::<Memory>::clone(&self.memory);
        Ok(ImageView::open(source, manifest, name, &self.spool)?)
    }
}

/// One call's view of it.
pub(super) struct Outside(Arc<World>);

impl Outside {
    pub(super) fn new(world: &Arc<World>) -> Outside {
        Outside(Arc::clone(world))
    }
}

impl Reach for Outside {
    fn summaries(&mut self) -> Result<Vec<Summary>> {
        Ok(self.0.images.iter().map(|(_, _, summary)| summary.clone()).collect())
    }

    fn open(&mut self, name: &str, _platform: Option<&Platform>) -> Result<ImageView> {
        self.0.view(name)
    }

    fn create(&mut self) -> Result<ImageBuilder> {
        let staging: Arc<dyn Staging> = Arc::<Memory>::clone(&self.0.memory);
        Ok(ImageBuilder::new(staging, Compression::None))
    }

    fn commit(&mut self, image: ImageBuilder, name: &str) -> Result<Digest> {
        let layers = image.finish()?.layers;
        let diff_ids: Vec<String> = layers.iter().map(|(layer, _)| layer.diff_id.to_string()).collect();
        self.0.change(format!("commit {name}: {}", diff_ids.join(" ")));
        Ok(Digest::of(diff_ids.join(" ").as_bytes()))
    }

    fn tag(&mut self, image: &str, name: &str) -> Result<()> {
        self.0.find(image)?;
        self.0.change(format!("tag {image} as {name}"));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<Vec<String>> {
        self.0.find(name)?;
        self.0.change(format!("remove {name}"));
        Ok(vec![format!("Untagged: {name}")])
    }

    fn tags(&mut self, repository: &Reference) -> Result<Vec<String>> {
        let start = format!("{}:", repository.name());
        Ok(self.0.images.iter().filter_map(|(name, ..)| Some(name.strip_prefix(&start)?.to_owned())).collect())
    }

    fn open_remote(&mut self, name: &Reference, _platform: Option<&Platform>) -> Result<ImageView> {
        self.0.view(&name.to_string())
    }

    fn resolve(&mut self, _host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from((ADDRESS, port))])
    }

    fn get(&mut self, url: &Url, _addresses: &[SocketAddr]) -> Result<Answer> {
        let body = self.0.fetch.get(url.as_str()).ok_or_else(|| GuestError::NotFound(url.to_string()))?;
        Ok(Answer::Body(Box::new(Cursor::new(body.clone()))))
    }

    fn folder(&mut self) -> Result<PathBuf> {
        Ok(self.0.folder.clone())
    }

    fn spool(&mut self) -> Result<Spool> {
        Ok(self.0.spool.clone())
    }
}
