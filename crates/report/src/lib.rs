//! Rows to tables and plots.
