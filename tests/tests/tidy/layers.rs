//! The starred invariants of the design: who may not know what.

use std::fs;

use crate::sources::{Source, all, root};

/// A rule of absence: no product line outside `allowed` rooms or files may
/// contain one of `words`.
struct Absence {
    rule: &'static str,
    words: &'static [&'static str],
    /// Rooms looked at; empty = every room.
    rooms: &'static [&'static str],
    /// Path prefixes where the words are at home.
    home: &'static [&'static str],
}

const ABSENCES: &[Absence] = &[
    Absence {
        rule: "domain uses no async runtime, no kube, no AWS, no SQL, no file, no randomness",
        words: &[
            "tokio::",
            "async fn",
            "kube::",
            "k8s_openapi::",
            "aws_",
            "rusqlite::",
            "std::fs",
            "std::net",
            "rand::",
            "RandomState",
        ],
        rooms: &["domain"],
        home: &[],
    },
    Absence {
        rule: "AWS SDK types stay in aws",
        words: &["aws_sdk_", "aws_config::", "aws_smithy_", "aws_credential_types::", "aws_sigv4::"],
        rooms: &[],
        home: &["crates/aws/"],
    },
    Absence {
        rule: "SQL stays in apiserver",
        words: &["rusqlite"],
        rooms: &[],
        home: &["crates/apiserver/"],
    },
    Absence {
        rule: "only the binary prints",
        words: &["println!(", "print!(", "eprintln!(", "eprint!(", "std::process::exit"],
        rooms: &[],
        home: &["crates/okra/"],
    },
    Absence {
        rule: "nothing reads the clock outside a clock module",
        words: &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now"],
        rooms: &[],
        home: &["crates/clock/", "crates/apiserver/src/clock.rs", "crates/region/src/clock.rs"],
    },
    Absence {
        rule: "nothing draws random numbers outside a clock module",
        words: &["getrandom::", "rand::", "RandomState", "fastrand::", "SystemRandom"],
        rooms: &[],
        home: &["crates/clock/", "crates/apiserver/src/clock.rs", "crates/region/src/clock.rs"],
    },
    Absence {
        rule: "maps that can reach a decision, a write or a log are ordered",
        words: &["HashMap", "HashSet"],
        rooms: &["domain", "api", "expr", "aws", "providers", "controllers", "okra"],
        home: &[],
    },
];

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Whether `word` begins at a word boundary somewhere in `line`.
fn mentions(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn breaches(source: &Source, absence: &Absence) -> Vec<String> {
    let watched = absence.rooms.is_empty() || absence.rooms.contains(&source.room());
    if !source.is_product() || !watched || absence.home.iter().any(|home| source.path.starts_with(home)) {
        return Vec::new();
    }
    source
        .product_lines()
        .filter(|(_, line)| !is_comment(line))
        .filter_map(|(number, line)| {
            let word = absence.words.iter().find(|word| mentions(line, word))?;
            Some(format!("{}:{number}: `{word}`: {}", source.path, absence.rule))
        })
        .collect()
}

#[test]
fn absences_hold() {
    let sources = all();
    let found: Vec<String> = sources
        .iter()
        .flat_map(|source| ABSENCES.iter().flat_map(move |absence| breaches(source, absence)))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// The names of our own crates that a crate's `[dependencies]` section names.
fn own_dependencies(room: &str) -> Vec<String> {
    let manifest = root().join("crates").join(room).join("Cargo.toml");
    let text = fs::read_to_string(manifest).expect("every room has a manifest");
    let section = text.split("\n[dependencies]").nth(1).unwrap_or("");
    let section = section.split("\n[").next().unwrap_or("");
    section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| name.starts_with("okra-"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn apiserver_and_region_stand_alone() {
    for room in ["apiserver", "region", "expr", "clock", "domain"] {
        assert_eq!(own_dependencies(room), Vec::<String>::new(), "{room} depends on a crate of ours");
    }
}

#[test]
fn the_direction_of_dependencies_holds() {
    let allowed: &[(&str, &[&str])] = &[
        ("api", &["okra-domain"]),
        ("aws", &["okra-clock", "okra-domain"]),
        ("providers", &["okra-aws", "okra-clock", "okra-domain", "okra-expr"]),
        (
            "controllers",
            &["okra-api", "okra-aws", "okra-clock", "okra-domain", "okra-expr", "okra-providers"],
        ),
    ];
    for (room, allowed) in allowed {
        for name in own_dependencies(room) {
            assert!(allowed.contains(&name.as_str()), "{room} may not depend on {name}");
        }
    }
}

#[test]
fn the_apiserver_knows_nothing_of_okras_kinds() {
    let words = ["okra.mumo.co", "AWSTargetGroup", "VersionBlocklist"];
    for source in all().iter().filter(|source| source.is_product() && source.room() == "apiserver") {
        for (number, line) in source.product_lines() {
            let found = words.iter().find(|word| line.contains(**word));
            assert!(found.is_none(), "{}:{number}: {line}", source.path);
        }
    }
}

#[test]
fn no_file_names_one_machine() {
    let home = ["/wo", "rk/"].concat();
    let temporary = ["/tmp/", "okra-target"].concat();
    for source in all() {
        for word in [&home, &temporary] {
            assert!(
                !source.text.contains(word.as_str()),
                "{} names a path of one machine: {word}",
                source.path
            );
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    let words = [["todo", "!("].concat(), ["unimplemented", "!("].concat(), ["FIX", "ME"].concat()];
    for source in all() {
        for word in &words {
            assert!(!source.text.contains(word.as_str()), "{} holds {word}", source.path);
        }
        let ignored = ["#[ign", "ore]"].concat();
        assert!(!source.text.contains(&ignored), "{}: an ignored test says why", source.path);
    }
}
