//! Metric sources of analysis besides CloudWatch.
