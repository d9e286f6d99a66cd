//! Which targets a demand goes to, and in which waves.
