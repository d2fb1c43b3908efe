//! `nacre save --format {{name}} -o FILE IMAGE` writes a line for each file: mode, size and path.

use nacre_sdk::bytes::Sink;
use nacre_sdk::images::Image;
use nacre_sdk::{Error, Options, files};

pub fn write(_format: &str, image: &Image, out: &Sink, _opts: &Options) -> Result<(), Error> {
    for entry in files::all(&image.files()?) {
        let entry = entry?;
        out.write(format!("{:04o} {} {}\n", entry.mode, entry.size, entry.path).as_bytes())?;
    }
    Ok(())
}

nacre_sdk::export_format!(write);
