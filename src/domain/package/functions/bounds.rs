//! How much a function may look at. There is no clock here: what could take long is counted before it begins.

use super::{Call, FunctionError};

/// Most bytes that a function looks at, those of a resource once for each time that it does: some seconds.
const LOOKED_AT: usize = 2_000_000_000;

impl Call<'_> {
    /// Refuses to look at all resources so often; `path` is what asks for it.
    pub(super) fn can_look(&self, path: &[&str], times: usize) -> Result<(), FunctionError> {
        let bytes: usize = self.places.iter().map(|place| self.resources.text(place).len()).sum();
        if times.saturating_mul(bytes) <= LOOKED_AT {
            return Ok(());
        }
        let message = format!("all resources would be looked at {times} times, and have {bytes} bytes");
        Err(self.wrong(path, message, format!("ask for less: the limit is {LOOKED_AT} bytes, counted each time")))
    }
}
