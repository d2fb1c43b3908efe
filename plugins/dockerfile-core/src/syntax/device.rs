//! `RUN --device`.

use super::suggest::did_you_mean;
use super::{Mistake, csv, number};

/// `RUN --device`: a device by its CDI name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// Such as `vendor.com/device=name`; empty if only `required` was given.
    pub name: String,
    /// The build fails without it.
    pub required: bool,
}

impl Device {
    /// `name=...,required=true`, in which the name can stand alone (BuildKit's `ParseDevice`).
    pub(super) fn parse(text: &str) -> Result<Device, Mistake> {
        let mut device = Device::default();
        for field in csv::fields(text).map_err(|reason| bad(format!("failed to parse csv devices: {reason}")))? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value)),
                None => (field.to_lowercase(), None),
            };
            device.set(&key, value, &field)?;
        }
        Ok(device)
    }

    fn set(&mut self, key: &str, value: Option<&str>, field: &str) -> Result<(), Mistake> {
        match (key, value) {
            ("required", None) => self.required = true,
            ("required", Some(value)) => {
                let truth = number::boolean(value);
                self.required = truth.ok_or_else(|| bad(format!("invalid value for {key}: {value}")))?;
            }
            ("name", Some(_)) if !self.name.is_empty() => {
                return Err(bad(format!("device name already set to {}", self.name)));
            }
            ("name", Some(value)) => self.name = value.into(),
            _ if self.name.is_empty() => self.name = field.into(),
            (_, None) => return Err(bad(format!("invalid field '{field}' must be a key=value pair"))),
            (_, Some(_)) => {
                let hint = did_you_mean(key, &["name", "required"], true);
                return Err(bad(format!("unexpected key '{key}' in '{field}'{hint}")));
            }
        }
        Ok(())
    }
}

fn bad(message: impl Into<String>) -> Mistake {
    Mistake::new("bad-device", message)
}

#[cfg(test)]
mod tests {
    use super::Device;

    fn device(text: &str) -> Result<(String, bool), String> {
        Device::parse(text).map(|device| (device.name, device.required)).map_err(|mistake| mistake.message)
    }

    #[test]
    fn devices() {
        assert_eq!(device("acme.com/gpu=0"), Ok(("acme.com/gpu=0".into(), false)));
        assert_eq!(device("acme.com/gpu,required"), Ok(("acme.com/gpu".into(), true)));
        assert_eq!(device("required=false,name=acme.com/gpu"), Ok(("acme.com/gpu".into(), false)));
        assert_eq!(device("a,name=b").unwrap_err(), "device name already set to a");
        assert_eq!(device("a,b").unwrap_err(), "invalid field 'b' must be a key=value pair");
        assert_eq!(device("a,requird=1").unwrap_err(), "unexpected key 'requird' in 'requird=1' (did you mean required?)");
        assert_eq!(device("a,required=x").unwrap_err(), "invalid value for required: x");
        assert_eq!(device("").unwrap_err(), "failed to parse csv devices: EOF");
    }
}
