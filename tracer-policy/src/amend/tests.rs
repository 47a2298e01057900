//! Denials and what is proposed.
