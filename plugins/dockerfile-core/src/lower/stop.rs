//! Why there is no image: a mistake in the file, or something outside.

use nacre_sdk::Error;

use crate::syntax::{Lines, Mistake};

pub(super) type Lowered<T> = Result<T, Stop>;

/// What ended the lowering.
#[derive(Debug)]
pub(super) enum Stop {
    Mistake(Mistake),
    Outside(Error),
}

impl Stop {
    /// A mistake whose place is not known yet.
    pub fn mistake(code: &'static str, message: impl Into<String>) -> Stop {
        Stop::Mistake(Mistake::new(code, message))
    }

    /// Says where the mistake is, unless it says so already.
    pub fn at(self, lines: &Lines) -> Stop {
        match self {
            Stop::Mistake(mistake) => Stop::Mistake(mistake.at(lines)),
            outside => outside,
        }
    }

    /// As the plugin's answer, for a file of this name.
    pub fn error(self, file: &str) -> Error {
        match self {
            Stop::Mistake(mistake) => Error::Invalid(vec![mistake.diagnostic(file)]),
            Stop::Outside(error) => error,
        }
    }
}

impl From<Mistake> for Stop {
    fn from(mistake: Mistake) -> Stop {
        Stop::Mistake(mistake)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Outside(error)
    }
}
