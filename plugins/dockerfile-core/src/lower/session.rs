//! What lowering asks of the outside: of nacre, or of a test.

use nacre_sdk::frontend::Resolved;
use nacre_sdk::graph::ImageName;
use nacre_sdk::{Diagnostic, Error, Platform, build};

/// What lowering asks of the outside.
pub trait Session {
    /// A file of a folder context; none if it is not there.
    fn read_file(&mut self, context: &str, path: &str) -> Result<Option<Vec<u8>>, Error>;
    /// The image of this name for this platform.
    fn resolve(&mut self, name: &ImageName, platform: &Platform) -> Result<Resolved, Error>;
    /// Tells of something that is no error.
    fn warn(&mut self, diagnostic: Diagnostic);
}

/// Nacre itself, for a component.
#[derive(Debug, Clone, Copy)]
pub struct Host;

impl Session for Host {
    fn read_file(&mut self, context: &str, path: &str) -> Result<Option<Vec<u8>>, Error> {
        build::read_file(context, path)
    }

    fn resolve(&mut self, name: &ImageName, platform: &Platform) -> Result<Resolved, Error> {
        build::resolve(name, platform)
    }

    fn warn(&mut self, diagnostic: Diagnostic) {
        build::warn(&diagnostic);
    }
}
