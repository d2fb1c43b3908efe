//! Where operations begin: images, folders, files by HTTP, git repositories.

pub(crate) mod git;
pub(crate) mod http;
mod image;

pub(crate) use image::Image;
