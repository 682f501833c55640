//! An embedded Kubernetes API server on SQLite.
