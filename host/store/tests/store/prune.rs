use nacre_oci::{Descriptor, Digest, Sink};
use nacre_store::{Acquired, Action, Decision, PLAN_VERSION, Plan};

use crate::support::{Fixture, layer_of};

fn decide(image: &Digest, action: Action) -> Decision {
    Decision { image: image.clone(), action, reason: "old".into(), policy: "test".into() }
}

fn delete(fixture: &Fixture, images: &[&Descriptor]) -> Plan {
    fixture.store.plan(images.iter().map(|image| decide(&image.digest, Action::Delete)).collect()).unwrap()
}

#[test]
fn a_plan_is_what_applying_it_does() {
    let fixture = Fixture::new();
    let (a, b, c) = (fixture.pulled("a", &["a:1", "a:2"]), fixture.pulled("b", &["b"]), fixture.pulled("c", &["c"]));
    let session = fixture.store.session(Acquired::Pulled).unwrap();
    let stray = fixture.memory.add("x/y", b"garbage".as_slice());
    session.put(&stray, &nacre_oci::Content::new(&fixture.memory, &stray, &nacre_oci::Silent)).unwrap();
    drop(session);
    let decisions = vec![decide(&a.digest, Action::Delete), decide(&b.digest, Action::Untag)];
    let plan = fixture.store.plan(decisions).unwrap();
    let saved = serde_json::to_string(&plan).unwrap();
    let plan: Plan = serde_json::from_str(&saved).unwrap();
    let before = fixture.store.df().unwrap().blobs;
    let applied = fixture.other().apply(&plan).unwrap();
    assert_eq!((applied.reclaimed, applied.blobs), (plan.bytes, plan.blobs));
    assert_eq!(fixture.store.df().unwrap().blobs, before - plan.bytes);
    assert_eq!((applied.deleted, applied.untagged.len(), applied.skipped.len()), (vec![a.digest], 3, 0));
    assert_eq!(fixture.store.blob_size(&stray.digest).unwrap(), None);
    let images = fixture.store.images().unwrap();
    let left: Vec<(&Digest, bool)> = images.iter().map(|image| (&image.id, image.is_dangling())).collect();
    assert!(left.len() == 2 && left.contains(&(&b.digest, true)) && left.contains(&(&c.digest, false)));
    nacre_oci::validate(&fixture.store, &c, &nacre_oci::Select::All).unwrap();
}

#[test]
fn what_came_into_use_since_stays() {
    let fixture = Fixture::new();
    let make = |name: &str| fixture.pulled(name, &[name]);
    let [tagged, used, pinned, leased, pulled, removed, untagged] =
        ["tagged", "used", "pinned", "leased", "pulled", "removed", "untagged"].map(make);
    let all = [&tagged, &used, &pinned, &leased, &pulled, &removed, &untagged];
    let plan = delete(&fixture, &all);
    assert_eq!(plan.items.len(), 7);
    let other = fixture.other();
    other.tag(&"another".parse().unwrap(), &tagged.digest).unwrap();
    other.touch(std::slice::from_ref(&used.digest)).unwrap();
    other.pin(&pinned.digest, true).unwrap();
    let lease = other.lease().unwrap();
    lease.protect([&leased.digest]).unwrap();
    fixture.pull(&pulled, &["pulled"]);
    other.remove("removed", false).unwrap();
    other.untag(&"untagged".parse().unwrap()).unwrap();
    let applied = fixture.store.apply(&plan).unwrap();
    assert_eq!(applied.deleted, [untagged.digest], "losing a name is no use");
    for (image, reason) in [
        (&tagged, "it has been tagged anew since"),
        (&used, "it has been used since"),
        (&pinned, "it has been pinned since"),
        (&leased, "it is being used by a running command"),
        (&pulled, "it has been used since"),
        (&removed, "it has been removed since"),
    ] {
        let skipped = applied.skipped.iter().find(|skipped| skipped.image == image.digest).unwrap();
        assert_eq!(skipped.reason, reason);
        if image.digest != removed.digest {
            nacre_oci::validate(&fixture.store, image, &nacre_oci::Select::All).unwrap();
        }
    }
}

#[test]
fn a_plan_keeps_what_is_pinned_or_in_use_and_says_so() {
    let fixture = Fixture::new();
    let (pinned, leased) = (fixture.pulled("1", &["a"]), fixture.pulled("2", &["b"]));
    fixture.store.pin(&pinned.digest, true).unwrap();
    let lease = fixture.store.lease().unwrap();
    lease.protect([&leased.digest]).unwrap();
    assert!(fixture.store.survey().unwrap().is_in_use(&leased.digest));
    let unknown = Descriptor::of("x", b"unknown");
    let plan = delete(&fixture, &[&pinned, &leased, &unknown]);
    assert_eq!((plan.items.len(), plan.kept.len(), plan.bytes), (0, 2, 0));
    assert!(plan.kept.iter().any(|kept| kept.image == pinned.digest && kept.reason == "it is pinned"));
}

#[test]
fn a_lease_protects_what_was_put_and_what_was_found() {
    let fixture = Fixture::new();
    let old = fixture.pulled("1", &["a"]);
    let (old_layer, new) = (layer_of(&fixture, &old), fixture.memory.add("x/y", b"new".as_slice()));
    let session = fixture.other().session(Acquired::Pulled).unwrap();
    assert!(session.contains(&old_layer).unwrap());
    session.put(&new, &nacre_oci::Content::new(&fixture.memory, &new, &nacre_oci::Silent)).unwrap();
    fixture.store.remove("a", false).unwrap();
    fixture.store.apply(&delete(&fixture, &[])).unwrap();
    assert_eq!(fixture.blobs(), 2);
    drop(session);
    assert_eq!(fixture.store.apply(&delete(&fixture, &[])).unwrap().blobs, 2);
}

#[test]
fn refuses_plans_of_other_versions_and_with_unknown_fields() {
    let fixture = Fixture::new();
    let plan = Plan { version: PLAN_VERSION + 1, ..delete(&fixture, &[]) };
    assert!(fixture.store.apply(&plan).unwrap_err().to_string().contains("version 2"));
    let text = serde_json::to_string(&plan).unwrap().replacen('{', r#"{"force":true,"#, 1);
    assert!(serde_json::from_str::<Plan>(&text).is_err());
}
