//! Layers: any bytes are a layer or an error, what is stored is what came, and a root filesystem is whole.
#![no_main]
#![allow(missing_docs, reason = "a fuzz target")]

mod sealed;

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nacre_layer::{Bytes, Codec, Compression, LayerWriter, Spool, TarReader, Tree};
use nacre_oci::{Digest, Memory, Sink, Staging};

fn check(bytes: &[u8]) {
    let memory = Memory::new();
    let mut writer = LayerWriter::new(memory.stage().expect("a memory"), Compression::None);
    if writer.add_tar(&Bytes::from_vec(bytes.to_vec(), &Spool::new(Path::new("/nowhere")))).is_err() {
        return;
    }
    let layer = writer.finish().expect("what was taken is stored");
    assert!(memory.contains(&layer.descriptor).expect("a memory"));
    if Codec::detect(bytes).is_some() {
        return;
    }
    assert_eq!((&layer.diff_id, &layer.descriptor.digest), (&Digest::of(bytes), &Digest::of(bytes)));
    let mut tar = TarReader::new(bytes).as_layer();
    let mut members = Vec::new();
    while let Some(member) = tar.next_entry().expect("what was taken is read") {
        members.push(member);
    }
    let Ok(tree) = Tree::new([members.clone(), members]) else { return };
    assert!(tree.nodes().is_sorted_by(|one, next| one.entry.path < next.entry.path));
    for node in tree.nodes() {
        let folder = node.entry.path.iter().rposition(|&byte| byte == b'/').map(|end| &node.entry.path[..end]);
        assert!(folder.is_none_or(|folder| tree.get(folder).is_some()), "a file without its folder");
    }
}

fuzz_target!(|bytes: &[u8]| match Codec::detect(bytes) {
    Some(_) => check(bytes),
    None => check(&sealed::sealed(bytes)),
});
