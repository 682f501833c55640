//! Answers of the load balancer itself, in the form of an Application Load
//! Balancer.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, SERVER};
use http::{HeaderValue, Response, StatusCode};

use super::body::Answer;
use super::matching::RequestView;
use super::topology::{FixedResponse, Redirect};

/// How an Application Load Balancer names itself in its own answers.
const SERVER_NAME: HeaderValue = HeaderValue::from_static("awselb/2.0");

/// An error page.
pub(super) fn error(status: StatusCode) -> Response<Answer> {
    let reason = match status {
        StatusCode::SERVICE_UNAVAILABLE => "Service Temporarily Unavailable",
        StatusCode::GATEWAY_TIMEOUT => "Gateway Time-out",
        other => other.canonical_reason().unwrap_or("Error"),
    };
    let title = format!("{} {reason}", status.as_u16());
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    local(status, Some(HeaderValue::from_static("text/html")), page)
}

/// The answer of a `fixed-response` action.
pub(super) fn fixed(action: &FixedResponse) -> Response<Answer> {
    let status = StatusCode::from_u16(action.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = action.content_type.as_deref().and_then(|text| HeaderValue::try_from(text).ok());
    local(status, content_type, action.body.clone())
}

/// The answer of a `redirect` action; a location that is no header value is
/// the 500 that nobody asked for.
pub(super) fn redirect(action: &Redirect, request: &RequestView<'_>, port: u16) -> Response<Answer> {
    let Ok(location) = HeaderValue::try_from(location(action, request, port)) else {
        return error(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let status = StatusCode::from_u16(action.status).unwrap_or(StatusCode::FOUND);
    let mut answer = error(status);
    answer.headers_mut().insert(LOCATION, location);
    answer
}

fn location(action: &Redirect, request: &RequestView<'_>, port: u16) -> String {
    let fill = |template: &str| {
        template
            .replace("#{protocol}", "http")
            .replace("#{host}", request.host_name())
            .replace("#{port}", &port.to_string())
            .replace("#{path}", request.path.trim_start_matches('/'))
            .replace("#{query}", request.query)
    };
    let protocol = fill(&action.protocol).to_ascii_lowercase();
    let query = fill(&action.query);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{protocol}://{}:{}{}{mark}{query}", fill(&action.host), fill(&action.port), fill(&action.path))
}

fn local(status: StatusCode, content_type: Option<HeaderValue>, body: String) -> Response<Answer> {
    let mut answer = Response::new(Answer::Local(Bytes::from(body).into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(SERVER, SERVER_NAME);
    if let Some(content_type) = content_type {
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};

    #[test]
    fn redirects_fill_in_the_requests_own_parts() {
        let headers = HeaderMap::new();
        let request = RequestView {
            method: &Method::GET,
            host: "shop.example.com:80",
            path: "/a/b",
            query: "x=1",
            headers: &headers,
            peer: [127, 0, 0, 1].into(),
        };
        let mut action = Redirect {
            status: 301,
            protocol: "HTTPS".into(),
            host: "#{host}".into(),
            port: "443".into(),
            path: "/#{path}".into(),
            query: "#{query}".into(),
        };
        let answer = redirect(&action, &request, 8080);
        assert_eq!(answer.status(), 301);
        assert_eq!(answer.headers()[LOCATION], "https://shop.example.com:443/a/b?x=1");
        action = Redirect {
            protocol: "#{protocol}".into(),
            host: "new.#{host}".into(),
            port: "#{port}".into(),
            path: "/moved".into(),
            query: String::new(),
            ..action
        };
        assert_eq!(
            redirect(&action, &request, 8080).headers()[LOCATION],
            "http://new.shop.example.com:8080/moved"
        );
    }
}
