//! The one handle: a store, and what sandboxes are started with.

use std::{io::Read, sync::OnceLock};

use nacre_oci::{Digest, Error as Data};
use nacre_runtime::{Control, Exec, Files, Sandbox, Settings, Started, State};
use nacre_store::Store;

use crate::{Error, Record, Result, boot::boot};

/// Containers of a store. Opens nothing before it is needed: what only reads needs no OCI runtime.
pub struct Engine {
    store: Store,
    settings: Settings,
    sandbox: OnceLock<Sandbox>,
}

/// A container: its row in the store, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The name, without Docker's `/`.
    pub name: String,
    /// The image that it was made of: the digest of the index or manifest that had the name then.
    pub image: Digest,
    /// When it was made, Unix nanoseconds.
    pub created: i64,
    /// Whether it is removed when it ends.
    pub remove: bool,
    /// All else.
    pub record: Record,
}

impl Container {
    /// The id as lists show it: 12 digits.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    pub(crate) fn of(row: nacre_store::Container) -> Result<Self> {
        let record = Record::parse(&row.id, &row.record)?;
        Ok(Self { id: row.id, name: row.name, image: row.image, created: row.created, remove: row.remove, record })
    }
}

impl Engine {
    /// Containers of `store`; `settings` are for when something is to be run.
    pub fn new(store: Store, settings: Settings) -> Self {
        Self { store, settings, sandbox: OnceLock::new() }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What runs programs, opened at the first call.
    ///
    /// # Errors
    /// As [`Sandbox::open`].
    pub fn sandbox(&self) -> Result<&Sandbox> {
        if let Some(open) = self.sandbox.get() {
            return Ok(open);
        }
        let opened = Sandbox::open(self.settings.clone())?;
        Ok(self.sandbox.get_or_init(|| opened))
    }

    /// The container with this id, name (with or without Docker's `/`) or beginning of an id, in this order.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`]; if several ids begin like that.
    pub fn find(&self, text: &str) -> Result<Container> {
        let name = text.strip_prefix('/').unwrap_or(text);
        if name.is_empty() {
            return Err(Error::invalid("Container name cannot be empty"));
        }
        let row = self.store.container(name)?.ok_or_else(|| Error::NoSuchContainer(text.to_owned()))?;
        Container::of(row)
    }

    /// All containers, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn all(&self) -> Result<Vec<Container>> {
        self.store.containers()?.into_iter().map(Container::of).collect()
    }

    /// How a container is now.
    ///
    /// # Errors
    /// If its folder cannot be read.
    pub fn state(&self, container: &Container) -> Result<State> {
        Ok(nacre_runtime::state(self.store.root(), &container.id)?)
    }

    /// The files of a container, running or not.
    ///
    /// # Errors
    /// If its root filesystem cannot be mounted.
    pub fn files(&self, container: &Container) -> Result<Files<'_>> {
        Ok(self.sandbox()?.files(&self.boot(container, None))?)
    }

    /// Runs another program in a running container.
    ///
    /// # Errors
    /// In Docker's words, if it does not run.
    pub fn exec(&self, text: &str, exec: &Exec) -> Result<Started> {
        let container = self.find(text)?;
        let Some(control) = self.control(&container)? else {
            return Err(Error::Conflict(format!("Container {} is not running", container.id)));
        };
        let mut exec = exec.clone();
        if exec.tty && !container.record.tty && !exec.env.iter().any(|(name, _)| name == "TERM") {
            exec.env.insert(0, ("TERM".into(), "xterm".into()));
        }
        Ok(control.exec(&exec)?)
    }

    /// A way to speak to a running container.
    ///
    /// # Errors
    /// If its monitor does not answer.
    pub fn control(&self, container: &Container) -> Result<Option<Control>> {
        Ok(Control::connect(self.store.root(), &container.id)?)
    }

    pub(crate) fn boot(&self, container: &Container, size: Option<(u16, u16)>) -> nacre_runtime::Boot {
        boot(&self.store, &container.id, container.remove, &container.record, size)
    }
}

/// So many random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(Data::io("read /dev/urandom"))?;
    Ok(bytes)
}
