//! What lists of containers show (moby's `daemon/list.go` and `container/state.go`, docker/cli's `formatter/container.go`).

use std::collections::HashMap;

use jiff::Timestamp;
use nacre_oci::Digest;
use nacre_runtime::{Network, RunStatus, State};

use crate::{Container, Engine, MountSource, Result, life::is_up};

/// A container and how it is.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The container.
    pub container: Container,
    /// How it was a moment ago.
    pub state: State,
    /// The image's name as the user gave it, or the image's id if the name means another image by now, or none.
    pub image: String,
}

impl Engine {
    /// All containers, newest first.
    ///
    /// # Errors
    /// If the store or a container's folder cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>> {
        // Each name is looked up once, however many containers have it.
        let mut known: HashMap<String, Option<Digest>> = HashMap::new();
        let mut list = Vec::new();
        for container in self.all()? {
            let name = container.record.image_name.clone();
            let means = known.entry(name.clone()).or_insert_with(|| self.store().find(&name).ok().map(|found| found.image.id));
            let image = if means.as_ref() == Some(&container.image) { name } else { container.image.to_string() };
            list.push(Listed { state: self.state(&container)?, container, image });
        }
        Ok(list)
    }
}

impl Listed {
    /// Whether its program runs, or is paused.
    pub fn is_running(&self) -> bool {
        is_up(self.state.status)
    }

    /// `Up 5 seconds`, `Exited (137) 2 minutes ago`, `Created`, ….
    pub fn status(&self, now: Timestamp) -> String {
        let since = |time: &Option<String>| {
            let then = time.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
            in_words(then.map_or(0, |then| now.as_second().saturating_sub(then.as_second())))
        };
        match self.state.status {
            RunStatus::Created => "Created".into(),
            RunStatus::Running => format!("Up {}", since(&self.state.started)),
            RunStatus::Paused => format!("Up {} (Paused)", since(&self.state.started)),
            RunStatus::Exited => format!("Exited ({}) {} ago", self.state.code.unwrap_or(0), since(&self.state.finished)),
            RunStatus::Dead => "Dead".into(),
        }
    }

    /// `created`, `running`, `paused`, `exited` or `dead`.
    pub fn state(&self) -> &'static str {
        state_name(self.state.status)
    }

    /// The program and its arguments; what has a blank in it stands in quotes.
    pub fn command(&self) -> String {
        let quoted = |word: String| if word.contains(' ') { format!("'{word}'") } else { word };
        let mut words = self.container.record.command().into_iter();
        words.next().into_iter().chain(words.map(quoted)).collect::<Vec<_>>().join(" ")
    }

    /// What is mounted: of binds the host's path, of volumes the name.
    pub fn mounts(&self) -> Vec<String> {
        let mounts = crate::inspect::volume_names(&self.container.id, &self.container.record);
        let shown = |(mount, name): (&crate::Mounting, String)| match &mount.source {
            MountSource::Bind { path, .. } => Some(path.display().to_string()),
            MountSource::Tmpfs(_) => None,
            MountSource::Anonymous => Some(name),
        };
        mounts.filter_map(shown).collect()
    }

    /// How many of them are volumes.
    pub fn local_volumes(&self) -> usize {
        self.container.record.mounts.iter().filter(|mount| mount.source == MountSource::Anonymous).count()
    }

    /// `host` or `none`.
    pub fn network(&self) -> &'static str {
        network_name(self.container.record.network)
    }
}

pub(crate) fn network_name(network: Network) -> &'static str {
    match network {
        Network::Host => "host",
        Network::None => "none",
    }
}

pub(crate) fn state_name(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Created => "created",
        RunStatus::Running => "running",
        RunStatus::Paused => "paused",
        RunStatus::Exited => "exited",
        RunStatus::Dead => "dead",
    }
}

/// Seconds in words, roughly: `Less than a second`, `About a minute`, `3 weeks` (go-units' `HumanDuration`).
pub fn in_words(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".into(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_dockers_words() {
        for (seconds, text) in [
            (-3, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (13 * 86_400, "13 days"),
            (14 * 86_400, "2 weeks"),
            (59 * 86_400, "8 weeks"),
            (60 * 86_400, "2 months"),
            (729 * 86_400, "24 months"),
            (730 * 86_400, "2 years"),
            (800 * 86_400, "2 years"),
        ] {
            assert_eq!(in_words(seconds), text, "{seconds}");
        }
    }
}
