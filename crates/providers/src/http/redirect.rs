//! Which redirects are followed.

use http::header::{ACCEPT, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, StatusCode, Uri};

use super::url::{self, Target};

/// Redirects followed in one call.
pub(super) const MAX_REDIRECTS: usize = 5;

/// Where a redirect leads.
#[derive(Debug)]
pub(super) struct Next {
    pub(super) target: Target,
    pub(super) method: Method,
    pub(super) same_origin: bool,
    pub(super) keep_body: bool,
}

/// The next call, if the answer sends okra on; an error in words, if it must not go there.
///
/// Another origin may not see what was meant for this one. Which headers are credentials cannot
/// be known, so a call with any header of its own, or a body, does not leave its origin.
pub(super) fn next(
    from: &Uri,
    method: &Method,
    headers: &HeaderMap,
    has_body: bool,
    status: StatusCode,
    answer: &HeaderMap,
) -> Result<Option<Next>, String> {
    let keeps_method = match status.as_u16() {
        301..=303 => false,
        307 | 308 => true,
        _ => return Ok(None),
    };
    let Some(location) = answer.get(LOCATION) else { return Ok(None) };
    let location = location.to_str().map_err(|_| "redirect to an address that is no text".to_owned())?;
    let target = url::joined(from, location).map_err(|error| format!("redirect refused: {error}"))?;
    let same_origin = url::same_origin(from, &target.uri);
    let harmless = [ACCEPT, CONTENT_TYPE, USER_AGENT];
    let carries = headers.keys().any(|name| !harmless.contains(name)) || (has_body && keeps_method);
    if !same_origin && carries {
        let host = target.uri.host().unwrap_or_default();
        return Err(format!(
            "redirect to {host} refused: headers and body are meant for {}",
            from.host().unwrap_or_default()
        ));
    }
    if target.authorization.is_some() {
        return Err("redirect refused: its address holds credentials".to_owned());
    }
    let keep_body = keeps_method || *method == Method::GET;
    let method = if keep_body { method.clone() } else { Method::GET };
    Ok(Some(Next { target, method, same_origin, keep_body }))
}
