//! `nacre import hello.sh` makes an image of a shell script: all it holds, and what it runs.

use nacre_sdk::bytes::Source;
use nacre_sdk::entries::entry;
use nacre_sdk::files::{Content, Entry, Kind};
use nacre_sdk::import::{Builder, Confidence, Head};
use nacre_sdk::{Error, Options};

pub fn probe(_format: &str, head: &Head) -> Confidence {
    if head.raw.starts_with(b"#!/bin/sh") { Confidence::Maybe } else { Confidence::No }
}

pub fn convert(_format: &str, sources: Vec<Source>, image: &Builder, _opts: &Options) -> Result<(), Error> {
    let [script] = &sources[..] else { return Err("one script makes one image".into()) };
    let run = Entry { size: script.size()?, ..entry("run", Kind::File, 0o755) };
    image.layer("{{name}}")?.add(&run, &Content::Source(script))?;
    image.set_config(r#"{"Entrypoint": ["/run"]}"#)
}

nacre_sdk::import_format!(probe, convert);
