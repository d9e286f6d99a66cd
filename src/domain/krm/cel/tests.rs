//! Rules beside the recorded answers of the real server.
