//! Plans: declared against observed, as ordered stages of steps with guards.
