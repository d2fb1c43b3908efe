//! Docker, Podman and skopeo pull from a nacre store and push to it, with every digest unchanged.
