//! From events to findings: what has the same explanation is one, ranked by harm.
