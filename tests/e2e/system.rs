//! `nacre system df`.

use std::fs;

use nacre_tests::sandbox::Sandbox;

use crate::fixture::{add, store};

/// The columns of a row of the table, by its first word.
fn row(sandbox: &Sandbox, kind: &str) -> String {
    let format = "{{.Type}}: {{.TotalCount}} {{.Active}} {{.Size}} {{.Reclaimable}}";
    let output = sandbox.nacre(["system", "df", "--format", format]).ok();
    output.lines().into_iter().find(|line| line.starts_with(kind)).unwrap().to_owned()
}

#[test]
fn says_what_takes_how_much() {
    let sandbox = Sandbox::new();
    let table = sandbox.nacre(["system", "df"]).ok();
    assert!(
        table.stdout.starts_with("TYPE             TOTAL     ACTIVE    SIZE      RECLAIMABLE\nImages           0         0         0B")
    );
    let dangling = add(&sandbox, &["a"], 2);
    let size = |id: &nacre_oci::Digest| store(&sandbox).image(id).unwrap().unwrap().size;
    let kilo = |bytes: u64| format!("{:.2}kB", bytes as f64 / 1000.0);
    assert_eq!(row(&sandbox, "Images"), format!("Images: 1 1 {} 0B (0%)", kilo(size(&dangling))));
    let named = add(&sandbox, &["a"], 1);
    let both = size(&dangling) + size(&named);
    let share = size(&dangling) * 100 / both;
    assert_eq!(row(&sandbox, "Images"), format!("Images: 2 1 {} {} ({share}%)", kilo(both), kilo(size(&dangling))));
    sandbox.nacre(["pin", &dangling.to_string()]).ok();
    assert_eq!(row(&sandbox, "Images"), format!("Images: 2 1 {} 0B (0%)", kilo(both)));
    let json = sandbox.nacre(["system", "df", "--format", "json"]).ok();
    assert!(json.lines()[0].contains(r#""TotalCount":"2""#), "{}", json.stdout);
}

/// What Docker never counts: compiled plugins, downloads, metadata. Together it is what `du` says.
#[test]
fn every_byte_is_accounted_for() {
    let sandbox = Sandbox::new();
    add(&sandbox, &["a"], 2);
    sandbox.nacre(["image", "prune", "-f", "--policy", "keep-last"]).ok();
    fs::write(sandbox.root().join("ingest").join(format!("sha256-{}", "0".repeat(64))), [0; 5_000]).unwrap();
    let df = store(&sandbox).df().unwrap();
    assert!(df.other > 10_000 && df.partials >= 5_000 && df.metadata > 0, "{df:?}");
    assert_eq!(row(&sandbox, "Downloads"), "Downloads:   5kB ");
    let mut all = 0;
    let mut open = vec![sandbox.root().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() { open.push(entry.path()) } else { all += metadata.len() }
        }
    }
    assert_eq!(df.total(), all);
    let output = sandbox.nacre(["image", "prune", "-f"]).ok();
    assert_eq!(output.stdout, "Total reclaimed space: 5kB\n", "a download that nobody goes on with is collected");
}

#[test]
fn damage_and_what_is_left_over_are_found() {
    let sandbox = Sandbox::new();
    let id = add(&sandbox, &["a"], 2);
    assert_eq!(sandbox.nacre(["system", "check", "--deep"]).ok().stdout, "nothing found\n");
    fs::write(sandbox.root().join("ingest/leases/lease-\x1b[2J"), "").unwrap();
    fs::create_dir_all(sandbox.root().join("trees/root/runs/nacre-dead")).unwrap();
    fs::write(sandbox.root().join("trees/root/lock"), "").unwrap();
    let found = sandbox.nacre(["system", "check"]).fails(1);
    let lines = found.lines();
    assert!(lines.len() == 2 && lines[0].starts_with("left over: the lease ") && lines[0].contains("lease-\\x1b[2J: "), "{lines:?}");
    assert!(lines[1].starts_with("left over: the run ") && lines[1].contains("nacre-dead: "), "{lines:?}");
    assert_eq!(
        found.stderr,
        "nacre: 2 left over; nacre image prune -f, nacre builder prune -f and nacre container prune -f clear that up\n"
    );
    let path = store(&sandbox).blob_path(&id);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, [&bytes[1..], b" "].concat()).unwrap();
    let found = sandbox.nacre(["system", "check", "--deep"]).fails(1);
    assert!(found.stdout.contains(&format!("damaged: blob {id} has other content: ")), "{}", found.stdout);
    assert!(found.stderr.starts_with("nacre: 3 damaged, 2 left over; "), "{}", found.stderr);
}

#[test]
fn damaged_images_are_fetched_again_from_where_they_came() {
    let (registry, user) = (Sandbox::new(), Sandbox::new());
    let id = add(&registry, &["team/app:1"], 2);
    let server = registry.serve();
    let name = server.name("team/app:1");
    user.nacre(["pull", &name]).ok();
    assert_eq!(user.nacre(["system", "repair"]).ok().stdout, "nothing to mend\n");
    let path = store(&user).blob_path(&id);
    fs::remove_file(&path).unwrap();
    let shown = user.nacre(["system", "repair", "--dry-run"]).ok().stdout;
    assert!(shown.contains(&format!("image {name}: {id} is missing")) && shown.contains("to be fetched again"), "{shown}");
    assert!(!path.exists(), "a dry run changes nothing");
    let mended = user.nacre(["system", "repair"]).ok().stdout;
    assert!(mended.contains(&format!("image {name}: whole again")), "{mended}");
    assert_eq!(user.nacre(["system", "check", "--deep"]).ok().stdout, "nothing found\n");
    crate::support::whole(&user);
    drop(server);
    fs::remove_file(&path).unwrap();
    let failed = user.nacre(["system", "repair"]).fails(1);
    assert!(failed.stdout.contains("cannot be fetched again: "), "{}", failed.stdout);
    assert_eq!(
        failed.stderr.lines().last().unwrap(),
        "nacre: 1 images lack content; pull, load or build them again, or remove them with nacre rmi"
    );
}

#[test]
fn lost_metadata_is_rebuilt_when_asked_for() {
    let sandbox = Sandbox::new();
    let id = add(&sandbox, &["a"], 2);
    fs::write(sandbox.root().join("meta.db"), "nonsense").unwrap();
    // The log would do: it has all that was written since it was emptied.
    ["meta.db-wal", "meta.db-shm"].iter().for_each(|log| _ = fs::remove_file(sandbox.root().join(log)));
    let refused = sandbox.nacre(["images"]).fails(1).stderr;
    assert!(refused.contains("nacre system repair"), "{refused}");
    let told = sandbox.nacre(["system", "repair"]).ok().stdout;
    assert!(told.contains("set aside as ") && told.contains(&format!("image {id}: its names are lost")), "{told}");
    assert_eq!(sandbox.nacre(["images", "-a", "-q", "--no-trunc"]).ok().stdout, format!("{id}\n"));
}
