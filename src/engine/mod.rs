//! One round: gather, plan, gate, propose, publish, apply, record.
