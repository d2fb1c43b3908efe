//! tar: any bytes are an archive or an error, and what was read is written and read as the same.
#![no_main]
#![allow(missing_docs, reason = "a fuzz target")]

mod sealed;

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use nacre_layer::{Entry, TarReader, TarWriter};

fn read(mut tar: TarReader<&[u8]>, layer: bool) -> io::Result<Vec<(Entry, Vec<u8>)>> {
    if layer {
        tar = tar.as_layer();
    }
    let mut members = Vec::new();
    while let Some(member) = tar.next_entry()? {
        let mut content = Vec::new();
        tar.read_to_end(&mut content)?;
        members.push((member.entry, content));
    }
    tar.finish()?;
    Ok(members)
}

fn write(members: &[(Entry, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let mut tar = TarWriter::new(Vec::new());
    members.iter().try_for_each(|(entry, content)| tar.add(entry, &mut content.as_slice()))?;
    tar.finish()
}

fuzz_target!(|bytes: &[u8]| {
    let bytes = sealed::sealed(bytes);
    let _ = read(TarReader::new(&bytes[..]).allow_unterminated().clamped(), false);
    for layer in [false, true] {
        let Ok(members) = read(TarReader::new(&bytes[..]), layer) else { continue };
        assert!(members.iter().all(|(entry, _)| !entry.path.split(|&byte| byte == b'/').any(|part| part == b"..")));
        let Ok(written) = write(&members) else { continue };
        assert_eq!(read(TarReader::new(&written[..]), layer).expect("what was written"), members);
    }
});
