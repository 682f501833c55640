//! Words and rules of a swap, and the planners. No I/O.

pub mod analysis;
