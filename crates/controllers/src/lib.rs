//! Observe, plan, act: one module a kind.
