//! Tokens of ServiceAccounts: JSON Web Tokens that this server signs (RS256)
//! and later knows again (spec/apiserver.md 16.1).
//!
//! A token is good as long as its signature holds, its time has not run out,
//! and the objects it is bound to are still the ones it was made for.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_RSA_SHA256, SigningKey};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

/// Who issues the tokens, and for whom they are meant when nobody else is named;
/// the name every cluster has from inside.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The file of the signing key inside a server's folder.
const KEY_FILE: &str = "service-account.key";

/// Longest token that is looked at: a megabyte of base64 is no token.
const TOKEN_BYTES: usize = 16 * 1_024;

/// How far the clocks of issuer and verifier may differ; both are this server,
/// but its clock may be set back.
const LEEWAY_SECONDS: i64 = 10;

/// Why a token could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// The key could not be made, parsed or used.
    #[error("the signing key of service account tokens cannot be used")]
    Key(#[from] rcgen::Error),
    /// The key could not be read or kept.
    #[error("the signing key of service account tokens cannot be kept in {path}")]
    File { path: String, source: std::io::Error },
}

/// What a token says about one ServiceAccount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) namespace: String,
    pub(crate) account: String,
    pub(crate) account_uid: String,
    /// Kind, name and uid of the object that the token dies with.
    pub(crate) bound_to: Option<BoundObject>,
    pub(crate) audiences: Vec<String>,
    pub(crate) id: String,
}

/// The object that a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoundObject {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

struct Key {
    pair: KeyPair,
    /// The `kid` of the header: a digest of the public key.
    id: String,
}

/// Signs and verifies tokens. The key is made when it is first needed: most
/// servers of tests and simulations never issue a token.
pub(crate) struct TokenIssuer {
    folder: Option<PathBuf>,
    key: OnceCell<Key>,
}

impl TokenIssuer {
    /// An issuer that keeps its key in `folder`, or only in memory.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, key: OnceCell::new() }
    }

    /// A signed token, valid from `now` until `expires`.
    pub(crate) async fn issue(
        &self,
        claims: &Claims,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<String, TokenError> {
        let key = self.key().await?;
        let header = json!({"alg": "RS256", "kid": key.id});
        let signed = format!("{}.{}", encode(&header), encode(&payload(claims, now, expires)));
        let signature = key.pair.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Whether a token says that this server issued it; nothing is verified.
    pub(crate) fn is_own(token: &str) -> bool {
        let claims = token.split('.').nth(1).filter(|_| token.len() <= TOKEN_BYTES).and_then(decode);
        claims.is_some_and(|claims| claims["iss"] == ISSUER)
    }

    /// What a token says, if this server signed it and its time has not run out.
    pub(crate) async fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if token.len() > TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let (header, claims) = (decode(header)?, decode(claims)?);
        // Before the key is touched: tokens of others must not make one.
        if header["alg"] != "RS256" || claims["iss"] != ISSUER {
            return None;
        }
        let key = self.key().await.ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !is_signed(key.pair.public_key_raw(), signed.as_bytes(), &signature) {
            return None;
        }
        let now = now.as_second();
        let begun = claims["nbf"].as_i64()? <= now + LEEWAY_SECONDS;
        let over = claims["exp"].as_i64()? <= now;
        if begun && !over { parse(&claims) } else { None }
    }

    async fn key(&self) -> Result<&Key, TokenError> {
        self.key.get_or_try_init(|| async { self.open_key() }).await
    }

    fn open_key(&self) -> Result<Key, TokenError> {
        let Some(folder) = &self.folder else { return Ok(Key::of(KeyPair::generate_for(&PKCS_RSA_SHA256)?)) };
        let file = folder.join(KEY_FILE);
        let failed = |source| TokenError::File { path: file.display().to_string(), source };
        match std::fs::read_to_string(&file) {
            Ok(pem) => Ok(Key::of(KeyPair::from_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let pair = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
                crate::tls::write_private(&file, &pair.serialize_pem()).map_err(failed)?;
                Ok(Key::of(pair))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

impl Key {
    fn of(pair: KeyPair) -> Self {
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(pair.public_key_raw()));
        Self { pair, id }
    }
}

fn is_signed(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let known = aws_lc_rs::default_provider().signature_verification_algorithms;
    let algorithms = known.mapping.iter().find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256);
    let algorithm = algorithms.and_then(|(_, algorithms)| algorithms.first());
    algorithm.is_some_and(|algorithm| algorithm.verify_signature(public_key, message, signature).is_ok())
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn payload(claims: &Claims, now: Timestamp, expires: Timestamp) -> Value {
    let account = json!({"name": claims.account, "uid": claims.account_uid});
    let mut kubernetes = json!({"namespace": claims.namespace, "serviceaccount": account});
    if let Some(bound) = &claims.bound_to {
        kubernetes[bound.kind.to_lowercase()] = json!({"name": bound.name, "uid": bound.uid});
    }
    json!({
        "aud": claims.audiences,
        "exp": expires.as_second(),
        "iat": now.as_second(),
        "iss": ISSUER,
        "jti": claims.id,
        "kubernetes.io": kubernetes,
        "nbf": now.as_second(),
        "sub": format!("system:serviceaccount:{}:{}", claims.namespace, claims.account),
    })
}

fn parse(claims: &Value) -> Option<Claims> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kubernetes = &claims["kubernetes.io"];
    let bound_to = ["Pod", "Secret", "Node"].into_iter().find_map(|kind| {
        let found = &kubernetes[kind.to_lowercase()];
        Some(BoundObject { kind: kind.to_owned(), name: text(&found["name"])?, uid: text(&found["uid"])? })
    });
    Some(Claims {
        namespace: text(&kubernetes["namespace"])?,
        account: text(&kubernetes["serviceaccount"]["name"])?,
        account_uid: text(&kubernetes["serviceaccount"]["uid"])?,
        bound_to,
        audiences: claims["aud"].as_array()?.iter().filter_map(text).collect(),
        id: text(&claims["jti"]).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            namespace: "a".into(),
            account: "bob".into(),
            account_uid: "u1".into(),
            bound_to: Some(BoundObject { kind: "Pod".into(), name: "p".into(), uid: "u2".into() }),
            audiences: vec![ISSUER.into()],
            id: "j".into(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn a_token_says_later_what_it_was_made_to_say() {
        let issuer = TokenIssuer::new(None);
        let token = issuer.issue(&claims(), at(1_000), at(1_600)).await.unwrap();
        assert_eq!(issuer.verify(&token, at(1_000)).await, Some(claims()));
        assert_eq!(issuer.verify(&token, at(1_599)).await, Some(claims()));
        assert_eq!(issuer.verify(&token, at(1_600)).await, None, "its time has run out");
        assert_eq!(issuer.verify(&token, at(900)).await, None, "it is not valid yet");
    }

    #[tokio::test]
    async fn a_changed_or_foreign_token_is_nothing() {
        let (issuer, other) = (TokenIssuer::new(None), TokenIssuer::new(None));
        let token = issuer.issue(&claims(), at(1_000), at(1_600)).await.unwrap();
        assert_eq!(other.verify(&token, at(1_000)).await, None);
        let parts: Vec<&str> = token.split('.').collect();
        let mut forged = decode(parts[1]).unwrap();
        forged["kubernetes.io"]["serviceaccount"]["name"] = json!("admin");
        let forged = format!("{}.{}.{}", parts[0], encode(&forged), parts[2]);
        assert_eq!(issuer.verify(&forged, at(1_000)).await, None);
        let unsigned = format!("{}.{}.", encode(&json!({"alg": "none"})), parts[1]);
        assert_eq!(issuer.verify(&unsigned, at(1_000)).await, None);
        assert_eq!(issuer.verify("a.b.c", at(1_000)).await, None);
    }

    #[tokio::test]
    async fn a_kept_key_knows_the_tokens_of_yesterday() {
        let folder = tempfile::tempdir().unwrap();
        let before = TokenIssuer::new(Some(folder.path().to_owned()));
        let token = before.issue(&claims(), at(1_000), at(1_600)).await.unwrap();
        let after = TokenIssuer::new(Some(folder.path().to_owned()));
        assert_eq!(after.verify(&token, at(1_001)).await, Some(claims()));
    }
}
