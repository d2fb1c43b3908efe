//! Dockerfiles: any bytes are a file or a mistake in it, its words can be expanded or not, and its triggers be read.
#![no_main]

use dockerfile_core::expand::Expander;
use dockerfile_core::ignore::patterns;
use dockerfile_core::syntax::{Command, Instruction, parse, parse_trigger};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').count() as u32;
    if let Ok(file) = parse(bytes) {
        for instruction in &file.instructions {
            assert!(*instruction.lines.end() <= lines && instruction.lines.start() <= instruction.lines.end());
            expand(instruction, file.escape);
        }
        let _ = file.lint.finish();
    }
    assert!(patterns(bytes).iter().all(|pattern| !pattern.is_empty()));
});

fn expand(instruction: &Instruction, escape: char) {
    let lookup = |name: &str| name.starts_with('A').then(|| "a value".to_owned());
    let expander = Expander::new(escape);
    let _ = expander.words(&instruction.text, &lookup);
    if let Ok(expanded) = expander.word(&instruction.text, &lookup) {
        assert!(expanded.found.iter().all(|name| lookup(name).is_some()));
    }
    match &instruction.command {
        Command::Run(run) => run.mounts.iter().for_each(|mount| drop(mount.expand(&mut |value| Ok(value.into())))),
        Command::Onbuild(trigger) => drop(parse_trigger(trigger, &instruction.lines)),
        _ => {}
    }
}
