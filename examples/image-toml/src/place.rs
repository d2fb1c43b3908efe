//! Texts of the file that have a form of their own, and where mistakes in them are.

use std::ops::Range;

use nacre_sdk::frontend::Request;
use nacre_sdk::graph::{Id, Owner};
use nacre_sdk::{Diagnostic, Error, Span};
use toml::Spanned;

/// The file that is read.
pub struct Text<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> Text<'a> {
    pub fn new(request: &'a Request) -> Result<Text<'a>, Error> {
        let text = std::str::from_utf8(&request.content).map_err(|_| "the file is not UTF-8")?;
        Ok(Text { name: &request.file, text })
    }

    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        toml::from_str(self.text).map_err(|error| {
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            self.wrong("bad-toml", message, None, error.span().unwrap_or(0..0))
        })
    }

    /// Where a piece of the file begins.
    pub fn span(&self, range: &Range<usize>) -> Span {
        let before = &self.text[..range.start];
        let line = before.rfind('\n').map_or(0, |end| end + 1);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Span { file: self.name.into(), line: count(before.matches('\n').count() + 1), col: count(before[line..].chars().count() + 1) }
    }

    pub fn wrong(&self, code: &str, message: impl Into<String>, help: Option<&str>, range: Range<usize>) -> Error {
        let at = Some(self.span(&range));
        Error::Invalid(vec![Diagnostic { code: code.into(), message: message.into(), help: help.map(str::to_owned), at }])
    }

    /// A path in the image.
    pub fn absolute<'s>(&self, path: &'s Spanned<String>) -> Result<&'s str, Error> {
        match path.get_ref().strip_prefix('/') {
            Some(_) => Ok(path.get_ref()),
            None => Err(self.wrong("bad-path", format!("{:?} is not absolute", path.get_ref()), Some("begin it with /"), path.span())),
        }
    }

    /// A path in the context or in an archive, from its root.
    pub fn relative(&self, path: &Spanned<String>) -> Result<String, Error> {
        let parts: Vec<&str> = path.get_ref().split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if path.get_ref().starts_with('/') || parts.contains(&"..") {
            let help = "write it as it is called there: vendor/tool.tar.gz";
            return Err(self.wrong("bad-path", format!("{:?} leads out", path.get_ref()), Some(help), path.span()));
        }
        Ok(format!("/{}", parts.join("/")))
    }

    /// `USER`, `USER:GROUP` or `:GROUP`, by names or numbers.
    pub fn owner(&self, text: Option<&Spanned<String>>) -> Result<Option<Owner>, Error> {
        let Some(text) = text else { return Ok(None) };
        let (user, group) = text.get_ref().split_once(':').unwrap_or((text.get_ref(), ""));
        let id = |id: &str| match id.parse() {
            _ if id.is_empty() => None,
            Ok(number) => Some(Id::Number(number)),
            Err(_) => Some(Id::Name(id.into())),
        };
        match (id(user), id(group)) {
            (None, None) => Err(self.wrong("bad-owner", "nobody is named", Some("write \"user\" or \"user:group\""), text.span())),
            (user, group) => Ok(Some(Owner { user, group })),
        }
    }

    /// Permission bits in octal.
    pub fn mode(&self, text: Option<&Spanned<String>>) -> Result<Option<u32>, Error> {
        let Some(text) = text else { return Ok(None) };
        let mode = u32::from_str_radix(text.get_ref(), 8).ok().filter(|mode| *mode <= 0o7777);
        let message = || format!("{:?} are no permissions", text.get_ref());
        mode.map(Some).ok_or_else(|| self.wrong("bad-mode", message(), Some("write them in octal: \"0644\""), text.span()))
    }

    /// `sha256:` and the digits.
    pub fn sha256(&self, text: &Spanned<String>) -> Result<String, Error> {
        let digits = text.get_ref();
        if digits.len() == 64 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(format!("sha256:{digits}"));
        }
        Err(self.wrong("bad-checksum", "no SHA-256 sum", Some("write the 64 digits that sha256sum prints"), text.span()))
    }
}
