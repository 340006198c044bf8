//! Rows on disk: schema, store, resume, provenance. Does not depend on candle.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod schema;

pub use schema::*;
