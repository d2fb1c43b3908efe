//! A container as Docker's API describes it (`GET /containers/ID/json`): the fields that mean something here, in Docker's order,
//! spelling and types.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nacre_runtime::{RunStatus, container_folder, log_path};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::{
    Container, Engine, MountSource, Mounting, Record, Result,
    life::is_up,
    list::{network_name, state_name},
};

/// What Docker writes where nothing has happened.
const NEVER: &str = "0001-01-01T00:00:00Z";
/// Of `/dev/shm`.
const SHM_SIZE: u64 = 64 << 20;

/// A container, as inspect shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspected {
    /// 64 hexadecimal digits.
    pub id: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// The program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// How it is.
    pub state: Section,
    /// The image's id.
    pub image: String,
    /// Where its `/etc/resolv.conf` is.
    pub resolv_conf_path: String,
    /// Where its `/etc/hostname` is.
    pub hostname_path: String,
    /// Where its `/etc/hosts` is.
    pub hosts_path: String,
    /// Where its log is.
    pub log_path: String,
    /// The name with Docker's `/`.
    pub name: String,
    /// Always 0: nothing is restarted.
    pub restart_count: u32,
    /// How root filesystems are mounted.
    pub driver: String,
    /// The operating system.
    pub platform: String,
    /// Its options, as far as they concern the host.
    pub host_config: Section,
    /// Where its writable layer is.
    pub graph_driver: Value,
    /// What is mounted.
    pub mounts: Vec<Value>,
    /// What it starts with.
    pub config: Section,
    /// Its network.
    pub network_settings: Value,
}

/// An object whose keys stand in Docker's order.
#[derive(Clone, Debug, Default)]
pub struct Section(Vec<(String, Value)>);

impl Section {
    fn of<const N: usize>(fields: [(&str, Value); N]) -> Self {
        let mut section = Self::default();
        section.extend(fields);
        section
    }

    fn extend<'a>(&mut self, fields: impl IntoIterator<Item = (&'a str, Value)>) {
        self.0.extend(fields.into_iter().map(|(key, value)| (key.to_owned(), value)));
    }
}

impl Serialize for Section {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Engine {
    /// A container as `inspect` shows it.
    ///
    /// # Errors
    /// If it is not there or cannot be read.
    pub fn inspect(&self, text: &str) -> Result<Inspected> {
        let container = self.find(text)?;
        let folder = container_folder(self.store().root(), &container.id);
        let path = |name: &str| folder.join(name).display().to_string();
        let record = &container.record;
        let mut command = record.command().into_iter();
        let lower: Vec<String> = record.layers.iter().rev().map(|(diff_id, _)| diff_id.to_string()).collect();
        Ok(Inspected {
            state: state(&self.state(&container)?),
            created: Timestamp::from_nanosecond(container.created.into()).map_or_else(|_| NEVER.into(), |time| time.to_string()),
            path: command.next().unwrap_or_default(),
            args: command.collect(),
            image: container.image.to_string(),
            resolv_conf_path: path("resolv.conf"),
            hostname_path: path("hostname"),
            hosts_path: path("hosts"),
            log_path: log_path(self.store().root(), &container.id).display().to_string(),
            name: format!("/{}", container.name),
            restart_count: 0,
            driver: "overlay".into(),
            platform: record.platform.os.clone(),
            host_config: host_config(&container),
            graph_driver: json!({"Name": "overlay", "Data": {"LowerDiffIDs": lower, "UpperDir": path("upper"), "WorkDir": path("work")}}),
            mounts: mounts(&container, &path("volumes")),
            config: config(record),
            network_settings: network_settings(network_name(record.network)),
            id: container.id,
        })
    }
}

fn state(state: &nacre_runtime::State) -> Section {
    let is = |status| state.status == status;
    let time = |time: &Option<String>| json!(time.as_deref().unwrap_or(NEVER));
    let running = is_up(state.status);
    Section::of([
        ("Status", json!(state_name(state.status))),
        ("Running", json!(running)),
        ("Paused", json!(is(RunStatus::Paused))),
        ("Restarting", json!(false)),
        ("OOMKilled", json!(false)),
        ("Dead", json!(is(RunStatus::Dead))),
        ("Pid", json!(state.pid.unwrap_or(0))),
        ("ExitCode", json!(if running { 0 } else { state.code.unwrap_or(0) })),
        ("Error", json!(state.error.as_deref().unwrap_or_default())),
        ("StartedAt", time(&state.started)),
        ("FinishedAt", time(&state.finished)),
    ])
}

/// Docker's `Config`: the image config's part, with what belongs to the container.
fn config(record: &Record) -> Section {
    let own = &record.config;
    let stdin = record.stdin && record.attached;
    let some = |map: &BTreeMap<String, Value>| if map.is_empty() { Value::Null } else { json!(map) };
    let mut config = Section::of([
        ("Hostname", json!(record.hostname)),
        ("Domainname", json!("")),
        ("User", json!(own.user)),
        ("AttachStdin", json!(stdin)),
        ("AttachStdout", json!(record.attached)),
        ("AttachStderr", json!(record.attached)),
    ]);
    config.extend((!own.exposed_ports.is_empty()).then(|| ("ExposedPorts", json!(own.exposed_ports))));
    config.extend([
        ("Tty", json!(record.tty)),
        ("OpenStdin", json!(record.stdin)),
        ("StdinOnce", json!(stdin)),
        ("Env", json!(own.env)),
        ("Cmd", json!(own.cmd)),
        ("Image", json!(record.image_name)),
        ("Volumes", some(&own.volumes)),
        ("WorkingDir", json!(own.working_dir)),
        ("Entrypoint", json!(own.entrypoint)),
        ("Labels", json!(own.labels)),
    ]);
    config.extend((!own.rest.contains_key("OnBuild")).then_some(("OnBuild", Value::Null)));
    config.extend(own.stop_signal.as_ref().map(|signal| ("StopSignal", json!(signal))));
    config.extend(record.stop_timeout.map(|timeout| ("StopTimeout", json!(timeout))));
    // The health check and whatever else an image says.
    config.0.extend(own.rest.clone());
    config
}

fn host_config(container: &Container) -> Section {
    let record = &container.record;
    let list = |list: Vec<Value>| if list.is_empty() { Value::Null } else { Value::Array(list) };
    let hosts = record.hosts.iter().map(|(name, address)| json!(format!("{name}:{address}")));
    let limits = record.limits.iter().map(|limit| json!({"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard}));
    let mut config = Section::of([
        ("Binds", list(record.mounts.iter().filter_map(bound).collect())),
        ("ContainerIDFile", json!("")),
        ("LogConfig", json!({"Type": "json-file", "Config": {}})),
        ("NetworkMode", json!(network_name(record.network))),
        ("PortBindings", json!({})),
        ("RestartPolicy", json!({"Name": "no", "MaximumRetryCount": 0})),
        ("AutoRemove", json!(container.remove)),
        ("VolumeDriver", json!("")),
        ("VolumesFrom", Value::Null),
        ("ExtraHosts", list(hosts.collect())),
        ("IpcMode", json!("private")),
        ("PidMode", json!("")),
        ("Privileged", json!(false)),
        ("PublishAllPorts", json!(false)),
        ("ReadonlyRootfs", json!(record.readonly)),
        ("UTSMode", json!("")),
        ("ShmSize", json!(record.shm_size.unwrap_or(SHM_SIZE))),
        ("Ulimits", list(limits.collect())),
    ]);
    let asked: Vec<Value> = record.mounts.iter().filter_map(asked).collect();
    config.extend((!asked.is_empty()).then_some(("Mounts", Value::Array(asked))));
    config
}

/// What `-v` asked for.
fn bound(mount: &Mounting) -> Option<Value> {
    let MountSource::Bind { path, create: true } = &mount.source else { return None };
    let mode = if mount.mode.is_empty() { String::new() } else { format!(":{}", mount.mode) };
    Some(json!(format!("{}:{}{mode}", path.display(), mount.target)))
}

/// What `--mount` asked for.
fn asked(mount: &Mounting) -> Option<Value> {
    let mut asked = match &mount.source {
        MountSource::Bind { path, create: false } => json!({"Type": "bind", "Source": path, "Target": mount.target}),
        MountSource::Tmpfs(0) => json!({"Type": "tmpfs", "Target": mount.target}),
        MountSource::Tmpfs(size) => json!({"Type": "tmpfs", "Target": mount.target, "TmpfsOptions": {"SizeBytes": size}}),
        _ => return None,
    };
    if let (Value::Object(asked), true) = (&mut asked, mount.readonly) {
        asked.insert("ReadOnly".into(), true.into());
    }
    Some(asked)
}

fn mounts(container: &Container, volumes: &str) -> Vec<Value> {
    let shown = |(mount, name): (&Mounting, String)| {
        let (kind, source, more) = match &mount.source {
            MountSource::Bind { path, .. } => ("bind", path.display().to_string(), json!({"Propagation": "rprivate"})),
            MountSource::Tmpfs(_) => ("tmpfs", String::new(), json!({"Propagation": ""})),
            MountSource::Anonymous => {
                let number = name.rsplit_once('-').map_or("0", |(_, number)| number);
                ("volume", format!("{volumes}/{number}"), json!({"Propagation": "", "Name": name, "Driver": "local"}))
            }
        };
        let mut shown = json!({"Type": kind, "Source": source, "Destination": mount.target, "Mode": mount.mode, "RW": !mount.readonly});
        if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
            shown.extend(more);
        }
        shown
    };
    volume_names(&container.id, &container.record).map(shown).collect()
}

/// The mounts, with the names that anonymous volumes are shown by: nothing can be done with these names, but each is unique.
pub(crate) fn volume_names<'a>(id: &'a str, record: &'a Record) -> impl Iterator<Item = (&'a Mounting, String)> {
    let mut numbers = 0..usize::MAX;
    record.mounts.iter().map(move |mount| match mount.source {
        MountSource::Anonymous => (mount, format!("{id}-{}", numbers.next().unwrap_or_default())),
        _ => (mount, String::new()),
    })
}

fn network_settings(network: &str) -> Value {
    let endpoint = json!({
        "IPAMConfig": null, "Links": null, "Aliases": null, "NetworkID": "", "EndpointID": "", "Gateway": "", "IPAddress": "",
        "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": "", "DriverOpts": null,
    });
    json!({
        "Bridge": "", "SandboxID": "", "Ports": {}, "SandboxKey": "", "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0,
        "MacAddress": "", "Networks": BTreeMap::from([(network, endpoint)]),
    })
}
