//! The cache of compiled plugins, and calls that replay.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use support::{MANIFEST, Sandbox, doing, guest, hits};

/// Calls the plugin as a new process would.
fn call(sandbox: &Sandbox) -> Result<(), String> {
    let plugins = sandbox.plugins();
    let picks = plugins.get("acme/bad").unwrap().filter("term", &doing("settings"), &hits(1));
    picks.map(|picks| assert_eq!(picks.len(), 1)).map_err(|error| error.to_string())
}

fn compiled(sandbox: &Sandbox) -> PathBuf {
    let all = fs::read_dir(sandbox.cache()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|end| end == "cwasm")).collect();
    assert_eq!(files.len(), 1);
    files.remove(0)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn sandbox() -> Sandbox {
    Sandbox::new(MANIFEST, &guest("tests/guests", "misbehave"))
}

#[test]
fn the_second_call_uses_what_the_first_compiled() {
    let sandbox = sandbox();
    call(&sandbox).unwrap();
    let file = compiled(&sandbox);
    let first = fs::metadata(&file).unwrap();
    assert_eq!(fs::metadata(sandbox.cache()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(first.mode() & 0o077, 0);
    call(&sandbox).unwrap();
    let second = fs::metadata(compiled(&sandbox)).unwrap();
    assert_eq!((first.ino(), first.mtime_nsec()), (second.ino(), second.mtime_nsec()));
}

const OTHER: &str = r#"(component (instance $none)
    (export "nacre:plugin/search@0.1.0" (instance $none)) (export "nacre:plugin/prune@0.1.0" (instance $none)))"#;

/// Other code of the same engine, which would run if it were loaded.
#[test]
fn code_that_was_tampered_with_is_never_run() {
    let other = Sandbox::new(MANIFEST, &wat::parse_str(OTHER).unwrap());
    assert!(call(&other).is_err());
    let foreign = fs::read(compiled(&other)).unwrap();
    for settled in [false, true] {
        let sandbox = sandbox();
        call(&sandbox).unwrap();
        if settled {
            std::thread::sleep(Duration::from_millis(150));
            call(&sandbox).unwrap();
        }
        let file = compiled(&sandbox);
        let good = fs::read(&file).unwrap();
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, &foreign).unwrap();
        File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        call(&sandbox).unwrap();
        assert_eq!(fs::read(compiled(&sandbox)).unwrap().len(), good.len(), "it was compiled anew");
        // One byte, as a failing disk would.
        let mut damaged = good.clone();
        damaged[good.len() / 2] ^= 1;
        fs::write(&file, &damaged).unwrap();
        call(&sandbox).unwrap();
        assert_ne!(fs::read(compiled(&sandbox)).unwrap(), damaged);
    }
}

#[test]
fn code_without_its_digest_is_never_run() {
    let sandbox = sandbox();
    call(&sandbox).unwrap();
    let file = compiled(&sandbox);
    fs::remove_file(file.with_extension("stamp")).unwrap();
    let before = fs::metadata(&file).unwrap().ino();
    call(&sandbox).unwrap();
    assert_ne!(fs::metadata(&file).unwrap().ino(), before, "it was compiled anew");
    assert!(file.with_extension("stamp").exists());
}

/// The component is not read again while nobody touches it, and is as soon as somebody does.
#[test]
fn a_changed_component_is_noticed() {
    let sandbox = sandbox();
    std::thread::sleep(Duration::from_millis(150));
    call(&sandbox).unwrap();
    call(&sandbox).unwrap();
    sandbox.add("it", MANIFEST, &wat::parse_str(OTHER).unwrap());
    assert_eq!(call(&sandbox).unwrap_err(), "plugin acme/bad: cannot be called: nacre:plugin/search@0.1.0 has no function filter");
}

#[test]
fn a_file_under_another_key_is_never_loaded() {
    let sandbox = sandbox();
    call(&sandbox).unwrap();
    let file = compiled(&sandbox);
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let (digest, engine) = name.split_once('-').unwrap();
    // Files of another component and of another engine: neither is this plugin's.
    fs::remove_file(&file).unwrap();
    for foreign in [format!("{}-{engine}", "0".repeat(64)), format!("{digest}-0000000000000000.cwasm")] {
        fs::write(sandbox.cache().join(foreign), "not code").unwrap();
    }
    call(&sandbox).unwrap();
    assert!(file.exists(), "it was compiled anew");

    // A changed component has another key.
    let mut wasm = guest("tests/guests", "misbehave");
    wasm.extend_from_slice(&[0, 3, 1, b'x', 0]);
    let changed = Sandbox::new(MANIFEST, &wasm);
    call(&changed).unwrap();
    assert_ne!(compiled(&changed).file_name().unwrap(), file.file_name().unwrap());
}

#[test]
fn damaged_code_is_compiled_anew() {
    let sandbox = sandbox();
    call(&sandbox).unwrap();
    let file = compiled(&sandbox);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, "").unwrap();
    call(&sandbox).unwrap();
    assert_eq!(fs::read(&file).unwrap().len(), whole.len());
}

#[test]
fn a_cache_that_others_can_write_is_refused() {
    let sandbox = sandbox();
    call(&sandbox).unwrap();
    let unsafe_ = |what: String| format!("plugin acme/bad: the cache of compiled plugins is not safe to use: {what}");
    let (dir, file) = (sandbox.cache(), compiled(&sandbox));

    mode(&dir, 0o755);
    let said = format!("{} has mode 755, others may use it: run chmod 700 on it", dir.display());
    assert_eq!(call(&sandbox).unwrap_err(), unsafe_(said));
    mode(&dir, 0o700);

    mode(&file, 0o620);
    let said = format!("{} is not a file that only its owner may write: remove it", file.display());
    assert_eq!(call(&sandbox).unwrap_err(), unsafe_(said.clone()));
    let elsewhere = dir.with_file_name("elsewhere.cwasm");
    mode(&file, 0o600);
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    assert_eq!(call(&sandbox).unwrap_err(), unsafe_(said));

    fs::remove_dir_all(&dir).unwrap();
    symlink(elsewhere.parent().unwrap(), &dir).unwrap();
    assert_eq!(call(&sandbox).unwrap_err(), unsafe_(format!("{} is not a folder", dir.display())));
}

#[test]
fn what_is_old_goes_when_something_new_comes() {
    let sandbox = sandbox();
    call(&sandbox).unwrap();
    let current = compiled(&sandbox);
    let old = SystemTime::now() - Duration::from_secs(61 * 24 * 3600);
    for name in ["old.cwasm", "old.stamp", "old.known", ".new-half", "somebody.elses"] {
        File::create(sandbox.cache().join(name)).unwrap().set_modified(old).unwrap();
    }
    fs::write(sandbox.cache().join(".new-now"), "").unwrap();
    fs::remove_file(&current).unwrap();
    call(&sandbox).unwrap();
    let notes = |path: &PathBuf| path.extension().is_some_and(|end| end == "stamp" || end == "known");
    let all = fs::read_dir(sandbox.cache()).unwrap().map(|entry| entry.unwrap().path());
    let mut left: Vec<_> = all.filter(|path| !notes(path)).collect();
    left.sort();
    assert!(["old.stamp", "old.known"].iter().all(|name| !sandbox.cache().join(name).exists()));
    let mut expected = [".new-now", "somebody.elses"].map(|name| sandbox.cache().join(name)).to_vec();
    expected.insert(1, current);
    assert_eq!(left, expected);
}

#[test]
fn without_a_cache_it_works_all_the_same() {
    let sandbox = sandbox();
    fs::write(sandbox.cache().with_file_name("file"), "").unwrap();
    let dirs = [sandbox.cache().with_file_name("plugins")];
    let nowhere = sandbox.cache().with_file_name("file").join("cache");
    let plugins = nacre_plugin::Plugins::discover(&dirs, &[], &nowhere, &Default::default());
    assert_eq!(plugins.get("acme/bad").unwrap().filter("term", &doing("settings"), &hits(1)).unwrap().len(), 1);
}
