//! The image's configuration: the base's with what the file says.

use nacre_sdk::frontend::Request;
use nacre_sdk::{Error, Platform};
use serde_json::{Map, Value, json};

use crate::file::Config;
use crate::place::Text;

/// `config` over that of the base, with a row of the history for each layer.
pub fn config(text: &Text, request: &Request, platform: &Platform, base: &str, own: &Config, rows: &[String]) -> Result<String, Error> {
    let mut image: Map<String, Value> = serde_json::from_str(base).map_err(|error| format!("the base's configuration: {error}"))?;
    // The layers and the time are nacre's to know.
    image.remove("rootfs");
    image.remove("created");
    image.insert("os".into(), json!(platform.os));
    image.insert("architecture".into(), json!(platform.arch));
    platform.variant.as_ref().map(|variant| image.insert("variant".into(), json!(variant)));
    merge(text, object(image.entry("config").or_insert_with(|| json!({})))?, request, own)?;
    if let Value::Array(history) = image.entry("history").or_insert_with(|| json!([])) {
        history.extend(rows.iter().map(|row| json!({ "created_by": row, "comment": "acme/image-toml" })));
    }
    Ok(Value::Object(image).to_string())
}

/// The environment: the base's variables, then new ones.
pub fn env(base: &str, own: &Config) -> Vec<(String, String)> {
    let image: Value = serde_json::from_str(base).unwrap_or_default();
    let base = image["config"]["Env"].as_array().into_iter().flatten().filter_map(|pair| pair.as_str()?.split_once('='));
    let mut env: Vec<(String, String)> = base.map(|(key, value)| (key.into(), value.into())).collect();
    for (key, value) in &own.env {
        env.retain(|(known, _)| known != key);
        env.push((key.clone(), value.clone()));
    }
    env
}

fn merge(text: &Text, config: &mut Map<String, Value>, request: &Request, own: &Config) -> Result<(), Error> {
    let base = json!({ "config": config }).to_string();
    let env: Vec<String> = env(&base, own).iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut set = |key: &str, value: Value| _ = config.insert(key.into(), value);
    set("Env", json!(env));
    if let Some(entrypoint) = &own.entrypoint {
        set("Entrypoint", json!(entrypoint));
        // The base's arguments were for its own program.
        set("Cmd", Value::Null);
    }
    own.cmd.as_ref().inspect(|cmd| set("Cmd", json!(cmd)));
    own.user.as_ref().inspect(|user| set("User", json!(user)));
    own.workdir.as_ref().inspect(|folder| set("WorkingDir", json!(folder)));
    let labels = request.labels.iter().map(|label| (&label.key, &label.value));
    add(config, "Labels", own.labels.iter().chain(labels).map(|(key, value)| (key.clone(), json!(value))))?;
    let ports = own.ports.iter().map(|port| {
        let (number, protocol) = port.get_ref().split_once('/').unwrap_or((port.get_ref(), "tcp"));
        if number.parse::<u16>().is_err() || !["tcp", "udp", "sctp"].contains(&protocol) {
            let message = format!("{:?} is no port", port.get_ref());
            return Err(text.wrong("bad-port", message, Some("write \"80\", \"53/udp\" or \"9/sctp\""), port.span()));
        }
        Ok((format!("{number}/{protocol}"), json!({})))
    });
    add(config, "ExposedPorts", ports.collect::<Result<Vec<_>, _>>()?)?;
    add(config, "Volumes", own.volumes.iter().map(|path| (path.clone(), json!({}))))
}

/// Adds to a table of the configuration, which is there only if it has something.
fn add(config: &mut Map<String, Value>, key: &str, values: impl IntoIterator<Item = (String, Value)>) -> Result<(), Error> {
    for (name, value) in values {
        object(config.entry(key).or_insert_with(|| json!({})))?.insert(name, value);
    }
    Ok(())
}

/// A table, which may also be `null`.
fn object(value: &mut Value) -> Result<&mut Map<String, Value>, Error> {
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut().ok_or_else(|| "the base's configuration is wrong".into())
}
