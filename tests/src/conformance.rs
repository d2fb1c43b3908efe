//! The contract of [`Source`], [`Sink`] and [`Staging`], as checks that every implementation runs.

use std::io::Read;

use nacre_oci::{
    Content, Descriptor, Digest, Error, Memory, Options, Select, Silent, Sink, Source, Staging, copy, media_type, plan, read_small,
    validate,
};

use crate::images;

/// Options that copy everything and say nothing.
pub fn everything() -> Options<'static> {
    Options { select: Select::All, parallel: 3, progress: &Silent }
}

/// Copies a multi-platform image in and out again through something that is both, and checks that nothing changed.
/// `name` is a name in its own spelling.
///
/// # Panics
/// If the contract is broken.
pub fn round_trip<T: Source + Sink>(both: &T, name: &str) {
    let origin = Memory::new();
    let root = images::multi_platform(&origin);
    copy(&origin, both, &root, &[name.to_owned()], &everything()).expect("copy in");
    source(both, &root, name);
    let back = Memory::new();
    let copied = copy(both, &back, &root, &[name.to_owned()], &everything()).expect("copy out");
    assert_eq!(back.digests(), origin.digests(), "some content was lost or changed");
    assert_eq!(copied.moved, copied.total);
    let again = copy(&origin, both, &root, &[name.to_owned()], &everything()).expect("copy in again");
    assert_eq!(again.moved, 0, "content that was there was moved again");
}

/// A source holds the image at `root` and knows it by `name`.
///
/// # Panics
/// If the contract is broken.
pub fn source<S: Source>(source: &S, root: &Descriptor, name: &str) {
    let resolved = source.resolve(name).expect("resolve");
    assert_eq!((&resolved.digest, resolved.size), (&root.digest, root.size));
    assert!(matches!(source.resolve("no-such-name"), Err(Error::NotFound { .. })), "an unknown name has to be NotFound");
    let missing = Descriptor::of(media_type::OCI_LAYER, b"not there");
    let answer = read_small(source, &missing, 100);
    assert!(matches!(answer, Err(Error::NotFound { .. })), "missing content has to be NotFound, not {answer:?}");
    validate(source, root, &Select::All).expect("validate");
    for blob in plan(source, root, &Select::All).expect("plan").blobs {
        let whole = read_small(source, &blob, u64::MAX).expect("read");
        let half = whole.len() / 2;
        let mut rest = Vec::new();
        source.open_unverified(&blob, half as u64).expect("open at an offset").read_to_end(&mut rest).expect("read on");
        assert!(rest == whole[half..], "an offset has to skip exactly that many bytes");
    }
}

/// A sink stores nothing that is not what it was announced as, and stays usable.
///
/// # Panics
/// If the contract is broken.
pub fn refuses_damage<S: Sink>(sink: &S) {
    let good = b"what was announced".as_slice();
    let descriptor = Descriptor::of(media_type::OCI_LAYER, good);
    for wrong in [b"what was announceD".as_slice(), b"what was", b"what was announced and more", b""] {
        let liar = Memory::new();
        liar.add_unchecked(descriptor.digest.clone(), wrong);
        let put = sink.put(&descriptor, &Content::new(&liar, &descriptor, &Silent));
        assert!(put.is_err(), "damaged content was accepted");
        assert!(!sink.contains(&descriptor).expect("contains"), "damaged content is visible");
    }
    let honest = Memory::new();
    honest.add(media_type::OCI_LAYER, good);
    for _ in 0..2 {
        sink.put(&descriptor, &Content::new(&honest, &descriptor, &Silent)).expect("put is idempotent");
    }
    assert!(sink.contains(&descriptor).expect("contains"));
    let other = Descriptor { digest: Digest::of(b"other"), ..descriptor };
    assert!(!sink.contains(&other).expect("contains"));
}

/// What is staged is stored under its digest and no other, is invisible before, and is gone if nobody commits it.
///
/// # Panics
/// If the contract is broken.
pub fn staging<T: Staging + Sink>(target: &T) {
    let pieces = [b"a layer ".as_slice(), b"", b"whose digest ", b"comes last"];
    let descriptor = Descriptor::of(media_type::OCI_LAYER, &pieces.concat());
    let staged = || {
        let mut staged = target.stage().expect("stage");
        pieces.iter().for_each(|piece| staged.write_all(piece).expect("write"));
        staged
    };
    drop(staged());
    let wrong =
        [Descriptor { size: descriptor.size + 1, ..descriptor.clone() }, Descriptor { digest: Digest::of(b"other"), ..descriptor.clone() }];
    for wrong in wrong {
        let committed = staged().commit(&wrong);
        assert!(matches!(committed, Err(Error::Mismatch { .. })), "{committed:?}");
        assert!(!target.contains(&wrong).expect("contains"), "damaged content is visible");
    }
    assert!(!target.contains(&descriptor).expect("contains"), "content is visible that nobody committed");
    for _ in 0..2 {
        staged().commit(&descriptor).expect("committing what is there is fine");
        assert!(target.contains(&descriptor).expect("contains"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_a_source_and_a_sink() {
        round_trip(&Memory::new(), "a:b");
        refuses_damage(&Memory::new());
        staging(&Memory::new());
    }

    #[test]
    fn one_platform_leaves_the_others_behind() {
        let (origin, target) = (Memory::new(), Memory::new());
        let root = images::multi_platform(&origin);
        let select = Select::Platforms(vec!["linux/arm64".parse().unwrap()]);
        copy(&origin, &target, &root, &[], &Options { select, ..everything() }).unwrap();
        assert_eq!(target.digests().len(), origin.digests().len() - 3, "manifest, config and layer of amd64 stay behind");
        validate(&target, &root, &Select::Present).unwrap();
        assert!(validate(&target, &root, &Select::All).is_err());
        let select = Select::Platforms(vec!["linux/s390x".parse().unwrap()]);
        let error = copy(&origin, &target, &root, &[], &Options { select, ..everything() }).unwrap_err().to_string();
        assert!(error.contains("linux/s390x") && error.contains("linux/amd64, linux/arm64"), "{error}");
    }

    #[test]
    fn damage_at_the_source_stops_the_copy_before_the_root() {
        let (origin, target) = (Memory::new(), Memory::new());
        let root = images::image(&origin, &images::Recipe::default());
        let layer = plan(&origin, &root, &Select::All).unwrap().blobs[0].digest.clone();
        origin.add_unchecked(layer, b"broken".as_slice());
        let error = copy(&origin, &target, &root, &["x".into()], &everything()).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        assert!(!target.contains(&root).unwrap() && target.tags().is_empty());
    }
}
