//! Files of archives, layers and images, and layers in the making.

pub use crate::bindings::nacre::plugin::files::*;

/// Entries in one call: enough to make calls cheap, few enough to need little memory.
const BATCH: u32 = 512;

/// All that is left of a listing, entry by entry; nothing comes after an error.
///
/// ```no_run
/// # fn show(image: &nacre_sdk::images::Image) -> Result<(), nacre_sdk::Error> {
/// for entry in nacre_sdk::files::all(&image.files()?) {
///     let entry = entry?;
/// }
/// # Ok(())
/// # }
/// ```
pub fn all(listing: &Listing) -> impl Iterator<Item = Result<Entry, crate::Error>> {
    batches(|| listing.next(BATCH))
}

/// Flattens batches until one is empty.
fn batches<T, E>(mut next: impl FnMut() -> Result<Vec<T>, E>) -> impl Iterator<Item = Result<T, E>> {
    let mut batch = Vec::new().into_iter();
    let mut ended = false;
    std::iter::from_fn(move || {
        if batch.len() == 0 && !ended {
            match next() {
                Ok(more) => batch = more.into_iter(),
                Err(error) => {
                    ended = true;
                    return Some(Err(error));
                }
            }
            ended = batch.len() == 0;
        }
        batch.next().map(Ok)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_flattened_until_the_end_or_an_error() {
        let run = |mut answers: Vec<Result<Vec<u8>, &'static str>>| {
            answers.reverse();
            batches(move || answers.pop().expect("it was asked once more after the end")).collect::<Vec<_>>()
        };
        assert_eq!(run(vec![Ok(vec![1, 2]), Ok(vec![3]), Ok(vec![])]), [Ok(1), Ok(2), Ok(3)]);
        assert_eq!(run(vec![Ok(vec![1]), Err("no")]), [Ok(1), Err("no")]);
        assert_eq!(run(vec![Ok(vec![])]), []);
    }
}
