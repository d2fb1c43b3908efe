//! What a Dockerfile says, and the build graph that it means: BuildKit's language as a library, for the bundled
//! frontend and for dialects of it.

pub mod expand;
pub mod ignore;
pub mod lint;
pub mod lower;
pub mod syntax;
