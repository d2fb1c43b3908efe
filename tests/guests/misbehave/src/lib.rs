//! A search filter and a prune policy that misbehave as their option `do` tells them.
//!
//! It also shows that one component may provide several things.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nacre_sdk::prune::{Verdict, delete};
use nacre_sdk::search::{Hit, Pick};
use nacre_sdk::{Error, Kv, Level, Options, Summary, log, settings};

fn pick(index: u32) -> Pick {
    Pick { index, score: None, note: None }
}

fn noted(note: String) -> Vec<Pick> {
    vec![Pick { note: Some(note), ..pick(0) }]
}

pub fn filter(_term: &str, opts: &Options, hits: &[Hit]) -> Result<Vec<Pick>, Error> {
    Ok(match opts.one("do")?.unwrap_or("nothing") {
        "loop" => endless(),
        "memory" => noted(hog().to_string()),
        "recursion" => noted(recurse(1).to_string()),
        "panic" => panic!("index 7 is out of cheese"),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(3),
        "unknown-index" => vec![pick(hits.len() as u32)],
        "twice" => vec![pick(1), pick(1)],
        "flood" => (0..10_000).map(|_| pick(0)).collect(),
        "endless-flood" => (0..1_000_000).map(|_| pick(0)).collect(),
        "nan" => vec![Pick { score: Some(f32::NAN), ..pick(0) }],
        "long-note" => noted("x".repeat(1_001)),
        "huge-note" => noted("x".repeat(20 << 20)),
        "log-flood" => flood_log(),
        "print-flood" => flood_output(),
        "sleep" => noted(sleep()),
        "look-around" => noted(look_around()),
        "error" => return Err("no\u{1b}[31m luck\nat all".into()),
        "huge-error" => return Err("x".repeat(20 << 20).into()),
        "settings" => noted(settings()),
        _ => Vec::new(),
    })
}

pub fn decide(_policy: &str, _now: u64, opts: &Options, _images: &[Summary]) -> Result<Vec<Verdict>, Error> {
    Ok(match opts.one("do")?.unwrap_or("nothing") {
        "unknown-index" => vec![delete(u32::MAX, "invented")],
        "twice" => vec![delete(0, "once"), delete(0, "and again")],
        "long-reason" => vec![delete(0, "x".repeat(1_001))],
        "loop" => endless(),
        _ => Vec::new(),
    })
}

nacre_sdk::search_filter!(filter);
nacre_sdk::prune_policy!(decide);

fn endless<T>() -> T {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn hog() -> usize {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(black_box(vec![1; 1 << 20]));
        if kept.len() > 10_000 {
            return kept.len();
        }
    }
}

fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { recurse(depth + 1) + black_box(frame)[(depth % 64) as usize] }
}

fn flood_log() -> Vec<Pick> {
    for i in 0..100_000 {
        log(Level::Warn, "flood", &[Kv { key: "i".into(), value: i.to_string() }]);
    }
    vec![pick(0)]
}

fn flood_output() -> Vec<Pick> {
    for i in 0..2_000 {
        eprintln!("line {i}");
        println!("line {i}");
    }
    vec![pick(0)]
}

fn sleep() -> String {
    std::thread::sleep(Duration::from_secs(1_000_000_000));
    "slept".into()
}

/// Everything that a plugin can see of the world, which must not change from call to call.
fn look_around() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_nanos());
    let (env, args) = (std::env::vars().count(), std::env::args().count());
    let files = ["/", ".", "/etc/passwd"].iter().filter(|path| std::fs::metadata(path).is_ok()).count();
    let written = std::fs::write("/tmp/x", "x").is_ok();
    let mut letters: HashMap<char, ()> = HashMap::new();
    letters.extend("nacre".chars().map(|letter| (letter, ())));
    let order: String = letters.keys().collect();
    format!("now {now:?} for {:?}, env {env}, args {args}, files {files}, written {written}, order {order}", Instant::now().elapsed())
}
