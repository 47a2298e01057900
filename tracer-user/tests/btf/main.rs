//! The BTF reader on recorded kernels, on made-up types of every shape, and on damaged files.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod builder;
mod fields;
mod hostile;
mod kernels;
mod shapes;
