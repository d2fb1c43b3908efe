//! `Range` of a download (RFC 9110, section 14) and `Content-Range` of an upload's chunk (distribution specification,
//! "Pushing a blob in chunks").

/// What part of `size` bytes a download is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// Everything, with status 200.
    Whole,
    /// From the first to the last byte, both included, with status 206.
    Part(u64, u64),
    /// Nothing: status 416.
    Unsatisfiable,
}

/// Reads a `Range` header. What is not one range of bytes is ignored, and one that ends before it begins is refused; the RFC
/// allows both.
pub(crate) fn span(header: Option<&str>, size: u64) -> Span {
    let range = header.and_then(|h| h.trim().strip_prefix("bytes=")).and_then(|r| r.trim().split_once('-'));
    let Some((first, last)) = range else { return Span::Whole };
    let read = match (first.trim(), last.trim()) {
        ("", suffix) => number(suffix).map(|n| if n == 0 { Span::Unsatisfiable } else { part(size.saturating_sub(n), u64::MAX, size) }),
        (first, "") => number(first).map(|first| part(first, u64::MAX, size)),
        (first, last) => number(first).zip(number(last)).map(|(first, last)| part(first, last, size)),
    };
    read.unwrap_or(Span::Whole)
}

fn part(first: u64, last: u64, size: u64) -> Span {
    if first >= size || first > last { Span::Unsatisfiable } else { Span::Part(first, last.min(size - 1)) }
}

/// Reads a chunk's `Content-Range`: `FIRST-LAST`, both included; `bytes FIRST-LAST/SIZE` is taken as well.
pub(crate) fn chunk(header: &str) -> Option<(u64, u64)> {
    let header = header.trim();
    let range = header.strip_prefix("bytes ").or_else(|| header.strip_prefix("bytes=")).unwrap_or(header);
    let range = range.split_once('/').map_or(range, |(range, _)| range);
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// Digits only: Rust's own parser would take a sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ranges() {
        for (header, wanted) in [
            ("bytes=0-0", Span::Part(0, 0)),
            ("bytes=2-5", Span::Part(2, 5)),
            ("bytes=2-", Span::Part(2, 9)),
            ("bytes=2-99", Span::Part(2, 9)),
            ("bytes=-3", Span::Part(7, 9)),
            ("bytes=-30", Span::Part(0, 9)),
            ("bytes=9-", Span::Part(9, 9)),
            ("bytes=10-", Span::Unsatisfiable),
            ("bytes=10-11", Span::Unsatisfiable),
            ("bytes=-0", Span::Unsatisfiable),
            ("bytes=5-2", Span::Unsatisfiable),
            ("bytes=-", Span::Whole),
            ("bytes=a-b", Span::Whole),
            ("bytes=1-b", Span::Whole),
            ("bytes=+1-2", Span::Whole),
            ("bytes=0-1,3-4", Span::Whole),
            ("lines=0-1", Span::Whole),
            ("bytes=99999999999999999999-", Span::Whole),
        ] {
            assert_eq!(span(Some(header), 10), wanted, "{header}");
        }
        assert_eq!(span(None, 10), Span::Whole);
        assert_eq!(span(Some("bytes=0-"), 0), Span::Unsatisfiable);
        assert_eq!(span(Some("bytes=-5"), 0), Span::Unsatisfiable);
    }

    #[test]
    fn reads_chunks() {
        assert_eq!(chunk("0-9"), Some((0, 9)));
        assert_eq!(chunk("bytes 5-9/20"), Some((5, 9)));
        for header in ["", "-", "5", "5-", "-5", "9-5", "a-b", "0--1", "+0-1"] {
            assert_eq!(chunk(header), None, "{header}");
        }
    }
}
