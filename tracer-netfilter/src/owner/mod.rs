//! Who put a rule there, and what that means for changing it.
