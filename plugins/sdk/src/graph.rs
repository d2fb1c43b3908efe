//! The build graph: the records of `wit/graph.wit`, and what puts them together.

pub use crate::bindings::nacre::plugin::graph::*;

#[doc(no_inline)]
pub use crate::{Platform, Span};

/// A graph in the making: each operation may use those before it.
///
/// ```
/// use nacre_sdk::graph::{Action, File, Graph, MakeFolder, Operation};
///
/// let mut graph = Graph::new();
/// let base = graph.scratch();
/// let folder = MakeFolder { path: "/srv".into(), mode: 0o755, parents: true, owner: None };
/// let made = graph.file(base, vec![Action::MakeFolder(folder)], "MKDIR /srv", None);
/// assert_eq!(graph.definition(made).vertices.len(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    vertices: Vec<Vertex>,
    no_cache: bool,
}

impl Graph {
    /// An empty one.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Whether the operations that follow are done even if the cache has them.
    pub fn no_cache(&mut self, no_cache: bool) {
        self.no_cache = no_cache;
    }

    /// Adds an operation. One that is there already, with its label and place, is not added again.
    pub fn push(&mut self, operation: Operation, label: impl Into<String>, at: Option<Span>) -> Node {
        let vertex = Vertex { operation, label: label.into(), at, no_cache: self.no_cache };
        let sources = matches!(vertex.operation, Operation::Source(_));
        let known = sources.then(|| self.vertices.iter().position(|known| *known == vertex)).flatten();
        let index = known.unwrap_or_else(|| {
            self.vertices.push(vertex);
            self.vertices.len() - 1
        });
        u32::try_from(index).expect("a component's memory holds less than 2^32 operations")
    }

    /// The empty root filesystem.
    pub fn scratch(&mut self) -> Node {
        self.push(Operation::Source(Source::Scratch), "scratch", None)
    }

    /// An image's root filesystem.
    pub fn image(&mut self, name: ImageName, platform: Platform, label: impl Into<String>, at: Option<Span>) -> Node {
        self.push(Operation::Source(Source::Image(ImageSource { name, platform })), label, at)
    }

    /// Files of the user's: the context of this name without what the patterns exclude.
    pub fn folder(&mut self, context: &str, exclude: Vec<String>, label: impl Into<String>) -> Node {
        self.push(Operation::Source(Source::Folder(FolderSource { context: context.into(), exclude })), label, None)
    }

    /// Changes to the files of `base`.
    pub fn file(&mut self, base: Node, actions: Vec<Action>, label: impl Into<String>, at: Option<Span>) -> Node {
        self.push(Operation::File(File { base, actions }), label, at)
    }

    /// The operation of a node that [`Graph::push`] returned.
    pub fn operation(&self, node: Node) -> Option<&Operation> {
        self.vertices.get(node as usize).map(|vertex| &vertex.operation)
    }

    /// What to build `output` with. The graph can grow on.
    pub fn definition(&self, output: Node) -> Definition {
        Definition { vertices: self.vertices.clone(), output }
    }
}

impl CopyFiles {
    /// Copies the file or folder `source` of `from` to `dest`, with nothing else asked for.
    pub fn new(from: Node, source: impl Into<String>, dest: impl Into<String>) -> CopyFiles {
        CopyFiles {
            from,
            source: source.into(),
            wildcard: false,
            allow_empty: false,
            dest: dest.into(),
            contents: false,
            unpack: false,
            parents: false,
            replace: false,
            exclude: Vec::new(),
            owner: None,
            permissions: None,
        }
    }
}

impl Exec {
    /// Runs a program on `base` as root in `/`, with nothing else asked for.
    pub fn new(base: Node, args: Vec<String>) -> Exec {
        Exec {
            base,
            args,
            env: Vec::new(),
            uncached_env: Vec::new(),
            secret_env: Vec::new(),
            cwd: "/".into(),
            user: String::new(),
            mounts: Vec::new(),
            network: Network::Sandbox,
            hostname: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_source_is_one_operation_and_others_are_not() {
        let mut graph = Graph::new();
        let (base, again) = (graph.scratch(), graph.scratch());
        assert_eq!(base, again);
        let first = graph.file(base, Vec::new(), "a", None);
        let second = graph.file(base, Vec::new(), "a", None);
        assert_eq!((first, second), (1, 2));
        assert_eq!(graph.definition(second).output, 2);
    }
}
