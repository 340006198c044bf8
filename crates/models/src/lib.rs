//! One file per architecture, and the built-in registry.
