//! The gate: an approval is bound to a plan, and only this module can say that one holds.
