//! The server as its clients see it: kube-rs in the same process and over TLS,
//! raw requests, the official Python client and the real kubectl (`corpus.rs`
//! and the stories under `tests/kubectl`).
//!
//! Where each hard corner of spec/apiserver.md 20 is held; the test's name
//! carries the number. Files without a folder are in this one.
//!
//! | no | file |
//! | --- | --- |
//! | 1 | crud.rs, src/protobuf/tests.rs |
//! | 2 | corners.rs, src/protobuf/tests.rs |
//! | 3 | corners.rs, deletion.rs, src/protobuf/tests.rs |
//! | 4 | definitions.rs |
//! | 5 | corners.rs, src/openapi/tests.rs |
//! | 6 | corners.rs, src/openapi/tests.rs |
//! | 7 | crud.rs |
//! | 8 | corners.rs, write_corners.rs |
//! | 9 | watches.rs |
//! | 10 | watches.rs |
//! | 11 | streams.rs, watches.rs |
//! | 12 | streams.rs |
//! | 13 | kubectl.rs, watches.rs |
//! | 14 | watches.rs |
//! | 15 | watches.rs |
//! | 16 | watches.rs |
//! | 17 | watches.rs |
//! | 18 | streams.rs |
//! | 19 | lists.rs, src/store/tests.rs |
//! | 20 | pages.rs |
//! | 21 | lists.rs |
//! | 22 | src/store/tests.rs, tests/history/crashes.rs, tests/history/seeds.rs |
//! | 23 | crud.rs |
//! | 24 | src/apply/tests.rs, write_corners.rs |
//! | 25 | crud.rs |
//! | 26 | corners.rs, write_corners.rs |
//! | 27 | crud.rs, write_corners.rs |
//! | 28 | crud.rs |
//! | 29 | crud.rs |
//! | 30 | crud.rs, src/patch/tests.rs |
//! | 31 | deletion.rs, src/builtin/tests.rs |
//! | 32 | deletion.rs |
//! | 33 | watches.rs |
//! | 34 | deletion.rs |
//! | 35 | deletion.rs |
//! | 36 | corners.rs |
//! | 37 | deletion.rs |
//! | 38 | corners.rs |
//! | 39 | crud.rs, src/builtin/tests.rs |
//! | 40 | src/schema/tests.rs, write_corners.rs |
//! | 41 | write_corners.rs |
//! | 42 | definitions.rs |
//! | 43 | src/schema/tests.rs, write_corners.rs |
//! | 44 | src/schema/tests.rs, write_corners.rs |
//! | 45 | src/schema/rule_tests.rs, write_corners.rs |
//! | 46 | crud.rs |
//! | 47 | definitions.rs |
//! | 48 | lists.rs |
//! | 49 | lists.rs, src/selector/tests.rs |
//! | 50 | transport.rs |
//! | 51 | corners.rs |
//! | 52 | limits.rs, src/limits.rs |
//! | 53 | streams.rs |
//! | 54 | corners.rs, streams.rs |
//! | 55 | corners.rs, runtime.rs, src/builtin/tests.rs |
//! | 56 | runtime.rs |
//! | 57 | src/apply/tests.rs, write_corners.rs |
//! | 58 | write_corners.rs |
//! | 59 | src/apply/tests.rs |
//! | 60 | apply.rs, src/apply/tests.rs |

#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/mod.rs"]
mod support;

mod apply;
mod common;
mod corners;
mod corpus;
mod crud;
mod definitions;
mod deletion;
mod disk;
mod fuzz;
mod identity;
mod kubectl;
mod limits;
mod lists;
mod noop;
mod pages;
mod programs;
mod published;
mod python;
mod runtime;
mod streams;
mod transport;
mod vectors;
mod watches;
mod write_corners;
