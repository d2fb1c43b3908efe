//! `nacre save --format {{name}} -o FILE IMAGE` writes a line for each file: mode, size and path.

use nacre_sdk::bytes::Sink;
use nacre_sdk::images::Image;
use nacre_sdk::{Error, Options};

pub fn write(_format: &str, image: &Image, out: &Sink, _opts: &Options) -> Result<(), Error> {
    let files = image.files()?;
    loop {
        let entries = files.next(1000)?;
        if entries.is_empty() {
            return Ok(());
        }
        let lines: String = entries.iter().map(|entry| format!("{:04o} {} {}\n", entry.mode, entry.size, entry.path)).collect();
        out.write(lines.as_bytes())?;
    }
}

nacre_sdk::export_format!(write);
