//! Inventory arithmetic: what a unit owns, before and after.
