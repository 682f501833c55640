//! Objects of others that okra reads (`spec/okra.md` 2.10).

pub mod cluster_secret;
pub mod kubeconfig;
pub mod target_group_binding;
