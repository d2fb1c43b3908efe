//! Which image and which of its platforms a container is made of.

use nacre_container::{Base, Error};
use nacre_oci::{Index, RawManifest, Reference, media_type};
use nacre_store::Acquired;

use crate::support::{Bench, Image};

fn index(bench: &Bench, platforms: &[&str]) {
    let one = |platform: &&str| {
        let raw = bench.manifest(&Image { platform, files: &["one", platform], ..Image::default() });
        nacre_oci::Descriptor { platform: Some(platform.parse().unwrap()), ..raw.descriptor }
    };
    let index = Index {
        schema_version: 2,
        media_type: media_type::OCI_INDEX.into(),
        artifact_type: None,
        manifests: platforms.iter().map(one).collect(),
        subject: None,
        annotations: Default::default(),
    };
    let bytes = serde_json::to_vec(&index).unwrap();
    let raw = RawManifest { descriptor: bench.put(media_type::OCI_INDEX, bytes.clone()), bytes };
    bench.store().add_tagged(&"multi:latest".parse::<Reference>().unwrap(), &raw, Acquired::Built).unwrap();
}

fn find(bench: &Bench, name: &str, platform: Option<&str>) -> Result<Base, Error> {
    Base::find(bench.store(), name, platform.map(|text| text.parse().unwrap()).as_ref())
}

#[test]
fn a_platform_is_chosen_from_an_index() {
    let bench = Bench::new();
    index(&bench, &["linux/amd64", "linux/arm64", "linux/s390x"]);
    let host = nacre_oci::Platform::host();
    assert_eq!(find(&bench, "multi", None).unwrap().platform, host);
    let chosen = find(&bench, "multi", Some("linux/s390x")).unwrap();
    assert_eq!((chosen.platform.to_string().as_str(), chosen.layers.len(), chosen.warning), ("linux/s390x", 2, None));
    let missing = find(&bench, "multi", Some("linux/riscv64")).unwrap_err();
    assert!(matches!(missing, Error::NoSuchImage(_)), "{missing}");
}

#[test]
fn another_machines_image_is_taken_with_a_warning_unless_a_platform_is_asked_for() {
    let bench = Bench::new();
    bench.image(Image { platform: "linux/s390x", ..Image::default() });
    let warning = find(&bench, "base", None).unwrap().warning.unwrap();
    assert!(warning.starts_with("The requested image's platform (linux/s390x) does not match the detected host platform"), "{warning}");
    let wrong = find(&bench, "base", Some("linux/amd64")).unwrap_err();
    assert!(matches!(&wrong, Error::NoSuchImage(why) if why.ends_with("wanted linux/amd64, actual: linux/s390x")), "{wrong}");
}

#[test]
fn an_image_that_is_not_there_whole_may_be_pulled() {
    let bench = Bench::with_base();
    assert_eq!(find(&bench, "nosuch", None).unwrap_err().to_string(), "No such image: nosuch");
    let layer = bench.base().layers[0].1.clone();
    std::fs::remove_file(bench.store().blob_path(&layer)).unwrap();
    assert!(matches!(find(&bench, "base", None), Err(Error::NoSuchImage(_))));
}
