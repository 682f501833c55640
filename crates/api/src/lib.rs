//! Every custom resource that okra serves or reads.
