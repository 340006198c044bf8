//! Repository checks as tests.
