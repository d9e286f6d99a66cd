//! Metric names and log setup as typed constants.
