//! One file per task, and the built-in registry.
