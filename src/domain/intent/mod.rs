//! Declared kinds, one file each, and their expansion to demands.
