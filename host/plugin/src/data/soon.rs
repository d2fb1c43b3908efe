//! What nacre-layer is about to bring, in its own words, so that others can build on the signatures.
#![allow(missing_docs, dead_code, unused_variables, reason = "replaced by nacre-layer")]

use std::io::{self, Read};

use nacre_layer::{Bytes, Entry, Member};
use nacre_oci::{Descriptor, Digest, Error, Result, Staged};

#[derive(Clone, Copy, Debug)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

#[derive(Clone, Debug)]
pub struct Layer {
    pub descriptor: Descriptor,
    pub diff_id: Digest,
}

pub struct LayerWriter {
    out: Box<dyn Staged>,
}

fn soon() -> Error {
    Error::Unsupported { what: "writing layers".into(), why: "nacre-layer does not do it yet".into() }
}

impl LayerWriter {
    pub fn new(out: Box<dyn Staged>, compression: Compression) -> Result<LayerWriter> {
        Ok(LayerWriter { out })
    }
    pub fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        Err(soon().into())
    }
    pub fn add_tar(&mut self, tar: &mut Bytes) -> io::Result<()> {
        Err(soon().into())
    }
    pub fn finish(self) -> Result<Layer> {
        Err(soon())
    }
}

pub struct Node {
    pub entry: Entry,
    pub layer: usize,
    pub offset: u64,
}

pub struct Tree(Vec<Node>);

impl Tree {
    pub fn new(layers: &[Vec<Member>]) -> Result<Tree> {
        Err(soon())
    }
    pub fn nodes(&self) -> &[Node] {
        &self.0
    }
}
