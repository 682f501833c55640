//! Style and layering, run instead of argued: what the design calls an
//! invariant, and the bands of size, hold for every file of the checkout.

mod dependencies;
mod layers;
mod sizes;
mod sources;
