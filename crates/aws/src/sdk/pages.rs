//! Reading a list to its end.

use std::future::Future;

use crate::AwsError;
use crate::error::Meaning;

/// Pages of one list. 100 pages of 100 are more rules, clusters or series
/// than any quota of AWS allows; beyond it the service goes round in circles.
const PAGES_MAX: usize = 100;

/// All items of a list whose pages are fetched by marker. A page that fails,
/// or a marker that comes back twice, fails the list: a part of it could make
/// a caller believe that something is gone.
pub(super) async fn all<T, F, Fut>(operation: &'static str, fetch: F) -> Result<Vec<T>, AwsError>
where
    F: Fn(Option<String>) -> Fut,
    Fut: Future<Output = Result<(Vec<T>, Option<String>), AwsError>>,
{
    let mut items = Vec::new();
    let mut marker: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let (page, next) = fetch(marker.clone()).await?;
        items.extend(page);
        match next.filter(|next| !next.is_empty()) {
            None => return Ok(items),
            Some(next) if marker.as_ref() == Some(&next) => break,
            next => marker = next,
        }
    }
    let message = format!("the list does not end within {PAGES_MAX} pages");
    Err(AwsError::new(Meaning::Unavailable, operation, "EndlessList", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn page(marker: Option<String>) -> Result<(Vec<u32>, Option<String>), AwsError> {
        Ok(match marker.as_deref() {
            None => (vec![1, 2], Some("a".to_owned())),
            Some("a") => (vec![], Some("b".to_owned())),
            Some(_) => (vec![3], Some(String::new())),
        })
    }

    #[tokio::test]
    async fn defect_04_pages_are_read_to_the_end_even_over_an_empty_one() {
        assert_eq!(all("test", page).await.unwrap(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_failed_page_fails_the_list() {
        let outcome = all("test", async |marker: Option<String>| match marker {
            None => Ok((vec![1], Some("a".to_owned()))),
            Some(_) => Err(AwsError::new(Meaning::Denied, "test", "AccessDenied", "")),
        })
        .await;
        assert_eq!(outcome.unwrap_err().meaning, Meaning::Denied);
    }

    #[tokio::test]
    async fn a_list_without_end_is_an_error() {
        let outcome = all("test", async |_: Option<String>| Ok((vec![1], Some("again".to_owned())))).await;
        assert_eq!(outcome.unwrap_err().code, "EndlessList");
    }
}
