//! The crash-safe content store: blobs, metadata, leases, reachability, prune
