//! Health of objects: kstatus rules, and the roll-up to the real fault.
