use std::collections::BTreeMap;

use super::*;

/// The keys of AWS's own signing examples, which belong to nobody.
fn keys(session_token: Option<&str>) -> SigningKeys {
    SigningKeys {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: session_token.map(str::to_owned),
    }
}

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().expect("a date")
}

fn token(session_token: Option<&str>, endpoint: &str) -> ClusterToken {
    let region = Region::new("eu-west-1");
    eks_token(&keys(session_token), endpoint, &region, "web-1-v2", now()).expect("signs")
}

/// What `aws-iam-authenticator` checks before it asks STS (`spec/aws.md`
/// 3.3): the parameters of the URL, in order, if it accepts it.
fn verified(token: &str, host: &str) -> Vec<(String, String)> {
    const ALLOWED: [&str; 9] = [
        "action",
        "version",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    ];
    assert!(token.len() <= 4096);
    let encoded = token.strip_prefix("k8s-aws-v1.").expect("the prefix");
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).expect("base64url")).expect("text");
    let uri: http::Uri = url.parse().expect("a URL");
    assert_eq!(uri.authority().expect("a host").as_str(), host);
    assert_eq!(uri.path(), "/");
    let pairs: Vec<(String, String)> = uri
        .query()
        .expect("a query")
        .split('&')
        .map(|pair| pair.split_once('=').expect("key and value"))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let mut seen = BTreeMap::new();
    for (key, _) in &pairs {
        let key = key.to_lowercase();
        assert!(ALLOWED.contains(&key.as_str()), "{key}");
        assert_eq!(seen.insert(key.clone(), ()), None, "{key} twice");
    }
    pairs
}

/// Signatures computed once by two other implementations, Python's hmac over
/// the documented algorithm and botocore's SigV4QueryAuth, which agree.
#[test]
fn the_signature_is_that_of_other_implementations() {
    let cases = [
        (None, "1616b697d93b0f302609429d8ee4a4a29752eeb23bc007adfa6762a16f8832d9"),
        (
            Some("FwoGZXIvYXdzEBYaD/+Token=="),
            "a2ec3b9b7e22967d3176a8847ab052a1bb42c9cb40e1275b552238bb6ad5f755",
        ),
    ];
    for (session_token, signature) in cases {
        let token = token(session_token, &sts_endpoint(&Region::new("eu-west-1")));
        let mut pairs = verified(&token.token, "sts.eu-west-1.amazonaws.com");
        pairs.sort();
        let mut expected = vec![
            ("Action", "GetCallerIdentity"),
            ("Version", "2011-06-15"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE%2F20261121%2Feu-west-1%2Fsts%2Faws4_request"),
            ("X-Amz-Date", "20261121T100000Z"),
            ("X-Amz-Expires", "60"),
            ("X-Amz-Signature", signature),
            ("X-Amz-SignedHeaders", "host%3Bx-k8s-aws-id"),
        ];
        if session_token.is_some() {
            expected.insert(6, ("X-Amz-Security-Token", "FwoGZXIvYXdzEBYaD%2F%2BToken%3D%3D"));
        }
        let expected: Vec<_> =
            expected.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        assert_eq!(pairs, expected);
    }
}

#[test]
fn the_token_of_an_embedded_region_names_its_endpoint() {
    let token = token(None, "http://127.0.0.1:4566/");
    let pairs = verified(&token.token, "127.0.0.1:4566");
    let signature = pairs.iter().find(|(key, _)| key == "X-Amz-Signature").expect("signed");
    assert_eq!(signature.1, "b4def3ac0f89e9ca6983e86b39c952423a3c5f2ce177ac5f14fc62a44cdb5de7");
}

#[test]
fn the_token_ends_a_minute_before_the_verifier_says_so() {
    let token = token(None, "http://127.0.0.1:4566");
    assert_eq!(token.expires.to_string(), "2026-11-21T10:14:00Z");
}

#[test]
fn neither_keys_nor_token_are_printed() {
    let keys = keys(Some("session"));
    let token = token(None, "http://127.0.0.1:4566");
    let printed = format!("{keys:?} {token:?}");
    assert!(!printed.contains("wJalr") && !printed.contains("session"), "{printed}");
    assert!(!printed.contains("k8s-aws-v1"), "{printed}");
}

#[test]
fn what_cannot_be_signed_is_an_error() {
    let region = Region::new("eu-west-1");
    let sign = |endpoint: &str, cluster: &str, session: Option<&str>| {
        eks_token(&keys(session), endpoint, &region, cluster, now()).map_err(|error| error.code)
    };
    assert_eq!(sign("http://127.0.0.1:1", "a\nb", None), Err("RequestNotBuilt".to_owned()));
    assert_eq!(sign("not a url", "web", None), Err("RequestNotBuilt".to_owned()));
    let long = "x".repeat(4000);
    assert_eq!(sign("http://127.0.0.1:1", "web", Some(&long)), Err("TokenTooLong".to_owned()));
}

#[test]
fn sts_is_asked_in_the_partition_of_the_region() {
    for (region, endpoint) in [
        ("us-east-1", "https://sts.us-east-1.amazonaws.com"),
        ("us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
        ("us-iso-east-1", "https://sts.us-iso-east-1.c2s.ic.gov"),
        ("us-isob-east-1", "https://sts.us-isob-east-1.sc2s.sgov.gov"),
        ("eusc-de-east-1", "https://sts.eusc-de-east-1.amazonaws.eu"),
    ] {
        assert_eq!(sts_endpoint(&Region::new(region)), endpoint);
    }
}
