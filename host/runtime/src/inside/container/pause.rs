//! Containers whose processes are stopped for a while.

use std::sync::{Arc, MutexGuard, PoisonError};

use nacre_oci::Result;

use crate::inside::container::monitor::Monitor;

/// Keeps a container paused until it is dropped. There may be several.
pub(crate) struct Hold(Option<Arc<Monitor>>);

impl Hold {
    /// Pauses the container, unless it is.
    pub(crate) fn new(monitor: &Arc<Monitor>) -> Result<Self> {
        let mut holds = monitor.holds();
        if *holds == 0 {
            let paused = monitor.oci.order(&["pause", &monitor.oci.id]).and_then(|()| monitor.paused(true));
            if let Err(error) = paused {
                // It may have failed after the processes were stopped.
                let _ = resume(monitor);
                return Err(error);
            }
        }
        *holds += 1;
        drop(holds);
        Ok(Self(Some(Arc::clone(monitor))))
    }

    /// Lets the container go on, unless somebody else still wants it paused.
    pub(crate) fn end(mut self) -> Result<()> {
        self.0.take().map_or(Ok(()), |monitor| release(&monitor))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(monitor) = self.0.take() {
            let _ = release(&monitor);
        }
    }
}

fn release(monitor: &Monitor) -> Result<()> {
    let mut holds = monitor.holds();
    *holds -= 1;
    if *holds > 0 {
        return Ok(());
    }
    resume(monitor)
}

/// Lets the processes go on. An OCI runtime that was killed meanwhile is no reason to leave them as they are.
fn resume(monitor: &Monitor) -> Result<()> {
    let order = || monitor.oci.order(&["resume", &monitor.oci.id]);
    order().or_else(|_| order())?;
    monitor.paused(false)
}

impl Monitor {
    pub(crate) fn is_paused(&self) -> bool {
        *self.holds() > 0
    }

    fn holds(&self) -> MutexGuard<'_, usize> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
