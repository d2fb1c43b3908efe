//! `--chown` and `--chmod`.

use nacre_sdk::graph::{Id, Owner, Permissions};

/// `user`, `user:group` or `:group`, by name or number. A number alone is the group's too.
pub(super) fn owner(text: &str) -> Owner {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let user = id(user);
    let group = group.map(id).or_else(|| matches!(user, Id::Number(_)).then(|| user.clone()));
    Owner { user: Some(user), group }
}

fn id(text: &str) -> Id {
    match text {
        "root" => Id::Number(0),
        text => text.parse::<u32>().map_or_else(|_| Id::Name(text.into()), Id::Number),
    }
}

/// An octal number, or what chmod(1) takes.
pub(super) fn permissions(text: &str) -> Result<Permissions, String> {
    let not_octal = || format!("invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777");
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o7777);
        return bits.map(Permissions::Octal).ok_or_else(not_octal);
    }
    match text.split(',').all(is_clause) {
        true => Ok(Permissions::Symbolic(text.into())),
        false => Err("invalid syntax".into()),
    }
}

/// `[ugoa]*` and then at least one of `+`, `-` and `=`, each with its permissions.
fn is_clause(clause: &str) -> bool {
    let changes = clause.trim_start_matches(['u', 'g', 'o', 'a']);
    changes.starts_with(['+', '-', '=']) && changes.chars().all(|c| "+-=rwxXstugo".contains(c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn owners() {
        let name = |name: &str| Id::Name(name.into());
        assert_eq!(owner("1000"), Owner { user: Some(Id::Number(1000)), group: Some(Id::Number(1000)) });
        assert_eq!(owner("me"), Owner { user: Some(name("me")), group: None });
        assert_eq!(owner("me:root"), Owner { user: Some(name("me")), group: Some(Id::Number(0)) });
        assert_eq!(owner(":50"), Owner { user: Some(name("")), group: Some(Id::Number(50)) });
    }

    #[test]
    fn modes() {
        assert_eq!(permissions("0755").unwrap(), Permissions::Octal(0o755));
        assert_eq!(permissions("u=rwX,go=u-w").unwrap(), Permissions::Symbolic("u=rwX,go=u-w".into()));
        for text in ["0888", "10000", "7x"] {
            assert!(permissions(text).unwrap_err().starts_with("invalid chmod parameter"), "{text}");
        }
        for text in ["", "u", "u+z", "u+r,", "-q"] {
            assert_eq!(permissions(text).unwrap_err(), "invalid syntax", "{text}");
        }
    }
}
