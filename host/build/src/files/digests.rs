//! Digests of files' contents: computed on all processors, and remembered in a file that nobody misses.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use nacre_oci::Result;
use sha2::{Digest, Sha256};

/// A SHA-256.
pub(super) type Sum = [u8; 32];
/// What a file is known by: device and inode, or something else that stays.
pub(super) type Key = [u64; 2];
/// What changes with a file's content.
pub(super) type Stamp = [i64; 5];

const MAGIC: &[u8; 16] = b"nacre digests 1\n";
const RECORD: usize = 16 + 40 + 32;
/// The most records; beyond them those that a build did not ask for are forgotten.
const MAX: usize = 1 << 20;

/// What digests are known.
pub(super) struct Remembered {
    file: PathBuf,
    known: Mutex<HashMap<Key, Known>>,
    changed: AtomicBool,
}

struct Known {
    stamp: Stamp,
    sum: Sum,
    used: bool,
}

impl Remembered {
    /// Reads what is known; what is damaged counts as nothing.
    pub(super) fn load(file: PathBuf) -> Self {
        let known = fs::read(&file).ok().and_then(|bytes| parse(&bytes)).unwrap_or_default();
        Self { file, known: Mutex::new(known), changed: AtomicBool::new(false) }
    }

    pub(super) fn get(&self, key: Key, stamp: Stamp) -> Option<Sum> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get_mut(&key).filter(|known| known.stamp == stamp)?;
        found.used = true;
        Some(found.sum)
    }

    pub(super) fn set(&self, key: Key, stamp: Stamp, sum: Sum) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(key, Known { stamp, sum, used: true });
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Writes what is known if something is new. It is no error if that cannot be done.
    pub(super) fn save(&self) {
        if self.changed.swap(false, Ordering::Relaxed) {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            _ = replace(&self.file, &spell(&known));
        }
    }
}

fn spell(known: &HashMap<Key, Known>) -> Vec<u8> {
    let all = known.len() <= MAX;
    let mut bytes = MAGIC.to_vec();
    for (key, known) in known.iter().filter(|(_, known)| all || known.used) {
        key.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        known.stamp.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.extend(known.sum);
    }
    bytes.extend(checksum(&bytes));
    bytes
}

fn parse(bytes: &[u8]) -> Option<HashMap<Key, Known>> {
    let records = checked(bytes, MAGIC)?;
    let word = |record: &[u8], at: usize| <[u8; 8]>::try_from(&record[8 * at..8 * at + 8]).expect("eight bytes");
    let read = |record: &[u8]| {
        let key = [0, 1].map(|at| u64::from_le_bytes(word(record, at)));
        let stamp = [2, 3, 4, 5, 6].map(|at| i64::from_le_bytes(word(record, at)));
        let sum = record[56..].try_into().expect("32 bytes");
        (key, Known { stamp, sum, used: false })
    };
    (records.len() % RECORD == 0).then(|| records.chunks_exact(RECORD).map(read).collect())
}

/// What stands between the front and the checksum at the end, if both are right.
pub(super) fn checked<'a>(bytes: &'a [u8], magic: &[u8]) -> Option<&'a [u8]> {
    let (front, sum) = bytes.split_last_chunk::<8>()?;
    let records = front.strip_prefix(magic)?;
    (checksum(front) == *sum).then_some(records)
}

/// Tells a damaged file from a whole one, at the speed of memory. (Nobody gains by forging a cache that is as much the user's
/// own as the store is.)
pub(super) fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mix = |hash: u64, word: [u8; 8]| (hash.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, *word));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash = mix(hash, last);
    (hash ^ hash >> 32).to_le_bytes()
}

/// Puts a file in place in one step, so that nobody reads half of it.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.persist(file)?;
    Ok(())
}

/// The SHA-256 of all that a reader gives.
pub(super) fn sum(reader: &mut dyn Read) -> io::Result<Sum> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(count) => hash.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Does `work` for each path on all processors; the results are in the order of the paths.
pub(super) fn each(paths: &[Vec<u8>], work: impl Fn(&[u8]) -> Result<Sum> + Sync) -> Result<Vec<Sum>> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(8).min(paths.len());
    if workers < 2 {
        return paths.iter().map(|path| work(path)).collect();
    }
    let next = AtomicUsize::new(0);
    let share = || -> Result<Vec<(usize, Sum)>> {
        let mut done = Vec::new();
        while let index @ 0.. = next.fetch_add(1, Ordering::Relaxed)
            && let Some(path) = paths.get(index)
        {
            // After a failure nobody takes more.
            done.push((index, work(path).inspect_err(|_| next.store(paths.len(), Ordering::Relaxed))?));
        }
        Ok(done)
    };
    let mut sums = vec![[0; 32]; paths.len()];
    thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(share)).collect();
        for thread in threads {
            for (index, sum) in thread.join().map_err(|_| super::fail("a thread that hashes files ended"))?? {
                sums[index] = sum;
            }
        }
        Ok(())
    })?;
    Ok(sums)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_is_saved_is_known_again_for_the_same_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/digests");
        let remembered = Remembered::load(file.clone());
        remembered.set([1, 2], [3, 4, 5, 6, 7], [8; 32]);
        remembered.set([1, 3], [-3, 4, 5, 6, 7], [9; 32]);
        remembered.save();
        let again = Remembered::load(file);
        assert_eq!(again.get([1, 2], [3, 4, 5, 6, 7]), Some([8; 32]));
        assert_eq!(again.get([1, 3], [-3, 4, 5, 6, 7]), Some([9; 32]));
        assert_eq!(again.get([1, 2], [3, 4, 5, 6, 8]), None);
        assert_eq!(again.get([2, 2], [3, 4, 5, 6, 7]), None);
    }

    #[test]
    fn a_damaged_file_knows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("digests");
        let remembered = Remembered::load(file.clone());
        remembered.set([1, 2], [0; 5], [8; 32]);
        remembered.save();
        let good = fs::read(&file).unwrap();
        for at in [0, 20, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file, bad).unwrap();
            assert_eq!(Remembered::load(file.clone()).get([1, 2], [0; 5]), None);
        }
        fs::write(&file, &good[..good.len() - 40]).unwrap();
        assert_eq!(Remembered::load(file).get([1, 2], [0; 5]), None);
    }

    #[test]
    fn sums_keep_their_order_and_errors_come_through() {
        let paths: Vec<Vec<u8>> = (0..1000_u32).map(|number| number.to_le_bytes().to_vec()).collect();
        let sums = each(&paths, |path| Ok(Sha256::digest(path).into())).unwrap();
        assert!(paths.iter().zip(&sums).all(|(path, sum)| Sha256::digest(path).as_slice() == sum));
        assert!(each(&paths, |path| if path[0] == 77 { Err(super::super::fail("seven")) } else { Ok([0; 32]) }).is_err());
    }
}
