//! Licences, versions that must be single, and advisories known when the lock
//! file was written. The advisory database itself cannot be read offline:
//! `cargo deny check` does that where it can be reached (see `deny.toml`).

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use semver::{Version, VersionReq};

use crate::sources::root;

/// Licences that may be combined with Apache-2.0 in one binary.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Libraries of which a second version in the binary means two worlds.
const SINGLE: &[&str] = &[
    "kube",
    "kube-core",
    "hyper",
    "h2",
    "rustls",
    "rusqlite",
    "libsqlite3-sys",
    "k8s-openapi",
    "cel",
    "tokio",
];

/// Libraries that may not come in at all, with the reason.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls"),
    ("serde_yaml", "archived; YAML is serde-saphyr"),
    ("ring", "the crypto provider is aws-lc-rs; two make rustls refuse to guess"),
    ("reqwest", "HTTP is hyper"),
];

/// Advisories that a version in this range falls under.
const ADVISORIES: &[(&str, &str, &str)] = &[
    ("RUSTSEC-2026-0258", "h2", "<0.4.0"),
    ("RUSTSEC-2024-0336", "rustls", "<0.23.5"),
    ("RUSTSEC-2024-0421", "idna", "<1.0.0"),
    ("RUSTSEC-2025-0134", "rustls-pemfile", "*"),
    ("RUSTSEC-2024-0320", "yaml-rust", "*"),
    ("RUSTSEC-2021-0139", "ansi_term", "*"),
];

struct Package {
    name: String,
    version: Version,
    licence: String,
}

/// What is really built for this platform: `cargo metadata` also names
/// optional dependencies that no feature switches on.
fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--prefix", "none"])
        .args(["--no-dedupe", "--format", "{p}|{l}"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let lines: BTreeSet<&str> = text.lines().collect();
    lines.into_iter().filter_map(package).collect()
}

/// `serde v1.0.1 (proc-macro)|MIT OR Apache-2.0`
fn package(line: &str) -> Option<Package> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split(' ');
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('v')?.parse().ok()?;
    Some(Package { name, version, licence: licence.to_owned() })
}

/// Whether an SPDX expression can be met from [`LICENCES`]: every part joined
/// by AND has an alternative that is allowed. Old manifests write `/` for OR.
fn is_allowed(expression: &str) -> bool {
    let flat = expression.replace('/', " OR ").replace(['(', ')'], " ");
    flat.split(" AND ").all(|part| part.split(" OR ").any(|licence| LICENCES.contains(&licence.trim())))
}

#[test]
fn licences_can_be_combined() {
    let refused: Vec<String> = packages()
        .iter()
        .filter(|package| !is_allowed(&package.licence))
        .map(|package| format!("{} {}: {}", package.name, package.version, package.licence))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn there_is_one_of_each() {
    let mut versions: BTreeMap<String, BTreeSet<Version>> = BTreeMap::new();
    for package in packages() {
        versions.entry(package.name).or_default().insert(package.version);
    }
    for name in SINGLE {
        let found = versions.get(*name).map_or(0, BTreeSet::len);
        assert!(found <= 1, "{name} comes in {found} versions: {:?}", versions[*name]);
    }
    for (name, reason) in BANNED {
        assert!(!versions.contains_key(*name), "{name} came in: {reason}");
    }
}

#[test]
fn no_known_advisory_applies() {
    for package in packages() {
        for (id, name, range) in ADVISORIES {
            let range: VersionReq = range.parse().expect("a range");
            let hit = package.name == *name && range.matches(&package.version);
            assert!(!hit, "{} {} falls under {id}", package.name, package.version);
        }
    }
}

#[test]
fn an_expression_is_read_as_spdx_means_it() {
    assert!(is_allowed("MIT OR GPL-3.0"));
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
    assert!(is_allowed("MIT/Apache-2.0"));
    assert!(!is_allowed("GPL-3.0"));
    assert!(!is_allowed("MIT AND GPL-3.0"));
}
