//! The ports to AWS, and their adapters on the AWS SDK.
