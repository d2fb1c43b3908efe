//! Manifests and indexes: any bytes are a document or an error, and a document is only one of the two.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nacre_oci::{Document, media_type};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = Document::parse(bytes, None) {
        assert_eq!(media_type::is_index(document.media_type()), matches!(document, Document::Index(_)));
        let _ = (document.children(), document.subject(), document.artifact_type());
    }
});
