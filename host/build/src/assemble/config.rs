//! The image's config.

use jiff::Timestamp;
use nacre_oci::{Digest, ImageConfig, RootFs};

use super::history::{Made, normalise};
use crate::Stacked;

/// A frontend's config with the root filesystem and what is missing of times. `layers` made it, and `diff_ids` are theirs
/// as the image has them.
///
/// # Errors
/// Why it is no config.
pub(super) fn bytes(config: &str, layers: &[Stacked], diff_ids: Vec<Digest>, epoch: Option<i64>) -> Result<Vec<u8>, String> {
    let mut config = ImageConfig::parse(config.as_bytes()).map_err(|error| error.to_string())?;
    let made = |stacked: &Stacked| Made {
        created: stacked.created.map(|made| epoch.unwrap_or(made)).and_then(shown),
        description: stacked.description.to_string(),
    };
    let made: Vec<Made> = layers.iter().map(made).collect();
    if let Some(epoch) = epoch.and_then(shown) {
        config.history.iter_mut().for_each(|row| _ = row.created.get_or_insert_with(|| epoch.clone()));
    }
    normalise(&mut config.history, &made);
    if config.created.is_none() {
        let last = config.history.iter().rev().find_map(|row| row.created.clone());
        config.created = epoch.and_then(shown).or(last);
    }
    config.rootfs = RootFs { diff_ids, ..RootFs::default() };
    Ok(config.to_bytes())
}

/// Unix seconds as RFC 3339.
fn shown(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}
