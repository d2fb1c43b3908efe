//! Parsers take any text without panicking, and what they print they read back as the same.
#![allow(missing_docs, reason = "tests")]

use nacre_oci::{Digest, Document, ImageConfig, Platform, Reference};
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_text_is_a_value_or_an_error(text in ".*") {
        let _ = text.parse::<Digest>();
        let _ = text.parse::<Reference>();
        let _ = text.parse::<Platform>();
        let _ = Document::parse(text.as_bytes(), None);
        let _ = ImageConfig::parse(text.as_bytes());
    }

    #[test]
    fn references_print_what_they_read(
        host in prop::option::of("[a-z]{1,8}\\.[a-z]{2,3}(:[1-9][0-9]{1,3})?"),
        path in prop::collection::vec("[a-z0-9]{1,6}([._-][a-z0-9]{1,4})?", 1..4),
        tag in prop::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        content in prop::option::of(any::<u64>()),
    ) {
        let mut text = host.iter().cloned().chain(path).collect::<Vec<_>>().join("/");
        text.extend(tag.map(|tag| format!(":{tag}")));
        text.extend(content.map(|content| format!("@{}", Digest::of(&content.to_le_bytes()))));
        let reference: Reference = text.parse().expect("within the grammar");
        prop_assert_eq!(&reference.to_string().parse::<Reference>().expect("canonical"), &reference);
        prop_assert_eq!(&reference.familiar().parse::<Reference>().expect("familiar"), &reference);
    }

    #[test]
    fn platforms_print_what_they_read(
        os in "linux|windows|darwin",
        arch in "amd64|x86_64|arm64|aarch64|arm|armhf|386|riscv64",
        variant in prop::option::of("v[5-9](\\.[0-9])?"),
    ) {
        let text = [Some(os), Some(arch), variant].into_iter().flatten().collect::<Vec<_>>().join("/");
        let platform: Platform = text.parse().expect("a platform");
        prop_assert_eq!(&platform.to_string().parse::<Platform>().expect("normalised"), &platform);
        prop_assert_eq!(platform.rank(&platform), Some(0));
    }

    #[test]
    fn configs_keep_every_field(json in json(), created in "[ -~]{0,20}") {
        let mut config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] }, "config": {}, "history": [], "created": created,
        });
        config["x-unknown"] = json.clone();
        config["config"]["X-Unknown"] = json;
        let read = ImageConfig::parse(config.to_string().as_bytes()).expect("a config");
        let written: serde_json::Value = serde_json::from_slice(&read.to_bytes()).expect("JSON");
        prop_assert_eq!(written, config);
    }
}

/// Any JSON, three levels deep.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Not finite is null.
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
