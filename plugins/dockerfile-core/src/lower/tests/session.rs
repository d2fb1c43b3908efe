//! The session.

use std::collections::BTreeMap;

use nacre_sdk::frontend::Resolved;
use nacre_sdk::graph::ImageName;
use nacre_sdk::{Diagnostic, Error, Platform};

use crate::lower::{Session, platform};

/// Files and images by name.
pub(super) struct Memory {
    /// By `CONTEXT:PATH`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Configurations by the name of the image or of the context; for one platform as `NAME linux/arm64`.
    pub images: BTreeMap<String, String>,
    /// As `LINE RULE MESSAGE`.
    pub warnings: Vec<String>,
}

const BASE: &str = r#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin","BASE=1"],"Cmd":["/bin/sh"],"WorkingDir":"/"},
    "history":[{"created":"2020-01-01T00:00:00Z","created_by":"base files"}],"rootfs":{"type":"layers","diff_ids":["sha256:00"]}}"#;
const TRIGGERING: &str = r#"{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"User":"me","WorkingDir":"/app",
    "OnBuild":["COPY . .","RUN make"]},"rootfs":{"type":"layers","diff_ids":["sha256:00"]}}"#;

impl Default for Memory {
    fn default() -> Memory {
        let images = [
            ("docker.io/library/base:latest", BASE),
            ("docker.io/library/other:latest", BASE),
            ("docker.io/library/triggering:latest", TRIGGERING),
        ];
        Memory {
            files: BTreeMap::new(),
            images: images.into_iter().map(|(name, config)| (name.into(), config.into())).collect(),
            warnings: Vec::new(),
        }
    }
}

impl Session for Memory {
    fn read_file(&mut self, context: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.files.get(&format!("{context}:{path}")).cloned())
    }

    fn resolve(&mut self, name: &ImageName, platform: &Platform) -> Result<Resolved, Error> {
        let (ImageName::Reference(name) | ImageName::Context(name)) = name;
        if name.contains("unreachable") {
            return Err(Error::Io("connection refused".into()));
        }
        let special = format!("{name} {}", platform::format(platform));
        let config = self.images.get(&special).or_else(|| self.images.get(name));
        let config = config.ok_or_else(|| Error::NotFound("not found".into()))?.clone();
        Ok(Resolved { digest: format!("sha256:{}", "d".repeat(64)), platform: platform.clone(), config })
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        let line = diagnostic.at.map(|at| at.line).unwrap_or_default();
        self.warnings.push(format!("{line} {} {}", diagnostic.code, diagnostic.message));
    }
}
