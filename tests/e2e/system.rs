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
