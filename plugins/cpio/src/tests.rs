#![allow(clippy::unwrap_used, reason = "tests")]

use nacre_sdk::Error;
use nacre_sdk::entries::entry;
use nacre_sdk::files::{Entry, Kind};
use nacre_sdk::memory::Memory;
use nacre_sdk::mutate::damage;

use crate::archive::{self, TRAILER};
use crate::header::other;
use crate::write::Writer;

/// What is in archives: path, what it is, and its content; and where something else begins.
fn listed(bytes: &[u8]) -> Result<(Vec<String>, Option<u64>), Error> {
    let mut files = Memory::new(bytes, |_, _, _| Err("nothing is packed".into()));
    let rest = archive::read(&bytes, &mut files)?;
    let show = |(path, (entry, content)): (&String, &(Entry, Vec<u8>))| {
        let Entry { kind, mode, uid, gid, mtime, link, device, .. } = entry;
        let kind = format!("{kind:?}");
        let kind = kind.trim_start_matches("Kind::");
        let mut text = format!("{path} {kind} {mode:o} {uid}:{gid} {mtime} {}", String::from_utf8_lossy(content));
        text += &link.iter().map(|link| format!("-> {link}")).collect::<String>();
        text + &device.iter().map(|(major, minor)| format!("{major},{minor}")).collect::<String>()
    };
    Ok((files.files.iter().map(show).collect(), rest))
}

/// The kind of mistake that an archive is refused for.
fn refused(bytes: &[u8]) -> String {
    match listed(bytes).map(|(files, _)| files) {
        Err(Error::Invalid(list)) => list[0].code.clone(),
        other => panic!("{other:?}"),
    }
}

/// One member of `newc`, with these fields changed: name, mode, links, size, name length.
struct Member<'a> {
    name: &'a [u8],
    mode: u32,
    inode: u32,
    links: u32,
    body: &'a [u8],
    size: Option<u32>,
    name_len: Option<u32>,
}

const FILE: Member<'_> = Member { name: b"a\0", mode: 0o100_644, inode: 7, links: 1, body: b"", size: None, name_len: None };

impl Member<'_> {
    fn newc(&self) -> Vec<u8> {
        let (size, name_len) = (self.size.unwrap_or(self.body.len() as u32), self.name_len.unwrap_or(self.name.len() as u32));
        let fields = [self.inode, self.mode, 1, 2, self.links, 99, size, 0, 5, 8, 1, name_len, 0];
        let mut bytes = b"070701".to_vec();
        bytes.extend(fields.iter().flat_map(|field| format!("{field:08X}").into_bytes()));
        bytes.extend(self.name);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(self.body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn odc(&self) -> Vec<u8> {
        let (size, name_len) = (self.size.unwrap_or(self.body.len() as u32), self.name_len.unwrap_or(self.name.len() as u32));
        let Member { mode, inode, links, .. } = self;
        let text = format!("070707000005{inode:06o}{mode:06o}000001000002{links:06o}00400100000000143{name_len:06o}{size:011o}");
        [text.as_bytes(), self.name, self.body].concat()
    }
}

fn newc(members: &[Member<'_>]) -> Vec<u8> {
    let trailer = Member { name: b"TRAILER!!!\0", mode: 0, ..FILE };
    members.iter().chain([&trailer]).flat_map(Member::newc).collect()
}

fn odc(members: &[Member<'_>]) -> Vec<u8> {
    let trailer = Member { name: b"TRAILER!!!\0", mode: 0, ..FILE };
    members.iter().chain([&trailer]).flat_map(Member::odc).collect()
}

fn of(kind: Kind, path: &str) -> Entry {
    Entry { mtime: 99, uid: 1000, gid: 100, ..entry(path, kind, 0o4755) }
}

/// Writes entries with their content, as the export does.
fn written(entries: &[(Entry, &str)]) -> Vec<u8> {
    let links = entries.iter().filter(|(entry, _)| entry.kind == Kind::Hardlink).map(|(entry, _)| Ok(entry.link.clone().unwrap()));
    let mut writer = Writer::new(links).unwrap();
    let mut bytes = Vec::new();
    for (entry, content) in entries {
        let size =
            writer.member(&Entry { size: if entry.kind == Kind::File { content.len() as u64 } else { 0 }, ..entry.clone() }).unwrap();
        bytes.append(&mut writer.pending);
        if size > 0 {
            assert_eq!(size, content.len() as u64, "{}", entry.path);
            bytes.extend(content.as_bytes());
            writer.content(size);
        }
    }
    writer.finish();
    bytes.append(&mut writer.pending);
    bytes
}

fn everything() -> Vec<u8> {
    let link = |kind, path, link: &str| Entry { link: Some(link.into()), ..of(kind, path) };
    let device = |kind, path| Entry { device: Some((4, 300)), ..of(kind, path) };
    written(&[
        (entry("", Kind::Directory, 0o755), ""),
        (of(Kind::Directory, "bin"), ""),
        (of(Kind::File, "bin/sh"), "#!"),
        (link(Kind::Hardlink, "bin/ash", "bin/sh"), "#!"),
        (link(Kind::Hardlink, "bin/dash", "bin/sh"), "#!"),
        (link(Kind::Symlink, "caf\u{f7e9}", "/no/where"), ""),
        (device(Kind::CharDevice, "console"), ""),
        (device(Kind::BlockDevice, "disk"), ""),
        (of(Kind::File, "empty"), ""),
        (of(Kind::Fifo, "pipe"), ""),
        (of(Kind::File, "text"), "hello"),
    ])
}

#[test]
fn what_is_written_is_read_again() {
    let bytes = everything();
    assert_eq!(bytes.len() % 512, 0);
    let expected = [
        ". Directory 755 0:0 0 ",
        "bin Directory 4755 1000:100 99 ",
        "bin/ash Hardlink 4755 1000:100 99 -> bin/sh",
        "bin/dash Hardlink 4755 1000:100 99 -> bin/sh",
        "bin/sh File 4755 1000:100 99 #!",
        "caf\u{f7e9} Symlink 4755 1000:100 99 -> /no/where",
        "console CharDevice 4755 1000:100 99 4,300",
        "disk BlockDevice 4755 1000:100 99 4,300",
        "empty File 4755 1000:100 99 ",
        "pipe Fifo 4755 1000:100 99 ",
        "text File 4755 1000:100 99 hello",
    ];
    assert_eq!(listed(&bytes).unwrap(), (expected.map(String::from).to_vec(), None));
}

#[test]
fn content_stands_with_the_last_name() {
    let bytes = everything();
    let at = |what: &[u8]| bytes.windows(what.len()).position(|window| window == what).unwrap();
    assert!(at(b"bin/sh\0") < at(b"bin/ash\0") && at(b"bin/dash\0") < at(b"#!"));
    assert_eq!(bytes.windows(2).filter(|window| window == b"#!").count(), 1);
}

#[test]
fn what_a_header_cannot_hold_is_refused_or_bounded() {
    let mut writer = Writer::new([]).unwrap();
    let error = writer.member(&Entry { size: 1 << 32, ..of(Kind::File, "big") }).unwrap_err();
    assert!(format!("{error:?}").contains("4 GiB"));
    let old = Entry { mtime: -5, ..of(Kind::File, "old") };
    let new = Entry { mtime: 1 << 40, ..of(Kind::File, "new") };
    let (files, _) = listed(&written(&[(old, ""), (new, "")])).unwrap();
    assert_eq!(files, ["new File 4755 1000:100 4294967295 ", "old File 4755 1000:100 0 "]);
}

#[test]
fn old_archives_have_the_content_with_each_name() {
    let names = [
        Member { name: b"./x\0", links: 2, body: b"odd", ..FILE },
        Member { name: b"y\0", links: 2, body: b"odd", ..FILE },
        Member { name: b"tty\0", mode: 0o020_600, ..FILE },
        Member { name: b"to\0", mode: 0o120_777, body: b"x", ..FILE },
    ];
    let expected =
        ["./x File 644 1:2 99 odd", "to Symlink 777 1:2 99 -> x", "tty CharDevice 600 1:2 99 8,1", "y Hardlink 644 1:2 99 -> ./x"];
    assert_eq!(listed(&odc(&names)).unwrap().0, expected);
    assert_eq!(listed(&newc(&names)).unwrap().0, expected);
}

#[test]
fn names_of_one_file_find_its_content_wherever_it_stands() {
    let name = |name, body| Member { name, links: 3, body, ..FILE };
    for bodies in [[&b"x"[..], b"", b""], [b"", b"x", b""], [b"", b"", b"x"], [b"", b"", b""]] {
        let archive = newc(&[name(b"a\0", bodies[0]), name(b"b\0", bodies[1]), name(b"c\0", bodies[2])]);
        let content = bodies.concat();
        let first = format!("a File 644 1:2 99 {}", String::from_utf8_lossy(&content));
        assert_eq!(listed(&archive).unwrap().0, [&first, "b Hardlink 644 1:2 99 -> a", "c Hardlink 644 1:2 99 -> a"]);
    }
    assert_eq!(refused(&newc(&[name(b"a\0", b"x"), name(b"b\0", b"yy")])), "bad-link");
}

#[test]
fn archives_follow_one_another_and_the_later_wins() {
    let first = newc(&[Member { links: 2, body: b"1", ..FILE }]);
    let second = newc(&[Member { links: 2, body: b"2", ..FILE }]);
    let both = [&first[..], &[0; 5000], &second].concat();
    assert_eq!(listed(&both).unwrap(), (vec!["a File 644 1:2 99 2".to_owned()], None), "inodes count in one archive");
    let early = [&first[..], &[0; 388], b"\x28\xb5\x2f\xfd rest"].concat();
    assert_eq!(listed(&early).unwrap().1, Some(first.len() as u64 + 388));
    assert_eq!(listed(b"\x1f\x8b").unwrap(), (vec![], Some(0)));
}

#[test]
fn archives_that_lie_are_refused() {
    for name in [&b"../x\0"[..], b"a/../../x\0", b"/..\0", b"a\0b\0"] {
        assert_eq!(refused(&newc(&[Member { name, ..FILE }])), "bad-path");
    }
    for (code, member) in [
        ("bad-name", Member { name: b"ab", ..FILE }),
        ("bad-name", Member { name_len: Some(0), ..FILE }),
        ("bad-name", Member { name_len: Some(u32::MAX), ..FILE }),
        ("cut-off", Member { size: Some(u32::MAX), ..FILE }),
        ("cut-off", Member { size: Some(600), ..FILE }),
        ("bad-symlink", Member { mode: 0o120_777, ..FILE }),
        ("bad-type", Member { mode: 0o644, ..FILE }),
        ("no-header", Member { body: &[7; 8], size: Some(4), ..FILE }),
    ] {
        assert_eq!(refused(&newc(&[member])), code);
    }
    let long = vec![b'a'; 5000];
    assert_eq!(refused(&newc(&[Member { mode: 0o120_777, body: &long, ..FILE }])), "bad-symlink");
    assert_eq!(refused(b"070701zz"), "cut-off");
    let mut sign = newc(&[FILE]);
    sign[6] = b'-';
    assert_eq!(refused(&sign), "bad-number");
}

#[test]
fn a_socket_is_left_out() {
    assert_eq!(listed(&newc(&[Member { mode: 0o140_755, ..FILE }])).unwrap().0, [""; 0]);
}

#[test]
fn damage_never_panics_and_a_cut_never_goes_unseen() {
    let old = odc(&[Member { name: b"x\0", links: 2, body: b"odd", ..FILE }, Member { mode: 0o120_777, body: b"x", ..FILE }]);
    let whole = everything();
    let end = whole.windows(TRAILER.len()).position(|window| window == TRAILER).unwrap() + TRAILER.len();
    for cut in 1..=end {
        assert!(!matches!(listed(&whole[..cut]), Ok((_, None))), "cut at {cut}");
    }
    for sample in [&whole, &old] {
        damage(sample, 20_000, |file| drop(listed(file)));
    }
}

#[test]
fn what_else_there_may_be_is_told() {
    for (bytes, what) in [(&b"\x5d\0\0\x80"[..], "lzma"), (b"\x02\x21\x4c\x18", "lz4"), (b"\xc7\x71", "binary"), (b"\x89LZO", "lzo")] {
        assert!(other(bytes).unwrap().contains(what));
    }
    assert_eq!(other(b"070701"), None);
}
