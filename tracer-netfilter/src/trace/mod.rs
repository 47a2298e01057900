//! The kernel's own word on which rule a packet meets: a temporary trace of one flow.
