//! Settings: raw values resolved once, each with its source.
