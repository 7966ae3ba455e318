//! Benchmarks that answer stated questions; each is a binary of its own in `src/bin/`. The comparison with other gateways is in `peers/`.
