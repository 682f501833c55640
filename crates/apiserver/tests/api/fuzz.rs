//! Changed requests to a whole server: it answers each, and none with a fault of its own. The decoders behind it are
//! fuzzed beside the code (`src/fuzz_tests.rs`).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::common::{CONFIG_MAPS, DEFINITIONS, config_map, established, get, metadata, post, send, server};
use crate::vectors::{THINGS, thing_definition};

/// Requests of each kind in a normal run; `OKRA_FUZZ_CASES` asks for more.
const CASES: u32 = 150;

fn config() -> Config {
    let cases = std::env::var("OKRA_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// A text with some of its characters changed.
fn changed(seeds: &'static [&'static str]) -> impl Strategy<Value = String> {
    let change = (
        any::<prop::sample::Index>(),
        prop::sample::select(vec![
            "", "a", "\"", "{", "}", "[", "]", ",", "-1", "\0", "\u{e9}", "null", "/..", "\\",
        ]),
    );
    (prop::sample::select(seeds), prop::collection::vec(change, 0..6)).prop_map(|(seed, changes)| {
        let mut characters: Vec<String> = seed.chars().map(String::from).collect();
        for (at, with) in changes {
            if !characters.is_empty() {
                let at = at.index(characters.len());
                characters[at] = with.to_owned();
            }
        }
        characters.concat()
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn fuzz_continue_tokens_and_list_parameters() {
    let runtime = runtime();
    let (_server, client) = runtime.block_on(async {
        let (server, client) = server().await;
        for name in ["a", "b", "c"] {
            post(&client, CONFIG_MAPS, &config_map(name, json!({}))).await;
        }
        (server, client)
    });
    let (_, page) = runtime.block_on(get(&client, &format!("{CONFIG_MAPS}?limit=1")));
    let real = URL_SAFE_NO_PAD.decode(metadata(&page, "continue")).unwrap();
    assert!(
        String::from_utf8(real).unwrap().contains("meta.k8s.io/v1"),
        "the seeds below look like real tokens"
    );
    let tokens = changed(&[
        r#"{"v":"meta.k8s.io/v1","rv":5,"start":"default/a\u0000"}"#,
        r#"{"v":"meta.k8s.io/v1","rv":-1,"start":"/\u0000"}"#,
        "",
    ]);
    let parameters = changed(&[
        "1",
        "0",
        "Exact",
        "NotOlderThan",
        "a=b",
        "a in (b,c)",
        "metadata.name=a",
        "18446744073709551615",
    ]);
    let names = prop::sample::select(vec![
        "limit",
        "resourceVersionMatch",
        "labelSelector",
        "fieldSelector",
        "timeoutSeconds",
    ]);
    let mut runner = TestRunner::new(config());
    let result = runner.run(&(tokens, any::<bool>(), names, parameters), |(token, encode, name, value)| {
        let token = if encode { URL_SAFE_NO_PAD.encode(&token) } else { token };
        let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        for query in [format!("continue={}", escape(&token)), format!("{name}={}", escape(&value))] {
            let (status, answer) = runtime.block_on(get(&client, &format!("{CONFIG_MAPS}?{query}")));
            let known =
                [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::GONE, StatusCode::UNPROCESSABLE_ENTITY];
            // A token may name a revision that is not there yet.
            prop_assert!(
                known.contains(&status) || status == StatusCode::GATEWAY_TIMEOUT,
                "{}: {}",
                query,
                answer
            );
        }
        Ok(())
    });
    result.unwrap();
}

const BODIES: &[&str] = &[
    r#"{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"t","labels":{"a":"b"}},"spec":{"replicas":1,"lm":[{"name":"p"}],"set":["a"]}}"#,
    r#"{"metadata":{"managedFields":[{"manager":"a","operation":"Update","apiVersion":"example.com/v1","fieldsV1":{"f:spec":{"f:s":{}}}}]}}"#,
    r#"[{"op":"add","path":"/spec/set/-","value":"b"},{"op":"test","path":"/spec/s","value":null},{"op":"remove","path":"/spec/lm/0"}]"#,
    r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"t"},"data":{"x":"1"}}"#,
    r#"{"spec":{"replicas":2}}"#,
    "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\nspec:\n  m: {k: v}\n",
];

#[test]
fn fuzz_bodies_of_writes() {
    let runtime = runtime();
    let (_server, client) = runtime.block_on(async {
        let (server, client) = server().await;
        post(&client, DEFINITIONS, &thing_definition()).await;
        established(&client, "things.example.com").await;
        let thing = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"s": "x"}});
        post(&client, THINGS, &thing).await;
        post(&client, CONFIG_MAPS, &config_map("t", json!({}))).await;
        (server, client)
    });
    let media = prop::sample::select(vec![
        "json",
        "yaml",
        "json-patch+json",
        "merge-patch+json",
        "strategic-merge-patch+json",
        "apply-patch+yaml",
        "vnd.kubernetes.protobuf",
    ]);
    let place = prop::sample::select(vec!["", "/t", "/t/status", "/t/scale"]);
    let method = prop::sample::select(vec![Method::POST, Method::PUT, Method::PATCH, Method::DELETE]);
    let mut runner = TestRunner::new(config());
    let result = runner.run(
        &(changed(BODIES), media, place, method, any::<bool>()),
        |(body, media, place, method, custom)| {
            let collection = if custom { THINGS } else { CONFIG_MAPS };
            // A finished delete would leave nothing to write to.
            let dry = if method == Method::DELETE { "&dryRun=All" } else { "" };
            let path = format!("{collection}{place}?fieldManager=f&force=true{dry}");
            let media = format!("application/{media}");
            let headers = [("content-type", media.as_str())];
            let answer = send(&client, method, &path, &headers, body);
            let (status, answer): (StatusCode, Value) = runtime.block_on(answer);
            prop_assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{}", answer);
            Ok(())
        },
    );
    result.unwrap();
}
