//! An embedded AWS region with a real load balancer behind its API.
