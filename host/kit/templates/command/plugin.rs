//! `nacre {{name}} IMAGE` counts the files of an image.

use nacre_sdk::command::{image, text};
use nacre_sdk::{Error, Options, files};

pub fn run(_command: &str, args: &Options) -> Result<u8, Error> {
    let (mut count, mut bytes) = (0, 0);
    for entry in files::all(&image(args, "image")?.files()?) {
        count += 1;
        bytes += entry?.size;
    }
    text(&format!("{count} files, {bytes} bytes"))?;
    Ok(0)
}

nacre_sdk::command!(run);
