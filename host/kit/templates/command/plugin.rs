//! `nacre {{name}} IMAGE` counts the files of an image.

use nacre_sdk::command::text;
use nacre_sdk::{Error, Options, store};

pub fn run(_command: &str, args: &Options) -> Result<u8, Error> {
    let files = store::open(args.one("image")?.unwrap_or_default(), None)?.files()?;
    let (mut count, mut bytes) = (0, 0);
    loop {
        let entries = files.next(1000)?;
        if entries.is_empty() {
            text(&format!("{count} files, {bytes} bytes"))?;
            return Ok(0);
        }
        count += entries.len();
        bytes += entries.iter().map(|entry| entry.size).sum::<u64>();
    }
}

nacre_sdk::command!(run);
