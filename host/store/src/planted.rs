//! Bugs to be found: each takes one safeguard away, so that it shows whether the tests notice.
//!
//! They exist only with the feature `planted-bugs`, which no manifest turns on, but only the command line of
//! `cargo xtask prove planted`. Then the environment variable `NACRE_PLANTED_BUG` names the one that the process has. Without the
//! feature [`planted`] is a constant, so that nothing of this is in the binary.

macro_rules! bugs {
    ($(#[doc = $what:literal] $bug:ident),+ $(,)?) => {
        /// A safeguard that is missing.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Bug { $(#[doc = $what] $bug),+ }

        /// The names of the bugs that can be planted, and what each is.
        pub const BUGS: &[(&str, &str)] = &[$((stringify!($bug), $what)),+];
    };
}

bugs! {
    /// Files are not flushed.
    NoFileFlush,
    /// Folders are not flushed.
    NoFolderFlush,
    /// A blob is flushed only after it got its name.
    FlushAfterRename,
    /// A blob stays writable.
    NoMode,
    /// The names of blobs are flushed only after the transaction that refers to them.
    MetadataBeforeBlobs,
    /// The metadata's log is not flushed.
    LogNotFlushed,
    /// An image and its name are written in two transactions.
    TagNotTransactional,
    /// Blobs are deleted before the metadata that refers to them.
    BlobsBeforeMetadata,
    /// A blob's digest is not checked.
    DigestUnchecked,
    /// The digest of what comes in pieces is not checked.
    UploadUnchecked,
    /// The size of what comes in pieces is not checked.
    SizeUnchecked,
    /// A partial download that is complete is taken for right.
    PartialUnchecked,
    /// What is there is not looked at before it is downloaded again.
    BlobSizeIgnored,
    /// What a command writes is protected by nothing.
    NoLease,
    /// What was found present is not protected.
    FoundNotLeased,
    /// A lease's file is not locked.
    LeaseUnlocked,
    /// Prune does not look at leases.
    PruneIgnoresLeases,
    /// The writers' lock is not taken.
    NoWritersLock,
    /// Partial downloads are not locked.
    PartialUnlocked,
    /// Prune sweeps what somebody is writing.
    SweepsLiving,
    /// Prune deletes what the build cache has.
    CacheForgotten,
    /// A removal deletes what other images need as well.
    SharedForgotten,
    /// A plan is applied to what has changed since.
    StalePlan,
    /// Lost metadata is taken for a new store.
    LostMetadataIgnored,
    /// The metadata of a newer version is taken for known.
    NewerSchemaAccepted,
    /// A folder with other files is taken for a store.
    ForeignFolderAccepted,
    /// What a store is made of is not flushed before it counts as made.
    MakingNotFlushed,
    /// Prune deletes what is pinned.
    PinIgnored,
    /// Prune deletes what containers run.
    ContainersForgotten,
    /// A digest reference is given to another image.
    NameUnchecked,
}

#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub(crate) fn planted(bug: Bug) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let name = PLANTED.get_or_init(|| std::env::var("NACRE_PLANTED_BUG").ok());
    name.as_ref().is_some_and(|name| *name == format!("{bug:?}"))
}
