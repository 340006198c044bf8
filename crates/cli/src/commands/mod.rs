//! One file a subcommand.

pub(crate) mod bench;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod choose;
pub(crate) mod claims;
pub(crate) mod clean;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod cost;
pub(crate) mod laboratory;
pub(crate) mod list;
pub(crate) mod merge;
pub(crate) mod model;
pub(crate) mod pack;
pub(crate) mod plot;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod slurm;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod verify;
pub(crate) mod worker;
