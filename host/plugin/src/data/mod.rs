//! Bulk data for plugins: the interfaces `bytes`, `files` and `images` of `wit/`.
//!
//! The plugin holds handles, nacre the bytes. Every function here ends in an answer or in one of three kinds of
//! [`Trouble`]: the plugin is told, nacre itself failed, or the call ends.

mod builder;
pub(crate) mod bytes;
mod files;
mod images;
mod listing;
mod pool;
mod sink;
mod view;
mod watch;

use std::io::{self, ErrorKind};
use std::time::Instant;

use wasmtime::StoreContextMut;
use wasmtime::bail;
use wasmtime::component::{ComponentNamedList, Lift, Linker, LinkerInstance, Lower, Resource, ResourceTableError, ResourceType};

pub use builder::{Built, ImageBuilder};
pub use bytes::Codec;
pub(crate) use bytes::Source;
pub use sink::Output;
pub use view::ImageView;
use watch::TooMuch;
pub(crate) use watch::Watch;

use crate::state::State;
use crate::types::GuestError;

/// The most bytes that are moved for a plugin in one call.
const MAX_MOVED: u64 = 256 << 30;
/// The most bytes that one read returns.
const MAX_READ: usize = 1 << 20;
/// The most bytes of a block that is compressed on its own.
const MAX_BLOCK: usize = 16 << 20;

/// Adds the interfaces to a linker.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut bytes = linker.instance("nacre:plugin/bytes@0.1.0")?;
    self::bytes::add(&mut bytes)?;
    sink::add(&mut bytes)?;
    files::add(&mut linker.instance("nacre:plugin/files@0.1.0")?)?;
    images::add(&mut linker.instance("nacre:plugin/images@0.1.0")?)
}

/// Why a function of nacre gave no answer.
pub(crate) enum Trouble {
    /// The plugin or its input is at fault, or something that it can deal with: it is told.
    Guest(GuestError),
    /// Nacre failed. The plugin is told too, but the user hears it in nacre's own words.
    Host(nacre_oci::Error),
    /// The call ends.
    End(wasmtime::Error),
}

/// What a function of nacre answers.
pub(crate) type Outcome<T> = Result<T, Trouble>;

impl Trouble {
    /// The input is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Trouble {
        Trouble::Guest(GuestError::invalid("bad-data", message))
    }

    /// More than nacre does for one call.
    pub(crate) fn limit(message: impl Into<String>) -> Trouble {
        Trouble::Guest(GuestError::Limit(message.into()))
    }

    /// The plugin asked for what is not to be had (any more).
    pub(crate) fn unsupported(message: impl Into<String>) -> Trouble {
        Trouble::Guest(GuestError::Unsupported(message.into()))
    }
}

impl From<GuestError> for Trouble {
    fn from(error: GuestError) -> Trouble {
        Trouble::Guest(error)
    }
}

impl From<ResourceTableError> for Trouble {
    fn from(error: ResourceTableError) -> Trouble {
        Trouble::End(error.into())
    }
}

/// Damaged or absurd data is the plugin's business, a disk or a network nacre's.
impl From<nacre_oci::Error> for Trouble {
    fn from(error: nacre_oci::Error) -> Trouble {
        match error {
            nacre_oci::Error::TooLarge { .. } => Trouble::limit(error.to_string()),
            nacre_oci::Error::Malformed { .. } => Trouble::invalid(error.to_string()),
            nacre_oci::Error::Unsupported { .. } | nacre_oci::Error::Conflict(_) => Trouble::unsupported(error.to_string()),
            nacre_oci::Error::Io { doing, source } => match (source.get_ref().is_some_and(|inner| inner.is::<TooMuch>()), source.kind()) {
                (true, _) => Trouble::limit(source.to_string()),
                (_, ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof) => Trouble::invalid(source.to_string()),
                (_, ErrorKind::Unsupported) => Trouble::unsupported(source.to_string()),
                _ => Trouble::Host(nacre_oci::Error::Io { doing, source }),
            },
            error => Trouble::Host(error),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        nacre_oci::Error::io("read or write the data")(error).into()
    }
}

/// Adds a function that answers or tells the plugin why not.
pub(crate) fn function<P, R>(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    body: fn(&mut State, P) -> Outcome<R>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: Lower + wasmtime::component::ComponentType + Send + 'static,
{
    instance.func_wrap(name, move |mut store: StoreContextMut<'_, State>, params: P| {
        let outcome = counted(store.data_mut(), |state| body(state, params))?;
        answer(store.data_mut(), outcome).map(|answer| (answer,))
    })
}

/// Adds a function that always answers.
pub(crate) fn plain_function<P, R>(
    instance: &mut LinkerInstance<'_, State>,
    name: &str,
    body: fn(&mut State, P) -> Result<R, ResourceTableError>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: Lower + wasmtime::component::ComponentType + Send + 'static,
{
    instance.func_wrap(name, move |mut store: StoreContextMut<'_, State>, params: P| {
        let outcome = counted(store.data_mut(), |state| body(state, params))?;
        Ok((outcome?,))
    })
}

/// Adds a resource whose handles are in the state.
pub(crate) fn resource<T: Send + 'static>(instance: &mut LinkerInstance<'_, State>, name: &str) -> wasmtime::Result<()> {
    instance.resource(name, ResourceType::host::<T>(), |mut store, rep| {
        store.data_mut().handles.delete(Resource::<T>::new_own(rep))?;
        Ok(())
    })
}

/// Does what the plugin asks, with its clock standing while bytes are moved.
fn counted<R>(state: &mut State, body: impl FnOnce(&mut State) -> R) -> wasmtime::Result<R> {
    if state.watch.cancelled() {
        bail!("cancelled");
    }
    let (begun, moved, stood) = (Instant::now(), state.watch.moved(), state.clock.stood());
    let outcome = body(state);
    // What was waited for on the way counts already.
    let time = begun.elapsed().saturating_sub(state.clock.stood() - stood);
    state.clock.stand(time, state.watch.excused(state.watch.moved() - moved));
    state.counts.calls += 1;
    Ok(outcome)
}

fn answer<R>(state: &mut State, outcome: Outcome<R>) -> wasmtime::Result<Result<R, GuestError>> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(Trouble::Guest(error)) => Ok(Err(error)),
        Err(Trouble::End(error)) => Err(error),
        Err(Trouble::Host(nacre_oci::Error::Cancelled)) => {
            state.failure = Some(nacre_oci::Error::Cancelled);
            bail!("cancelled")
        }
        Err(Trouble::Host(error)) => {
            let told = GuestError::Io(error.to_string());
            state.failure.get_or_insert(error);
            Ok(Err(told))
        }
    }
}
