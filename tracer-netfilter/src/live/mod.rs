//! The world as the kernel shows it to the calling thread's network namespace.
