//! Rows on disk: schema, store, resume, provenance. Does not depend on candle.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod schema;

pub mod claim;
mod common;
pub mod disk;
pub mod error;
mod files;
mod folder;
pub mod identity;
mod json;
pub mod merge;
pub mod order;
mod pack;
pub mod provenance;
pub mod rows;
pub mod store;
pub mod temporary;

pub use claim::Claim;
pub use disk::{Disk, FailingDisk, RealDisk};
pub use error::{Error, Result};
pub use identity::{canonical, digest, hash};
pub use merge::{Contradiction, Merged, merge};
pub use provenance::provenance;
pub use schema::*;
pub use store::{Scan, Store};
