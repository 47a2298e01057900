//! The pages under `docs/` against the code: what they say exists, and what exists they say.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod event_page;
mod page;
mod schema;
mod watch_page;
