//! What a build is to do: `wit/graph.wit`, as plain data.
//!
//! A frontend returns a [`Definition`]; nothing of it is checked here beyond its shape.

use serde::{Deserialize, Serialize};
use wasmtime::component::{ComponentType, Lift, Lower};

use crate::types::{Kv, Platform, Span, content};

/// An earlier operation: its position in the list.
pub type Node = u32;

/// An image's name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum ImageName {
    /// As in `FROM`, such as `nginx:1.27` or `ghcr.io/acme/app@sha256:...`.
    #[component(name = "reference")]
    Reference(String),
    /// An image that the user gave as a named context.
    #[component(name = "context")]
    Context(String),
}

/// An image's root filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct ImageSource {
    /// The `name`.
    pub name: ImageName,
    /// The `platform`.
    pub platform: Platform,
}

/// Files of the user's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct FolderSource {
    /// `context` is the build's own folder; others are the user's named contexts.
    pub context: String,
    /// Patterns of `.dockerignore`, in its order: the last that matches a path decides.
    pub exclude: Vec<String>,
}

/// A file by HTTP: one file in the root, of root's, with mode 0600.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct HttpSource {
    /// The `url`.
    pub url: String,
    /// What its bytes must have.
    pub checksum: Option<String>,
    /// What it is called.
    pub name: String,
}

/// A tree out of a git repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct GitSource {
    /// The repository, as git takes it.
    pub remote: String,
    /// A branch, a tag, a full reference or a commit; empty for the remote's default.
    pub reference: String,
    /// Only this folder becomes the root; empty for all.
    pub folder: String,
    /// The `keep-git-dir`.
    #[component(name = "keep-git-dir")]
    pub keep_git_dir: bool,
    /// The `submodules`.
    pub submodules: bool,
    /// The commit that it must be, or the front of it.
    pub checksum: Option<String>,
}

/// `source` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Source {
    /// An empty root filesystem without any layer.
    #[component(name = "scratch")]
    Scratch,
    /// `image`.
    #[component(name = "image")]
    Image(ImageSource),
    /// `folder`.
    #[component(name = "folder")]
    Folder(FolderSource),
    /// `http`.
    #[component(name = "http")]
    Http(HttpSource),
    /// `git`.
    #[component(name = "git")]
    Git(GitSource),
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Id {
    /// Looked up in the `/etc/passwd` or `/etc/group` of the operation's base.
    #[component(name = "name")]
    Name(String),
    /// `number`.
    #[component(name = "number")]
    Number(u32),
}

/// Without a group it is the user's own; without a user it is root.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct Owner {
    /// The `user`.
    pub user: Option<Id>,
    /// The `group`.
    pub group: Option<Id>,
}

/// `permissions` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Permissions {
    /// The twelve permission bits.
    #[component(name = "octal")]
    Octal(u32),
    /// As chmod(1) takes it: `u=rwX,go=rX`.
    #[component(name = "symbolic")]
    Symbolic(String),
}

/// Copies files of another root filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct CopyFiles {
    /// The `from`.
    pub from: Node,
    /// A path; with `wildcard` a pattern of Go's `filepath.Match`.
    pub source: String,
    /// The `wildcard`.
    pub wildcard: bool,
    /// A pattern that matches nothing is no error.
    #[component(name = "allow-empty")]
    pub allow_empty: bool,
    /// Where to. With a `/` or `/.` at its end it is a folder.
    pub dest: String,
    /// A folder's content is copied rather than the folder.
    pub contents: bool,
    /// A file that is a tar archive, plain or compressed, is unpacked.
    pub unpack: bool,
    /// The source is `FOLDER/./PATTERN`, both from the root; the folders on the way from
    /// FOLDER to what matches are made below `dest`. See `wit/graph.wit`.
    pub parents: bool,
    /// What exists with another type is replaced, and no symlink at `dest` is
    /// followed: as if the copy were made for itself and laid over the base.
    pub replace: bool,
    /// Patterns of what to leave out, relative to the source, as in `.dockerignore`.
    pub exclude: Vec<String>,
    /// Given to all that is copied and made.
    pub owner: Option<Owner>,
    /// Given to all that is copied; an octal one also to the folders that are made.
    pub permissions: Option<Permissions>,
}

/// `make-folder` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct MakeFolder {
    /// The `path`.
    pub path: String,
    /// The `mode`.
    pub mode: u32,
    /// Make its parents too, and do not mind if it is there.
    pub parents: bool,
    /// The `owner`.
    pub owner: Option<Owner>,
}

/// `make-file` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct MakeFile {
    /// The `path`.
    pub path: String,
    /// The `content`.
    #[serde(with = "content")]
    pub content: Vec<u8>,
    /// The `mode`.
    pub mode: u32,
    /// The `owner`.
    pub owner: Option<Owner>,
}

/// `remove` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct Remove {
    /// The `path`.
    pub path: String,
    /// The `wildcard`.
    pub wildcard: bool,
    /// Do not mind if it is not there.
    #[component(name = "allow-missing")]
    pub allow_missing: bool,
}

/// `make-symlink` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct MakeSymlink {
    /// The `path`.
    pub path: String,
    /// The `target`.
    pub target: String,
    /// The `owner`.
    pub owner: Option<Owner>,
}

/// `action` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Action {
    /// `copy`.
    #[component(name = "copy")]
    Copy(CopyFiles),
    /// `make-folder`.
    #[component(name = "make-folder")]
    MakeFolder(MakeFolder),
    /// `make-file`.
    #[component(name = "make-file")]
    MakeFile(MakeFile),
    /// `make-symlink`.
    #[component(name = "make-symlink")]
    MakeSymlink(MakeSymlink),
    /// `remove`.
    #[component(name = "remove")]
    Remove(Remove),
}

/// Changes to files, in this order, which make one layer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct File {
    /// The `base`.
    pub base: Node,
    /// The `actions`.
    pub actions: Vec<Action>,
}

/// `network` of `wit/graph.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum Network {
    /// `sandbox`.
    #[component(name = "sandbox")]
    Sandbox,
    /// `none`.
    #[component(name = "none")]
    None,
    /// `host`.
    #[component(name = "host")]
    Host,
}

/// `sharing` of `wit/graph.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(enum)]
#[repr(u8)]
pub enum Sharing {
    /// Any number of builds at a time.
    #[component(name = "shared")]
    Shared,
    /// A build that finds it in use gets another one.
    #[component(name = "private")]
    Private,
    /// One build at a time; others wait.
    #[component(name = "locked")]
    Locked,
}

/// `bind-mount` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct BindMount {
    /// The `from`.
    pub from: Node,
    /// The folder or file of it that is mounted.
    pub source: String,
}

/// A folder that lasts from build to build and is in no layer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct CacheMount {
    /// The `id`.
    pub id: String,
    /// The `sharing`.
    pub sharing: Sharing,
    /// What it holds when it is new.
    pub from: Option<Node>,
    /// The `source`.
    pub source: String,
    /// The `mode`.
    pub mode: u32,
    /// The `uid`.
    pub uid: u32,
    /// The `gid`.
    pub gid: u32,
}

/// What the user gave with `--secret`. It reaches no layer and no key of the cache.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct SecretMount {
    /// The `id`.
    pub id: String,
    /// The `required`.
    pub required: bool,
    /// The `mode`.
    pub mode: u32,
    /// The `uid`.
    pub uid: u32,
    /// The `gid`.
    pub gid: u32,
}

/// The user's ssh agent, as a socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct SshMount {
    /// The `id`.
    pub id: String,
    /// The `required`.
    pub required: bool,
    /// The `mode`.
    pub mode: u32,
    /// The `uid`.
    pub uid: u32,
    /// The `gid`.
    pub gid: u32,
}

/// `mount-kind` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum MountKind {
    /// `bind`.
    #[component(name = "bind")]
    Bind(BindMount),
    /// `cache`.
    #[component(name = "cache")]
    Cache(CacheMount),
    /// At most so many bytes; 0 for no limit of its own.
    #[component(name = "tmpfs")]
    Tmpfs(u64),
    /// `secret`.
    #[component(name = "secret")]
    Secret(SecretMount),
    /// `ssh`.
    #[component(name = "ssh")]
    Ssh(SshMount),
}

/// `mount` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct Mount {
    /// Where, relative to the working folder.
    pub target: String,
    /// The `readonly`.
    pub readonly: bool,
    /// The `kind`.
    pub kind: MountKind,
}

/// A secret as an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct SecretEnv {
    /// The `name`.
    pub name: String,
    /// The `id`.
    pub id: String,
    /// The `required`.
    pub required: bool,
}

/// Runs a program in a root filesystem. What it changes makes one layer; what is
/// written to mounts does not belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct Exec {
    /// The `base`.
    pub base: Node,
    /// The `args`.
    pub args: Vec<String>,
    /// The `env`.
    pub env: Vec<Kv>,
    /// Variables that it gets too, and which win, but which count in no key of the
    /// cache: those of the user's proxy.
    #[component(name = "uncached-env")]
    pub uncached_env: Vec<Kv>,
    /// The `secret-env`.
    #[component(name = "secret-env")]
    pub secret_env: Vec<SecretEnv>,
    /// The working folder; it is made if it is not there.
    pub cwd: String,
    /// As in `USER`: `user`, `uid`, `user:group`; empty for root.
    pub user: String,
    /// The `mounts`.
    pub mounts: Vec<Mount>,
    /// The `network`.
    pub network: Network,
    /// What it sees as the name of its host; empty for nacre's own choice.
    pub hostname: String,
}

/// What `upper` has changed of `lower`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct Diff {
    /// The `lower`.
    pub lower: Node,
    /// The `upper`.
    pub upper: Node,
}

/// `operation` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(variant)]
pub enum Operation {
    /// `source`.
    #[component(name = "source")]
    Source(Source),
    /// `file`.
    #[component(name = "file")]
    File(File),
    /// `exec`.
    #[component(name = "exec")]
    Exec(Exec),
    /// The layers of these root filesystems one over the other.
    #[component(name = "merge")]
    Merge(Vec<Node>),
    /// `diff`.
    #[component(name = "diff")]
    Diff(Diff),
}

/// `vertex` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct Vertex {
    /// The `operation`.
    pub operation: Operation,
    /// What the user sees of it, such as `[build 2/5] RUN make`.
    pub label: String,
    /// Where it stands in the user's file.
    pub at: Option<Span>,
    /// Do it even if the cache has it.
    #[component(name = "no-cache")]
    pub no_cache: bool,
}

/// `definition` of `wit/graph.wit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ComponentType, Lift, Lower)]
#[serde(rename_all = "kebab-case")]
#[component(record)]
pub struct Definition {
    /// The `vertices`.
    pub vertices: Vec<Vertex>,
    /// The operation whose result is wanted. What it does not need is not done.
    pub output: Node,
}
