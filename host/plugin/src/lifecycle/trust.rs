//! Signatures: who may say that a plugin is what it claims to be.
//!
//! They are minisign's, prehashed, over the component as it is distributed, with its `plugin.toml` inside:
//! `plugin.wasm.minisig` beside the file, or an annotation of the artifact.

use minisign_verify::{PublicKey, Signature};
use serde::Deserialize;

use crate::error::Fault;
use crate::lifecycle::package::Package;

/// Whether plugins have to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signatures {
    /// Nobody looks.
    Off,
    /// One that is missing or wrong is told.
    Warn,
    /// One that is missing or wrong is refused.
    Required,
}

/// `[trust]` of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trust {
    /// What happens without a good signature; [`Signatures::Warn`] if there are keys, else [`Signatures::Off`].
    pub signatures: Option<Signatures>,
    /// The public keys that are trusted, as minisign writes them: `RW…`.
    pub keys: Vec<String>,
}

impl Trust {
    /// The system's rule with the user's: the stricter, and the user's keys only where the system names none.
    #[must_use]
    pub fn and(self, user: Trust) -> Trust {
        let stricter = self.signatures.max(user.signatures);
        Trust { signatures: stricter, keys: if self.keys.is_empty() { user.keys } else { self.keys } }
    }

    /// The rule that is in force.
    pub fn rule(&self) -> Signatures {
        let default = if self.keys.is_empty() { Signatures::Off } else { Signatures::Warn };
        self.signatures.unwrap_or(default)
    }

    /// Looks at a package's signature as the rule says. Returns the id of the key that signed it, and a warning.
    ///
    /// # Errors
    /// A signature is required, and there is none that a trusted key made.
    pub fn verify(&self, package: &Package) -> Result<(Option<String>, Option<String>), Fault> {
        if self.rule() == Signatures::Off {
            return Ok((None, None));
        }
        match self.signer(package) {
            Ok(signer) => Ok((Some(signer), None)),
            Err(why) if self.rule() == Signatures::Required => Err(Fault::Signature(why)),
            Err(why) => Ok((None, Some(why))),
        }
    }

    /// Whether this is the id of a key that is trusted.
    pub fn knows(&self, signer: &str) -> bool {
        self.keys.iter().any(|key| key_id(key).as_deref() == Some(signer))
    }

    /// The keys that are none.
    pub fn bad_keys(&self) -> impl Iterator<Item = &String> {
        self.keys.iter().filter(|key| PublicKey::from_base64(key).is_err())
    }

    fn signer(&self, package: &Package) -> Result<String, String> {
        let text = package.signature.as_deref().ok_or("is not signed: ask its author to sign it with minisign")?;
        if !package.embedded {
            return Err("is signed without its plugin.toml: its author has to build it with nacre plugin build and sign that".into());
        }
        self.check(&package.wasm, text)
    }

    /// The id of the trusted key that signed these bytes.
    pub(crate) fn check(&self, bytes: &[u8], signature: &str) -> Result<String, String> {
        let signature = Signature::decode(signature).map_err(|error| format!("has a damaged signature ({error})"))?;
        for key in &self.keys {
            let public =
                PublicKey::from_base64(key).map_err(|_| format!("cannot be checked: '{key}' in [trust] keys is no minisign key"))?;
            if public.verify(bytes, &signature, false).is_ok() {
                return key_id(key).ok_or_else(|| format!("cannot be checked: '{key}' in [trust] keys is no minisign key"));
            }
        }
        Err("has a signature that no key in [trust] keys made, or was changed since".into())
    }
}

/// A key's id as minisign shows it: 16 hexadecimal digits, the last byte first. A key is base64 of `Ed`, the id, and the
/// key itself.
fn key_id(key: &str) -> Option<String> {
    let bits = key.bytes().take(16).try_fold(0_u128, |bits, b| {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digit = alphabet.iter().position(|&digit| digit == b)?;
        Some(bits << 6 | digit as u128)
    })?;
    // 16 digits are 12 bytes: 2 of the algorithm, 8 of the id, 2 of the key.
    let id = ((bits >> 16) as u64).swap_bytes();
    (key.len() == 56).then(|| format!("{id:016X}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use minisign::KeyPair;

    use super::*;

    fn sign(pair: &KeyPair, bytes: &[u8]) -> String {
        minisign::sign(None, &pair.sk, bytes, None, None).unwrap().into_string()
    }

    #[test]
    fn only_a_trusted_keys_signature_of_these_bytes_is_good() {
        let (ours, theirs) = (KeyPair::generate_unencrypted_keypair().unwrap(), KeyPair::generate_unencrypted_keypair().unwrap());
        let trust = Trust { signatures: None, keys: vec![ours.pk.to_base64()] };
        let id = trust.check(b"bytes", &sign(&ours, b"bytes")).unwrap();
        assert_eq!(id, format!("{:016X}", u64::from_le_bytes(ours.pk.keynum().try_into().unwrap())));
        assert!(trust.knows(&id) && !Trust::default().knows(&id));
        assert!(trust.check(b"other", &sign(&ours, b"bytes")).unwrap_err().contains("was changed since"));
        assert!(trust.check(b"bytes", &sign(&theirs, b"bytes")).unwrap_err().contains("no key in [trust] keys made"));
        assert!(trust.check(b"bytes", "untrusted comment: x\nRW==").unwrap_err().starts_with("has a damaged signature"));
        let bad = Trust { signatures: None, keys: vec!["RWx".into()] };
        assert_eq!(bad.bad_keys().count(), 1);
        assert!(bad.check(b"bytes", &sign(&ours, b"bytes")).unwrap_err().contains("'RWx' in [trust] keys is no minisign key"));
    }

    #[test]
    fn keys_make_it_warn_and_only_words_make_it_stricter() {
        let read = |text: &str| toml::from_str::<Trust>(text).unwrap();
        assert_eq!((Trust::default().rule(), read("keys=['a']").rule()), (Signatures::Off, Signatures::Warn));
        let both = read("signatures='required'\nkeys=['a']").and(read("signatures='off'\nkeys=['b']"));
        assert_eq!(both, read("signatures='required'\nkeys=['a']"));
        assert_eq!(read("signatures='warn'").and(read("keys=['b']")), read("signatures='warn'\nkeys=['b']"));
    }
}
