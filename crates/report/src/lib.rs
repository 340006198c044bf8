//! Rows to tables and plots. Depends on neither candle nor a registry: rows carry chance and labels.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod statistics;

pub mod summary;

pub mod table;

pub mod claims;

pub mod published;

pub mod plot;

pub mod page;
