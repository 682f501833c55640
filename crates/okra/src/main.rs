//! The okra binary.

fn main() {}
