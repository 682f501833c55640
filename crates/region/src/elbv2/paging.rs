//! `Marker`, `NextMarker` and `PageSize` (`spec/aws.md` 1.13).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::wire::{Fault, Input};

/// Largest and default page.
const LARGEST_PAGE: usize = 400;

/// One page of a list and the marker of the next. A marker is a position: a
/// list that changes between two pages may repeat or skip an entry, as on AWS.
pub(super) fn page<'a, T>(all: &'a [T], input: &Input<'_>) -> Result<(Vec<&'a T>, Option<String>), Fault> {
    let size = input.member("PageSize").integer_in(1u32..=LARGEST_PAGE as u32)?;
    let size = size.map_or(LARGEST_PAGE, |size| size as usize);
    let start = match input.member("Marker").text()? {
        None => 0,
        Some(marker) => read(&marker)
            .filter(|start| *start <= all.len())
            .ok_or_else(|| Fault::validation(format!("'{marker}' is not a valid marker")))?,
    };
    let end = (start + size).min(all.len());
    let next = (end < all.len()).then(|| write(end));
    Ok((all[start..end].iter().collect(), next))
}

fn write(position: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("okra-page:{position}"))
}

fn read(marker: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()?;
    text.strip_prefix("okra-page:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Value, decode_query};

    fn pages(query: &str) -> (Vec<u32>, Option<String>) {
        let all: Vec<u32> = (0..5).collect();
        let root: Value = decode_query(query.as_bytes()).unwrap();
        let (page, next) = page(&all, &Input::new(&root)).unwrap();
        (page.into_iter().copied().collect(), next)
    }

    #[test]
    fn pages_join_to_the_whole() {
        let (first, next) = pages("PageSize=2");
        let (second, next) = pages(&format!("PageSize=2&Marker={}", next.unwrap()));
        let (third, end) = pages(&format!("PageSize=2&Marker={}", next.unwrap()));
        assert_eq!((first, second, third, end), (vec![0, 1], vec![2, 3], vec![4], None));
        assert_eq!(pages("").0.len(), 5);
    }

    #[test]
    fn a_foreign_marker_is_refused() {
        for query in ["Marker=abc", "Marker=", "PageSize=0", "PageSize=401"] {
            let root = decode_query(query.as_bytes()).unwrap();
            assert_eq!(page(&[1], &Input::new(&root)).unwrap_err().code, "ValidationError", "{query}");
        }
    }
}
